//! Sealing of the openings that the operator keeps.

use sexton_proof::commitment::sealing::{Texts, sealing_key};
use sexton_proof::commitment::{Descriptor, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use zeroize::Zeroizing;

/// Adds the opening of `descriptor`. Behind it comes the digest of the result, if there is one, with its length last.
///
/// `r` follows from the key K and is not stored. The commitments in the evidence files authenticate the opening, so no tag
/// is stored either.
///
/// A batch that was handed out again is sealed again, maybe with another result. Up to the result both texts are the same,
/// so the two together reveal nothing of it.
pub(super) fn push(openings: &mut Texts, descriptor: &Descriptor<'_>, result: Option<&[u8]>) {
    openings.push(descriptor.id, descriptor.key, |out| {
        descriptor.encode_rest_into(out);
        if let Some(digest) = result {
            out.extend_from_slice(digest);
            out.push(u8::try_from(digest.len()).unwrap_or(u8::MAX));
        }
    });
}

/// Seals the openings under the key derived from K.
pub(super) fn seal(openings: &mut Texts, k: &[u8; 32]) {
    openings.xor(&Zeroizing::new(sealing_key(k)));
}

/// Opens the sealed opening of a tombstone of `method`. Returns the opening, with `r` still zero, and the digest of the
/// result if there is one.
///
/// With the wrong K, id or object key it returns `None`, or an opening that does not fit the commitment. The caller compares
/// both.
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
