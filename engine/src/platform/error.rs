//! The error type of the engine: a kind that tells the caller what to do, and a message that tells what happened.

use std::fmt;

/// Kind of an [`Error`], which tells the caller how to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is outside its stated bounds. Nothing of the call was applied. Correct the input and call again.
    Invalid,
    /// The call names an object, hold, request, class or alarm that does not exist.
    NotFound,
    /// A legal hold forbids the call, or a waiting erasure does. Lift the hold, or cancel the erasure, first.
    Held,
    /// The object was already handed to the store for deletion.
    TooLate,
    /// A stated limit of concurrent work is reached, or another process has the folder open. Try again later.
    Busy,
    /// The disk or a quota is full, or free space is below `Options::disk_reserve_bytes`. Make room.
    Full,
    /// The operating system reported an error. The message names the file.
    Io,
    /// Stored data contradict each other. Stop, keep the folder as it is, run the full check, and see Backups in
    /// `docs/operations.md`.
    Corrupt,
    /// The log in this folder must not go on: it does not extend the log that was last published, or the folder is a copy.
    /// Nothing is signed or deleted until an operator decides.
    Forked,
    /// An earlier write or fsync failed, so the content of the disk is unknown, or a panic interrupted an operation. Open the
    /// engine again.
    Poisoned,
    /// The engine was closed. No call of this crate returns it: a closed engine has no methods. It is the kind for bindings
    /// whose handle outlives the engine, like `SEXTON_CLOSED` of the C library.
    Closed,
    /// A defect in Sexton.
    Internal,
}

/// Error of the engine: its kind, one message, and the cause below it if there is one.
///
/// [`Display`](fmt::Display) prints the message and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of every fallible call of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Creates an error. A message is lower case and says what failed, the value and its bound, and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), source: None }
    }

    /// Creates an error with the cause below it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Returns an error with this kind and text, for a second caller that waits for the same work.
    pub(crate) fn duplicate(&self) -> Self {
        Error::new(self.kind, self.to_string())
    }

    /// Creates an error of kind [`ErrorKind::Invalid`].
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, message)
    }

    /// Creates an error of kind [`ErrorKind::NotFound`].
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::NotFound, message)
    }

    /// Creates an error of kind [`ErrorKind::Corrupt`].
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Corrupt, message)
    }

    /// Creates an error of kind [`ErrorKind::Corrupt`] that refers the operator to the backups of the index.
    pub(crate) fn corrupt_index(what: impl fmt::Display) -> Self {
        Error::corrupt(format!("{what}; see Backups in docs/operations.md"))
    }

    /// Creates an error of kind [`ErrorKind::Internal`].
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// Creates an error from one of the operating system: [`ErrorKind::Full`] if the disk or a quota is full, else
    /// [`ErrorKind::Io`].
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Error::with_source(kind, what, source)
    }

    /// Returns the kind, which tells the caller how to react.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message without the cause below it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Display prints the cause. Returning it here would print it twice in a chain.
        None
    }
}
