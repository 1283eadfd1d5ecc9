//! What the engine is doing, for people and monitors: read from the index as of one instant.

use crate::alarm::Alarm;
use crate::answers;
use crate::core::Core;
use crate::error::Result;
use crate::guard::{ClockState, Trusted};
use crate::index::PageState;
use crate::kv::{self, Family};
use crate::request::Request;
use crate::schema::{self, Arrivals, Counts, Flags, Row};
use crate::trail::Trail;
use sexton_proof::id::{ClassId, PageId};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Whether the engine does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Running,
    /// The log here is not the one that was published: nothing is signed, registered or deleted.
    Forked(String),
    /// A write failed: nothing more is written until the engine is reopened.
    Poisoned(String),
    /// Nothing is deleted until the clock is right or a person resumes. What else stands in the way of some deletions
    /// is in [`Status::alarms`].
    Paused(String),
}

impl State {
    /// The word for it, and what happened.
    pub fn in_words(&self) -> (&'static str, Option<&str>) {
        match self {
            State::Running => ("running", None),
            State::Forked(why) => ("forked", Some(why)),
            State::Poisoned(why) => ("poisoned", Some(why)),
            State::Paused(why) => ("paused", Some(why)),
        }
    }
}

/// The engine as of one instant.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it does its work.
    pub state: State,
    /// The instant, Unix ms.
    pub as_of_ms: i64,
    /// The log's origin line.
    pub origin: String,
    /// Entries of the log.
    pub log_size: u64,
    /// Of those, the published ones.
    pub published_size: u64,
    /// Why the last publication failed, where it did.
    pub publish_error: Option<String>,
    /// Batches handed out and not yet committed.
    pub batches_in_flight: u64,
    /// How the wall clock stands to the time that is gone by.
    pub clock: ClockState,
    /// What stopped deleting and waits for a person.
    pub alarms: Vec<Alarm>,
    /// Legal holds that stand.
    pub holds: u64,
    /// The erasure that is open longest.
    pub oldest_erasure: Option<Request>,
    /// By class name; versions of a class together.
    pub classes: BTreeMap<String, ClassStatus>,
}

/// One class as of one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStatus {
    /// Objects ever registered in it. One that a change of terms took to another class stays counted here.
    pub registered: u64,
    /// Bytes of those whose size was known.
    pub registered_bytes: u64,
    /// Whether it was closed down.
    pub closed: bool,
    /// Registrations that have not ended.
    pub live: u64,
    /// Of those, the ones that legal holds keep though their time has come.
    pub held: u64,
    /// Of those, the ones whose slot has begun.
    pub due: u64,
    /// Of those, the ones whose ceiling has passed: late.
    pub overdue: u64,
    /// The earliest ceiling among the overdue.
    pub oldest_overdue_ms: Option<i64>,
    /// How the others ended.
    pub ended: Counts,
}

/// How far the wall clock may be behind the time that is trusted before a person is needed, ms.
const BEHIND_MAX_MS: i64 = 60_000;

/// What of a status needs a person, in a sentence each; `is_late` says whether something is overdue that no hold keeps.
pub(crate) fn needs(status: &Status, is_late: bool) -> Vec<String> {
    let mut needs = Vec::new();
    if let (word, Some(why)) = status.state.in_words() {
        needs.push(format!("{word}: {why}"));
    }
    // A pause says the sentence of its alarm.
    let is_said = |alarm: &Alarm| matches!(&status.state, State::Paused(why) if *why == alarm.sentence);
    let others = status.alarms.iter().filter(|alarm| !is_said(alarm));
    needs.extend(others.map(|alarm| format!("alarm: {}", alarm.sentence)));
    if is_late {
        let overdue: u64 = status.classes.values().map(|class| class.overdue).sum();
        needs.push(format!(
            "overdue: {overdue} are past their ceiling; `sexton plan` lists them, the log says why"
        ));
    }
    if let ClockState::Behind { by_ms } = status.clock
        && by_ms >= BEHIND_MAX_MS
    {
        needs.push(format!(
            "the clock is behind by {by_ms} ms: nothing more falls due until it has caught up; set it right"
        ));
    }
    needs.extend(status.publish_error.iter().map(|why| format!("not published: {why}")));
    needs
}

/// Reads the status. It costs a look at every page, at the rows of those that may be overdue, and at each object of the
/// erasure that is open longest.
pub(crate) fn status(core: &Core, trail: &Trail, now: Trusted) -> Result<Status> {
    let (now_ms, clock) = (now.now_ms, now.state);
    let (log_size, published_size, publish_error, counts) = {
        let published = core.published.lock();
        let ledger = core.ledger.look();
        (ledger.log.size(), published.size, published.error.clone(), ledger.counts.clone())
    };
    let mut by_class: BTreeMap<ClassId, ClassStatus> = BTreeMap::new();
    let mut suspects: Vec<PageId> = Vec::new();
    let now = u64::try_from(now_ms).unwrap_or(0);
    core.index.each_page(&mut |id, page| {
        if page.state == PageState::Reserved {
            return; // Its rows are still where they come from.
        }
        let class = by_class.entry(id.class).or_default();
        class.live += u64::from(page.live());
        if page.arrivals == Arrivals::Held {
            class.held += u64::from(page.live());
        }
        if id.slot <= now {
            class.due += u64::from(page.live());
        }
        if page.earliest_ceiling_ms < now_ms {
            suspects.push(id);
        }
    });
    for page in suspects {
        count_overdue(core, page, now_ms, by_class.entry(page.class).or_default())?;
    }
    let tallies = core.index.tallies();
    let mut classes: BTreeMap<String, ClassStatus> = BTreeMap::new();
    let known = core.classes.read();
    for class in known.iter() {
        let mut one = by_class.remove(&class.id).unwrap_or_default();
        one.ended = counts.get(&class.id).copied().unwrap_or_default();
        one.closed = known.is_closed(&class.definition.name);
        if let Some(tally) = tallies.get(&class.id) {
            (one.registered, one.registered_bytes) = (tally.objects, tally.bytes);
        }
        classes.entry(class.definition.name.clone()).or_default().add(one);
    }
    drop(known);
    let alarms: Vec<Alarm> = core.alarms.lock().values().cloned().collect();
    let state = state(core);
    let oldest_erasure = answers::oldest_erasure(core, trail, now_ms)?;
    let holds = core.holds.read().iter().filter(|hold| hold.stands()).count() as u64;
    Ok(Status {
        state,
        as_of_ms: now_ms,
        origin: core.origin.clone(),
        log_size,
        published_size,
        publish_error,
        batches_in_flight: core.in_flight.load(Ordering::SeqCst),
        clock,
        alarms,
        holds,
        oldest_erasure,
        classes,
    })
}

/// Whether the engine does its work.
pub(crate) fn state(core: &Core) -> State {
    let alarms = core.alarms.lock();
    let paused = alarms.values().find(|alarm| alarm.cause.is_of_time());
    match (&core.forked, core.writer.poisoned(), paused) {
        (Some(why), _, _) => State::Forked(why.clone()),
        (None, Some(why), _) => State::Poisoned(why),
        (None, None, Some(alarm)) => State::Paused(alarm.sentence.clone()),
        (None, None, None) => State::Running,
    }
}

impl ClassStatus {
    fn add(&mut self, other: ClassStatus) {
        self.registered += other.registered;
        self.registered_bytes = self.registered_bytes.saturating_add(other.registered_bytes);
        self.closed |= other.closed;
        self.live += other.live;
        self.held += other.held;
        self.due += other.due;
        self.overdue += other.overdue;
        self.oldest_overdue_ms = match (self.oldest_overdue_ms, other.oldest_overdue_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.ended.add(other.ended);
    }
}

fn count_overdue(core: &Core, page: PageId, now_ms: i64, class: &mut ClassStatus) -> Result<()> {
    kv::try_scan(&*core.kv, Family::Rows(page.class), &schema::page_rows(page), |_, value| {
        let row = Row::decode(value)?;
        if row.ceiling_ms < now_ms && !row.flags.has(Flags::MOVED) {
            class.overdue += 1;
            let oldest = class.oldest_overdue_ms.map_or(row.ceiling_ms, |c| c.min(row.ceiling_ms));
            class.oldest_overdue_ms = Some(oldest);
        }
        Ok(ControlFlow::Continue(()))
    })
}
