//! Commit: the atomic step. One durable write settles the pages of a batch and deletes their rows. It also puts the carried
//! rows into their new pages, appends the leaf to the log, and clears the intent. Before that write
//! the batch has no effect; after it, its full effect.
//!
//! Other steps write to the index as well. Only this step removes live rows; `reclaim` removes rows that are void already.

use crate::enforcement::ended;
use crate::enforcement::evidence::{Evidence, Fate};
use crate::enforcement::feed;
use crate::model::schema::{self, Flags, Links, Mark, PageRows, Row, Settled};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::placement;
use crate::state::batch::{Batch, Planned, PlannedRow};
use crate::state::core::{Core, Ledger};
use crate::state::locator;
use crate::state::marks;
use crate::state::shard::Shard;
use crate::state::writer::PoisoningGuard;
use parking_lot::Mutex;
use sexton_proof::id::PageId;
use sexton_proof::record::Cause;
use sexton_proof::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Evidence that waits for a commit, with the slot for its result.
type Waiting = (Evidence, Arc<Mutex<Option<Result<u64>>>>);

/// Commits evidence whose files are durable. The thread that gets the ledger's lock commits all evidence that waits, with one
/// write and one fsync.
#[derive(Default)]
pub(crate) struct Committer(Mutex<Vec<Waiting>>);

impl Committer {
    /// Commits the evidence and returns the index of the batch's leaf. After `Ok` the end of these objects survives the loss
    /// of power. After `Err` the engine is poisoned: the end may or may not survive. Recovery decides at the next opening.
    pub(crate) fn commit(&self, core: &Core, evidence: Evidence) -> Result<u64> {
        let index = self.commit_in_group(core, evidence)?;
        // The commit stands even if the flush fails: the memtable still finds what was carried.
        let _ = locator::flush_if_full(core);
        Ok(index)
    }

    /// Commits the evidence together with all that waits, unless another thread has done so meanwhile.
    fn commit_in_group(&self, core: &Core, evidence: Evidence) -> Result<u64> {
        let now = core.now(&evidence.batch).now;
        let result = Arc::new(Mutex::new(None));
        self.0.lock().push((evidence, Arc::clone(&result)));
        let mut ledger = core.transparency.ledger.lock();
        if let Some(done) = result.lock().take() {
            return done;
        }
        let group = std::mem::take(&mut *self.0.lock());
        match commit_group(core, &mut ledger, &group, now) {
            Ok(first) => {
                for (index, (_, slot)) in (first..).zip(&group) {
                    *slot.lock() = Some(Ok(index));
                }
            }
            Err(error) => {
                core.writer.poison(&error);
                for (_, slot) in &group {
                    *slot.lock() = Some(core.writer.check().map(|()| 0));
                }
                return Err(error);
            }
        }
        drop(ledger);
        let done = result.lock().take();
        done.unwrap_or_else(|| Err(Error::internal("a commit was left without a result")))
    }
}

/// Commits a group of evidence. Returns the index of the first leaf; the others follow in order.
fn commit_group(core: &Core, ledger: &mut Ledger, group: &[Waiting], now: Timestamp) -> Result<u64> {
    let mut log = ledger.log.clone();
    let first = log.size();
    let mut counts = ledger.counts.clone();
    let mut feed = ledger.feed;
    let mut set = WriteSet::default();
    let marked = marked_pages(core, group);
    for (evidence, _) in group {
        let logged = log.next_logged(now.max(evidence.finished()));
        let leaf = log.append(&mut set, evidence.leaf(logged).as_bytes(), logged)?;
        stage_settled(&mut set, evidence, &marked, leaf);
        feed = feed::stage_entries(core, &mut set, evidence, feed)?;
        ended::stage_ended(core, &mut set, evidence);
        let total = counts.entry(evidence.batch.class.id).or_default();
        total.add(evidence.counts);
        set.put(ColumnFamily::Meta, &schema::counts_key(evidence.batch.class.id), &total.encode());
        set.delete(ColumnFamily::Meta, &schema::intent_key(evidence.batch.number()));
    }
    // All shards are locked from here to the write, and released before the fsync. A concurrent registration that replaces
    // a carried row sees it either in its old page or in its new one. No page begins between pages whose rows are deleted
    // as one range.
    let mut shards = core.schedule.lock_all();
    for (evidence, _) in group {
        stage_row_deletions(&mut set, evidence, &shards);
        stage_carried(core, &mut set, evidence, &mut shards)?;
    }
    // One atomic write. A crash before it loses nothing, because the intent and the files are on disk: recovery commits
    // them. A crash after it, or between it and the fsync, leaves all of the write or none. So no row is gone without its
    // tombstone: row, settled record and leaf are in the same write, and the files were durable before it.
    let write = core.writer.write(set)?;
    drop(shards);
    core.writer.sync(write)?;
    ledger.log = log;
    ledger.counts = counts;
    ledger.feed = feed;
    for (evidence, _) in group {
        // First the carried rows' pages become visible, then the settled pages go: a reader finds every row in one of them.
        core.schedule.close(&evidence.reserved_pages());
        core.schedule.settle(&evidence.batch.intent.pages);
        core.tally.add_outcomes(evidence.batch.class(), &evidence.outcomes);
        core.failures.follow(evidence.failed_rows());
    }
    core.residue.add();
    Ok(first)
}

/// Returns the pages that have marks to be deleted.
///
/// A registration that is replaced after this gets a mark that stays under its settled page. There it is void.
fn marked_pages(core: &Core, group: &[Waiting]) -> BTreeSet<PageId> {
    let pages = group.iter().flat_map(|(evidence, _)| &evidence.batch.intent.pages);
    core.schedule.marked(pages.map(|rows| rows.page)).into_iter().collect()
}

/// Stages the settled records of a batch's pages, and the deletion of the pages' records and marks.
fn stage_settled(set: &mut WriteSet, evidence: &Evidence, marked: &BTreeSet<PageId>, leaf: u64) {
    let intent = &evidence.batch.intent;
    for (ordinal, PageRows { page, .. }) in (0_u32..).zip(&intent.pages) {
        let settled = Settled { leaf, batch: intent.batch, ordinal };
        set.put(ColumnFamily::Settled, &schema::settled_key(*page), &settled.encode());
        if marked.contains(page) {
            let marks = schema::page_registration_range(*page);
            set.delete_range(ColumnFamily::Marks, &marks.start..&marks.end);
        }
    }
    for PageRows { page, .. } in &intent.pages {
        set.delete(ColumnFamily::Meta, &schema::page_key(*page));
    }
}

/// Stages the deletion of the rows of all pages. The rows of adjacent pages are deleted as one range, because all rows
/// between them are void. RocksDB sorts all its range deletions again after each new one, so many small ones would cost
/// more than the rows.
///
/// The caller holds the locks of all shards from here to the write. Other threads put rows only under their shard's lock,
/// and only into pages that are in the wheel: a commit's pages are there as `PageState::Reserved`. So if the wheels have no
/// page between two pages, no live row lies between them either, and none is put there before the write.
fn stage_row_deletions(set: &mut WriteSet, evidence: &Evidence, shards: &[PoisoningGuard<'_, Shard>]) {
    let is_next = |a: &PageRows, b: &PageRows| {
        a.page < b.page && !shards.iter().any(|shard| shard.lives_between(a.page, b.page))
    };
    for run in evidence.batch.intent.pages.chunk_by(is_next) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (from, to) = (schema::page_row_range(first.page).start, schema::page_row_range(last.page).end);
        set.delete_range(ColumnFamily::Rows(first.page.class), &from..&to);
    }
}

/// Stages the parked rows of a batch in their new pages, with their entries in the key index.
fn stage_carried(
    core: &Core,
    set: &mut WriteSet,
    evidence: &Evidence,
    shards: &mut [PoisoningGuard<'_, Shard>],
) -> Result<()> {
    let batch = &evidence.batch;
    for (index, id) in evidence.parked_rows() {
        let planned = &batch.rows[index];
        let row = carried_row(batch, planned, evidence.fates.of[index]);
        set.put_with(ColumnFamily::Rows(id.page.class), &schema::row_key(id), |out| row.encode_into(out));
        if !batch.class.finds_by_key() {
            continue;
        }
        if marks::is_replaced(&*core.kv, batch.id(planned))? {
            // A newer registration replaced it while the batch was in flight. It stays replaced, and ends as `Replaced`.
            set.put(ColumnFamily::Marks, &schema::mark_key(id), &Mark::Replaced.encode());
            if let Some(page) = shards.get_mut(usize::from(id.page.shard)).and_then(|s| s.page_mut(id.page)) {
                page.has_marks = true;
            }
        } else if let Some(shard) = shards.get_mut(usize::from(id.page.shard)) {
            locator::put(core, shard, set, &core.schedule.locate(row.key).1, id);
            placement::put_first(core, shard, set, id, &row);
        }
    }
    for (page, record) in evidence.reserved_page_records() {
        set.put(ColumnFamily::Meta, &schema::page_key(page.page), &record.encode());
    }
    Ok(())
}

/// Returns the row as it lives on: the same object and bounds with the cause and, after an attempt, one attempt more. It names
/// the row of the batch, and nothing that the row of the batch named.
fn carried_row<'a>(batch: &'a Batch, planned: &PlannedRow, fate: Fate) -> Row<'a> {
    let row = batch.row(planned);
    let Fate::Carried { cause, .. } = fate else { return row };
    let attempted = matches!(cause, Cause::Failed | Cause::Refused | Cause::Changed);
    let attempts = row.attempts.saturating_add(u8::from(attempted));
    // The object may be deleted already: before a crash that lost the answer, or by an attempt that failed.
    let flags = match batch.is_repeated() || cause == Cause::Failed {
        true => row.flags.with(Flags::MAYBE_DELETED),
        false => row.flags,
    };
    // After a crash the plan is made again. Without a standing hold in it, no evidence may rely on one.
    let parked_after_lift = cause == Cause::Held && planned.plan != Planned::Held { standing: true };
    let links = Links { continues: Some((cause, batch.id(planned))), replaces: None, parked_after_lift };
    Row { cause: cause.code(), flags, attempts, links, ..row }
}
