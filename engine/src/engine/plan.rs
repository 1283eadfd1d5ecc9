//! Plan: the objects that come up for deletion, with instant, treatment and cause. It reads the same data as the planner,
//! decides by the same functions, and changes nothing.

mod breaker;

use self::breaker::Foresight;
use crate::enforcement::planner::{self, DecisionInputs, Times};
use crate::governance::alarms;
use crate::governance::clock::{self, Deletable};
use crate::governance::sweep;
use crate::model::alarm::AlarmCause;
use crate::model::class::{Class, floor_to_second, slot_start};
use crate::model::clock_guard::Trusted;
use crate::model::hold::{Hold, HoldFacts, HoldName, HoldSet, Lifted};
use crate::model::request_rules::{self, ActiveRequest};
use crate::model::schema::{self, Flags, Mark, Row};
use crate::model::target::Target;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{self, ColumnFamily};
use crate::registration::placement;
use crate::state::batch::Planned;
use crate::state::core::Core;
use crate::state::marks;
use crate::state::page::Page;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::leaf::Disposition;
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::vec;

/// Rows that a [`Plan`] reads at once.
const CHUNK_ROWS: usize = 1_024;

/// Treatment of an object when it comes up, as far as it is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The store is asked to delete it.
    Delete,
    /// The store is asked to anonymise it.
    Anonymise,
    /// End of the registration, because a newer one replaced it.
    EndReplaced,
    /// End of the registration, because the host deleted the object itself.
    EndReleased,
    /// The legal hold of this name keeps it.
    Hold(HoldName),
    /// Floor that has not passed.
    WaitForFloor,
    /// Deletion has stopped and waits for an operator, or the next enforcement will stop it.
    Stopped(AlarmCause),
}

/// Object that comes up for deletion, with its treatment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedObject {
    /// Present registration id.
    pub id: RegistrationId,
    /// Name of its class.
    pub class: String,
    /// Key that the object is stored under.
    pub key: Vec<u8>,
    /// Key that it was registered under, if it was renamed.
    pub first_key: Option<Vec<u8>>,
    /// Version by which the store recognises it; empty if it has none.
    pub version: Vec<u8>,
    /// Instant at which it comes up. It lies in the past if the object is due.
    pub at: Timestamp,
    /// Treatment of the object.
    pub action: Action,
    /// Reason of its end.
    pub reason: Reason,
    /// Floor. `None` if its class promises none.
    pub floor: Option<Timestamp>,
    /// Ceiling. `None` if its class promises none.
    pub ceiling: Option<Timestamp>,
}

/// Iterator over the objects that come up for deletion; made by [`Engine::plan`](crate::Engine::plan).
///
/// Rows are read in chunks of bounded size, page by page, without a lock between chunks. An error ends the iterator.
pub struct Plan<'e> {
    core: &'e Core,
    inputs: PlanInputs,
    /// Pages that have not been read, in the order of classes and slots.
    pages: vec::IntoIter<(PageId, Page)>,
    cursor: Option<Cursor>,
    /// Objects that were read and not returned.
    ready: VecDeque<PlannedObject>,
    /// Error that ended the reading, to be returned after them.
    error: Option<Error>,
}

/// Inputs of the decisions, read once at the beginning.
struct PlanInputs {
    /// Holds as of now: a request is applied under them. It is a copy, so placing a hold need not wait for the iterator.
    holds_now: HoldSet,
    /// Holds as of the next planning, which finds the objects of lifted ones.
    holds_then: HoldSet,
    requests: Vec<ActiveRequest>,
    /// Class versions whose breaker has tripped, or trips at the next enforcement.
    tripped: BTreeSet<ClassId>,
    foresight: Foresight,
    /// Class versions that wait because nearly all objects of a batch were absent.
    absent: BTreeSet<ClassId>,
    /// Objects that the clock allows to be deleted.
    deletable: Deletable,
    /// Alarm of the clock, which stops the rest.
    clock: Option<AlarmCause>,
    /// Number of the last doubt that has ended, or that the next planning ends.
    doubts_ended: u32,
    now: Timestamp,
    until: Timestamp,
}

impl PlanInputs {
    /// Returns `true` if the clock stops the deletion of objects of the class.
    fn stops(&self, class: &Class) -> bool {
        match self.deletable {
            Deletable::All => false,
            Deletable::WithoutFloor => class.has_floor(),
            Deletable::Nothing => true,
        }
    }
}

/// Position in a page.
struct Cursor {
    class: Arc<Class>,
    page: PageId,
    /// State of the page when it was reached. Later rows belong to later registrations.
    found: Page,
    marks: BTreeMap<RegistrationId, Mark>,
    /// Alarm that stops the page.
    stopped: Option<AlarmCause>,
    next_seq: u32,
}

impl<'e> Plan<'e> {
    /// Prepares the plan up to `until`.
    pub(crate) fn new(core: &'e Core, now: Trusted, until: Timestamp) -> Result<Plan<'e>> {
        let holds_now = core.governance.holds.read().clone();
        let mut requests = sweep::ready_requests(core, until)?;
        requests.extend(clock::next_requests(core, now.now));
        let mut holds_then = holds_now.clone();
        for hold in requests.iter().filter_map(|active| active.lifted.clone()) {
            let lifted = hold.lifted.clone().map(|lifted| Lifted { done: true, ..lifted });
            holds_then.insert(Hold { lifted, ..hold });
        }
        let mut pages: Vec<(PageId, Page)> = Vec::new();
        core.schedule.each_page(&mut |id, page| {
            // A request can expedite any object, so if one waits every page is read.
            if page.rows > 0 && (id.slot_start() <= until || !requests.is_empty()) {
                pages.push((id, *page));
            }
        });
        pages.sort_unstable_by_key(|(id, _)| *id);
        let (deletable, clock) = clock::stop(core, now);
        let mut inputs = PlanInputs {
            holds_now,
            holds_then,
            requests,
            tripped: alarms::tripped_classes(core),
            foresight: Foresight::default(),
            absent: alarms::absent_classes(core),
            deletable,
            clock,
            doubts_ended: core.governance.doubts.last_decided(),
            now: now.now,
            until,
        };
        if inputs.deletable != Deletable::Nothing {
            inputs.foresight = breaker::foresee(core, &inputs, &pages)?;
            inputs.tripped.extend(&inputs.foresight.tripped);
        }
        Ok(Plan { core, inputs, pages: pages.into_iter(), cursor: None, ready: VecDeque::new(), error: None })
    }

    /// Reads on until an object is ready, or no page is left.
    fn fill(&mut self) -> Result<()> {
        while self.ready.is_empty() {
            if self.cursor.is_none() {
                let Some((page, found)) = self.pages.next() else { return Ok(()) };
                self.cursor = Some(Cursor::at(self.core, &self.inputs, page, found)?);
            }
            let (inputs, ready) = (&self.inputs, &mut self.ready);
            let visit = &mut |cursor: &Cursor, id, row: Row<'_>| ready.extend(cursor.decide(inputs, id, row));
            if let Some(cursor) = &mut self.cursor
                && !cursor.read(self.core, visit)?
            {
                self.cursor = None;
            }
        }
        Ok(())
    }
}

impl Iterator for Plan<'_> {
    type Item = Result<PlannedObject>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            self.pages = Vec::new().into_iter();
            self.cursor = None;
            self.error = Some(error);
        }
        // Objects that were read before an error come first.
        self.ready.pop_front().map(Ok).or_else(|| self.error.take().map(Err))
    }
}

impl FusedIterator for Plan<'_> {}

impl Cursor {
    /// Goes to the beginning of a page.
    fn at(core: &Core, inputs: &PlanInputs, page: PageId, found: Page) -> Result<Cursor> {
        let class = core.classes.get(page.class)?;
        let marks = if found.has_marks { marks::of_page(&*core.kv, page)? } else { BTreeMap::new() };
        let stopped = match &inputs.clock {
            Some(cause) if inputs.stops(&class) => Some(cause.clone()),
            _ if inputs.absent.contains(&page.class) => Some(absent(&class)),
            _ => {
                let is_short = found.short_notice > 0 || inputs.foresight.pages.contains(&page);
                (is_short && inputs.tripped.contains(&page.class)).then(|| breaker(&class))
            }
        };
        Ok(Cursor { class, page, found, marks, stopped, next_seq: 0 })
    }

    /// Calls `visit` for each row of the next chunk that was not moved. Returns `false` if the page has no more rows.
    fn read(&mut self, core: &Core, visit: &mut dyn FnMut(&Cursor, RegistrationId, Row<'_>)) -> Result<bool> {
        let from = schema::row_key(RegistrationId { page: self.page, seq: self.next_seq });
        let range = from.to_vec()..schema::page_row_range(self.page).end;
        let mut rows = 0;
        let mut last = None;
        kv::try_scan(&*core.kv, ColumnFamily::Rows(self.page.class), &range, |key, value| {
            let (id, row) = (schema::parse_row_key(self.page.class, key)?, Row::decode(value)?);
            if id.seq >= self.found.rows {
                return Ok(ControlFlow::Break(()));
            }
            // A moved registration is shown at its new place.
            if !row.flags.has(Flags::MOVED) {
                visit(self, id, row);
            }
            rows += 1;
            if rows < CHUNK_ROWS {
                return Ok(ControlFlow::Continue(()));
            }
            last = Some(id.seq);
            Ok(ControlFlow::Break(()))
        })?;
        // A chunk that was not full ends the page.
        let next_seq = last.and_then(|last: u32| last.checked_add(1));
        self.next_seq = next_seq.unwrap_or(self.next_seq);
        Ok(next_seq.is_some())
    }

    /// Returns the object of a row, if it comes up in time.
    fn decide(&self, inputs: &PlanInputs, id: RegistrationId, row: Row<'_>) -> Option<PlannedObject> {
        let (target, moved) = self.after_requests(inputs, id, row);
        let stopped = match moved {
            Some(_) if inputs.stops(&target.class) => inputs.clock.clone(),
            Some(_) if inputs.absent.contains(&target.class.id) => Some(absent(&target.class)),
            Some(moved) => {
                let place = (target.class.id, target.slot, self.page.shard);
                let is_short = self.is_short(&target, moved) || inputs.foresight.places.contains(&place);
                (is_short && inputs.tripped.contains(&target.class.id)).then(|| breaker(&target.class))
            }
            None => self.stopped.clone(),
        };
        let at = slot_start(target.slot);
        if at > inputs.until {
            return None;
        }
        let class = &target.class.definition;
        // Time passes only if the clock does not stay in doubt.
        let doubts_ended = if at > inputs.now { u32::MAX } else { inputs.doubts_ended };
        let times = Times::at(at.max(inputs.now), doubts_ended);
        let truth = DecisionInputs { marks: &self.marks, holds: &inputs.holds_then, times };
        let action = match (planner::decide(&class.name, id, &target.row, &truth), stopped) {
            (_, Some(cause)) => Action::Stopped(cause),
            (Planned::Moved, None) => return None,
            (Planned::Replaced, None) => Action::EndReplaced,
            (Planned::Released, None) => Action::EndReleased,
            (Planned::Held { .. }, None) => {
                // The decision used the same lookup, so it finds one.
                let hold =
                    inputs.holds_then.covering(HoldFacts::of(&class.name, id.page.slot, &target.row))?;
                Action::Hold(hold.terms.name.clone())
            }
            (Planned::BeforeFloor, None) => Action::WaitForFloor,
            (Planned::Delete, None) if class.disposition == Disposition::Anonymise => Action::Anonymise,
            (Planned::Delete, None) => Action::Delete,
        };
        Some(PlannedObject {
            id,
            class: class.name.clone(),
            key: target.row.key.to_vec(),
            first_key: target.row.first.map(<[u8]>::to_vec),
            version: target.row.version.to_vec(),
            at,
            action,
            reason: target.row.end_reason(),
            floor: target.row.floor,
            ceiling: target.row.ceiling,
        })
    }

    /// Applies the waiting requests to a row. Returns its target, and the instant of its move if they move it.
    fn after_requests<'r>(
        &self,
        inputs: &PlanInputs,
        id: RegistrationId,
        row: Row<'r>,
    ) -> (Target<'r>, Option<Timestamp>) {
        let mut target = Target::of(&self.class, id, row);
        let mut moved = inputs.now;
        if self.marks.contains_key(&id) {
            target = request_rules::end_replaced(&inputs.requests, &target, &inputs.holds_now, inputs.now)
                .unwrap_or(target);
        } else {
            for active in &inputs.requests {
                let at = inputs.now.max(active.ready());
                if active.concerns(&target.class, &target.row)
                    && let Some(next) = active.apply(&target, &inputs.holds_now, at)
                {
                    moved = moved.max(at);
                    target = Target { slot: next.slot.max(floor_to_second(at)), ..next };
                }
            }
        }
        let Some(cause) = target.cause else { return (target, None) };
        target.row = target.moved_row(cause);
        (target, Some(moved))
    }

    /// Returns `true` if the move of a row of this page to its target counts as one at short notice.
    fn is_short(&self, target: &Target<'_>, moved: Timestamp) -> bool {
        let among = self.found.short_notice > 0;
        placement::is_short_notice(&target.class, self.page.slot, among, target.slot, moved)
    }
}

/// Returns the alarm of a class whose objects were absent.
fn absent(class: &Class) -> AlarmCause {
    AlarmCause::Absent { class: class.definition.name.clone() }
}

/// Returns the alarm of a class's breaker.
fn breaker(class: &Class) -> AlarmCause {
    AlarmCause::Breaker { class: class.definition.name.clone() }
}
