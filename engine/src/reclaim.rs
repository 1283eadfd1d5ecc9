//! Giving disk space back behind enforcement: never the way anything ends, only clean-up.

use crate::class::second_of;
use crate::core::Core;
use crate::error::Result;
use crate::kv::{Family, WriteSet};
use crate::pool::Pool;
use crate::schema;
use sexton_proof::id::{ClassId, PageId};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Threads that clear files: one clears rows while the other one has what finds keys merged.
const CLEARING_THREADS: usize = 2;

/// Drops the files that hold nothing but what has ended, and clears the others of it.
///
/// Dropping a file also drops the range deletions in it, and rows in a file that stays, which they hid, come back.
/// So it is only done where everything that can come back is void for every reader: between the pages that live,
/// before an instant at which no new page may begin any more. And what came back is deleted again, so that clearing the
/// files takes it.
pub(crate) fn reclaim(core: &Core, now_ms: i64) -> Result<()> {
    core.check_writable()?;
    // One at a time: who comes meanwhile is not told that it is done before it is.
    let mut cleared = core.cleared.lock();
    let traces = core.traces.load(Ordering::SeqCst);
    if *cleared < traces {
        clear(core, now_ms)?;
        *cleared = traces;
    }
    Ok(())
}

/// The pages of each class that live and begin before an instant.
type Live = BTreeMap<ClassId, Vec<PageId>>;

/// A crash anywhere in here loses nothing: what is dropped and deleted is void.
fn clear(core: &Core, now_ms: i64) -> Result<()> {
    let before = second_of(now_ms);
    let classes: Vec<ClassId> = core.classes.read().iter().map(|class| class.id).collect();
    let mut live = Live::new();
    for class in classes {
        live.insert(class, core.index.fence(class, before)?);
    }
    let pool = core.pool.beside("sexton-clear", CLEARING_THREADS);
    // Dropping a file is the kernel's work and merging is ours, so they go well together. Without threads rows go first: what
    // can be dropped gives space back before any is needed. Each part goes on to its end, whatever becomes of the other one.
    let parts: [&(dyn Fn() -> Result<()> + Sync); 2] =
        [&|| clear_rows(core, &live, before, &pool), &|| clear_entries(core, live.clone(), before)];
    let cleared = pool.map(parts.to_vec(), |_, clear| Ok(clear()))?;
    cleared.into_iter().collect::<Result<()>>()?;
    core.kv.finish_purge()
}

/// Clears what is kept of objects. Of all classes, files that can be dropped whole go before any row is merged.
fn clear_rows(core: &Core, live: &Live, before: u64, pool: &Pool) -> Result<()> {
    for (&class, pages) in live {
        let gaps = gaps(pages, class, before);
        let ranges: Vec<_> = gaps.iter().map(|gap| (gap.start.clone(), gap.end.clone())).collect();
        core.kv.reclaim(Family::Rows(class), &ranges)?;
        let mut set = WriteSet::default();
        for gap in &gaps {
            set.delete_range(Family::Rows(class), &gap.start..&gap.end);
        }
        core.writer.write(set)?;
    }
    // Rows, those of a slot that has only begun included; keys of requests that were forgotten, and the requests.
    let end = before + 1_000;
    let rows = live.keys().map(|&class| (Family::Rows(class), first_row(class, 0)..first_row(class, end)));
    let forgotten = [Family::Items, Family::Meta].map(|family| (family, schema::prefix(&[])));
    let ranges = rows.chain(forgotten).collect();
    pool.map(ranges, |_, (family, range)| core.kv.purge(family, &range)).map(|_| ())
}

/// Lets go of the entries by which keys of ended objects were found: those that lead before the instant at which no new
/// page may begin any more, to a page that does not live. What lives elsewhere is not looked at, so that entries are
/// judged without asking anybody, while the index is merged. Where there are many they go at once.
fn clear_entries(core: &Core, live: Live, before: u64) -> Result<()> {
    let found: Vec<ClassId> = {
        let classes = core.classes.read();
        classes.iter().filter(|class| class.finds_by_key()).map(|class| class.id).collect()
    };
    let mut entries = 0_u64;
    core.index.each_page(&mut |id, page| {
        entries += if found.contains(&id.class) { u64::from(page.rows) } else { 0 };
    });
    let is_void = move |key: &[u8]| {
        let Ok((_, id)) = schema::locator_entry(key) else { return false };
        let pages = live.get(&id.page.class).filter(|_| id.page.slot < before);
        pages.is_some_and(|pages| pages.binary_search(&id.page).is_err())
    };
    if core.kv.drop_void(Family::Locator, entries, Arc::new(is_void))? {
        core.kv.purge(Family::Locator, &schema::prefix(&[]))?;
    }
    Ok(())
}

/// The row keys before `end_slot` that belong to no live page.
fn gaps(live: &[PageId], class: ClassId, end_slot: u64) -> Vec<Range<Vec<u8>>> {
    let (mut from, end) = (first_row(class, 0), first_row(class, end_slot));
    let mut gaps = Vec::new();
    for page in live {
        let rows = schema::page_rows(*page);
        gaps.push(from..rows.start);
        from = rows.end;
    }
    gaps.push(from..end);
    gaps.retain(|gap| gap.start < gap.end);
    gaps
}

/// The key of the first row that a slot can have.
fn first_row(class: ClassId, slot: u64) -> Vec<u8> {
    schema::page_rows(PageId { class, slot, shard: 0, part: 0 }).start
}
