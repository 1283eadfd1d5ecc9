//! The full check: everything that is stored against everything else.

use crate::class::Class;
use crate::core::{Core, Ledger};
use crate::error::Result;
use crate::evidence::Paths;
use crate::index::{Page, PageState, Shard};
use crate::kv::{self, Family, Order};
use crate::locator::{Candidates, Sought};
use crate::log;
use crate::publish;
use crate::recovery;
use crate::schema::{self, Counts, Flags, Mark, PageRows, Row, Settled};
use sexton_proof::commitment;
use sexton_proof::file::{self, EvidenceFile, OpeningsFile};
use sexton_proof::id::{NO_FLOOR, PageId, RegistrationId};
use sexton_proof::leaf::{BatchLeaf, EventLeaf, FileRef, Leaf, Openings};
use sexton_proof::merkle::{self, Frontier};
use sexton_proof::record::{FileKind, Method, Reason};
use sexton_proof::tile;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Problems that a report lists; beyond it they are only counted.
const PROBLEMS_LISTED: usize = 100;

/// What the full check looked at and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pages that have not settled.
    pub pages: u64,
    /// Live registrations in them: those that moved on count where they went.
    pub rows: u64,
    /// Batches in the log.
    pub batches: u64,
    /// Tombstones in their files.
    pub tombstones: u64,
    /// Carries in their files.
    pub carries: u64,
    /// Entries of the log.
    pub leaves: u64,
    /// How many problems were found.
    pub problems_found: u64,
    /// The first hundred of them, each a sentence.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems_found == 0
    }

    fn problem(&mut self, what: String) {
        self.problems_found += 1;
        if self.problems.len() < PROBLEMS_LISTED {
            self.problems.push(what);
        }
    }

    fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.problem(otherwise());
        }
    }
}

/// Checks everything; planning and committing wait meanwhile.
pub(crate) fn check(core: &Core) -> Result<Report> {
    let mut report = Report::default();
    let planner = core.planner.look();
    let published = core.published.lock();
    let ledger = core.ledger.look();
    check_log(core, &ledger.log, &mut report)?;
    let classes: Vec<_> = core.classes.read().iter().cloned().collect();
    for class in &classes {
        check_live(core, class, &mut report)?;
    }
    check_locators(core, &mut report)?;
    check_marks(core, &mut report)?;
    check_batches(core, ledger.log.size(), &mut report)?;
    check_counts(core, &ledger, &mut report);
    drop(ledger);
    drop(published);
    drop(planner);
    Ok(report)
}

/// Every entry, its hash and every subtree's; the root; the recorded head and the published checkpoint.
fn check_log(core: &Core, log: &log::Log, report: &mut Report) -> Result<()> {
    let mut frontier = Frontier::new();
    let mut last_logged_ms = i64::MIN;
    for index in 0..log.size() {
        let entry = log::entry(&*core.kv, index)?;
        match Leaf::parse(&entry) {
            Ok(leaf) => {
                let logged = leaf.logged_ms();
                report.require(logged >= last_logged_ms, || format!("log entry {index} goes back in time"));
                last_logged_ms = logged;
            }
            Err(e) => report.problem(format!("log entry {index} is malformed: {e}")),
        }
        let mut nodes = Vec::new();
        frontier.push(merkle::leaf_hash(&entry), &mut |level, at, hash| nodes.push((level, at, hash)));
        for (level, at, hash) in nodes {
            let stored = log::node(&*core.kv, level, at).ok();
            report.require(stored == Some(hash), || format!("the stored log hash {level}/{at} is wrong"));
        }
    }
    report.leaves = log.size();
    report.require(frontier.root() == log.root(), || "the log's root is not that of its entries".into());
    let head = publish::read_head(&*core.files)?;
    let checkpoint = publish::read_checkpoint(&*core.files, &core.signer.verifier())?;
    let published = checkpoint.map(|c| (c.size, c.root));
    for (what, seen) in [("recorded head", head), ("published checkpoint", published)] {
        if let Some((size, root)) = seen {
            let ours = if size <= log.size() { log::root_at(&*core.kv, size).ok() } else { None };
            report.require(ours == Some(root), || {
                format!("the {what} of size {size} is not a prefix of the log")
            });
        }
    }
    check_tiles(core, published.map_or(0, |(size, _)| size.min(log.size())), report)
}

/// The tiles and bundles that readers of the published checkpoint need.
fn check_tiles(core: &Core, published: u64, report: &mut Report) -> Result<()> {
    let mut compare = |path: String, expected: Vec<u8>| -> Result<()> {
        let path = format!("log/{path}");
        let same = core.files.read(&path)?.is_some_and(|bytes| bytes == expected);
        report.require(same, || format!("{path} is missing or is not what the log holds"));
        Ok(())
    };
    for id in tile::tiles_to_publish(0, published) {
        compare(id.path(), publish::tile_bytes(&*core.kv, id)?)?;
    }
    for id in tile::bundles_to_publish(0, published) {
        compare(id.path(), publish::bundle_bytes(&*core.kv, id)?)?;
    }
    Ok(())
}

/// The live pages of a class: wheel and index agree, rows are gapless, bounds are what the class makes of the start,
/// and each is found by its key. Each shard is locked for its list of pages and then for one page at a time, so that
/// what is compared belongs together and registering goes on between.
fn check_live(core: &Core, class: &Class, report: &mut Report) -> Result<()> {
    for number in 0..core.index.shards() {
        let mut in_wheel: BTreeMap<PageId, Page> = BTreeMap::new();
        let shard = core.index.look(number);
        shard.each_page(&mut |id, page| {
            if id.class == class.id && page.rows > 0 {
                in_wheel.insert(id, *page);
            }
        });
        let mut pages = recovery::live_pages(&*core.kv, class.id)?;
        pages.retain(|(page, _)| usize::from(page.shard) == number);
        drop(shard);
        for (page, rows) in &pages {
            let known = in_wheel.remove(page).map(|page| page.rows);
            report.require(known == Some(*rows), || {
                format!("page {page} has {rows} rows in the index and {known:?} by the wheel")
            });
        }
        for (page, state) in in_wheel {
            report
                .require(state.state == PageState::Reserved, || format!("page {page} is in the wheel only"));
        }
        for (page, _) in pages {
            let mut shard = core.index.lock(number);
            if let Some(rows) = shard.page_mut(page).map(|found| found.rows) {
                report.pages += 1;
                check_page(core, &shard, class, PageRows { page, rows }, report)?;
            }
        }
    }
    Ok(())
}

fn check_page(core: &Core, shard: &Shard, class: &Class, page: PageRows, report: &mut Report) -> Result<()> {
    let mut expected = 0_u32;
    let mut by_key = Vec::new();
    let range = schema::page_rows(page.page);
    let rows = kv::collect(&*core.kv, Family::Rows(class.id), &range, |key, value| {
        Ok((key.to_vec(), value.to_vec()))
    })?;
    for (key, value) in rows {
        let id = schema::row_id(class.id, &key)?;
        report.require(id.seq == expected, || format!("page {} lacks seq {expected}", page.page));
        expected = id.seq.saturating_add(1);
        let row = match Row::decode(&value) {
            Ok(row) => row,
            Err(e) => {
                report.problem(format!("registration {id}: {e}"));
                continue;
            }
        };
        report.rows += u64::from(!row.flags.has(Flags::MOVED));
        report.require(class.bounds(row.start_ms).ok() == Some(row.bounds()), || {
            format!("registration {id} has bounds that its class does not give")
        });
        let marked = core.kv.get(Family::Marks, &id.to_bytes())?;
        if row.flags.has(Flags::MOVED) {
            let moved = matches!(marked.as_deref().map(Mark::decode), Some(Ok(Mark::Moved { .. })));
            report.require(moved, || format!("registration {id} moved, and nothing says where to"));
            continue;
        }
        let (number, fingerprint) = core.index.locate(row.key);
        report.require(number == usize::from(page.page.shard), || {
            format!("registration {id} is in a wrong shard")
        });
        if class.finds_by_key() && marked.is_none() {
            by_key.push((fingerprint, id));
        }
    }
    let sought = Sought::of(core, by_key.iter().map(|(fingerprint, _)| *fingerprint).collect())?;
    let candidates = Candidates::of(core, shard, sought)?;
    for (fingerprint, id) in by_key {
        report.require(candidates.has(&fingerprint, id), || {
            format!("registration {id} is not found by its key")
        });
    }
    report.require(expected == page.rows, || {
        format!("page {} has {expected} rows in the index and {} by the wheel", page.page, page.rows)
    });
    Ok(())
}

/// Each entry by which a key is found is one. What it leads to may have ended: that each live row has its entry is
/// looked at with the row.
fn check_locators(core: &Core, report: &mut Report) -> Result<()> {
    core.kv.scan(Family::Locator, &[]..&schema::successor(&[]), Order::Ascending, &mut |key, _| {
        let entry = schema::locator_entry(key);
        report.require(entry.is_ok(), || format!("the entry {} finds nothing", hex::encode(key)));
        ControlFlow::Continue(())
    })
}

/// Marks stand at live rows only, or at settled pages, where they are void; what moved is where its mark says.
fn check_marks(core: &Core, report: &mut Report) -> Result<()> {
    let mut marks = Vec::new();
    core.kv.scan(Family::Marks, &[]..&schema::successor(&[]), Order::Ascending, &mut |key, value| {
        marks.extend(key.as_array().map(|key| (RegistrationId::from_bytes(key), Mark::decode(value))));
        ControlFlow::Continue(())
    })?;
    let is_there = |id: RegistrationId| -> Result<bool> {
        let settled = core.kv.get(Family::Settled, &id.page.to_bytes())?.is_some();
        Ok(settled || core.kv.get(Family::Rows(id.page.class), &schema::row_key(id))?.is_some())
    };
    let mut moved: BTreeMap<PageId, u32> = BTreeMap::new();
    for (id, mark) in marks {
        let there = is_there(id)?;
        report.require(there, || format!("the replaced or moved registration {id} does not exist"));
        if let Mark::Moved { to, .. } = mark? {
            *moved.entry(id.page).or_default() += 1;
            let there = is_there(to)?;
            report.require(there, || format!("registration {id} moved to {to}, where it is not"));
        }
    }
    core.index.each_page(&mut |id, page| {
        let found = moved.get(&id).copied().unwrap_or(0);
        // Registering and moving go on while this looks, so there may be more by now.
        report.require(page.moved >= found, || {
            format!("page {id} has {} moved registrations by the wheel and {found} in the index", page.moved)
        });
    });
    Ok(())
}

/// Every batch in the log against its files, and every settled page against its batch.
fn check_batches(core: &Core, log_size: u64, report: &mut Report) -> Result<()> {
    let mut settled = BTreeMap::new();
    let mut failure = None;
    core.kv.scan(
        Family::Settled,
        &[]..&schema::successor(&[]),
        Order::Ascending,
        &mut |key, value| match (key.try_into(), Settled::decode(value)) {
            (Ok(page), Ok(record)) => {
                settled.insert(PageId::from_bytes(page), record);
                ControlFlow::Continue(())
            }
            (_, record) => {
                failure = Some(record);
                ControlFlow::Break(())
            }
        },
    )?;
    if let Some(record) = failure {
        record?;
    }
    let mut carried_to = BTreeSet::new();
    for index in 0..log_size {
        match Leaf::parse(&log::entry(&*core.kv, index)?) {
            Ok(Leaf::Batch(leaf)) => check_batch(core, index, &leaf, &mut settled, &mut carried_to, report)?,
            Ok(Leaf::Class(leaf)) => {
                let known = core.class(leaf.id).is_ok_and(|class| class.leaf_index == index);
                report.require(known, || format!("the class of log entry {index} is not known"));
            }
            Ok(Leaf::Event(leaf)) => check_event(core, index, &leaf, report)?,
            Err(_) => {}
        }
    }
    for page in settled.keys() {
        report.problem(format!("page {page} is settled but no batch in the log says so"));
    }
    check_destinations(core, &carried_to, report)
}

fn check_batch(
    core: &Core,
    index: u64,
    leaf: &BatchLeaf,
    settled: &mut BTreeMap<PageId, Settled>,
    carried_to: &mut BTreeSet<RegistrationId>,
    report: &mut Report,
) -> Result<()> {
    report.batches += 1;
    let number = leaf.batch;
    for (ordinal, line) in (0_u32..).zip(&leaf.pages) {
        let page = PageId { class: leaf.class, slot: line.slot, shard: line.shard, part: line.part };
        let expected = Settled { leaf: index, batch: number, ordinal };
        report.require(settled.remove(&page) == Some(expected), || {
            format!("page {page} of batch {number} is not settled by it alone")
        });
    }
    let paths = Paths::of(number);
    let mut seen: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); leaf.pages.len()];
    if let Some(bytes) = named_file(core, &paths.tombstones, leaf.tombstones, report)? {
        check_tombstones(leaf, &bytes, &mut seen, report);
    }
    if let Some(reference) = leaf.carries
        && let Some(bytes) = named_file(core, &paths.carries, reference, report)?
    {
        check_carries(leaf, &bytes, &mut seen, carried_to, report);
    }
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
    for (line, seqs) in leaf.pages.iter().zip(&seen) {
        let whole = seqs.len() == line.seqs as usize && seqs.last().is_none_or(|last| *last < line.seqs);
        report.require(whole, || {
            format!(
                "batch {number}: {} of the {} seqs of page {}/{}/{} have evidence",
                seqs.len(),
                line.seqs,
                line.slot,
                line.shard,
                line.part
            )
        });
    }
    let operator = core.class(leaf.class).is_ok_and(|c| c.definition.openings == Openings::Operator);
    if operator {
        let bytes = core.files.read(&paths.openings)?.unwrap_or_default();
        let n = OpeningsFile::parse(&bytes).ok().map(|file| file.header().n);
        report.require(n == Some(leaf.tombstones.n), || {
            format!("{} holds {n:?} openings for {} tombstones", paths.openings, leaf.tombstones.n)
        });
    }
    Ok(())
}

fn named_file(core: &Core, path: &str, reference: FileRef, report: &mut Report) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = core.files.read(path)? else {
        report.problem(format!("{path} is missing"));
        return Ok(None);
    };
    let root = file::root(&bytes);
    report.require(root == reference.root, || format!("{path} has another BLAKE3 hash than its leaf says"));
    Ok((root == reference.root).then_some(bytes))
}

fn check_tombstones(leaf: &BatchLeaf, bytes: &[u8], seen: &mut [BTreeSet<u32>], report: &mut Report) {
    let number = leaf.batch;
    match EvidenceFile::parse(bytes, FileKind::Tombstones) {
        Ok(file) => {
            let floor = leaf.floor_max_ms.unwrap_or(NO_FLOOR);
            let mut early = 0_u64;
            for tombstone in file.tombstones() {
                report.tombstones += 1;
                early += u64::from(tombstone.time_ms < floor);
                let in_time = (leaf.started_ms..=leaf.finished_ms).contains(&tombstone.time_ms);
                report.require(in_time, || format!("batch {number}: a tombstone is not of the batch's time"));
                let new =
                    seen.get_mut(tombstone.page as usize).is_some_and(|seqs| seqs.insert(tombstone.seq));
                report.require(new, || format!("batch {number}: a seq has two records"));
            }
            // A slot begins after every floor in it, so no deletion comes before the latest of them. Only what ends without
            // the store may lie before its floor: what the host had deleted itself, what was replaced and then erased.
            let ends_early = file.tombstones().any(|tombstone| {
                let is_replaced = tombstone.method == Method::Replaced && tombstone.reason != Reason::Due;
                is_replaced || tombstone.reason == Reason::Host
            });
            report.require(early == 0 || ends_early, || {
                format!("batch {number}: {early} tombstones before the latest floor")
            });
            report.require(file.header().n == leaf.tombstones.n, || {
                format!("batch {number}: n differs from the leaf")
            });
        }
        Err(e) => report.problem(format!("batch {number}: its tombstones are malformed: {e}")),
    }
}

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

/// Each registration that was carried lives in its page, or that page is settled.
fn check_destinations(core: &Core, carried_to: &BTreeSet<RegistrationId>, report: &mut Report) -> Result<()> {
    for id in carried_to {
        let rows = core.index.lock(id.page.shard.into()).page_mut(id.page).map(|found| found.rows);
        let settled = core.kv.get(Family::Settled, &id.page.to_bytes())?.is_some();
        report.require(settled || rows.is_some_and(|rows| id.seq < rows), || {
            format!("registration {id} was carried to a page that is neither settled nor has it")
        });
    }
    Ok(())
}

/// What was ever registered either lives or ended.
fn check_counts(core: &Core, ledger: &Ledger, report: &mut Report) {
    let ended: u64 = ledger.counts.values().map(Counts::ended).sum();
    let (mut registered, mut live) = (0, 0);
    for number in 0..core.index.shards() {
        let shard = core.index.look(number);
        registered += shard.tallies().map(|(_, tally)| tally.objects).sum::<u64>();
        shard.each_page(&mut |_, page| {
            live += if page.state == PageState::Reserved { 0 } else { u64::from(page.live()) };
        });
    }
    report.require(registered == live + ended, || {
        format!("{registered} objects were registered, but {live} live and {ended} ended")
    });
}

/// The text of each hold, lift, alarm and resumption is what its leaf commits to.
fn check_event(core: &Core, index: u64, leaf: &EventLeaf, report: &mut Report) -> Result<()> {
    let stored = core.kv.get(Family::Meta, &schema::event_key(index))?.unwrap_or_default();
    let opens =
        stored.split_first_chunk().is_some_and(|(r, text)| commitment::event(r, text) == leaf.commitment);
    report.require(opens, || format!("the text of log entry {index} is not what it commits to"));
    Ok(())
}
