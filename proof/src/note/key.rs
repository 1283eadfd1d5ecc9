//! Keys of signed notes: public keys, signing keys of logs, signing keys of witnesses.

use std::fmt;

use ed25519_dalek::{Signature as Ed25519Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::encoding::{decode_base64, encode_base64};
use super::error::{NAME_BYTES_MAX, NOTE_BYTES_MAX, NoteError};

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";
const COSIGNATURE_BYTES: usize = 8 + Ed25519Signature::BYTE_SIZE;

/// Checks that `name` is valid as the name of a key, and so as the origin of a log.
///
/// A valid name has 1 to [`NAME_BYTES_MAX`] bytes, and no Unicode spaces, control characters or `+`.
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

/// Returns a signature line, with its line feed.
pub(super) fn signature_line(name: &str, id: u32, signature: &[u8]) -> String {
    format!("— {name} {}\n", encode_base64(&[id.to_be_bytes().as_slice(), signature].concat()))
}

/// Type of a key, which determines the message that it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over a time and the note's text, for witnesses (C2SP tlog-cosignature `cosignature/v1`).
    Cosignature,
}

impl KeyType {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }

    fn from_byte(found: u8) -> Result<Self, NoteError> {
        match found {
            1 => Ok(Self::Ed25519),
            4 => Ok(Self::Cosignature),
            _ => Err(NoteError::KeyType { found }),
        }
    }
}

/// Returns the id of a key: the first four bytes of SHA-256(name ‖ LF ‖ type ‖ key).
fn key_id(name: &str, kind: KeyType, key: &[u8; 32]) -> u32 {
    let hash =
        Sha256::new().chain_update(name).chain_update([b'\n', kind.byte()]).chain_update(key).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    u32::from_be_bytes([a, b, c, d])
}

/// Public key with its name. As text it is a *vkey*, `name+hhhhhhhh+base64(type ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    kind: KeyType,
    key: VerifyingKey,
}

impl Verifier {
    /// Parses a vkey. It accepts only the text that `Display` writes.
    ///
    /// # Errors
    /// A malformed vkey; a bad name; a type other than 0x01 and 0x04; an id that is not the key's; a weak or
    /// non-canonical key.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, kind, key) =
            parse_key(vkey, "name+hhhhhhhh+base64(type and 32 bytes), all canonical")?;
        let expected = "32 bytes that encode an Ed25519 public key canonically";
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::Key { expected })?;
        // A second encoding of the same point would let a single key pass for two.
        if key.to_edwards().compress().as_bytes() != key.as_bytes() {
            return Err(NoteError::Key { expected });
        }
        if key.is_weak() {
            return Err(NoteError::Key { expected: "an Ed25519 public key that is not of small order" });
        }
        Self::new(name, kind, key).with_id(id)
    }

    fn new(name: &str, kind: KeyType, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), id: key_id(name, kind, key.as_bytes()), kind, key }
    }

    fn with_id(self, found: u32) -> Result<Self, NoteError> {
        if self.id == found {
            Ok(self)
        } else {
            Err(NoteError::KeyId { name: self.name, found, expected: self.id })
        }
    }

    /// Returns the name of the key. For a log it is the origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the key.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the type of the key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.kind
    }

    /// Returns the Ed25519 public key, which identifies the log or witness independently of its name.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Verifies the bytes that follow the key id in a signature line.
    ///
    /// Returns `None` for a bad signature, `Some(None)` for a good one, and `Some(Some(time))` for a good cosignature.
    pub(super) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.kind {
            KeyType::Ed25519 => self.verify_message(text.as_bytes(), signature).then_some(None),
            KeyType::Cosignature => {
                let signature: &[u8; COSIGNATURE_BYTES] = signature.try_into().ok()?;
                let (time, signature) = signature.split_first_chunk()?;
                // The specification bounds times by 2^63 − 1.
                let time = u64::from_be_bytes(*time);
                i64::try_from(time).ok()?;
                self.verify_message(cosigned_message(time, text).as_bytes(), signature).then_some(Some(time))
            }
        }
    }

    /// Returns `true` if the bytes are a signature of the message under the rules of `docs/format.md` §5.
    fn verify_message(&self, message: &[u8], signature: &[u8]) -> bool {
        Ed25519Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, self.kind, self.key.as_bytes()))
    }
}

/// Parses `name+hhhhhhhh+base64(type ‖ 32 bytes)` into name, id, type and key.
fn parse_key<'a>(
    text: &'a str,
    expected: &'static str,
) -> Result<(&'a str, u32, KeyType, [u8; 32]), NoteError> {
    let malformed = || NoteError::Key { expected };
    let (name, rest) = text.split_once('+').ok_or_else(malformed)?;
    let (id, encoded) = rest.split_once('+').ok_or_else(malformed)?;
    check_name(name)?;
    let mut id_bytes = [0; 4];
    hex::decode_to_slice(id, &mut id_bytes).map_err(|_| malformed())?;
    // The canonical hex of an id is lower case.
    if hex::encode(id_bytes) != id || encoded.len() > NOTE_BYTES_MAX {
        return Err(malformed());
    }
    let bytes = decode_base64(encoded).ok_or_else(malformed)?;
    let (kind, key) = bytes.split_first().ok_or_else(malformed)?;
    let kind = KeyType::from_byte(*kind)?;
    let key = key.try_into().map_err(|_| malformed())?;
    Ok((name, u32::from_be_bytes(id_bytes), kind, key))
}

fn key_text(name: &str, id: u32, kind: KeyType, key: &[u8; 32]) -> String {
    let mut bytes = [kind.byte(); 33];
    let (_, rest) = bytes.split_at_mut(1);
    rest.copy_from_slice(key);
    format!("{name}+{id:08x}+{}", encode_base64(&bytes))
}

/// Returns the message that a cosignature of this time signs.
fn cosigned_message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Signing key of a log (type 0x01).
///
/// The key zeroizes its own memory when dropped, and its `Debug` does not show the secret. The caller guards seeds and texts
/// of private keys.
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// Creates the key of this name from 32 secret random bytes (the private key of RFC 8032).
    ///
    /// # Errors
    /// A bad name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// Parses the text that [`Signer::to_private`] writes. Its form is a convention of the Go tools, not of C2SP.
    ///
    /// # Errors
    /// Any other text. The error never quotes key material.
    pub fn from_private(text: &str) -> Result<Self, NoteError> {
        let expected = "PRIVATE+KEY+name+hhhhhhhh+base64(0x01 and 32 bytes), all canonical";
        let rest = text.strip_prefix(PRIVATE_PREFIX).ok_or(NoteError::Key { expected })?;
        // Errors of public keys quote the text, which in a mangled private key may be the secret.
        let (name, id, kind, seed) = parse_key(rest, expected).map_err(|_| NoteError::Key { expected })?;
        if kind != KeyType::Ed25519 {
            return Err(NoteError::Key { expected });
        }
        let signer = Self::generate(name, seed)?;
        signer.verifier().with_id(id)?;
        Ok(signer)
    }

    /// Returns the private key as text, `PRIVATE+KEY+name+hhhhhhhh+base64(0x01 ‖ seed)`. The text is a secret.
    #[must_use]
    pub fn to_private(&self) -> String {
        let text = key_text(&self.name, self.verifier().id, KeyType::Ed25519, self.key.as_bytes());
        format!("{PRIVATE_PREFIX}{text}")
    }

    /// Returns the public key.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.name, KeyType::Ed25519, self.key.verifying_key())
    }

    /// Returns the signature line of `text`, with its line feed. The note is text, line feed, signature lines.
    ///
    /// Precondition: every line of `text` ends with a line feed, and there are no other control characters.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        signature_line(&self.name, self.verifier().id, &signature)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Signing key of a witness (type 0x04).
///
/// The key zeroizes its own memory when dropped, and its `Debug` does not show the secret. The caller guards the seed.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

impl Cosigner {
    /// Creates the key of this name from 32 secret random bytes.
    ///
    /// # Errors
    /// A bad name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// Returns the public key.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.name, KeyType::Cosignature, self.key.verifying_key())
    }

    /// Returns the signature line of the checkpoint with this text as of `time`, with its line feed. `time` is in Unix
    /// seconds, at most 2^63 − 1.
    ///
    /// With it the witness states that the checkpoint is the largest consistent tree that it saw.
    #[must_use]
    pub fn cosign(&self, time: u64, text: &str) -> String {
        let signature = self.key.sign(cosigned_message(time, text).as_bytes()).to_bytes();
        let signature = [time.to_be_bytes().as_slice(), &signature].concat();
        signature_line(&self.name, self.verifier().id, &signature)
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Verifier {
    /// Sets the id, to make a collision of ids. To find a real collision takes too long for a test.
    pub(super) fn set_id_for_test(&mut self, id: u32) {
        self.id = id;
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
