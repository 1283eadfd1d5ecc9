//! Rules for the values of a leaf.

use super::error::LeafError;
use super::values::{
    BatchLeaf, CLASS_NAME_MAX_BYTES, ClassLeaf, ClassTally, EventLeaf, FileRef, SealLeaf, StartRule,
    TALLIES_MAX, TOOL_MAX_BYTES,
};
use crate::id::excerpt;
use crate::time::whole_ms;
use crate::window::{Span, Unit, ZONE_MAX_BYTES, check_working};
use crate::wire::{NO_CEILING, NO_FLOOR};
use std::fmt::Display;
use std::time::Duration;

/// Shortest exact span for which openings are kept: the longest month.
const EVIDENCE_MIN: Duration = Duration::from_secs(31 * 86_400);

/// Returns an error if the rule does not hold. It formats texts only then, because a leaf has more than a thousand
/// lines.
fn rule(
    holds: bool,
    name: impl Display,
    expected: impl Display,
    found: impl Display,
) -> Result<(), LeafError> {
    if holds {
        return Ok(());
    }
    let (name, expected) = (name.to_string(), expected.to_string());
    Err(LeafError::Rule { name, expected, found: excerpt(&found.to_string()) })
}

/// Returns `true` if `text` has 1 to `max` bytes, all of them allowed.
fn charset(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(allowed)
}

pub(super) fn check_class(leaf: &ClassLeaf) -> Result<(), LeafError> {
    let name = charset(&leaf.name, CLASS_NAME_MAX_BYTES, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b)
    }) && leaf.name.starts_with(|c: char| c.is_ascii_lowercase());
    rule(name, "class", "1 to 64 of a-z 0-9 - . _, beginning with a letter", &leaf.name)?;
    rule(leaf.id >= 1, "id", "at least 1", leaf.id)?;
    rule(leaf.version >= 1, "version", "at least 1", leaf.version)?;
    for (name, span) in [
        ("keep", leaf.keep),
        ("within", leaf.within),
        ("max_open", leaf.max_open),
        ("seal_within", Some(leaf.seal_within)),
        ("evidence", leaf.evidence),
    ] {
        if let Some(span) = span {
            rule(span.check().is_ok(), name, "a number from 1 to 1000000", span)?;
        }
    }
    rule(leaf.keep.or(leaf.within).is_some(), "within", "at least one of keep and within", "neither")?;
    check_working(leaf.keep, leaf.within, &leaf.calendar)?;
    let zone = charset(&leaf.zone, ZONE_MAX_BYTES, |b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
        && leaf.zone.starts_with(|c: char| c.is_ascii_alphabetic());
    rule(zone, "zone", "an IANA name", &leaf.zone)?;
    if let Some(span) = leaf.max_open {
        rule(
            leaf.start == StartRule::Explicit,
            "max_open",
            "no such line, because start is not explicit",
            span,
        )?;
        rule(span.exact().is_some(), "max_open", "a span in s, m, h, d or w", span)?;
    }
    for (name, span) in [("slot", leaf.slot), ("lead", leaf.lead)] {
        let whole = Duration::from_millis(whole_ms(span)) == span;
        rule(whole, name, "whole milliseconds, at most 2^64 − 1", format_args!("{span:?}"))?;
    }
    rule(!leaf.slot.is_zero(), "slot", "at least 1", whole_ms(leaf.slot))?;
    rule(leaf.seal_within.exact().is_some(), "seal_within", "a span in s, m, h, d or w", leaf.seal_within)?;
    match leaf.evidence {
        Some(span) => rule(is_evidence(span), "evidence", "at least 31d, or a span in mo or y", span),
        None => Ok(()),
    }
}

/// Returns `true` if openings may be kept for this span. The key of the month that runs then outlives the month.
fn is_evidence(span: Span) -> bool {
    matches!(span.unit, Unit::Months | Unit::Years)
        || span.exact().is_some_and(|length| length >= EVIDENCE_MIN)
}

pub(super) fn check_batch(leaf: &BatchLeaf) -> Result<(), LeafError> {
    rule(leaf.batch >= 1, "batch", "at least 1", leaf.batch)?;
    rule(leaf.class >= 1, "class", "at least 1", leaf.class)?;
    check_pages(leaf)?;
    let ended: u64 = leaf.pages.iter().map(|page| u64::from(page.tombstones)).sum();
    rule(
        ended == u64::from(leaf.tombstones.n),
        "tombstones",
        format_args!("{ended}, as the pages say"),
        leaf.tombstones.n,
    )?;
    let carried: u64 = leaf.pages.iter().map(|page| u64::from(page.carries)).sum();
    let listed = leaf.carries.map_or(0, |file| file.n);
    rule(carried == u64::from(listed), "carries", format_args!("{carried}, as the pages say"), listed)?;
    rule(leaf.carries.is_none_or(|file| file.n > 0), "carries", "no such line if nothing is carried", 0)?;
    if let Some(FileRef { n, .. }) = leaf.results {
        rule(n > 0, "results", "no such line if nothing was anonymised", n)?;
        rule(u64::from(n) <= ended, "results", format_args!("at most {ended}, the tombstones"), n)?;
    }
    if let Some(most) = leaf.floor_max {
        rule(
            ended > 0 && most.unix_ms() != NO_FLOOR,
            "floor_max",
            "no such line if no tombstone has a floor",
            most,
        )?;
    }
    if let Some(least) = leaf.ceiling_min {
        rule(
            ended > 0 && least.unix_ms() != NO_CEILING,
            "ceiling_min",
            "no such line if no tombstone has a ceiling",
            least,
        )?;
    }
    let BatchLeaf { started, finished, logged, .. } = *leaf;
    rule(started <= finished, "finished", format_args!("at least {started}, when it started"), finished)?;
    rule(finished <= logged, "logged", format_args!("at least {finished}, when it finished"), logged)?;
    check_tool(&leaf.tool)
}

pub(super) fn check_seal(leaf: &SealLeaf) -> Result<(), LeafError> {
    rule(leaf.number >= 1, "seal", "at least 1", leaf.number)?;
    match leaf.shards {
        Some(shards) => {
            rule(leaf.number == 1, "shards", "no such line but in the first seal", shards)?;
            rule(shards >= 1, "shards", "at least 1", shards)?;
        }
        None => rule(leaf.number > 1, "shards", "the number of shards in the first seal", "none")?,
    }
    if let Some(file) = leaf.entries {
        rule(file.n >= 1, "entries", "no such line without entries", file.n)?;
    }
    rule(
        leaf.classes.len() <= TALLIES_MAX,
        "class",
        format_args!("at most {TALLIES_MAX} lines"),
        leaf.classes.len(),
    )?;
    let mut last = 0;
    for tally in &leaf.classes {
        rule(tally.class > last, "class", format_args!("an id above {last}"), tally.class)?;
        check_tally(tally)?;
        last = tally.class;
    }
    check_tool(&leaf.tool)
}

fn check_tally(tally: &ClassTally) -> Result<(), LeafError> {
    let ClassTally { class, live, due, overdue, oldest } = *tally;
    let name = format_args!("class {class}");
    rule(live >= 1, name, "at least 1 live", live)?;
    rule(due <= live, name, format_args!("at most {live} due, the live ones"), due)?;
    rule(overdue <= due, name, format_args!("at most {due} overdue, the due ones"), overdue)?;
    match oldest {
        Some(slot) => rule(due > 0, name, "no oldest slot if none is due", slot),
        None => rule(due == 0, name, "the oldest slot of those due", "none"),
    }
}

fn check_tool(tool: &str) -> Result<(), LeafError> {
    let fits = charset(tool, TOOL_MAX_BYTES, |b| b.is_ascii_alphanumeric() || b"-._/".contains(&b));
    rule(fits, "tool", "1 to 64 of A-Z a-z 0-9 - . _ /", tool)
}

pub(super) fn check_event(leaf: &EventLeaf) -> Result<(), LeafError> {
    rule(leaf.id != [0; 16], "id", "16 random bytes", hex::encode(leaf.id))
}

fn check_pages(leaf: &BatchLeaf) -> Result<(), LeafError> {
    rule(!leaf.pages.is_empty(), "page", "at least one page", "none")?;
    let mut last = None;
    for (at, page) in leaf.pages.iter().enumerate() {
        let position = (page.slot, page.shard, page.part);
        let sum = u64::from(page.tombstones) + u64::from(page.carries);
        rule(
            last < Some(position),
            format_args!("page {at}"),
            "slot, shard, part after those of the line before",
            format_args!("{position:?}"),
        )?;
        rule(page.seqs >= 1, format_args!("page {at}"), "at least 1 in seqs", page.seqs)?;
        rule(
            u64::from(page.seqs) == sum,
            format_args!("page {at}"),
            format_args!("{sum} in seqs, tombstones and carries"),
            page.seqs,
        )?;
        last = Some(position);
    }
    Ok(())
}
