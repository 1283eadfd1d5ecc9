//! Alarms: raised by a guard, ended by an operator or by the guard, both on record in the log. The module also asks the
//! clock guard if deleting is allowed.

use crate::governance::audit_event;
use crate::model::alarm::{Alarm, AlarmCause, AlarmId};
use crate::model::clock_guard::{ClockState, Trusted};
use crate::model::schema;
use crate::model::text::Attribution;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::Core;
use crate::state::writer::WriteNumber;
use sexton_proof::id::ClassId;
use sexton_proof::leaf::EventKind;
use sexton_proof::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Interval at which the trusted time is recorded on disk.
const RECORD_EVERY: Duration = Duration::from_mins(1);

/// Raises an alarm, unless one of the same cause stands. The caller holds the planner's lock.
///
/// The alarm is durable before it is in memory. A crash in between loses nothing: opening reads the alarm from the index.
pub(crate) fn raise(core: &Core, cause: AlarmCause, message: String, now: Timestamp) -> Result<()> {
    if core.governance.alarms.lock().values().any(|alarm| alarm.cause == cause) {
        return Ok(());
    }
    tracing::error!(?cause, "{message}");
    let alarm = Alarm { id: AlarmId::from_bytes(audit_event::new_id(core)?), cause, raised: now, message };
    let record = schema::to_json(&alarm)?;
    audit_event::record(core, EventKind::Alarm, alarm.id.to_bytes(), &record, now, |set| {
        set.put(ColumnFamily::Meta, &schema::alarm_key(&alarm.id), &record);
        Ok(())
    })?;
    core.governance.alarms.lock().insert(alarm.id, alarm);
    Ok(())
}

/// Ends an alarm for an operator, with reason and author on record. After an alarm of the breaker, objects at short notice
/// count as known from now on.
///
/// # Errors
/// `Invalid` if reason or author is empty or too long; `NotFound` if no alarm has this id; `Forked`, `Poisoned`,
/// `Full`, `Io`.
pub(crate) fn resume(core: &Core, id: AlarmId, attribution: Attribution, now: Timestamp) -> Result<Alarm> {
    core.check_writable()?;
    attribution.check()?;
    let mut planner = core.batches.planner.lock();
    let Some(alarm) = core.governance.alarms.lock().get(&id).cloned() else {
        return Err(Error::not_found(format!("no alarm {id} stands")));
    };
    if let AlarmCause::Breaker { class } = &alarm.cause {
        clear_short_notice(core, class)?;
        planner.breaker.reset(class);
    }
    let Attribution { reason, author } = attribution;
    end(core, &alarm, &schema::to_json(&(&alarm, reason, author))?, now)?;
    Ok(alarm)
}

/// Ends an alarm, with `text` on record. A crash before the write leaves the alarm, and no success was reported.
fn end(core: &Core, alarm: &Alarm, text: &[u8], now: Timestamp) -> Result<()> {
    audit_event::record(core, EventKind::Resume, alarm.id.to_bytes(), text, now, |set| {
        set.delete(ColumnFamily::Meta, &schema::alarm_key(&alarm.id));
        Ok(())
    })?;
    core.governance.alarms.lock().remove(&alarm.id);
    Ok(())
}

/// Makes all objects of a class that are at short notice count as known.
///
/// The change is written shard by shard. A crash in between leaves some of them at short notice, and the alarm stands, so
/// an operator ends it again.
fn clear_short_notice(core: &Core, class: &str) -> Result<()> {
    let versions = core.classes.read().versions_of(class);
    for number in 0..core.schedule.shards() {
        let mut shard = core.schedule.lock(number);
        let mut pages = Vec::new();
        shard.each_page(&mut |id, page| {
            if versions.contains(&id.class) && page.short_notice > 0 {
                pages.push(id);
            }
        });
        let mut set = WriteSet::default();
        for id in pages {
            if let Some(page) = shard.page_mut(id) {
                page.short_notice = 0;
                set.put(ColumnFamily::Meta, &schema::page_key(id), &page.record().encode());
            }
        }
        core.writer.write(set)?;
    }
    Ok(())
}

/// Returns the class versions whose objects at short notice wait for an operator, because the breaker tripped.
pub(crate) fn tripped_classes(core: &Core) -> BTreeSet<ClassId> {
    let alarms = core.governance.alarms.lock();
    let names: BTreeSet<String> = alarms
        .values()
        .filter_map(|alarm| match &alarm.cause {
            AlarmCause::Breaker { class } => Some(class.clone()),
            _ => None,
        })
        .collect();
    drop(alarms);
    let classes = core.classes.read();
    names.iter().flat_map(|name| classes.versions_of(name)).collect()
}

/// Records the trusted time. After a restart the clock guard takes it as the last known wall time.
///
/// The write is atomic and not synced; the number is for a caller that waits for its durability.
pub(crate) fn record_clock(core: &Core, now: Timestamp) -> Result<WriteNumber> {
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::CLOCK, &schema::encode_instant(now));
    core.writer.write(set)
}

/// Returns the cause that stops all deleting in the clock state `now`; `None` if the clock allows deleting. The cause
/// is that of the standing alarm, or of the alarm that planning will raise.
pub(crate) fn clock_stop(core: &Core, now: Trusted, stepped: bool) -> Option<AlarmCause> {
    let ClockState::Ahead { .. } = now.state else { return None };
    clock_pause(core, now, stepped).map(|(cause, _)| cause)
}

/// Returns cause and message of the alarm about the time that stands, or that the next planning raises; `None` if there
/// is none. A standing alarm counts even if the clock agrees by now.
pub(crate) fn clock_pause(core: &Core, now: Trusted, stepped: bool) -> Option<(AlarmCause, String)> {
    let alarms = core.governance.alarms.lock();
    let standing = alarms.values().find(|alarm| alarm.cause.is_about_time());
    match (standing, now.state) {
        (Some(alarm), _) => Some((alarm.cause.clone(), alarm.message.clone())),
        (None, ClockState::Ahead { by }) => Some(clock_alarm(by, stepped)),
        (None, ClockState::Agrees | ClockState::Behind { .. }) => None,
    }
}

/// Returns `true` if the clock allows deleting. Raises an alarm if it does not, ends alarms whose cause is gone, and records
/// the trusted time at intervals. `stepped` is `true` if the wall clock stepped while the engine was open.
///
/// The caller holds the planner's lock.
pub(crate) fn clock_allows(
    core: &Core,
    recorded: &mut Timestamp,
    now: Trusted,
    stepped: bool,
) -> Result<bool> {
    let standing: Vec<Alarm> =
        core.governance.alarms.lock().values().filter(|alarm| alarm.cause.is_about_time()).cloned().collect();
    match now.state {
        ClockState::Ahead { by } => {
            if standing.is_empty() {
                let (cause, message) = clock_alarm(by, stepped);
                raise(core, cause, message, now.now)?;
            }
            Ok(false)
        }
        ClockState::Agrees | ClockState::Behind { .. } => {
            for alarm in standing {
                let text = schema::to_json(&(&alarm, "the clock is no longer ahead"))?;
                end(core, &alarm, &text, now.now)?;
                tracing::warn!("the clock is no longer ahead: deleting resumes");
            }
            if now.now.since(*recorded) >= RECORD_EVERY {
                // Not synced. If it is lost, the time off looks longer, and at worst an operator is asked needlessly.
                record_clock(core, now.now)?;
                *recorded = now.now;
            }
            Ok(true)
        }
    }
}

/// Returns cause and message of the alarm for a wall clock that is `by` ahead.
fn clock_alarm(by: Duration, stepped: bool) -> (AlarmCause, String) {
    let (cause, what) = match stepped {
        true => (AlarmCause::Clock, "the wall clock stepped ahead"),
        false => (
            AlarmCause::TimeOff,
            "the machine was off, or its clock was set, and the clock is not NTP-synchronised; it is ahead",
        ),
    };
    // An alarm stores this text, and its commitment is in the log: another wording gives another log root.
    let message = format!(
        "{what} by {} ms: nothing is deleted until the clock is right, or an operator has checked it and resumes",
        by.as_millis()
    );
    (cause, message)
}
