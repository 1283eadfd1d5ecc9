//! Openings as the operator keeps them.

use sexton_proof::commitment::sealing::{Texts, sealing_key};
use sexton_proof::commitment::{Descriptor, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use zeroize::Zeroizing;

/// Adds what rebuilds `descriptor`, and behind it the digest of the result where there is one, its length last. `r` follows
/// from K and is not kept. What authenticates it is the commitments in the evidence files, so no tag is kept either.
///
/// A batch that was handed out again is sealed again, maybe with another result: what comes before that is the same in
/// both, so that the two together tell nothing of it.
pub(super) fn push(openings: &mut Texts, descriptor: &Descriptor<'_>, result: Option<&[u8]>) {
    openings.push(descriptor.id, descriptor.key, |out| {
        descriptor.encode_rest_into(out);
        if let Some(digest) = result {
            out.extend_from_slice(digest);
            out.push(u8::try_from(digest.len()).unwrap_or(u8::MAX));
        }
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
    let (rest, digest) = match method {
        Method::Anonymised => {
            let (length, before) = texts.bytes().split_last()?;
            let (rest, digest) = before.split_at_checked(before.len().checked_sub(usize::from(*length))?)?;
            (rest, Some(digest.to_vec()))
        }
        _ => (texts.bytes(), None),
    };
    Some((Opening::decode_rest(rest, [0; 32], object_key).ok()?, digest))
}
