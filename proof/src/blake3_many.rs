//! BLAKE3 of many short messages in parallel vector lanes.
//!
//! ```
//! use sexton_proof::blake3_many::{Messages, Mode};
//! let mut messages = Messages::default();
//! messages.push(|out| out.extend_from_slice(b"one"));
//! messages.push(|out| out.extend_from_slice(b"another"));
//! let hashes = messages.hash_each(Mode::Keyed(&[7; 32]));
//! let mut padded = [0; 64];
//! padded[..3].copy_from_slice(b"one");
//! assert_eq!(hashes[0], *blake3::keyed_hash(&[7; 32], &padded).as_bytes());
//! ```
//!
//! A message of at most 1 KiB is hashed block after block, each depending on the previous one. A single message
//! therefore leaves most of a processor idle. This module puts messages of equal length side by side, each in a lane of
//! the vectors (BLAKE3 paper §5.3). Sixteen messages then cost little more than one. Messages consist of whole blocks;
//! [`Messages::push`] pads them with zeros.
//!
//! The `blake3` crate has no public function for this. Its kernel is reached through `blake3::platform`, which the
//! crate hides from its documentation. The workspace therefore takes only patch releases of one minor version. The
//! tests compare the result with `blake3::Hasher` for every length.

use blake3::IncrementCounter;
use blake3::hazmat::ContextKey;
use blake3::platform::{Platform, words_from_le_bytes_32};
use std::collections::BTreeMap;

/// Bytes of a block. A message consists of whole blocks.
pub const BLOCK_BYTES: usize = blake3::BLOCK_LEN;

// Flags of the compression function (BLAKE3 paper, table 3).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;
const DERIVE_KEY_MATERIAL: u8 = 1 << 6;

/// Function of BLAKE3 that hashes the messages.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// `keyed_hash` under this key.
    Keyed(&'a [u8; 32]),
    /// `derive_key` in this context.
    Derived(&'a ContextKey),
}

impl Mode<'_> {
    fn key(&self) -> &[u8; 32] {
        match self {
            Mode::Keyed(key) | Mode::Derived(key) => key,
        }
    }

    fn flags(self) -> u8 {
        match self {
            Mode::Keyed(_) => KEYED_HASH,
            Mode::Derived(_) => DERIVE_KEY_MATERIAL,
        }
    }

    /// Hashes messages of `length` bytes each.
    fn hash_same<'m>(self, length: usize, messages: impl Iterator<Item = &'m [u8]>, hashes: &mut [[u8; 32]]) {
        match length {
            64 => self.side_by_side::<64>(messages, hashes),
            128 => self.side_by_side::<128>(messages, hashes),
            192 => self.side_by_side::<192>(messages, hashes),
            256 => self.side_by_side::<256>(messages, hashes),
            320 => self.side_by_side::<320>(messages, hashes),
            384 => self.side_by_side::<384>(messages, hashes),
            448 => self.side_by_side::<448>(messages, hashes),
            512 => self.side_by_side::<512>(messages, hashes),
            // Keys of hundreds of bytes. `blake3::Hasher` uses vector lanes itself if a message exceeds a chunk.
            _ => messages.zip(hashes).for_each(|(message, hash)| *hash = self.hash(message)),
        }
    }

    /// Hashes messages of `N` bytes each: whole blocks, at most [`blake3::CHUNK_LEN`].
    fn side_by_side<'m, const N: usize>(
        self,
        messages: impl Iterator<Item = &'m [u8]>,
        hashes: &mut [[u8; 32]],
    ) {
        let messages: Vec<&[u8; N]> = messages.filter_map(|message| message.first_chunk()).collect();
        Platform::detect().hash_many(
            &messages,
            &words_from_le_bytes_32(self.key()),
            0,
            IncrementCounter::No,
            self.flags(),
            CHUNK_START,
            CHUNK_END | ROOT,
            hashes.as_flattened_mut(),
        );
    }

    /// Returns the hash of one message of any length.
    fn hash(self, message: &[u8]) -> [u8; 32] {
        use blake3::hazmat::HasherExt as _;
        let mut hasher = match self {
            Mode::Keyed(key) => blake3::Hasher::new_keyed(key),
            Mode::Derived(key) => blake3::Hasher::new_from_context_key(key),
        };
        *hasher.update(message).finalize().as_bytes()
    }
}

/// Messages of whole blocks, stored one after the other in one buffer.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// Adds the message that `write` appends, padded with zeros to whole blocks.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        write(&mut self.bytes);
        self.bytes.resize(begin + (self.bytes.len() - begin).next_multiple_of(BLOCK_BYTES), 0);
        self.ends.push(self.bytes.len());
    }

    /// Adds `times` copies of the last message. `change` edits each copy; it gets the number of the copy, from 1.
    ///
    /// Without a message it is a no-op.
    pub fn repeat_last(&mut self, times: u32, change: impl Fn(&mut [u8], u32)) {
        let Some(end) = self.ends.last().copied() else { return };
        let begin = self.ends.iter().rev().nth(1).copied().unwrap_or(0);
        for time in 1..=times {
            let copy = self.bytes.len();
            self.bytes.extend_from_within(begin..end);
            change(&mut self.bytes[copy..], time);
            self.ends.push(self.bytes.len());
        }
    }

    /// Removes all messages and keeps the allocated memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Reserves memory for `messages` more messages of `bytes` bytes together.
    pub fn reserve(&mut self, messages: usize, bytes: usize) {
        self.ends.reserve(messages);
        self.bytes.reserve(bytes);
    }

    fn get(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[at]]
    }

    /// Returns the hash of each message, in order.
    #[must_use]
    pub fn hash_each(&self, mode: Mode<'_>) -> Vec<[u8; 32]> {
        let mut hashes = vec![[0; 32]; self.ends.len()];
        match self.ends.first() {
            Some(&length) if (1..).zip(&self.ends).all(|(n, end)| *end == n * length) && length > 0 => {
                mode.hash_same(length, self.bytes.chunks(length), &mut hashes);
            }
            _ => self.hash_by_length(mode, &mut hashes),
        }
        hashes
    }

    /// Hashes messages of different lengths, in groups of equal length.
    fn hash_by_length(&self, mode: Mode<'_>, hashes: &mut [[u8; 32]]) {
        let mut of_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.ends.len() {
            of_length.entry(self.get(at).len()).or_default().push(at);
        }
        for (length, indexes) in of_length {
            let mut found = vec![[0; 32]; indexes.len()];
            mode.hash_same(length, indexes.iter().map(|&at| self.get(at)), &mut found);
            indexes.iter().zip(found).for_each(|(&at, hash)| hashes[at] = hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::hash_derive_key_context;
    use proptest::prelude::*;

    fn one_by_one(mode: Mode<'_>, messages: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let padded = |message: &Vec<u8>| {
            let mut bytes = message.clone();
            bytes.resize(message.len().next_multiple_of(64), 0);
            bytes
        };
        messages.iter().map(|message| mode.hash(&padded(message))).collect()
    }

    fn at_once(mode: Mode<'_>, messages: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let mut all = Messages::default();
        all.push(|out| out.extend_from_slice(b"cleared"));
        all.clear();
        messages.iter().for_each(|message| all.push(|out| out.extend_from_slice(message)));
        all.hash_each(mode)
    }

    #[test]
    fn messages_of_every_length_hash_as_one_by_one() {
        let context = hash_derive_key_context("a context");
        for mode in [Mode::Keyed(&[7; 32]), Mode::Derived(&context)] {
            for length in (0..1_100).chain([2_048, 5_000]) {
                for number in [1, 2, 15, 16, 17, 65] {
                    let message =
                        |n: usize| (0..length).map(|at| u8::try_from((at * 31 + n) % 256).unwrap()).collect();
                    let messages: Vec<Vec<u8>> = (0..number).map(message).collect();
                    assert_eq!(at_once(mode, &messages), one_by_one(mode, &messages), "{number} of {length}");
                    if length % 16 != 0 {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn last_message_is_repeated_with_its_changes() {
        let mut all = Messages::default();
        all.repeat_last(3, |_, _| ());
        all.push(|out| out.extend_from_slice(&[7; 70]));
        all.push(|out| out.extend_from_slice(&[1, 2, 3]));
        all.repeat_last(2, |bytes, time| bytes[1] = if time == 1 { 50 } else { 100 });
        let expected = [vec![7; 70], vec![1, 2, 3], vec![1, 50, 3], vec![1, 100, 3]];
        let mode = Mode::Keyed(&[7; 32]);
        assert_eq!(all.hash_each(mode), one_by_one(mode, &expected));
    }

    proptest! {
        #[test]
        fn messages_of_mixed_lengths_hash_as_one_by_one(
            key: [u8; 32],
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..150),
        ) {
            let context = hash_derive_key_context("another context");
            for mode in [Mode::Keyed(&key), Mode::Derived(&context)] {
                prop_assert_eq!(at_once(mode, &messages), one_by_one(mode, &messages));
            }
        }
    }
}
