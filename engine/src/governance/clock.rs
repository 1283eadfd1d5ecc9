//! Effects of the clock guard's state: what may be deleted, the alarms about it, and the correction of what a wrong clock gave.

use crate::governance::{alarms, pauses, requests, set_back};
use crate::model::alarm::{Alarm, AlarmCause, AlarmId};
use crate::model::clock_guard::{ClockState, Trusted, Verdict};
use crate::model::request::{Request, RequestKind};
use crate::model::request_rules::ActiveRequest;
use crate::model::schema;
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::model::time_back::TimeBack;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::{Core, Planner};
use crate::state::doubts::Doubts;
use crate::state::writer::WriteNumber;
use sexton_proof::time::Timestamp;
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

/// Records the trusted time, and its jumps so far. After a restart the clock guard takes it as the last known wall time.
///
/// The write is atomic and not synced; the number is for a caller that waits for its durability.
pub(crate) fn record(core: &Core, now: Timestamp) -> Result<WriteNumber> {
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::CLOCK, &schema::encode_instant(now));
    let jumps = core.governance.doubts.jumps();
    if !jumps.is_empty() {
        set.put(ColumnFamily::Meta, schema::JUMPS, &schema::to_json(&jumps)?);
    }
    core.writer.write(set)
}

/// Returns what pause and clock allow to be deleted, and the cause that stops the rest: that of the standing alarm, or of the
/// alarm that planning will raise.
pub(crate) fn stop(core: &Core, now: Trusted) -> (Deletable, Option<AlarmCause>) {
    match pauses::decided(core, now.now) {
        Some(cause) => (Deletable::Nothing, Some(cause)),
        None => of_clock(core, now),
    }
}

/// Returns what the clock state `now` allows to be deleted, as [`stop`] does without a pause.
fn of_clock(core: &Core, now: Trusted) -> (Deletable, Option<AlarmCause>) {
    let deletable = match now.state {
        ClockState::Agrees => return (Deletable::All, None),
        ClockState::Behind { .. } => return (Deletable::WithoutFloor, Some(AlarmCause::Behind)),
        ClockState::Ahead { .. } => Deletable::Nothing,
    };
    let stops_all = |cause: &&AlarmCause| cause.is_about_time() && cause.stops_all();
    let alarms = core.governance.alarms.lock();
    let standing = alarms.values().map(|alarm| &alarm.cause).find(stops_all).cloned();
    let stepped = core.time.has_agreed();
    (deletable, Some(standing.unwrap_or(if stepped { AlarmCause::Clock } else { AlarmCause::TimeOff })))
}

/// Returns cause and message of the alarm that pauses all deleting: the one that stands, or the one that the next planning
/// raises. `None` if there is none. A standing alarm counts even if the clock agrees by now.
pub(crate) fn pause(core: &Core, now: Trusted) -> Option<(AlarmCause, String)> {
    let alarms = core.governance.alarms.lock();
    let is_over = |cause: &AlarmCause| matches!(cause, AlarmCause::Pause { until } if *until <= now.now);
    if let Some(alarm) = alarms.values().find(|alarm| alarm.cause.stops_all() && !is_over(&alarm.cause)) {
        return Some((alarm.cause.clone(), alarm.message.clone()));
    }
    drop(alarms);
    let (deletable, cause) = stop(core, now);
    let message = |cause: AlarmCause| (cause.clone(), alarm_message(&cause, now.state));
    cause.filter(|_| deletable == Deletable::Nothing).map(message)
}

/// Returns what the clock allows to be deleted. Raises an alarm if it does not allow all, ends alarms whose cause is gone, ends
/// a doubt once the clock agrees, and records the trusted time at intervals.
///
/// The caller holds the planner's lock.
pub(crate) fn allows(core: &Core, planner: &mut Planner, now: Trusted) -> Result<Deletable> {
    pauses::end_if_over(core, now.now)?;
    let paused = pauses::decided(core, now.now).is_some();
    let (deletable, cause) = of_clock(core, now);
    let deletable = if paused { Deletable::Nothing } else { deletable };
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
    end_doubts(core, now)?;
    if !now.is_in_doubt() {
        requests::bring_back(core, now.now)?;
    }
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
        end_doubt(core, doubt, verdict, now)?;
        drop(closing);
    }
    Ok(())
}

/// Ends a doubt. The caller holds `Classes::closing` exclusively.
fn end_doubt(core: &Core, doubt: u32, verdict: Verdict, now: Trusted) -> Result<()> {
    let request = new_request(core, RequestKind::Doubt { doubt, verdict }, DOUBT_ENDED, now.now);
    let mut set = WriteSet::default();
    Doubts::stage_end(&mut set, doubt);
    requests::store(core, set, request)?;
    core.governance.doubts.end(doubt);
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

/// Ends an alarm for an operator, with reason and author on record. After an alarm about the clock, the wall clock is trusted
/// from now on, and time goes back with a clock that is behind.
///
/// # Errors
/// `Invalid` if a text is empty or too long, or the clock that is to be trusted shows a year before 1970 or after 9998;
/// `NotFound` if no such alarm stands; `Busy` if time would go back while batches are out; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn resume(core: &Core, id: AlarmId, attribution: Attribution) -> Result<Alarm> {
    core.check_writable()?;
    attribution.check()?;
    if alarms::standing(core, id)?.cause.is_about_time() {
        return accept(core, id, attribution);
    }
    let mut planner = core.batches.planner.lock();
    let alarm = alarms::standing(core, id)?;
    let now = core.now(&*planner).now;
    alarms::resume(core, &mut planner, &alarm, attribution, now)?;
    Ok(alarm)
}

/// Ends an alarm about the clock, and trusts the wall clock.
fn accept(core: &Core, id: AlarmId, attribution: Attribution) -> Result<Alarm> {
    // All locks of steady state, so that no other thread writes by the time before. No reclaim pass is under way, and none
    // begins. The calls that register have written their rows.
    let cleared = core.residue.cleared.lock();
    let mut planner = core.batches.planner.lock();
    let closing = core.classes.closing.write();
    let alarm = alarms::standing(core, id)?;
    // The fences of the last pass and its filter count on a time that goes on. The next pass sets them again.
    core.schedule.remove_fences();
    core.kv.drop_void(ColumnFamily::Locator, u64::MAX, Arc::new(|_| false))?;
    let (now, accepted) = core.time.accept(|now| check_none_out(core, now))?;
    let recorded = record_accepted(core, &mut planner, &alarm, attribution, (now, accepted));
    // The accepted time is in memory already.
    recorded.inspect_err(|error| core.writer.poison(error))?;
    drop(closing);
    // The doubt ends before the accepted time of a clock that was ahead is on disk: the next opening could no longer tell
    // which time was right.
    core.governance.doubts.decide(accepted);
    end_doubts(core, accepted)?;
    let recorded = record(core, accepted.now)?;
    drop(planner);
    drop(cleared);
    core.writer.sync(recorded)?;
    Ok(alarm)
}

/// Refuses to take time back while batches are out: their answers count from the time before.
fn check_none_out(core: &Core, now: Trusted) -> Result<()> {
    let goes_back = matches!(now.state, ClockState::Behind { .. });
    if goes_back && core.batches.in_flight.load(Ordering::SeqCst) > 0 {
        return Err(Error::new(
            ErrorKind::Busy,
            "time cannot go back while batches are out: hand them back, then resume again",
        ));
    }
    Ok(())
}

/// Records the end of the alarm. If time goes back, records that as well.
fn record_accepted(
    core: &Core,
    planner: &mut Planner,
    alarm: &Alarm,
    attribution: Attribution,
    (now, accepted): (Trusted, Trusted),
) -> Result<()> {
    alarms::resume(core, planner, alarm, attribution, now.now)?;
    if !matches!(now.state, ClockState::Behind { .. }) {
        return Ok(());
    }
    // Doubts end in the time of the era that ends, and what they correct goes back with the rest.
    core.governance.doubts.decide_before_time_goes_back();
    for (doubt, verdict) in core.governance.doubts.decided() {
        end_doubt(core, doubt, verdict, now)?;
    }
    let back = TimeBack {
        era: core.governance.doubts.begin_era(),
        to: accepted.now,
        by: now.expected.since(accepted.now),
        since: last_accepted(core),
        jumps: core.governance.doubts.jumps(),
    };
    take_back(core, planner, back)
}

/// Returns the time that was accepted when time last went back; `None` if it never did.
fn last_accepted(core: &Core) -> Option<Timestamp> {
    let requests = core.governance.requests.lock();
    let backs = requests.values().filter_map(|request| match &request.kind {
        RequestKind::Back(back) => Some(back),
        _ => None,
    });
    backs.max_by_key(|back| back.era).map(|back| back.to)
}

/// Records that time goes back. Instants of requests, holds, intents, accepted absences and ended objects that lie after the
/// accepted time go back as well, and a request is made to correct the live objects.
///
/// One durable write. A crash before it leaves the clock behind, as before, and the next planning raises the alarm again.
fn take_back(core: &Core, planner: &mut Planner, back: TimeBack) -> Result<()> {
    let to = back.to;
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::CLOCK, &schema::encode_instant(to));
    set.put(ColumnFamily::Meta, schema::ERA, &schema::encode_number(back.era.into()));
    set.delete(ColumnFamily::Meta, schema::JUMPS);
    let logged = core.transparency.ledger.lock().log.last_logged();
    set.put(ColumnFamily::Meta, schema::DISOWNED, &schema::encode_instant(logged));
    let moved = set_back::stage_requests(core, &mut set, &back)?;
    let holds = set_back::stage_holds(core, &mut set, &back)?;
    set_back::stage_ended(core, &mut set, &back)?;
    for unanswered in &mut planner.unfinished {
        let intent = &mut unanswered.intent;
        intent.started = back.correct(intent.started);
        set.put(ColumnFamily::Meta, &schema::intent_key(intent.batch), &intent.encode());
    }
    for (class, at) in &mut planner.absence_accepted {
        *at = back.correct(*at);
        set.put(ColumnFamily::Meta, &schema::absence_accepted_key(class), &schema::encode_instant(*at));
    }
    let reason = "an operator accepted that time goes back";
    let request = new_request(core, RequestKind::Back(back), reason, to);
    requests::store(core, set, request)?;
    core.governance.doubts.clear_jumps();
    let mut requests = core.governance.requests.lock();
    moved.into_iter().for_each(|request| requests.insert(request.number, request));
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
