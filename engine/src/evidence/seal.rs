//! Openings as the operator keeps them.

use crate::schema::Reader;
use sexton_proof::commitment::sealing::{Texts, sealing_key};
use sexton_proof::commitment::{Descriptor, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use zeroize::Zeroizing;

/// Adds what rebuilds `descriptor`, behind the digest of the result where there is one. `r` follows from K and is not
/// kept. What authenticates it is the commitments in the evidence files, so no tag is kept either.
pub(super) fn push(openings: &mut Texts, descriptor: &Descriptor<'_>, result: Option<&[u8]>) {
    openings.push(descriptor.id, descriptor.key, |out| {
        if let Some(digest) = result {
            out.push(u8::try_from(digest.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(digest);
        }
        descriptor.encode_rest_into(out);
    });
}

/// Seals them under the key that K gives.
pub(super) fn seal(openings: &mut Texts, k: &[u8; 32]) {
    openings.xor(&Zeroizing::new(sealing_key(k)));
}

/// Opens what was sealed for a tombstone of `method`: the opening, its `r` still zero, and the digest of the result.
/// Where K, id or the object's key is another, nothing comes out, or something that does not fit the commitments: the
/// caller compares.
pub(crate) fn unseal(
    k: &[u8; 32],
    id: RegistrationId,
    object_key: &[u8],
    sealed: &[u8],
    method: Method,
) -> Option<(Opening, Option<Vec<u8>>)> {
    let mut texts = Texts::default();
    texts.push(id, object_key, |out| out.extend_from_slice(sealed));
    seal(&mut texts, k);
    let mut reader = Reader(texts.bytes());
    let digest = match method {
        Method::Anonymised => Some(reader.bytes8()?.to_vec()),
        _ => None,
    };
    Some((Opening::decode_rest(reader.0, [0; 32], object_key).ok()?, digest))
}
