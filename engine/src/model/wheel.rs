//! Timing wheel: a ring of slots with an occupancy bitmap, and an overflow map for all other slots.
//!
//! The ring covers [`RING_SLOTS`] slots of `slot_ms` from the wheel's position on. The position and the beginnings of
//! the ring's slots are multiples of `slot_ms`. All other slots are in the ordered overflow map. They begin before the
//! position, beyond the ring, or between two multiples (retries, objects already overdue when they were registered).
//! Turning the wheel moves slots from the map into the ring.
//!
//! The wheel is a pure structure: the caller passes the time. The algorithm is that of Varghese and Lauck, *Hashed and
//! hierarchical timing wheels* (1987). The bitmap is that of tokio's timer.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Bound;

/// Number of slots in the ring. The whole life of an object of a built-in class fits in.
pub(crate) const RING_SLOTS: usize = 1024;
const WORDS: usize = RING_SLOTS / 64;

/// Timing wheel: the occupied slots, found in the order of their beginning. `T` is the content of a slot.
///
/// A slot is named by its beginning, Unix ms. All operations on a slot of the ring take constant time.
#[derive(Debug)]
pub struct Wheel<T> {
    slot_ms: u64,
    /// Number of the first slot that the ring covers: its beginning divided by `slot_ms`.
    position: u64,
    /// Empty while no slot of the ring is occupied. Most class versions have no objects.
    ring: Vec<Option<T>>,
    occupied: [u64; WORDS],
    overflow: BTreeMap<u64, T>,
}

impl<T> Wheel<T> {
    /// Creates an empty wheel of slots of `slot_ms` (at least 1) at `now_ms` (Unix ms).
    pub fn new(slot_ms: u64, now_ms: u64) -> Self {
        let slot_ms = slot_ms.max(1);
        Wheel {
            slot_ms,
            position: now_ms / slot_ms,
            ring: Vec::new(),
            occupied: [0; WORDS],
            overflow: BTreeMap::new(),
        }
    }

    /// Returns the index in the ring of the slot that begins at `slot`, if the ring covers it.
    fn ring_position(&self, slot: u64) -> Option<usize> {
        if !slot.is_multiple_of(self.slot_ms) {
            return None;
        }
        let ahead = (slot / self.slot_ms).checked_sub(self.position)?;
        (ahead < RING_SLOTS as u64).then(|| ring_index(slot / self.slot_ms))
    }

    /// Returns the content of the slot that begins at `slot`.
    pub fn get(&self, slot: u64) -> Option<&T> {
        match self.ring_position(slot) {
            Some(at) => self.ring.get(at)?.as_ref(),
            None => self.overflow.get(&slot),
        }
    }

    /// Returns the content of the slot that begins at `slot`, for changing it.
    pub fn get_mut(&mut self, slot: u64) -> Option<&mut T> {
        match self.ring_position(slot) {
            Some(at) => self.ring.get_mut(at)?.as_mut(),
            None => self.overflow.get_mut(&slot),
        }
    }

    /// Returns the content of the slot that begins at `slot`. If the slot is empty, `new` makes its content first.
    pub fn entry(&mut self, slot: u64, new: impl FnOnce() -> T) -> &mut T {
        match self.ring_position(slot) {
            Some(at) => self.occupy(at).get_or_insert_with(new),
            None => self.overflow.entry(slot).or_insert_with(new),
        }
    }

    /// Marks a position of the ring as occupied and returns its content, which the caller sets.
    fn occupy(&mut self, at: usize) -> &mut Option<T> {
        if self.ring.is_empty() {
            self.ring.resize_with(RING_SLOTS, || None);
        }
        self.occupied[at / 64] |= 1 << (at % 64);
        &mut self.ring[at]
    }

    /// Empties the slot that begins at `slot` and returns its content.
    pub fn remove(&mut self, slot: u64) -> Option<T> {
        match self.ring_position(slot) {
            Some(at) => {
                self.occupied[at / 64] &= !(1 << (at % 64));
                let content = self.ring.get_mut(at)?.take();
                if self.occupied == [0; WORDS] {
                    self.ring = Vec::new();
                }
                content
            }
            None => self.overflow.remove(&slot),
        }
    }

    /// Returns the beginning of the earliest occupied slot.
    pub fn first(&self) -> Option<u64> {
        let overflow = self.overflow.keys().next().copied();
        self.first_in_ring(self.position).into_iter().chain(overflow).min()
    }

    /// Returns the beginning of the earliest occupied slot that begins after `slot`.
    pub fn first_after(&self, slot: u64) -> Option<u64> {
        let next = (slot / self.slot_ms + 1).max(self.position);
        let overflow = self.overflow.range((Bound::Excluded(slot), Bound::Unbounded)).next();
        self.first_in_ring(next).into_iter().chain(overflow.map(|(slot, _)| *slot)).min()
    }

    /// Returns the beginning of the first occupied slot of the ring from number `from` on.
    fn first_in_ring(&self, from: u64) -> Option<u64> {
        let end = self.position + RING_SLOTS as u64;
        let mut number = from;
        while number < end {
            let at = ring_index(number);
            let bits = self.occupied[at / 64] >> (at % 64);
            if bits != 0 {
                // A bit beyond the end belongs to the first slots of the ring, which share a word with the last.
                let found = number + u64::from(bits.trailing_zeros());
                return (found < end).then_some(found * self.slot_ms);
            }
            number += 64 - at as u64 % 64;
        }
        None
    }

    /// Turns the wheel to `now_ms`, never back and never past an occupied slot of the ring. Slots of the overflow map that
    /// the ring now covers move into the ring.
    pub fn turn(&mut self, now_ms: u64) {
        let mut to = now_ms / self.slot_ms;
        if let Some(first) = self.first_in_ring(self.position) {
            to = to.min(first / self.slot_ms);
        }
        if to <= self.position {
            return;
        }
        self.position = to;
        let end = to.saturating_add(RING_SLOTS as u64).saturating_mul(self.slot_ms);
        let covered: Vec<u64> = self
            .overflow
            .range(to.saturating_mul(self.slot_ms)..end)
            .map(|(slot, _)| *slot)
            .filter(|slot| slot.is_multiple_of(self.slot_ms))
            .collect();
        for slot in covered {
            if let (Some(content), Some(at)) = (self.overflow.remove(&slot), self.ring_position(slot)) {
                *self.occupy(at) = Some(content);
            }
        }
    }

    /// Returns all occupied slots with their content, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let start = ring_index(self.position);
        let ring = self.ring.iter().enumerate().filter_map(move |(at, content)| {
            let ahead = (at + RING_SLOTS - start) % RING_SLOTS;
            content.as_ref().map(|c| ((self.position + ahead as u64) * self.slot_ms, c))
        });
        ring.chain(self.overflow.iter().map(|(slot, content)| (*slot, content)))
    }

    /// Returns the occupied slots that begin at or before `now_ms` with their content, earliest first.
    ///
    /// The iterator is lazy: the first slots cost the same, however many follow.
    pub fn due(&self, now_ms: u64) -> impl Iterator<Item = (u64, &T)> {
        let mut overflow = self.overflow.range(..=now_ms).map(|(slot, content)| (*slot, content)).peekable();
        let end = (now_ms / self.slot_ms + 1).min(self.position + RING_SLOTS as u64);
        let content = |n: u64| Some((n * self.slot_ms, self.ring.get(ring_index(n))?.as_ref()?));
        let mut ring = (self.position..end).filter_map(content).peekable();
        iter::from_fn(move || match (overflow.peek(), ring.peek()) {
            (Some((beyond, _)), Some((within, _))) if beyond > within => ring.next(),
            (Some(_), _) => overflow.next(),
            (None, _) => ring.next(),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below RING_SLOTS")]
fn ring_index(number: u64) -> usize {
    (number % RING_SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slots_come_in_order_of_their_beginning() {
        let mut wheel = Wheel::new(1000, 5_000);
        for slot in [5_000, 5_500, 2_000, 6_000, 5_000 + 1024 * 1000, 1_000_000_000] {
            wheel.entry(slot, || slot);
        }
        let mut seen = Vec::new();
        while let Some(first) = wheel.first() {
            assert_eq!(wheel.remove(first), Some(first));
            seen.push(first);
        }
        assert_eq!(seen, [2_000, 5_000, 5_500, 6_000, 1_029_000, 1_000_000_000]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u64),
        Take,
        Turn(u64),
        Drop(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Instants within several turns of a ring of 10 ms slots, some of them not aligned.
        prop_oneof![
            (0u64..60_000).prop_map(Step::Put),
            (0u64..6_000).prop_map(|n| Step::Put(n * 10)),
            Just(Step::Take),
            (0u64..60_000).prop_map(Step::Turn),
            (0u64..6_000).prop_map(|n| Step::Drop(n * 10)),
        ]
    }

    proptest! {
        #[test]
        fn wheel_is_an_ordered_map(start in 0u64..30_000, steps in proptest::collection::vec(step(), 1..400)) {
            let mut wheel = Wheel::new(10, start);
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Put(slot) => {
                        *wheel.entry(slot, || 0) += 1;
                        *model.entry(slot).or_insert(0) += 1;
                    }
                    Step::Take => {
                        let first = model.keys().next().copied();
                        prop_assert_eq!(wheel.first(), first);
                        if let Some(first) = first {
                            prop_assert_eq!(wheel.remove(first), model.remove(&first));
                        }
                    }
                    Step::Turn(now) => wheel.turn(now),
                    Step::Drop(slot) => prop_assert_eq!(wheel.remove(slot), model.remove(&slot)),
                }
                let mut all: Vec<(u64, i32)> = wheel.iter().map(|(s, c)| (s, *c)).collect();
                all.sort_unstable();
                let expected: Vec<(u64, i32)> = model.iter().map(|(s, c)| (*s, *c)).collect();
                prop_assert_eq!(all, expected);
                let due: Vec<u64> = model.range(..=20_000).map(|(s, _)| *s).collect();
                prop_assert_eq!(wheel.due(20_000).map(|(slot, _)| slot).collect::<Vec<_>>(), due);
                for slot in [0, 9_995, 10_000, 20_005, 40_000] {
                    let after = model.range(slot + 1..).next().map(|(slot, _)| *slot);
                    prop_assert_eq!(wheel.first_after(slot), after);
                }
            }
        }
    }
}
