//! Errors as C gets them, and the boundary at which panics are caught.

use crate::failure::{CallResult, Failure, PANICKED};
use crate::pointer;
use crate::status::{SEXTON_INTERNAL, SEXTON_OK};
use crate::types::{EMPTY, sexton_bytes};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Error of a failed call: a status and a message. Opaque; the caller owns it and frees it with sexton_error_free().
pub struct sexton_error {
    status: i32,
    message: String,
}

/// Runs the body of a C function that can fail. Returns the status, and on failure writes an error unless `error` is
/// NULL. A panic becomes SEXTON_INTERNAL.
pub(crate) fn call(error: *mut *mut sexton_error, body: impl FnOnce() -> CallResult<()>) -> i32 {
    let result = catch_unwind(AssertUnwindSafe(body));
    let Err(failure) = result.unwrap_or_else(|_| Err(Failure::new(SEXTON_INTERNAL, PANICKED))) else {
        return SEXTON_OK;
    };
    if !error.is_null() {
        let made = Box::new(sexton_error { status: failure.status, message: failure.one_line() });
        // SAFETY: not NULL; by the contract there is room for a pointer.
        unsafe { pointer::put_if_wanted(error, Box::into_raw(made)) };
    }
    failure.status
}

/// Runs the body of a C function that cannot fail. A panic becomes `otherwise`.
pub(crate) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Returns the status of an error, or SEXTON_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_status(error: *const sexton_error) -> i32 {
    // SAFETY: by the contract NULL or an error that is not freed yet.
    plain(SEXTON_INTERNAL, || unsafe { pointer::maybe(error) }.map_or(SEXTON_OK, |error| error.status))
}

/// Returns the message of an error: one line of UTF-8 that says what failed, the value and its bound, and what to do.
/// It lives as long as the error. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_message(error: *const sexton_error) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or an error that is not freed yet.
        unsafe { pointer::maybe(error) }.map_or(EMPTY, |error| pointer::lend(error.message.as_bytes()))
    })
}

/// Frees an error. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_free(error: *mut sexton_error) {
    // SAFETY: by the contract NULL or an error that is not freed yet.
    plain((), || drop(unsafe { pointer::take(error) }));
}
