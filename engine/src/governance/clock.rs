//! Effects of the clock guard's state: what may be deleted, the alarms about it, and the correction of what a wrong clock gave.

use crate::governance::{alarms, requests};
use crate::model::alarm::{Alarm, AlarmCause};
use crate::model::clock_guard::{ClockState, Trusted};
use crate::model::request::{Request, RequestKind};
use crate::model::request_rules::ActiveRequest;
use crate::model::schema;
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::{Core, Planner};
use crate::state::doubts::Doubts;
use crate::state::writer::WriteNumber;
use sexton_proof::time::{Timestamp, whole_ms};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Interval at which the trusted time is recorded on disk.
const RECORD_EVERY: Duration = Duration::from_mins(1);

/// Objects that the state of the clock allows to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletable {
    All,
    /// Objects of classes without a floor.
    WithoutFloor,
    Nothing,
}

/// Records the trusted time. After a restart the clock guard takes it as the last known wall time.
///
/// The write is atomic and not synced; the number is for a caller that waits for its durability.
pub(crate) fn record(core: &Core, now: Timestamp) -> Result<WriteNumber> {
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::CLOCK, &schema::encode_instant(now));
    core.writer.write(set)
}

/// Returns what the clock state `now` allows to be deleted, and the cause that stops the rest: that of the standing alarm, or
/// of the alarm that planning will raise. `stepped` is `true` if the wall clock stepped while the engine was open.
pub(crate) fn stop(core: &Core, now: Trusted, stepped: bool) -> (Deletable, Option<AlarmCause>) {
    let deletable = match now.state {
        ClockState::Agrees => return (Deletable::All, None),
        ClockState::Behind { .. } => return (Deletable::WithoutFloor, Some(AlarmCause::Behind)),
        ClockState::Ahead { .. } => Deletable::Nothing,
    };
    let stops_all = |cause: &&AlarmCause| cause.stops_all();
    let alarms = core.governance.alarms.lock();
    let standing = alarms.values().map(|alarm| &alarm.cause).find(stops_all).cloned();
    (deletable, Some(standing.unwrap_or(if stepped { AlarmCause::Clock } else { AlarmCause::TimeOff })))
}

/// Returns cause and message of the alarm that pauses all deleting: the one that stands, or the one that the next planning
/// raises. `None` if there is none. A standing alarm counts even if the clock agrees by now.
pub(crate) fn pause(core: &Core, now: Trusted, stepped: bool) -> Option<(AlarmCause, String)> {
    let alarms = core.governance.alarms.lock();
    if let Some(alarm) = alarms.values().find(|alarm| alarm.cause.stops_all()) {
        return Some((alarm.cause.clone(), alarm.message.clone()));
    }
    drop(alarms);
    let (deletable, cause) = stop(core, now, stepped);
    let message = |cause: AlarmCause| (cause.clone(), alarm_message(&cause, now.state));
    cause.filter(|_| deletable == Deletable::Nothing).map(message)
}

/// Returns what the clock allows to be deleted. Raises an alarm if it does not allow all, ends alarms whose cause is gone, ends
/// a doubt once the clock agrees, and records the trusted time at intervals.
///
/// The caller holds the planner's lock.
pub(crate) fn allows(core: &Core, planner: &mut Planner, now: Trusted, stepped: bool) -> Result<Deletable> {
    let (deletable, cause) = stop(core, now, stepped);
    let standing: Vec<Alarm> =
        core.governance.alarms.lock().values().filter(|alarm| alarm.cause.is_about_time()).cloned().collect();
    for alarm in standing.iter().filter(|alarm| Some(&alarm.cause) != cause.as_ref()) {
        let why = match alarm.cause {
            AlarmCause::Behind => "the clock is no longer behind",
            _ => "the clock is no longer ahead",
        };
        alarms::end(core, alarm, &schema::to_json(&(alarm, why))?, now.now)?;
        tracing::warn!("{why}: deleting resumes");
    }
    if let Some(cause) = cause {
        let message = alarm_message(&cause, now.state);
        alarms::raise(core, cause, message, now.now)?;
    }
    if now.is_in_doubt() {
        core.governance.doubts.note_wall(now.wall);
    }
    end_doubts(core, now)?;
    if deletable != Deletable::Nothing && now.now.since(planner.clock_recorded) >= RECORD_EVERY {
        // Not synced. If it is lost, the time off looks longer, and at worst an operator is asked needlessly.
        record(core, now.now)?;
        planner.clock_recorded = now.now;
    }
    Ok(deletable)
}

/// Returns the message of the alarm for a wall clock in this state.
fn alarm_message(cause: &AlarmCause, state: ClockState) -> String {
    // An alarm stores this text, and its commitment is in the log: another wording gives another log root.
    let what = match (cause, state) {
        (AlarmCause::Behind, ClockState::Behind { by }) => {
            return format!(
                "the wall clock is behind by {} ms: nothing with a floor is deleted and nothing more falls due until the \
                 clock has caught up or is set right, or an operator has checked it and resumes, which takes time back",
                by.as_millis()
            );
        }
        (AlarmCause::Clock, _) => "the wall clock stepped ahead",
        _ => "the machine was off, or its clock was set, and the clock is not NTP-synchronised; it is ahead",
    };
    let by = if let ClockState::Ahead { by } = state { by } else { Duration::ZERO };
    format!(
        "{what} by {} ms: nothing is deleted until the clock is right, or an operator has checked it and resumes",
        by.as_millis()
    )
}

/// Ends the doubts about the clock that have a verdict: requests that the objects registered in them get their true start.
///
/// A crash before the write leaves the doubt open. It ends at the next planning.
fn end_doubts(core: &Core, now: Trusted) -> Result<()> {
    for (doubt, verdict) in core.governance.doubts.decided() {
        // The calls that registered in this doubt have written their rows when the lock is taken.
        let closing = core.classes.closing.write();
        let kind = RequestKind::Doubt { doubt, verdict };
        let request = new_request(core, kind, DOUBT_ENDED, now.now);
        let mut set = WriteSet::default();
        Doubts::stage_end(&mut set, doubt);
        requests::store(core, set, request)?;
        core.governance.doubts.end(doubt);
        drop(closing);
    }
    Ok(())
}

/// Reason of the request that ends a doubt.
const DOUBT_ENDED: &str = "the clock is no longer in doubt";

/// Returns the requests that the next planning will make to end doubts. They have no numbers yet.
pub(crate) fn next_requests(core: &Core, now: Timestamp) -> Vec<ActiveRequest> {
    let request = |(doubt, verdict)| {
        let kind = RequestKind::Doubt { doubt, verdict };
        let attribution = Attribution::new(ENGINE, DOUBT_ENDED);
        let request = Request::new(0, kind, Selector::Everything, attribution, now);
        ActiveRequest::new(request, None, None, BTreeSet::new())
    };
    core.governance.doubts.decided().into_iter().map(request).collect()
}

/// Author of requests of the engine itself.
const ENGINE: &str = "sexton";

/// Makes a request of the engine itself, about all objects.
fn new_request(core: &Core, kind: RequestKind, reason: &str, now: Timestamp) -> Request {
    requests::new_request(core, kind, Selector::Everything, Attribution::new(ENGINE, reason), now)
}

/// Refuses a decision from which the time of objects would count, while the clock is in doubt.
///
/// # Errors
/// `Busy` if the clock is in doubt.
pub(crate) fn check_certain(what: &str, now: Trusted) -> Result<()> {
    let how = match now.state {
        ClockState::Agrees => return Ok(()),
        ClockState::Ahead { .. } => "ahead",
        ClockState::Behind { .. } => "behind",
    };
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "{what}: the wall clock is {how}, and time would count from it; set it right, or resume, then try again"
        ),
    ))
}

/// Accepts the wall clock as `accept` does in the clock guard, and records the time that is trusted from now on.
///
/// # Errors
/// `Busy` if time would go back while batches are out; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn accept(core: &Core, now: Trusted, accept: impl FnOnce() -> Trusted) -> Result<()> {
    if !matches!(now.state, ClockState::Behind { .. }) {
        let planner = core.batches.planner.lock();
        let accepted = accept();
        // The doubt ends before the accepted time is on disk: the next opening could no longer tell which time was right.
        core.governance.doubts.decide(accepted);
        end_doubts(core, accepted)?;
        let recorded = record(core, accepted.now)?;
        drop(planner);
        return core.writer.sync(recorded);
    }
    // No reclaim pass is under way, and none begins: its fence and its filter count on a time that goes on.
    let cleared = core.residue.cleared.lock();
    let mut planner = core.batches.planner.lock();
    if core.batches.in_flight.load(Ordering::SeqCst) > 0 {
        return Err(Error::new(
            ErrorKind::Busy,
            "time cannot go back while batches are out: hand them back, then resume the next alarm",
        ));
    }
    core.schedule.remove_fences();
    core.kv.drop_void(ColumnFamily::Locator, u64::MAX, Arc::new(|_| false))?;
    // The calls that read the time before have written their rows when the lock is taken, and later ones read the era first.
    let closing = core.classes.closing.write();
    let era = core.governance.doubts.begin_era();
    let accepted = accept();
    take_back(core, &mut planner, era, now, accepted)?;
    drop(closing);
    core.governance.doubts.decide(accepted);
    end_doubts(core, accepted)?;
    drop(planner);
    drop(cleared);
    Ok(())
}

/// Records that time goes back from `now` to `accepted`. Instants of requests and holds that lie after `accepted` go back as
/// well, and a request is made to correct the objects.
///
/// One durable write. A crash before it leaves the clock behind, as before, and the next planning raises the alarm again.
fn take_back(core: &Core, planner: &mut Planner, era: u32, now: Trusted, accepted: Trusted) -> Result<()> {
    let (to, by) = (accepted.now, now.expected.since(accepted.now));
    let earlier = |at: Timestamp| if at > to { at.saturating_sub(by).min(to) } else { at };
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::CLOCK, &schema::encode_instant(to));
    set.put(ColumnFamily::Meta, schema::ERA, &schema::encode_number(era.into()));
    let logged = core.transparency.ledger.lock().log.last_logged();
    set.put(ColumnFamily::Meta, schema::DISOWNED, &schema::encode_instant(logged));
    for unanswered in &mut planner.unfinished {
        let intent = &mut unanswered.intent;
        intent.started = earlier(intent.started);
        set.put(ColumnFamily::Meta, &schema::intent_key(intent.batch), &intent.encode());
    }
    let mut moved = Vec::new();
    for request in core.governance.requests.lock().values() {
        // The span from receipt to answer stays.
        let shift = whole_ms(request.received.since(earlier(request.received)));
        let back = |at: Timestamp| at.saturating_sub(Duration::from_millis(shift));
        if shift > 0 && request.is_open() {
            let (received, ready) = (back(request.received), back(request.ready));
            let answer_by = request.answer_by.map(back);
            let changed = earlier(request.changed);
            moved.push(Request { received, ready, answer_by, changed, ..request.clone() });
        }
    }
    let mut holds: Vec<_> = core.governance.holds.read().iter().cloned().collect();
    holds.retain_mut(|hold| {
        let before = hold.clone();
        hold.placed = earlier(hold.placed);
        if let Some(lifted) = hold.lifted.as_mut().filter(|lifted| !lifted.done) {
            lifted.at = earlier(lifted.at);
        }
        *hold != before
    });
    for request in &moved {
        set.put(ColumnFamily::Meta, &schema::request_key(request.number), &schema::to_json(request)?);
    }
    for hold in &holds {
        set.put(ColumnFamily::Meta, &schema::hold_key(&hold.id), &schema::to_json(hold)?);
    }
    let kind = RequestKind::Back { era, to, by };
    let request = new_request(core, kind, "an operator accepted that time goes back", to);
    requests::store(core, set, request)?;
    let mut requests = core.governance.requests.lock();
    requests.extend(moved.into_iter().map(|request| (request.number, request)));
    drop(requests);
    for hold in holds {
        core.governance.holds.write().insert(hold);
    }
    // A sweep under way has copies of the requests. The next one begins again, with this request.
    planner.sweep = None;
    planner.clock_recorded = to;
    planner.breaker.reset_all();
    Ok(())
}
