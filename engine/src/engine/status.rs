//! Status: state and counts of an engine for operators and monitors, as of one instant.

use crate::governance::{clock, progress};
use crate::model::alarm::{Alarm, AlarmCause};
use crate::model::clock_guard::{ClockState, Trusted};
use crate::model::guard_limits::GuardLimits;
use crate::model::request::Request;
use crate::model::schema::{self, Arrivals, Counts, Flags, Row};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily};
use crate::registration::resolve::Resolver;
use crate::state::core::{Core, ReadOnly};
use crate::state::failures::Failure;
use crate::state::page::PageState;
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// State of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineState {
    /// The engine registers, deletes and signs.
    Running,
    /// The log in the index is not the published one. Nothing is signed, registered or deleted.
    Forked(String),
    /// The data folder is a copy of another. It is open for reading only, until an operator restores it.
    Copy(String),
    /// A write failed. Nothing is written until the engine is opened again.
    Poisoned(String),
    /// Nothing is deleted until the clock is right or an operator resumes it. The alarm stands, or the next enforcement
    /// raises it. [`Status::alarms`] lists what stops single classes.
    Paused(String),
}

impl EngineState {
    /// Returns the word for the state, and the reason unless the engine is running.
    pub fn word_and_reason(&self) -> (&'static str, Option<&str>) {
        match self {
            EngineState::Running => ("running", None),
            EngineState::Forked(why) => ("forked", Some(why)),
            EngineState::Copy(why) => ("copy", Some(why)),
            EngineState::Poisoned(why) => ("poisoned", Some(why)),
            EngineState::Paused(why) => ("paused", Some(why)),
        }
    }
}

/// Status of an engine as of one instant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// State of the engine.
    pub state: EngineState,
    /// Instant of the status, in trusted time.
    pub as_of: Timestamp,
    /// Origin line of the log.
    pub origin: String,
    /// Entries of the log.
    pub log_size: u64,
    /// Entries of the log that are published.
    pub published_size: u64,
    /// Error of the last publication, if it failed.
    pub publish_error: Option<String>,
    /// Batches handed out and not committed yet.
    pub batches_in_flight: u64,
    /// Wall clock compared with the trusted time.
    pub clock: ClockState,
    /// Cause of the pause, if nothing is deleted: that of the standing alarm, or of the one that planning will raise.
    pub pause: Option<AlarmCause>,
    /// Limits of the guards that are in effect.
    pub limits: GuardLimits,
    /// Alarms that stop deletion and wait for an operator.
    pub alarms: Vec<Alarm>,
    /// Number of legal holds that stand.
    pub holds: u64,
    /// Open erasure that was received first.
    pub oldest_erasure: Option<Request>,
    /// Newest objects that the store did not delete when it was last asked, at most 100. They are known since the engine was
    /// opened. Their reasons may name keys.
    pub failures: Vec<Failure>,
    /// Status by class name. Versions of a class count together.
    pub classes: BTreeMap<String, ClassStatus>,
}

/// Status of one class as of one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStatus {
    /// Objects ever registered in it, including objects that a change moved to another class.
    pub registered: u64,
    /// Bytes of registered objects whose size was given.
    pub registered_bytes: u64,
    /// `true` if the class was closed down.
    pub closed: bool,
    /// Registrations that have not ended.
    pub live: u64,
    /// Live registrations that legal holds keep after they were due.
    pub held: u64,
    /// Live registrations whose slot has begun.
    pub due: u64,
    /// Live registrations whose ceiling has passed: late.
    pub overdue: u64,
    /// Overdue registrations that legal holds keep, as far as enforcement found them.
    pub overdue_held: u64,
    /// Earliest ceiling of overdue registrations.
    pub oldest_overdue: Option<Timestamp>,
    /// Beginning of the earliest slot with due registrations that no hold was found to keep.
    pub oldest_due: Option<Timestamp>,
    /// Counts of ended registrations.
    pub ended: Counts,
}

/// Distance of the wall clock behind the trusted time at which an operator is needed.
const BEHIND_MAX: Duration = Duration::from_secs(60);

/// Returns the conditions of a status that need an operator, one message each. `is_late` is `true` if an object is overdue
/// without a hold.
pub(crate) fn needs(status: &Status, is_late: bool) -> Vec<String> {
    let mut needs = Vec::new();
    if let (word, Some(why)) = status.state.word_and_reason() {
        let cause = status.pause.as_ref().filter(|_| matches!(status.state, EngineState::Paused(_)));
        needs.push(format!(
            "{word}: {why}{}",
            cause.map(|cause| advice(cause, status.limits)).unwrap_or_default()
        ));
    }
    // The message of a pause is that of its alarm, which is not repeated.
    let is_said = |alarm: &Alarm| matches!(&status.state, EngineState::Paused(why) if *why == alarm.message);
    let others = status.alarms.iter().filter(|alarm| !is_said(alarm));
    needs.extend(
        others.map(|alarm| format!("alarm: {}{}", alarm.message, advice(&alarm.cause, status.limits))),
    );
    if is_late {
        let overdue: u64 = status.classes.values().map(|class| class.overdue).sum();
        let objects = if overdue == 1 {
            "1 object is past its ceiling".into()
        } else {
            format!("{overdue} objects are past their ceiling")
        };
        needs.push(format!("overdue: {objects}; `sexton plan` lists them"));
    }
    let is_said = status.alarms.iter().any(|alarm| alarm.cause == AlarmCause::Behind);
    if let ClockState::Behind { by } = status.clock
        && by >= BEHIND_MAX
        && !is_said
    {
        needs.push(format!(
            "the clock is behind by {} h {} min: nothing more falls due until it has caught up; set it right",
            by.as_secs() / 3_600,
            by.as_secs() / 60 % 60
        ));
    }
    needs.extend(status.publish_error.iter().map(|why| format!("not published: {why}")));
    needs
}

/// Returns the limit that stopped deletion, with what to do, as the end of a message.
fn advice(cause: &AlarmCause, GuardLimits { clock, breaker }: GuardLimits) -> String {
    match cause {
        AlarmCause::Clock | AlarmCause::Behind => {
            format!(". Limit clock_step_max: {} s", clock.step_max.as_secs())
        }
        AlarmCause::TimeOff => format!(
            ". Limit clock_time_off_max: {} s. Compare `date -u` with a clock that you trust. If it is right, enforce \
             once and run `sexton alarm resume`. So that it does not pause again: let chronyd, ntpd or \
             systemd-timesyncd set the clock; if this machine can have none, set the limit above the time between two \
             runs, for example `sexton limits --time-off 26h`",
            clock.time_off_max.as_secs()
        ),
        AlarmCause::Breaker { .. } => format!(
            ". Limits, of which the larger counts: breaker_objects {}, breaker_share_percent {}",
            breaker.objects, breaker.share_percent
        ),
        AlarmCause::Absent { .. } | AlarmCause::Pause { .. } | AlarmCause::Restored { .. } => String::new(),
    }
}

/// Reads the status. Looks at every page, at the rows of pages that may be overdue, and at each object of the oldest
/// open erasure.
pub(crate) fn status(core: &Core, resolver: &Resolver, now: Trusted, limits: GuardLimits) -> Result<Status> {
    let oldest_erasure = progress::oldest_erasure(core, resolver, now.now)?;
    let failures = core.failures.newest_first();
    Ok(Status { oldest_erasure, failures, ..without_erasures(core, now, limits)? })
}

/// Reads the status without the oldest erasure and the failures. Looks at every page, and at the rows of pages that may be overdue.
pub(crate) fn without_erasures(core: &Core, now: Trusted, limits: GuardLimits) -> Result<Status> {
    let (log_size, published_size, publish_error, counts) = {
        let published = core.transparency.published.lock();
        let ledger = core.transparency.ledger.lock_read();
        (ledger.log.size(), published.size, published.error.clone(), ledger.counts.clone())
    };
    let classes = class_statuses(core, &counts, now.now)?;
    let alarms: Vec<Alarm> = core.governance.alarms.lock().values().cloned().collect();
    let state = state(core, now);
    let holds = core.governance.holds.read().iter().filter(|hold| hold.stands()).count() as u64;
    Ok(Status {
        state,
        as_of: now.now,
        origin: core.identity.origin.clone(),
        log_size,
        published_size,
        publish_error,
        batches_in_flight: core.batches.in_flight.load(Ordering::SeqCst),
        clock: now.state,
        pause: clock::pause(core, now).map(|(cause, _)| cause),
        limits,
        alarms,
        holds,
        oldest_erasure: None,
        failures: Vec::new(),
        classes,
    })
}

/// Returns the status of all classes by name. `counts` are those of ended registrations.
fn class_statuses(
    core: &Core,
    counts: &BTreeMap<ClassId, Counts>,
    now: Timestamp,
) -> Result<BTreeMap<String, ClassStatus>> {
    let mut by_version = live_counts(core, now)?;
    let registered = core.schedule.registered_totals();
    let mut by_name: BTreeMap<String, ClassStatus> = BTreeMap::new();
    let classes = core.classes.read();
    for class in classes.iter() {
        let mut status = by_version.remove(&class.id).unwrap_or_default();
        status.ended = counts.get(&class.id).copied().unwrap_or_default();
        status.closed = classes.is_closed(&class.definition.name);
        if let Some(totals) = registered.get(&class.id) {
            (status.registered, status.registered_bytes) = (totals.objects, totals.bytes);
        }
        by_name.entry(class.definition.name.clone()).or_default().add(status);
    }
    Ok(by_name)
}

/// Counts live registrations by class version.
fn live_counts(core: &Core, now: Timestamp) -> Result<BTreeMap<ClassId, ClassStatus>> {
    let mut by_version: BTreeMap<ClassId, ClassStatus> = BTreeMap::new();
    let mut suspects: Vec<(PageId, Arrivals)> = Vec::new();
    core.schedule.each_page(&mut |id, page| {
        if page.state == PageState::Reserved {
            return; // Its rows still count in the pages that they come from.
        }
        let class = by_version.entry(id.class).or_default();
        class.live += u64::from(page.live());
        if page.arrivals == Arrivals::Held {
            class.held += u64::from(page.live());
        }
        if id.slot_start() <= now {
            class.due += u64::from(page.live());
            if page.arrivals != Arrivals::Held && page.live() > 0 {
                class.oldest_due = earlier(class.oldest_due, Some(id.slot_start()));
            }
        }
        if page.earliest_ceiling < now {
            suspects.push((id, page.arrivals));
        }
    });
    for (page, arrivals) in suspects {
        let class = by_version.entry(page.class).or_default();
        let before = class.overdue;
        count_overdue(core, page, now, class)?;
        if arrivals == Arrivals::Held {
            class.overdue_held += class.overdue - before;
        }
    }
    Ok(by_version)
}

/// Adds the overdue registrations of a page to the counts of its class.
fn count_overdue(core: &Core, page: PageId, now: Timestamp, class: &mut ClassStatus) -> Result<()> {
    kv::try_scan(&*core.kv, ColumnFamily::Rows(page.class), &schema::page_row_range(page), |_, value| {
        let row = Row::decode(value)?;
        if let Some(ceiling) = row.ceiling.filter(|ceiling| *ceiling < now)
            && !row.flags.has(Flags::MOVED)
        {
            class.overdue += 1;
            class.oldest_overdue = earlier(class.oldest_overdue, Some(ceiling));
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Returns the earlier of two instants, of which either may be missing.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Returns the state of the engine.
pub(crate) fn state(core: &Core, now: Trusted) -> EngineState {
    let paused = clock::pause(core, now);
    match (&core.identity.read_only, core.writer.poisoned(), paused) {
        (Some(ReadOnly::Forked(why)), _, _) => EngineState::Forked(why.clone()),
        (Some(ReadOnly::Copy(why)), _, _) => EngineState::Copy(why.clone()),
        (None, Some(why), _) => EngineState::Poisoned(why),
        (None, None, Some((_, why))) => EngineState::Paused(why),
        (None, None, None) => EngineState::Running,
    }
}

impl ClassStatus {
    /// Adds the counts of another version of the class.
    fn add(&mut self, other: ClassStatus) {
        self.registered += other.registered;
        self.registered_bytes = self.registered_bytes.saturating_add(other.registered_bytes);
        self.closed |= other.closed;
        self.live += other.live;
        self.held += other.held;
        self.due += other.due;
        self.overdue += other.overdue;
        self.overdue_held += other.overdue_held;
        self.oldest_overdue = earlier(self.oldest_overdue, other.oldest_overdue);
        self.oldest_due = earlier(self.oldest_due, other.oldest_due);
        self.ended.add(other.ended);
    }
}
