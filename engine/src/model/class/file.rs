//! Class files: TOML with the definitions of classes and calendars.

use super::checks::{check_ends, check_name, check_schedule, default_seal_within, default_slot_and_lead};
use super::definition::Definition;
use crate::platform::error::{Error, Result};
use serde::Deserialize;
use sexton_proof::leaf::{Disposition, Find, Openings, StartRule};
use sexton_proof::window::{Calendar, Span, Window};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Class file of the built-in classes.
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

/// Holidays as a holiday file lists them: one date a line. A plus marks a weekend day that is a working day.
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
    seal_within: Option<String>,
    evidence: Option<String>,
    feed: Option<bool>,
    remember: Option<String>,
    host_deletes: Option<bool>,
}

/// Definitions of the classes of an engine, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSet(BTreeMap<String, Definition>);

impl Default for ClassSet {
    fn default() -> Self {
        ClassSet::built_in()
    }
}

impl ClassSet {
    /// Returns the built-in classes: `upload-3h`, `log-73h`, `data-30d` and `log-6mo`.
    pub fn built_in() -> Self {
        // A test loads the text above, so this cannot fail.
        ClassSet::from_toml(BUILT_IN).unwrap_or(ClassSet(BTreeMap::new()))
    }

    /// Returns a set without classes.
    pub fn empty() -> Self {
        ClassSet(BTreeMap::new())
    }

    /// Reads a class file (TOML; see `docs/classes.md`).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid). The message names the line, or the class, the field, the value and the bound.
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
        let file: ClassFile = toml::from_str(text).map_err(|e| malformed(text, &e))?;
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

    /// Adds the classes of `other`. If both sets have a name, the definition of `other` counts.
    #[must_use]
    pub fn and(mut self, other: ClassSet) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the definitions, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.0.values()
    }
}

/// Fields of one class in a class file, to be parsed.
struct Fields<'a> {
    name: &'a str,
    entry: &'a ClassEntry,
}

impl Fields<'_> {
    fn refuse(&self, why: impl Display) -> Error {
        Error::invalid(format!("class \"{}\": {why}", self.name))
    }

    /// Parses a span, if the field is there.
    fn span(&self, field: &str, text: &Option<String>) -> Result<Option<Span>> {
        text.as_ref()
            .map(|t| Span::from_str(t).map_err(|e| self.refuse(format!("{field} = \"{t}\": {e}"))))
            .transpose()
    }

    /// Parses a span of a fixed length; `default` if the field is not there.
    fn exact(&self, field: &str, text: &Option<String>, default: Duration) -> Result<Duration> {
        let Some(span) = self.span(field, text)? else { return Ok(default) };
        span.exact().ok_or_else(|| {
            self.refuse(format!("{field} = \"{span}\" is a calendar span; use s, m, h, d or w"))
        })
    }

    /// Parses one of the allowed words; the first is the default.
    fn choose<T: Copy>(&self, field: &str, text: &Option<String>, words: &[(&str, T)]) -> Result<T> {
        let wanted = text.as_deref().unwrap_or_else(|| words.first().map_or("", |w| w.0));
        words.iter().find(|(word, _)| *word == wanted).map(|(_, value)| *value).ok_or_else(|| {
            let allowed: Vec<&str> = words.iter().map(|w| w.0).collect();
            self.refuse(format!("{field} = \"{wanted}\" is not one of: {}", allowed.join(", ")))
        })
    }

    /// Returns the calendar that the class names; an empty one if it names none.
    fn calendar(&self, calendars: &BTreeMap<String, Calendar>) -> Result<Calendar> {
        let Some(wanted) = &self.entry.calendar else { return Ok(Calendar::default()) };
        calendars.get(wanted).cloned().ok_or_else(|| {
            self.refuse(format!(
                "calendar = \"{wanted}\" is not in the class file; add a [calendar.{wanted}]"
            ))
        })
    }
}

/// Returns the error of a text that is not the TOML of a class file, in one line.
fn malformed(text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line =
        before.map_or_else(String::new, |before| format!(" at line {}", before.matches('\n').count() + 1));
    let why = error.message().replace('\n', ", ");
    Error::invalid(format!("the class file is malformed{line}: {why}"))
}

/// Reads and checks the definition of one class.
fn define(name: &str, entry: &ClassEntry, calendars: &BTreeMap<String, Calendar>) -> Result<Definition> {
    let fields = Fields { name, entry };
    check_name(name)?;
    let keep = fields.span("keep", &entry.keep)?;
    let within = fields.span("within", &entry.within)?;
    let zone = entry.zone.clone().unwrap_or_else(|| "UTC".into());
    let calendar = fields.calendar(calendars)?;
    let window = Window::new(keep, within, &zone, &calendar).map_err(|e| fields.refuse(e))?;
    let (slot_default, lead_default) = default_slot_and_lead(keep, within, &window);
    if fields.span("evidence", &entry.evidence)?.is_some() {
        return Err(fields.refuse("evidence is not built yet; leave it out, and openings are kept for ever"));
    }
    let starts = [("registered", StartRule::Registered), ("explicit", StartRule::Explicit)];
    let finds = [("key", Find::Key), ("version", Find::Version), ("none", Find::None)];
    let dispositions = [("delete", Disposition::Delete), ("anonymise", Disposition::Anonymise)];
    let openings = [("operator", Openings::Operator), ("ticket", Openings::Ticket)];
    let definition = Definition {
        name: name.to_owned(),
        keep,
        within,
        zone,
        calendar,
        start: fields.choose("start", &entry.start, &starts)?,
        max_open: fields.span("max_open", &entry.max_open)?,
        slot: fields.exact("slot", &entry.slot, slot_default)?,
        lead: fields.exact("lead", &entry.lead, lead_default)?,
        find: fields.choose("find", &entry.find, &finds)?,
        disposition: fields.choose("disposition", &entry.disposition, &dispositions)?,
        openings: fields.choose("openings", &entry.openings, &openings)?,
        seal_within: fields
            .span("seal_within", &entry.seal_within)?
            .unwrap_or_else(|| default_seal_within(keep, within)),
        evidence: None,
        feed: entry.feed.unwrap_or(false),
        remember: fields.span("remember", &entry.remember)?,
        host_deletes: entry.host_deletes.unwrap_or(false),
    };
    check_ends(&definition)?;
    check_schedule(&definition, &window)?;
    Ok(definition)
}
