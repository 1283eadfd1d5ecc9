//! Pauses: an operator stops all deletion for a stated time. A pause is an alarm, so it is in the log, in the status and in the
//! plan, and an operator ends it early as any other alarm. A restored data folder is stopped in the same way, without an end.

use crate::governance::alarms;
use crate::model::alarm::{Alarm, AlarmCause};
use crate::model::copy_mark::CopyOf;
use crate::model::schema;
use crate::model::text::Attribution;
use crate::platform::error::{Error, Result};
use crate::state::core::Core;
use sexton_proof::time::Timestamp;
use std::time::Duration;

/// Longest pause.
pub const PAUSE_MAX: Duration = Duration::from_hours(30 * 24);

/// Stops all deletion for the time `length`, with reason and author on record. Returns the alarm.
///
/// # Errors
/// `Invalid` if the length is 0 or longer than [`PAUSE_MAX`], a text is empty or too long, or a pause stands; `Forked`,
/// `Poisoned`, `Full`, `Io`.
pub(crate) fn pause(core: &Core, length: Duration, attribution: &Attribution) -> Result<Alarm> {
    core.check_writable()?;
    attribution.check()?;
    if length.is_zero() || length > PAUSE_MAX {
        let (ms, days) = (length.as_millis(), PAUSE_MAX.as_secs() / 86_400);
        return Err(Error::invalid(format!("a pause of {ms} ms; it lasts 1 ms to {days} days")));
    }
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    end_if_over(core, now)?;
    if let Some((alarm, until)) = standing(core) {
        let id = alarm.id;
        return Err(Error::invalid(format!("a pause stands until {until}: resume alarm {id} first")));
    }
    let until = now.saturating_add(length);
    let Attribution { reason, author, .. } = attribution;
    let message = format!("deletion is paused until {until} by {author}: {reason}");
    alarms::raise(core, AlarmCause::Pause { until }, message, now)?;
    let raised = standing(core).map(|(alarm, _)| alarm);
    raised.ok_or_else(|| Error::internal("the pause was not recorded"))
}

/// Returns the standing pause and its end, which may have passed.
pub(crate) fn standing(core: &Core) -> Option<(Alarm, Timestamp)> {
    let alarms = core.governance.alarms.lock();
    alarms.values().find_map(|alarm| match alarm.cause {
        AlarmCause::Pause { until } => Some((alarm.clone(), until)),
        _ => None,
    })
}

/// Returns the cause for which all deletion is stopped by a decision: a pause that is not over, or a restored copy.
pub(crate) fn decided(core: &Core, now: Timestamp) -> Option<AlarmCause> {
    let alarms = core.governance.alarms.lock();
    let is_over = |cause: &AlarmCause| matches!(cause, AlarmCause::Pause { until } if *until <= now);
    let mut causes = alarms.values().map(|alarm| &alarm.cause);
    causes.find(|cause| cause.stops_all_by_decision() && !is_over(cause)).cloned()
}

/// Stops all deletion after the data folder was restored from a copy, until an operator resumes it. Reason and author are on
/// record. No-op if that alarm stands.
pub(crate) fn raise_restored(core: &Core, copy: &CopyOf, attribution: &Attribution) -> Result<()> {
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    let Attribution { reason, author, .. } = attribution;
    let (former, taken) = (copy.log_key.name(), copy.taken);
    let message = format!(
        "restored from a copy of {former:?} that was taken at {taken}, by {author}: {reason}. What was registered, held, \
         erased or changed after that instant is unknown, so nothing is deleted. Place later holds and erasures again, \
         reconcile every root, look at the plan, then resume; see Restoring in docs/operations.md"
    );
    alarms::raise(core, AlarmCause::Restored { former: former.to_owned(), taken }, message, now)
}

/// Ends a pause that is over. The caller holds the planner's lock.
///
/// A crash before the write leaves the pause, which the next planning ends.
pub(crate) fn end_if_over(core: &Core, now: Timestamp) -> Result<()> {
    let Some((alarm, _)) = standing(core).filter(|(_, until)| *until <= now) else { return Ok(()) };
    alarms::end(core, &alarm, &schema::to_json(&(&alarm, "the pause is over"))?, now)?;
    tracing::info!("the pause is over: deleting resumes");
    Ok(())
}
