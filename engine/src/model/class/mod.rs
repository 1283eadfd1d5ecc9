//! Retention classes: class files and their checks, and the computation of an object's bounds and slot. Pure.

mod checks;
mod definition;
mod file;

pub use self::checks::SLOT_MIN_MS;
pub(crate) use self::definition::LocalTerms;
pub use self::definition::{Definition, Find};
pub use self::file::ClassSet;

use crate::platform::error::{Error, Result};
use sexton_proof::id::{ClassId, NO_FLOOR};
use sexton_proof::leaf::{ClassLeaf, StartRule};
use sexton_proof::record::Cause;
use sexton_proof::window::{Bounds, Window};

/// Earliest start that is accepted, Unix ms: 1990-01-01. An earlier one comes from a clock never set or a field left empty.
pub const START_MIN_MS: i64 = 631_152_000_000;
/// Longest time from now to a start, ms: ten years. A later start has a mistaken unit, and its object would never be deleted.
pub const START_AHEAD_MAX_MS: i64 = 10 * 366 * 86_400_000;

/// Class version in use: its definition with its number, its leaf and its compiled window.
#[derive(Debug)]
pub(crate) struct Class {
    /// Number of this class version in the engine.
    pub(crate) id: ClassId,
    /// Version among the classes of this name, from 1.
    pub(crate) version: u32,
    /// Promise and local terms.
    pub(crate) definition: Definition,
    /// RFC 6962 hash of the leaf that defined it.
    pub(crate) leaf_hash: [u8; 32],
    /// Index of that leaf in the log.
    pub(crate) leaf_index: u64,
    /// Bytes of that leaf.
    pub(crate) leaf: Vec<u8>,
    window: Window,
}

impl Class {
    /// Builds a class version from its leaf and its local terms. `Corrupt` if its window cannot be compiled.
    pub(crate) fn new(
        leaf: &ClassLeaf,
        leaf_index: u64,
        leaf_bytes: Vec<u8>,
        local: LocalTerms,
    ) -> Result<Self> {
        let window = Window::new(leaf.keep, leaf.within, &leaf.zone, &leaf.calendar)
            .map_err(|e| Error::corrupt(format!("the stored class \"{}\" cannot be used: {e}", leaf.name)))?;
        let definition = Definition::from_leaf(leaf, local);
        let leaf_hash = sexton_proof::merkle::leaf_hash(&leaf_bytes);
        Ok(Class {
            id: leaf.id,
            version: leaf.version,
            definition,
            leaf_hash,
            leaf_index,
            leaf: leaf_bytes,
            window,
        })
    }

    /// Returns `true` if live objects of the class are found by their key.
    pub(crate) fn finds_by_key(&self) -> bool {
        self.definition.find == Find::Key
    }

    /// Returns the start of an object registered at `now_ms`, Unix ms: the given one, or the one of the class's rule.
    ///
    /// The rule gives now, or now + `max_open` for an object whose start is still unknown.
    pub(crate) fn start_ms(&self, given_ms: Option<i64>, now_ms: i64) -> Result<i64> {
        let start_ms = match (given_ms, self.definition.start, self.definition.max_open) {
            (Some(given), _, _) => given,
            (None, StartRule::Registered, _) => now_ms,
            (None, StartRule::Explicit, Some(max_open)) => {
                now_ms.saturating_add(max_open.exact_ms().unwrap_or(i64::MAX))
            }
            (None, StartRule::Explicit, None) => {
                return Err(Error::invalid(format!(
                    "class \"{}\" has an explicit start and no max_open: give the object's start",
                    self.definition.name
                )));
            }
        };
        check_start(start_ms, now_ms)?;
        Ok(start_ms)
    }

    /// Returns floor and ceiling of an object with this start, Unix ms.
    pub(crate) fn bounds(&self, start_ms: i64) -> Result<Bounds> {
        self.window.bounds(start_ms).map_err(|e| Error::invalid(e.to_string()))
    }

    /// Returns the slot of an object with these bounds, scheduled at `now_ms`: the first that begins at or after its due
    /// instant. If that slot has already begun, returns the beginning of the current second, which is no earlier.
    pub(crate) fn slot(&self, bounds: Bounds, now_ms: i64) -> u64 {
        self.slot_of(self.due_ms(bounds)).max(floor_to_second(now_ms))
    }

    /// Returns `true` if an object with this start and these bounds, scheduled at `now_ms`, falls due at short notice.
    ///
    /// Such an object has less notice than one slot, and less than a fresh object of the class has. So no plan made a slot
    /// ahead could show it.
    pub(crate) fn is_short_notice(&self, start_ms: i64, bounds: Bounds, now_ms: i64) -> bool {
        let due_ms = self.due_ms(bounds);
        let usual_ms = due_ms.saturating_sub(start_ms).max(0);
        let width_ms = i64::try_from(self.definition.slot_ms).unwrap_or(i64::MAX);
        let slot_ms = i64::try_from(self.slot_of(due_ms)).unwrap_or(i64::MAX);
        slot_ms < now_ms.saturating_add(usual_ms.min(width_ms))
    }

    /// Returns the due instant, Unix ms: the floor if one is promised, else the ceiling minus slot and lead.
    fn due_ms(&self, bounds: Bounds) -> i64 {
        let margin = i64::try_from(self.definition.slot_ms + self.definition.lead_ms).unwrap_or(i64::MAX);
        match bounds.floor_ms {
            NO_FLOOR => bounds.ceiling_ms.saturating_sub(margin),
            floor => floor,
        }
    }

    /// Returns the first slot that begins at or after `due_ms`.
    fn slot_of(&self, due_ms: i64) -> u64 {
        u64::try_from(due_ms).unwrap_or(0).div_ceil(self.definition.slot_ms) * self.definition.slot_ms
    }

    /// Returns the soonest slot of an object: the current second, or the slot of its floor if that has not passed.
    pub(crate) fn soonest_slot(&self, bounds: Bounds, now_ms: i64) -> u64 {
        match bounds.floor_ms {
            floor if floor > now_ms => self.slot_of(floor),
            _ => floor_to_second(now_ms),
        }
    }

    /// Returns the earliest ceiling, Unix ms, of an object that [`Class::slot`] put into `slot` before it was overdue.
    pub(crate) fn earliest_ceiling_ms(&self, slot: u64) -> i64 {
        if self.definition.within.is_none() {
            return i64::MAX;
        }
        i64::try_from(slot.saturating_add(self.definition.lead_ms)).unwrap_or(i64::MAX)
    }
}

/// Returns the cause of a move from one pair of bounds to another.
pub(crate) fn change_of_terms(from: Bounds, to: Bounds) -> Cause {
    match to.ceiling_ms > from.ceiling_ms || to.floor_ms < from.floor_ms {
        true => Cause::Loosened,
        false => Cause::Tightened,
    }
}

/// Returns the beginning of the second of `now_ms`, Unix ms; 0 before 1970.
pub(crate) fn floor_to_second(now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or(0) / 1_000 * 1_000
}

/// Refuses a start that is too early or too far ahead.
fn check_start(start_ms: i64, now_ms: i64) -> Result<()> {
    if start_ms < START_MIN_MS {
        return Err(Error::invalid(format!(
            "start {start_ms} ms is before 1990-01-01 ({START_MIN_MS} ms), which is usually a clock never set or a \
             field left empty; give the true start in Unix milliseconds"
        )));
    }
    let latest = now_ms.saturating_add(START_AHEAD_MAX_MS);
    if start_ms > latest {
        return Err(Error::invalid(format!(
            "start {start_ms} ms is more than ten years ahead of now ({now_ms} ms; the latest is {latest} ms); \
             starts are Unix milliseconds"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sexton_proof::window::Span;

    fn class(definition: &Definition) -> Class {
        let leaf = definition.leaf(1, 1, 0);
        let bytes = sexton_proof::leaf::Leaf::Class(leaf.clone()).encode().unwrap().into_bytes();
        Class::new(&leaf, 0, bytes, definition.local()).unwrap()
    }

    fn built_in(name: &str) -> Class {
        class(ClassSet::built_in().iter().find(|definition| definition.name == name).unwrap())
    }

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn built_in_classes_have_their_promises_and_slots() {
        let classes = ClassSet::built_in();
        let shape = |c: &Definition| {
            let span = |span: Option<Span>| span.map(|s| s.to_string()).unwrap_or_default();
            (c.name.clone(), span(c.keep), span(c.within), c.slot_ms / 1_000)
        };
        let shapes: Vec<_> = classes.iter().map(shape).collect();
        let expected = [
            ("data-30d", "", "30d", 3_600),
            ("log-6mo", "6mo", "27w", 21_600),
            ("log-73h", "", "73h", 600),
            ("upload-3h", "", "3h", 60),
        ];
        assert_eq!(
            shapes,
            expected.map(|(name, keep, within, slot)| (name.into(), keep.into(), within.into(), slot))
        );
    }

    #[test]
    fn six_months_from_end_of_august_end_on_last_of_february() {
        let class = built_in("log-6mo");
        for (start, floor) in [
            ("2026-08-31T12:00:00Z", "2027-02-28T12:00:00Z"),
            ("2027-08-31T12:00:00Z", "2028-02-29T12:00:00Z"),
            ("2026-03-01T00:00:00Z", "2026-09-01T00:00:00Z"),
        ] {
            assert_eq!(class.bounds(ms(start)).unwrap().floor_ms, ms(floor));
        }
    }

    proptest! {
        #[test]
        fn slots_are_never_early_and_leave_the_lead(
            number in 0_usize..4,
            start_ms in START_MIN_MS..4_102_444_800_000,
            age_ms in 0_i64..400 * 86_400_000,
        ) {
            let classes = ClassSet::built_in();
            let class = class(classes.iter().nth(number).unwrap());
            let bounds = class.bounds(start_ms).unwrap();
            let now_ms = start_ms + age_ms;
            let slot = i64::try_from(class.slot(bounds, now_ms)).unwrap();
            let signed = |ms: u64| i64::try_from(ms).unwrap();
            let (width, lead) = (signed(class.definition.slot_ms), signed(class.definition.lead_ms));
            prop_assert!(slot >= bounds.floor_ms);
            if slot % width == 0 && slot > now_ms {
                prop_assert!(slot + lead <= bounds.ceiling_ms);
                prop_assert!(bounds.ceiling_ms >= class.earliest_ceiling_ms(u64::try_from(slot).unwrap()));
            } else {
                // Its slot has already begun, so it is due now.
                prop_assert!(slot <= now_ms && now_ms - slot < 1_000);
            }
        }
    }
}
