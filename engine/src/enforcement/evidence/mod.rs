//! Evidence of a batch: from outcomes to the fate of each row, to the records of the fates, to the files of the records.
//!
//! Everything here follows from the batch and the fates alone, byte for byte. So recovery can read the fates out of finished
//! files, build the evidence again, and compare: equal files belong to the intent.

mod destinations;
mod fates;
mod files;
mod records;
mod seal;
mod summary;

pub(crate) use self::fates::{Fate, Fates, check_answer, fates};
pub(crate) use self::seal::unseal;

use self::destinations::Destination;
use self::files::{Chunks, RecordFile};
use self::summary::Summary;
use crate::model::outcomes::Outcomes;
use crate::model::schema::{self, Counts, PageRecord, PageRows};
use crate::platform::error::{Error, Result};
use crate::platform::files::Access;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::batch::{Batch, PlannedRow};
use crate::state::core::Core;
use crate::state::paths::BatchPaths;
use sexton_proof::file;
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::{BatchLeaf, Leaf, Openings, PageLine, rounding};
use sexton_proof::record::{Cause, FileKind, Method};
use sexton_proof::time::Timestamp;

/// Evidence of a batch whose outcomes are known, ready to be written and committed.
pub(crate) struct Evidence {
    pub(crate) batch: Batch,
    pub(crate) fates: Fates,
    pub(crate) counts: Counts,
    pub(crate) outcomes: Outcomes,
    destinations: Vec<Destination>,
    tombstones: RecordFile,
    carries: RecordFile,
    results: RecordFile,
    openings: Option<Chunks>,
    /// Leaf, as if it were logged when the last outcome was known.
    leaf: String,
    /// Instant at which the last outcome was known.
    finished: Timestamp,
}

/// Builds the evidence of new fates, and reserves pages for the rows that are carried.
pub(crate) fn build(core: &Core, batch: Batch, fates: Fates) -> Result<Evidence> {
    let destinations = destinations::reserve(core, &batch, &fates)?;
    assemble(core, batch, fates, destinations)
}

/// Builds the evidence of fates read back from files. `None` if the intent did not reserve the pages that they name.
pub(crate) fn rebuild(core: &Core, batch: Batch, fates: Fates) -> Result<Option<Evidence>> {
    let Some(destinations) = destinations::read_back(&batch, &fates) else { return Ok(None) };
    assemble(core, batch, fates, destinations).map(Some)
}

fn assemble(core: &Core, batch: Batch, mut fates: Fates, destinations: Vec<Destination>) -> Result<Evidence> {
    // Replaces ids that were read back as well. So files with two parked rows exchanged differ from this evidence.
    fates.to.extend(destinations.iter().flat_map(Destination::registrations));
    let made = records::make_records(core, &batch, &fates)?;
    let summary = made.iter().map(|records| records.summary).fold(Summary::default(), Summary::plus);
    let (pages, finished) = summary::by_page(&batch, &fates.of);
    let openings_head = (batch.class.definition.openings == Openings::Operator).then(|| {
        file::openings_head(batch.number(), made.iter().flat_map(|records| records.openings.lengths()))
    });
    let (mut tombstones, mut carries, mut results, mut openings) = (vec![], vec![], vec![], vec![]);
    for records in made {
        tombstones.push(records.tombstones);
        carries.push(records.carries);
        results.push(records.results);
        openings.push(records.openings.into_bytes());
    }
    let tombstones = RecordFile::new(&batch, FileKind::Tombstones, tombstones);
    let carries = RecordFile::new(&batch, FileKind::Carries, carries);
    let results = RecordFile::new(&batch, FileKind::Results, results);
    Ok(Evidence {
        // A leaf that cannot be logged fails here, before `write_files`. So recovery never finds files of it.
        leaf: leaf(&batch, [&tombstones, &carries, &results], &pages, &summary, finished)?,
        tombstones,
        carries,
        results,
        openings: openings_head.map(|head| Chunks::new(head, openings.into_iter()).with_check()),
        counts: summary.counts,
        outcomes: summary.outcomes,
        finished,
        batch,
        fates,
        destinations,
    })
}

/// Returns the leaf of a batch, as if it were logged when the last outcome was known. `pages` has the number of tombstones
/// and of carries of each page.
fn leaf(
    batch: &Batch,
    [tombstones, carries, results]: [&RecordFile; 3],
    pages: &[(u32, u32)],
    summary: &Summary,
    finished: Timestamp,
) -> Result<String> {
    let intent = &batch.intent;
    let reference = |file: &RecordFile| (!file.is_empty()).then_some(file.reference);
    let page = |(page, (tombstones, carries)): (&PageRows, &(u32, u32))| PageLine {
        slot: page.page.slot,
        shard: page.page.shard,
        part: page.page.part,
        seqs: page.rows,
        tombstones: *tombstones,
        carries: *carries,
    };
    let unit = rounding::unit(batch.class.definition.slot);
    let rounded = |bound: Option<Timestamp>, round: fn(Timestamp, i128) -> Option<Timestamp>| {
        let outside = || Error::internal(format!("a bound of batch {} cannot be rounded", intent.batch));
        bound.map(|at| round(at, unit).ok_or_else(outside)).transpose()
    };
    let leaf = Leaf::Batch(BatchLeaf {
        logged: finished,
        batch: intent.batch,
        class: intent.class,
        class_leaf: batch.class.leaf_hash,
        pages: intent.pages.iter().zip(pages).map(page).collect(),
        tombstones: tombstones.reference,
        carries: reference(carries),
        results: reference(results),
        floor_max: rounded(summary.floor_max, rounding::floor_max)?,
        ceiling_min: rounded(summary.ceiling_min, rounding::ceiling_min)?,
        started: intent.started,
        finished,
        tool: concat!("sexton/", env!("CARGO_PKG_VERSION")).into(),
    });
    leaf.encode().map_err(|e| Error::internal(format!("the leaf of batch {} is invalid: {e}", intent.batch)))
}

impl Evidence {
    /// Returns the pages that are reserved for parked rows.
    pub(crate) fn reserved_pages(&self) -> Vec<PageRows> {
        self.destinations.iter().map(|destination| destination.page).collect()
    }

    /// Yields the index of each parked row in the batch, with its registration id from now on.
    pub(crate) fn parked_rows(&self) -> impl Iterator<Item = (usize, RegistrationId)> {
        self.destinations.iter().flat_map(Destination::registrations)
    }

    /// Yields each page that is reserved for parked rows, with its record.
    pub(crate) fn reserved_page_records(&self) -> impl Iterator<Item = (PageRows, PageRecord)> {
        self.destinations.iter().map(|destination| (destination.page, destination.record()))
    }

    /// Yields the id of each row before the batch, and its id from now on if the store did not delete its object.
    pub(crate) fn failed_rows(&self) -> impl Iterator<Item = (RegistrationId, Option<RegistrationId>)> {
        self.batch.rows.iter().enumerate().map(|(index, planned)| {
            let has_failed = match self.fates.of[index] {
                Fate::Carried { cause, .. } => {
                    matches!(cause, Cause::Failed | Cause::Refused | Cause::Changed)
                }
                Fate::Ends { .. } => false,
            };
            let to = self.fates.to.get(&index).filter(|_| has_failed);
            (self.batch.id(planned), to.copied())
        })
    }

    /// Yields each row whose object ends with this batch, with the method and the instant. A replaced registration
    /// is not the end of an object.
    pub(crate) fn ended_objects(&self) -> impl Iterator<Item = (&PlannedRow, Method, Timestamp)> {
        self.batch.rows.iter().zip(&self.fates.of).filter_map(|(planned, fate)| match *fate {
            Fate::Ends { method, time } if method != Method::Replaced => Some((planned, method, time)),
            Fate::Ends { .. } | Fate::Carried { .. } => None,
        })
    }

    /// Makes the evidence files durable.
    ///
    /// A crash before all of them are durable loses nothing, because the intent is on disk. The store is asked for the same
    /// objects again, and answers `Absent` for those it deleted. A crash after that loses nothing, because the files match
    /// the intent: recovery commits them without asking the store.
    pub(crate) fn write_files(&mut self, core: &Core) -> Result<()> {
        let paths = BatchPaths::of(self.batch.number());
        if self.batch.intent.to != self.reserved_pages() {
            // The intent names the reserved pages before any file does. A crash in between loses nothing: recovery
            // finds no finished files, and the next attempt reserves pages again.
            self.batch.intent.to = self.reserved_pages();
            let mut set = WriteSet::default();
            set.put(
                ColumnFamily::Meta,
                &schema::intent_key(self.batch.number()),
                &self.batch.intent.encode(),
            );
            core.writer.write_durably(set)?;
        }
        let mut files = vec![self.tombstones.chunks.file(paths.tombstones, Access::Public)];
        for (path, file) in [(paths.carries, &self.carries), (paths.results, &self.results)] {
            if !file.is_empty() {
                files.push(file.chunks.file(path, Access::Public));
            } else if self.batch.is_repeated() {
                // An earlier attempt may have written this file. No leaf will name it.
                core.files.remove(&path)?;
            }
        }
        if let Some(openings) = &self.openings {
            files.push(openings.file(paths.openings, Access::Private));
        }
        core.files.replace_all(&files)
    }

    /// Returns `true` if these files are exactly those of this evidence.
    pub(crate) fn matches(
        &self,
        tombstones: &[u8],
        carries: Option<&[u8]>,
        results: Option<&[u8]>,
        openings: Option<&[u8]>,
    ) -> bool {
        self.tombstones.chunks.equals(tombstones)
            && self.carries.equals(carries)
            && self.results.equals(results)
            && self.openings.as_ref().is_none_or(|own| openings.is_some_and(|file| own.equals(file)))
    }

    /// Returns the leaf of this batch, logged at `logged`, or when the last outcome was known if that is later.
    pub(crate) fn leaf(&self, logged: Timestamp) -> String {
        Leaf::logged_at(&self.leaf, logged.max(self.finished))
    }

    /// Returns the instant at which the last outcome was known.
    pub(crate) fn finished(&self) -> Timestamp {
        self.finished
    }
}
