//! Workload: the objects to register, identical for every contestant and in every run.

use crate::{
    CALL, CLASS_NAMES, CLASSES, KEY_BYTES, LEAD, OBJECT_BYTES, REGISTERED, SLOT, VERSION_BYTES, slot_start,
};
use sexton::Registration;
use sexton_proof::record::{FileKind, Header, Method, Reason, Tombstone};
use sexton_proof::time::{Timestamp, whole_ms};
use std::iter::StepBy;
use std::ops::Range;
use std::time::Duration;

/// Interval of objects with a repeated key, in a workload that has them.
const REPEAT_EVERY: usize = 10;

/// Objects of four classes, equally many in every slot.
pub struct Workload {
    /// Number of objects per slot of a class.
    pub per_slot: usize,
    pub(crate) calls: usize,
    /// `true` if the objects of a call are spread over all slots of the class, `false` if they are consecutive.
    spread: bool,
    /// Key, version and digest of each object, concatenated.
    bytes: Vec<u8>,
}

impl Workload {
    /// Creates `objects` objects, rounded up to whole calls for every class. They are registered in the order of their
    /// slots.
    pub fn new(objects: usize, per_slot: usize) -> Self {
        let calls = objects.div_ceil(CALL * CLASSES) * CLASSES;
        let mut bytes = Vec::with_capacity(calls * CALL * OBJECT_BYTES);
        for object in 0..calls * CALL {
            bytes.extend_from_slice(&object_bytes(object as u64));
        }
        Workload { per_slot, calls, spread: false, bytes }
    }

    /// Spreads the objects of each call over all slots of its class.
    #[must_use]
    pub fn spread(self) -> Self {
        Workload { spread: true, ..self }
    }

    /// Creates a workload as [`Workload::new`] does, in which every tenth object has the key of an earlier object. Its
    /// version differs.
    pub fn with_repeated_keys(objects: usize, per_slot: usize) -> Self {
        let mut work = Workload::new(objects, per_slot);
        let of_class = work.len() / CLASSES;
        for class in 0..CLASSES {
            // The earlier object lies at least four calls back, so that no two concurrent calls share a key.
            for index in (8 * CALL..of_class).filter(|index| index % REPEAT_EVERY == 0) {
                let (from, to) = (work.offset(class, index / 2), work.offset(class, index));
                work.bytes.copy_within(from..from + KEY_BYTES, to);
            }
        }
        work
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.calls * CALL
    }

    /// Returns `true` if the workload has no objects.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Number of registration calls.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Number of slots of each class.
    pub fn slots(&self) -> usize {
        (self.len() / CLASSES).div_ceil(self.per_slot)
    }

    /// Class of a call, and indexes within the class of the objects that the call registers.
    pub(crate) fn call(&self, call: usize) -> (usize, StepBy<Range<usize>>) {
        let (number, of_class) = (call / CLASSES, self.calls / CLASSES);
        let indexes = match self.spread {
            false => (number * CALL..(number + 1) * CALL).step_by(1),
            true => (number..of_class * CALL).step_by(of_class),
        };
        (call % CLASSES, indexes)
    }

    fn offset(&self, class: usize, index: usize) -> usize {
        (class * self.len() / CLASSES + index) * OBJECT_BYTES
    }

    pub(crate) fn object(&self, class: usize, index: usize) -> &[u8] {
        let offset = self.offset(class, index);
        &self.bytes[offset..offset + OBJECT_BYTES]
    }

    /// Key of an object, and its version and digest.
    pub(crate) fn key(&self, class: usize, index: usize) -> (&[u8], &[u8]) {
        self.object(class, index).split_at(KEY_BYTES)
    }

    pub(crate) fn start(&self, index: usize) -> Timestamp {
        // The engine rounds a due instant up to the beginning of a slot. This start puts it within the slot before.
        let before = Duration::from_millis(index as u64 * 7_919 % whole_ms(SLOT));
        REGISTERED.saturating_add(slot_start(index / self.per_slot + 1) + LEAD - before)
    }

    /// Registrations of a call.
    pub fn registrations(&self, call: usize) -> Vec<Registration<'_>> {
        let (class, indexes) = self.call(call);
        let registration = |index| registration(class, self.object(class, index), self.start(index));
        indexes.map(registration).collect()
    }
}

/// Bytes of the objects of a call, by the number of the call.
pub(crate) fn call_bytes(call: u64) -> Vec<u8> {
    let first = call * CALL as u64;
    (first..first + CALL as u64).flat_map(object_bytes).collect()
}

/// Registrations of concatenated objects of one class. `start` maps the index of an object to its start.
pub(crate) fn registrations(
    class: usize,
    objects: &[u8],
    start: impl Fn(u64) -> Timestamp,
) -> Vec<Registration<'_>> {
    let objects = objects.chunks_exact(OBJECT_BYTES).zip(0..);
    objects.map(|(object, index)| registration(class, object, start(index))).collect()
}

fn registration(class: usize, object: &[u8], start: Timestamp) -> Registration<'_> {
    let (key, rest) = object.split_at(KEY_BYTES);
    let (version, digest) = rest.split_at(VERSION_BYTES);
    Registration::new(CLASS_NAMES[class], key).version(version).digest(digest).start(start).size(600)
}

/// Key, version and digest of the object with this number: the name of a bucket, then incompressible bytes.
pub(crate) fn object_bytes(number: u64) -> [u8; OBJECT_BYTES] {
    let mut object = [0; OBJECT_BYTES];
    object[..7].copy_from_slice(b"bucket-");
    let mut bucket = number % 997;
    for digit in object[7..11].iter_mut().rev() {
        *digit = b'0' + u8::try_from(bucket % 10).unwrap_or(0);
        bucket /= 10;
    }
    object[11] = b'/';
    for (word, bytes) in (number * 8..).zip(object[12..].chunks_mut(8)) {
        bytes.copy_from_slice(&split_mix(word).to_be_bytes()[..bytes.len()]);
    }
    object
}

/// File of `n` tombstones, in the format in which a batch writes it.
pub fn tombstone_file(n: u32) -> Vec<u8> {
    let mut file = Header { kind: FileKind::Tombstones, batch: 1, n }.to_bytes().to_vec();
    for seq in 0..n {
        let commitment = *blake3::hash(&seq.to_be_bytes()).as_bytes();
        let time = REGISTERED.saturating_add(Duration::from_millis(seq.into()));
        let (reason, method) = (Reason::Due, Method::Deleted);
        let tombstone = Tombstone { page: 0, seq, commitment, time, reason, method, in_bounds: true };
        file.extend_from_slice(&tombstone.to_bytes());
    }
    file
}

/// Pseudo-random value at position `number` of the SplitMix64 sequence. Different numbers give different values.
pub(crate) fn split_mix(number: u64) -> u64 {
    let mut n = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn indexes(work: &Workload, class: usize) -> Vec<usize> {
        (0..work.calls()).map(|c| work.call(c)).filter(|c| c.0 == class).flat_map(|c| c.1).collect()
    }

    #[test]
    fn every_object_registered_once_with_and_without_spread() {
        for work in [
            Workload::new(20_000, 10),
            Workload::new(20_000, 10).spread(),
            Workload::new(20_000, 715).spread(),
        ] {
            let mut all = indexes(&work, 1);
            all.sort_unstable();
            assert_eq!(all, (0..work.len() / CLASSES).collect::<Vec<_>>());
        }
    }

    #[test]
    fn spread_call_reaches_every_slot() {
        let work = Workload::new(20_000, 10).spread();
        assert_eq!(work.slots(), 500);
        let slots: HashSet<usize> = work.call(0).1.map(|index| index / work.per_slot).collect();
        assert_eq!(slots.len(), 500);
    }

    #[test]
    fn keys_differ_unless_repeated() {
        let distinct = |work: &Workload| {
            let objects = (0..work.len() / CLASSES).map(|index| work.key(2, index).0.to_vec());
            objects.collect::<HashSet<_>>().len()
        };
        assert_eq!(distinct(&Workload::new(80_000, 10)), 20_000);
        assert_eq!(distinct(&Workload::with_repeated_keys(80_000, 10)), 20_000 - 1_200);
    }
}
