//! Blinded commitment to one registration, and the opening that rebuilds it (`docs/format.md` §2, §5, §6).

mod fields;
pub mod sealing;

pub use self::fields::LayoutError;
pub(crate) use self::fields::{Cursor, put_bytes8, put_bytes16};

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};

use crate::blake3_many::{BLOCK_BYTES, Messages, Mode};
use crate::id::{
    DIGEST_MAX_BYTES, KEY_MAX_BYTES, LimitError, ORIGIN_MAX_BYTES, RegistrationId, VERSION_MAX_BYTES, limit,
};
use crate::time::Timestamp;
use crate::wire;

/// Key derivation context of the digest of a descriptor.
pub const DESCRIPTOR_CONTEXT: &str = "sexton v1 descriptor";
/// Key derivation context of a commitment.
pub const COMMITMENT_CONTEXT: &str = "sexton v1 commitment";
/// Key derivation context of a commitment to the result of anonymising an object.
pub const RESULT_CONTEXT: &str = "sexton v1 result";
/// Key derivation context of a commitment to the text of an event leaf.
pub const EVENT_CONTEXT: &str = "sexton v1 event";

// Hashing a context costs as much as hashing a short descriptor, so each context is hashed once per process.
static DESCRIPTOR_KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(DESCRIPTOR_CONTEXT));
static COMMITMENT_KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(COMMITMENT_CONTEXT));

/// Bytes of a descriptor with a key of up to a hundred bytes, at most. Most descriptors are no longer.
const DESCRIPTOR_BYTES: usize = 4 * BLOCK_BYTES;

/// Fields to which a commitment commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// Origin line of the log, 1 to [`ORIGIN_MAX_BYTES`] bytes.
    pub origin: &'a str,
    /// Id of the registration.
    pub id: RegistrationId,
    /// Key of the object, 1 to [`KEY_MAX_BYTES`] bytes.
    pub key: &'a [u8],
    /// Version of the object, at most [`VERSION_MAX_BYTES`] bytes.
    pub version: &'a [u8],
    /// Instant from which the promise counts.
    pub start: Timestamp,
    /// Earliest instant of deletion, if the class promises one.
    pub floor: Option<Timestamp>,
    /// Latest instant of deletion, if the class promises one.
    pub ceiling: Option<Timestamp>,
    /// Digest of the object, at most [`DIGEST_MAX_BYTES`] bytes, empty if the host gave none.
    pub digest: &'a [u8],
    /// Size of the object in bytes, if the host gave it.
    pub size: Option<u64>,
    /// RFC 6962 leaf hash of the leaf that defined the class version.
    pub class_leaf: [u8; 32],
}

impl Descriptor<'_> {
    /// Appends the descriptor's bytes to `out`, in whole blocks of 64. It allocates nothing else.
    ///
    /// Precondition: the fields are within their limits, as registration and [`Descriptor::check`] ensure.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        let variable = self.origin.len() + self.key.len() + self.version.len() + self.digest.len();
        out.reserve((91 + variable).next_multiple_of(BLOCK_BYTES));
        put_bytes16(out, self.origin.as_bytes());
        out.extend_from_slice(&self.id.to_bytes());
        put_bytes16(out, self.key);
        put_bytes16(out, self.version);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&wire::encode_floor(self.floor).to_be_bytes());
        out.extend_from_slice(&wire::encode_ceiling(self.ceiling).to_be_bytes());
        put_bytes8(out, self.digest);
        out.extend_from_slice(&wire::encode_size(self.size).to_be_bytes());
        out.extend_from_slice(&self.class_leaf);
        out.resize(begin + (out.len() - begin).next_multiple_of(BLOCK_BYTES), 0);
    }

    /// Returns the digest of the descriptor, from which blinding value and commitment are derived.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.encode_into(&mut bytes);
        *blake3::Hasher::new_from_context_key(&DESCRIPTOR_KEY).update(&bytes).finalize().as_bytes()
    }

    /// Appends the rest of the opening to `out`: the fields after `r` and the key, which [`Opening::decode_rest`]
    /// reads. It allocates nothing else.
    pub fn encode_rest_into(&self, out: &mut Vec<u8>) {
        out.reserve(35 + self.version.len() + self.digest.len());
        let instants = wire_instants(self.start, self.floor, self.ceiling);
        put_rest(out, self.version, instants, self.digest, wire::encode_size(self.size));
    }

    /// Checks that every field is within its limits.
    ///
    /// # Errors
    /// The first field that is too long or too short.
    pub fn check(&self) -> Result<(), LimitError> {
        limit("origin", self.origin.len(), 1, ORIGIN_MAX_BYTES)?;
        limit("key", self.key.len(), 1, KEY_MAX_BYTES)?;
        limit("version", self.version.len(), 0, VERSION_MAX_BYTES)?;
        limit("digest", self.digest.len(), 0, DIGEST_MAX_BYTES)
    }
}

/// Returns the wire values of start, floor and ceiling, in Unix milliseconds.
fn wire_instants(start: Timestamp, floor: Option<Timestamp>, ceiling: Option<Timestamp>) -> [i64; 3] {
    [start.unix_ms(), wire::encode_floor(floor), wire::encode_ceiling(ceiling)]
}

/// Appends the fields of an opening after `r` and the key.
fn put_rest(out: &mut Vec<u8>, version: &[u8], instants: [i64; 3], digest: &[u8], size: u64) {
    put_bytes16(out, version);
    out.extend(instants.iter().flat_map(|ms| ms.to_be_bytes()));
    put_bytes8(out, digest);
    out.extend_from_slice(&size.to_be_bytes());
}

/// Returns the blinding value of a commitment: a keyed hash under `k`, the random key of the class and month.
///
/// The hash covers the id, so every registration has a blinding value of its own.
#[must_use]
pub fn blinding(k: &[u8; 32], id: &RegistrationId, digest: &[u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(k, &blinding_message(id, digest)).as_bytes()
}

fn blinding_message(id: &RegistrationId, digest: &[u8; 32]) -> [u8; BLOCK_BYTES] {
    let mut message = [0; BLOCK_BYTES];
    message[..20].copy_from_slice(&id.to_bytes());
    message[32..].copy_from_slice(digest);
    message
}

/// Returns the commitment to the descriptor with this `digest`, blinded by `r`.
#[must_use]
pub fn commit(r: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_from_context_key(&COMMITMENT_KEY);
    hasher.update(r).update(digest);
    *hasher.finalize().as_bytes()
}

/// Commitment and its blinding value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blinded {
    /// Blinding value.
    pub r: [u8; 32],
    /// Commitment to the registration.
    pub commitment: [u8; 32],
}

/// Returns the blinded commitment to each of `descriptors` under one `k`.
///
/// The results equal those of [`Descriptor::digest`], [`blinding`] and [`commit`] for each descriptor. All descriptors
/// are hashed side by side, which is faster.
#[must_use]
pub fn commit_each<'a>(
    k: &[u8; 32],
    descriptors: impl Iterator<Item = Descriptor<'a>> + Clone,
) -> Vec<Blinded> {
    let mut messages = Messages::default();
    let n = descriptors.size_hint().0;
    messages.reserve(n, n * DESCRIPTOR_BYTES);
    descriptors.clone().for_each(|descriptor| messages.push(|out| descriptor.encode_into(out)));
    let digests = messages.hash_each(Mode::Derived(&DESCRIPTOR_KEY));
    messages.clear();
    for (descriptor, digest) in descriptors.zip(&digests) {
        messages.push(|out| out.extend_from_slice(&blinding_message(&descriptor.id, digest)));
    }
    let rs = messages.hash_each(Mode::Keyed(k));
    messages.clear();
    for (r, digest) in rs.iter().zip(&digests) {
        messages.push(|out| out.extend_from_slice([*r, *digest].as_flattened()));
    }
    let commitments = messages.hash_each(Mode::Derived(&COMMITMENT_KEY));
    rs.into_iter().zip(commitments).map(|(r, commitment)| Blinded { r, commitment }).collect()
}

/// Returns the commitment to the result of anonymising an object, blinded by the registration's `r`.
///
/// `digest` is that of the bytes that the store wrote, at most [`DIGEST_MAX_BYTES`] bytes. A receipt cannot carry a
/// longer digest, so a commitment to one could not be opened.
#[must_use]
pub fn result(r: &[u8; 32], digest: &[u8]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(33 + digest.len());
    bytes.extend_from_slice(r);
    put_bytes8(&mut bytes, digest);
    blake3::derive_key(RESULT_CONTEXT, &bytes)
}

/// Returns the commitment in an event leaf to a `text` that stays with the operator, blinded by 32 random bytes `r`.
#[must_use]
pub fn event(r: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(EVENT_CONTEXT);
    hasher.update(r).update(text);
    *hasher.finalize().as_bytes()
}

/// Fields that rebuild the descriptor of one tombstone, together with the log and the evidence file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Blinding value.
    pub r: [u8; 32],
    /// Key of the object, 1 to [`KEY_MAX_BYTES`] bytes.
    pub key: Vec<u8>,
    /// Version of the object, at most [`VERSION_MAX_BYTES`] bytes.
    pub version: Vec<u8>,
    /// Instant from which the promise counts.
    pub start: Timestamp,
    /// Earliest instant of deletion, if the class promises one.
    pub floor: Option<Timestamp>,
    /// Latest instant of deletion, if the class promises one.
    pub ceiling: Option<Timestamp>,
    /// Digest of the object, at most [`DIGEST_MAX_BYTES`] bytes.
    pub digest: Vec<u8>,
    /// Size of the object in bytes, if the host gave it.
    pub size: Option<u64>,
}

impl Opening {
    /// Returns the bytes of the opening in a receipt. [`Opening::decode`] refuses them if a field is outside its
    /// limits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(69 + self.key.len() + self.version.len() + self.digest.len());
        out.extend_from_slice(&self.r);
        put_bytes16(&mut out, &self.key);
        self.put_rest(&mut out);
        out
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        let instants = wire_instants(self.start, self.floor, self.ceiling);
        put_rest(out, &self.version, instants, &self.digest, wire::encode_size(self.size));
    }

    /// Reads the bytes that [`Opening::encode`] writes.
    ///
    /// # Errors
    /// Bytes that end early, surplus bytes, a field outside its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, OpeningError> {
        let mut cursor = Cursor::new(bytes);
        let r = cursor.array("r")?;
        let length = cursor.u16("length of key")?;
        let key = cursor.take("key", usize::from(length))?;
        Self::rest(cursor, r, key)
    }

    /// Reads the bytes that [`Descriptor::encode_rest_into`] writes into an opening with this `r` and the object's
    /// `key`.
    ///
    /// # Errors
    /// Bytes that end early, surplus bytes, a field outside its limits.
    pub fn decode_rest(bytes: &[u8], r: [u8; 32], key: &[u8]) -> Result<Self, OpeningError> {
        Self::rest(Cursor::new(bytes), r, key)
    }

    fn rest(mut cursor: Cursor<'_>, r: [u8; 32], key: &[u8]) -> Result<Self, OpeningError> {
        limit("key", key.len(), 1, KEY_MAX_BYTES)?;
        let length = cursor.u16("length of version")?;
        let version = cursor.take("version", usize::from(length))?;
        limit("version", version.len(), 0, VERSION_MAX_BYTES)?;
        let start = Timestamp::from_be_bytes(cursor.array("start")?);
        let floor = wire::decode_floor(i64::from_be_bytes(cursor.array("floor")?));
        let ceiling = wire::decode_ceiling(i64::from_be_bytes(cursor.array("ceiling")?));
        let length = cursor.u8("length of digest")?;
        let digest = cursor.take("digest", usize::from(length))?;
        limit("digest", digest.len(), 0, DIGEST_MAX_BYTES)?;
        let size = wire::decode_size(u64::from_be_bytes(cursor.array("size")?));
        cursor.end()?;
        let (key, version, digest) = (key.to_vec(), version.to_vec(), digest.to_vec());
        Ok(Self { r, key, version, start, floor, ceiling, digest, size })
    }

    /// Returns the descriptor of this opening for the registration `id` in the log `origin`.
    #[must_use]
    pub fn descriptor<'a>(
        &'a self,
        origin: &'a str,
        id: RegistrationId,
        class_leaf: [u8; 32],
    ) -> Descriptor<'a> {
        Descriptor {
            origin,
            id,
            key: &self.key,
            version: &self.version,
            start: self.start,
            floor: self.floor,
            ceiling: self.ceiling,
            digest: &self.digest,
            size: self.size,
            class_leaf,
        }
    }
}

/// Error of bytes that are not an opening.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The bytes end within a field, or go on after the last field.
    #[error("opening: {0}")]
    Layout(#[from] LayoutError),
    /// A field is too long or too short.
    #[error("opening: {0}")]
    Limit(#[from] LimitError),
}

#[cfg(test)]
#[path = "commitment_tests.rs"]
mod tests;
