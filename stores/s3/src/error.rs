//! Errors of opening, listing and mirroring. The message says what failed and what to do.

use crate::trouble::Trouble;

/// Error of an S3 store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option or an argument is out of its bounds.
    #[error("{0}")]
    Invalid(Box<str>),
    /// The bucket does not exist.
    #[error("{0}")]
    NoBucket(Box<str>),
    /// The bucket has no such object, or not with this version.
    #[error("{0}")]
    NotFound(Box<str>),
    /// The server refuses: the credentials lack a right, or a lock keeps the object.
    #[error("{0}")]
    Denied(Box<str>),
    /// The server cannot delete the registered object and no other. Opening refuses such a bucket.
    #[error("{0}")]
    Unsafe(Box<str>),
    /// The server did not answer, or not as S3 does.
    #[error("{0}")]
    Failed(Box<str>),
}

impl Error {
    /// Returns the error for trouble with a request.
    pub(crate) fn of(what: &str, trouble: Trouble) -> Self {
        let why = |text: &str| format!("{what}: {text}").into();
        match trouble {
            Trouble::NoBucket => Self::NoBucket(why("the bucket does not exist")),
            Trouble::Missing => Self::NotFound(why("the bucket has no such object")),
            Trouble::Denied(text) => Self::Denied(why(&text)),
            other => Self::Failed(why(&other.to_string())),
        }
    }
}
