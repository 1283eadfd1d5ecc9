//! C2SP signed notes with Ed25519 signatures (type 0x01) and tlog cosignatures (type 0x04): keys, signing,
//! verification.
//!
//! A note is a text, a blank line and signature lines. A signature line names its key by a name and a 32-bit
//! id; lines of unknown keys are ignored, a bad line of a known key makes the whole note invalid.

mod key;

use std::fmt;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

use base64::Engine as _;
use thiserror::Error;

pub use key::{Cosigner, KeyType, Signer, Verifier};

/// The longest note, in bytes, signatures included.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// The most signature lines of a note.
pub const SIGNATURES_MAX: usize = 64;

/// The longest key name (and origin of a log), in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a note or a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is too long.
    #[error("note of {bytes} bytes is beyond the limit of {NOTE_BYTES_MAX}")]
    TooLong {
        /// The note's length in bytes.
        bytes: usize,
    },
    /// The note is not UTF-8.
    #[error("note is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// The note holds a control character other than line feed.
    #[error("note has control character 0x{byte:02x} at byte {offset}: expected none but line feed")]
    ControlCharacter {
        /// The control character.
        byte: u8,
        /// Where it is.
        offset: usize,
    },
    /// No blank line divides text and signatures, or the note does not end with a line feed.
    #[error("note is not a text, a blank line and signature lines that each end with a line feed")]
    Shape,
    /// Too many signature lines.
    #[error("note has more than {SIGNATURES_MAX} signature lines")]
    TooManySignatures,
    /// Not a signature line.
    #[error(
        "signature line {line}: expected an em dash, a key name and canonical base64 of at least 5 bytes"
    )]
    SignatureLine {
        /// The line's number among the signature lines, from 1.
        line: usize,
    },
    /// Not a key name.
    #[error(
        "key name {name:?}: expected 1 to {NAME_BYTES_MAX} bytes without spaces, control characters and +"
    )]
    Name {
        /// The name given, cut to 255 characters.
        name: String,
    },
    /// Not a public key. A private key is refused with the same error, and not quoted.
    #[error("malformed key: expected {expected}")]
    Key {
        /// What should be there.
        expected: &'static str,
    },
    /// A key of a type that is not supported.
    #[error("key type 0x{found:02x} is not supported: expected 0x01 (Ed25519) or 0x04 (Ed25519 cosignature)")]
    KeyType {
        /// The type byte found.
        found: u8,
    },
    /// A key whose id is not the hash of its name and key.
    #[error("key {name} has id {found:08x}, expected {expected:08x} by its name and key")]
    KeyId {
        /// The key's name.
        name: String,
        /// The id given.
        found: u32,
        /// The id computed.
        expected: u32,
    },
    /// Two known keys share name and id, so nobody can tell whose a signature is.
    #[error("two different known keys are {name}+{id:08x}")]
    AmbiguousKey {
        /// The keys' name.
        name: String,
        /// The keys' id.
        id: u32,
    },
    /// A known key's signature does not verify.
    #[error("bad signature of the known key {name}+{id:08x}")]
    BadSignature {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// None of the signatures is of a known key.
    #[error("none of the {signatures} signatures is of a known key")]
    Unverified {
        /// How many signatures the note has.
        signatures: usize,
    },
}

/// Whether `name` may name a key, and so be the origin of a log: 1 to [`NAME_BYTES_MAX`] bytes, no Unicode
/// spaces, no control characters, no `+`.
///
/// # Errors
/// [`NoteError::Name`] with the name.
pub fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
        return Err(NoteError::Name { name: name.chars().take(NAME_BYTES_MAX).collect() });
    }
    Ok(())
}

fn signature_line(name: &str, id: u32, signature: &[u8]) -> String {
    format!("— {name} {}\n", encode_base64(&[id.to_be_bytes().as_slice(), signature].concat()))
}

/// A signature line of a note, verified or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        check_name(name).ok()?;
        let payload = decode_base64(encoded)?;
        let (id, bytes) = payload.split_first_chunk()?;
        if bytes.is_empty() {
            return None;
        }
        Some(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_owned() })
    }

    /// The name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that is said to have signed.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signature_line(&self.name, self.id, &self.bytes))
    }
}

/// A signature that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The key that signed.
    pub verifier: &'a Verifier,
    /// For a cosignature the instant that it names, in Unix seconds, at most 2^63 − 1.
    pub time: Option<u64>,
}

/// A note, taken apart. Its text means nothing before [`Note::verify`] succeeded. `Display` gives the bytes
/// that were parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Takes a note apart: the text up to the last blank line, then 1 to [`SIGNATURES_MAX`] signature lines.
    ///
    /// # Errors
    /// More than [`NOTE_BYTES_MAX`] bytes; not UTF-8; control characters; a missing blank line, line feed or
    /// signature; a malformed signature line; a key name that [`check_name`] refuses, even of an unknown key.
    pub fn parse(note: impl AsRef<[u8]>) -> Result<Self, NoteError> {
        let note = note.as_ref();
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: note.len() });
        }
        let note = std::str::from_utf8(note).map_err(|e| NoteError::NotUtf8 { offset: e.valid_up_to() })?;
        if let Some((offset, byte)) = note.bytes().enumerate().find(|(_, b)| *b < 0x20 && *b != b'\n') {
            return Err(NoteError::ControlCharacter { byte, offset });
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Signature::parse(line).ok_or(NoteError::SignatureLine { line: number + 1 })?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The text that is signed: its last line feed included, the blank line not.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in the order of the note.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature of a `known` key and returns them in the order of the note; the others are
    /// ignored.
    ///
    /// # Errors
    /// A known key's signature is bad; two known keys cannot be told apart; no signature is of a known key.
    pub fn verify<'a>(&self, known: &[&'a Verifier]) -> Result<Vec<Verified<'a>>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let Some(verifier) = find_key(known, signature)? else { continue };
            let time = verifier.verify(&self.text, &signature.bytes).ok_or_else(|| {
                NoteError::BadSignature { name: verifier.name().to_owned(), id: verifier.id() }
            })?;
            verified.push(Verified { verifier, time });
        }
        if verified.is_empty() {
            return Err(NoteError::Unverified { signatures: self.signatures.len() });
        }
        Ok(verified)
    }
}

fn find_key<'a>(known: &[&'a Verifier], signature: &Signature) -> Result<Option<&'a Verifier>, NoteError> {
    let mut found: Option<&Verifier> = None;
    for verifier in known.iter().filter(|v| v.id() == signature.id && v.name() == signature.name) {
        if found.is_some_and(|other| other != *verifier) {
            return Err(NoteError::AmbiguousKey { name: verifier.name().to_owned(), id: verifier.id() });
        }
        found = Some(verifier);
    }
    Ok(found)
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

/// Canonical base64 is most of what a receipt consists of, so it is read with the processor's vectors where there are any.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(base64::engine::general_purpose::PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// The bytes of canonical base64 (RFC 4648 section 4, padded, no stray bits): what all C2SP formats use.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A hash as canonical base64.
pub(crate) fn decode_hash(text: &str) -> Option<[u8; 32]> {
    // Room for whole groups of three, as the library asks for.
    let mut bytes = [0; 33];
    let decoded = BASE64.decode_slice(text, &mut bytes).ok()?;
    bytes[..decoded].try_into().ok()
}

/// Canonical base64 of these bytes.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// A decimal number without sign and leading zeros, at most `max`.
pub(crate) fn parse_decimal(text: &str, max: u64) -> Option<u64> {
    let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number: &u64| is_canonical && *number <= max)
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
