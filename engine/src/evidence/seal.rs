//! Openings as the operator keeps them.

use crate::schema::Reader;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sexton_proof::commitment::{self, Descriptor, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use zeroize::Zeroizing;

/// Openings one after the other, and where each ends.
#[derive(Default)]
pub(super) struct Sealed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Sealed {
    /// Encrypts an opening, behind the digest of the result where there is one, under K and the object's key. Each such
    /// key encrypts one message, so the nonce may be zero; what authenticates it is the commitments in the evidence
    /// files, so no tag is kept.
    pub(super) fn push(
        &mut self,
        k: &[u8; 32],
        r: &[u8; 32],
        descriptor: &Descriptor<'_>,
        result: Option<&[u8]>,
    ) {
        let begin = self.bytes.len();
        if let Some(digest) = result {
            self.bytes.push(u8::try_from(digest.len()).unwrap_or(u8::MAX));
            self.bytes.extend_from_slice(digest);
        }
        descriptor.encode_opening_into(r, &mut self.bytes);
        apply_keystream(k, descriptor.id, descriptor.key, &mut self.bytes[begin..]);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }
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
    let mut cipher = ChaCha20::new((&*key).into(), &[0; 12].into());
    // Four blocks at once cost less than two one after the other, so a short message is made as long as four.
    let mut whole = [0; 256];
    match whole.get_mut(..bytes.len()) {
        Some(part) => {
            part.copy_from_slice(bytes);
            cipher.apply_keystream(&mut whole);
            bytes.copy_from_slice(&whole[..bytes.len()]);
        }
        None => cipher.apply_keystream(bytes),
    }
}
