//! THE atomic step: in one durable write the pages are settled, their rows go, what lives on appears where it went,
//! the log gets its leaf and the intent is cleared. Before it nothing has ended; after it everything has.

use crate::class::{Class, Definition};
use crate::core::{Core, Ledger};
use crate::error::{Error, Result};
use crate::evidence::{Evidence, Fate};
use crate::feed;
use crate::index::Shard;
use crate::kv::{Family, WriteSet};
use crate::locator;
use crate::plan;
use crate::schema::{self, Flags, Mark, PageRows, Row, Settled, Tally};
use crate::screen;
use crate::writer::PoisoningGuard;
use parking_lot::Mutex;
use sexton_proof::id::PageId;
use sexton_proof::record::Cause;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Evidence waiting for a commit, and where its result is put.
type Waiting = (Evidence, Arc<Mutex<Option<Result<u64>>>>);

/// Takes evidence whose files are durable to its commit. Whoever gets the ledger first commits all that wait with
/// one fsync.
#[derive(Default)]
pub(crate) struct Committer(Mutex<Vec<Waiting>>);

impl Committer {
    /// Commits. Gives the index of the batch's leaf. After `Ok` the end of these objects survives the loss of power.
    /// After `Err` the engine is poisoned and it is unknown whether it does; recovery finds out.
    pub(crate) fn commit(&self, core: &Core, evidence: Evidence, now_ms: i64) -> Result<u64> {
        let index = self.commit_with_all_that_wait(core, evidence, now_ms)?;
        // The commit stands; what was carried can be found whether or not this succeeds.
        let _ = locator::write_out_where_full(core);
        Ok(index)
    }

    fn commit_with_all_that_wait(&self, core: &Core, evidence: Evidence, now_ms: i64) -> Result<u64> {
        let result = Arc::new(Mutex::new(None));
        self.0.lock().push((evidence, Arc::clone(&result)));
        let mut ledger = core.ledger.lock();
        if let Some(done) = result.lock().take() {
            return done;
        }
        let group = std::mem::take(&mut *self.0.lock());
        match commit_group(core, &mut ledger, &group, now_ms) {
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

fn commit_group(core: &Core, ledger: &mut Ledger, group: &[Waiting], now_ms: i64) -> Result<u64> {
    let mut log = ledger.log.clone();
    let first = log.size();
    let mut counts = ledger.counts.clone();
    let mut feed = ledger.feed;
    let mut set = WriteSet::default();
    let marked = marked_pages(core, group);
    for (evidence, _) in group {
        let logged_ms = log.next_logged_ms(now_ms.max(evidence.finished_ms()));
        let leaf = log.append(&mut set, evidence.leaf(logged_ms).as_bytes(), logged_ms)?;
        stage_settled(&mut set, evidence, &marked, leaf);
        feed = feed::stage(core, &mut set, evidence, feed)?;
        screen::stage(core, &mut set, evidence);
        let total = counts.entry(evidence.batch.class.id).or_default();
        total.add(evidence.counts);
        set.put(Family::Meta, &schema::counts_key(evidence.batch.class.id), &total.encode());
        set.delete(Family::Meta, &schema::intent_key(evidence.batch.number()));
    }
    // All shards wait from here to the write; the fsync comes after that. Registrations that replace a carried row must
    // either see it where it was or where it went; and no page may begin between those whose rows go as one range.
    let mut shards = core.index.lock_all();
    for (evidence, _) in group {
        stage_rows_gone(&mut set, evidence, &shards);
        stage_carried(core, &mut set, evidence, &mut shards)?;
    }
    // One atomic write. A crash before it leaves intent and files: recovery commits them. A crash after it, or
    // between it and the fsync, leaves all of it or nothing of it. In neither case is a row gone without its
    // tombstone, for row, settled record and leaf are in the same write and the files were durable before.
    let ticket = core.writer.write(set)?;
    drop(shards);
    core.writer.sync(ticket)?;
    ledger.log = log;
    ledger.counts = counts;
    ledger.feed = feed;
    for (evidence, _) in group {
        // In this order, so that what was carried is never out of everybody's sight.
        core.index.close(&evidence.to());
        core.index.settle(&evidence.batch.intent.pages);
    }
    core.traces.fetch_add(1, Ordering::SeqCst);
    Ok(first)
}

/// The pages with registrations that were replaced or moved. A mark that comes later, of a registration replaced while
/// its batch was out, may stay behind under its settled page, where it is void.
fn marked_pages(core: &Core, group: &[Waiting]) -> BTreeSet<PageId> {
    group.iter().flat_map(|(evidence, _)| core.index.marked(&evidence.batch.intent.pages)).collect()
}

fn stage_settled(set: &mut WriteSet, evidence: &Evidence, marked: &BTreeSet<PageId>, leaf: u64) {
    let intent = &evidence.batch.intent;
    for (ordinal, PageRows { page, .. }) in (0_u32..).zip(&intent.pages) {
        let settled = Settled { leaf, batch: intent.batch, ordinal };
        set.put(Family::Settled, &page.to_bytes(), &settled.encode());
        if marked.contains(page) {
            let marks = schema::page_registrations(*page);
            set.delete_range(Family::Marks, &marks.start..&marks.end);
        }
    }
    for PageRows { page, .. } in &intent.pages {
        set.delete(Family::Meta, &schema::page_key(*page));
    }
}

/// Stages that the rows of all pages are deleted, of those side by side as one range: what lies between them is void.
/// RocksDB takes all its range deletions apart again whenever one was added, so many small ones cost more than rows do.
///
/// Nothing that lives is between two pages where the wheels have no page there. Rows are put under their shard's lock
/// when their page is in its wheel already, or by a commit, for which it is there as well (`PageState::Reserved`); so
/// whoever holds the locks of all shards from here to the write misses none, and what is put later is not deleted.
fn stage_rows_gone(set: &mut WriteSet, evidence: &Evidence, shards: &[PoisoningGuard<'_, Shard>]) {
    let is_next = |a: &PageRows, b: &PageRows| {
        a.page < b.page && !shards.iter().any(|shard| shard.lives_between(a.page, b.page))
    };
    for run in evidence.batch.intent.pages.chunk_by(is_next) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (from, to) = (schema::page_rows(first.page).start, schema::page_rows(last.page).end);
        set.delete_range(Family::Rows(first.page.class), &from..&to);
    }
}

fn stage_carried(
    core: &Core,
    set: &mut WriteSet,
    evidence: &Evidence,
    shards: &mut [PoisoningGuard<'_, Shard>],
) -> Result<()> {
    let batch = &evidence.batch;
    for (at, id) in evidence.carried() {
        let planned = &batch.rows[at];
        let row = carried_row(batch.row(planned), evidence.fates.of[at], batch.is_again());
        set.put_with(Family::Rows(id.page.class), &schema::row_key(id), |out| row.encode_into(out));
        if !batch.class.finds_by_key() {
            continue;
        }
        if plan::is_replaced(core, batch.id(planned))? {
            // Replaced while the batch was out: it lives on as a replaced one and ends as such.
            set.put(Family::Marks, &id.to_bytes(), &Mark::Replaced.encode());
            if let Some(page) = shards.get_mut(usize::from(id.page.shard)).and_then(|s| s.page_mut(id.page)) {
                page.marked = true;
            }
        } else if let Some(shard) = shards.get_mut(usize::from(id.page.shard)) {
            locator::put(core, shard, set, &core.index.locate(row.key).1, id);
        }
    }
    for (page, record) in evidence.carried_pages() {
        set.put(Family::Meta, &schema::page_key(page.page), &record.encode());
    }
    Ok(())
}

/// The row as it lives on: same object, same bounds, with the cause and, after an attempt, one attempt more.
fn carried_row(row: Row<'_>, fate: Fate, again: bool) -> Row<'_> {
    let Fate::LivesOn { cause, .. } = fate else { return row };
    let attempted = matches!(cause, Cause::Failed | Cause::Refused | Cause::Changed);
    let attempts = row.attempts.saturating_add(u8::from(attempted));
    // Handed out again, an earlier opening may have deleted it though nobody heard.
    let flags =
        if again || cause == Cause::Failed { row.flags.with(Flags::MAYBE_DELETED) } else { row.flags };
    Row { cause: cause.code(), flags, attempts, ..row }
}

/// Adds a class version: its leaf, its record and its rows' family. A crash in between leaves an empty family.
pub(crate) fn define(core: &Core, definition: &Definition, now_ms: i64) -> Result<Arc<Class>> {
    let mut ledger = core.ledger.lock();
    let (id, version) = {
        let classes = core.classes.read();
        (classes.last_id() + 1, classes.current(&definition.name).map_or(1, |class| class.version + 1))
    };
    let mut log = ledger.log.clone();
    let logged_ms = log.next_logged_ms(now_ms);
    let leaf = definition.leaf(id, version, logged_ms);
    let text = sexton_proof::leaf::Leaf::Class(leaf.clone())
        .encode()
        .map_err(|e| Error::invalid(format!("class \"{}\" cannot be logged: {e}", definition.name)))?;
    core.kv.create_rows(id)?;
    let mut set = WriteSet::default();
    let index = log.append(&mut set, text.as_bytes(), logged_ms)?;
    let record = schema::ClassRecord { leaf: index, local: definition.local() };
    set.put(Family::Meta, &schema::class_key(id), &record.encode());
    core.writer.write_durably(set)?;
    ledger.log = log;
    let class = Arc::new(Class::new(&leaf, index, text.into_bytes(), definition.local())?);
    for shard in 0..core.index.shards() {
        core.index.lock(shard).add_class(&class, now_ms, 0, Tally::default());
    }
    core.classes.write().add(Arc::clone(&class));
    Ok(class)
}
