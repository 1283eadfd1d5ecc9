//! What a class file says, and what is checked when it is loaded.

use crate::error::{Error, Result};
use serde::Deserialize;
use sexton_proof::id::ClassId;
use sexton_proof::leaf::{ClassLeaf, Disposition, Openings, StartRule};
use sexton_proof::window::{Calendar, Span, Unit, Window};
use std::collections::BTreeMap;
use std::str::FromStr;

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
    #[serde(default)]
    calendar: BTreeMap<String, CalendarEntry>,
}

/// Days on which nobody works, as a holiday file has them: one date a line, those at weekends on which people do work
/// with a plus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarEntry {
    days: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassEntry {
    keep: Option<String>,
    within: Option<String>,
    zone: Option<String>,
    calendar: Option<String>,
    start: Option<String>,
    max_open: Option<String>,
    slot: Option<String>,
    lead: Option<String>,
    find: Option<String>,
    disposition: Option<String>,
    openings: Option<String>,
    feed: Option<bool>,
    remember: Option<String>,
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
    /// The days on which nobody works, where `within` is in working days.
    pub calendar: Calendar,
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
    /// Whether its deletions go into the feed.
    pub feed: bool,
    /// How long ended objects are remembered by their key, to recognise what comes back from a backup.
    pub remember: Option<Span>,
}

/// What of a class is nobody's promise, and in no leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) find: Find,
    pub(crate) feed: bool,
    pub(crate) remember: Option<Span>,
}

impl Definition {
    pub(crate) fn local(&self) -> Local {
        Local { find: self.find, feed: self.feed, remember: self.remember }
    }

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
            calendar: self.calendar.clone(),
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
        let mut calendars = BTreeMap::new();
        for (name, entry) in &file.calendar {
            let calendar = Calendar::parse(&entry.days)
                .map_err(|e| Error::invalid(format!("calendar \"{name}\": {e}")))?;
            calendars.insert(name.clone(), calendar);
        }
        let mut classes = BTreeMap::new();
        for (name, entry) in file.class {
            let definition = define(&name, &entry, &calendars)?;
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

fn define(name: &str, entry: &ClassEntry, calendars: &BTreeMap<String, Calendar>) -> Result<Definition> {
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
    let calendar = match &entry.calendar {
        None => Calendar::default(),
        Some(wanted) => calendars.get(wanted).cloned().ok_or_else(|| {
            refuse(format!("calendar = \"{wanted}\" is not in the class file; add a [calendar.{wanted}]"))
        })?,
    };
    let window = Window::new(keep, within, &zone, &calendar).map_err(|e| refuse(e.to_string()))?;
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
        calendar,
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
        disposition: choose(
            "disposition",
            &entry.disposition,
            &[("delete", Disposition::Delete), ("anonymise", Disposition::Anonymise)],
        )
        .map_err(refuse)?,
        openings: choose(
            "openings",
            &entry.openings,
            &[("operator", Openings::Operator), ("ticket", Openings::Ticket)],
        )
        .map_err(refuse)?,
        feed: entry.feed.unwrap_or(false),
        remember: span("remember", &entry.remember)?,
    };
    check_memory(&definition)?;
    check_geometry(&definition, &window)?;
    Ok(definition)
}

/// Longest span of a class, in years: whatever begins within ten years then ends within the calendar.
const SPAN_MAX_YEARS: i64 = 1_000;
/// Longest time for which ended objects are remembered, ms: ten years.
const REMEMBER_MAX_MS: i64 = 3_660 * 86_400_000;

fn check_memory(class: &Definition) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("class \"{}\": {why}", class.name)));
    if class.disposition == Disposition::Anonymise && class.openings == Openings::Ticket {
        return refuse(
            "disposition = \"anonymise\" needs openings = \"operator\": a ticket cannot know what will be written"
                .into(),
        );
    }
    match class.remember.map(|span| (span, span.exact_ms())) {
        Some((span, None)) => {
            refuse(format!("remember = \"{span}\" is a calendar span; use s, m, h, d or w"))
        }
        Some((span, Some(ms))) if ms > REMEMBER_MAX_MS => {
            refuse(format!("remember = \"{span}\"; ten years (3660d) are the limit"))
        }
        _ => Ok(()),
    }
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
    let length =
        Window::new(None, keep.or(within), "UTC", &Calendar::default()).map_or(0, |kept| kept.tightest_ms());
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
    for span in [class.keep, class.within, class.max_open].into_iter().flatten() {
        let years = match span.unit {
            Unit::Months => i64::from(span.count) / 12,
            Unit::Years => i64::from(span.count),
            Unit::WorkingDays => i64::from(span.count) / 100,
            _ => span.exact_ms().unwrap_or(i64::MAX) / (365 * 86_400_000),
        };
        if years > SPAN_MAX_YEARS {
            return refuse(format!("{span} is longer than {SPAN_MAX_YEARS} years, the limit"));
        }
    }
    if class.slot_ms < SLOT_MIN_MS || !class.slot_ms.is_multiple_of(1_000) {
        return refuse(format!("slot of {} ms; it must be whole seconds, at least one", class.slot_ms));
    }
    if class.slot_ms > 366 * 86_400_000 || class.lead_ms > 366 * 86_400_000 {
        return refuse(format!(
            "slot of {} ms and lead of {} ms; a year is the limit",
            class.slot_ms, class.lead_ms
        ));
    }
    if class.max_open.is_some_and(|span| span.exact_ms().is_none()) {
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
