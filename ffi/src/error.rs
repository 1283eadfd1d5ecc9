//! Errors as C gets them, and the boundary that no panic crosses.

use crate::pointer;
use crate::status::{self, SEXTON_CLOSED, SEXTON_INTERNAL, SEXTON_INVALID, SEXTON_NOT_FOUND, SEXTON_OK};
use crate::types::sexton_bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// An error: its status and one clear sentence. Opaque; belongs to the caller, and is freed with sexton_error_free().
pub struct sexton_error {
    status: i32,
    message: String,
}

/// Why a call failed.
pub(crate) struct Failure {
    pub(crate) status: i32,
    pub(crate) message: String,
}

/// The result of what a call does.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: i32, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }
}

impl From<sexton::Error> for Failure {
    fn from(error: sexton::Error) -> Self {
        Failure::new(status::of(error.kind()), error.to_string())
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(SEXTON_INVALID, message)
}

pub(crate) fn not_found(message: impl Into<String>) -> Failure {
    Failure::new(SEXTON_NOT_FOUND, message)
}

pub(crate) fn closed(message: impl Into<String>) -> Failure {
    Failure::new(SEXTON_CLOSED, message)
}

pub(crate) const PANICKED: &str =
    "a defect in sexton: a panic was caught. The handle is of no more use: free it and open the engine again";

/// Does `body`, and tells C how it went. No panic gets out of it.
pub(crate) fn call(error: *mut *mut sexton_error, body: impl FnOnce() -> Outcome<()>) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(body));
    tell(error, done.unwrap_or_else(|_| Err(Failure::new(SEXTON_INTERNAL, PANICKED))))
}

/// Tells C how it went. `error` is written only where it failed.
fn tell(error: *mut *mut sexton_error, done: Outcome<()>) -> i32 {
    let Err(Failure { status, message }) = done else { return SEXTON_OK };
    // One line, whatever a parser below had to show.
    let message =
        message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
    let made = Box::into_raw(Box::new(sexton_error { status, message }));
    if error.is_null() {
        // SAFETY: it was made a line above.
        drop(unsafe { pointer::take(made) });
    } else {
        // SAFETY: not NULL; by the contract there is room for a pointer.
        unsafe { pointer::put_if_wanted(error, made) };
    }
    status
}

/// What a function gives that cannot fail, or `otherwise` should there be a panic.
pub(crate) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// The status of an error; SEXTON_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_status(error: *const sexton_error) -> i32 {
    // SAFETY: by the contract NULL or an error that is not freed yet.
    plain(SEXTON_INTERNAL, || unsafe { pointer::maybe(error) }.map_or(SEXTON_OK, |error| error.status))
}

/// The sentence of an error, UTF-8, one line: what failed, the value and the bound, what to do. Lives as long as the error.
/// Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_message(error: *const sexton_error) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or an error that is not freed yet.
        unsafe { pointer::maybe(error) }.map_or(EMPTY, |error| pointer::lend(error.message.as_bytes()))
    })
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_error_free(error: *mut sexton_error) {
    // SAFETY: by the contract NULL or an error that is not freed yet.
    plain((), || drop(unsafe { pointer::take(error) }));
}

/// No bytes.
pub(crate) const EMPTY: sexton_bytes = sexton_bytes { data: ptr::null(), len: 0 };
