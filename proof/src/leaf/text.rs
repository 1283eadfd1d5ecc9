//! Text of leaves: reading line by line, and writing.

use std::fmt::Write as _;
use std::time::Duration;

use super::error::LeafError;
use super::values::{
    BatchLeaf, ClassLeaf, ClassTally, Disposition, EventKind, EventLeaf, FileRef, Find, Openings, PageLine,
    SealFile, SealLeaf, StartRule,
};
use crate::id::{decimal, excerpt, parse_hex};
use crate::time::{Timestamp, whole_ms};
use crate::window::{Calendar, Date, Span};

pub(super) const KIND_PREFIX: &str = "sexton/v0 ";
pub(super) const CLASS_KIND: &str = "class";
pub(super) const BATCH_KIND: &str = "batch";
pub(super) const SEAL_KIND: &str = "seal";

/// Lines of a leaf that are not read yet. A last line without LF is not a line.
pub(super) struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 0 }
    }

    /// Returns an error if a line is left.
    pub(super) fn end(&mut self) -> Result<(), LeafError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let found = self.next();
        Err(self.wrong("the end of the leaf", found))
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        Some(line)
    }

    pub(super) fn wrong(&self, expected: impl Into<String>, found: Option<&str>) -> LeafError {
        let found = excerpt(found.unwrap_or(self.rest));
        LeafError::Line { line: self.line, expected: expected.into(), found }
    }

    /// Reads the value of the next line, which must have this `name`.
    fn value<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, LeafError> {
        let line = self.next();
        line.and_then(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(read)
            .ok_or_else(|| self.wrong(format!("`{name} {expected}`"), line))
    }

    /// Reads the value of the next line if that has this `name`, or returns `None`.
    fn optional<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, LeafError> {
        match self.rest.strip_prefix(name) {
            Some(value) if value.starts_with(' ') => self.value(name, expected, read).map(Some),
            _ => Ok(None),
        }
    }
}

pub(super) fn parse_class(lines: &mut Lines<'_>) -> Result<ClassLeaf, LeafError> {
    Ok(ClassLeaf {
        logged: lines.value("logged", "<ms>", instant)?,
        name: lines.value("class", "<name>", owned)?,
        id: lines.value("id", "<u32>", number)?,
        version: lines.value("version", "<u32>", number)?,
        keep: lines.optional("keep", "<span>", span)?,
        within: lines.optional("within", "<span>", span)?,
        zone: lines.value("zone", "<IANA name>", owned)?,
        calendar: Calendar::new(dates(lines, "holiday")?, dates(lines, "workday")?)?,
        start: lines.value("start", StartRule::EXPECTED, StartRule::from_name)?,
        max_open: lines.optional("max_open", "<span>", span)?,
        slot: lines.value("slot", "<ms>", milliseconds)?,
        lead: lines.value("lead", "<ms>", milliseconds)?,
        disposition: lines.value("disposition", Disposition::EXPECTED, Disposition::from_name)?,
        openings: lines.value("openings", Openings::EXPECTED, Openings::from_name)?,
        find: lines.optional("find", "version|none", Find::from_line)?.unwrap_or(Find::Key),
        seal_within: lines.value("seal_within", "<span>", span)?,
        evidence: lines.optional("evidence", "<span>", span)?,
    })
}

fn dates(lines: &mut Lines<'_>, name: &str) -> Result<Vec<Date>, LeafError> {
    let mut dates = Vec::new();
    while let Some(date) = lines.optional(name, "<YYYY-MM-DD>", |value| value.parse().ok())? {
        dates.push(date);
    }
    Ok(dates)
}

pub(super) fn parse_batch(lines: &mut Lines<'_>) -> Result<BatchLeaf, LeafError> {
    let hash = "<64 digits of lower-case hex>";
    let file_ref = "<n> <64 digits of lower-case hex>";
    let logged = lines.value("logged", "<ms>", instant)?;
    let batch = lines.value("batch", "<u64>", decimal)?;
    let class = lines.value("class", "<u32>", number)?;
    let class_leaf = lines.value("class_leaf", hash, parse_hex)?;
    let mut pages = Vec::new();
    while let Some(page) =
        lines.optional("page", "<slot> <shard> <part> <seqs> <tombstones> <carries>", page_line)?
    {
        pages.push(page);
    }
    Ok(BatchLeaf {
        logged,
        batch,
        class,
        class_leaf,
        pages,
        tombstones: lines.value("tombstones", file_ref, file)?,
        carries: lines.optional("carries", file_ref, file)?,
        results: lines.optional("results", file_ref, file)?,
        floor_max: lines.optional("floor_max", "<ms>", instant)?,
        ceiling_min: lines.optional("ceiling_min", "<ms>", instant)?,
        started: lines.value("started", "<ms>", instant)?,
        finished: lines.value("finished", "<ms>", instant)?,
        tool: lines.value("tool", "<text>", owned)?,
    })
}

pub(super) fn parse_seal(lines: &mut Lines<'_>) -> Result<SealLeaf, LeafError> {
    let logged = lines.value("logged", "<ms>", instant)?;
    let seal = lines.value("seal", "<u64>", decimal)?;
    let shards = lines.optional("shards", "<u16>", number)?;
    let entries = lines.optional("entries", "<n> <64 digits of lower-case hex>", seal_file)?;
    let mut classes = Vec::new();
    while let Some(tally) = lines.optional("class", "<id> <live> <due> <overdue> <oldest>", tally)? {
        classes.push(tally);
    }
    Ok(SealLeaf {
        logged,
        number: seal,
        shards,
        entries,
        classes,
        tool: lines.value("tool", "<text>", owned)?,
    })
}

pub(super) fn parse_event(lines: &mut Lines<'_>, kind: EventKind) -> Result<EventLeaf, LeafError> {
    Ok(EventLeaf {
        logged: lines.value("logged", "<ms>", instant)?,
        kind,
        id: lines.value("id", "<32 digits of lower-case hex>", parse_hex)?,
        commitment: lines.value("commitment", "<64 digits of lower-case hex>", parse_hex)?,
    })
}

/// Returns the value itself; `check` refuses invalid ones. The result is an `Option` because `Lines` reads every value
/// by such a function.
fn owned(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn number<T: TryFrom<u64>>(value: &str) -> Option<T> {
    T::try_from(decimal(value)?).ok()
}

/// Reads an instant: a signed decimal number of Unix milliseconds. Zero has no sign.
fn instant(value: &str) -> Option<Timestamp> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    decimal(digits)?;
    if value == "-0" { None } else { value.parse().ok().map(Timestamp::from_unix_ms) }
}

fn milliseconds(value: &str) -> Option<Duration> {
    decimal(value).map(Duration::from_millis)
}

fn span(value: &str) -> Option<Span> {
    value.parse().ok()
}

fn words<const N: usize>(value: &str) -> Option<[&str; N]> {
    let mut out = [""; N];
    let mut words = value.split(' ');
    for word in &mut out {
        *word = words.next()?;
    }
    words.next().is_none().then_some(out)
}

fn page_line(value: &str) -> Option<PageLine> {
    let [slot, shard, part, seqs, tombstones, carries] = words(value)?;
    Some(PageLine {
        slot: decimal(slot)?,
        shard: number(shard)?,
        part: number(part)?,
        seqs: number(seqs)?,
        tombstones: number(tombstones)?,
        carries: number(carries)?,
    })
}

fn tally(value: &str) -> Option<ClassTally> {
    let [class, live, due, overdue, oldest] = words(value)?;
    Some(ClassTally {
        class: number(class)?,
        live: decimal(live)?,
        due: decimal(due)?,
        overdue: decimal(overdue)?,
        oldest: if oldest == "-" { None } else { Some(decimal(oldest)?) },
    })
}

fn seal_file(value: &str) -> Option<SealFile> {
    let [n, root] = words(value)?;
    Some(SealFile { n: decimal(n)?, root: parse_hex(root)? })
}

fn file(value: &str) -> Option<FileRef> {
    let [n, root] = words(value)?;
    Some(FileRef { n: number(n)?, root: parse_hex(root)? })
}

pub(super) fn write_class(out: &mut String, leaf: &ClassLeaf) -> std::fmt::Result {
    writeln!(
        out,
        "{KIND_PREFIX}{CLASS_KIND}\nlogged {}\nclass {}\nid {}",
        leaf.logged.unix_ms(),
        leaf.name,
        leaf.id
    )?;
    writeln!(out, "version {}", leaf.version)?;
    if let Some(span) = leaf.keep {
        writeln!(out, "keep {span}")?;
    }
    if let Some(span) = leaf.within {
        writeln!(out, "within {span}")?;
    }
    writeln!(out, "zone {}", leaf.zone)?;
    for (name, dates) in [("holiday", leaf.calendar.holidays()), ("workday", leaf.calendar.workdays())] {
        for date in dates {
            writeln!(out, "{name} {date}")?;
        }
    }
    writeln!(out, "start {}", leaf.start.name())?;
    if let Some(span) = leaf.max_open {
        writeln!(out, "max_open {span}")?;
    }
    writeln!(out, "slot {}\nlead {}", whole_ms(leaf.slot), whole_ms(leaf.lead))?;
    writeln!(out, "disposition {}\nopenings {}", leaf.disposition.name(), leaf.openings.name())?;
    if let Some(find) = leaf.find.line() {
        writeln!(out, "find {find}")?;
    }
    writeln!(out, "seal_within {}", leaf.seal_within)?;
    match leaf.evidence {
        Some(span) => writeln!(out, "evidence {span}"),
        None => Ok(()),
    }
}

pub(super) fn write_batch(out: &mut String, leaf: &BatchLeaf) -> std::fmt::Result {
    writeln!(
        out,
        "{KIND_PREFIX}{BATCH_KIND}\nlogged {}\nbatch {}\nclass {}",
        leaf.logged.unix_ms(),
        leaf.batch,
        leaf.class
    )?;
    writeln!(out, "class_leaf {}", hex::encode(leaf.class_leaf))?;
    for PageLine { slot, shard, part, seqs, tombstones, carries } in &leaf.pages {
        writeln!(out, "page {slot} {shard} {part} {seqs} {tombstones} {carries}")?;
    }
    writeln!(out, "tombstones {} {}", leaf.tombstones.n, hex::encode(leaf.tombstones.root))?;
    for (name, file) in [("carries", leaf.carries), ("results", leaf.results)] {
        if let Some(FileRef { n, root }) = file {
            writeln!(out, "{name} {n} {}", hex::encode(root))?;
        }
    }
    if let Some(floor) = leaf.floor_max {
        writeln!(out, "floor_max {}", floor.unix_ms())?;
    }
    if let Some(ceiling) = leaf.ceiling_min {
        writeln!(out, "ceiling_min {}", ceiling.unix_ms())?;
    }
    let (started, finished) = (leaf.started.unix_ms(), leaf.finished.unix_ms());
    writeln!(out, "started {started}\nfinished {finished}\ntool {}", leaf.tool)
}

pub(super) fn write_seal(out: &mut String, leaf: &SealLeaf) -> std::fmt::Result {
    let SealLeaf { logged, number, .. } = leaf;
    writeln!(out, "{KIND_PREFIX}{SEAL_KIND}\nlogged {}\nseal {number}", logged.unix_ms())?;
    if let Some(shards) = leaf.shards {
        writeln!(out, "shards {shards}")?;
    }
    if let Some(SealFile { n, root }) = leaf.entries {
        writeln!(out, "entries {n} {}", hex::encode(root))?;
    }
    for ClassTally { class, live, due, overdue, oldest } in &leaf.classes {
        let oldest = oldest.map_or_else(|| "-".to_owned(), |slot| slot.to_string());
        writeln!(out, "class {class} {live} {due} {overdue} {oldest}")?;
    }
    writeln!(out, "tool {}", leaf.tool)
}

pub(super) fn write_event(out: &mut String, leaf: &EventLeaf) -> std::fmt::Result {
    writeln!(out, "{KIND_PREFIX}{}\nlogged {}", leaf.kind.name(), leaf.logged.unix_ms())?;
    writeln!(out, "id {}\ncommitment {}", hex::encode(leaf.id), hex::encode(leaf.commitment))
}
