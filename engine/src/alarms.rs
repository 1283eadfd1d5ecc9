//! Raising alarms and resuming after them: both on record in the log.

use crate::alarm::{Alarm, AlarmCause};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::event;
use crate::guard::{ClockState, Trusted};
use crate::hold::check_text;
use crate::kv::{Family, WriteSet};
use crate::schema;
use crate::writer::Ticket;
use sexton_proof::id::ClassId;
use sexton_proof::leaf::EventKind;
use std::collections::BTreeSet;

/// How often the trusted time is recorded on disk, ms.
const RECORD_EVERY_MS: i64 = 60_000;

/// Raises an alarm unless one of the same cause stands.
pub(crate) fn raise(core: &Core, cause: AlarmCause, sentence: String, now_ms: i64) -> Result<()> {
    if core.alarms.lock().values().any(|alarm| alarm.cause == cause) {
        return Ok(());
    }
    tracing::error!(?cause, "{sentence}");
    let alarm = Alarm { id: event::new_id(core)?, cause, raised_ms: now_ms, sentence };
    let record = schema::to_json(&alarm)?;
    event::record(core, EventKind::Alarm, alarm.id, &record, now_ms, |set| {
        set.put(Family::Meta, &schema::alarm_key(&alarm.id), &record);
        Ok(())
    })?;
    core.alarms.lock().insert(alarm.id, alarm);
    Ok(())
}

/// Ends an alarm: on record with who said why, and what was a surprise counts as known from here on.
pub(crate) fn resume(core: &Core, id: &[u8; 16], reason: &str, author: &str, now_ms: i64) -> Result<Alarm> {
    core.check_writable()?;
    check_text("reason", reason)?;
    check_text("author", author)?;
    let mut planner = core.planner.lock();
    let Some(alarm) = core.alarms.lock().get(id).cloned() else {
        return Err(Error::not_found(format!("no alarm {} stands", hex::encode(id))));
    };
    if let AlarmCause::Breaker { class } = &alarm.cause {
        forgive(core, class)?;
        planner.breaker.reset(class);
    }
    end(core, &alarm, &schema::to_json(&(&alarm, reason, author))?, now_ms)?;
    Ok(alarm)
}

/// Ends an alarm, with `text` on record.
fn end(core: &Core, alarm: &Alarm, text: &[u8], now_ms: i64) -> Result<()> {
    event::record(core, EventKind::Resume, alarm.id, text, now_ms, |set| {
        set.delete(Family::Meta, &schema::alarm_key(&alarm.id));
        Ok(())
    })?;
    core.alarms.lock().remove(&alarm.id);
    Ok(())
}

/// Lets the surprises of a class count as known. A crash in between leaves some of them surprises, and the alarm.
fn forgive(core: &Core, class: &str) -> Result<()> {
    let ids = ids_of(core, class);
    for number in 0..core.index.shards() {
        let mut shard = core.index.lock(number);
        let mut pages = Vec::new();
        shard.each_page(&mut |id, page| {
            if ids.contains(&id.class) && page.surprises > 0 {
                pages.push(id);
            }
        });
        let mut set = WriteSet::default();
        for id in pages {
            if let Some(page) = shard.page_mut(id) {
                page.surprises = 0;
                set.put(Family::Meta, &schema::page_key(id), &page.record().encode());
            }
        }
        core.writer.write(set)?;
    }
    Ok(())
}

/// The numbers of all versions of a class.
pub(crate) fn ids_of(core: &Core, class: &str) -> BTreeSet<ClassId> {
    core.classes.read().iter().filter(|c| c.definition.name == class).map(|c| c.id).collect()
}

/// The classes whose surprises wait for a person.
pub(crate) fn tripped(core: &Core) -> BTreeSet<ClassId> {
    let alarms = core.alarms.lock();
    let names: BTreeSet<String> = alarms
        .values()
        .filter_map(|alarm| match &alarm.cause {
            AlarmCause::Breaker { class } => Some(class.clone()),
            _ => None,
        })
        .collect();
    drop(alarms);
    names.iter().flat_map(|name| ids_of(core, name)).collect()
}

/// Records the trusted time: after a restart the time until then counts as vouched for.
pub(crate) fn record_clock(core: &Core, now_ms: i64) -> Result<Ticket> {
    let mut set = WriteSet::default();
    set.put(Family::Meta, schema::CLOCK, &now_ms.to_be_bytes());
    core.writer.write(set)
}

/// What stops all deleting while the clock is as `now` says: the alarm that stands, or the one that planning will raise.
pub(crate) fn stopped_by_clock(core: &Core, now: Trusted, stepped: bool) -> Option<AlarmCause> {
    let ClockState::Ahead { .. } = now.state else { return None };
    let standing = core.alarms.lock().values().map(|alarm| &alarm.cause).find(|c| c.is_of_time()).cloned();
    Some(standing.unwrap_or(if stepped { AlarmCause::Clock } else { AlarmCause::TimeOff }))
}

/// Whether the clock allows deleting. Raises an alarm where it does not, ends one that its cause outlived, and records
/// the time now and then.
pub(crate) fn clock_allows(core: &Core, recorded_ms: &mut i64, now: Trusted, stepped: bool) -> Result<bool> {
    let standing: Vec<Alarm> =
        core.alarms.lock().values().filter(|a| a.cause.is_of_time()).cloned().collect();
    match now.state {
        ClockState::Ahead { by_ms } => {
            let (cause, what) = match stepped {
                true => (AlarmCause::Clock, "the wall clock stepped ahead"),
                false => (
                    AlarmCause::TimeOff,
                    "the machine was off, or its clock was set, and nothing vouches for it",
                ),
            };
            if standing.is_empty() {
                let sentence = format!(
                    "{what} by {by_ms} ms: nothing is deleted until the clock is right, or somebody has looked and \
                     resumes"
                );
                raise(core, cause, sentence, now.now_ms)?;
            }
            Ok(false)
        }
        ClockState::Agrees | ClockState::Behind { .. } => {
            for alarm in standing {
                let text = schema::to_json(&(&alarm, "the clock is no longer ahead"))?;
                end(core, &alarm, &text, now.now_ms)?;
                tracing::warn!("the clock is no longer ahead: deleting goes on");
            }
            if now.now_ms.saturating_sub(*recorded_ms) >= RECORD_EVERY_MS {
                // Not synced: losing it makes the time off look longer, which asks a person once too often.
                record_clock(core, now.now_ms)?;
                *recorded_ms = now.now_ms;
            }
            Ok(true)
        }
    }
}
