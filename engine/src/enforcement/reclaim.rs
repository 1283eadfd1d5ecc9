//! Reclaim: frees the disk space of ended objects. It never ends a registration.

use crate::enforcement::ended;
use crate::model::class::floor_to_second;
use crate::model::schema;
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::platform::pool::Pool;
use crate::state::core::Core;
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Threads that clear files: one clears rows while the other merges the key index.
const CLEARING_THREADS: usize = 2;

/// Drops the files that hold only ended objects, and clears the other files of them. Without residue there is nothing to
/// clear. Then forgets the records of ended objects that expired.
///
/// A dropped file takes its range deletions with it, so rows in other files that they hid come back. Files are therefore
/// dropped only in ranges in which every row is void for every reader. Such a range lies between live pages, before the
/// earliest slot of new pages. The rows that came back are deleted again, and clearing the files removes them.
///
/// # Errors
/// `Busy` if an older file is still in use; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Err` it is unknown
/// which rows were removed. The next call begins again.
pub(crate) fn reclaim(core: &Core) -> Result<()> {
    core.check_writable()?;
    // One pass at a time. Another caller waits, so it returns only when the residue is cleared.
    let mut cleared = core.residue.cleared.lock();
    let now = core.now(&*cleared).now;
    let created = core.residue.created();
    if cleared.0 < created {
        clear(core, now)?;
        cleared.0 = created;
    }
    ended::forget_expired(core, now)?;
    drop(cleared);
    Ok(())
}

/// Live pages of each class that begin before an instant, in ascending order.
type Live = BTreeMap<ClassId, Vec<PageId>>;

/// Clears all files. A crash at any point loses nothing, because everything that is dropped or deleted is void.
fn clear(core: &Core, now: Timestamp) -> Result<()> {
    let before = floor_to_second(now);
    let classes: Vec<ClassId> = core.classes.read().iter().map(|class| class.id).collect();
    let mut live = Live::new();
    for class in classes {
        live.insert(class, core.schedule.fence(class, before)?);
    }
    let pool = core.pool.separate("sexton-clear", CLEARING_THREADS);
    // One thread drops files while the other merges. Without threads rows come first, because dropped files free space
    // that merging needs. Each task runs to its end, even if the other one fails.
    let tasks: [&(dyn Fn() -> Result<()> + Sync); 2] =
        [&|| clear_rows(core, &live, before, &pool), &|| clear_key_index(core, live.clone(), before)];
    let cleared = pool.map(tasks.to_vec(), |_, clear| Ok(clear()))?;
    cleared.into_iter().collect::<Result<()>>()?;
    core.kv.finish_purge()
}

/// Clears rows of ended objects and data of forgotten requests. It drops whole files of all classes before it merges any.
fn clear_rows(core: &Core, live: &Live, before: u64, pool: &Pool) -> Result<()> {
    for (&class, pages) in live {
        let gaps = gaps(pages, class, before);
        let ranges: Vec<_> = gaps.iter().map(|gap| (gap.start.clone(), gap.end.clone())).collect();
        core.kv.reclaim(ColumnFamily::Rows(class), &ranges)?;
        let mut set = WriteSet::default();
        for gap in &gaps {
            set.delete_range(ColumnFamily::Rows(class), &gap.start..&gap.end);
        }
        core.writer.write(set)?;
    }
    // Rows up to and including the slot that has just begun, forgotten requests, and the keys of their objects.
    let end = before + 1_000;
    let rows =
        live.keys().map(|&class| (ColumnFamily::Rows(class), first_row(class, 0)..first_row(class, end)));
    let forgotten =
        [ColumnFamily::RequestObjects, ColumnFamily::Meta].map(|family| (family, schema::prefix_range(&[])));
    let ranges = rows.chain(forgotten).collect();
    pool.map(ranges, |_, (family, range)| core.kv.purge(family, &range))?;
    superseded(core).into_iter().try_for_each(|class| core.kv.drop_rows_if_empty(class))
}

/// Returns the class versions that take no registrations. Once they are empty, nothing is worth their column families.
fn superseded(core: &Core) -> Vec<ClassId> {
    let classes = core.classes.read();
    let takes_none = |name: &str, id| {
        classes.is_closed(name) || classes.current(name).is_none_or(|current| current.id != id)
    };
    let versions = classes.iter().filter(|class| takes_none(&class.definition.name, class.id));
    versions.map(|class| class.id).collect()
}

/// Removes the entries of ended objects from the key index while RocksDB merges it. If more than half are void, merges all now.
///
/// An entry is void if its page begins before `before`, the earliest slot of new pages, and is not among the live pages.
/// The check takes no lock and reads no row.
fn clear_key_index(core: &Core, live: Live, before: u64) -> Result<()> {
    let by_key: Vec<ClassId> = {
        let classes = core.classes.read();
        classes.iter().filter(|class| class.finds_by_key()).map(|class| class.id).collect()
    };
    let mut entries = 0_u64;
    core.schedule.each_page(&mut |id, page| {
        entries += if by_key.contains(&id.class) { u64::from(page.rows) } else { 0 };
    });
    let is_void = move |key: &[u8]| {
        let Ok((_, id)) = schema::parse_locator_key(key) else { return false };
        let pages = live.get(&id.page.class).filter(|_| id.page.slot < before);
        pages.is_some_and(|pages| pages.binary_search(&id.page).is_err())
    };
    if core.kv.drop_void(ColumnFamily::Locator, entries, Arc::new(is_void))? {
        core.kv.purge(ColumnFamily::Locator, &schema::prefix_range(&[]))?;
    }
    Ok(())
}

/// Returns the ranges of row keys before `end_slot` that belong to no live page.
fn gaps(live: &[PageId], class: ClassId, end_slot: u64) -> Vec<Range<Vec<u8>>> {
    let (mut from, end) = (first_row(class, 0), first_row(class, end_slot));
    let mut gaps = Vec::new();
    for page in live {
        let rows = schema::page_row_range(*page);
        gaps.push(from..rows.start);
        from = rows.end;
    }
    gaps.push(from..end);
    gaps.retain(|gap| gap.start < gap.end);
    gaps
}

/// Returns the key of the first row that a slot can have.
fn first_row(class: ClassId, slot: u64) -> Vec<u8> {
    schema::page_row_range(PageId { class, slot, shard: 0, part: 0 }).start
}
