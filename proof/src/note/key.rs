//! Keys of signed notes: public, a log's private and a witness's private.

use std::fmt;

use ed25519_dalek::{Signature as Ed25519Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::{NOTE_BYTES_MAX, NoteError, check_name, decode_base64, encode_base64, signature_line};

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";
const COSIGNATURE_BYTES: usize = 8 + Ed25519Signature::BYTE_SIZE;

/// What a key signs, and the byte that stands for it in keys and key ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over a time and the note's text, as witnesses sign (C2SP tlog-cosignature
    /// `cosignature/v1`).
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

/// The first four bytes of SHA-256(name ‖ LF ‖ type ‖ key).
fn key_id(name: &str, kind: KeyType, key: &[u8; 32]) -> u32 {
    let hash =
        Sha256::new().chain_update(name).chain_update([b'\n', kind.byte()]).chain_update(key).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    u32::from_be_bytes([a, b, c, d])
}

/// A public key with its name: what a verifier is configured with. As text a *vkey*,
/// `name+hhhhhhhh+base64(type ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    kind: KeyType,
    key: VerifyingKey,
}

impl Verifier {
    /// The key of a vkey; exactly what `Display` writes is accepted.
    ///
    /// # Errors
    /// A malformed vkey, a bad name, another type than 0x01 and 0x04, an id that is not the key's, a weak or
    /// non-canonical key.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, kind, key) =
            parse_key(vkey, "name+hhhhhhhh+base64(type and 32 bytes), all canonical")?;
        let expected = "32 bytes that encode an Ed25519 public key canonically";
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::Key { expected })?;
        // One point has one encoding here, or one key could pass for two.
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

    /// The key's name; for a log its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the key signs.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.kind
    }

    /// The Ed25519 public key, which identifies log or witness whatever its name.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Checks what stands behind the key id in a signature line. The outer `None` means bad; the inner value
    /// is a cosignature's time.
    pub(super) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.kind {
            KeyType::Ed25519 => {
                let signature = Ed25519Signature::from_slice(signature).ok()?;
                self.key.verify_strict(text.as_bytes(), &signature).ok()?;
                Some(None)
            }
            KeyType::Cosignature => {
                let signature: &[u8; COSIGNATURE_BYTES] = signature.try_into().ok()?;
                let (time, signature) = signature.split_first_chunk()?;
                // The specification's bound on times.
                let time = u64::from_be_bytes(*time);
                i64::try_from(time).ok()?;
                let signature = Ed25519Signature::from_slice(signature).ok()?;
                self.key.verify_strict(cosigned_message(time, text).as_bytes(), &signature).ok()?;
                Some(Some(time))
            }
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, self.kind, self.key.as_bytes()))
    }
}

/// Name, id, type and key of `name+hhhhhhhh+base64(type ‖ 32 bytes)`.
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
    // Only lower case is canonical.
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

/// What a cosignature of this time signs.
fn cosigned_message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// A log's signing key (type 0x01). It zeroizes its own memory when dropped and has no `Debug` that shows the
/// secret; texts and seeds that go in and out are the caller's to guard.
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// The key of this name made from 32 secret random bytes (RFC 8032's private key).
    ///
    /// # Errors
    /// A bad name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The key of a private key's text as [`Signer::to_private`] writes it. The form is a convention of the
    /// Go tools, not of C2SP.
    ///
    /// # Errors
    /// Any other text; the error never quotes key material.
    pub fn from_private(text: &str) -> Result<Self, NoteError> {
        let expected = "PRIVATE+KEY+name+hhhhhhhh+base64(0x01 and 32 bytes), all canonical";
        let rest = text.strip_prefix(PRIVATE_PREFIX).ok_or(NoteError::Key { expected })?;
        // The errors of public keys quote what they found, which in a mangled private key may be the secret.
        let (name, id, kind, seed) = parse_key(rest, expected).map_err(|_| NoteError::Key { expected })?;
        if kind != KeyType::Ed25519 {
            return Err(NoteError::Key { expected });
        }
        let signer = Self::generate(name, seed)?;
        signer.verifier().with_id(id)?;
        Ok(signer)
    }

    /// The private key as text, `PRIVATE+KEY+name+hhhhhhhh+base64(0x01 ‖ seed)`: a secret.
    #[must_use]
    pub fn to_private(&self) -> String {
        let text = key_text(&self.name, self.verifier().id, KeyType::Ed25519, self.key.as_bytes());
        format!("{PRIVATE_PREFIX}{text}")
    }

    /// The public key.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.name, KeyType::Ed25519, self.key.verifying_key())
    }

    /// The signature line of `text`, line feed included. The text must be a note's: UTF-8 lines that each end
    /// with a line feed, no other control characters. The note is text, line feed, signature lines.
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

/// A witness's signing key (type 0x04). Secrets are treated as [`Signer`] does.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

impl Cosigner {
    /// The key of this name made from 32 secret random bytes.
    ///
    /// # Errors
    /// A bad name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The public key.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.name, KeyType::Cosignature, self.key.verifying_key())
    }

    /// The signature line by which the witness states, as of `time` (Unix seconds, at most 2^63 − 1), that
    /// the checkpoint with this text is the largest consistent tree that it saw. Line feed included.
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
    /// A collision of ids, which nobody can find quickly enough for a test.
    pub(super) fn set_id_for_test(&mut self, id: u32) {
        self.id = id;
    }
}
