//! Corrections of stored instants in the write that takes time back. Live objects are corrected by a sweep instead.

use crate::model::hold::Hold;
use crate::model::request::Request;
use crate::model::schema::{self, Ended};
use crate::model::time_back::TimeBack;
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::state::core::Core;
use std::collections::BTreeMap;

/// Stages the open requests whose instants go back, and returns them. The span from receipt to answer stays.
pub(super) fn stage_requests(core: &Core, set: &mut WriteSet, back: &TimeBack) -> Result<Vec<Request>> {
    let mut moved = Vec::new();
    for request in core.governance.requests.lock().values() {
        let received = back.correct(request.received);
        let shift = request.received.since(received);
        if !shift.is_zero() && request.is_open() {
            let ready = request.ready.saturating_sub(shift);
            let answer_by = request.answer_by.map(|at| at.saturating_sub(shift));
            let changed = back.correct(request.changed);
            moved.push(Request { received, ready, answer_by, changed, ..request.clone() });
        }
    }
    for request in &moved {
        set.put(ColumnFamily::Meta, &schema::request_key(request.number), &schema::to_json(request)?);
    }
    Ok(moved)
}

/// Stages the holds whose instants go back, and returns them. An object can still wait for the grace of a lift that was
/// carried out long ago.
pub(super) fn stage_holds(core: &Core, set: &mut WriteSet, back: &TimeBack) -> Result<Vec<Hold>> {
    let mut holds: Vec<Hold> = core.governance.holds.read().iter().cloned().collect();
    holds.retain_mut(|hold| {
        let before = hold.clone();
        hold.placed = back.correct(hold.placed);
        if let Some(lifted) = hold.lifted.as_mut() {
            lifted.at = back.correct(lifted.at);
        }
        *hold != before
    });
    for hold in &holds {
        set.put(ColumnFamily::Meta, &schema::hold_key(&hold.id), &schema::to_json(hold)?);
    }
    Ok(holds)
}

/// Stages the records of the objects that ended by the wrong time, each under the key of its corrected time. If two ends of a
/// key come to one place, the later one stays.
///
/// The caller holds the planner's lock and no batch is out, so no object ends meanwhile.
pub(super) fn stage_ended(core: &Core, set: &mut WriteSet, back: &TimeBack) -> Result<()> {
    let range = schema::ended_range_from(schema::ended_bucket(back.to));
    let all = kv::collect(&*core.kv, ColumnFamily::Ended, &range, |key, value| {
        Ok((key.to_vec(), Ended::decode(value)?))
    })?;
    let wrong: BTreeMap<Vec<u8>, Ended> = all.into_iter().filter(|(_, ended)| ended.time > back.to).collect();
    let mut right: BTreeMap<Vec<u8>, Ended> = BTreeMap::new();
    for (key, ended) in &wrong {
        set.delete(ColumnFamily::Ended, key);
        let time = back.correct(ended.time);
        let start = back.correct(ended.start).min(time);
        let until = ended.until.saturating_sub(ended.time.since(time));
        let ended = Ended { start, time, until, ..*ended };
        let key = schema::ended_key_at(schema::ended_bucket(until), key);
        let there = match right.get(&key) {
            Some(other) => Some(*other),
            None if wrong.contains_key(&key) => None,
            None => core.kv.get(ColumnFamily::Ended, &key)?.map(|value| Ended::decode(&value)).transpose()?,
        };
        if there.is_none_or(|other| other.time < time) {
            right.insert(key, ended);
        }
    }
    for (key, ended) in right {
        set.put(ColumnFamily::Ended, &key, &ended.encode());
    }
    Ok(())
}
