//! Objects to register, the same for everybody who is measured.

use crate::{CALL, CLASSES, KEY_BYTES, LEAD_MS, NAMES, OBJECT_BYTES, REGISTERED_MS, SLOT_MS, VERSION_BYTES};
use sexton::Registration;
use std::iter::StepBy;
use std::ops::Range;

/// Of so many objects one comes again, where keys come again.
const AGAIN: usize = 10;

/// Objects of four classes, the same number in every slot.
pub struct Workload {
    /// Objects that fall due in one slot of a class.
    pub per_slot: usize,
    pub(crate) calls: usize,
    /// Whether each call's objects are spread over all slots of its class, and not the next ones in order.
    spread: bool,
    /// Key, version and digest of each object, one after the other.
    bytes: Vec<u8>,
}

impl Workload {
    /// `objects` of them, rounded up to whole calls for every class, registered in the order of their slots.
    pub fn new(objects: usize, per_slot: usize) -> Self {
        let calls = objects.div_ceil(CALL * CLASSES) * CLASSES;
        let mut bytes = Vec::with_capacity(calls * CALL * OBJECT_BYTES);
        for object in 0..calls * CALL {
            bytes.extend_from_slice(&object_bytes(object as u64));
        }
        Workload { per_slot, calls, spread: false, bytes }
    }

    /// The same with the objects of each call spread over all slots of its class.
    #[must_use]
    pub fn spread(self) -> Self {
        Workload { spread: true, ..self }
    }

    /// The same as [`Workload::new`], but one of ten has the key of an earlier one, with a version of its own.
    pub fn again(objects: usize, per_slot: usize) -> Self {
        let mut work = Workload::new(objects, per_slot);
        let of_class = work.len() / CLASSES;
        for class in 0..CLASSES {
            // Far enough behind that no two calls under way have a key in common.
            for place in (8 * CALL..of_class).filter(|place| place % AGAIN == 0) {
                let (from, to) = (work.at(class, place / 2), work.at(class, place));
                work.bytes.copy_within(from..from + KEY_BYTES, to);
            }
        }
        work
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.calls * CALL
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Calls in which they are registered.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Slots of each class.
    pub fn slots(&self) -> usize {
        (self.len() / CLASSES).div_ceil(self.per_slot)
    }

    /// The class of a call, and the places within the class of the objects it registers.
    pub(crate) fn call(&self, call: usize) -> (usize, StepBy<Range<usize>>) {
        let (number, of_class) = (call / CLASSES, self.calls / CLASSES);
        let places = match self.spread {
            false => (number * CALL..(number + 1) * CALL).step_by(1),
            true => (number..of_class * CALL).step_by(of_class),
        };
        (call % CLASSES, places)
    }

    fn at(&self, class: usize, place: usize) -> usize {
        (class * self.len() / CLASSES + place) * OBJECT_BYTES
    }

    pub(crate) fn object(&self, class: usize, place: usize) -> &[u8] {
        let at = self.at(class, place);
        &self.bytes[at..at + OBJECT_BYTES]
    }

    /// The key of an object, and what belongs to it.
    pub(crate) fn key(&self, class: usize, place: usize) -> (&[u8], &[u8]) {
        self.object(class, place).split_at(KEY_BYTES)
    }

    pub(crate) fn start_ms(&self, place: usize) -> i64 {
        // Somewhere within the slot before, so that the object falls into its own.
        let slot = i64::try_from(place / self.per_slot).unwrap_or(i64::MAX);
        let within = i64::try_from(place).unwrap_or(0) * 7_919 % SLOT_MS;
        REGISTERED_MS + SLOT_MS + LEAD_MS + slot * SLOT_MS - within
    }

    /// What a call registers.
    pub fn registrations(&self, call: usize) -> Vec<Registration<'_>> {
        let (class, places) = self.call(call);
        let registration = |place| registration(class, self.object(class, place), self.start_ms(place));
        places.map(registration).collect()
    }
}

/// The registration of one object.
pub(crate) fn registration(class: usize, object: &[u8], start_ms: i64) -> Registration<'_> {
    let (key, rest) = object.split_at(KEY_BYTES);
    let (version, digest) = rest.split_at(VERSION_BYTES);
    let start_ms = Some(start_ms);
    Registration { version, digest, start_ms, size_bytes: 600, ..Registration::new(NAMES[class], key) }
}

/// Key, version and digest of the object with this number: a bucket, then bytes that do not compress, the same in every
/// run.
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
        bytes.copy_from_slice(&scattered(word).to_be_bytes()[..bytes.len()]);
    }
    object
}

/// SplitMix64: another number for each number, as good as random.
pub(crate) fn scattered(number: u64) -> u64 {
    let mut n = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn places(work: &Workload, class: usize) -> Vec<usize> {
        (0..work.calls()).map(|c| work.call(c)).filter(|c| c.0 == class).flat_map(|c| c.1).collect()
    }

    #[test]
    fn every_place_is_registered_once_also_where_calls_are_spread() {
        for work in [
            Workload::new(20_000, 10),
            Workload::new(20_000, 10).spread(),
            Workload::new(20_000, 715).spread(),
        ] {
            let mut all = places(&work, 1);
            all.sort_unstable();
            assert_eq!(all, (0..work.len() / CLASSES).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_spread_call_reaches_every_slot() {
        let work = Workload::new(20_000, 10).spread();
        assert_eq!(work.slots(), 500);
        let slots: HashSet<usize> = work.call(0).1.map(|place| place / work.per_slot).collect();
        assert_eq!(slots.len(), 500);
    }

    #[test]
    fn keys_differ_but_where_they_come_again() {
        let distinct = |work: &Workload| {
            let objects = (0..work.len() / CLASSES).map(|place| work.key(2, place).0.to_vec());
            objects.collect::<HashSet<_>>().len()
        };
        assert_eq!(distinct(&Workload::new(80_000, 10)), 20_000);
        assert_eq!(distinct(&Workload::again(80_000, 10)), 20_000 - 1_200);
    }
}
