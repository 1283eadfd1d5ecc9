//! The plan ahead: what goes when, why, and what is held back by what. Reads what planning reads and decides by the same
//! functions, and changes nothing.

use crate::alarm::AlarmCause;
use crate::alarms;
use crate::batch::Planned;
use crate::class::second_of;
use crate::core::Core;
use crate::effect::{self, Active, Aim};
use crate::error::Result;
use crate::guard::Trusted;
use crate::hold::{Covered, Hold, HoldSet, Lifted};
use crate::index::Page;
use crate::kv::{self, Family};
use crate::place;
use crate::plan::{self, Truth};
use crate::schema::{self, Flags, Mark, Row};
use crate::sweep;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::leaf::Disposition;
use sexton_proof::record::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What will be done with an object when its time has come, as far as is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The store is asked to delete it.
    Delete,
    /// The store is asked to anonymise it.
    Anonymise,
    /// Its registration ends, for a newer one took its place.
    EndReplaced,
    /// Its registration ends, for the host has deleted it itself.
    EndReleased,
    /// The legal hold of this name keeps it.
    Hold(String),
    /// Its floor has not passed.
    WaitForFloor,
    /// Deleting has stopped, and waits for a person.
    Stopped(AlarmCause),
}

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The registration as it is now.
    pub id: RegistrationId,
    /// Name of the class.
    pub class: String,
    /// Key of the object.
    pub key: Vec<u8>,
    /// When its time comes, Unix ms; in the past where it has come.
    pub at_ms: i64,
    /// What will be done.
    pub action: Action,
    /// Why it ends.
    pub reason: Reason,
    /// Its floor, [`sexton_proof::id::NO_FLOOR`] where there is none.
    pub floor_ms: i64,
    /// Its ceiling, [`sexton_proof::id::NO_CEILING`] where there is none.
    pub ceiling_ms: i64,
}

/// What decides, as of now.
struct Outlook {
    /// As they are now: looking at everything may take a while, and placing a hold does not wait for it.
    holds: HoldSet,
    active: Vec<Active>,
    tripped: BTreeSet<ClassId>,
    clock: Option<AlarmCause>,
    now_ms: i64,
    until_ms: i64,
}

/// Shows every object whose time comes by `until_ms`, in the order of classes and pages. `stepped`: a clock that is
/// ahead was right before.
pub(crate) fn preview(
    core: &Core,
    now: Trusted,
    stepped: bool,
    until_ms: i64,
    visit: &mut dyn FnMut(Forecast) -> ControlFlow<()>,
) -> Result<()> {
    let holds = core.holds.read().clone();
    let outlook = Outlook {
        holds,
        active: sweep::ready(core, until_ms)?,
        tripped: alarms::tripped(core),
        clock: alarms::stopped_by_clock(core, now, stepped),
        now_ms: now.now_ms,
        until_ms,
    };
    let mut holds = outlook.holds.clone();
    // What was lifted keeps nothing any more once planning has looked for what it had kept.
    for hold in outlook.active.iter().filter_map(|active| active.lifted.clone()) {
        let lifted = hold.lifted.clone().map(|lifted| Lifted { done: true, ..lifted });
        holds.insert(Hold { lifted, ..hold });
    }
    let until = u64::try_from(until_ms).unwrap_or(0);
    let mut pages: Vec<(PageId, Page)> = Vec::new();
    core.index.each_page(&mut |id, page| {
        // Requests can bring anything forward, so where any waits every page is looked at.
        if page.rows > 0 && (id.slot <= until || !outlook.active.is_empty()) {
            pages.push((id, *page));
        }
    });
    pages.sort_unstable_by_key(|(id, _)| *id);
    for (id, page) in pages {
        if page_ahead(core, &outlook, &holds, id, &page, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn page_ahead(
    core: &Core,
    outlook: &Outlook,
    holds: &HoldSet,
    page: PageId,
    found: &Page,
    visit: &mut dyn FnMut(Forecast) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let class = core.class(page.class)?;
    let marks = if found.marked { place::marks(core, page)? } else { BTreeMap::new() };
    let stopped = match &outlook.clock {
        Some(cause) => Some(cause.clone()),
        None if outlook.tripped.contains(&page.class) && found.surprises > 0 => {
            Some(AlarmCause::Breaker { class: class.definition.name.clone() })
        }
        None => None,
    };
    let mut next = ControlFlow::Continue(());
    kv::try_scan(&*core.kv, Family::Rows(page.class), &schema::page_rows(page), |key, value| {
        let (id, row) = (schema::row_id(page.class, key)?, Row::decode(value)?);
        if id.seq >= found.rows || row.flags.has(Flags::MOVED) {
            return Ok(next); // It is shown where it lives.
        }
        let found = (found.surprises > 0, stopped.as_ref());
        if let Some(forecast) = forecast(outlook, holds, &marks, id, Aim::of(&class, id, row), found) {
            next = visit(forecast);
        }
        Ok(next)
    })?;
    Ok(next)
}

fn forecast(
    outlook: &Outlook,
    holds: &HoldSet,
    marks: &BTreeMap<RegistrationId, Mark>,
    id: RegistrationId,
    mut aim: Aim<'_>,
    (among_surprises, stopped): (bool, Option<&AlarmCause>),
) -> Option<Forecast> {
    let mut moved_ms = outlook.now_ms;
    if marks.contains_key(&id) {
        aim = effect::end_replaced(&outlook.active, &aim, outlook.now_ms).unwrap_or(aim);
    } else {
        for active in &outlook.active {
            let at_ms = outlook.now_ms.max(active.ready_ms());
            if active.concerns(&aim.class, &aim.row)
                && let Some(next) = active.apply(&aim, &outlook.holds, at_ms)
            {
                moved_ms = moved_ms.max(at_ms);
                aim = Aim { slot: next.slot.max(second_of(at_ms)), ..next };
            }
        }
    }
    // Only now, as in a sweep: each request sees for what cause the row lies where it lies.
    let mut stopped = stopped.cloned();
    if let Some(cause) = aim.cause {
        aim.row.cause = cause.code();
        if outlook.clock.is_none() {
            let surprise = place::is_surprise(&aim.class, id.page.slot, among_surprises, aim.slot, moved_ms);
            let class = aim.class.definition.name.clone();
            stopped = (surprise && outlook.tripped.contains(&aim.class.id))
                .then_some(AlarmCause::Breaker { class });
        }
    }
    let at_ms = i64::try_from(aim.slot).unwrap_or(i64::MAX);
    if at_ms > outlook.until_ms {
        return None;
    }
    let class = &aim.class.definition;
    let truth = Truth { marks, holds, now_ms: at_ms.max(outlook.now_ms) };
    let action = match (plan::planned(&class.name, id, &aim.row, &truth), stopped) {
        (_, Some(cause)) => Action::Stopped(cause),
        (Planned::Moved, None) => return None,
        (Planned::Replaced, None) => Action::EndReplaced,
        (Planned::Released, None) => Action::EndReleased,
        (Planned::Held { .. }, None) => {
            let hold = holds.covering(Covered::of(&class.name, &aim.row));
            Action::Hold(hold.map(|hold| hold.terms.name.clone()).unwrap_or_default())
        }
        (Planned::BeforeFloor, None) => Action::WaitForFloor,
        (Planned::Delete, None) if class.disposition == Disposition::Anonymise => Action::Anonymise,
        (Planned::Delete, None) => Action::Delete,
    };
    Some(Forecast {
        id,
        class: class.name.clone(),
        key: aim.row.key.to_vec(),
        at_ms,
        action,
        reason: aim.row.reason,
        floor_ms: aim.row.floor_ms,
        ceiling_ms: aim.row.ceiling_ms,
    })
}
