//! Openings as the operator keeps them.

use crate::schema::Reader;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sexton_proof::commitment::{self, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use zeroize::Zeroizing;

/// Encrypts an opening, behind the digest of the result where there is one, under K and the object's key. Each such key
/// encrypts one message, so the nonce may be zero; what authenticates it is the commitments in the evidence files, so no
/// tag is kept.
pub(super) fn seal(k: &[u8; 32], id: RegistrationId, opening: &Opening, result: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(digest) = result {
        bytes.push(u8::try_from(digest.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(digest);
    }
    bytes.extend_from_slice(&opening.encode_without_key());
    apply_keystream(k, id, &opening.key, &mut bytes);
    bytes
}

/// Decrypts what was sealed for a tombstone of `method`: the opening, and the digest of the result. Where K, id or the
/// object's key is another, nothing comes out, or something that does not fit the commitments: the caller compares.
pub(crate) fn unseal(
    k: &[u8; 32],
    id: RegistrationId,
    object_key: &[u8],
    sealed: &[u8],
    method: Method,
) -> Option<(Opening, Option<Vec<u8>>)> {
    let mut bytes = sealed.to_vec();
    apply_keystream(k, id, object_key, &mut bytes);
    let mut reader = Reader(&bytes);
    let digest = match method {
        Method::Anonymised => Some(reader.bytes8()?.to_vec()),
        _ => None,
    };
    Some((Opening::decode_without_key(reader.0, object_key).ok()?, digest))
}

fn apply_keystream(k: &[u8; 32], id: RegistrationId, object_key: &[u8], bytes: &mut [u8]) {
    let key = Zeroizing::new(commitment::opening_key(k, &id, object_key));
    ChaCha20::new((&*key).into(), &[0; 12].into()).apply_keystream(bytes);
}
