//! From outcomes to evidence: what became of each row, the records that say so, and the files they stand in.
//!
//! Everything here follows from the batch and the fates alone, byte for byte. So recovery can read the fates out of
//! finished files, build the evidence again, and know by comparison that the files belong to the intent.

use crate::class::Find;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::files::{Access, NewFile};
use crate::keyring::Key;
use crate::kv::{Family, WriteSet};
use crate::plan::{self, Backoff, Batch, CarryGroups, Planned, PlannedRow};
use crate::register::descriptor_of;
use crate::schema::{self, Counts, FINGERPRINT_BYTES, PageRows};
use crate::store::Answer;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use rayon::prelude::*;
use sexton_proof::commitment::{self, Opening};
use sexton_proof::file;
use sexton_proof::id::{NO_CEILING, NO_FLOOR, RegistrationId, SIZE_UNKNOWN, batch_path};
use sexton_proof::leaf::{BatchLeaf, FileRef, Leaf, Openings, PageLine, ToLine};
use sexton_proof::record::{Carry, Cause, FileKind, Header, Method, Reason, Tombstone};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Rows of a batch that one task of the thread pool works on.
const TASK_ROWS: usize = 2_048;

/// What a store answered for one object, and when.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub answer: Answer,
    /// When it was known, Unix ms.
    pub at_ms: i64,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Ends { method: Method, time_ms: i64 },
    LivesOn { cause: Cause, time_ms: i64 },
}

impl Fate {
    fn time_ms(self) -> i64 {
        match self {
            Fate::Ends { time_ms, .. } | Fate::LivesOn { time_ms, .. } => time_ms,
        }
    }
}

/// A page that carried rows go to, and which rows of the batch.
struct Destination {
    page: PageRows,
    rows: Vec<usize>,
    earliest_ceiling_ms: i64,
}

/// A batch whose outcome is known, ready to be written and committed.
pub(crate) struct Evidence {
    pub(crate) batch: Batch,
    pub(crate) fates: Vec<Fate>,
    /// Under which each row is found by key; empty where the class does not find by key.
    pub(crate) fingerprints: Vec<[u8; FINGERPRINT_BYTES]>,
    pub(crate) counts: Counts,
    destinations: Vec<Destination>,
    tombstones: Vec<u8>,
    carries: Vec<u8>,
    openings: Option<Vec<u8>>,
    pages: Vec<(u32, u32)>,
    floor_max_ms: Option<i64>,
    ceiling_min_ms: Option<i64>,
    finished_ms: i64,
}

/// The fates of a batch's rows after the store has answered.
pub(crate) fn fates(core: &Core, batch: &Batch, outcomes: &[Outcome], now_ms: i64) -> Result<Vec<Fate>> {
    let complete = outcomes.len() == batch.len();
    if !complete {
        tracing::warn!(
            batch = batch.number(),
            expected = batch.len(),
            given = outcomes.len(),
            "a wrong number of outcomes: all count as failed"
        );
    }
    let mut answers = outcomes.iter();
    let mut fate = |row: &PlannedRow| -> Result<Fate> {
        // A deletion is never later than its report, nor earlier than its plan, whatever a host or a clock says.
        let known = |at_ms: i64| at_ms.min(now_ms).max(batch.intent.started_ms);
        Ok(match row.plan {
            Planned::Replaced => Fate::Ends { method: Method::Replaced, time_ms: known(now_ms) },
            Planned::BeforeFloor => Fate::LivesOn { cause: Cause::Floor, time_ms: known(now_ms) },
            Planned::Delete => match answers.next().filter(|_| complete) {
                Some(outcome) => answered(core, batch, row, &outcome.answer, known(outcome.at_ms))?,
                None => Fate::LivesOn { cause: Cause::Failed, time_ms: known(now_ms) },
            },
        })
    };
    batch.rows.iter().map(&mut fate).collect()
}

fn answered(core: &Core, batch: &Batch, row: &PlannedRow, answer: &Answer, time_ms: i64) -> Result<Fate> {
    let complain = |what: &str, why: &str| {
        tracing::warn!(id = %batch.id(row), class = batch.class(), why, "the object was not deleted: {what}");
    };
    Ok(match answer {
        Answer::Deleted => Fate::Ends { method: Method::Deleted, time_ms },
        Answer::Absent if batch.again || batch.row(row).maybe_deleted() => {
            Fate::Ends { method: Method::AbsentAfterIntent, time_ms }
        }
        Answer::Absent => Fate::Ends { method: Method::Absent, time_ms },
        // Registered anew while the batch was out: the newer registration answers for what is stored now.
        Answer::Changed if plan::is_replaced(core, batch.id(row))? => {
            Fate::Ends { method: Method::Replaced, time_ms }
        }
        Answer::Changed => {
            complain("what is stored there is not what was registered", "changed");
            Fate::LivesOn { cause: Cause::Changed, time_ms }
        }
        Answer::Refused(why) => {
            complain("the store refused", why);
            Fate::LivesOn { cause: Cause::Refused, time_ms }
        }
        Answer::Failed(why) => {
            complain("the store failed", why);
            Fate::LivesOn { cause: Cause::Failed, time_ms }
        }
    })
}

/// Builds the evidence of fresh fates, reserving pages for what lives on.
pub(crate) fn build(core: &Core, batch: Batch, fates: Vec<Fate>) -> Result<Evidence> {
    let mut destinations = Vec::new();
    for ((slot, shard), rows) in carry_groups(&batch, &fates) {
        let earliest_ceiling_ms = earliest_ceiling_ms(&batch, &rows);
        let n = count(rows.len());
        let page =
            core.index.lock(shard.into()).reserve(&*core.kv, &batch.class, slot, n, earliest_ceiling_ms)?;
        destinations.push(Destination { page: PageRows { page, rows: n }, rows, earliest_ceiling_ms });
    }
    destinations.sort_by_key(|destination| destination.page.page);
    assemble(core, batch, fates, destinations)
}

/// Builds the evidence of fates read back from files, with the pages that the intent says were reserved; `None`
/// where those do not fit.
pub(crate) fn rebuild(core: &Core, batch: Batch, fates: Vec<Fate>) -> Result<Option<Evidence>> {
    let groups = carry_groups(&batch, &fates);
    let fits = groups.len() == batch.intent.to.len()
        && groups.iter().zip(&batch.intent.to).all(|(((slot, shard), rows), to)| {
            (to.page.slot, to.page.shard, to.rows) == (*slot, *shard, count(rows.len()))
        });
    if !fits {
        return Ok(None);
    }
    let destination = |(rows, page): (Vec<usize>, PageRows)| {
        let earliest_ceiling_ms = earliest_ceiling_ms(&batch, &rows);
        Destination { page, rows, earliest_ceiling_ms }
    };
    let destinations = groups.into_values().zip(batch.intent.to.clone()).map(destination).collect();
    assemble(core, batch, fates, destinations).map(Some)
}

/// The carried rows by where they go. All wait from the same instant on, the batch's last, so that there are few
/// groups (a delay for each number of attempts, a shard each) however long the batch took: its leaf names them all.
fn carry_groups(batch: &Batch, fates: &[Fate]) -> CarryGroups {
    let before_floor = batch.rows.iter().zip(fates).filter_map(|(row, fate)| match fate {
        Fate::LivesOn { cause: Cause::Floor, .. } => Some(batch.row(row)),
        _ => None,
    });
    let last_ms = fates.iter().map(|fate| fate.time_ms()).max().unwrap_or(batch.intent.started_ms);
    let after_floors = before_floor.map(|row| batch.class.slot(row.bounds(), last_ms)).max().unwrap_or(0);
    let mut groups = BTreeMap::new();
    for (at, (planned, fate)) in batch.rows.iter().zip(fates).enumerate() {
        let Fate::LivesOn { cause, .. } = *fate else { continue };
        let slot = match cause {
            Cause::Floor => after_floors,
            _ => Backoff::DEFAULT.slot(batch.row(planned).attempts.saturating_add(1), last_ms),
        };
        groups.entry((slot, batch.page(planned).shard)).or_insert_with(Vec::new).push(at);
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
    sealed: Vec<Vec<u8>>,
    fingerprints: Vec<[u8; FINGERPRINT_BYTES]>,
}

fn assemble(core: &Core, batch: Batch, fates: Vec<Fate>, destinations: Vec<Destination>) -> Result<Evidence> {
    let keys: Vec<Key> = batch
        .intent
        .pages
        .iter()
        .map(|page| core.keyring.get_or_create(batch.class.id, page.page.slot))
        .collect::<Result<_>>()?;
    // Where each carried row goes, by its place in the batch.
    let mut goes_to: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
    for (ordinal, destination) in destinations.iter().enumerate() {
        goes_to
            .extend(destination.rows.iter().enumerate().map(|(seq, at)| (*at, (count(ordinal), count(seq)))));
    }
    let mut pieces: Vec<Piece> = batch
        .rows
        .par_chunks(TASK_ROWS)
        .enumerate()
        .map(|(task, rows)| records(core, &batch, task * TASK_ROWS, rows, &fates, &keys, &goes_to))
        .collect::<Result<_>>()?;
    let mut summary = Summary::of(&batch, &fates);
    summary.counts.carried = goes_to.len() as u64;
    let openings = (batch.class.definition.openings == Openings::Operator).then(|| {
        let sealed: Vec<Vec<u8>> = pieces.iter_mut().flat_map(|p| std::mem::take(&mut p.sealed)).collect();
        file::openings_file(batch.number(), &sealed)
    });
    Ok(Evidence {
        tombstones: evidence_file(&batch, FileKind::Tombstones, pieces.iter().map(|p| &p.tombstones)),
        carries: evidence_file(&batch, FileKind::Carries, pieces.iter().map(|p| &p.carries)),
        fingerprints: pieces.iter().flat_map(|p| p.fingerprints.iter().copied()).collect(),
        openings,
        counts: summary.counts,
        pages: summary.pages,
        floor_max_ms: summary.floor_max_ms,
        ceiling_min_ms: summary.ceiling_min_ms,
        finished_ms: summary.finished_ms,
        batch,
        fates,
        destinations,
    })
}

fn evidence_file<'a>(batch: &Batch, kind: FileKind, parts: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    for part in parts {
        bytes.extend_from_slice(part);
    }
    let n = count(bytes.len() / 64 - 1);
    bytes[..64].copy_from_slice(&Header { kind, batch: batch.number(), n }.to_bytes());
    bytes
}

/// The records of some rows of a batch: the hot path of enforcement, run on all cores.
fn records(
    core: &Core,
    batch: &Batch,
    first: usize,
    rows: &[PlannedRow],
    fates: &[Fate],
    keys: &[Key],
    goes_to: &BTreeMap<usize, (u32, u32)>,
) -> Result<Piece> {
    let class = &batch.class;
    let mut piece = Piece::default();
    let mut descriptor = Vec::with_capacity(512);
    for (at, planned) in (first..).zip(rows) {
        let (row, id, k) = (batch.row(planned), batch.id(planned), &keys[planned.page as usize]);
        descriptor.clear();
        descriptor_of(core, class, id, &row).encode_into(&mut descriptor);
        let r = commitment::blinding(k, &descriptor);
        let commitment = commitment::commit(&r, &descriptor);
        let (page, seq) = (planned.page, planned.seq);
        match fates[at] {
            Fate::Ends { method, time_ms } => {
                let record = Tombstone { page, seq, commitment, time_ms, reason: Reason::Due, method };
                piece.tombstones.extend_from_slice(&record.to_bytes());
                if class.definition.openings == Openings::Operator {
                    piece.sealed.push(seal(k, id, &row.opening(r)));
                }
            }
            Fate::LivesOn { cause, time_ms } => {
                let (to_page, to_seq) = goes_to.get(&at).copied().unwrap_or_default();
                let record = Carry { page, seq, commitment, time_ms, cause, to_page, to_seq };
                piece.carries.extend_from_slice(&record.to_bytes());
            }
        }
        if class.definition.find == Find::Key {
            piece.fingerprints.push(core.index.locate(row.key).1);
        }
    }
    Ok(piece)
}

/// Encrypts an opening under K and the object's key. Each such key encrypts one message, so the nonce may be zero; what
/// authenticates it is the commitment in the tombstone, so no tag is kept.
fn seal(k: &[u8; 32], id: RegistrationId, opening: &Opening) -> Vec<u8> {
    let mut bytes = opening.encode_without_key();
    apply_keystream(k, id, &opening.key, &mut bytes);
    bytes
}

/// Decrypts what [`seal`] encrypted. Where K, id or the object's key is another, nothing comes out, or something that
/// does not fit the commitment: the caller compares.
pub(crate) fn unseal(k: &[u8; 32], id: RegistrationId, object_key: &[u8], sealed: &[u8]) -> Option<Opening> {
    let mut bytes = sealed.to_vec();
    apply_keystream(k, id, object_key, &mut bytes);
    Opening::decode_without_key(&bytes, object_key).ok()
}

fn apply_keystream(k: &[u8; 32], id: RegistrationId, object_key: &[u8], bytes: &mut [u8]) {
    let key = Zeroizing::new(commitment::opening_key(k, &id, object_key));
    ChaCha20::new((&*key).into(), &[0; 12].into()).apply_keystream(bytes);
}

struct Summary {
    counts: Counts,
    pages: Vec<(u32, u32)>,
    floor_max_ms: Option<i64>,
    ceiling_min_ms: Option<i64>,
    finished_ms: i64,
}

impl Summary {
    fn of(batch: &Batch, fates: &[Fate]) -> Self {
        let mut all = Summary {
            counts: Counts::default(),
            pages: vec![(0, 0); batch.intent.pages.len()],
            floor_max_ms: None,
            ceiling_min_ms: None,
            finished_ms: batch.intent.started_ms,
        };
        for (planned, fate) in batch.rows.iter().zip(fates) {
            let page = &mut all.pages[planned.page as usize];
            let time_ms = match *fate {
                Fate::Ends { method, time_ms } => {
                    page.0 += 1;
                    let row = batch.row(planned);
                    all.end(&row, method, time_ms);
                    time_ms
                }
                Fate::LivesOn { time_ms, .. } => {
                    page.1 += 1;
                    time_ms
                }
            };
            all.finished_ms = all.finished_ms.max(time_ms);
        }
        all
    }

    fn end(&mut self, row: &schema::Row<'_>, method: Method, time_ms: i64) {
        if row.floor_ms != NO_FLOOR {
            self.floor_max_ms = self.floor_max_ms.max(Some(row.floor_ms));
        }
        if row.ceiling_ms != NO_CEILING {
            self.ceiling_min_ms = Some(self.ceiling_min_ms.map_or(row.ceiling_ms, |c| c.min(row.ceiling_ms)));
        }
        let counts = &mut self.counts;
        match method {
            Method::Deleted => {
                counts.deleted += 1;
                let known_bytes = if row.size_bytes == SIZE_UNKNOWN { 0 } else { row.size_bytes };
                counts.deleted_bytes = counts.deleted_bytes.saturating_add(known_bytes);
            }
            Method::Absent => counts.absent += 1,
            Method::AbsentAfterIntent => counts.absent_after_intent += 1,
            Method::Replaced => counts.replaced += 1,
        }
        // A replaced registration promised nothing about its own end any more.
        if method != Method::Replaced {
            counts.early += u64::from(time_ms < row.floor_ms);
            counts.late += u64::from(time_ms > row.ceiling_ms);
        }
    }
}

/// The paths of a batch's files.
pub(crate) struct Paths {
    pub(crate) tombstones: String,
    pub(crate) carries: String,
    pub(crate) openings: String,
}

impl Paths {
    pub(crate) fn of(batch: u64) -> Self {
        let path = batch_path(batch);
        Paths {
            tombstones: format!("tombstones/{path}.tomb"),
            carries: format!("tombstones/{path}.carry"),
            openings: format!("openings/{path}.open"),
        }
    }
}

impl Evidence {
    fn has_carries(&self) -> bool {
        !self.destinations.is_empty()
    }

    /// Pages that took what was carried.
    pub(crate) fn to(&self) -> Vec<PageRows> {
        self.destinations.iter().map(|destination| destination.page).collect()
    }

    /// Each carried row: its place in the batch, and its registration id from here on.
    pub(crate) fn carried(&self) -> impl Iterator<Item = (usize, RegistrationId)> {
        self.destinations.iter().flat_map(|destination| {
            let page = destination.page.page;
            (0_u32..).zip(&destination.rows).map(move |(seq, at)| (*at, RegistrationId { page, seq }))
        })
    }

    /// Each page that took carried rows, with its earliest ceiling.
    pub(crate) fn carried_pages(&self) -> impl Iterator<Item = (PageRows, i64)> {
        self.destinations.iter().map(|d| (d.page, d.earliest_ceiling_ms))
    }

    /// Makes the files durable. A crash before all of them are loses nothing, for the intent stands and the store is
    /// asked again; a crash after it finds files that match the intent and goes on to the commit without asking.
    pub(crate) fn write_files(&mut self, core: &Core) -> Result<()> {
        // A leaf that could not be logged must not get as far as files that recovery would take up again.
        self.leaf(self.finished_ms)?;
        let paths = Paths::of(self.batch.number());
        let public = |path: String, bytes| NewFile { path, bytes, access: Access::Public };
        let mut files = vec![public(paths.tombstones, &self.tombstones)];
        if self.has_carries() {
            // The reserved pages go on record before files that name them, so that recovery can resolve them.
            self.batch.intent.to = self.to();
            let mut set = WriteSet::default();
            set.put(Family::Meta, &schema::intent_key(self.batch.number()), &self.batch.intent.encode());
            core.writer.write_durably(set)?;
            files.push(public(paths.carries, &self.carries));
        } else if self.batch.again {
            // An earlier attempt may have published carries that no leaf will ever name.
            core.files.remove(&paths.carries)?;
        }
        if let Some(openings) = &self.openings {
            files.push(NewFile { path: paths.openings, bytes: openings, access: Access::Private });
        }
        core.files.replace_all(&files)
    }

    /// Whether these are the files of this evidence.
    pub(crate) fn matches(&self, tombstones: &[u8], carries: Option<&[u8]>, openings: Option<&[u8]>) -> bool {
        self.tombstones == tombstones
            && (!self.has_carries() || carries == Some(&self.carries))
            && self.openings.as_deref().is_none_or(|mine| openings == Some(mine))
    }

    /// The leaf of this batch, logged at `logged_ms`.
    pub(crate) fn leaf(&self, logged_ms: i64) -> Result<String> {
        let intent = &self.batch.intent;
        let reference = |bytes: &[u8]| FileRef { n: count(bytes.len() / 64 - 1), root: file::root(bytes) };
        let page = |(page, (tombstones, carries)): (&PageRows, &(u32, u32))| PageLine {
            slot: page.page.slot,
            shard: page.page.shard,
            part: page.page.part,
            seqs: page.rows,
            tombstones: *tombstones,
            carries: *carries,
        };
        let to = |to: PageRows| ToLine {
            slot: to.page.slot,
            shard: to.page.shard,
            part: to.page.part,
            seqs: to.rows,
        };
        let leaf = Leaf::Batch(BatchLeaf {
            logged_ms: logged_ms.max(self.finished_ms),
            batch: intent.batch,
            class: intent.class,
            class_leaf: self.batch.class.leaf_hash,
            pages: intent.pages.iter().zip(&self.pages).map(page).collect(),
            to: self.to().into_iter().map(to).collect(),
            tombstones: reference(&self.tombstones),
            carries: self.has_carries().then(|| reference(&self.carries)),
            floor_max_ms: self.floor_max_ms,
            ceiling_min_ms: self.ceiling_min_ms,
            started_ms: intent.started_ms,
            finished_ms: self.finished_ms,
            tool: concat!("sexton/", env!("CARGO_PKG_VERSION")).into(),
        });
        leaf.encode()
            .map_err(|e| Error::internal(format!("the leaf of batch {} is invalid: {e}", intent.batch)))
    }

    pub(crate) fn finished_ms(&self) -> i64 {
        self.finished_ms
    }
}
