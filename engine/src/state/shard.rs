//! Shard of the schedule: the wheels and pages of a fixed fraction of the keys, under one lock.

use crate::model::class::Class;
use crate::model::schema::{self, Arrivals, RegisteredTotals};
use crate::model::wheel::Wheel;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{ColumnFamily, Kv, Order};
use crate::state::memtable::Memtable;
use crate::state::page::{DuePage, PAGE_ROWS_MAX, Page, PageState};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Pages of one class version in a shard.
struct ClassPages {
    wheel: Wheel<Vec<Page>>,
    /// Latest slot of a settled page. A new page up to this slot must look up which parts were used.
    settled_to: u64,
    /// Earliest slot in which a new page may begin. Pages before it that are not in the wheel are being reclaimed.
    reclaimed_to: u64,
    /// Totals of all registrations ever made here.
    totals: RegisteredTotals,
}

/// Fixed fraction of the keys, with wheels and a lock of its own, so that cores do not contend.
pub(crate) struct Shard {
    number: u16,
    /// Memtable of the key index.
    pub(crate) memtable: Memtable,
    classes: BTreeMap<ClassId, ClassPages>,
}

impl Shard {
    /// Returns a shard without classes.
    pub(crate) fn new(number: u16) -> Shard {
        Shard { number, memtable: Memtable::default(), classes: BTreeMap::new() }
    }

    /// Adds a class version whose latest settled slot is `settled_to`.
    pub(crate) fn add_class(
        &mut self,
        class: &Class,
        now: Timestamp,
        settled_to: u64,
        totals: RegisteredTotals,
    ) {
        let wheel = Wheel::new(class.slot_ms, u64::try_from(now.unix_ms()).unwrap_or(0));
        self.classes.entry(class.id).or_insert(ClassPages { wheel, settled_to, reclaimed_to: 0, totals });
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Returns the registered totals of a class, to be added to.
    pub(crate) fn totals_mut(&mut self, class: ClassId) -> Result<&mut RegisteredTotals> {
        Ok(&mut self.class(class)?.totals)
    }

    /// Iterates over the registered totals by class.
    pub(crate) fn registered_totals(&self) -> impl Iterator<Item = (ClassId, RegisteredTotals)> {
        self.classes.iter().map(|(class, pages)| (*class, pages.totals))
    }

    /// Adds a page to its wheel.
    pub(crate) fn restore(&mut self, id: PageId, page: Page) -> Result<()> {
        // Most slots have one page in a shard, and there can be hundreds of thousands of slots.
        let parts = self.class(id.class)?.wheel.entry(id.slot, || Vec::with_capacity(1));
        parts.push(page);
        Ok(())
    }

    /// Takes the id for the next registration of `class` in `slot`, or in a later slot if this one is full.
    ///
    /// Reads the settled parts of the slot from `kv`. The caller writes the row before it releases the shard's lock, so the
    /// order of seqs is the order of writes.
    pub(crate) fn next_id(
        &mut self,
        kv: &dyn Kv,
        class: &Class,
        mut slot: u64,
        arrivals: Arrivals,
        ceiling: Timestamp,
        short_notice: bool,
    ) -> Result<RegistrationId> {
        loop {
            if let Some(id) = self.take_seq(class.id, slot, arrivals, ceiling, short_notice)? {
                return Ok(id);
            }
            let first = PageId { class: class.id, slot, shard: self.number, part: 0 };
            match self.next_part(kv, first)? {
                Some(part) => {
                    let earliest_ceiling = class.earliest_ceiling(slot);
                    let page = Page::new(part, 0, PageState::Open, arrivals, earliest_ceiling);
                    self.restore(first, page)?;
                }
                // The slot is being reclaimed, or all its 65,536 parts of 65,536 rows are used. A later slot takes the row.
                None => slot = self.class(class.id)?.reclaimed_to.max(slot.saturating_add(1_000)),
            }
        }
    }

    /// Takes the next seq of the slot's open page of this kind, if there is one.
    fn take_seq(
        &mut self,
        class: ClassId,
        slot: u64,
        arrivals: Arrivals,
        ceiling: Timestamp,
        short_notice: bool,
    ) -> Result<Option<RegistrationId>> {
        let shard = self.number;
        let parts = self.class(class)?.wheel.get_mut(slot);
        let is_open = |page: &&mut Page| page.state == PageState::Open && page.arrivals == arrivals;
        let Some(page) = parts.and_then(|parts| parts.iter_mut().rev().find(is_open)) else {
            return Ok(None);
        };
        let seq = page.rows;
        page.rows += 1;
        page.short_notice += u32::from(short_notice);
        // An object that was overdue at registration has an earlier ceiling than its slot implies.
        page.earliest_ceiling = page.earliest_ceiling.min(ceiling);
        if page.rows >= PAGE_ROWS_MAX {
            page.state = PageState::Closed;
        }
        Ok(Some(RegistrationId { page: PageId { class, slot, shard, part: page.part }, seq }))
    }

    /// Reserves a page for `rows` carried registrations. No other registration gets a seq in it, so a batch without a
    /// commit leaves no gap.
    pub(crate) fn reserve(
        &mut self,
        kv: &dyn Kv,
        class: &Class,
        mut slot: u64,
        rows: u32,
        arrivals: Arrivals,
        earliest_ceiling: Timestamp,
    ) -> Result<PageId> {
        loop {
            let first = PageId { class: class.id, slot, shard: self.number, part: 0 };
            if let Some(part) = self.next_part(kv, first)? {
                let id = PageId { part, ..first };
                let state = PageState::Reserved;
                self.restore(id, Page::new(part, rows, state, arrivals, earliest_ceiling))?;
                return Ok(id);
            }
            slot = self.class(class.id)?.reclaimed_to.max(slot.saturating_add(1_000));
        }
    }

    /// Returns the first part of a slot that no page ever had, or `None` if the slot takes no new page.
    ///
    /// Rows under a settled page's id would be void for every reader. So no part is used twice, even if the clock goes back:
    /// the next part follows those in the wheel and those settled.
    fn next_part(&mut self, kv: &dyn Kv, page: PageId) -> Result<Option<u16>> {
        let pages = self.class(page.class)?;
        if page.slot < pages.reclaimed_to {
            return Ok(None);
        }
        let in_wheel = pages.wheel.get(page.slot).and_then(|parts| parts.iter().map(|p| p.part).max());
        let mut settled = None;
        if page.slot <= pages.settled_to {
            let range = schema::settled_part_range(page);
            kv.scan(ColumnFamily::Settled, &range.start..&range.end, Order::Descending, &mut |key, _| {
                settled = schema::settled_page(key).map(|page| page.part);
                ControlFlow::Break(())
            })?;
        }
        match in_wheel.max(settled) {
            None => Ok(Some(0)),
            Some(last) => Ok(last.checked_add(1)),
        }
    }

    /// Returns the pages of a class, which every shard has from its definition on.
    fn class(&mut self, class: ClassId) -> Result<&mut ClassPages> {
        self.classes
            .get_mut(&class)
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("class {class} has no wheel")))
    }

    /// Returns a page in the wheel, or `None` if it is settled or never existed.
    pub(crate) fn page_mut(&mut self, page: PageId) -> Option<&mut Page> {
        let parts = self.classes.get_mut(&page.class)?.wheel.get_mut(page.slot)?;
        parts.iter_mut().find(|p| p.part == page.part)
    }

    /// Returns the beginning of the earliest slot with a page.
    pub(crate) fn next_slot(&self) -> Option<u64> {
        self.classes.values().filter_map(|pages| pages.wheel.first()).min()
    }

    /// Returns the beginning of the earliest slot with a page that a batch may take.
    pub(crate) fn next_plannable_slot(&self) -> Option<u64> {
        let first = |wheel: &Wheel<Vec<Page>>| {
            let mut due = wheel.due(u64::MAX);
            due.find(|(_, parts)| parts.iter().any(Page::is_plannable)).map(|(slot, _)| slot)
        };
        self.classes.values().filter_map(|pages| first(&pages.wheel)).min()
    }

    /// Calls `visit` for every page of the shard.
    pub(crate) fn each_page(&self, visit: &mut dyn FnMut(PageId, &Page)) {
        for (class, pages) in &self.classes {
            for (slot, parts) in pages.wheel.iter() {
                for page in parts {
                    visit(PageId { class: *class, slot, shard: self.number, part: page.part }, page);
                }
            }
        }
    }

    /// Removes a settled page from its wheel.
    pub(crate) fn settle(&mut self, page: PageId) {
        let Some(pages) = self.classes.get_mut(&page.class) else { return };
        pages.settled_to = pages.settled_to.max(page.slot);
        if let Some(parts) = pages.wheel.get_mut(page.slot) {
            parts.retain(|p| p.part != page.part);
            if parts.is_empty() {
                pages.wheel.remove(page.slot);
            }
        }
    }

    /// Calls `visit` for the due pages that `may_go` accepts: up to `limit` of each class, earliest slots first. Visits all
    /// classes, or only `only` if it is given.
    pub(crate) fn each_due(
        &mut self,
        now: Timestamp,
        limit: usize,
        only: Option<ClassId>,
        may_go: &dyn Fn(&DuePage) -> bool,
        visit: &mut dyn FnMut(DuePage),
    ) {
        let Ok(now) = u64::try_from(now.unix_ms()) else { return };
        let shard = self.number;
        for (&class, pages) in self.classes.iter_mut().filter(|(class, _)| only.is_none_or(|c| c == **class))
        {
            pages.wheel.turn(now);
            let parts = pages.wheel.due(now).flat_map(|(slot, parts)| {
                parts.iter().filter(|page| page.is_plannable()).map(move |page| DuePage {
                    page: PageId { class, slot, shard, part: page.part },
                    rows: page.rows,
                    earliest_ceiling: page.earliest_ceiling,
                    short_notice: page.live_at_short_notice(),
                })
            });
            parts.filter(may_go).take(limit).for_each(&mut *visit);
        }
    }

    /// Forbids new pages of `class` that begin before `slot`. Calls `visit` for those that exist.
    pub(crate) fn fence(&mut self, class: ClassId, slot: u64, visit: &mut dyn FnMut(PageId)) -> Result<()> {
        let shard = self.number;
        let pages = self.class(class)?;
        pages.reclaimed_to = pages.reclaimed_to.max(slot);
        for (begins, parts) in pages.wheel.iter().filter(|(begins, _)| *begins < slot) {
            parts.iter().for_each(|page| visit(PageId { class, slot: begins, shard, part: page.part }));
        }
        Ok(())
    }

    /// Allows new pages in every slot.
    pub(crate) fn remove_fences(&mut self) {
        for pages in self.classes.values_mut() {
            pages.reclaimed_to = 0;
        }
    }

    /// Returns `true` if a page that is not settled lies between two pages of its class, in the order of their rows.
    pub(crate) fn lives_between(&self, a: PageId, b: PageId) -> bool {
        let Some(ClassPages { wheel, .. }) = self.classes.get(&a.class) else { return false };
        let lies_in = |slot: u64| {
            let parts = wheel.get(slot).map_or(&[][..], Vec::as_slice);
            parts.iter().any(|page| {
                let page = PageId { class: a.class, slot, shard: self.number, part: page.part };
                a < page && page < b
            })
        };
        lies_in(a.slot) || lies_in(b.slot) || wheel.first_after(a.slot).is_some_and(|slot| slot < b.slot)
    }
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
