//! Check of the live part: pages, rows, marks, the key index, and the counts.

use crate::engine::check::Report;
use crate::engine::check::links::{self, Named};
use crate::engine::load;
use crate::model::class::Class;
use crate::model::schema::{self, Counts, Flags, Mark, PageRows, Row};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, Order};
use crate::state::core::{Core, Ledger};
use crate::state::locator::{Candidates, RunLookup};
use crate::state::memtable::Fingerprint;
use crate::state::page::{Page, PageState};
use crate::state::shard::Shard;
use sexton_proof::id::{PageId, RegistrationId};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Checks the live pages of a class: wheels agree with the index, and rows with their class.
///
/// The lock of a shard is held for its list of pages, and again for one page at a time. Other threads may register in
/// between, but what is compared belongs together.
pub(super) fn check_live(core: &Core, class: &Class, named: &mut Named, report: &mut Report) -> Result<()> {
    for number in 0..core.schedule.shards() {
        let mut in_wheel: BTreeMap<PageId, Page> = BTreeMap::new();
        let shard = core.schedule.lock_read(number);
        shard.each_page(&mut |id, page| {
            if id.class == class.id && page.rows > 0 {
                in_wheel.insert(id, *page);
            }
        });
        let mut pages = load::live_pages(&*core.kv, class.id)?;
        pages.retain(|(page, _)| usize::from(page.shard) == number);
        drop(shard);
        for (page, rows) in &pages {
            let known = in_wheel.remove(page).map(|page| page.rows);
            report.require(known == Some(*rows), || {
                format!("page {page} has {rows} rows in the index and {known:?} by the wheel")
            });
        }
        for (page, state) in in_wheel {
            report
                .require(state.state == PageState::Reserved, || format!("page {page} is in the wheel only"));
        }
        for (page, _) in pages {
            let mut shard = core.schedule.lock(number);
            if let Some(rows) = shard.page_mut(page).map(|found| found.rows) {
                report.pages += 1;
                check_page(core, &shard, class, PageRows { page, rows }, named, report)?;
            }
        }
    }
    Ok(())
}

/// Checks the rows of a page: no gap, bounds that the class gives, a mark if moved, an entry in the key index, links.
fn check_page(
    core: &Core,
    shard: &Shard,
    class: &Class,
    page: PageRows,
    named: &mut Named,
    report: &mut Report,
) -> Result<()> {
    let mut expected = 0_u32;
    let mut by_key = Vec::new();
    let range = schema::page_row_range(page.page);
    let rows = kv::collect(&*core.kv, ColumnFamily::Rows(class.id), &range, |key, value| {
        Ok((key.to_vec(), value.to_vec()))
    })?;
    for (key, value) in rows {
        let id = schema::parse_row_key(class.id, &key)?;
        report.require(id.seq == expected, || format!("page {} lacks seq {expected}", page.page));
        expected = id.seq.saturating_add(1);
        match Row::decode(&value) {
            Ok(row) => {
                links::check_links(core, id, row.links, named, report)?;
                let found = check_row(core, class, id, &row, report)?;
                by_key.extend(found.into_iter().map(|found| (found, id)));
            }
            Err(e) => report.problem(format!("registration {id}: {e}")),
        }
    }
    let lookup = RunLookup::of(core, by_key.iter().map(|(fingerprint, _)| *fingerprint).collect())?;
    let candidates = Candidates::of(core, shard, lookup)?;
    for (fingerprint, id) in by_key {
        report.require(candidates.has(&fingerprint, id), || {
            format!("registration {id} is not found by its key")
        });
    }
    report.require(expected == page.rows, || {
        format!("page {} has {expected} rows in the index and {} by the wheel", page.page, page.rows)
    });
    Ok(())
}

/// Checks one row. Returns the fingerprints under which it must be in the key index.
fn check_row(
    core: &Core,
    class: &Class,
    id: RegistrationId,
    row: &Row<'_>,
    report: &mut Report,
) -> Result<Vec<Fingerprint>> {
    report.rows += u64::from(!row.flags.has(Flags::MOVED));
    report.require(class.bounds(row.start).ok() == Some(row.bounds()), || {
        format!("registration {id} has bounds that its class does not give")
    });
    let mark = core.kv.get(ColumnFamily::Marks, &schema::mark_key(id))?;
    if row.flags.has(Flags::MOVED) {
        let moved = matches!(mark.as_deref().map(Mark::decode), Some(Ok(Mark::Moved { .. })));
        report.require(moved, || format!("registration {id} moved, and no mark says where"));
        return Ok(Vec::new());
    }
    let (number, _) = core.schedule.locate(row.key);
    report.require(number == usize::from(id.page.shard), || format!("registration {id} is in a wrong shard"));
    if !class.finds_by_key() || mark.is_some() {
        return Ok(Vec::new());
    }
    let located = core.schedule.locate_each(row.names().iter());
    Ok(located.into_iter().map(|(_, fingerprint)| fingerprint).collect())
}

/// Checks that every entry of the key index has its format. An entry may lead to an ended registration; that each live
/// row has its entry is checked with the row.
pub(super) fn check_key_index(core: &Core, report: &mut Report) -> Result<()> {
    core.kv.scan(ColumnFamily::Locator, &[]..&schema::successor(&[]), Order::Ascending, &mut |key, _| {
        let entry = schema::parse_locator_key(key);
        report.require(entry.is_ok(), || {
            format!("the entry {} of the key index is malformed", hex::encode(key))
        });
        ControlFlow::Continue(())
    })
}

/// Checks that each mark belongs to an existing row, or to a settled page, where it is void. A moved registration must be
/// under the id that its mark names.
pub(super) fn check_marks(core: &Core, report: &mut Report) -> Result<()> {
    let mut marks = Vec::new();
    core.kv.scan(
        ColumnFamily::Marks,
        &[]..&schema::successor(&[]),
        Order::Ascending,
        &mut |key, value| {
            marks.extend(key.as_array().map(|key| (RegistrationId::from_bytes(key), Mark::decode(value))));
            ControlFlow::Continue(())
        },
    )?;
    let is_there = |id: RegistrationId| -> Result<bool> {
        let settled = core.kv.get(ColumnFamily::Settled, &schema::settled_key(id.page))?.is_some();
        Ok(settled || core.kv.get(ColumnFamily::Rows(id.page.class), &schema::row_key(id))?.is_some())
    };
    let mut moved: BTreeMap<PageId, u32> = BTreeMap::new();
    for (id, mark) in marks {
        let there = is_there(id)?;
        report.require(there, || format!("the replaced or moved registration {id} does not exist"));
        if let Mark::Moved { to, .. } = mark? {
            *moved.entry(id.page).or_default() += 1;
            let there = is_there(to)?;
            report.require(there, || format!("registration {id} moved to {to}, where it is not"));
        }
    }
    core.schedule.each_page(&mut |id, page| {
        let found = moved.get(&id).copied().unwrap_or(0);
        // Other threads register and move meanwhile, so there may be more by now.
        report.require(page.moved >= found, || {
            format!("page {id} has {} moved registrations by the wheel and {found} in the index", page.moved)
        });
    });
    Ok(())
}

/// Checks that every registered object either lives or ended.
pub(super) fn check_counts(core: &Core, ledger: &Ledger, report: &mut Report) {
    let ended: u64 = ledger.counts.values().map(Counts::ended).sum();
    let (mut registered, mut live) = (0, 0);
    for number in 0..core.schedule.shards() {
        let shard = core.schedule.lock_read(number);
        registered += shard.registered_totals().map(|(_, totals)| totals.objects).sum::<u64>();
        shard.each_page(&mut |_, page| {
            live += if page.state == PageState::Reserved { 0 } else { u64::from(page.live()) };
        });
    }
    report.require(registered == live + ended, || {
        format!("{registered} objects were registered, but {live} live and {ended} ended")
    });
}
