//! The one error of the engine: a kind that says what to do, a sentence that says what happened.

use std::fmt;

/// What the caller can do about an [`Error`]. Few on purpose: each kind asks for another reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is outside its stated bounds. Nothing of the call was applied; correct it and call again.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// A legal hold stands in the way.
    Held,
    /// The object was already handed to the store for deletion.
    TooLate,
    /// A stated limit of concurrent work is reached, or another process has the folder open; try again later.
    Busy,
    /// The disk is full.
    Full,
    /// The operating system refused; the sentence names the file.
    Io,
    /// Stored data contradict themselves. Do not go on: keep the folder as it is, run the full check, see Backups in docs/operations.md.
    Corrupt,
    /// The log here is not the one that was last published. Nothing is signed and nothing deleted; a person decides.
    Forked,
    /// An earlier write or fsync failed, so what is on disk is unknown, or a panic left something half done. Reopen the engine.
    Poisoned,
    /// The engine was closed.
    Closed,
    /// A defect in Sexton.
    Internal,
}

/// An error: its kind, one clear sentence, and the cause below it where there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible engine call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` with its sentence: lower case, what failed, the value and the bound, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), source: None }
    }

    /// The same with the error below it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The same kind and sentence, for somebody else who waits for the same thing.
    pub(crate) fn again(&self) -> Self {
        Error::new(self.kind, self.to_string())
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// An operating system error; a full disk gets its own kind.
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Error::with_source(kind, what, source)
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence, without the causes below it.
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
        // Display already prints the source; handing it out again would print it twice in a chain.
        None
    }
}
