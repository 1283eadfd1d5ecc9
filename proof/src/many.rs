//! BLAKE3 of many short messages at once.
//!
//! ```
//! use sexton_proof::many::{Messages, Mode};
//! let mut messages = Messages::default();
//! messages.push(|out| out.extend_from_slice(b"one"));
//! messages.push(|out| out.extend_from_slice(b"another"));
//! let hashes = messages.hash_each(Mode::Keyed(&[7; 32]));
//! let mut padded = [0; 64];
//! padded[..3].copy_from_slice(b"one");
//! assert_eq!(hashes[0], *blake3::keyed_hash(&[7; 32], &padded).as_bytes());
//! ```
//!
//! A message of at most 1 KiB is hashed block after block, each waiting for the one before it, so one alone leaves most
//! of a processor idle. Messages of the same length go side by side instead, one in each lane of its vectors (BLAKE3
//! paper §5.3): sixteen cost little more than one. They consist of whole blocks, padded with zeros by who writes them.
//!
//! The `blake3` crate has no public function for it; its own kernel is reached through `blake3::platform`, which is
//! hidden from the documentation, so the workspace takes patch releases of one minor version only. Whatever that kernel
//! does, the results are those of `blake3::Hasher`: the tests compare every length.

use blake3::hazmat::ContextKey;
use blake3::platform::Platform;
use blake3::{CHUNK_LEN, IncrementCounter};

/// Bytes of a block, of which every message has one or more.
pub const BLOCK_BYTES: usize = blake3::BLOCK_LEN;

const BLOCKS_MAX: usize = CHUNK_LEN / BLOCK_BYTES;
/// Messages handed to the kernel at a time: enough for the widest vectors, few enough to stay close.
const GROUP: usize = 64;

// Flags of the compression function (BLAKE3 paper, table 3).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;
const DERIVE_KEY_MATERIAL: u8 = 1 << 6;

/// Which of BLAKE3's functions.
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

    /// The hash of one message of any length.
    fn hash(self, message: &[u8]) -> [u8; 32] {
        use blake3::hazmat::HasherExt as _;
        let mut hasher = match self {
            Mode::Keyed(key) => blake3::Hasher::new_keyed(key),
            Mode::Derived(key) => blake3::Hasher::new_from_context_key(key),
        };
        *hasher.update(message).finalize().as_bytes()
    }
}

/// Messages of whole blocks, one after the other in one buffer.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// Adds what `write` appends, padded with zeros to whole blocks.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        write(&mut self.bytes);
        self.bytes.resize(begin + (self.bytes.len() - begin).next_multiple_of(BLOCK_BYTES), 0);
        self.ends.push(self.bytes.len());
    }

    /// Adds the last one `times` times more, each changed by `change`, which is told which of them it is, from 1.
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

    /// Lets go of all of them and keeps the room they had.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn get(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[at]]
    }

    /// The hash of each, in their order.
    #[must_use]
    pub fn hash_each(&self, mode: Mode<'_>) -> Vec<[u8; 32]> {
        let mut hashes = vec![[0; 32]; self.ends.len()];
        let mut of_length: [Vec<usize>; BLOCKS_MAX + 1] = Default::default();
        for (at, hash) in hashes.iter_mut().enumerate() {
            let message = self.get(at);
            match of_length.get_mut(message.len() / BLOCK_BYTES) {
                Some(places) if !message.is_empty() => places.push(at),
                // Longer than a chunk, where BLAKE3 has lanes of its own; or nothing at all.
                _ => *hash = mode.hash(message),
            }
        }
        for (blocks, places) in of_length.iter().enumerate().filter(|(_, places)| !places.is_empty()) {
            match blocks {
                1 => self.hash_some::<64>(mode, places, &mut hashes),
                2 => self.hash_some::<128>(mode, places, &mut hashes),
                3 => self.hash_some::<192>(mode, places, &mut hashes),
                4 => self.hash_some::<256>(mode, places, &mut hashes),
                5 => self.hash_some::<320>(mode, places, &mut hashes),
                6 => self.hash_some::<384>(mode, places, &mut hashes),
                7 => self.hash_some::<448>(mode, places, &mut hashes),
                8 => self.hash_some::<512>(mode, places, &mut hashes),
                _ => places.iter().for_each(|&at| hashes[at] = mode.hash(self.get(at))),
            }
        }
        hashes
    }

    /// Those of the messages at `places`, which have `N` bytes.
    fn hash_some<const N: usize>(&self, mode: Mode<'_>, places: &[usize], hashes: &mut [[u8; 32]]) {
        let platform = Platform::detect();
        let key = blake3::platform::words_from_le_bytes_32(mode.key());
        let mut out = [[0; 32]; GROUP];
        for group in places.chunks(GROUP) {
            let inputs: Vec<&[u8; N]> =
                group.iter().filter_map(|&at| self.get(at).first_chunk::<N>()).collect();
            platform.hash_many(
                &inputs,
                &key,
                0,
                IncrementCounter::No,
                mode.flags(),
                CHUNK_START,
                CHUNK_END | ROOT,
                out.as_flattened_mut(),
            );
            for (&at, hash) in group.iter().zip(&out) {
                hashes[at] = *hash;
            }
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
    fn messages_of_every_length_alone_and_in_groups_hash_as_one_by_one() {
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
    fn the_last_message_is_repeated_with_its_changes() {
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
