//! Retention classes: what a class file says, what is checked when it is loaded, and where an object's bounds and
//! slot come from. Pure.

use crate::error::{Error, Result};
use serde::Deserialize;
use sexton_proof::id::{ClassId, NO_FLOOR};
use sexton_proof::leaf::{ClassLeaf, Disposition, Openings, StartRule};
use sexton_proof::window::{Bounds, Span, Unit, Window};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The earliest start accepted: 1990-01-01. What is older is a clock that was never set, or a field left empty.
pub const START_MIN_MS: i64 = 631_152_000_000;
/// How far ahead of now a start may lie: ten years. What is later is a mistaken unit, and would never be deleted.
pub const START_AHEAD_MAX_MS: i64 = 10 * 366 * 86_400_000;
/// A slot is at least this wide.
pub const SLOT_MIN_MS: u64 = 1_000;

const BUILT_IN: &str = r#"
[class.upload-3h]
within = "3h"
start = "explicit"
max_open = "24h"

[class.log-73h]
within = "73h"
start = "registered"

[class.data-30d]
within = "30d"
start = "registered"

# Kept for six months, gone before the 27th week is over: the longest six months have 184 days, 27 weeks 189.
[class.log-6mo]
keep = "6mo"
within = "27w"
start = "registered"
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    #[serde(default)]
    class: BTreeMap<String, ClassEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassEntry {
    keep: Option<String>,
    within: Option<String>,
    zone: Option<String>,
    start: Option<String>,
    max_open: Option<String>,
    slot: Option<String>,
    lead: Option<String>,
    find: Option<String>,
    disposition: Option<String>,
    openings: Option<String>,
}

/// Whether an object's registration can be found by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// By its key: registering a live key again replaces.
    Key,
    /// Only by the registration id that the caller keeps; faster.
    None,
}

impl Find {
    /// As it stands in a class file.
    pub fn name(self) -> &'static str {
        match self {
            Find::Key => "key",
            Find::None => "none",
        }
    }
}

/// What a class promises and how it is kept: one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// 1 to 64 of a-z 0-9 - . _, beginning with a letter.
    pub name: String,
    /// The floor: start + keep.
    pub keep: Option<Span>,
    /// The ceiling: start + within.
    pub within: Option<Span>,
    /// IANA time zone in which calendar spans count.
    pub zone: String,
    /// What an object's start is where none is given.
    pub start: StartRule,
    /// How long an object without a start may stay open; then registered + this is its start.
    pub max_open: Option<Span>,
    /// Width of a slot.
    pub slot_ms: u64,
    /// The time left for the work before the ceiling.
    pub lead_ms: u64,
    /// Whether objects are found by key.
    pub find: Find,
    /// What is done with an object at its end.
    pub disposition: Disposition,
    /// Who keeps what opens the commitments.
    pub openings: Openings,
}

impl Definition {
    /// The leaf that defines version `version` of the class under the number `id`.
    pub(crate) fn leaf(&self, id: ClassId, version: u32, logged_ms: i64) -> ClassLeaf {
        ClassLeaf {
            logged_ms,
            name: self.name.clone(),
            id,
            version,
            keep: self.keep,
            within: self.within,
            zone: self.zone.clone(),
            start: self.start,
            max_open: self.max_open,
            slot_ms: self.slot_ms,
            lead_ms: self.lead_ms,
            disposition: self.disposition,
            openings: self.openings,
        }
    }
}

/// The classes of an engine, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSet(BTreeMap<String, Definition>);

impl Default for ClassSet {
    fn default() -> Self {
        ClassSet::built_in()
    }
}

impl ClassSet {
    /// `upload-3h`, `log-73h`, `data-30d` and `log-6mo`.
    pub fn built_in() -> Self {
        // The text above is ours and a test loads it; an empty set is what an impossible failure would leave.
        ClassSet::from_toml(BUILT_IN).unwrap_or(ClassSet(BTreeMap::new()))
    }

    /// No classes.
    pub fn empty() -> Self {
        ClassSet(BTreeMap::new())
    }

    /// The classes of a class file.
    ///
    /// # Errors
    /// `Invalid` with the line, or the class, the field, the value and the bound.
    ///
    /// ```
    /// let classes = sexton::ClassSet::from_toml(r#"
    ///     [class.thumbnails]
    ///     within = "12h"
    ///     start = "registered"
    /// "#)?;
    /// assert_eq!(classes.iter().next().map(|class| class.name.as_str()), Some("thumbnails"));
    /// # Ok::<(), sexton::Error>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: ClassFile = toml::from_str(text)
            .map_err(|e| Error::invalid(format!("the class file is malformed: {}", e.to_string().trim())))?;
        let mut classes = BTreeMap::new();
        for (name, entry) in file.class {
            let definition = define(&name, &entry)?;
            classes.insert(name, definition);
        }
        Ok(ClassSet(classes))
    }

    /// Adds the classes of `other`; where both have a name, the other's definition counts.
    #[must_use]
    pub fn and(mut self, other: ClassSet) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The classes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.0.values()
    }
}

fn define(name: &str, entry: &ClassEntry) -> Result<Definition> {
    let refuse = |why: String| Error::invalid(format!("class \"{name}\": {why}"));
    check_name(name)?;
    let span = |field: &str, text: &Option<String>| -> Result<Option<Span>> {
        text.as_ref()
            .map(|t| Span::from_str(t).map_err(|e| refuse(format!("{field} = \"{t}\": {e}"))))
            .transpose()
    };
    let keep = span("keep", &entry.keep)?;
    let within = span("within", &entry.within)?;
    let zone = entry.zone.clone().unwrap_or_else(|| "UTC".into());
    let window = Window::new(keep, within, &zone).map_err(|e| refuse(e.to_string()))?;
    let (slot_default, lead_default) = default_geometry(keep, within, &window);
    let exact = |field: &str, text: &Option<String>, default: u64| -> Result<u64> {
        let Some(span) = span(field, text)? else { return Ok(default) };
        span.exact_ms()
            .and_then(|ms| u64::try_from(ms).ok())
            .ok_or_else(|| refuse(format!("{field} = \"{span}\" is a calendar span; use s, m, h, d or w")))
    };
    let definition = Definition {
        name: name.to_owned(),
        keep,
        within,
        zone,
        start: choose(
            "start",
            &entry.start,
            &[("registered", StartRule::Registered), ("explicit", StartRule::Explicit)],
        )
        .map_err(refuse)?,
        max_open: span("max_open", &entry.max_open)?,
        slot_ms: exact("slot", &entry.slot, slot_default)?,
        lead_ms: exact("lead", &entry.lead, lead_default)?,
        find: choose("find", &entry.find, &[("key", Find::Key), ("none", Find::None)]).map_err(refuse)?,
        disposition: choose("disposition", &entry.disposition, &[("delete", Disposition::Delete)])
            .map_err(refuse)?,
        openings: choose(
            "openings",
            &entry.openings,
            &[("operator", Openings::Operator), ("ticket", Openings::Ticket)],
        )
        .map_err(refuse)?,
    };
    check_geometry(&definition, &window)?;
    Ok(definition)
}

fn check_name(name: &str) -> Result<()> {
    let fine = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    if fine {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "class name {name:?}: 1 to 64 of a-z 0-9 - . _ are allowed, beginning with a letter"
    )))
}

/// One of the allowed words; the first is the default.
fn choose<T: Copy>(
    field: &str,
    text: &Option<String>,
    words: &[(&str, T)],
) -> std::result::Result<T, String> {
    let wanted = text.as_deref().unwrap_or_else(|| words.first().map_or("", |w| w.0));
    words.iter().find(|(word, _)| *word == wanted).map(|(_, value)| *value).ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|w| w.0).collect();
        format!("{field} = \"{wanted}\" is not one of: {}", allowed.join(", "))
    })
}

/// Slot and lead in ms: by how long objects are kept, or by how wide the window is where that would not fit.
fn default_geometry(keep: Option<Span>, within: Option<Span>, window: &Window) -> (u64, u64) {
    let length = Window::new(None, keep.or(within), "UTC").map_or(0, |kept| kept.tightest_ms());
    let room = u64::try_from(window.tightest_ms()).unwrap_or(0);
    let by_length = geometry_of(u64::try_from(length).unwrap_or(0));
    if by_length.0 + by_length.1 <= room { by_length } else { geometry_of(room) }
}

/// About a hundredth of a span for a slot, in round steps, and half of that for the lead.
fn geometry_of(ms: u64) -> (u64, u64) {
    const MINUTE: u64 = 60_000;
    match ms / (60 * MINUTE) {
        0..=2 => (SLOT_MIN_MS, SLOT_MIN_MS),
        3..=47 => (MINUTE, MINUTE / 2),
        48..=119 => (10 * MINUTE, 5 * MINUTE),
        120..=1_000 => (60 * MINUTE, 30 * MINUTE),
        _ => (360 * MINUTE, 180 * MINUTE),
    }
}

fn check_geometry(class: &Definition, window: &Window) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("class \"{}\": {why}", class.name)));
    if class.slot_ms < SLOT_MIN_MS || !class.slot_ms.is_multiple_of(1_000) {
        return refuse(format!("slot of {} ms; it must be whole seconds, at least one", class.slot_ms));
    }
    if class.slot_ms > 366 * 86_400_000 || class.lead_ms > 366 * 86_400_000 {
        return refuse(format!(
            "slot of {} ms and lead of {} ms; a year is the limit",
            class.slot_ms, class.lead_ms
        ));
    }
    if class.max_open.is_some_and(|span| matches!(span.unit, Unit::Months | Unit::Years)) {
        return refuse("max_open must be an exact span; use s, m, h, d or w".into());
    }
    if class.max_open.is_some() && class.start != StartRule::Explicit {
        return refuse(
            "max_open says how long a start may stay unknown; it goes with start = \"explicit\" only".into(),
        );
    }
    let room = window.tightest_ms();
    let need = i64::try_from(class.slot_ms + class.lead_ms).unwrap_or(i64::MAX);
    if class.within.is_some() && need > room {
        return refuse(format!(
            "slot + lead is {need} ms, but its window can be as narrow as {room} ms: nothing could be deleted in \
             time; use a smaller slot or lead, or a wider window"
        ));
    }
    Ok(())
}

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
    pub(crate) fn new(leaf: &ClassLeaf, leaf_index: u64, leaf_bytes: Vec<u8>, find: Find) -> Result<Self> {
        let window = Window::new(leaf.keep, leaf.within, &leaf.zone)
            .map_err(|e| Error::corrupt(format!("the stored class \"{}\" cannot be used: {e}", leaf.name)))?;
        let definition = Definition {
            name: leaf.name.clone(),
            keep: leaf.keep,
            within: leaf.within,
            zone: leaf.zone.clone(),
            start: leaf.start,
            max_open: leaf.max_open,
            slot_ms: leaf.slot_ms,
            lead_ms: leaf.lead_ms,
            find,
            disposition: leaf.disposition,
            openings: leaf.openings,
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
        let margin = i64::try_from(self.definition.slot_ms + self.definition.lead_ms).unwrap_or(i64::MAX);
        let due_ms = match bounds.floor_ms {
            NO_FLOOR => bounds.ceiling_ms.saturating_sub(margin),
            floor => floor,
        };
        let due = u64::try_from(due_ms).unwrap_or(0);
        let slot = due.div_ceil(self.definition.slot_ms) * self.definition.slot_ms;
        slot.max(second_of(now_ms))
    }

    /// The earliest ceiling that an object scheduled into `slot` by [`Class::slot`] can have, were it not overdue.
    pub(crate) fn earliest_ceiling_ms(&self, slot: u64) -> i64 {
        if self.definition.within.is_none() {
            return i64::MAX;
        }
        i64::try_from(slot.saturating_add(self.definition.lead_ms)).unwrap_or(i64::MAX)
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

    fn class(definition: &Definition) -> Class {
        let leaf = definition.leaf(1, 1, 0);
        let bytes = sexton_proof::leaf::Leaf::Class(leaf.clone()).encode().unwrap().into_bytes();
        Class::new(&leaf, 0, bytes, definition.find).unwrap()
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
