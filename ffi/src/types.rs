//! Values that cross the boundary: fixed layouts, integers instead of enums, presence flags instead of special values.

use sexton::RegistrationId;
use std::ptr;

/// Size of a registration id in bytes.
pub const SEXTON_ID_BYTES: usize = 20;

/// Instant that never comes, later than every other. As a due time it needs no special case in comparisons.
pub const SEXTON_NEVER_MS: i64 = i64::MAX;

/// Borrowed bytes. {NULL, 0} is empty; NULL with another length is SEXTON_INVALID.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_bytes {
    /// First byte.
    pub data: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// Empty bytes.
pub(crate) const EMPTY: sexton_bytes = sexton_bytes { data: ptr::null(), len: 0 };

/// Registration id. Keep it to ask for a receipt. Its text form has 40 hexadecimal digits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sexton_id {
    /// Bytes of the id.
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

/// Object to be registered. Begin with SEXTON_REGISTRATION_INIT, then set key and class_name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_registration {
    /// Key by which the host knows the object: 1 to 2,048 bytes. Required. A class with find = "key" has at most one
    /// live registration per key.
    pub key: sexton_bytes,
    /// Name of the object's class, UTF-8. Required.
    pub class_name: sexton_bytes,
    /// Version by which the store recognises this very object: at most 1,024 bytes. Default: empty. With a version,
    /// registering the object again is a safe retry; without one it replaces the previous registration.
    pub version: sexton_bytes,
    /// Digest of the content: at most 64 bytes. Default: empty. It goes into the evidence.
    pub digest: sexton_bytes,
    /// Person or account that the data is about: at most 255 bytes. Default: empty. It stays in the index and is in no
    /// evidence.
    pub subject: sexton_bytes,
    /// True if start_ms is set. Default: false. The start is then not known yet, and the rule of the class applies.
    pub has_start: bool,
    /// True if size_bytes is set. Default: false, which means the size is not known.
    pub has_size: bool,
    /// Instant from which the promise counts: Unix ms, from 1990 to ten years ahead. 0 if has_start is false.
    pub start_ms: i64,
    /// Size of the object in bytes. 0 if has_size is false.
    pub size_bytes: u64,
}

/// Result of one registration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_registered {
    /// SEXTON_OK. sexton_delete_again() alone also gives SEXTON_NOT_FOUND, if the key is live or its end is not
    /// remembered. All other fields are then 0.
    pub status: i32,
    /// Effect on the previous live registration of the key: SEXTON_PREVIOUS_*.
    pub previous: i32,
    /// Id of the registration.
    pub id: sexton_id,
    /// Id of the previous registration for SEXTON_PREVIOUS_REPLACED and SEXTON_PREVIOUS_TOO_LATE. Otherwise 0.
    pub previous_id: sexton_id,
    /// Ticket that opens the commitment, for classes with openings = "ticket". Otherwise empty. The engine keeps no
    /// copy. It lives as long as the results.
    pub ticket: sexton_bytes,
}

/// Change to a registered object. Begin with SEXTON_OBJECT_CHANGE_INIT, then set kind, and key or id.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_object_change {
    /// SEXTON_START, SEXTON_RESCHEDULE, SEXTON_RELEASE, SEXTON_CONTENT or SEXTON_RENAME. Required.
    pub kind: i32,
    /// Key of the object, if its class has find = "key" or "version": 1 to 2,048 bytes. If empty, `id` names the object.
    pub key: sexton_bytes,
    /// With `key`: version of the object, which tells it from other live versions of the key. Default: empty. The change
    /// is then refused if several live.
    pub of_version: sexton_bytes,
    /// Id of the registration, if `key` is empty. An id from before a move names the same object.
    pub id: sexton_id,
    /// For SEXTON_RESCHEDULE: name of the new class. Default: empty, which keeps the class.
    pub class_name: sexton_bytes,
    /// True if start_ms is set. SEXTON_START requires it. For SEXTON_RESCHEDULE and SEXTON_CONTENT the default, false,
    /// keeps the start.
    pub has_start: bool,
    /// New start: Unix ms, from 1990 to ten years ahead. 0 if has_start is false. For SEXTON_CONTENT a start that is not
    /// later than the present one changes nothing.
    pub start_ms: i64,
    /// For SEXTON_CONTENT: version by which the store recognises the object from now on, at most 1,024 bytes. Default:
    /// empty.
    pub version: sexton_bytes,
    /// For SEXTON_CONTENT: true if size_bytes is set. Default: false, which means the size is not known.
    pub has_size: bool,
    /// For SEXTON_CONTENT: size of the object in bytes. 0 if has_size is false.
    pub size_bytes: u64,
    /// For SEXTON_RENAME: key under which the object is stored from now on, 1 to 2,048 bytes.
    pub new_key: sexton_bytes,
}

/// Result of one change.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_changed {
    /// SEXTON_OK if the change was applied. Otherwise SEXTON_INVALID, SEXTON_NOT_FOUND, SEXTON_HELD, SEXTON_TOO_LATE or
    /// SEXTON_BUSY; the other changes of the call are not affected.
    pub status: i32,
    /// Id of the registration from now on. Earlier ids still name the object.
    pub id: sexton_id,
    /// True if a floor was promised.
    pub has_floor: bool,
    /// True if a ceiling was promised.
    pub has_ceiling: bool,
    /// Floor, Unix ms. 0 if has_floor is false.
    pub floor_ms: i64,
    /// Ceiling, Unix ms. 0 if has_ceiling is false.
    pub ceiling_ms: i64,
    /// New ticket, for classes with openings = "ticket". Otherwise empty. It replaces the ticket of the registration,
    /// and lives as long as the results.
    pub ticket: sexton_bytes,
    /// Reason why the change was not applied, UTF-8. Empty if it was. It lives as long as the results.
    pub message: sexton_bytes,
}

/// Object to be deleted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_object {
    /// Id of the registration.
    pub id: sexton_id,
    /// Key under which the object is stored.
    pub key: sexton_bytes,
    /// Key under which the object was registered, for its receipt. It differs from key after SEXTON_RENAME.
    pub first_key: sexton_bytes,
    /// Version by which the store recognises the object, or empty. If the key has another version, leave that object
    /// alone and answer SEXTON_ANSWER_CHANGED.
    pub version: sexton_bytes,
    /// Digest as registered, or empty.
    pub digest: sexton_bytes,
    /// True if the size was registered.
    pub has_size: bool,
    /// True if a floor was promised.
    pub has_floor: bool,
    /// True if a ceiling was promised.
    pub has_ceiling: bool,
    /// Size in bytes. 0 if has_size is false.
    pub size_bytes: u64,
    /// Floor, Unix ms. 0 if has_floor is false.
    pub floor_ms: i64,
    /// Ceiling, Unix ms. 0 if has_ceiling is false.
    pub ceiling_ms: i64,
}

/// Identifies one hand-out of a sub-batch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_batch_id {
    /// Number of the batch. It is unchanged if the batch is handed out again after a crash.
    pub batch: u64,
    /// Fencing epoch. Every opening of the engine increases it. A store that serves several hosts refuses an epoch that
    /// is smaller than the largest it has seen.
    pub epoch: u64,
    /// Number of the sub-batch within the batch, from 0.
    pub index: u32,
    /// Number of times that the batch has been handed out, from 1. After a crash it is at least 2.
    pub attempt: u32,
}

/// Answer for one object of a sub-batch. Begin with SEXTON_ANSWER_INIT, then set object and answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_answer {
    /// Index of the object in sexton_batch_objects(), from 0.
    pub object: u32,
    /// SEXTON_ANSWER_*. Required. It is a statement of fact that goes into the evidence.
    pub answer: i32,
    /// For SEXTON_ANSWER_ANONYMISED: digest of the rewritten content, at most 64 bytes. For SEXTON_ANSWER_REFUSED and
    /// SEXTON_ANSWER_FAILED: reason, which sexton_status shows. It may name keys. Default: empty.
    pub detail: sexton_bytes,
}

/// Set of objects. Begin with SEXTON_SELECTOR_INIT, then set all fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_selector {
    /// SEXTON_SELECT_*. Required.
    pub kind: i32,
    /// Values to match: keys of 1 to 268,435,456 bytes together, or one prefix, subject or class name. NULL for SEXTON_SELECT_EVERYTHING.
    pub values: *const sexton_bytes,
    /// Number of values.
    pub len: usize,
}

/// Request to the API, as it came over HTTP. Begin with SEXTON_API_REQUEST_INIT, then set method and target.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_api_request {
    /// Method, like "GET". Required.
    pub method: sexton_bytes,
    /// Path and query as they came, like "/v1/plan?until_ms=0". Required.
    pub target: sexton_bytes,
    /// Value of the header Content-Type. Default: empty, which means that there is none.
    pub content_type: sexton_bytes,
    /// Value of the header Idempotency-Key. Default: empty, which means that there is none.
    pub idempotency_key: sexton_bytes,
    /// Body; if it is longer than SEXTON_API_BODY_BYTES_MAX, at least one byte more than that of it. Default: empty.
    pub body: sexton_bytes,
    /// True if uid is set. Default: false.
    pub has_uid: bool,
    /// User id of the peer as the kernel authenticated it (SO_PEERCRED). It is recorded with each decision.
    pub uid: u32,
}

/// Legal hold to be placed. Begin with SEXTON_HOLD_INIT, then set all fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_hold {
    /// Name by which the hold is lifted: 1 to 1,000 bytes of UTF-8, not the name of a standing hold. Required.
    pub name: sexton_bytes,
    /// Objects that the hold covers, including those registered later.
    pub selector: sexton_selector,
    /// SEXTON_HOLD_TEMPORARY or SEXTON_HOLD_EVENT. Required.
    pub kind: i32,
    /// Reason: 1 to 1,000 bytes of UTF-8. Required.
    pub reason: sexton_bytes,
    /// Person who places the hold: 1 to 1,000 bytes of UTF-8. Required.
    pub author: sexton_bytes,
    /// Date by which an operator reviews whether the hold is still needed: Unix ms, in the future. Required. The hold
    /// stands until it is lifted, also after this date.
    pub review_ms: i64,
}

/// Erasure to be recorded. Begin with SEXTON_ERASURE_INIT, then set selector, reason and author.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_erasure {
    /// Objects to erase: SEXTON_SELECT_SUBJECT or SEXTON_SELECT_KEYS. Required.
    pub selector: sexton_selector,
    /// True if received_ms is set. Default: false, which means that the request was received now.
    pub has_received: bool,
    /// Instant at which the request was received: Unix ms, not in the future. 0 if has_received is false.
    pub received_ms: i64,
    /// Time within which the request is to be answered, counted in UTC from received_ms, like "30d" or "15wd". Default:
    /// empty, which means that no time was promised.
    pub within: sexton_bytes,
    /// Text of a holiday file, for a `within` in working days. A line is a date that is not a working day, like
    /// 2026-12-25, or a weekend date that is a working day, like +2026-12-26. Default: empty, which means that only
    /// weekends are free.
    pub holidays: sexton_bytes,
    /// Time during which the erasure can be cancelled: ms from received_ms on, at most 366 days. No object is erased
    /// before. Default: 0.
    pub cancellable_ms: i64,
    /// Reason: 1 to 1,000 bytes of UTF-8. Required.
    pub reason: sexton_bytes,
    /// Person who records the erasure: 1 to 1,000 bytes of UTF-8. Required.
    pub author: sexton_bytes,
}

/// Counts of a class over all its versions. Counts of ended objects are never reset.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_counters {
    /// Objects registered since the engine was created.
    pub registered: u64,
    /// Total size of those whose size was known, in bytes.
    pub registered_bytes: u64,
    /// Registrations that have not ended. A replaced registration counts until its slot.
    pub live: u64,
    /// Live registrations that a legal hold keeps past their due slot.
    pub held: u64,
    /// Live registrations whose slot has begun.
    pub due: u64,
    /// Live registrations whose ceiling has passed.
    pub overdue: u64,
    /// Objects that the store deleted.
    pub deleted: u64,
    /// Total size of those whose size was known, in bytes.
    pub deleted_bytes: u64,
    /// Objects that were absent when the store was asked to delete them.
    pub absent: u64,
    /// Objects that were absent after an earlier hand-out without an answer, which may have deleted them.
    pub absent_after_intent: u64,
    /// Registrations that a newer registration of the key replaced.
    pub replaced: u64,
    /// Objects that the host deleted itself.
    pub released: u64,
    /// Objects that the store rewrote so that they concern no person.
    pub anonymised: u64,
    /// Objects that the store was asked to delete, and of which it did not say if it had them.
    pub requested: u64,
    /// Ended objects that ended before their floor.
    pub early: u64,
    /// Ended objects that ended after their ceiling, without a legal hold as the cause.
    pub late: u64,
    /// Ended objects that ended after their ceiling because a legal hold kept them.
    pub late_after_hold: u64,
    /// True if a live registration is past its ceiling.
    pub has_oldest_overdue: bool,
    /// True if the class was closed down.
    pub closed: bool,
    /// Earliest ceiling among the overdue registrations, Unix ms. 0 if has_oldest_overdue is false.
    pub oldest_overdue_ms: i64,
}

/// Object of the plan, with the action that is planned for it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sexton_planned_object {
    /// Id of the registration.
    pub id: sexton_id,
    /// Name of the class.
    pub class_name: sexton_bytes,
    /// Key of the object.
    pub key: sexton_bytes,
    /// "delete", "anonymise", "end-replaced", "end-released", "hold", "wait-for-floor" or "stopped".
    pub action: sexton_bytes,
    /// For "hold" the name of the hold. For "stopped" the cause of the alarm. Otherwise the reason why the object ends.
    pub why: sexton_bytes,
    /// Instant of the action, Unix ms. It is in the past if the action is due.
    pub at_ms: i64,
    /// True if a floor was promised.
    pub has_floor: bool,
    /// True if a ceiling was promised.
    pub has_ceiling: bool,
    /// Floor, Unix ms. 0 if has_floor is false.
    pub floor_ms: i64,
    /// Ceiling, Unix ms. 0 if has_ceiling is false.
    pub ceiling_ms: i64,
}
