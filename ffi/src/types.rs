//! What crosses the boundary by value: fixed layouts, integers instead of enums.

use sexton::RegistrationId;

/// A start that is not known yet, or a floor that is not there.
pub const SEXTON_UNKNOWN_MS: i64 = i64::MIN;
/// A ceiling that is not there; an instant that does not come.
pub const SEXTON_NO_CEILING_MS: i64 = i64::MAX;
/// A size that is not known.
pub const SEXTON_SIZE_UNKNOWN: u64 = u64::MAX;
/// Bytes of a registration id.
pub const SEXTON_ID_BYTES: usize = 20;

/// Bytes that somebody else owns. {NULL, 0} is empty.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_bytes {
    /// Where they are.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// A registration id. Keep it to ask for a receipt. Its text form is 40 hexadecimal digits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sexton_id {
    /// Its bytes.
    pub bytes: [u8; SEXTON_ID_BYTES],
}

impl From<RegistrationId> for sexton_id {
    fn from(id: RegistrationId) -> Self {
        sexton_id { bytes: id.to_bytes() }
    }
}

impl From<sexton_id> for RegistrationId {
    fn from(id: sexton_id) -> Self {
        RegistrationId::from_bytes(&id.bytes)
    }
}

/// An object to be registered. Begin with SEXTON_REGISTRATION_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_registration {
    /// What the host knows the object by: 1 to 1024 bytes. One live registration per key, where its class finds by key.
    pub key: sexton_bytes,
    /// The class it falls under.
    pub class_name: sexton_bytes,
    /// What the store recognises this very object by: at most 64 bytes. With a version, registering the same again is a
    /// safe retry; without one it replaces.
    pub version: sexton_bytes,
    /// A digest of the content: at most 64 bytes.
    pub digest: sexton_bytes,
    /// Whose data it is: at most 255 bytes. Stays in the index, goes into no evidence.
    pub subject: sexton_bytes,
    /// The instant the promise counts from, Unix ms, or SEXTON_UNKNOWN_MS: then the class's rule applies.
    pub start_ms: i64,
    /// Size of the object, or SEXTON_SIZE_UNKNOWN.
    pub size_bytes: u64,
}

/// The answer to one registration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_registered {
    /// SEXTON_OK. Only sexton_delete_again() also has SEXTON_NOT_FOUND here, where nothing is known of the key or its
    /// object lives; the rest is then 0.
    pub status: i32,
    /// What happened to an earlier live registration of the key: SEXTON_EARLIER_*.
    pub earlier: i32,
    /// The registration id.
    pub id: sexton_id,
    /// The earlier registration, where it is replaced or it was too late for that; else 0.
    pub earlier_id: sexton_id,
    /// Of classes with openings = "ticket": what opens the commitment, kept by nobody else. Lives as long as the results.
    pub ticket: sexton_bytes,
}

/// What the host says of a registered object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_change {
    /// SEXTON_START: its start, unknown so far, is start_ms. SEXTON_RESCHEDULE: it falls under other terms.
    /// SEXTON_RELEASE: the host has deleted it itself.
    pub kind: i32,
    /// Its key, where its class finds by key; where this is empty, `id` says which object is meant.
    pub key: sexton_bytes,
    /// Its registration id, an earlier one of a registration that moved too.
    pub id: sexton_id,
    /// For SEXTON_RESCHEDULE: the class; empty: as before.
    pub class_name: sexton_bytes,
    /// Unix ms; for SEXTON_RESCHEDULE SEXTON_UNKNOWN_MS is: as before.
    pub start_ms: i64,
}

/// The answer to one change.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_changed {
    /// SEXTON_OK; or SEXTON_INVALID, SEXTON_NOT_FOUND, SEXTON_HELD, SEXTON_TOO_LATE, SEXTON_BUSY: then this one was not
    /// applied, whatever became of the others.
    pub status: i32,
    /// Its registration id from here on; the earlier ones lead to it.
    pub id: sexton_id,
    /// Its floor, SEXTON_UNKNOWN_MS where there is none.
    pub floor_ms: i64,
    /// Its ceiling, SEXTON_NO_CEILING_MS where there is none.
    pub ceiling_ms: i64,
    /// Of classes with openings = "ticket": the ticket that takes the place of the earlier one. Lives as long as the results.
    pub ticket: sexton_bytes,
    /// Where it was not applied: why, UTF-8. Lives as long as the results.
    pub message: sexton_bytes,
}

/// An object that is to be deleted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_object {
    /// Its registration.
    pub id: sexton_id,
    /// What it is stored under.
    pub key: sexton_bytes,
    /// What the store recognises it by. Another object found under the key is left alone: SEXTON_ANSWER_CHANGED.
    pub version: sexton_bytes,
    /// Its digest, as registered.
    pub digest: sexton_bytes,
    /// Its size, as registered, or SEXTON_SIZE_UNKNOWN.
    pub size_bytes: u64,
    /// Its floor, SEXTON_UNKNOWN_MS where there is none.
    pub floor_ms: i64,
    /// Its ceiling, SEXTON_NO_CEILING_MS where there is none.
    pub ceiling_ms: i64,
}

/// Names one handing over of a sub-batch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_batch_id {
    /// The batch: the same number when its objects come again after a crash.
    pub batch: u64,
    /// The fencing epoch: grows with every opening of the engine. A store that serves several refuses a smaller one than
    /// it has seen.
    pub epoch: u64,
    /// Which part of the batch, from 0.
    pub part: u32,
    /// How often the batch has been handed over, this time included; after a crash at least 2.
    pub attempt: u32,
}

/// What became of one object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_answer {
    /// Its place in sexton_batch_objects().
    pub object: u32,
    /// SEXTON_ANSWER_*. A statement of fact: it goes into the evidence.
    pub answer: i32,
    /// For SEXTON_ANSWER_ANONYMISED the digest of what is there now, at most 64 bytes; for SEXTON_ANSWER_REFUSED and
    /// SEXTON_ANSWER_FAILED the reason, for the log. Otherwise empty.
    pub detail: sexton_bytes,
}

/// Which objects are meant.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_selector {
    /// SEXTON_SELECT_*.
    pub kind: i32,
    /// The keys (1 to 10,000), or the one prefix, subject or class; none for SEXTON_SELECT_EVERYTHING.
    pub items: *const sexton_bytes,
    /// How many.
    pub len: usize,
}

/// A legal hold to be placed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_hold {
    /// By which it is lifted: 1 to 1,000 bytes, not that of a hold that stands.
    pub name: sexton_bytes,
    /// What it covers, now and later.
    pub selector: sexton_selector,
    /// SEXTON_HOLD_TEMPORARY lets the clock run; SEXTON_HOLD_EVENT restarts it when the hold is lifted.
    pub kind: i32,
    /// Why.
    pub reason: sexton_bytes,
    /// Who places it.
    pub author: sexton_bytes,
    /// When somebody is to look whether it is still needed, Unix ms. It does not end then by itself.
    pub review_ms: i64,
}

/// An erasure that somebody asks for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_erasure {
    /// Whose or which objects: SEXTON_SELECT_SUBJECT or SEXTON_SELECT_KEYS.
    pub selector: sexton_selector,
    /// When it was received, Unix ms, not in the future; SEXTON_UNKNOWN_MS: now.
    pub received_ms: i64,
    /// Within what time it is to be answered, like "30d" or "15wd", in UTC; empty where nothing was promised.
    pub within: sexton_bytes,
    /// The text of a holiday file, where `within` is in working days: on each line a date like 2026-12-25 on which nobody
    /// works, or +2026-12-26, at a weekend, on which people do. Empty: weekends alone.
    pub holidays: sexton_bytes,
    /// How long it can be cancelled, ms from received_ms on; nothing is erased before. 0: at once.
    pub cancellable_ms: i64,
    /// Why.
    pub reason: sexton_bytes,
    /// Who records it.
    pub author: sexton_bytes,
}

/// Counts of a class, all its versions together. They hold nothing else, and outlive the objects.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_counters {
    /// Objects ever registered.
    pub registered: u64,
    /// Bytes of those whose size was known.
    pub registered_bytes: u64,
    /// Registrations that have not ended; one that a newer one replaced counts until its slot.
    pub live: u64,
    /// Of those, the ones that legal holds keep though their time has come.
    pub held: u64,
    /// Of those, the ones whose slot has begun.
    pub due: u64,
    /// Of those, the ones whose ceiling has passed.
    pub overdue: u64,
    /// Ended: deleted by the store.
    pub deleted: u64,
    /// Bytes of those whose size was known.
    pub deleted_bytes: u64,
    /// Ended: not there when they were to be deleted.
    pub absent: u64,
    /// Ended: not there, after an attempt of ours of which nobody heard; that attempt may well have deleted them.
    pub absent_after_intent: u64,
    /// Ended: replaced by a newer registration of the key.
    pub replaced: u64,
    /// Ended: deleted by the host itself.
    pub released: u64,
    /// Ended: rewritten so that they concern nobody any more.
    pub anonymised: u64,
    /// Of all that ended: before their floor.
    pub early: u64,
    /// Of all that ended: after their ceiling, and no legal hold had kept them.
    pub late: u64,
    /// Of all that ended: after their ceiling, because a legal hold had kept them.
    pub late_after_hold: u64,
    /// The earliest ceiling among the overdue, Unix ms; SEXTON_UNKNOWN_MS where nothing is overdue.
    pub oldest_overdue_ms: i64,
    /// Whether it was closed down.
    pub closed: bool,
}

/// What will be done with an object, as far as is known now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_forecast {
    /// The registration as it is now.
    pub id: sexton_id,
    /// Name of the class.
    pub class_name: sexton_bytes,
    /// Key of the object.
    pub key: sexton_bytes,
    /// "delete", "anonymise", "end-replaced", "end-released", "hold", "wait-for-floor" or "stopped".
    pub action: sexton_bytes,
    /// For "hold" the hold's name, for "stopped" what raised the alarm; otherwise why it ends, as a word.
    pub why: sexton_bytes,
    /// When its time comes, Unix ms; in the past where it has come.
    pub at_ms: i64,
    /// Its floor, SEXTON_UNKNOWN_MS where there is none.
    pub floor_ms: i64,
    /// Its ceiling, SEXTON_NO_CEILING_MS where there is none.
    pub ceiling_ms: i64,
}
