//! Content of log leaves.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::leaf::{
    BatchLeaf, ClassLeaf, ClassTally, EventLeaf, FileRef, Leaf, PageLine, SealFile, SealLeaf,
};
use sexton_proof::merkle;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Date;

pub(super) const MARK: &[u8] = b"sexton/v0 ";

pub(super) fn leaf<'a>(bytes: &[u8]) -> Inspected<'a> {
    let leaf = Leaf::parse(bytes).map_err(|e| Malformed::of("leaf")(&e))?;
    let sheet = match &leaf {
        Leaf::Class(leaf) => class(leaf),
        Leaf::Batch(leaf) => batch(leaf),
        Leaf::Seal(leaf) => seal(leaf),
        Leaf::Event(leaf) => event(leaf),
    };
    Ok(sheet.hex("leaf_hash", &merkle::leaf_hash(bytes)))
}

fn class<'a>(leaf: &ClassLeaf) -> Sheet<'a> {
    let dates = |dates: &[Date]| {
        let texts: Vec<String> = dates.iter().map(Date::to_string).collect();
        Some(texts).filter(|texts| !texts.is_empty()).map(Value::Texts)
    };
    Sheet::of("class leaf")
        .instant("logged_ms", leaf.logged)
        .with("class", leaf.name.as_str())
        .with("id", leaf.id)
        .with("version", leaf.version)
        .with_some("keep", leaf.keep.map(|span| span.to_string()))
        .with_some("within", leaf.within.map(|span| span.to_string()))
        .with("zone", leaf.zone.as_str())
        .with_some("holidays", dates(leaf.calendar.holidays()))
        .with_some("workdays", dates(leaf.calendar.workdays()))
        .with("start", leaf.start.name())
        .with_some("max_open", leaf.max_open.map(|span| span.to_string()))
        .with("slot_ms", Value::Length(leaf.slot))
        .with("lead_ms", Value::Length(leaf.lead))
        .with("disposition", leaf.disposition.name())
        .with("openings", leaf.openings.name())
        .with("find", leaf.find.name())
        .with("seal_within", leaf.seal_within.to_string())
        .with_some("evidence", leaf.evidence.map(|span| span.to_string()))
}

fn batch<'a>(leaf: &BatchLeaf) -> Sheet<'a> {
    let page = |page: &PageLine| {
        Sheet::default()
            .instant("slot_ms", slot(page.slot))
            .with("shard", u32::from(page.shard))
            .with("part", u32::from(page.part))
            .with("seqs", page.seqs)
            .with("tombstones", page.tombstones)
            .with("carries", page.carries)
    };
    Sheet::of("batch leaf")
        .instant("logged_ms", leaf.logged)
        .with("batch", leaf.batch)
        .with("class", leaf.class)
        .hex("class_leaf", &leaf.class_leaf)
        .with("pages", Value::rows_of(leaf.pages.clone(), page))
        .with("tombstones", file(leaf.tombstones))
        .with_some("carries", leaf.carries.map(file))
        .with_some("results", leaf.results.map(file))
        .with_some("floor_max_ms", leaf.floor_max.map(|at| Value::Instant(Some(at))))
        .with_some("ceiling_min_ms", leaf.ceiling_min.map(|at| Value::Instant(Some(at))))
        .instant("started_ms", leaf.started)
        .instant("finished_ms", leaf.finished)
        .with("tool", leaf.tool.as_str())
}

fn seal<'a>(leaf: &SealLeaf) -> Sheet<'a> {
    let file = |file: SealFile| Value::Sheet(Sheet::default().with("n", file.n).hex("root", &file.root));
    let tally = |tally: &ClassTally| {
        Sheet::default()
            .with("class", tally.class)
            .with("live", tally.live)
            .with("due", tally.due)
            .with("overdue", tally.overdue)
            .with_some("oldest_ms", tally.oldest.map(|oldest| Value::Instant(Some(slot(oldest)))))
    };
    Sheet::of("seal leaf")
        .instant("logged_ms", leaf.logged)
        .with("seal", leaf.number)
        .with_some("shards", leaf.shards.map(u32::from))
        .with_some("entries", leaf.entries.map(file))
        .with("classes", Value::rows_of(leaf.classes.clone(), tally))
        .with("tool", leaf.tool.as_str())
}

/// Returns the instant at which a slot begins, at most the latest.
fn slot(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn event<'a>(leaf: &EventLeaf) -> Sheet<'a> {
    Sheet::of(&format!("{} leaf", leaf.kind.name()))
        .instant("logged_ms", leaf.logged)
        .hex("id", &leaf.id)
        .hex("commitment", &leaf.commitment)
}

fn file<'a>(file: FileRef) -> Value<'a> {
    Value::Sheet(Sheet::default().with("n", file.n).hex("root", &file.root))
}
