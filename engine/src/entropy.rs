//! Randomness as a seam: keys come from here and from nowhere else, so that one seed gives one history.

use crate::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// Where the engine gets its secrets from.
pub trait Entropy: Send + Sync {
    /// 32 unpredictable bytes.
    ///
    /// # Errors
    /// Where the operating system has none to give.
    fn secret(&self) -> Result<[u8; 32]>;
}

/// The operating system's random source.
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

/// A sequence of secrets that follows from a seed: for tests and simulation, never for real data.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

impl SeededEntropy {
    /// The sequence of this seed.
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
