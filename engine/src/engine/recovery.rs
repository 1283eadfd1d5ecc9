//! Recovery: finishes batches that a crash interrupted, by the same steps as without a crash.
//!
//! A batch whose evidence files are complete is committed. Any other is handed out again.

use crate::enforcement::commit::Committer;
use crate::enforcement::evidence::{self, Evidence, Fate, Fates};
use crate::enforcement::planner::{self, Times};
use crate::model::schema::Intent;
use crate::platform::error::Result;
use crate::state::batch::Batch;
use crate::state::core::Core;
use crate::state::page::{Page, PageState};
use crate::state::paths::BatchPaths;
use sexton_proof::file::{EvidenceFile, OpeningsFile};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::{FileKind, Method};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;

/// Attempt at a batch that an earlier opening handed over.
const AGAIN: u32 = 2;

/// Commits batches whose evidence files were finished. The others stay with the planner, which hands them out again.
pub(crate) fn finish_interrupted(core: &Core) -> Result<()> {
    let mut planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    let unfinished = std::mem::take(&mut planner.unfinished);
    drop(planner);
    for unanswered in unfinished {
        match from_files(core, &unanswered.intent, now)? {
            Some(evidence) => {
                for (to, record) in evidence.reserved_page_records() {
                    let (part, state) = (to.page.part, PageState::Reserved);
                    let ceiling = record.earliest_ceiling;
                    let page = Page::new(part, to.rows, state, record.arrivals, ceiling);
                    core.schedule.lock(to.page.shard.into()).restore(to.page, page)?;
                }
                Committer::default().commit(core, evidence)?;
            }
            None => core.batches.planner.lock().unfinished.push_back(unanswered),
        }
    }
    Ok(())
}

/// Rebuilds the evidence of an intent. `None` if its files were not finished before the crash.
fn from_files(core: &Core, intent: &Intent, now: Timestamp) -> Result<Option<Evidence>> {
    let paths = BatchPaths::of(intent.batch);
    let Some(tombstones) = core.files.read(&paths.tombstones)? else { return Ok(None) };
    let carries = core.files.read(&paths.carries)?;
    let results = core.files.read(&paths.results)?;
    let openings = core.files.read(&paths.openings)?;
    let times = Times::at(now, core.governance.doubts.ended());
    let batch = planner::read_batch(core, intent.clone(), AGAIN, times)?;
    let Some(mut fates) = fates_of_files(intent, &tombstones, carries.as_deref()) else { return Ok(None) };
    let results_of = results_of_files(core, &batch, &fates.of, openings.as_deref())?;
    let Some(results_of) = results_of else { return Ok(None) };
    fates.results = results_of;
    let Some(evidence) = evidence::rebuild(core, batch, fates)? else { return Ok(None) };
    let same = evidence.matches(&tombstones, carries.as_deref(), results.as_deref(), openings.as_deref());
    Ok(same.then_some(evidence))
}

/// Returns the fate of every row of the intent, in order. `None` if the files do not give each row one.
fn fates_of_files(intent: &Intent, tombstones: &[u8], carries: Option<&[u8]>) -> Option<Fates> {
    let tombstones = EvidenceFile::parse(tombstones, FileKind::Tombstones).ok()?;
    let carries = carries.map(|bytes| EvidenceFile::parse(bytes, FileKind::Carries)).transpose().ok()?;
    let mut found: BTreeMap<(u32, u32), (Fate, Option<RegistrationId>)> = BTreeMap::new();
    for t in tombstones.tombstones() {
        found.insert((t.page, t.seq), (Fate::Ends { method: t.method, time: t.time }, None));
    }
    for c in carries.iter().flat_map(EvidenceFile::carries) {
        found.insert((c.page, c.seq), (Fate::Carried { cause: c.cause, time: c.time }, Some(c.to)));
    }
    let rows =
        (0_u32..).zip(&intent.pages).flat_map(|(page, rows)| (0..rows.rows).map(move |seq| (page, seq)));
    let mut fates = Fates::default();
    for (at, row) in rows.enumerate() {
        let (fate, to) = found.remove(&row)?;
        fates.of.push(fate);
        fates.to.extend(to.map(|to| (at, to)));
    }
    Some(fates)
}

/// Returns the result digests of anonymised objects, by row of the batch, from their openings. `None` if one does not
/// open.
fn results_of_files(
    core: &Core,
    batch: &Batch,
    fates: &[Fate],
    openings: Option<&[u8]>,
) -> Result<Option<BTreeMap<usize, Vec<u8>>>> {
    let mut results = BTreeMap::new();
    let file = openings.and_then(|bytes| OpeningsFile::parse(bytes).ok());
    let mut sealed = file.iter().flat_map(OpeningsFile::iter);
    for (at, (planned, fate)) in batch.rows.iter().zip(fates).enumerate() {
        let Fate::Ends { method, .. } = *fate else { continue };
        let sealed = sealed.next();
        if method == Method::Anonymised {
            let (id, row) = (batch.id(planned), batch.row(planned));
            let k = core.secrets.keyring.get_or_create(id.page.class, id.page.slot)?;
            let opened =
                sealed.and_then(|sealed| evidence::unseal(&k, id, row.names().first, sealed, method));
            let Some((_, Some(digest))) = opened else { return Ok(None) };
            results.insert(at, digest);
        }
    }
    Ok(Some(results))
}
