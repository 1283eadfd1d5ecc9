//! What this thread is inside of: some calls would wait for themselves there, and are refused instead.

use std::cell::Cell;

thread_local! {
    static DELETE: Cell<u32> = const { Cell::new(0) };
    static LOG_OR_CLOCK: Cell<u32> = const { Cell::new(0) };
}

fn counted<T>(place: &'static std::thread::LocalKey<Cell<u32>>, body: impl FnOnce() -> T) -> T {
    place.set(place.get() + 1);
    let done = body();
    place.set(place.get() - 1);
    done
}

/// Calls a callback that deletes. Every function may be called from it but those that stop the engine.
pub(crate) fn a_delete_callback<T>(body: impl FnOnce() -> T) -> T {
    counted(&DELETE, body)
}

/// Calls a callback that may come while locks are held. No function may be called from it.
pub(crate) fn a_log_or_clock_callback<T>(body: impl FnOnce() -> T) -> T {
    counted(&LOG_OR_CLOCK, body)
}

pub(crate) fn is_in_a_delete_callback() -> bool {
    DELETE.get() > 0
}

pub(crate) fn is_in_a_log_or_clock_callback() -> bool {
    LOG_OR_CLOCK.get() > 0
}
