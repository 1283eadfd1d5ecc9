//! Keys of the column families `meta` and `items`, and the numbers and instants stored in `meta`.

use super::prefix_range;
use crate::model::alarm::AlarmId;
use crate::model::hold::HoldId;
use crate::platform::error::{Error, Result};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::time::Timestamp;
use std::ops::Range;

/// Key of the [`Shape`](super::Shape).
pub(crate) const SHAPE: &[u8] = b"shape";
/// Key of the number of openings, the fencing epoch.
pub(crate) const EPOCH: &[u8] = b"epoch";
/// Key of the log's head ([`encode_log_head`](super::encode_log_head)).
pub(crate) const LOG: &[u8] = b"log";
/// Key of the number of the last batch.
pub(crate) const BATCH: &[u8] = b"batch";
/// Key of the number of the last entry of the feed.
pub(crate) const FEED: &[u8] = b"feed";
/// Key of the number of the last request.
pub(crate) const REQUEST: &[u8] = b"request";
/// Key of the last trusted wall time. It tells after a restart how long the engine was off.
pub(crate) const CLOCK: &[u8] = b"clock";
/// Key of the instant of the last log entry that a wrong clock gave. It is no evidence of the time that has passed.
pub(crate) const DISOWNED: &[u8] = b"disowned";
/// Key of the number of times that an operator took time back.
pub(crate) const ERA: &[u8] = b"era";
/// Key of the jumps ahead of the trusted time in the present era ([`Jump`](crate::model::time_back::Jump)).
pub(crate) const JUMPS: &[u8] = b"jumps";
/// Key of the number of the last doubt about the clock.
pub(crate) const DOUBT: &[u8] = b"doubt";
/// Key of the number of the last doubt that has ended.
pub(crate) const DOUBT_ENDED: &[u8] = b"doubt-ended";
/// Key of the limits that an operator set ([`StoredLimits`](crate::model::guard_limits::StoredLimits)).
pub(crate) const LIMITS: &[u8] = b"limits";

/// Prefix of the keys of all class versions.
pub(crate) const CLASSES: &[u8] = b"class/";
/// Prefix of the keys of all intents.
pub(crate) const INTENTS: &[u8] = b"intent/";
/// Prefix of the keys of all legal holds.
pub(crate) const HOLDS: &[u8] = b"hold/";
/// Prefix of the keys of all requests.
pub(crate) const REQUESTS: &[u8] = b"request/";
/// Prefix of the keys of all alarms.
pub(crate) const ALARMS: &[u8] = b"alarm/";
/// Prefix of the keys of all accepted roots.
pub(crate) const ROOTS: &[u8] = b"root/";
/// Prefix of the keys of all classes that are closed down.
pub(crate) const CLOSED: &[u8] = b"closed/";

/// Prefix of the keys of all decisions to define a class version.
const CLASS_DECISIONS: &[u8] = b"class-decision/";

/// Prefix of the keys of all classes whose absent objects an operator accepted.
pub(crate) const ABSENCE_ACCEPTED: &[u8] = b"absence-accepted/";

/// Returns the key of a class version ([`ClassRecord`](super::ClassRecord)).
pub(crate) fn class_key(id: ClassId) -> Vec<u8> {
    [CLASSES, &id.to_be_bytes()].concat()
}

/// Returns the key of the decision to define a class version ([`Decided`](crate::model::text::Decided)).
pub(crate) fn class_decision_key(id: ClassId) -> Vec<u8> {
    [CLASS_DECISIONS, &id.to_be_bytes()].concat()
}

/// Returns the key of the intent of a batch ([`Intent`](super::Intent)).
pub(crate) fn intent_key(batch: u64) -> Vec<u8> {
    [INTENTS, &batch.to_be_bytes()].concat()
}

/// Returns the key of the record of a page ([`PageRecord`](super::PageRecord)).
pub(crate) fn page_key(page: PageId) -> Vec<u8> {
    [b"page/", &page.to_bytes()[..]].concat()
}

/// Returns the key of the counts of a class version ([`Counts`](super::Counts)).
pub(crate) fn counts_key(class: ClassId) -> Vec<u8> {
    [b"counts/", &class.to_be_bytes()[..]].concat()
}

/// Returns the key of the registered totals of a class version and shard
/// ([`RegisteredTotals`](super::RegisteredTotals)).
pub(crate) fn registered_totals_key(class: ClassId, shard: u16) -> Vec<u8> {
    [b"tally/", &class.to_be_bytes()[..], &shard.to_be_bytes()].concat()
}

/// Returns the key of a legal hold.
pub(crate) fn hold_key(id: &HoldId) -> Vec<u8> {
    [HOLDS, &id.to_bytes()].concat()
}

/// Returns the key of a request.
pub(crate) fn request_key(number: u32) -> Vec<u8> {
    [REQUESTS, &number.to_be_bytes()].concat()
}

/// Returns the key of an alarm.
pub(crate) fn alarm_key(id: &AlarmId) -> Vec<u8> {
    [ALARMS, &id.to_bytes()].concat()
}

/// Returns the key that marks the class named `class` as closed down.
pub(crate) fn closed_key(class: &str) -> Vec<u8> {
    [CLOSED, class.as_bytes()].concat()
}

/// Returns the name of the class that a key made by [`closed_key`] marks.
pub(crate) fn closed_name(key: &[u8]) -> Result<String> {
    let name = key.strip_prefix(CLOSED).map(String::from_utf8_lossy);
    name.map(Into::into).ok_or_else(|| Error::corrupt("the mark of a closed class is malformed"))
}

/// Returns the key of the instant at which an operator accepted the absent objects of a class.
pub(crate) fn absence_accepted_key(class: &str) -> Vec<u8> {
    [ABSENCE_ACCEPTED, class.as_bytes()].concat()
}

/// Returns the class in such a key.
pub(crate) fn absence_accepted_class(key: &[u8]) -> Result<String> {
    let name = key.strip_prefix(ABSENCE_ACCEPTED).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| Error::corrupt("the key of an accepted class is malformed"))
}

/// Returns the key of the opening of an event's commitment: the index of the event's leaf in the log.
pub(crate) fn event_key(leaf: u64) -> Vec<u8> {
    [b"event/", &leaf.to_be_bytes()[..]].concat()
}

/// Returns the value that opens the commitment of an event: the blinding value `r` and the event's text.
pub(crate) fn event_value(r: &[u8; 32], text: &[u8]) -> Vec<u8> {
    [r, text].concat()
}

/// Splits a value made by [`event_value`]; `None` if it is cut short.
pub(crate) fn split_event_value(value: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    value.split_first_chunk()
}

/// Encodes a number.
pub(crate) fn encode_number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Encodes an instant.
pub(crate) fn encode_instant(instant: Timestamp) -> [u8; 8] {
    instant.to_be_bytes()
}

/// Decodes a stored number; `what` completes "the number of …" in the error, like "the last request".
pub(crate) fn decode_number(what: &str, bytes: &[u8]) -> Result<u64> {
    let number = bytes.as_array().map(|bytes| u64::from_be_bytes(*bytes));
    number.ok_or_else(|| Error::corrupt(format!("the number of {what} is malformed")))
}

/// Decodes a stored instant.
pub(crate) fn decode_instant(bytes: &[u8]) -> Result<Timestamp> {
    let instant = bytes.as_array().map(|bytes| Timestamp::from_be_bytes(*bytes));
    instant.ok_or_else(|| Error::corrupt("the recorded time is malformed"))
}

/// Returns the key of an object of an erasure. Its value is the object's key.
pub(crate) fn request_object_key(request: u32, id: RegistrationId) -> Vec<u8> {
    [&request.to_be_bytes()[..], &id.to_bytes()].concat()
}

/// Returns the range of the keys of all objects of an erasure.
pub(crate) fn request_object_range(request: u32) -> Range<Vec<u8>> {
    prefix_range(&request.to_be_bytes())
}

/// Returns the range of the keys of the objects of an erasure after `id`.
pub(crate) fn request_objects_after(request: u32, id: RegistrationId) -> Range<Vec<u8>> {
    // The next key in order has one byte more.
    let after = [&request_object_key(request, id)[..], &[0]].concat();
    after..request_object_range(request).end
}

/// Returns the registration that a key made by [`request_object_key`] names.
pub(crate) fn parse_request_object_key(key: &[u8]) -> Result<RegistrationId> {
    let id = key.last_chunk().filter(|_| key.len() == 24).map(RegistrationId::from_bytes);
    id.ok_or_else(|| Error::corrupt("the key of an object of a request is malformed"))
}
