//! Retention classes: class files and their checks, and the computation of an object's bounds and slot. Pure.

mod checks;
mod definition;
mod file;

pub use self::checks::SLOT_MIN;
pub use self::definition::Definition;
pub(crate) use self::definition::LocalTerms;
pub use self::file::ClassSet;

use crate::platform::error::{Error, Result};
use sexton_proof::id::ClassId;
use sexton_proof::leaf::{ClassLeaf, Find, StartRule};
use sexton_proof::record::Cause;
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_proof::window::{Bounds, Window};
use std::time::Duration;

/// Earliest start that is accepted: 1990-01-01. An earlier start comes from a clock that was never set or a field left
/// empty.
pub const START_MIN: Timestamp = Timestamp::from_unix_ms(631_152_000_000);
/// Longest time from now to a start: ten years. A later start has a mistaken unit, and its object would never be deleted.
pub const START_AHEAD_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Class version in use: its definition with its number, its leaf and its compiled window.
#[derive(Debug)]
pub(crate) struct Class {
    /// Number of this class version in the engine.
    pub(crate) id: ClassId,
    /// Version among the classes of this name, from 1.
    pub(crate) version: u32,
    /// Promise and local terms.
    pub(crate) definition: Definition,
    /// Width of a slot as the wheel counts it, ms.
    pub(crate) slot_ms: u64,
    /// Time left for the work between slot and ceiling, ms.
    pub(crate) lead_ms: u64,
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
            slot_ms: whole_ms(definition.slot),
            lead_ms: whole_ms(definition.lead),
            definition,
            leaf_hash,
            leaf_index,
            leaf: leaf_bytes,
            window,
        })
    }

    /// Returns `true` if live objects of the class are found by their key, alone or with their version.
    pub(crate) fn finds_by_key(&self) -> bool {
        self.definition.find != Find::None
    }

    /// Returns `true` if each version of a key is an object of its own.
    pub(crate) fn finds_by_version(&self) -> bool {
        self.definition.find == Find::Version
    }

    /// Returns `true` if the class promises a floor.
    pub(crate) fn has_floor(&self) -> bool {
        self.definition.keep.is_some()
    }

    /// Returns the start of an object registered at `now`: the given one, or the one of the class's rule.
    ///
    /// The rule gives now, or now + `max_open` for an object whose start is still unknown.
    pub(crate) fn start(&self, given: Option<Timestamp>, now: Timestamp) -> Result<Timestamp> {
        let start = given.or_else(|| self.assumed_start(now)).ok_or_else(|| {
            Error::invalid(format!(
                "class \"{}\" has an explicit start and no max_open: give the object's start",
                self.definition.name
            ))
        })?;
        check_start(start, now)?;
        Ok(start)
    }

    /// Returns the instant at which an object was registered whose start is not known and assumed to be `start`. `None` if
    /// the class assumes no start.
    pub(crate) fn registered_at(&self, start: Timestamp) -> Option<Timestamp> {
        self.definition.max_open.and_then(|span| span.exact()).map(|max_open| start.saturating_sub(max_open))
    }

    /// Returns the start that the class assumes for an object registered at `registered` whose start is not known. `None` if
    /// the class takes only objects with a known start.
    pub(crate) fn assumed_start(&self, registered: Timestamp) -> Option<Timestamp> {
        match (self.definition.start, self.definition.max_open) {
            (StartRule::Registered, _) => Some(registered),
            (StartRule::Explicit, Some(max_open)) => {
                Some(registered.saturating_add(max_open.exact().unwrap_or(Duration::MAX)))
            }
            (StartRule::Explicit, None) => None,
        }
    }

    /// Returns floor and ceiling of an object with this start.
    pub(crate) fn bounds(&self, start: Timestamp) -> Result<Bounds> {
        self.window.bounds(start).map_err(|e| Error::invalid(e.to_string()))
    }

    /// Returns the slot of an object with these bounds, scheduled at `now`: the first that begins at or after its due
    /// instant. If that slot has already begun, returns the beginning of the current second, which is no earlier.
    pub(crate) fn slot(&self, bounds: Bounds, now: Timestamp) -> u64 {
        self.slot_of(self.due(bounds)).max(floor_to_second(now))
    }

    /// Returns the instant from which an object with these bounds would be deleted, if nothing but its terms counted.
    pub(crate) fn falls_due(&self, bounds: Bounds) -> Timestamp {
        slot_start(self.slot_of(self.due(bounds)))
    }

    /// Returns `true` if an object with this start and these bounds, scheduled at `now`, falls due at short notice.
    ///
    /// Such an object has less notice than one slot, and less than a fresh object of the class has. So no plan made a slot
    /// ahead could show it.
    pub(crate) fn is_short_notice(&self, start: Timestamp, bounds: Bounds, now: Timestamp) -> bool {
        let due = self.due(bounds);
        let usual = due.since(start);
        slot_start(self.slot_of(due)) < now.saturating_add(usual.min(self.definition.slot))
    }

    /// Returns the due instant: the floor if one is promised, else the ceiling minus slot and lead.
    fn due(&self, bounds: Bounds) -> Timestamp {
        bounds.floor.unwrap_or_else(|| {
            let margin = self.definition.slot.saturating_add(self.definition.lead);
            bounds.ceiling.unwrap_or(Timestamp::MAX).saturating_sub(margin)
        })
    }

    /// Returns the first slot that begins at or after `due`.
    fn slot_of(&self, due: Timestamp) -> u64 {
        u64::try_from(due.unix_ms()).unwrap_or(0).div_ceil(self.slot_ms) * self.slot_ms
    }

    /// Returns the soonest slot of an object: the current second, or the slot of its floor if that has not passed.
    pub(crate) fn soonest_slot(&self, bounds: Bounds, now: Timestamp) -> u64 {
        match bounds.floor {
            Some(floor) if floor > now => self.slot_of(floor),
            _ => floor_to_second(now),
        }
    }

    /// Returns the earliest ceiling of an object that [`Class::slot`] put into `slot` before it was overdue;
    /// [`Timestamp::MAX`] if the class promises none.
    pub(crate) fn earliest_ceiling(&self, slot: u64) -> Timestamp {
        match self.definition.within {
            Some(_) => slot_start(slot.saturating_add(self.lead_ms)),
            None => Timestamp::MAX,
        }
    }
}

/// Returns the cause of a move from one pair of bounds to another.
pub(crate) fn change_of_terms(from: Bounds, to: Bounds) -> Cause {
    let ceiling = |bounds: Bounds| bounds.ceiling.unwrap_or(Timestamp::MAX);
    let floor = |bounds: Bounds| bounds.floor.unwrap_or(Timestamp::MIN);
    match ceiling(to) > ceiling(from) || floor(to) < floor(from) {
        true => Cause::Loosened,
        false => Cause::Tightened,
    }
}

/// Returns the slot that begins with the second of `now`; 0 before 1970.
pub(crate) fn floor_to_second(now: Timestamp) -> u64 {
    u64::try_from(now.unix_ms()).unwrap_or(0) / 1_000 * 1_000
}

/// Returns the instant at which `slot` begins, at most [`Timestamp::MAX`].
pub(crate) fn slot_start(slot: u64) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(slot).unwrap_or(i64::MAX))
}

/// Refuses a start that is too early or too far ahead.
fn check_start(start: Timestamp, now: Timestamp) -> Result<()> {
    let start_ms = start.unix_ms();
    if start < START_MIN {
        return Err(Error::invalid(format!(
            "start {start_ms} ms is before 1990-01-01 ({} ms), which is usually a clock never set or a field left \
             empty; give the true start in Unix milliseconds",
            START_MIN.unix_ms()
        )));
    }
    let latest = now.saturating_add(START_AHEAD_MAX);
    if start > latest {
        return Err(Error::invalid(format!(
            "start {start_ms} ms is more than ten years ahead of now ({} ms; the latest is {} ms); starts are Unix \
             milliseconds",
            now.unix_ms(),
            latest.unix_ms()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sexton_proof::seal::Geometry;
    use sexton_proof::window::Span;

    fn class(definition: &Definition) -> Class {
        let leaf = definition.leaf(1, 1, at(0));
        let bytes = sexton_proof::leaf::Leaf::Class(leaf.clone()).encode().unwrap().into_bytes();
        Class::new(&leaf, 0, bytes, definition.local()).unwrap()
    }

    fn built_in(name: &str) -> Class {
        class(ClassSet::built_in().iter().find(|definition| definition.name == name).unwrap())
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn instant(text: &str) -> Timestamp {
        at(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn built_in_classes_have_their_promises_and_slots() {
        let classes = ClassSet::built_in();
        let shape = |c: &Definition| {
            let span = |span: Option<Span>| span.map(|s| s.to_string()).unwrap_or_default();
            (c.name.clone(), span(c.keep), span(c.within), c.slot.as_secs())
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

    fn defined(fields: &str) -> Result<Definition> {
        let classes = ClassSet::from_toml(&format!("[class.a]\n{fields}"))?;
        Ok(classes.iter().next().unwrap().clone())
    }

    #[test]
    fn seal_within_follows_from_the_shortest_promise() {
        for (fields, expected) in [
            ("within = '3h'", "10m"),
            ("within = '10801s'", "1h"),
            ("within = '5d'", "1h"),
            ("within = '121h'", "1d"),
            ("keep = '3h'", "10m"),
            ("keep = '1s'\nwithin = '1y'", "10m"),
            ("keep = '1mo'\nwithin = '6w'", "1d"),
            ("within = '5wd'", "1h"),
            ("within = '6wd'", "1d"),
            ("within = '1y'\nseal_within = '90s'", "90s"),
            ("within = '3h'\nseal_within = '366d'", "366d"),
        ] {
            assert_eq!(defined(fields).unwrap().seal_within.to_string(), expected, "{fields}");
        }
    }

    #[test]
    fn seal_within_and_evidence_out_of_their_bounds_are_refused() {
        for (field, why) in [
            ("seal_within = '1mo'", "seal_within must be an exact span; use s, m, h, d or w"),
            ("seal_within = '2wd'", "seal_within must be an exact span; use s, m, h, d or w"),
            ("seal_within = '367d'", "seal_within = \"367d\"; a year (366d) is the limit"),
            ("seal_within = '0s'", "seal_within = \"0s\": a span is a number from 1"),
            ("evidence = '2y'", "evidence is not built yet; leave it out, and openings are kept for ever"),
            ("evidence = 'ever'", "evidence = \"ever\": a span is a number from 1"),
        ] {
            let error = defined(&format!("within = '3h'\n{field}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("class \"a\": {why}")), "{field}: {error}");
        }
    }

    /// The leaf states all terms that an auditor needs, so they come back from it alone.
    #[test]
    fn definition_comes_back_from_its_leaf_and_local_terms() {
        for find in ["key", "version", "none"] {
            let fields = format!("within = '3h'\nfind = '{find}'\nseal_within = '5m'\nfeed = true");
            let definition =
                Definition { evidence: Some("2y".parse().unwrap()), ..defined(&fields).unwrap() };
            let class = class(&definition);
            assert_eq!(class.definition, definition);
            let text = String::from_utf8(class.leaf.clone()).unwrap();
            assert!(text.ends_with("seal_within 5m\nevidence 2y\n"), "{text}");
            let states_find = text.contains(&format!("\nfind {find}\n"));
            assert_eq!(states_find, find != "key", "{text}");
        }
    }

    #[test]
    fn six_months_from_end_of_august_end_on_last_of_february() {
        let class = built_in("log-6mo");
        for (start, floor) in [
            ("2026-08-31T12:00:00Z", "2027-02-28T12:00:00Z"),
            ("2027-08-31T12:00:00Z", "2028-02-29T12:00:00Z"),
            ("2026-03-01T00:00:00Z", "2026-09-01T00:00:00Z"),
        ] {
            assert_eq!(class.bounds(instant(start)).unwrap().floor, Some(instant(floor)));
        }
    }

    proptest! {
        /// So an offset other than 0 tells a reader that the object was erased, retried, parked or overdue.
        #[test]
        fn ceiling_of_an_object_scheduled_in_time_has_offset_0(
            within in prop_oneof![
                (1_u32..2_000).prop_map(|n| format!("{n}h")),
                (1_u32..24).prop_map(|n| format!("{n}mo")),
                (1_u32..60).prop_map(|n| format!("{n}wd")),
            ],
            slot_s in 1_u64..3_000,
            lead_s in 0_u64..600,
            start_ms in START_MIN.unix_ms()..4_102_444_800_000,
            age in any::<prop::sample::Index>(),
        ) {
            let fields = format!(
                "within = '{within}'\nslot = '{slot_s}s'\nlead = '{}s'\nzone = 'Europe/Berlin'", lead_s.max(1));
            let class = class(&defined(&fields).unwrap());
            let bounds = class.bounds(at(start_ms)).unwrap();
            let notice = usize::try_from(class.falls_due(bounds).since(at(start_ms)).as_millis()).unwrap();
            let now = at(start_ms).saturating_add(Duration::from_millis(age.index(notice + 1) as u64));
            let width = class.slot_ms.try_into().unwrap();
            let geometry = Geometry { slot: class.slot(bounds, now), lead: class.lead_ms, width };
            prop_assert_eq!(geometry.offset(bounds.ceiling), Some(0));
        }

        #[test]
        fn slots_are_never_early_and_leave_the_lead(
            number in 0_usize..4,
            start_ms in START_MIN.unix_ms()..4_102_444_800_000,
            age_ms in 0_u64..400 * 86_400_000,
        ) {
            let classes = ClassSet::built_in();
            let class = class(classes.iter().nth(number).unwrap());
            let start = at(start_ms);
            let bounds = class.bounds(start).unwrap();
            let ceiling = bounds.ceiling.unwrap();
            let now = start.saturating_add(Duration::from_millis(age_ms));
            let slot = class.slot(bounds, now);
            let begin = slot_start(slot);
            prop_assert!(bounds.floor.is_none_or(|floor| begin >= floor));
            if slot.is_multiple_of(class.slot_ms) && begin > now {
                prop_assert!(begin.saturating_add(class.definition.lead) <= ceiling);
                prop_assert!(ceiling >= class.earliest_ceiling(slot));
            } else {
                // Its slot has already begun, so it is due now.
                prop_assert!(begin <= now && now.since(begin) < Duration::from_secs(1));
            }
        }
    }
}
