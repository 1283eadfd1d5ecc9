//! Foresight of the breaker: the classes whose objects at short notice the next enforcement will stop, and the pages that
//! requests will move such objects to.

use super::{Cursor, PlanInputs};
use crate::enforcement::planner;
use crate::governance::clock::{self, Deletable};
use crate::governance::sweep;
use crate::model::class::slot_start;
use crate::model::target::Target;
use crate::platform::error::Result;
use crate::state::core::Core;
use crate::state::page::{Page, PageState};
use sexton_proof::id::{ClassId, PageId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Class version, slot and shard. Rows that arrive there go to the open page.
pub(super) type Place = (ClassId, u64, u16);

/// Foreseen stops of the breaker.
#[derive(Default)]
pub(super) struct Foresight {
    /// Class versions whose breaker trips at the next enforcement.
    pub(super) tripped: BTreeSet<ClassId>,
    /// Places at which objects at short notice arrive.
    pub(super) places: HashSet<Place>,
    /// Open pages of these places.
    pub(super) pages: HashSet<PageId>,
}

/// Rows that the requests that are ready now move.
#[derive(Default)]
struct Moves {
    /// Number of rows that leave each page.
    leave: HashMap<PageId, u32>,
    arrive: BTreeMap<Place, Arrived>,
}

/// Rows that arrive at a place.
#[derive(Clone, Copy, Default)]
struct Arrived {
    rows: u32,
    short_notice: u32,
}

/// Page after the moves.
struct After {
    place: Place,
    live: u32,
    short_notice: u32,
}

/// Objects of a class that count for its breaker.
#[derive(Default)]
struct Tally {
    live: u64,
    /// Live objects at short notice, of all slots.
    waiting: u64,
    /// Class versions that have such objects in a slot that has begun.
    due: BTreeSet<ClassId>,
}

/// Returns what the breaker will stop at the next enforcement, if no object is registered before.
///
/// A class that shrinks meanwhile by many objects with notice may trip later, at a share of fewer objects. That is not
/// foreseen.
pub(super) fn foresee(core: &Core, inputs: &PlanInputs, pages: &[(PageId, Page)]) -> Result<Foresight> {
    let moves = moves(core, inputs, pages)?;
    let mut foresight = Foresight::default();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for page in pages_after(core, &moves, &mut foresight) {
        let (class, slot, _) = page.place;
        let tally = tallies.entry(core.classes.get(class)?.definition.name.clone()).or_default();
        let short_notice = page.short_notice.min(page.live);
        tally.live += u64::from(page.live);
        tally.waiting += u64::from(short_notice);
        if short_notice > 0 && slot_start(slot) <= inputs.now {
            tally.due.insert(class);
        }
    }
    let planner = core.batches.planner.lock_read();
    for (name, Tally { live, waiting, due }) in tallies {
        for id in due {
            let window = planner::breaker_window(&*core.classes.get(id)?);
            if planner.breaker.judge(&name, 1, waiting, live, window, inputs.now).is_err() {
                foresight.tripped.extend(core.classes.read().versions_of(&name));
            }
        }
    }
    Ok(foresight)
}

/// Returns the pages that batches may take after the moves. Records the places at which objects at short notice arrive.
fn pages_after(core: &Core, moves: &Moves, foresight: &mut Foresight) -> Vec<After> {
    let mut after: Vec<After> = Vec::new();
    // Rows that arrive go to the last page of a place if it is open.
    let mut last: HashMap<Place, (PageId, Option<usize>)> = HashMap::new();
    core.schedule.each_page(&mut |id, page| {
        let place = (id.class, id.slot, id.shard);
        last.insert(place, (id, (page.state == PageState::Open).then_some(after.len())));
        if page.is_movable() {
            let leave = moves.leave.get(&id).copied().unwrap_or(0);
            let live = page.live().saturating_sub(leave);
            after.push(After { place, live, short_notice: page.short_notice });
        }
    });
    for (&place, arrived) in &moves.arrive {
        let (page, open) = last.get(&place).copied().unzip();
        if arrived.short_notice > 0 {
            foresight.places.insert(place);
        }
        match open.flatten().and_then(|at| after.get_mut(at)) {
            Some(open) => {
                open.live += arrived.rows;
                open.short_notice += arrived.short_notice;
                if arrived.short_notice > 0 {
                    foresight.pages.extend(page);
                } else if open.short_notice > 0 {
                    foresight.places.insert(place);
                }
            }
            None => {
                after.push(After { place, live: arrived.rows, short_notice: arrived.short_notice });
            }
        }
    }
    after
}

/// Returns the moves of the requests that are ready now. Without such a request it reads nothing.
fn moves(core: &Core, inputs: &PlanInputs, pages: &[(PageId, Page)]) -> Result<Moves> {
    let mut moves = Moves::default();
    let mut requests = sweep::ready_requests(core, inputs.now)?;
    requests.extend(clock::next_requests(core, inputs.now));
    if requests.is_empty() {
        return Ok(moves);
    }
    let ready = PlanInputs {
        holds_now: inputs.holds_now.clone(),
        holds_then: inputs.holds_then.clone(),
        requests,
        tripped: BTreeSet::new(),
        foresight: Foresight::default(),
        absent: BTreeSet::new(),
        deletable: Deletable::All,
        clock: None,
        doubts_ended: inputs.doubts_ended,
        now: inputs.now,
        until: inputs.now,
    };
    for (page, found) in pages.iter().filter(|(_, found)| found.is_movable()) {
        let mut cursor = Cursor::at(core, &ready, *page, *found)?;
        while cursor.read(core, &mut |cursor, id, row| {
            if let (target, Some(moved)) = cursor.after_requests(&ready, id, row) {
                let is_replaced = cursor.marks.contains_key(&id);
                moves.add(*page, &target, !is_replaced && cursor.is_short(&target, moved));
            }
        })? {}
    }
    Ok(moves)
}

impl Moves {
    fn add(&mut self, from: PageId, target: &Target<'_>, is_short: bool) {
        *self.leave.entry(from).or_default() += 1;
        let arrived = self.arrive.entry((target.class.id, target.slot, from.shard)).or_default();
        arrived.rows += 1;
        arrived.short_notice += u32::from(is_short);
    }
}
