//! The seam to randomness. All secrets come from here, so that one seed gives one history.

use crate::platform::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// Source of the engine's secrets.
pub trait Entropy: Send + Sync {
    /// Returns 32 unpredictable bytes.
    ///
    /// # Errors
    /// `Io` if the operating system's random source fails.
    fn secret(&self) -> Result<[u8; 32]>;
}

/// Random source of the operating system.
#[derive(Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the seam through which randomness comes in")]
    fn secret(&self) -> Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::with_source(ErrorKind::Io, "the system's random source failed", e))?;
        Ok(bytes)
    }
}

/// Sequence of secrets derived from a seed, for tests and simulation. Never use it for real data.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

impl SeededEntropy {
    /// Creates the sequence of this seed.
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sexton seeded entropy for tests");
        hasher.update(&seed.to_be_bytes());
        SeededEntropy(Mutex::new(hasher.finalize_xof()))
    }
}

impl Entropy for SeededEntropy {
    fn secret(&self) -> Result<[u8; 32]> {
        let mut bytes = [0; 32];
        self.0.lock().fill(&mut bytes);
        Ok(bytes)
    }
}
