//! Alarms: raised by a guard, ended by an operator or by the guard, both on record in the log.

use crate::governance::audit_event;
use crate::model::alarm::{Alarm, AlarmCause, AlarmId};
use crate::model::schema;
use crate::model::text::Attribution;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::{Core, Planner};
use sexton_proof::id::ClassId;
use sexton_proof::leaf::EventKind;
use sexton_proof::time::Timestamp;
use std::collections::BTreeSet;

/// Raises an alarm, unless one of the same cause stands. The caller holds the planner's lock.
///
/// The alarm is durable before it is in memory. A crash in between loses nothing: opening reads the alarm from the index.
pub(crate) fn raise(core: &Core, cause: AlarmCause, message: String, now: Timestamp) -> Result<()> {
    if core.governance.alarms.lock().values().any(|alarm| alarm.cause == cause) {
        return Ok(());
    }
    match cause {
        // Its message has a reason in an operator's words.
        AlarmCause::Pause { until } => tracing::error!(%until, "an operator paused deletion"),
        _ => tracing::error!(?cause, "{message}"),
    }
    let alarm = Alarm { id: AlarmId::from_bytes(audit_event::new_id(core)?), cause, raised: now, message };
    let record = schema::to_json(&alarm)?;
    audit_event::record(core, EventKind::Alarm, alarm.id.to_bytes(), &record, now, |set| {
        set.put(ColumnFamily::Meta, &schema::alarm_key(&alarm.id), &record);
        Ok(())
    })?;
    core.governance.alarms.lock().insert(alarm.id, alarm);
    Ok(())
}

/// Returns the standing alarm with this id.
///
/// # Errors
/// `NotFound` if there is none.
pub(crate) fn standing(core: &Core, id: AlarmId) -> Result<Alarm> {
    let found = core.governance.alarms.lock().get(&id).cloned();
    found.ok_or_else(|| Error::not_found(format!("no alarm {id} stands")))
}

/// Ends a standing alarm for an operator, with reason and author on record. After an alarm of the breaker, objects at short
/// notice count as known from now on.
pub(crate) fn resume(
    core: &Core,
    planner: &mut Planner,
    alarm: &Alarm,
    attribution: Attribution,
    now: Timestamp,
) -> Result<()> {
    if let AlarmCause::Breaker { class } = &alarm.cause {
        clear_short_notice(core, class)?;
        planner.breaker.reset(class);
    }
    end(core, alarm, &resumption(alarm, attribution)?, now)?;
    if let AlarmCause::Absent { class } = &alarm.cause {
        planner.absence_accepted.insert(class.clone(), now);
    }
    Ok(())
}

/// Returns the record of a resumption: a list of the alarm, the reason, the author, and the user id if it is known.
fn resumption(alarm: &Alarm, attribution: Attribution) -> Result<Vec<u8>> {
    let Attribution { reason, author, uid } = attribution;
    match uid {
        None => schema::to_json(&(alarm, reason, author)),
        Some(uid) => schema::to_json(&(alarm, reason, author, uid)),
    }
}

/// Ends an alarm, with `text` on record. A crash before the write leaves the alarm, and no success was reported.
pub(crate) fn end(core: &Core, alarm: &Alarm, text: &[u8], now: Timestamp) -> Result<()> {
    audit_event::record(core, EventKind::Resume, alarm.id.to_bytes(), text, now, |set| {
        set.delete(ColumnFamily::Meta, &schema::alarm_key(&alarm.id));
        if let AlarmCause::Absent { class } = &alarm.cause {
            let key = schema::absence_accepted_key(class);
            set.put(ColumnFamily::Meta, &key, &schema::encode_instant(now));
        }
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
    classes_of(core, |cause| if let AlarmCause::Breaker { class } = cause { Some(class) } else { None })
}

/// Returns the class versions whose objects wait for an operator, because nearly all objects of a batch were absent.
pub(crate) fn absent_classes(core: &Core) -> BTreeSet<ClassId> {
    classes_of(core, |cause| if let AlarmCause::Absent { class } = cause { Some(class) } else { None })
}

/// Returns all versions of the classes that `class_of` finds in the causes of standing alarms.
fn classes_of(core: &Core, class_of: fn(&AlarmCause) -> Option<&String>) -> BTreeSet<ClassId> {
    let alarms = core.governance.alarms.lock();
    let names: BTreeSet<String> =
        alarms.values().filter_map(|alarm| class_of(&alarm.cause)).cloned().collect();
    drop(alarms);
    let classes = core.classes.read();
    names.iter().flat_map(|name| classes.versions_of(name)).collect()
}
