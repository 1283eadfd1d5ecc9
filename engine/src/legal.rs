//! Placing and lifting legal holds.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::event;
use crate::hold::{self, Hold, Lifted, NewHold};
use crate::index::PageState;
use crate::kv::{self, Family};
use crate::place;
use crate::request::{Request, RequestKind};
use crate::requests;
use crate::schema::{self, Row};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::EventKind;
use std::ops::ControlFlow;

/// The answer to placing a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The hold as it stands now.
    pub hold: Hold,
    /// Objects that it covers but that are on their way to deletion already: they may go, or be gone.
    pub too_late: Vec<RegistrationId>,
}

/// Places a hold. Planning waits meanwhile: what is planned after this returns is held, and what was planned before it
/// is counted as too late.
pub(crate) fn place(core: &Core, new: NewHold, now_ms: i64) -> Result<Placed> {
    core.check_writable()?;
    let planner = core.planner.lock();
    core.holds.read().check(&new)?;
    if let crate::selector::Selector::Class(name) = &new.selector {
        core.classes.read().known(name)?;
    }
    if new.review_ms <= now_ms {
        return Err(Error::invalid(format!(
            "the review date {} ms lies in the past (now is {now_ms} ms); give the day on which somebody will look again",
            new.review_ms
        )));
    }
    let hold = Hold { id: event::new_id(core)?, placed_ms: now_ms, terms: new, lifted: None };
    let record = schema::to_json(&hold)?;
    // Before anything else may commit: no page can come into a batch meanwhile, and one too many is better than too few.
    let too_late = in_flight(core, &hold)?;
    event::record(core, EventKind::Hold, hold.id, &record, now_ms, |set| {
        set.put(Family::Meta, &schema::hold_key(&hold.id), &record);
        Ok(())
    })?;
    // Durable before it counts, and it counts before the answer: a crash before this line leaves a hold that stands
    // after reopening though nobody was told, which keeps more, never less.
    core.holds.write().insert(hold.clone());
    drop(planner);
    Ok(Placed { hold, too_late })
}

/// What a hold covers of the batches under way.
fn in_flight(core: &Core, hold: &Hold) -> Result<Vec<RegistrationId>> {
    let mut pages: Vec<PageId> = Vec::new();
    core.index.each_page(&mut |id, page| {
        if page.state == PageState::InBatch {
            pages.push(id);
        }
    });
    pages.sort_unstable();
    let mut covered = Vec::new();
    for page in pages {
        let class = core.class(page.class)?;
        let rows = schema::page_rows(page);
        kv::try_scan(&*core.kv, Family::Rows(page.class), &rows, |key, value| {
            let row = Row::decode(value)?;
            if hold.terms.selector.covers(&class.definition.name, row.key, row.subject) {
                covered.push(schema::row_id(page.class, key)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let mut late = Vec::new();
    for id in covered {
        if place::mark(core, id)?.is_none() {
            late.push(id);
        }
    }
    Ok(late)
}

/// Lifts the hold named `name`. What it kept past its ceiling goes once `grace_ms` have passed, what is still in its
/// window goes in time, what an event hold covered counts from now on.
pub(crate) fn lift(
    core: &Core,
    name: &str,
    reason: &str,
    author: &str,
    grace_ms: i64,
    now_ms: i64,
) -> Result<Hold> {
    core.check_writable()?;
    hold::check_text("reason", reason)?;
    hold::check_text("author", author)?;
    if !(0..=GRACE_MAX_MS).contains(&grace_ms) {
        return Err(Error::invalid(format!("a grace of {grace_ms} ms; 0 to {GRACE_MAX_MS} ms are allowed")));
    }
    let planner = core.planner.lock();
    let Some(mut hold) = core.holds.read().named(name).cloned() else {
        return Err(Error::not_found(format!(
            "no hold named {name:?} stands; `hold list` shows those that do"
        )));
    };
    hold.lifted = Some(Lifted {
        at_ms: now_ms,
        reason: reason.to_owned(),
        author: author.to_owned(),
        grace_ms,
        done: false,
    });
    let record = schema::to_json(&hold)?;
    let lift = requests::new(core, RequestKind::Lift { hold: hold.id }, hold.terms.selector.clone(), now_ms);
    let lift = Request { reason: reason.to_owned(), author: author.to_owned(), ..lift };
    event::record(core, EventKind::Lift, hold.id, &record, now_ms, |set| {
        set.put(Family::Meta, &schema::hold_key(&hold.id), &record);
        requests::stage(core, set, &lift)
    })?;
    core.holds.write().insert(hold.clone());
    core.requests.lock().insert(lift.number, lift);
    drop(planner);
    Ok(hold)
}

/// Longest grace, ms: ten years.
pub const GRACE_MAX_MS: i64 = 3_660 * 86_400_000;
