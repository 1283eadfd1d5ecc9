//! Shards, wheels and pages: where a registration goes and which pages are due. The wheels hold counts, never
//! objects, and can be rebuilt from the rows: they are a hint, the index is the truth.

use crate::class::Class;
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{Family, Kv, Order};
use crate::recent::{Recent, WritingOut};
use crate::schema::{self, Arrivals, FINGERPRINT_BYTES, PageRecord, PageRows, Tally};
use crate::wheel::Wheel;
use crate::writer::{LookingGuard, PoisoningGuard, PoisoningMutex, Writer};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::many::{Messages, Mode};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows of a page; what comes later in the same slot and shard goes to the next part.
pub(crate) const PAGE_ROWS_MAX: u32 = 65_536;

/// Keys that are hashed side by side, so that a call of many takes little room for it.
const LOCATED_AT_ONCE: usize = 1_024;

/// What may happen to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageState {
    /// Takes registrations.
    Open,
    /// Takes none, waits for its slot.
    Closed,
    /// Belongs to a batch, on its way to its end.
    InBatch,
    /// Is to take what a batch carries; its rows come with that batch's commit.
    Reserved,
}

/// What the wheel knows of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) part: u16,
    pub(crate) rows: u32,
    pub(crate) state: PageState,
    pub(crate) arrivals: Arrivals,
    /// No row's ceiling is earlier: by the slot's geometry, or as recorded.
    pub(crate) earliest_ceiling_ms: i64,
    /// Whether some of its registrations were replaced or moved.
    pub(crate) marked: bool,
    /// Of its rows, those whose registration lives on elsewhere already.
    pub(crate) moved: u32,
    /// Of its rows, those that came with less notice than a slot.
    pub(crate) surprises: u32,
}

impl Page {
    /// A page of `rows`, of which nothing else is known.
    pub(crate) fn new(
        part: u16,
        rows: u32,
        state: PageState,
        arrivals: Arrivals,
        earliest_ceiling_ms: i64,
    ) -> Self {
        Page { part, rows, state, arrivals, earliest_ceiling_ms, marked: false, moved: 0, surprises: 0 }
    }

    /// What of it is kept on disk beside its rows.
    pub(crate) fn record(&self) -> PageRecord {
        PageRecord {
            arrivals: self.arrivals,
            earliest_ceiling_ms: self.earliest_ceiling_ms,
            surprises: self.surprises,
        }
    }

    /// Registrations that live here.
    pub(crate) fn live(&self) -> u32 {
        self.rows - self.moved
    }

    /// Surprises among them: those that moved on are counted where they went.
    pub(crate) fn surprising(&self) -> u32 {
        self.surprises.min(self.live())
    }

    /// Whether its registrations may be moved elsewhere: it is on its way to no end yet.
    pub(crate) fn is_settled_in(&self) -> bool {
        matches!(self.state, PageState::Open | PageState::Closed)
    }

    fn is_plannable(&self) -> bool {
        matches!(self.state, PageState::Open | PageState::Closed) && self.rows > 0
    }
}

/// One class's pages in a shard.
struct ClassPages {
    wheel: Wheel<Vec<Page>>,
    /// No page of a later slot was ever settled; a new page up to here must look which parts were used.
    settled_to: u64,
    /// No new page begins before this instant: what lies before it and is not in the wheel is being reclaimed.
    reclaimed_to: u64,
    /// What was ever registered here.
    tally: Tally,
}

/// A fixed fraction of the keys: own wheels and lock, so that cores do not meet.
pub(crate) struct Shard {
    number: u16,
    /// What finds the keys registered last.
    pub(crate) recent: Recent,
    classes: BTreeMap<ClassId, ClassPages>,
}

/// All shards.
pub(crate) struct Index {
    shards: Vec<PoisoningMutex<Shard>>,
    /// How what finds the keys registered last is written out, of all shards together.
    pub(crate) writing_out: WritingOut,
    secret: [u8; 32],
}

/// A page that is due, as a candidate for a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DuePage {
    pub(crate) page: PageId,
    pub(crate) rows: u32,
    pub(crate) earliest_ceiling_ms: i64,
    pub(crate) surprises: u32,
}

impl Index {
    /// One of so many shards; a panic under the lock of one stops what `writer` writes.
    pub(crate) fn new(shards: u16, secret: [u8; 32], writer: &Arc<Writer>) -> Self {
        let shard = |number| Shard { number, recent: Recent::default(), classes: BTreeMap::new() };
        Index {
            shards: (0..shards).map(|number| PoisoningMutex::new(shard(number), writer)).collect(),
            writing_out: WritingOut::new(writer),
            secret,
        }
    }

    /// The shard of each key and the fingerprint under which its registration is found, both from one hash under the
    /// engine's secret: nobody outside can aim at a shard or recognise a key.
    pub(crate) fn locate_each<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Vec<(usize, [u8; FINGERPRINT_BYTES])> {
        let located = |hash: [u8; 32]| {
            let (mut fingerprint, mut number) = ([0; FINGERPRINT_BYTES], [0; 4]);
            fingerprint.copy_from_slice(&hash[..FINGERPRINT_BYTES]);
            number.copy_from_slice(&hash[FINGERPRINT_BYTES..FINGERPRINT_BYTES + 4]);
            (u32::from_be_bytes(number) as usize % self.shards.len(), fingerprint)
        };
        let mut keys = keys.peekable();
        let (mut all, mut messages) = (Vec::new(), Messages::default());
        while keys.peek().is_some() {
            for key in keys.by_ref().take(LOCATED_AT_ONCE) {
                messages.push(|out| {
                    out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
                    out.extend_from_slice(key);
                });
            }
            all.extend(messages.hash_each(Mode::Keyed(&self.secret)).into_iter().map(located));
            messages.clear();
        }
        all
    }

    /// The same of one key.
    pub(crate) fn locate(&self, key: &[u8]) -> (usize, [u8; FINGERPRINT_BYTES]) {
        self.locate_each(std::iter::once(key)).pop().unwrap_or_default()
    }

    pub(crate) fn lock(&self, shard: usize) -> PoisoningGuard<'_, Shard> {
        self.shards[shard].lock()
    }

    /// To look only.
    pub(crate) fn look(&self, shard: usize) -> LookingGuard<'_, Shard> {
        self.shards[shard].look()
    }

    /// All shards, in the order in which whoever locks several does.
    pub(crate) fn lock_all(&self) -> Vec<PoisoningGuard<'_, Shard>> {
        self.shards.iter().map(PoisoningMutex::lock).collect()
    }

    /// Those of the pages that have registrations which were replaced or moved; of a page that is not in the wheel nobody
    /// knows, so it may have.
    pub(crate) fn marked(&self, pages: &[PageRows]) -> Vec<PageId> {
        let mut marked = Vec::new();
        self.visit(pages.iter().map(|rows| rows.page), |shard, page| {
            if shard.page_mut(page).is_none_or(|found| found.marked) {
                marked.push(page);
            }
        });
        marked
    }

    /// Calls `visit` for each of many pages, with its shard, which stays locked from one page to the next of it.
    fn visit(&self, pages: impl Iterator<Item = PageId>, mut visit: impl FnMut(&mut Shard, PageId)) {
        let mut locked: Option<PoisoningGuard<'_, Shard>> = None;
        for page in pages {
            // The one before is let go first: who holds several takes them in another order.
            let shard = match locked.take().filter(|shard| shard.number == page.shard) {
                Some(shard) => locked.insert(shard),
                None => locked.insert(self.lock(page.shard.into())),
            };
            visit(shard, page);
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The beginning of the earliest slot with something in it.
    pub(crate) fn next_slot(&self) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.look().next_slot()).min()
    }

    /// The beginning of the earliest slot with a page that no batch has taken.
    pub(crate) fn next_plannable_slot(&self) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.look().next_plannable_slot()).min()
    }

    /// Calls `visit` for the due pages that `may_go`, up to `limit` of each class and shard, those of the earliest slots;
    /// of all classes, or of one.
    pub(crate) fn each_due(
        &self,
        now_ms: i64,
        limit: usize,
        class: Option<ClassId>,
        may_go: &dyn Fn(&DuePage) -> bool,
        visit: &mut dyn FnMut(DuePage),
    ) {
        for shard in &self.shards {
            shard.lock().each_due(now_ms, limit, class, may_go, visit);
        }
    }

    /// Takes the pages into a batch: from here on they take no rows. Gives each with its rows.
    pub(crate) fn take(&self, pages: &[PageId]) -> Vec<PageRows> {
        let mut taken = Vec::with_capacity(pages.len());
        self.visit(pages.iter().copied(), |shard, page| {
            if let Some(found) = shard.page_mut(page) {
                found.state = PageState::InBatch;
                taken.push(PageRows { page, rows: found.rows });
            }
        });
        taken
    }

    /// Takes pages out of the wheels: they are settled.
    pub(crate) fn settle(&self, pages: &[PageRows]) {
        self.visit(pages.iter().map(|rows| rows.page), Shard::settle);
    }

    /// Lets carried pages wait for their slot.
    pub(crate) fn close(&self, pages: &[PageRows]) {
        self.visit(pages.iter().map(|rows| rows.page), |shard, page| {
            if let Some(found) = shard.page_mut(page) {
                found.state = PageState::Closed;
            }
        });
    }

    /// From here on no new page of `class` begins before `slot`; gives those that do, in ascending order.
    pub(crate) fn fence(&self, class: ClassId, slot: u64) -> Result<Vec<PageId>> {
        let mut pages = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let number = shard.number;
            let found = shard.class(class)?;
            found.reclaimed_to = found.reclaimed_to.max(slot);
            for (begins, parts) in found.wheel.iter().filter(|(begins, _)| *begins < slot) {
                pages.extend(parts.iter().map(|p| PageId {
                    class,
                    slot: begins,
                    shard: number,
                    part: p.part,
                }));
            }
        }
        pages.sort_unstable();
        Ok(pages)
    }

    /// What was ever registered, by class.
    pub(crate) fn tallies(&self) -> BTreeMap<ClassId, Tally> {
        let mut all: BTreeMap<ClassId, Tally> = BTreeMap::new();
        for shard in &self.shards {
            for (class, tally) in shard.look().tallies() {
                let total = all.entry(class).or_default();
                total.objects += tally.objects;
                total.bytes = total.bytes.saturating_add(tally.bytes);
            }
        }
        all
    }

    /// Calls `visit` for every page in the wheels.
    pub(crate) fn each_page(&self, visit: &mut dyn FnMut(PageId, &Page)) {
        for shard in &self.shards {
            shard.look().each_page(visit);
        }
    }
}

impl Shard {
    /// Readies the shard for a class version whose last settled slot is `settled_to`.
    pub(crate) fn add_class(&mut self, class: &Class, now_ms: i64, settled_to: u64, tally: Tally) {
        let wheel = Wheel::new(class.definition.slot_ms, u64::try_from(now_ms).unwrap_or(0));
        self.classes.entry(class.id).or_insert(ClassPages { wheel, settled_to, reclaimed_to: 0, tally });
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// What was ever registered in a class here, to be counted on.
    pub(crate) fn tally_mut(&mut self, class: ClassId) -> Result<&mut Tally> {
        Ok(&mut self.class(class)?.tally)
    }

    /// What was ever registered here, by class.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = (ClassId, Tally)> {
        self.classes.iter().map(|(class, pages)| (*class, pages.tally))
    }

    /// Puts a page back that was found in the index.
    pub(crate) fn restore(&mut self, id: PageId, page: Page) -> Result<()> {
        // Most slots have one page in a shard, and of slots there can be hundreds of thousands.
        let parts = self.class(id.class)?.wheel.entry(id.slot, || Vec::with_capacity(1));
        parts.push(page);
        Ok(())
    }

    /// The id for the next registration of `class` in `slot`, or in a later slot where this one is full.
    pub(crate) fn next_id(
        &mut self,
        kv: &dyn Kv,
        class: &Class,
        mut slot: u64,
        ceiling_ms: i64,
        surprise: bool,
    ) -> Result<RegistrationId> {
        loop {
            if let Some(id) = self.take_seq(class.id, slot, ceiling_ms, surprise)? {
                return Ok(id);
            }
            let first = PageId { class: class.id, slot, shard: self.number, part: 0 };
            match self.next_part(kv, first)? {
                Some(part) => {
                    let earliest_ceiling_ms = class.earliest_ceiling_ms(slot);
                    let page = Page::new(part, 0, PageState::Open, Arrivals::Single, earliest_ceiling_ms);
                    self.restore(first, page)?;
                }
                // What lies there is being reclaimed, or all its 65,536 parts of 65,536 rows are used: later, never lost.
                None => slot = self.class(class.id)?.reclaimed_to.max(slot.saturating_add(1_000)),
            }
        }
    }

    /// The next seq of the page of a slot that takes registrations, if there is one.
    fn take_seq(
        &mut self,
        class: ClassId,
        slot: u64,
        ceiling_ms: i64,
        surprise: bool,
    ) -> Result<Option<RegistrationId>> {
        let shard = self.number;
        let parts = self.class(class)?.wheel.get_mut(slot);
        let Some(page) =
            parts.and_then(|parts| parts.last_mut()).filter(|page| page.state == PageState::Open)
        else {
            return Ok(None);
        };
        let seq = page.rows;
        page.rows += 1;
        page.surprises += u32::from(surprise);
        // An object that was overdue when it was registered has a ceiling that its slot does not tell.
        page.earliest_ceiling_ms = page.earliest_ceiling_ms.min(ceiling_ms);
        if page.rows >= PAGE_ROWS_MAX {
            page.state = PageState::Closed;
        }
        Ok(Some(RegistrationId { page: PageId { class, slot, shard, part: page.part }, seq }))
    }

    /// A page of its own for `rows` carried registrations: nobody else ever gets a seq in it, so a batch that dies
    /// before its commit leaves no gap.
    pub(crate) fn reserve(
        &mut self,
        kv: &dyn Kv,
        class: &Class,
        mut slot: u64,
        rows: u32,
        arrivals: Arrivals,
        earliest_ceiling_ms: i64,
    ) -> Result<PageId> {
        loop {
            let first = PageId { class: class.id, slot, shard: self.number, part: 0 };
            if let Some(part) = self.next_part(kv, first)? {
                let id = PageId { part, ..first };
                let state = PageState::Reserved;
                self.restore(id, Page::new(part, rows, state, arrivals, earliest_ceiling_ms))?;
                return Ok(id);
            }
            slot = self.class(class.id)?.reclaimed_to.max(slot.saturating_add(1_000));
        }
    }

    /// The first part of a slot that no page ever had: behind those in the wheel and those settled. Rows under a
    /// settled page's id would be void for every reader, so a part is never used twice, whatever the clock does.
    /// `None` where the slot takes no new page.
    fn next_part(&mut self, kv: &dyn Kv, page: PageId) -> Result<Option<u16>> {
        let pages = self.class(page.class)?;
        if page.slot < pages.reclaimed_to {
            return Ok(None);
        }
        let in_wheel = pages.wheel.get(page.slot).and_then(|parts| parts.iter().map(|p| p.part).max());
        let mut settled = None;
        if page.slot <= pages.settled_to {
            let range = schema::settled_parts(page);
            kv.scan(Family::Settled, &range.start..&range.end, Order::Descending, &mut |key, _| {
                settled = key.last_chunk().map(|part| u16::from_be_bytes(*part));
                ControlFlow::Break(())
            })?;
        }
        match in_wheel.max(settled) {
            None => Ok(Some(0)),
            Some(last) => Ok(last.checked_add(1)),
        }
    }

    fn class(&mut self, class: ClassId) -> Result<&mut ClassPages> {
        self.classes
            .get_mut(&class)
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("class {class} has no wheel")))
    }

    /// The page in the wheel; `None` where it is settled or never was.
    pub(crate) fn page_mut(&mut self, page: PageId) -> Option<&mut Page> {
        let parts = self.classes.get_mut(&page.class)?.wheel.get_mut(page.slot)?;
        parts.iter_mut().find(|p| p.part == page.part)
    }

    fn next_slot(&self) -> Option<u64> {
        self.classes.values().filter_map(|pages| pages.wheel.first()).min()
    }

    fn next_plannable_slot(&self) -> Option<u64> {
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

    fn settle(&mut self, page: PageId) {
        let Some(pages) = self.classes.get_mut(&page.class) else { return };
        pages.settled_to = pages.settled_to.max(page.slot);
        if let Some(parts) = pages.wheel.get_mut(page.slot) {
            parts.retain(|p| p.part != page.part);
            if parts.is_empty() {
                pages.wheel.remove(page.slot);
            }
        }
    }

    fn each_due(
        &mut self,
        now_ms: i64,
        limit: usize,
        only: Option<ClassId>,
        may_go: &dyn Fn(&DuePage) -> bool,
        visit: &mut dyn FnMut(DuePage),
    ) {
        let Ok(now) = u64::try_from(now_ms) else { return };
        let shard = self.number;
        for (&class, pages) in self.classes.iter_mut().filter(|(class, _)| only.is_none_or(|c| c == **class))
        {
            pages.wheel.turn(now);
            let parts = pages.wheel.due(now).flat_map(|(slot, parts)| {
                parts.iter().filter(|page| page.is_plannable()).map(move |page| DuePage {
                    page: PageId { class, slot, shard, part: page.part },
                    rows: page.rows,
                    earliest_ceiling_ms: page.earliest_ceiling_ms,
                    surprises: page.surprising(),
                })
            });
            parts.filter(may_go).take(limit).for_each(&mut *visit);
        }
    }

    /// Whether a page that is in no way settled lies between two of its class, in the order of their rows.
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
#[path = "index_tests.rs"]
mod tests;
