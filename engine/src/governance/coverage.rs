//! Coverage: the live objects that a selector covers.

use crate::model::class::Class;
use crate::model::key_list::KeyList;
use crate::model::schema::{self, Flags, Mark, Row};
use crate::model::selector::{Names, Selector};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily};
use crate::state::core::Core;
use crate::state::locator::{Candidates, RunLookup};
use crate::state::marks;
use crate::state::page::PageState;
use sexton_proof::id::PageId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Keys that are looked up together.
const KEYS_AT_ONCE: usize = 1_024;

/// Counts the live objects that the selector covers. Other operations go on meanwhile and may change the number.
///
/// The key index answers for keys, the schedule for a class and for everything. A prefix and a subject take one pass over
/// the rows. So do keys in classes that do not find by key.
///
/// # Errors
/// `Invalid` if the selector could match nothing; `Io`, `Corrupt`.
pub(crate) fn count_live(core: &Core, selector: &Selector) -> Result<u64> {
    selector.check()?;
    match selector {
        Selector::Keys(keys) => {
            Ok(count_keys(core, keys)? + count_rows(core, selector, |class| !class.finds_by_key())?)
        }
        Selector::Prefix(_) | Selector::Subject(_) => count_rows(core, selector, |_| true),
        Selector::Class(_) | Selector::Everything => {
            let covered = |class: &Class| selector.covers(&class.definition.name, Names::one(&[]), &[]);
            let covered: BTreeSet<_> =
                core.classes.all().iter().filter(|class| covered(class)).map(|class| class.id).collect();
            let mut live = 0;
            core.schedule.each_page(&mut |id, page| {
                if covered.contains(&id.class) && page.state != PageState::Reserved {
                    live += u64::from(page.live());
                }
            });
            Ok(live)
        }
    }
}

/// Counts the live objects that have one of the keys as current or first key, in classes that find by key.
fn count_keys(core: &Core, keys: &KeyList) -> Result<u64> {
    let mut live = 0;
    let mut left = keys.iter().peekable();
    while left.peek().is_some() {
        let some: Vec<&[u8]> = left.by_ref().take(KEYS_AT_ONCE).collect();
        let located = core.schedule.locate_each(some.iter().copied());
        let runs = RunLookup::of(core, located.iter().map(|(_, fingerprint)| *fingerprint).collect())?;
        // The entries of first keys lie in the shards of the rows, which may be any.
        for number in 0..core.schedule.shards() {
            let mut shard = core.schedule.lock(number);
            let candidates = Candidates::of(core, &shard, runs.clone())?;
            if candidates.is_empty() {
                continue;
            }
            for (key, (_, fingerprint)) in some.iter().zip(&located) {
                candidates.each_named(core, &mut shard, fingerprint, key, |_, row| {
                    live += u64::from(counts_under(keys, key, row));
                    Ok(())
                })?;
            }
        }
    }
    Ok(live)
}

/// Returns `true` if an object that was found under `key` counts there. An object may have two of the keys, and counts
/// under its current one.
fn counts_under(keys: &KeyList, key: &[u8], row: &Row<'_>) -> bool {
    row.key == key || !row.flags.has(Flags::RELEASED) && !keys.contains(row.key)
}

/// Counts the rows of live objects that the selector covers, in the classes that `is_read` accepts.
fn count_rows(core: &Core, selector: &Selector, is_read: impl Fn(&Class) -> bool) -> Result<u64> {
    let classes: BTreeMap<_, Arc<Class>> = core
        .classes
        .all()
        .into_iter()
        .filter(|class| is_read(class))
        .map(|class| (class.id, class))
        .collect();
    let mut pages: Vec<(PageId, bool)> = Vec::new();
    core.schedule.each_page(&mut |id, page| {
        // The rows of a reserved page still count in the pages that they come from.
        if classes.contains_key(&id.class) && page.live() > 0 && page.state != PageState::Reserved {
            pages.push((id, page.has_marks));
        }
    });
    let mut live = 0;
    for (page, has_marks) in pages {
        let Some(class) = classes.get(&page.class) else { continue };
        let marks = if has_marks { marks::of_page(&*core.kv, page)? } else { BTreeMap::new() };
        let rows = schema::page_row_range(page);
        kv::try_scan(&*core.kv, ColumnFamily::Rows(page.class), &rows, |key, value| {
            let (id, row) = (schema::parse_row_key(page.class, key)?, Row::decode(value)?);
            let is_live = !row.flags.has(Flags::MOVED)
                && !row.flags.has(Flags::RELEASED)
                && marks.get(&id) != Some(&Mark::Replaced);
            live += u64::from(is_live && selector.covers(&class.definition.name, row.names(), row.subject));
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(live)
}
