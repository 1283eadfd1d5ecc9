//! From outcomes to evidence: what became of each row, the records that say so, and the files they stand in.
//!
//! Everything here follows from the batch and the fates alone, byte for byte. So recovery can read the fates out of
//! finished files, build the evidence again, and know by comparison that the files belong to the intent.

mod fates;
mod seal;
mod summary;

pub use self::fates::Outcome;
pub(crate) use self::fates::{Fate, Fates, fates};
pub(crate) use self::seal::unseal;

use self::fates::is_move;
use self::summary::Summary;
use crate::batch::{Batch, Planned, PlannedRow};
use crate::class::second_of;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::files::{Access, NewFile};
use crate::keyring::Key;
use crate::kv::{Family, WriteSet};
use crate::place::descriptor_of;
use crate::plan::Backoff;
use crate::schema::{self, Arrivals, Counts, PageRecord, PageRows, Row};
use sexton_proof::commitment::sealing::Texts;
use sexton_proof::commitment::{self, Blinded};
use sexton_proof::file;
use sexton_proof::id::{NO_CEILING, PageId, RegistrationId, batch_path};
use sexton_proof::leaf::{BatchLeaf, FileRef, Leaf, Openings, PageLine};
use sexton_proof::record::{Carry, Cause, FileKind, Header, RECORD_BYTES, ResultRecord, Tombstone};
use std::collections::BTreeMap;
use std::iter;

/// How long what a hold keeps is left alone before it is looked at again. Lifting the hold looks at once, so this only
/// bounds how long an object can be forgotten should that ever go wrong.
const HELD_MS: i64 = 30 * 86_400_000;
/// How long what waits for a lifted hold to restart its clock is left alone, should the sweep have passed it by.
const RESTART_MS: i64 = 60_000;
/// Rows of a batch that one task of the thread pool works on: what it makes of them fits a core's own cache.
const TASK_ROWS: usize = 1_024;

/// A page that carried rows go to, and which rows of the batch.
struct Destination {
    page: PageRows,
    rows: Vec<usize>,
    arrivals: Arrivals,
    earliest_ceiling_ms: i64,
}

impl Destination {
    /// Each of its rows: its place in the batch, and its registration id from here on.
    fn registrations(&self) -> impl Iterator<Item = (usize, RegistrationId)> {
        let page = self.page.page;
        (0_u32..).zip(&self.rows).map(move |(seq, at)| (*at, RegistrationId { page, seq }))
    }
}

/// A batch whose outcome is known, ready to be written and committed.
pub(crate) struct Evidence {
    pub(crate) batch: Batch,
    pub(crate) fates: Fates,
    pub(crate) counts: Counts,
    destinations: Vec<Destination>,
    tombstones: RecordFile,
    carries: RecordFile,
    results: RecordFile,
    openings: Option<Parts>,
    /// Its leaf as if it were logged when the last outcome was known.
    leaf: String,
    finished_ms: i64,
}

/// Builds the evidence of fresh fates, reserving pages for what lives on.
pub(crate) fn build(core: &Core, batch: Batch, fates: Fates) -> Result<Evidence> {
    let mut destinations = Vec::new();
    for ((slot, shard, arrivals), rows) in carry_groups(&batch, &fates) {
        let earliest_ceiling_ms = earliest_ceiling_ms(&batch, &rows);
        let n = count(rows.len());
        let mut locked = core.index.lock(shard.into());
        let page = locked.reserve(&*core.kv, &batch.class, slot, n, arrivals, earliest_ceiling_ms)?;
        drop(locked);
        let page = PageRows { page, rows: n };
        destinations.push(Destination { page, rows, arrivals, earliest_ceiling_ms });
    }
    destinations.sort_by_key(|destination| destination.page.page);
    assemble(core, batch, fates, destinations)
}

/// Builds the evidence of fates read back from files; `None` where what was parked is not in the pages that the intent
/// says were reserved for it.
pub(crate) fn rebuild(core: &Core, batch: Batch, fates: Fates) -> Result<Option<Evidence>> {
    let mut parked: BTreeMap<PageId, (Arrivals, Vec<usize>)> = BTreeMap::new();
    for (at, fate) in fates.of.iter().enumerate() {
        if let (Fate::LivesOn { cause, .. }, Some(to)) = (*fate, fates.to.get(&at))
            && !is_move(cause)
        {
            parked.entry(to.page).or_insert_with(|| (arrivals(cause), Vec::new())).1.push(at);
        }
    }
    let expected = batch.intent.to.iter().map(|to| (to.page, to.rows));
    if !parked.iter().map(|(page, (_, rows))| (*page, count(rows.len()))).eq(expected) {
        return Ok(None);
    }
    let destination = |(page, (arrivals, rows)): (PageId, (Arrivals, Vec<usize>))| {
        let earliest_ceiling_ms = earliest_ceiling_ms(&batch, &rows);
        Destination { page: PageRows { page, rows: count(rows.len()) }, rows, arrivals, earliest_ceiling_ms }
    };
    let destinations = parked.into_iter().map(destination).collect();
    assemble(core, batch, fates, destinations).map(Some)
}

/// How what is parked for this cause arrives.
fn arrivals(cause: Cause) -> Arrivals {
    if cause == Cause::Held { Arrivals::Held } else { Arrivals::Carried }
}

/// Rows that are parked, by the slot and shard they go to, what holds keep apart from the rest.
type CarryGroups = BTreeMap<(u64, u16, Arrivals), Vec<usize>>;

/// The parked rows by where they go. All wait from the same instant on, the batch's last, so that there are few
/// groups (a delay for each number of attempts, a shard each) however long the batch took: its leaf names them all.
fn carry_groups(batch: &Batch, fates: &Fates) -> CarryGroups {
    let before_floor = batch.rows.iter().zip(&fates.of).filter_map(|(row, fate)| match fate {
        Fate::LivesOn { cause: Cause::Floor, .. } => Some(batch.row(row)),
        _ => None,
    });
    let last_ms = fates.of.iter().map(|fate| fate.time_ms()).max().unwrap_or(batch.intent.started_ms);
    let after_floors = before_floor.map(|row| batch.class.slot(row.bounds(), last_ms)).max().unwrap_or(0);
    let mut groups = BTreeMap::new();
    for (at, (planned, fate)) in batch.rows.iter().zip(&fates.of).enumerate() {
        let Fate::LivesOn { cause, .. } = *fate else { continue };
        if fates.to.contains_key(&at) {
            continue;
        }
        let slot = match (cause, planned.plan) {
            (Cause::Floor, _) => after_floors,
            (Cause::Held, Planned::Held { standing: true }) => second_of(last_ms.saturating_add(HELD_MS)),
            (Cause::Held, _) => second_of(last_ms.saturating_add(RESTART_MS)),
            _ => {
                let attempts = batch.row(planned).attempts.saturating_add(1);
                Backoff::DEFAULT.slot(attempts, last_ms)
            }
        };
        groups.entry((slot, batch.page(planned).shard, arrivals(cause))).or_insert_with(Vec::new).push(at);
    }
    groups
}

fn earliest_ceiling_ms(batch: &Batch, rows: &[usize]) -> i64 {
    rows.iter().map(|&at| batch.row(&batch.rows[at]).ceiling_ms).min().unwrap_or(NO_CEILING)
}

fn count(n: usize) -> u32 {
    // A batch has at most a few hundred thousand rows.
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What one task makes of its rows.
#[derive(Default)]
struct Piece {
    tombstones: Vec<u8>,
    carries: Vec<u8>,
    results: Vec<u8>,
    openings: Texts,
    summary: Summary,
}

/// A file in the parts that the tasks made, which follow one another.
struct Parts(Vec<Vec<u8>>);

impl Parts {
    fn new(head: Vec<u8>, rest: impl Iterator<Item = Vec<u8>>) -> Self {
        Parts(iter::once(head).chain(rest).collect())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    fn file(&self, path: String, access: Access) -> NewFile<'_> {
        NewFile { path, parts: self.iter().collect(), access }
    }

    fn are(&self, file: &[u8]) -> bool {
        let left = self.iter().try_fold(file, |left, part| left.strip_prefix(part));
        left.is_some_and(<[u8]>::is_empty)
    }
}

/// A file of records, and how the leaf names it.
struct RecordFile {
    parts: Parts,
    reference: FileRef,
}

impl RecordFile {
    fn new(batch: &Batch, kind: FileKind, records: Vec<Vec<u8>>) -> Self {
        let bytes: usize = records.iter().map(Vec::len).sum();
        let n = count(bytes / kind.record_bytes().unwrap_or(RECORD_BYTES));
        let head = Header { kind, batch: batch.number(), n }.to_bytes().to_vec();
        let parts = Parts::new(head, records.into_iter());
        let reference = FileRef { n, root: file::root_of_parts(parts.iter()) };
        RecordFile { parts, reference }
    }

    fn is_empty(&self) -> bool {
        self.reference.n == 0
    }
}

fn assemble(core: &Core, batch: Batch, mut fates: Fates, destinations: Vec<Destination>) -> Result<Evidence> {
    // Of fates that were read back, too: files in which two parked rows are exchanged are not those of this evidence.
    fates.to.extend(destinations.iter().flat_map(Destination::registrations));
    let keys: Vec<Key> = batch
        .intent
        .pages
        .iter()
        .map(|page| core.keyring.get_or_create(batch.class.id, page.page.slot))
        .collect::<Result<_>>()?;
    // What is hashed together is hashed under one key.
    let of_one_key = |a: &PlannedRow, b: &PlannedRow| keys[a.page as usize] == keys[b.page as usize];
    let tasks = batch.rows.chunk_by(of_one_key).flat_map(|run| run.chunks(TASK_ROWS));
    let tasks: Vec<(usize, &[PlannedRow])> = tasks
        .scan(0, |next, rows| {
            let first = std::mem::replace(next, *next + rows.len());
            Some((first, rows))
        })
        .collect();
    let pieces: Vec<Piece> = core.pool.map(tasks, |_, (first, rows)| {
        let k = rows.first().map(|row| &keys[row.page as usize]);
        k.map_or(Ok(Piece::default()), |k| records(core, &batch, first, rows, &fates, k))
    })?;
    let summary = pieces.iter().map(|piece| piece.summary).fold(Summary::default(), Summary::plus);
    let (pages, finished_ms) = summary::by_page(&batch, &fates.of);
    let openings_head = (batch.class.definition.openings == Openings::Operator).then(|| {
        file::openings_head(batch.number(), pieces.iter().flat_map(|piece| piece.openings.lengths()))
    });
    let (mut tombstones, mut carries, mut results, mut openings) = (vec![], vec![], vec![], vec![]);
    for piece in pieces {
        tombstones.push(piece.tombstones);
        carries.push(piece.carries);
        results.push(piece.results);
        openings.push(piece.openings.into_bytes());
    }
    let tombstones = RecordFile::new(&batch, FileKind::Tombstones, tombstones);
    let carries = RecordFile::new(&batch, FileKind::Carries, carries);
    let results = RecordFile::new(&batch, FileKind::Results, results);
    Ok(Evidence {
        // One that could not be logged gets no further: there are no files yet that recovery would take up again.
        leaf: leaf(&batch, [&tombstones, &carries, &results], &pages, &summary, finished_ms)?,
        tombstones,
        carries,
        results,
        openings: openings_head.map(|head| Parts::new(head, openings.into_iter())),
        counts: summary.counts,
        finished_ms,
        batch,
        fates,
        destinations,
    })
}

/// The leaf of a batch that is logged when its last outcome is known.
fn leaf(
    batch: &Batch,
    [tombstones, carries, results]: [&RecordFile; 3],
    pages: &[(u32, u32)],
    summary: &Summary,
    finished_ms: i64,
) -> Result<String> {
    let intent = &batch.intent;
    let where_any = |file: &RecordFile| (!file.is_empty()).then_some(file.reference);
    let page = |(page, (tombstones, carries)): (&PageRows, &(u32, u32))| PageLine {
        slot: page.page.slot,
        shard: page.page.shard,
        part: page.page.part,
        seqs: page.rows,
        tombstones: *tombstones,
        carries: *carries,
    };
    let leaf = Leaf::Batch(BatchLeaf {
        logged_ms: finished_ms,
        batch: intent.batch,
        class: intent.class,
        class_leaf: batch.class.leaf_hash,
        pages: intent.pages.iter().zip(pages).map(page).collect(),
        tombstones: tombstones.reference,
        carries: where_any(carries),
        results: where_any(results),
        floor_max_ms: summary.floor_max_ms,
        ceiling_min_ms: summary.ceiling_min_ms,
        started_ms: intent.started_ms,
        finished_ms,
        tool: concat!("sexton/", env!("CARGO_PKG_VERSION")).into(),
    });
    leaf.encode().map_err(|e| Error::internal(format!("the leaf of batch {} is invalid: {e}", intent.batch)))
}

/// The records of some rows of a batch, which are blinded under one key: the hot path of enforcement, run on all cores.
fn records(
    core: &Core,
    batch: &Batch,
    first: usize,
    planned: &[PlannedRow],
    fates: &Fates,
    k: &Key,
) -> Result<Piece> {
    let class = &batch.class;
    let rows: Vec<Row<'_>> = planned.iter().map(|planned| batch.row(planned)).collect();
    let descriptors =
        planned.iter().zip(&rows).map(|(planned, row)| descriptor_of(core, class, batch.id(planned), row));
    let blinded = commitment::commit_each(k, descriptors.clone());
    let mut piece = Piece::default();
    piece.tombstones.reserve(planned.len() * RECORD_BYTES);
    if class.definition.openings == Openings::Operator {
        piece.openings.reserve(planned.len());
    }
    for (at, ((planned, row), (descriptor, blinded))) in
        (first..).zip(planned.iter().zip(&rows).zip(descriptors.zip(blinded)))
    {
        let Blinded { r, commitment } = blinded;
        let commitment = row.moved_commitment().unwrap_or(commitment);
        let (page, seq) = (planned.page, planned.seq);
        piece.summary.add(row, fates.of[at]);
        match fates.of[at] {
            Fate::Ends { method, time_ms } => {
                let record = Tombstone { page, seq, commitment, time_ms, reason: row.reason, method };
                piece.tombstones.extend_from_slice(&record.to_bytes());
                let result = fates.results.get(&at);
                if let Some(digest) = result {
                    let record = ResultRecord { page, seq, commitment: commitment::result(&r, digest) };
                    piece.results.extend_from_slice(&record.to_bytes());
                }
                if class.definition.openings == Openings::Operator {
                    seal::push(&mut piece.openings, &descriptor, result.map(Vec::as_slice));
                }
            }
            Fate::LivesOn { cause, time_ms } => {
                let to = fates.to.get(&at).copied();
                let to = to.ok_or_else(|| {
                    Error::internal(format!("registration {} was carried nowhere", descriptor.id))
                })?;
                let record = Carry { page, seq, commitment, time_ms, cause, to };
                piece.carries.extend_from_slice(&record.to_bytes());
            }
        }
    }
    seal::seal(&mut piece.openings, k);
    Ok(piece)
}

/// The paths of a batch's files.
pub(crate) struct Paths {
    pub(crate) tombstones: String,
    pub(crate) carries: String,
    pub(crate) results: String,
    pub(crate) openings: String,
}

impl Paths {
    pub(crate) fn of(batch: u64) -> Self {
        let path = batch_path(batch);
        Paths {
            tombstones: format!("tombstones/{path}.tomb"),
            carries: format!("tombstones/{path}.carry"),
            results: format!("tombstones/{path}.results"),
            openings: format!("openings/{path}.open"),
        }
    }
}

impl Evidence {
    /// Pages that took what was carried.
    pub(crate) fn to(&self) -> Vec<PageRows> {
        self.destinations.iter().map(|destination| destination.page).collect()
    }

    /// Each carried row: its place in the batch, and its registration id from here on.
    pub(crate) fn carried(&self) -> impl Iterator<Item = (usize, RegistrationId)> {
        self.destinations.iter().flat_map(Destination::registrations)
    }

    /// Each page that took carried rows, with its record.
    pub(crate) fn carried_pages(&self) -> impl Iterator<Item = (PageRows, PageRecord)> {
        let record = |d: &Destination| PageRecord {
            arrivals: d.arrivals,
            earliest_ceiling_ms: d.earliest_ceiling_ms,
            surprises: 0,
        };
        self.destinations.iter().map(move |d| (d.page, record(d)))
    }

    /// Makes the files durable. A crash before all of them are loses nothing, for the intent stands and the store is
    /// asked again; a crash after it finds files that match the intent and goes on to the commit without asking.
    pub(crate) fn write_files(&mut self, core: &Core) -> Result<()> {
        let paths = Paths::of(self.batch.number());
        if self.batch.intent.to != self.to() {
            // The reserved pages go on record before files that name them, so that recovery can resolve them.
            self.batch.intent.to = self.to();
            let mut set = WriteSet::default();
            set.put(Family::Meta, &schema::intent_key(self.batch.number()), &self.batch.intent.encode());
            core.writer.write_durably(set)?;
        }
        let mut files = vec![self.tombstones.parts.file(paths.tombstones, Access::Public)];
        for (path, file) in [(paths.carries, &self.carries), (paths.results, &self.results)] {
            if !file.is_empty() {
                files.push(file.parts.file(path, Access::Public));
            } else if self.batch.is_again() {
                // An earlier attempt may have published one that no leaf will ever name.
                core.files.remove(&path)?;
            }
        }
        if let Some(openings) = &self.openings {
            files.push(openings.file(paths.openings, Access::Private));
        }
        core.files.replace_all(&files)
    }

    /// Whether these are the files of this evidence.
    pub(crate) fn matches(
        &self,
        tombstones: &[u8],
        carries: Option<&[u8]>,
        results: Option<&[u8]>,
        openings: Option<&[u8]>,
    ) -> bool {
        let expected = |file: &RecordFile, found: Option<&[u8]>| match found {
            Some(bytes) => !file.is_empty() && file.parts.are(bytes),
            None => file.is_empty(),
        };
        self.tombstones.parts.are(tombstones)
            && expected(&self.carries, carries)
            && expected(&self.results, results)
            && self.openings.as_ref().is_none_or(|mine| openings.is_some_and(|file| mine.are(file)))
    }

    /// The leaf of this batch, logged at `logged_ms`, which is no earlier than its end.
    pub(crate) fn leaf(&self, logged_ms: i64) -> String {
        Leaf::logged_at(&self.leaf, logged_ms.max(self.finished_ms))
    }

    pub(crate) fn finished_ms(&self) -> i64 {
        self.finished_ms
    }
}
