//! Legal holds: placing and lifting.

use crate::governance::{audit_event, clock, requests};
use crate::model::hold::{Hold, HoldId, HoldName, Lifted, NewHold};
use crate::model::request::RequestKind;
use crate::model::schema::{self, Row};
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{self, ColumnFamily};
use crate::state::core::Core;
use crate::state::marks;
use crate::state::page::PageState;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::EventKind;
use std::ops::ControlFlow;
use std::time::Duration;

/// Answer to placing a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Hold that now applies.
    pub hold: Hold,
    /// Covered objects that are already in a batch. The batch may delete them, or has deleted them.
    pub too_late: Vec<RegistrationId>,
}

/// Places a hold. When it returns, the hold is durable.
///
/// The planner's lock is held, so no batch is planned meanwhile. Later batches respect the hold; the objects of batches
/// planned before are returned as too late.
///
/// # Errors
/// `Invalid` if a text or the selector is empty or too long, the name is taken, the class is unknown, or the review
/// date is past; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn place(core: &Core, new: NewHold) -> Result<Placed> {
    core.check_writable()?;
    let planner = core.batches.planner.lock();
    let time = core.now(&*planner);
    core.governance.holds.read().check(&new)?;
    if let Selector::Class(name) = &new.selector {
        core.classes.read().known(name)?;
    }
    // In doubt the earlier clock counts. A true date must not be refused, because the objects would be deleted.
    let (now, earliest) = (time.now, time.for_floors());
    if new.review <= earliest {
        return Err(Error::invalid(format!(
            "the review date {} lies in the past (now is {earliest}); give the day of the next review",
            new.review
        )));
    }
    let id = HoldId::from_bytes(audit_event::new_id(core)?);
    let hold = Hold { id, placed: now, terms: new, lifted: None };
    let record = schema::to_json(&hold)?;
    // Before the hold is recorded. A batch may commit meanwhile, so an object may be listed that is gone; none is missed,
    // because no page can enter a batch.
    let too_late = covered_in_flight(core, &hold)?;
    audit_event::record(core, EventKind::Hold, hold.id.to_bytes(), &record, now, |set| {
        set.put(ColumnFamily::Meta, &schema::hold_key(&hold.id), &record);
        Ok(())
    })?;
    // The hold is durable before it applies, and applies before the answer. After a crash before this line, the hold
    // applies from the next opening on, although no success was reported. That keeps more objects, never fewer.
    core.governance.holds.write().insert(hold.clone());
    drop(planner);
    Ok(Placed { hold, too_late })
}

/// Returns the registrations in batches in flight that a hold covers.
fn covered_in_flight(core: &Core, hold: &Hold) -> Result<Vec<RegistrationId>> {
    let mut pages: Vec<PageId> = Vec::new();
    core.schedule.each_page(&mut |id, page| {
        if page.state == PageState::InBatch {
            pages.push(id);
        }
    });
    pages.sort_unstable();
    let mut covered = Vec::new();
    for page in pages {
        let class = core.classes.get(page.class)?;
        let rows = schema::page_row_range(page);
        kv::try_scan(&*core.kv, ColumnFamily::Rows(page.class), &rows, |key, value| {
            let row = Row::decode(value)?;
            if hold.terms.selector.covers(&class.definition.name, row.names(), row.subject) {
                covered.push(schema::parse_row_key(page.class, key)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let mut unmarked = Vec::new();
    for id in covered {
        if marks::of(&*core.kv, id)?.is_none() {
            unmarked.push(id);
        }
    }
    Ok(unmarked)
}

/// Longest grace after a lifted hold: 3,660 days.
pub const GRACE_MAX: Duration = Duration::from_hours(3_660 * 24);

/// Lifts the hold named `name`, durably. A sweep then moves the objects that it kept.
///
/// Objects that fell due before are deleted once `grace` has passed, or in time for a ceiling that is still to come. Other
/// objects are deleted on time. The clock of objects under an event hold starts again now.
///
/// # Errors
/// `Invalid` if a text is empty or too long, or the grace out of bounds; `NotFound` if no standing hold has the name;
/// `Busy` while the clock is in doubt, because a grace and a new start would count from it; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn lift(core: &Core, name: &HoldName, attribution: Attribution, grace: Duration) -> Result<Hold> {
    core.check_writable()?;
    attribution.check()?;
    if grace > GRACE_MAX {
        return Err(Error::invalid(format!(
            "a grace of {} ms; 0 to {} ms are allowed",
            grace.as_millis(),
            GRACE_MAX.as_millis()
        )));
    }
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner);
    clock::check_certain("the hold cannot be lifted", now)?;
    let now = now.now;
    let Some(mut hold) = core.governance.holds.read().named(name.as_str()).cloned() else {
        return Err(Error::not_found(format!(
            "no hold named {:?} stands; `hold list` shows those that do",
            name.as_str()
        )));
    };
    hold.lifted = Some(Lifted { at: now, attribution: attribution.clone(), grace, done: false });
    let record = schema::to_json(&hold)?;
    let kind = RequestKind::Lift { hold: hold.id };
    let lift = requests::new_request(core, kind, hold.terms.selector.clone(), attribution, now);
    audit_event::record(core, EventKind::Lift, hold.id.to_bytes(), &record, now, |set| {
        set.put(ColumnFamily::Meta, &schema::hold_key(&hold.id), &record);
        requests::stage_request(core, set, &lift)
    })?;
    core.governance.holds.write().insert(hold.clone());
    core.governance.requests.lock().insert(lift.number, lift);
    drop(planner);
    Ok(hold)
}
