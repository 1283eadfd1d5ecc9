//! Retention classes: what a class file says, what is checked when it is loaded, and where an object's bounds and
//! slot come from. Pure.

mod file;

pub(crate) use self::file::Local;
pub use self::file::{ClassSet, Definition, Find, SLOT_MIN_MS};

use crate::error::{Error, Result};
use sexton_proof::id::{ClassId, NO_FLOOR};
use sexton_proof::leaf::{ClassLeaf, StartRule};
use sexton_proof::record::Cause;
use sexton_proof::window::{Bounds, Window};

/// The earliest start accepted: 1990-01-01. What is older is a clock that was never set, or a field left empty.
pub const START_MIN_MS: i64 = 631_152_000_000;
/// How far ahead of now a start may lie: ten years. What is later is a mistaken unit, and would never be deleted.
pub const START_AHEAD_MAX_MS: i64 = 10 * 366 * 86_400_000;
/// A class version at work: its definition with its number, its leaf and its compiled window.
#[derive(Debug)]
pub(crate) struct Class {
    /// The engine's number of this class version.
    pub(crate) id: ClassId,
    /// From 1, per name.
    pub(crate) version: u32,
    /// What it promises.
    pub(crate) definition: Definition,
    /// The RFC 6962 hash of the leaf that defined it.
    pub(crate) leaf_hash: [u8; 32],
    /// The index of that leaf in the log.
    pub(crate) leaf_index: u64,
    /// That leaf.
    pub(crate) leaf: Vec<u8>,
    window: Window,
}

impl Class {
    pub(crate) fn new(leaf: &ClassLeaf, leaf_index: u64, leaf_bytes: Vec<u8>, local: Local) -> Result<Self> {
        let window = Window::new(leaf.keep, leaf.within, &leaf.zone, &leaf.calendar)
            .map_err(|e| Error::corrupt(format!("the stored class \"{}\" cannot be used: {e}", leaf.name)))?;
        let definition = Definition {
            name: leaf.name.clone(),
            keep: leaf.keep,
            within: leaf.within,
            zone: leaf.zone.clone(),
            calendar: leaf.calendar.clone(),
            start: leaf.start,
            max_open: leaf.max_open,
            slot_ms: leaf.slot_ms,
            lead_ms: leaf.lead_ms,
            find: local.find,
            disposition: leaf.disposition,
            openings: leaf.openings,
            feed: local.feed,
            remember: local.remember,
        };
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

    /// Whether a live object of it is found by its key.
    pub(crate) fn finds_by_key(&self) -> bool {
        self.definition.find == Find::Key
    }

    /// The start of an object registered at `now_ms`: the given one; else by the class's rule, now or, for an open
    /// object, now + `max_open`.
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

    /// Floor and ceiling of an object with this start.
    pub(crate) fn bounds(&self, start_ms: i64) -> Result<Bounds> {
        self.window.bounds(start_ms).map_err(|e| Error::invalid(e.to_string()))
    }

    /// The slot of an object with these bounds, registered or looked at `now_ms`: the first that begins at or after
    /// its due instant. Where that slot has begun already, the second that `now_ms` lies in, which is no earlier.
    pub(crate) fn slot(&self, bounds: Bounds, now_ms: i64) -> u64 {
        self.slot_of(self.due_ms(bounds)).max(second_of(now_ms))
    }

    /// Whether an object with this start and these bounds, put into its slot `now_ms`, falls due with less notice than
    /// a slot, or than a fresh object of the class gets: a surprise, which no forecast could have known.
    pub(crate) fn is_surprise(&self, start_ms: i64, bounds: Bounds, now_ms: i64) -> bool {
        let due_ms = self.due_ms(bounds);
        let usual_ms = due_ms.saturating_sub(start_ms).max(0);
        let width_ms = i64::try_from(self.definition.slot_ms).unwrap_or(i64::MAX);
        let slot_ms = i64::try_from(self.slot_of(due_ms)).unwrap_or(i64::MAX);
        slot_ms < now_ms.saturating_add(usual_ms.min(width_ms))
    }

    /// Our own scheduling instant: the floor where one is promised, else as long before the ceiling as slot and work
    /// take.
    fn due_ms(&self, bounds: Bounds) -> i64 {
        let margin = i64::try_from(self.definition.slot_ms + self.definition.lead_ms).unwrap_or(i64::MAX);
        match bounds.floor_ms {
            NO_FLOOR => bounds.ceiling_ms.saturating_sub(margin),
            floor => floor,
        }
    }

    fn slot_of(&self, due_ms: i64) -> u64 {
        u64::try_from(due_ms).unwrap_or(0).div_ceil(self.definition.slot_ms) * self.definition.slot_ms
    }

    /// The slot of an object that is to go at its first chance: now, or at its floor where that is still to come.
    pub(crate) fn soonest_slot(&self, bounds: Bounds, now_ms: i64) -> u64 {
        match bounds.floor_ms {
            floor if floor > now_ms => self.slot_of(floor),
            _ => second_of(now_ms),
        }
    }

    /// The earliest ceiling that an object scheduled into `slot` by [`Class::slot`] can have, were it not overdue.
    pub(crate) fn earliest_ceiling_ms(&self, slot: u64) -> i64 {
        if self.definition.within.is_none() {
            return i64::MAX;
        }
        i64::try_from(slot.saturating_add(self.definition.lead_ms)).unwrap_or(i64::MAX)
    }
}

/// The cause of a move from one pair of bounds to another.
pub(crate) fn change_of_terms(from: Bounds, to: Bounds) -> Cause {
    match to.ceiling_ms > from.ceiling_ms || to.floor_ms < from.floor_ms {
        true => Cause::Loosened,
        false => Cause::Tightened,
    }
}

/// The beginning of the second that `now_ms` lies in; 0 before 1970.
pub(crate) fn second_of(now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or(0) / 1_000 * 1_000
}

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
    fn the_four_built_in_classes_have_the_promises_and_slots_of_the_policies() {
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
    fn six_months_from_the_end_of_august_end_on_the_last_day_of_february() {
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
        fn nothing_is_scheduled_early_and_nothing_so_late_that_no_lead_is_left(
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
                // Its slot has begun already: now is the time.
                prop_assert!(slot <= now_ms && now_ms - slot < 1_000);
            }
        }
    }
}
