//! What this thread is inside of: some calls would wait for themselves there, and are refused instead.

use crate::handle::sexton_engine;
use std::cell::Cell;
use std::ptr;

thread_local! {
    /// The engine whose callback the thread is in, the innermost one.
    static OF: Cell<*const sexton_engine> = const { Cell::new(ptr::null()) };
    static LOG_OR_CLOCK: Cell<u32> = const { Cell::new(0) };
}

/// Calls a callback of `engine`. Every function may be called from it but those that stop or drive an engine.
pub(crate) fn a_callback_of<T>(engine: *const sexton_engine, body: impl FnOnce() -> T) -> T {
    let outer = OF.replace(engine);
    let done = body();
    OF.set(outer);
    done
}

/// Calls a callback that may come while locks are held. No function may be called from it.
pub(crate) fn a_log_or_clock_callback<T>(body: impl FnOnce() -> T) -> T {
    LOG_OR_CLOCK.set(LOG_OR_CLOCK.get() + 1);
    let done = body();
    LOG_OR_CLOCK.set(LOG_OR_CLOCK.get() - 1);
    done
}

/// Whether it is in a callback, of whichever engine.
pub(crate) fn is_in_a_callback() -> bool {
    !OF.get().is_null()
}

/// Whether it is in a callback of this one.
pub(crate) fn is_in_a_callback_of(engine: *const sexton_engine) -> bool {
    ptr::eq(OF.get(), engine)
}

pub(crate) fn is_in_a_log_or_clock_callback() -> bool {
    LOG_OR_CLOCK.get() > 0
}
