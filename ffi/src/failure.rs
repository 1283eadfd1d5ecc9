//! Failures inside the library: a status with a message. Module `error` turns them into errors for C.

use crate::status::{self, SEXTON_CLOSED, SEXTON_INTERNAL, SEXTON_INVALID, SEXTON_NOT_FOUND};

/// Reason why a call failed.
pub(crate) struct Failure {
    pub(crate) status: i32,
    pub(crate) message: String,
}

/// Result of a call's body.
pub(crate) type CallResult<T> = Result<T, Failure>;

/// Message of every call on a handle after a panic.
pub(crate) const PANICKED: &str =
    "a defect in sexton: a panic was caught; free the handle and open the engine again";

impl Failure {
    pub(crate) fn new(status: i32, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }

    /// Returns the message on one line, even if a parser's error has several.
    pub(crate) fn one_line(&self) -> String {
        let lines = self.message.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join(" / ")
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

/// Creates the failure for a value of the engine that has no number in the header.
pub(crate) fn no_number(what: &str) -> Failure {
    Failure::new(SEXTON_INTERNAL, format!("a defect in sexton: the C library has no number for this {what}"))
}

pub(crate) fn closed(message: impl Into<String>) -> Failure {
    Failure::new(SEXTON_CLOSED, message)
}
