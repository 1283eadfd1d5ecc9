//! Limits of notes and keys, and their refusal.

use thiserror::Error;

use crate::visible::visible;

/// Longest note in bytes, signatures included.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Most signature lines of a note.
pub const SIGNATURES_MAX: usize = 64;

/// Longest key name, and so the longest origin of a log, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Error of a note or a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is too long.
    #[error("note of {bytes} bytes is beyond the limit of {NOTE_BYTES_MAX}")]
    TooLong {
        /// Length of the note in bytes.
        bytes: usize,
    },
    /// The note is not UTF-8.
    #[error("note is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// The note holds a control character other than line feed.
    #[error("note has control character 0x{byte:02x} at byte {offset}: expected none but line feed")]
    ControlCharacter {
        /// Control character found.
        byte: u8,
        /// Offset of the control character.
        offset: usize,
    },
    /// No blank line divides text and signatures, or the note does not end with a line feed.
    #[error("malformed note: expected a text, a blank line and signature lines, each ended by a line feed")]
    Shape,
    /// The note has too many signature lines.
    #[error("note has more than {SIGNATURES_MAX} signature lines")]
    TooManySignatures,
    /// A line is not a signature line.
    #[error(
        "signature line {line}: expected an em dash, a key name and canonical base64 of at least 5 bytes"
    )]
    SignatureLine {
        /// Number of the line among the signature lines, from 1.
        line: usize,
    },
    /// The name is not a key name.
    #[error(
        "key name {name:?}: expected 1 to {NAME_BYTES_MAX} bytes without spaces, control characters and +"
    )]
    Name {
        /// Name given, cut to 255 characters.
        name: String,
    },
    /// The text is not a key. The error never quotes it, because it may be a private key.
    #[error("malformed key: expected {expected}")]
    Key {
        /// Expected form of the key.
        expected: &'static str,
    },
    /// The type of the key is not supported.
    #[error("key type 0x{found:02x} is not supported: expected 0x01 (Ed25519) or 0x04 (Ed25519 cosignature)")]
    KeyType {
        /// Type byte found.
        found: u8,
    },
    /// The id of a key is not the hash of its name and key.
    #[error("key {} has id {found:08x}, expected {expected:08x} by its name and key", visible(name))]
    KeyId {
        /// Name of the key.
        name: String,
        /// Id given.
        found: u32,
        /// Id computed from name and key.
        expected: u32,
    },
    /// Two known keys share name and id, so a signature cannot be attributed to either.
    #[error("two different known keys are {}+{id:08x}, expected one: remove the other", visible(name))]
    AmbiguousKey {
        /// Name of both keys.
        name: String,
        /// Id of both keys.
        id: u32,
    },
    /// The signature of a known key is bad.
    #[error("bad signature of the known key {}+{id:08x}", visible(name))]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: u32,
    },
    /// No signature is of a known key.
    #[error("none of the {signatures} signatures is of a known key")]
    Unverified {
        /// Number of signatures of the note.
        signatures: usize,
    },
}
