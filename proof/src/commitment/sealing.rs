//! Sealed openings, as an operator keeps them (`docs/format.md` §6).
//!
//! Unsealing takes both `k` and the object's key.

use super::fields::put_bytes16;
use crate::blake3_many::{BLOCK_BYTES, Messages, Mode};
use crate::id::RegistrationId;

/// Key derivation context of the key that seals openings.
pub const OPENING_CONTEXT: &str = "sexton v1 opening";

/// Bytes of keystream per hash.
const PART_BYTES: usize = 32;

/// Returns the key that seals the openings of a class and month whose random key is `k`.
#[must_use]
pub fn sealing_key(k: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(OPENING_CONTEXT, k)
}

/// Texts under one sealing key, stored one after the other.
///
/// ```
/// # use sexton_proof::commitment::sealing::Texts;
/// # use sexton_proof::id::RegistrationId;
/// let (id, key) = (RegistrationId::from_bytes(&[1; 20]), b"uploads/4711");
/// let xored = |text: &[u8]| {
///     let mut texts = Texts::default();
///     texts.push(id, key, |out| out.extend_from_slice(text));
///     texts.xor(&[7; 32]);
///     texts.bytes().to_vec()
/// };
/// let sealed = xored(b"opening");
/// assert_ne!(sealed, b"opening");
/// assert_eq!(xored(&sealed), b"opening");
/// ```
#[derive(Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Inputs of the hashes that make up the keystream, one per [`PART_BYTES`] of text.
    messages: Messages,
}

impl Texts {
    /// Reserves memory for `texts` more texts.
    pub fn reserve(&mut self, texts: usize) {
        self.ends.reserve(texts);
        self.bytes.reserve(texts * 3 * PART_BYTES);
        self.messages.reserve(3 * texts, 3 * texts * BLOCK_BYTES);
    }

    /// Adds the text that `write` appends, for the registration `id` of the object with this `key`.
    ///
    /// A pair of id and key has one keystream. Two different texts sealed under the same pair reveal their XOR to
    /// a reader of both.
    pub fn push(&mut self, id: RegistrationId, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        write(&mut self.bytes);
        let parts = self.bytes.len().saturating_sub(begin).div_ceil(PART_BYTES);
        if let Some(more) = parts.checked_sub(1) {
            self.messages.push(|out| {
                out.extend_from_slice(&id.to_bytes());
                out.extend_from_slice(&0_u32.to_be_bytes());
                put_bytes16(out, key);
            });
            let numbered =
                |message: &mut [u8], part: u32| message[20..24].copy_from_slice(&part.to_be_bytes());
            self.messages.repeat_last(u32::try_from(more).unwrap_or(u32::MAX), numbered);
        }
        self.ends.push(self.bytes.len());
    }

    /// XORs all texts with their keystreams. Plain texts become sealed, sealed texts become plain.
    pub fn xor(&mut self, sealing_key: &[u8; 32]) {
        let mut keystream = self.messages.hash_each(Mode::Keyed(sealing_key)).into_iter();
        let mut left = self.bytes.as_mut_slice();
        for length in lengths(&self.ends) {
            let (text, rest) = std::mem::take(&mut left).split_at_mut(length);
            for (part, stream) in text.chunks_mut(PART_BYTES).zip(&mut keystream) {
                part.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
            }
            left = rest;
        }
    }

    /// Returns the bytes of all texts.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes of all texts, and drops the keystream inputs.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the length of each text in bytes.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        lengths(&self.ends)
    }
}

fn lengths(ends: &[usize]) -> impl Iterator<Item = usize> {
    let begins = std::iter::once(0).chain(ends.iter().copied());
    ends.iter().zip(begins).map(|(end, begin)| end - begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seals a text as `docs/format.md` §6 states, part by part.
    fn naive(k: &[u8; 32], id: RegistrationId, key: &[u8], text: &[u8]) -> Vec<u8> {
        let sealing_key = blake3::derive_key("sexton v1 opening", k);
        let mut out = text.to_vec();
        for (part, bytes) in out.chunks_mut(32).enumerate() {
            let mut message = id.to_bytes().to_vec();
            message.extend_from_slice(&u32::try_from(part).unwrap().to_be_bytes());
            message.extend_from_slice(&u16::try_from(key.len()).unwrap().to_be_bytes());
            message.extend_from_slice(key);
            message.resize(message.len().next_multiple_of(64), 0);
            let stream = blake3::keyed_hash(&sealing_key, &message);
            bytes.iter_mut().zip(stream.as_bytes()).for_each(|(byte, key)| *byte ^= key);
        }
        out
    }

    proptest! {
        #[test]
        fn texts_are_sealed_as_by_a_naive_reference(
            k: [u8; 32],
            texts in proptest::collection::vec(
                (any::<[u8; 20]>(), proptest::collection::vec(any::<u8>(), 1..90),
                 proptest::collection::vec(any::<u8>(), 0..230)), 0..40),
        ) {
            let mut all = Texts::default();
            for (id, key, text) in &texts {
                all.push(RegistrationId::from_bytes(id), key, |out| out.extend_from_slice(text));
            }
            all.xor(&sealing_key(&k));
            let expected: Vec<Vec<u8>> =
                texts.iter().map(|(id, key, text)| naive(&k, RegistrationId::from_bytes(id), key, text)).collect();
            prop_assert_eq!(all.bytes(), expected.concat());
            prop_assert!(all.lengths().eq(expected.iter().map(Vec::len)));
            all.xor(&sealing_key(&k));
            let texts: Vec<&[u8]> = texts.iter().map(|(_, _, text)| &text[..]).collect();
            prop_assert_eq!(all.bytes(), texts.concat());
        }
    }
}
