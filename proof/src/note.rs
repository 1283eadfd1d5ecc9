//! C2SP signed notes with Ed25519 signatures (type 0x01) and tlog cosignatures (type 0x04): keys, signing,
//! verification.
//!
//! A note is a text, a blank line and signature lines. A signature line states the name and the 32-bit id of its key.
//! Lines of unknown keys are ignored. A bad signature of a known key makes the whole note invalid.

mod encoding;
mod error;
mod key;

pub(crate) use self::encoding::{decode_base64, decode_hash, encode_base64, parse_decimal};
pub use self::error::{NAME_BYTES_MAX, NOTE_BYTES_MAX, NoteError, SIGNATURES_MAX};
pub use self::key::{Cosigner, KeyType, Signer, Verifier, check_name};

use std::fmt;

use self::key::signature_line;

/// Signature line of a note, verified or not.
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

    /// Returns the name of the key that the line states. The signature is not verified.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the key that the line states. The signature is not verified.
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

/// Verified signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Key that signed.
    pub verifier: &'a Verifier,
    /// Instant that a cosignature states, in Unix seconds, at most 2^63 − 1. `None` for any other signature.
    pub time: Option<u64>,
}

/// Parsed note. Its text is authentic only once [`Note::verify`] succeeded. `Display` writes the bytes that were
/// parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Parses a note: the text up to the last blank line, then 1 to [`SIGNATURES_MAX`] signature lines.
    ///
    /// # Errors
    /// More than [`NOTE_BYTES_MAX`] bytes; not UTF-8; control characters; a missing blank line, line feed or signature;
    /// a malformed signature line; a key name that [`check_name`] refuses, even of an unknown key.
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

    /// Returns the signed text, with its last line feed and without the blank line.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines, in the order of the note.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature of a `known` key and returns them in the order of the note. It ignores signatures of
    /// other keys.
    ///
    /// # Errors
    /// A bad signature of a known key; two known keys with the same name and id; no signature of a known key.
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

/// Returns the known key of a signature.
///
/// # Errors
/// Two different known keys with the name and id of the signature.
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

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
