//! Giving disk space back behind enforcement: never the way anything ends, only clean-up.

use crate::class::second_of;
use crate::core::Core;
use crate::error::Result;
use crate::kv::{Family, WriteSet};
use crate::schema;
use sexton_proof::id::{ClassId, PageId};
use std::ops::Range;

/// Drops the files that hold nothing but what has ended.
///
/// Dropping a file also drops the range deletions in it, and rows in a file that stays, which they hid, come back.
/// So it is only done where everything that can come back is void for every reader: between the pages that live,
/// before an instant at which no new page may begin any more. And what came back is deleted again, so that a
/// compaction takes it.
pub(crate) fn reclaim(core: &Core, now_ms: i64) -> Result<()> {
    core.check_writable()?;
    let classes: Vec<ClassId> = core.classes.read().iter().map(|class| class.id).collect();
    for class in classes {
        let gaps = gaps(&core.index.fence(class, second_of(now_ms))?, class, second_of(now_ms));
        let ranges: Vec<_> = gaps.iter().map(|gap| (gap.start.clone(), gap.end.clone())).collect();
        core.kv.reclaim(Family::Rows(class), &ranges)?;
        let mut set = WriteSet::default();
        for gap in &gaps {
            set.delete_range(Family::Rows(class), &gap.start..&gap.end);
        }
        core.writer.write(set)?;
    }
    Ok(())
}

/// The row keys before `end_slot` that belong to no live page.
fn gaps(live: &[PageId], class: ClassId, end_slot: u64) -> Vec<Range<Vec<u8>>> {
    let first_of = |slot| schema::page_rows(PageId { class, slot, shard: 0, part: 0 }).start;
    let (mut from, end) = (first_of(0), first_of(end_slot));
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
