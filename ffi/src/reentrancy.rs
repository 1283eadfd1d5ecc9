//! Callbacks that the current thread is in. Some calls would wait for themselves there, and are refused.

use std::cell::Cell;
use std::ptr;

/// Identity of an engine: the address of its handle. Never dereferenced.
pub(crate) type EngineTag = *const ();

thread_local! {
    /// Engine of the innermost callback that the thread is in; null outside.
    static CALLBACK_OF: Cell<EngineTag> = const { Cell::new(ptr::null()) };
    /// Number of log and clock callbacks that the thread is in.
    static LOG_OR_CLOCK: Cell<u32> = const { Cell::new(0) };
}

/// Runs a delete or plan callback of an engine. It may call every function except those that stop or drive an engine.
pub(crate) fn in_callback_of<T>(engine: EngineTag, body: impl FnOnce() -> T) -> T {
    let outer = CALLBACK_OF.replace(engine);
    let result = body();
    CALLBACK_OF.set(outer);
    result
}

/// Runs a log or clock callback. The engine may hold locks meanwhile, so it may call no function.
pub(crate) fn in_log_or_clock_callback<T>(body: impl FnOnce() -> T) -> T {
    LOG_OR_CLOCK.set(LOG_OR_CLOCK.get() + 1);
    let result = body();
    LOG_OR_CLOCK.set(LOG_OR_CLOCK.get() - 1);
    result
}

/// Returns `true` if the thread is in a delete or plan callback of any engine.
pub(crate) fn is_in_callback() -> bool {
    !CALLBACK_OF.get().is_null()
}

/// Returns `true` if the innermost callback that the thread is in belongs to this engine.
pub(crate) fn is_in_callback_of(engine: EngineTag) -> bool {
    ptr::eq(CALLBACK_OF.get(), engine)
}

/// Returns `true` if the thread is in a log or clock callback.
pub(crate) fn is_in_log_or_clock_callback() -> bool {
    LOG_OR_CLOCK.get() > 0
}
