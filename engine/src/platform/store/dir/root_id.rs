//! Ids of roots.

use std::fmt;

use super::DirError;
use crate::platform::entropy::{Entropy, OsEntropy};

/// Random id of a root, which its label holds.
///
/// By it, an engine knows the roots that were accepted for it ([`Engine::roots`](crate::Engine::roots)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootId([u8; 16]);

impl RootId {
    /// Returns the bytes of the id.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Creates an id from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        RootId(bytes)
    }

    /// Returns the bytes by which the version of a file names its root.
    pub(super) fn tag(self) -> [u8; 8] {
        self.0.first_chunk().copied().unwrap_or_default()
    }

    /// Creates an unpredictable id.
    pub(super) fn random() -> Result<Self, DirError> {
        let secret = OsEntropy.secret().map_err(|error| DirError::Io(error.to_string().into()))?;
        Ok(RootId(secret.first_chunk().copied().unwrap_or_default()))
    }
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
