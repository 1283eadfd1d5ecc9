//! Check of the evidence: every batch of the log against its files, and every settled page against its batch.

use crate::engine::check::{Report, log};
use crate::model::class::Class;
use crate::model::schema::{self, Settled};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily};
use crate::state::core::Core;
use crate::state::log::entry;
use crate::state::paths::BatchPaths;
use sexton_proof::file::{self, EvidenceFile, OpeningsFile};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::{BatchLeaf, FileRef, Leaf, Openings, rounding};
use sexton_proof::record::{FileKind, Header, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Checks every log entry against the data that it stands for.
pub(super) fn check_entries(core: &Core, log_size: u64, report: &mut Report) -> Result<()> {
    let mut settled = settled_pages(core, report)?;
    let mut carried_to = BTreeSet::new();
    for index in 0..log_size {
        match Leaf::parse(&entry(&*core.kv, index)?) {
            Ok(Leaf::Batch(leaf)) => {
                check_settled(index, &leaf, &mut settled, report);
                check_batch(core, &leaf, &mut carried_to, report)?;
            }
            Ok(Leaf::Class(leaf)) => {
                let known = core.classes.get(leaf.id).is_ok_and(|class| class.leaf_index == index);
                report.require(known, || format!("the class of log entry {index} is not known"));
            }
            Ok(Leaf::Event(leaf)) => log::check_event(core, index, &leaf, report)?,
            Ok(Leaf::Seal(_)) => {
                report.problem(format!("log entry {index} is a seal, and this release makes none"));
            }
            // The check of the log reports a malformed entry.
            Err(_) => {}
        }
    }
    for page in settled.keys() {
        report.problem(format!("page {page} is settled but no batch in the log says so"));
    }
    check_destinations(core, &carried_to, report)
}

/// Reads the records of settled pages. Reports each malformed key.
fn settled_pages(core: &Core, report: &mut Report) -> Result<BTreeMap<PageId, Settled>> {
    let mut settled = BTreeMap::new();
    kv::try_scan(&*core.kv, ColumnFamily::Settled, &schema::prefix_range(&[]), |key, value| {
        match key.try_into() {
            Ok(page) => {
                settled.insert(PageId::from_bytes(page), Settled::decode(value)?);
            }
            Err(_) => report.problem(format!("the key {} of a settled page is malformed", hex::encode(key))),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(settled)
}

/// Checks that each page of a batch was settled by it alone, and takes it out of `settled`.
fn check_settled(index: u64, leaf: &BatchLeaf, settled: &mut BTreeMap<PageId, Settled>, report: &mut Report) {
    let number = leaf.batch;
    for (ordinal, line) in (0_u32..).zip(&leaf.pages) {
        let page = PageId { class: leaf.class, slot: line.slot, shard: line.shard, part: line.part };
        let expected = Settled { leaf: index, batch: number, ordinal };
        report.require(settled.remove(&page) == Some(expected), || {
            format!("page {page} of batch {number} is not settled by it alone")
        });
    }
}

/// Checks the files of a batch: each seq has one record, and results and openings belong to the tombstones.
fn check_batch(
    core: &Core,
    leaf: &BatchLeaf,
    carried_to: &mut BTreeSet<RegistrationId>,
    report: &mut Report,
) -> Result<()> {
    report.batches += 1;
    let number = leaf.batch;
    let paths = BatchPaths::of(number);
    let mut seen: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); leaf.pages.len()];
    if let Some(bytes) = named_file(core, &paths.tombstones, leaf.tombstones, report)? {
        match core.classes.get(leaf.class) {
            Ok(class) => check_tombstones(leaf, &class, &bytes, &mut seen, report),
            Err(e) => report.problem(format!("batch {number}: {e}")),
        }
    }
    if let Some(reference) = leaf.carries
        && let Some(bytes) = named_file(core, &paths.carries, reference, report)?
    {
        check_carries(leaf, &bytes, &mut seen, carried_to, report);
    }
    check_results(core, leaf, &paths, report)?;
    for (line, seqs) in leaf.pages.iter().zip(&seen) {
        let is_whole = seqs.len() == line.seqs as usize && seqs.last().is_none_or(|last| *last < line.seqs);
        report.require(is_whole, || {
            let (slot, shard, part) = (line.slot, line.shard, line.part);
            format!(
                "batch {number}: {} of the {} seqs of page {slot}/{shard}/{part} have evidence",
                seqs.len(),
                line.seqs
            )
        });
    }
    if core.classes.get(leaf.class).is_ok_and(|class| class.definition.openings == Openings::Operator) {
        check_openings(core, leaf, &paths.openings, report)?;
    }
    Ok(())
}

/// Checks the sealed openings of a batch: undamaged, of this batch, and one per tombstone.
///
/// Only the key of an object unseals its opening, and `reclaim` removes the key with the row. So the check at the end of
/// the file is compared, and no opening is unsealed. This works also after the month's key is destroyed.
fn check_openings(core: &Core, leaf: &BatchLeaf, path: &str, report: &mut Report) -> Result<()> {
    let Some(bytes) = core.files.read(path)? else {
        report.problem(format!("{path} is missing: no receipt can be made for batch {}", leaf.batch));
        return Ok(());
    };
    let file = OpeningsFile::parse(&bytes).and_then(|file| file.verify_check().map(|()| file.header()));
    match file {
        Ok(Header { batch, n, .. }) => {
            let (own, tombstones) = (leaf.batch, leaf.tombstones.n);
            report.require(batch == own && n == tombstones, || {
                format!("{path} has {n} openings of batch {batch}, expected {tombstones} of batch {own}")
            });
        }
        Err(e) => report.problem(format!(
            "{path} is damaged, so receipts for batch {} may be lost; put back a copy of it: {e}",
            leaf.batch
        )),
    }
    Ok(())
}

/// Checks that the results of a batch are those of its anonymised objects.
fn check_results(core: &Core, leaf: &BatchLeaf, paths: &BatchPaths, report: &mut Report) -> Result<()> {
    let number = leaf.batch;
    let mut anonymised = BTreeSet::new();
    if let Some(reference) = leaf.results
        && let Some(bytes) = named_file(core, &paths.results, reference, report)?
    {
        match EvidenceFile::parse(&bytes, FileKind::Results) {
            Ok(file) => anonymised.extend(file.results().map(|result| (result.page, result.seq))),
            Err(e) => report.problem(format!("batch {number}: its results are malformed: {e}")),
        }
    }
    if let Some(bytes) = core.files.read(&paths.tombstones)?
        && let Ok(file) = EvidenceFile::parse(&bytes, FileKind::Tombstones)
    {
        let said = file.tombstones().filter(|t| t.method == Method::Anonymised).map(|t| (t.page, t.seq));
        report.require(said.collect::<BTreeSet<_>>() == anonymised, || {
            format!("batch {number}: its results are not those of its anonymised objects")
        });
    }
    Ok(())
}

/// Reads a file. Returns `None`, and reports it, if it is missing or not the one that the leaf names.
fn named_file(core: &Core, path: &str, reference: FileRef, report: &mut Report) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = core.files.read(path)? else {
        report.problem(format!("{path} is missing"));
        return Ok(None);
    };
    let root = file::root(&bytes);
    report.require(root == reference.root, || format!("{path} has another BLAKE3 hash than its leaf says"));
    Ok((root == reference.root).then_some(bytes))
}

/// Checks the tombstones of a batch, and adds their seqs to `seen`.
fn check_tombstones(
    leaf: &BatchLeaf,
    class: &Class,
    bytes: &[u8],
    seen: &mut [BTreeSet<u32>],
    report: &mut Report,
) {
    let number = leaf.batch;
    match EvidenceFile::parse(bytes, FileKind::Tombstones) {
        Ok(file) => {
            let (mut early, mut in_bounds) = (0_u64, 0_u64);
            let unit = rounding::unit(class.definition.slot);
            for tombstone in file.tombstones() {
                report.tombstones += 1;
                // The latest floor is rounded up, by less than the unit.
                let is_early = leaf.floor_max.is_some_and(|most| {
                    i128::from(tombstone.time.unix_ms()) <= i128::from(most.unix_ms()) - unit
                });
                early += u64::from(tombstone.in_bounds && is_early);
                in_bounds += u64::from(tombstone.in_bounds);
                let in_time = (leaf.started..=leaf.finished).contains(&tombstone.time);
                report.require(in_time, || format!("batch {number}: a tombstone is not of the batch's time"));
                let new =
                    seen.get_mut(tombstone.page as usize).is_some_and(|seqs| seqs.insert(tombstone.seq));
                report.require(new, || format!("batch {number}: a seq has two records"));
            }
            // A slot begins at or after every floor in it, so no deletion precedes the latest floor.
            report
                .require(early == 0, || format!("batch {number}: {early} deletions before the latest floor"));
            let definition = &class.definition;
            let expected =
                (in_bounds > 0 && definition.keep.is_some(), in_bounds > 0 && definition.within.is_some());
            report.require((leaf.floor_max.is_some(), leaf.ceiling_min.is_some()) == expected, || {
                format!("batch {number}: its latest floor and earliest ceiling are not those of its deletions in bounds")
            });
            report.require(file.header().n == leaf.tombstones.n, || {
                format!("batch {number}: n differs from the leaf")
            });
        }
        Err(e) => report.problem(format!("batch {number}: its tombstones are malformed: {e}")),
    }
}

/// Checks the carries of a batch, and adds their seqs to `seen` and their destinations to `carried_to`.
fn check_carries(
    leaf: &BatchLeaf,
    bytes: &[u8],
    seen: &mut [BTreeSet<u32>],
    carried_to: &mut BTreeSet<RegistrationId>,
    report: &mut Report,
) {
    let number = leaf.batch;
    match EvidenceFile::parse(bytes, FileKind::Carries) {
        Ok(file) => {
            for carry in file.carries() {
                report.carries += 1;
                let new = seen.get_mut(carry.page as usize).is_some_and(|seqs| seqs.insert(carry.seq));
                report.require(new, || format!("batch {number}: a seq has two records"));
                let new = carried_to.insert(carry.to);
                report.require(new, || {
                    format!("batch {number}: a carry goes where another went: {}", carry.to)
                });
            }
        }
        Err(e) => report.problem(format!("batch {number}: its carries are malformed: {e}")),
    }
}

/// Checks that each carried registration is in the page it went to, or that this page has settled.
fn check_destinations(core: &Core, carried_to: &BTreeSet<RegistrationId>, report: &mut Report) -> Result<()> {
    for id in carried_to {
        let rows = core.schedule.lock(id.page.shard.into()).page_mut(id.page).map(|found| found.rows);
        let settled = core.kv.get(ColumnFamily::Settled, &schema::settled_key(id.page))?.is_some();
        report.require(settled || rows.is_some_and(|rows| id.seq < rows), || {
            format!("registration {id} was carried to a page that is neither settled nor has it")
        });
    }
    Ok(())
}
