// libsexton: deletes stored objects inside the window that was promised for them, and proves it.
//
// docs/c-api.md has the contract that all functions share. In short:
//  * A function that can fail returns an int32_t status: SEXTON_OK or another SEXTON_* number. Its last argument is a
//    sexton_error **, which may be NULL. It is written only on failure, and the caller frees the error.
//  * Output arguments are written only on SEXTON_OK.
//  * Bytes and arrays are a pointer with a length, never NUL-terminated, and are borrowed for the call. Pointers that an
//    accessor returns live as long as the object that it was called on.
//  * Only functions whose names end in _free take an object from the caller. Freeing NULL is allowed.
//  * Begin every struct with its INIT macro. A zero-initialised struct has the same value.
//  * Any number of threads may use an engine at the same time, and one thread at a time any other object.
//  * Texts are UTF-8. Instants are Unix milliseconds (UTC).
//
// Generated from the Rust source by `make header`; do not edit.

#ifndef SEXTON_H
#define SEXTON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Initial value of each struct: nothing is set. Compiles in C and C++.
#define SEXTON_BYTES_INIT { NULL, 0 }
#define SEXTON_ID_INIT { { 0 } }
#define SEXTON_REGISTRATION_INIT \
  { SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, \
    false, false, 0, 0 }
#define SEXTON_REGISTERED_INIT { 0, 0, SEXTON_ID_INIT, SEXTON_ID_INIT, SEXTON_BYTES_INIT }
#define SEXTON_OBJECT_CHANGE_INIT \
  { 0, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_ID_INIT, SEXTON_BYTES_INIT, false, 0, \
    SEXTON_BYTES_INIT, false, 0, SEXTON_BYTES_INIT }
#define SEXTON_CHANGED_INIT \
  { 0, SEXTON_ID_INIT, false, false, 0, 0, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT }
#define SEXTON_OBJECT_INIT \
  { SEXTON_ID_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, \
    false, false, false, 0, 0, 0 }
#define SEXTON_BATCH_ID_INIT { 0, 0, 0, 0 }
#define SEXTON_ANSWER_INIT { 0, 0, SEXTON_BYTES_INIT }
#define SEXTON_SELECTOR_INIT { 0, NULL, 0 }
#define SEXTON_HOLD_INIT \
  { SEXTON_BYTES_INIT, SEXTON_SELECTOR_INIT, 0, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, 0 }
#define SEXTON_ERASURE_INIT \
  { SEXTON_SELECTOR_INIT, false, 0, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, 0, \
    SEXTON_BYTES_INIT, SEXTON_BYTES_INIT }
#define SEXTON_API_REQUEST_INIT \
  { SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, \
    false, 0 }
#define SEXTON_COUNTERS_INIT \
  { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, false, 0 }
#define SEXTON_PLANNED_OBJECT_INIT \
  { SEXTON_ID_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, SEXTON_BYTES_INIT, \
    0, false, false, 0, 0 }

// Major version of this header.
#define SEXTON_VERSION_MAJOR 0

// Minor version of this header.
#define SEXTON_VERSION_MINOR 1

// Patch version of this header.
#define SEXTON_VERSION_PATCH 0

// Version of this header: major * 1,000,000 + minor * 1,000 + patch. Compare it with sexton_version_number().
#define SEXTON_VERSION_NUMBER 1000

// The call succeeded.
#define SEXTON_OK 0

// A value is outside its stated bounds. The call changed nothing. Correct it and call again.
#define SEXTON_INVALID 1

// The named object, hold, request, class or alarm does not exist.
#define SEXTON_NOT_FOUND 2

// A legal hold forbids the call, or a waiting erasure does. Lift the hold, or cancel the erasure, first.
#define SEXTON_HELD 3

// The object is already in a batch or gone, or the request is final.
#define SEXTON_TOO_LATE 4

// A stated limit is reached, the folder is open already, or the call is not allowed inside a callback. Try again
// later.
#define SEXTON_BUSY 5

// The disk is full, or free space is below disk_reserve_bytes. Make room.
#define SEXTON_FULL 6

// The operating system reported an error. The message names the file.
#define SEXTON_IO 7

// Stored data contradict each other. Keep the folder as it is, run the full check, and see Backups in
// docs/operations.md.
#define SEXTON_CORRUPT 8

// The log in the folder does not extend the published one, or the folder is a copy. The engine registers, deletes and
// signs nothing. Unrelated to fork().
#define SEXTON_FORKED 9

// An earlier write or fsync failed, so the contents of the disk are unknown. Close the engine and open it again.
#define SEXTON_POISONED 10

// The engine is closed, or belongs to the process from which this one was forked.
#define SEXTON_CLOSED 11

// A defect in Sexton. Free the handle and open the engine again.
#define SEXTON_INTERNAL 12

// The receipt is not authentic under the trust policy.
#define SEXTON_NOT_VERIFIED 13

// Size of a registration id in bytes.
#define SEXTON_ID_BYTES 20

// Instant that never comes, later than every other. As a due time it needs no special case in comparisons.
#define SEXTON_NEVER_MS INT64_MAX

// Log level: a failure that needs an operator.
#define SEXTON_LOG_ERROR 1

// Log level: a failure that the engine retries.
#define SEXTON_LOG_WARN 2

// Log level: normal events. No line has this level yet.
#define SEXTON_LOG_INFO 3

// Log level: details for debugging.
#define SEXTON_LOG_DEBUG 4

// Flag: the call does not wait for the fsync. Its effects survive the end of the process. They survive a power failure
// only after sexton_sync(), or after a later call without this flag.
#define SEXTON_BUFFERED 1

// Flag of registering: keys with a live registration are left alone (SEXTON_PREVIOUS_KEPT).
#define SEXTON_ONLY_MISSING 2

// Kind of a change: sets the start of an object that was registered without one.
#define SEXTON_START 1

// Kind of a change: moves the object to another class or start. Its floor and ceiling are those of the new class and
// start.
#define SEXTON_RESCHEDULE 2

// Kind of a change: records that the host has deleted the object itself.
#define SEXTON_RELEASE 3

// Kind of a change: states that the object has other content, such as a file that was written again or grew. Class,
// holds and erasures stay. A later start moves floor and ceiling; one that is not later changes nothing.
#define SEXTON_CONTENT 4

// Kind of a change: states that the object is stored under another key, such as a file that was renamed. Class, holds and
// erasures stay. Holds and erasures by key cover it under its first key as well, and its receipt names that one. An object
// that is live under the new key is replaced. Renames that follow each other in a call are applied together, so two objects
// may exchange their keys. To repeat such a call safely, name the objects by id.
#define SEXTON_RENAME 5

// The key had no live registration, or its class has find = "none".
#define SEXTON_PREVIOUS_NONE 0

// The previous registration is replaced. Its object is no longer deleted at its own time.
#define SEXTON_PREVIOUS_REPLACED 1

// The previous registration is already in a batch, so its object may still be deleted at the previous time. The new
// registration is live.
#define SEXTON_PREVIOUS_TOO_LATE 2

// The previous registration has the same key, version and class. Nothing was registered, and `id` is that of the
// previous registration: a safe retry.
#define SEXTON_PREVIOUS_IDENTICAL 3

// The previous registration is kept because of SEXTON_ONLY_MISSING. Nothing was registered.
#define SEXTON_PREVIOUS_KEPT 4

// The registered object was there and is gone, and a power failure cannot bring it back.
#define SEXTON_ANSWER_DELETED 1

// The registered object was there and was rewritten so that it concerns no person. Only if the disposition is
// SEXTON_ANONYMISE.
#define SEXTON_ANSWER_ANONYMISED 2

// The key has no object, and a power failure cannot bring one back.
#define SEXTON_ANSWER_ABSENT 3

// The key has another object than the registered one. It was left alone.
#define SEXTON_ANSWER_CHANGED 4

// The store declines to delete the object, for example because of a hold of its own.
#define SEXTON_ANSWER_REFUSED 5

// The object could not be deleted, or the deletion could not be made durable. The engine hands it out again.
#define SEXTON_ANSWER_FAILED 6

// The server behind the host was asked to delete the registered object and no other, and acknowledged the request. It
// acknowledges an object that it did not have alike, so the receipt shows no deletion.
#define SEXTON_ANSWER_REQUESTED 7

// Disposition of a sub-batch: delete the objects.
#define SEXTON_DELETE 1

// Disposition of a sub-batch: rewrite the objects so that they concern no person.
#define SEXTON_ANONYMISE 2

// Kind of a selector: keys, together 1 to 268,435,456 bytes.
#define SEXTON_SELECT_KEYS 1

// Kind of a selector: all keys with a prefix of 1 to 2,048 bytes.
#define SEXTON_SELECT_PREFIX 2

// Kind of a selector: all objects of a subject of 1 to 255 bytes.
#define SEXTON_SELECT_SUBJECT 3

// Kind of a selector: all objects of a class.
#define SEXTON_SELECT_CLASS 4

// Kind of a selector: all objects.
#define SEXTON_SELECT_EVERYTHING 5

// Kind of a hold: the promise's clock runs on. After the lift an object that fell due before is deleted after the grace.
#define SEXTON_HOLD_TEMPORARY 1

// Kind of a hold: the promise's clock restarts. After the lift the promise counts from the instant of the lift.
#define SEXTON_HOLD_EVENT 2

// The engine works.
#define SEXTON_STATE_RUNNING 1

// Deleting is stopped until the clock is right, or until an operator calls sexton_resume().
#define SEXTON_STATE_PAUSED 2

// The log in the folder does not extend the published one, or the folder is a copy. The engine registers, deletes and
// signs nothing.
#define SEXTON_STATE_FORKED 3

// A write failed. The engine writes nothing until it is opened again.
#define SEXTON_STATE_POISONED 4

// Longest body of a request to the API, bytes. A host that reads one byte more of a longer body and passes it on gets
// the response to that.
#define SEXTON_API_BODY_BYTES_MAX 8388608

// Opener of a receipt: the key of the object, for classes with openings = "operator".
#define SEXTON_OPENER_KEY 1

// Opener of a receipt: the ticket from the registration, for classes with openings = "ticket".
#define SEXTON_OPENER_TICKET 2

// The promise was kept: deleted or anonymised, not before the floor and not after the ceiling.
#define SEXTON_COMPLIANCE_KEPT 1

// Deleted or anonymised before the floor.
#define SEXTON_COMPLIANCE_EARLY 2

// Deleted or anonymised after the ceiling.
#define SEXTON_COMPLIANCE_LATE 3

// Deleted or anonymised after the ceiling, because of a legal hold that the operator recorded.
#define SEXTON_COMPLIANCE_AFTER_HOLD 4

// The registration ended, and the receipt shows no deletion by the engine. With the method "requested" the server was
// asked to delete the object inside the window and did not refuse.
#define SEXTON_COMPLIANCE_NOT_A_DELETION 5

// Sub-batch: objects of one class that are handed out together. Opaque; freed with sexton_batch_free(). It owns its
// memory and may outlive the engine. One thread at a time may use it.
typedef struct sexton_batch sexton_batch;

// Open engine. Opaque; made by sexton_open() and freed by sexton_engine_free(). Any number of threads may call
// functions on it at the same time. sexton_engine_free() must be the last call.
typedef struct sexton_engine sexton_engine;

// Error of a failed call: a status and a message. Opaque; the caller owns it and frees it with sexton_error_free().
typedef struct sexton_error sexton_error;

// Options for opening an engine. Opaque; made by sexton_options_new(), set by name, read by sexton_open(), and freed
// by sexton_options_free(). One thread at a time may use them.
typedef struct sexton_options sexton_options;

// Results of a call that registers or changes, one for each registration or change, in their order. Opaque; freed with
// sexton_results_free(). It owns its memory and may outlive the engine.
typedef struct sexton_results sexton_results;

// Text with its length, UTF-8, not NUL-terminated: JSON, a receipt or a trust policy. Opaque; freed with
// sexton_text_free().
typedef struct sexton_text sexton_text;

// Contents of an authentic receipt. Opaque; freed with sexton_verdict_free(). An authentic receipt may show a broken
// promise: look at sexton_verdict_compliance(), and show the sentences of sexton_does_not_prove() with the result.
typedef struct sexton_verdict sexton_verdict;

// Borrowed bytes. {NULL, 0} is empty; NULL with another length is SEXTON_INVALID.
typedef struct sexton_bytes {
  // First byte.
  const uint8_t *data;
  // Number of bytes.
  size_t len;
} sexton_bytes;

// Registration id. Keep it to ask for a receipt. Its text form has 40 hexadecimal digits.
typedef struct sexton_id {
  // Bytes of the id.
  uint8_t bytes[SEXTON_ID_BYTES];
} sexton_id;

// Receives a log line: UTF-8 without a line end, borrowed for the call. Several threads may call it at the same time,
// also while they hold locks of the engine. It must return soon, and may call no sexton function (SEXTON_BUSY).
typedef void (*sexton_log_fn)(void *user, int32_t level, struct sexton_bytes line);

// Deletes the objects of a sub-batch. It answers with sexton_answer_objects(), inside the callback or later from any
// thread, and returns 0. After any other return value the unanswered objects count as failed. `batch` is borrowed for
// the call.
//
// It may call every function except sexton_run(), sexton_close() and sexton_engine_free(). Up to handler_threads
// threads of the engine call it at the same time, and so does every thread in sexton_run(). The threads of the engine
// have stacks of 2 MiB. The engine holds no lock during the call.
typedef int32_t (*sexton_delete_fn)(void *user,
                                    struct sexton_engine *engine,
                                    const struct sexton_batch *batch);

// Returns the time in ms. Several threads may call it at the same time. It may call no sexton function (SEXTON_BUSY).
typedef int64_t (*sexton_clock_fn)(void *user);

// Object to be registered. Begin with SEXTON_REGISTRATION_INIT, then set key and class_name.
typedef struct sexton_registration {
  // Key by which the host knows the object: 1 to 2,048 bytes. Required. A class with find = "key" has at most one
  // live registration per key.
  struct sexton_bytes key;
  // Name of the object's class, UTF-8. Required.
  struct sexton_bytes class_name;
  // Version by which the store recognises this very object: at most 1,024 bytes. Default: empty. With a version,
  // registering the object again is a safe retry; without one it replaces the previous registration.
  struct sexton_bytes version;
  // Digest of the content: at most 64 bytes. Default: empty. It goes into the evidence.
  struct sexton_bytes digest;
  // Person or account that the data is about: at most 255 bytes. Default: empty. It stays in the index and is in no
  // evidence.
  struct sexton_bytes subject;
  // True if start_ms is set. Default: false. The start is then not known yet, and the rule of the class applies.
  bool has_start;
  // True if size_bytes is set. Default: false, which means the size is not known.
  bool has_size;
  // Instant from which the promise counts: Unix ms, from 1990 to ten years ahead. 0 if has_start is false.
  int64_t start_ms;
  // Size of the object in bytes. 0 if has_size is false.
  uint64_t size_bytes;
} sexton_registration;

// Change to a registered object. Begin with SEXTON_OBJECT_CHANGE_INIT, then set kind, and key or id.
typedef struct sexton_object_change {
  // SEXTON_START, SEXTON_RESCHEDULE, SEXTON_RELEASE, SEXTON_CONTENT or SEXTON_RENAME. Required.
  int32_t kind;
  // Key of the object, if its class has find = "key" or "version": 1 to 2,048 bytes. If empty, `id` names the object.
  struct sexton_bytes key;
  // With `key`: version of the object, which tells it from other live versions of the key. Default: empty. The change
  // is then refused if several live.
  struct sexton_bytes of_version;
  // Id of the registration, if `key` is empty. An id from before a move names the same object.
  struct sexton_id id;
  // For SEXTON_RESCHEDULE: name of the new class. Default: empty, which keeps the class.
  struct sexton_bytes class_name;
  // True if start_ms is set. SEXTON_START requires it. For SEXTON_RESCHEDULE and SEXTON_CONTENT the default, false,
  // keeps the start.
  bool has_start;
  // New start: Unix ms, from 1990 to ten years ahead. 0 if has_start is false. For SEXTON_CONTENT a start that is not
  // later than the present one changes nothing.
  int64_t start_ms;
  // For SEXTON_CONTENT: version by which the store recognises the object from now on, at most 1,024 bytes. Default:
  // empty.
  struct sexton_bytes version;
  // For SEXTON_CONTENT: true if size_bytes is set. Default: false, which means the size is not known.
  bool has_size;
  // For SEXTON_CONTENT: size of the object in bytes. 0 if has_size is false.
  uint64_t size_bytes;
  // For SEXTON_RENAME: key under which the object is stored from now on, 1 to 2,048 bytes.
  struct sexton_bytes new_key;
} sexton_object_change;

// Result of one registration.
typedef struct sexton_registered {
  // SEXTON_OK. sexton_delete_again() alone also gives SEXTON_NOT_FOUND, if the key is live or its end is not
  // remembered. All other fields are then 0.
  int32_t status;
  // Effect on the previous live registration of the key: SEXTON_PREVIOUS_*.
  int32_t previous;
  // Id of the registration.
  struct sexton_id id;
  // Id of the previous registration for SEXTON_PREVIOUS_REPLACED and SEXTON_PREVIOUS_TOO_LATE. Otherwise 0.
  struct sexton_id previous_id;
  // Ticket that opens the commitment, for classes with openings = "ticket". Otherwise empty. The engine keeps no
  // copy. It lives as long as the results.
  struct sexton_bytes ticket;
} sexton_registered;

// Result of one change.
typedef struct sexton_changed {
  // SEXTON_OK if the change was applied. Otherwise SEXTON_INVALID, SEXTON_NOT_FOUND, SEXTON_HELD, SEXTON_TOO_LATE or
  // SEXTON_BUSY; the other changes of the call are not affected.
  int32_t status;
  // Id of the registration from now on. Earlier ids still name the object.
  struct sexton_id id;
  // True if a floor was promised.
  bool has_floor;
  // True if a ceiling was promised.
  bool has_ceiling;
  // Floor, Unix ms. 0 if has_floor is false.
  int64_t floor_ms;
  // Ceiling, Unix ms. 0 if has_ceiling is false.
  int64_t ceiling_ms;
  // New ticket, for classes with openings = "ticket". Otherwise empty. It replaces the ticket of the registration,
  // and lives as long as the results.
  struct sexton_bytes ticket;
  // Reason why the change was not applied, UTF-8. Empty if it was. It lives as long as the results.
  struct sexton_bytes message;
} sexton_changed;

// Identifies one hand-out of a sub-batch.
typedef struct sexton_batch_id {
  // Number of the batch. It is unchanged if the batch is handed out again after a crash.
  uint64_t batch;
  // Fencing epoch. Every opening of the engine increases it. A store that serves several hosts refuses an epoch that
  // is smaller than the largest it has seen.
  uint64_t epoch;
  // Number of the sub-batch within the batch, from 0.
  uint32_t index;
  // Number of times that the batch has been handed out, from 1. After a crash it is at least 2.
  uint32_t attempt;
} sexton_batch_id;

// Object to be deleted.
typedef struct sexton_object {
  // Id of the registration.
  struct sexton_id id;
  // Key under which the object is stored.
  struct sexton_bytes key;
  // Key under which the object was registered, for its receipt. It differs from key after SEXTON_RENAME.
  struct sexton_bytes first_key;
  // Version by which the store recognises the object, or empty. If the key has another version, leave that object
  // alone and answer SEXTON_ANSWER_CHANGED.
  struct sexton_bytes version;
  // Digest as registered, or empty.
  struct sexton_bytes digest;
  // True if the size was registered.
  bool has_size;
  // True if a floor was promised.
  bool has_floor;
  // True if a ceiling was promised.
  bool has_ceiling;
  // Size in bytes. 0 if has_size is false.
  uint64_t size_bytes;
  // Floor, Unix ms. 0 if has_floor is false.
  int64_t floor_ms;
  // Ceiling, Unix ms. 0 if has_ceiling is false.
  int64_t ceiling_ms;
} sexton_object;

// Answer for one object of a sub-batch. Begin with SEXTON_ANSWER_INIT, then set object and answer.
typedef struct sexton_answer {
  // Index of the object in sexton_batch_objects(), from 0.
  uint32_t object;
  // SEXTON_ANSWER_*. Required. It is a statement of fact that goes into the evidence.
  int32_t answer;
  // For SEXTON_ANSWER_ANONYMISED: digest of the rewritten content, at most 64 bytes. For SEXTON_ANSWER_REFUSED and
  // SEXTON_ANSWER_FAILED: reason, which sexton_status shows. It may name keys. Default: empty.
  struct sexton_bytes detail;
} sexton_answer;

// Set of objects. Begin with SEXTON_SELECTOR_INIT, then set all fields.
typedef struct sexton_selector {
  // SEXTON_SELECT_*. Required.
  int32_t kind;
  // Values to match: keys of 1 to 268,435,456 bytes together, or one prefix, subject or class name. NULL for SEXTON_SELECT_EVERYTHING.
  const struct sexton_bytes *values;
  // Number of values.
  size_t len;
} sexton_selector;

// Legal hold to be placed. Begin with SEXTON_HOLD_INIT, then set all fields.
typedef struct sexton_hold {
  // Name by which the hold is lifted: 1 to 1,000 bytes of UTF-8, not the name of a standing hold. Required.
  struct sexton_bytes name;
  // Objects that the hold covers, including those registered later.
  struct sexton_selector selector;
  // SEXTON_HOLD_TEMPORARY or SEXTON_HOLD_EVENT. Required.
  int32_t kind;
  // Reason: 1 to 1,000 bytes of UTF-8. Required.
  struct sexton_bytes reason;
  // Person who places the hold: 1 to 1,000 bytes of UTF-8. Required.
  struct sexton_bytes author;
  // Date by which an operator reviews whether the hold is still needed: Unix ms, in the future. Required. The hold
  // stands until it is lifted, also after this date.
  int64_t review_ms;
} sexton_hold;

// Erasure to be recorded. Begin with SEXTON_ERASURE_INIT, then set selector, reason and author.
typedef struct sexton_erasure {
  // Objects to erase: SEXTON_SELECT_SUBJECT or SEXTON_SELECT_KEYS. Required.
  struct sexton_selector selector;
  // True if received_ms is set. Default: false, which means that the request was received now.
  bool has_received;
  // Instant at which the request was received: Unix ms, not in the future. 0 if has_received is false.
  int64_t received_ms;
  // Time within which the request is to be answered, counted in UTC from received_ms, like "30d" or "15wd". Default:
  // empty, which means that no time was promised.
  struct sexton_bytes within;
  // Text of a holiday file, for a `within` in working days. A line is a date that is not a working day, like
  // 2026-12-25, or a weekend date that is a working day, like +2026-12-26. Default: empty, which means that only
  // weekends are free.
  struct sexton_bytes holidays;
  // Time during which the erasure can be cancelled: ms from received_ms on, at most 366 days. No object is erased
  // before. Default: 0.
  int64_t cancellable_ms;
  // Reason: 1 to 1,000 bytes of UTF-8. Required.
  struct sexton_bytes reason;
  // Person who records the erasure: 1 to 1,000 bytes of UTF-8. Required.
  struct sexton_bytes author;
} sexton_erasure;

// Counts of a class over all its versions. Counts of ended objects are never reset.
typedef struct sexton_counters {
  // Objects registered since the engine was created.
  uint64_t registered;
  // Total size of those whose size was known, in bytes.
  uint64_t registered_bytes;
  // Registrations that have not ended. A replaced registration counts until its slot.
  uint64_t live;
  // Live registrations that a legal hold keeps past their due slot.
  uint64_t held;
  // Live registrations whose slot has begun.
  uint64_t due;
  // Live registrations whose ceiling has passed.
  uint64_t overdue;
  // Objects that the store deleted.
  uint64_t deleted;
  // Total size of those whose size was known, in bytes.
  uint64_t deleted_bytes;
  // Objects that were absent when the store was asked to delete them.
  uint64_t absent;
  // Objects that were absent after an earlier hand-out without an answer, which may have deleted them.
  uint64_t absent_after_intent;
  // Registrations that a newer registration of the key replaced.
  uint64_t replaced;
  // Objects that the host deleted itself.
  uint64_t released;
  // Objects that the store rewrote so that they concern no person.
  uint64_t anonymised;
  // Objects that the store was asked to delete, and of which it did not say if it had them.
  uint64_t requested;
  // Ended objects that ended before their floor.
  uint64_t early;
  // Ended objects that ended after their ceiling, without a legal hold as the cause.
  uint64_t late;
  // Ended objects that ended after their ceiling because a legal hold kept them.
  uint64_t late_after_hold;
  // True if a live registration is past its ceiling.
  bool has_oldest_overdue;
  // True if the class was closed down.
  bool closed;
  // Earliest ceiling among the overdue registrations, Unix ms. 0 if has_oldest_overdue is false.
  int64_t oldest_overdue_ms;
} sexton_counters;

// Object of the plan, with the action that is planned for it.
typedef struct sexton_planned_object {
  // Id of the registration.
  struct sexton_id id;
  // Name of the class.
  struct sexton_bytes class_name;
  // Key of the object.
  struct sexton_bytes key;
  // "delete", "anonymise", "end-replaced", "end-released", "hold", "wait-for-floor" or "stopped".
  struct sexton_bytes action;
  // For "hold" the name of the hold. For "stopped" the cause of the alarm. Otherwise the reason why the object ends.
  struct sexton_bytes why;
  // Instant of the action, Unix ms. It is in the past if the action is due.
  int64_t at_ms;
  // True if a floor was promised.
  bool has_floor;
  // True if a ceiling was promised.
  bool has_ceiling;
  // Floor, Unix ms. 0 if has_floor is false.
  int64_t floor_ms;
  // Ceiling, Unix ms. 0 if has_ceiling is false.
  int64_t ceiling_ms;
} sexton_planned_object;

// Receives one line of the plan, borrowed for the call. Any return value but 0 ends the plan. It may call every
// function except sexton_run(), sexton_close() and sexton_engine_free().
typedef int32_t (*sexton_plan_fn)(void *user, const struct sexton_planned_object *planned);

// Request to the API, as it came over HTTP. Begin with SEXTON_API_REQUEST_INIT, then set method and target.
typedef struct sexton_api_request {
  // Method, like "GET". Required.
  struct sexton_bytes method;
  // Path and query as they came, like "/v1/plan?until_ms=0". Required.
  struct sexton_bytes target;
  // Value of the header Content-Type. Default: empty, which means that there is none.
  struct sexton_bytes content_type;
  // Value of the header Idempotency-Key. Default: empty, which means that there is none.
  struct sexton_bytes idempotency_key;
  // Body; if it is longer than SEXTON_API_BODY_BYTES_MAX, at least one byte more than that of it. Default: empty.
  struct sexton_bytes body;
  // True if uid is set. Default: false.
  bool has_uid;
  // User id of the peer as the kernel authenticated it (SO_PEERCRED). It is recorded with each decision.
  uint32_t uid;
} sexton_api_request;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the version of the loaded library, packed like SEXTON_VERSION_NUMBER.
uint32_t sexton_version_number(void);

// Returns the version of the loaded library, like "0.1.0". Static and NUL-terminated.
const char *sexton_version(void);

// Returns the name of a status, like "SEXTON_BUSY", or "unknown". Static and NUL-terminated. Never NULL.
const char *sexton_status_name(int32_t status);

// Returns the status of an error, or SEXTON_OK for NULL.
int32_t sexton_error_status(const struct sexton_error *error);

// Returns the message of an error: one line of UTF-8 that says what failed, the value and its bound, and what to do.
// It lives as long as the error. Empty for NULL.
struct sexton_bytes sexton_error_message(const struct sexton_error *error);

// Frees an error. NULL is allowed.
void sexton_error_free(struct sexton_error *error);

// Returns the bytes of a text. They live as long as the text. Empty for NULL.
struct sexton_bytes sexton_text_bytes(const struct sexton_text *text);

// Frees a text. NULL is allowed.
void sexton_text_free(struct sexton_text *text);

// Reads a registration id from its 40 hexadecimal digits.
//
// Errors: SEXTON_INVALID if the text is not one.
int32_t sexton_id_parse(struct sexton_bytes text,
                        struct sexton_id *out,
                        struct sexton_error **error);

// Writes a registration id as 40 hexadecimal digits.
int32_t sexton_id_format(const struct sexton_id *id,
                         struct sexton_text **out,
                         struct sexton_error **error);

// Returns the default options. Never NULL.
struct sexton_options *sexton_options_new(void);

// Frees options. NULL is allowed. Open engines do not need their options.
void sexton_options_free(struct sexton_options *options);

// Sets an option from text. docs/c-api.md lists the options with their bounds and defaults.
//
// Errors: SEXTON_INVALID if there is no such option or the value is out of bounds; the options are then unchanged.
int32_t sexton_options_set(struct sexton_options *options,
                           struct sexton_bytes name,
                           struct sexton_bytes value,
                           struct sexton_error **error);

// Sets an option that is a number.
//
// Errors: SEXTON_INVALID if there is no such number option or the value is out of bounds; the options are then
// unchanged.
int32_t sexton_options_set_uint(struct sexton_options *options,
                                struct sexton_bytes name,
                                uint64_t value,
                                struct sexton_error **error);

// Sets the log callback. NULL, the default, discards log lines. The library never writes to stdout or stderr.
int32_t sexton_options_set_log(struct sexton_options *options,
                               sexton_log_fn log,
                               void *user,
                               struct sexton_error **error);

// Sets the delete callback, which is called with each sub-batch. With NULL, the default, the host takes sub-batches
// with sexton_next_batch().
int32_t sexton_options_set_delete(struct sexton_options *options,
                                  sexton_delete_fn delete_fn,
                                  void *user,
                                  struct sexton_error **error);

// Sets clocks of the host, for tests and simulation. With NULL for both, the default, the engine reads the machine's
// clocks.
//
// wall_ms returns Unix ms and may step. monotonic_ms never goes back while an engine is open. Both count as
// synchronised. If the wall clock steps ahead of the monotonic clock, deleting pauses. A test that advances both
// therefore advances the monotonic clock first.
//
// Errors: SEXTON_INVALID if exactly one of them is NULL.
int32_t sexton_options_set_clock(struct sexton_options *options,
                                 sexton_clock_fn wall_ms,
                                 sexton_clock_fn monotonic_ms,
                                 void *user,
                                 struct sexton_error **error);

// Closes an engine: stops its threads, each at the end of its current step, and waits for running calls and callbacks.
// Closing again has no effect. The handle must still be freed.
//
// Answers already given are committed. If a batch has some answers, its other objects count as failed. A batch without
// answers is handed out again after the next opening. It is unknown whether uncompleted submissions are applied. Every
// later call returns SEXTON_CLOSED.
//
// Errors: SEXTON_BUSY inside a callback.
int32_t sexton_close(struct sexton_engine *engine,
                     struct sexton_error **error);

// Frees an engine, after closing it if it is open. NULL is allowed. Must not be called inside a callback. In a forked
// child it frees only the handle, and the parent's engine goes on.
void sexton_engine_free(struct sexton_engine *engine);

// Writes the engine's present time to *out, Unix ms. It goes back only if an operator accepts that (sexton_resume()), and
// does not follow a wall clock that steps ahead.
int32_t sexton_now_ms(const struct sexton_engine *engine,
                      int64_t *out,
                      struct sexton_error **error);

// Opens the engine in `folder`, and finishes what a crash interrupted. If the folder is missing or empty, a new engine
// is created there, for which the option "origin" is required. `options` may be NULL for the defaults.
//
// A folder whose log is not the published one opens in the state SEXTON_STATE_FORKED.
//
// Errors: SEXTON_BUSY if the folder is open already; SEXTON_INVALID if the options contradict the stored ones;
// SEXTON_CORRUPT if the files contradict each other; SEXTON_CLOSED in a child of a process that had opened an engine;
// SEXTON_IO; SEXTON_FULL.
int32_t sexton_open(struct sexton_bytes folder,
                    const struct sexton_options *options,
                    struct sexton_engine **out,
                    struct sexton_error **error);

// Registers all objects, or none if one is invalid. At most 100,000 in a call. Waits for an fsync, which concurrent
// calls share. *out gets one result per registration. `flags` is 0 or a combination of SEXTON_BUFFERED and
// SEXTON_ONLY_MISSING.
//
// After SEXTON_OK the registrations survive a power failure; with SEXTON_BUFFERED, the end of the process. After
// SEXTON_INVALID none was made. After another status it is unknown which were made. Registering the same objects again
// is then safe if their class has find = "key" and they have versions.
//
// Errors: SEXTON_INVALID with the registration, the value and the bound; SEXTON_HELD if a hold on the object's class
// or subject, or a waiting erasure of its subject, forbids another one; SEXTON_FULL; SEXTON_IO; SEXTON_POISONED; SEXTON_FORKED.
int32_t sexton_register(struct sexton_engine *engine,
                        const struct sexton_registration *registrations,
                        size_t len,
                        uint32_t flags,
                        struct sexton_results **out,
                        struct sexton_error **error);

// Applies changes to registered objects, each independently of the others. At most 100,000 in a call. Waits for an
// fsync. *out gets one result with a status per change. A change that was already applied succeeds again. `flags` is 0
// or SEXTON_BUFFERED.
//
// After SEXTON_OK the applied changes survive a power failure; with SEXTON_BUFFERED, the end of the process. After
// SEXTON_INVALID none was applied. After another status it is unknown which were applied.
//
// Errors: SEXTON_INVALID if a change is malformed; SEXTON_FULL; SEXTON_IO; SEXTON_POISONED; SEXTON_FORKED.
int32_t sexton_change(struct sexton_engine *engine,
                      const struct sexton_object_change *changes,
                      size_t len,
                      uint32_t flags,
                      struct sexton_results **out,
                      struct sexton_error **error);

// Registers objects that came back from a backup after their end, so that they are deleted again at once. Each gets
// the class and start with which it ended. Those in the registration are ignored. A key that is live, or whose end is
// not remembered, has the status SEXTON_NOT_FOUND in *out. At most 100,000 in a call. `flags` is 0 or SEXTON_BUFFERED.
//
// Durability and errors are those of sexton_register().
int32_t sexton_delete_again(struct sexton_engine *engine,
                            const struct sexton_registration *registrations,
                            size_t len,
                            uint32_t flags,
                            struct sexton_results **out,
                            struct sexton_error **error);

// Makes earlier calls with SEXTON_BUFFERED durable. After SEXTON_OK their effects survive a power failure; after
// another status it is unknown which do.
//
// Errors: SEXTON_POISONED; SEXTON_IO; SEXTON_FULL.
int32_t sexton_sync(struct sexton_engine *engine,
                    struct sexton_error **error);

// Copies and queues registrations, and returns without waiting. sexton_next_completion() gives their results under
// this token, in the order of submission. They are as durable as those of sexton_register(). Until then it is unknown
// whether they are made. `flags` is 0 or a combination of SEXTON_BUFFERED and SEXTON_ONLY_MISSING.
//
// Errors: SEXTON_BUSY if the option queue_objects is reached; SEXTON_INVALID if a registration is malformed or there
// are more than 100,000; the status with which the engine stopped. Other invalid values are reported by the
// completion.
int32_t sexton_submit_register(struct sexton_engine *engine,
                               uint64_t token,
                               const struct sexton_registration *registrations,
                               size_t len,
                               uint32_t flags,
                               struct sexton_error **error);

// Copies and queues changes, and returns without waiting. sexton_next_completion() gives their results under this
// token, in the order of submission. They are as durable as those of sexton_change(). Until then it is unknown whether
// they are applied. `flags` is 0 or SEXTON_BUFFERED.
//
// Errors: SEXTON_BUSY if the option queue_objects is reached; SEXTON_INVALID if a change is malformed or there are
// more than 100,000; the status with which the engine stopped.
int32_t sexton_submit_change(struct sexton_engine *engine,
                             uint64_t token,
                             const struct sexton_object_change *changes,
                             size_t len,
                             uint32_t flags,
                             struct sexton_error **error);

// Takes the next completed submission. *out is NULL if there is none. Never waits.
//
// Errors: the status with which the engine stopped, once all completions are taken.
int32_t sexton_next_completion(struct sexton_engine *engine,
                               struct sexton_results **out,
                               struct sexton_error **error);

// Writes a file descriptor for poll() to *out. It is readable exactly while a completion or a sub-batch can be taken,
// and once if the engine stopped. The engine owns it until it is closed: do not read from it, and do not close it.
int32_t sexton_event_fd(const struct sexton_engine *engine,
                        int *out,
                        struct sexton_error **error);

// Returns the results of registrations and writes their number to *len, which may be NULL. They live as long as the
// results. NULL and 0 if the call failed or was not one that registers.
const struct sexton_registered *sexton_results_registered(const struct sexton_results *results,
                                                          size_t *len);

// Returns the results of changes and writes their number to *len, which may be NULL. They live as long as the results.
// NULL and 0 if the call failed or was not one that changes.
const struct sexton_changed *sexton_results_changed(const struct sexton_results *results,
                                                    size_t *len);

// Returns the token of a completion. 0 for NULL and for results of sexton_register() and sexton_change().
uint64_t sexton_results_token(const struct sexton_results *results);

// Returns the status of a completed submission: what sexton_register() or sexton_change() would have returned.
// SEXTON_OK for NULL.
int32_t sexton_results_status(const struct sexton_results *results);

// Returns the reason why a completed submission failed, UTF-8. Empty if it succeeded. It lives as long as the results.
struct sexton_bytes sexton_results_message(const struct sexton_results *results);

// Frees results. NULL is allowed.
void sexton_results_free(struct sexton_results *results);

// Takes the next due sub-batch. *out is NULL if none is ready. Never waits. With threads it does no I/O; without them
// sub-batches become ready inside sexton_run().
//
// The host deletes the objects, and answers with sexton_answer_objects() within answer_timeout_ms from now. Objects
// without an answer count as failed and are handed out again. After a crash the same objects are handed out again, so
// deleting must be idempotent.
//
// Errors: the status with which the engine stopped, such as SEXTON_POISONED, SEXTON_FORKED, SEXTON_IO or
// SEXTON_CORRUPT.
int32_t sexton_next_batch(struct sexton_engine *engine,
                          struct sexton_batch **out,
                          struct sexton_error **error);

// Returns the id of a sub-batch, for sexton_answer_objects(). All 0 for NULL.
struct sexton_batch_id sexton_batch_get_id(const struct sexton_batch *batch);

// Returns the name of the class of all objects of a sub-batch. It lives as long as the batch. Empty for NULL.
struct sexton_bytes sexton_batch_class(const struct sexton_batch *batch);

// Returns the disposition of all objects of a sub-batch: SEXTON_DELETE or SEXTON_ANONYMISE. 0 for NULL.
int32_t sexton_batch_disposition(const struct sexton_batch *batch);

// Returns the objects of a sub-batch and writes their number, at least 1, to *len, which may be NULL. They live as
// long as the batch. NULL and 0 for NULL.
const struct sexton_object *sexton_batch_objects(const struct sexton_batch *batch,
                                                 size_t *len);

// Frees the memory of a sub-batch, before or after its objects are answered. NULL is allowed.
void sexton_batch_free(struct sexton_batch *batch);

// Gives answers for some or all objects of a sub-batch, in any order and from any thread. At most 1,000,000 answers in
// a call. Only the first answer for an object counts.
//
// *taken, which may be NULL, gets the number of answers that count. It is less than `len` if objects were answered
// before, and 0 if the sub-batch timed out or was handed out by an earlier opening.
//
// Never waits. Answers become durable when the engine's threads, or sexton_run(), commit the batch: once all its
// objects are answered or timed out. Until then a crash loses them, and the objects are handed out again.
//
// Errors: SEXTON_INVALID if an index, an answer or a detail is out of bounds; the status with which the engine
// stopped. After SEXTON_INVALID no answer of the call counts.
int32_t sexton_answer_objects(struct sexton_engine *engine,
                              const struct sexton_batch_id *id,
                              const struct sexton_answer *answers,
                              size_t len,
                              size_t *taken,
                              struct sexton_error **error);

// Works in this thread for about budget_ms: registers what was submitted, plans due batches, calls the delete
// callback, and commits answers. It looks at the clock after each step: up to 10,000 submitted objects, one delete
// callback, one batch planned or committed, or 1,024 rows scanned for requests. A step that has begun is finished, so a
// large sub_batch_objects or batch_objects exceeds a small budget. With threads = 0 this is the only place where the
// engine works; with threads it may be called too.
//
// *next_ms, which may be NULL, gets the time of the next call, as sexton_next_due_ms() defines it. It is 0 if the
// budget was used up.
//
// Errors: SEXTON_BUSY inside a callback; the status with which the engine stopped.
int32_t sexton_run(struct sexton_engine *engine,
                   uint32_t budget_ms,
                   int64_t *next_ms,
                   struct sexton_error **error);

// Writes to *out the time at which sexton_run() will have work: Unix ms on the clock of sexton_now_ms(). That clock
// may stand still while the wall clock is behind, so wait for the difference between the two.
//
// The time is 0 or in the past if there is work now. It is SEXTON_NEVER_MS if there is none. Any later call that
// submits, answers, registers, changes or decides may bring the time forward. For a sub-batch that is handed out, its
// time-out counts. While an alarm stops a class, the time is at most a second ahead.
int32_t sexton_next_due_ms(const struct sexton_engine *engine,
                           int64_t *out,
                           struct sexton_error **error);

// Defines the classes of a class file (TOML). A class whose definition differs from the stored one gets a new version.
// Live objects keep their version; sexton_apply_class() moves them. After SEXTON_OK the classes survive a power
// failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown which are defined.
//
// Errors: SEXTON_INVALID if the text is not a valid class file, and then none is defined; SEXTON_POISONED;
// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_define_classes(struct sexton_engine *engine,
                              struct sexton_bytes toml,
                              struct sexton_error **error);

// Writes the newest version of each class to *json, as an array.
int32_t sexton_classes(const struct sexton_engine *engine,
                       struct sexton_text **json,
                       struct sexton_error **error);

// Places a legal hold. Objects that it covers, including those registered later, are not deleted until it is lifted.
// Writes the hold to *json, with the covered registrations that are already in a batch in "too_late". After SEXTON_OK
// the hold survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it stands.
//
// Errors: SEXTON_INVALID if a field is missing or out of bounds, the name is taken, or the class is unknown;
// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_place_hold(struct sexton_engine *engine,
                          const struct sexton_hold *hold,
                          struct sexton_text **json,
                          struct sexton_error **error);

// Writes the number of live objects that the selector covers now to *live. Other calls go on meanwhile and may change
// it. The key index answers for keys, and the schedule for a class and for everything. A prefix and a subject take
// reading every row, and so do keys in classes with find = "none". Call it after placing a hold or recording an
// erasure, which stands already then: 0 may mean that it names the wrong objects.
//
// Errors: SEXTON_INVALID if the selector could match nothing; SEXTON_IO; SEXTON_CORRUPT.
int32_t sexton_count_live(const struct sexton_engine *engine,
                          const struct sexton_selector *covered,
                          uint64_t *live,
                          struct sexton_error **error);

// Lifts the standing hold of this name. Objects that fell due before are deleted grace_ms later, or in time for a ceiling
// that is still to come; other objects on time. grace_ms is at most 3,660 days. `reason` and `author` have 1 to 1,000 bytes. Writes the hold to *json.
// After SEXTON_OK the lift survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown
// whether the hold stands.
//
// Errors: SEXTON_NOT_FOUND if no hold of this name stands; SEXTON_BUSY while the wall clock is ahead or behind;
// SEXTON_INVALID; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_lift_hold(struct sexton_engine *engine,
                         struct sexton_bytes name,
                         struct sexton_bytes reason,
                         struct sexton_bytes author,
                         int64_t grace_ms,
                         struct sexton_text **json,
                         struct sexton_error **error);

// Writes all legal holds, including lifted ones, to *json, as an array.
int32_t sexton_holds(const struct sexton_engine *engine,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Records an erasure, and writes the request with its "number" to *json. It becomes final cancellable_ms after its
// receipt, and covers the objects registered by then. Each is deleted as soon as its floor has passed and no hold
// covers it. After SEXTON_OK the request survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it
// is unknown whether it is recorded.
//
// Errors: SEXTON_NOT_FOUND if no live object has the subject, which takes reading every row; SEXTON_INVALID;
// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_erase(struct sexton_engine *engine,
                     const struct sexton_erasure *erasure,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Cancels an erasure that is not final, and writes the request to *json. Cancelling again succeeds. After SEXTON_OK
// the cancellation survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether the
// erasure is cancelled.
//
// Errors: SEXTON_NOT_FOUND if there is no erasure of this number; SEXTON_TOO_LATE if it is final; SEXTON_POISONED;
// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_cancel_erasure(struct sexton_engine *engine,
                              uint32_t number,
                              struct sexton_text **json,
                              struct sexton_error **error);

// Writes all requests (erasures, closings, applied classes, lifted holds) with their progress to *json, as an array.
int32_t sexton_requests(const struct sexton_engine *engine,
                        struct sexton_text **json,
                        struct sexton_error **error);

// Writes the objects found so far for an erasure to *json, as an array. Each has its progress: pending with its time,
// or ended with the method.
//
// Errors: SEXTON_NOT_FOUND if there is no erasure of this number.
int32_t sexton_erasure_objects(const struct sexton_engine *engine,
                               uint32_t number,
                               struct sexton_text **json,
                               struct sexton_error **error);

// Forgets a request that is finished or cancelled, with its subject and the list of its objects. After SEXTON_OK it
// stays forgotten after a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it is
// forgotten.
//
// Errors: SEXTON_NOT_FOUND if there is no request of this number; SEXTON_INVALID if it is still open; SEXTON_POISONED;
// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_forget_request(struct sexton_engine *engine,
                              uint32_t number,
                              struct sexton_error **error);

// Closes down a class (SEXTON_SELECT_CLASS) or all classes (SEXTON_SELECT_EVERYTHING), and writes the request to
// *json. A closed class takes no registrations. Its live objects are deleted with one slot's notice, once their floor
// has passed and no hold covers them. `reason` and `author` have 1 to 1,000 bytes. After SEXTON_OK the request
// survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it is recorded.
//
// Errors: SEXTON_INVALID for another selector or a bad text; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_close_down(struct sexton_engine *engine,
                          const struct sexton_selector *classes,
                          struct sexton_bytes reason,
                          struct sexton_bytes author,
                          struct sexton_text **json,
                          struct sexton_error **error);

// Applies the newest version of a class to objects registered under its earlier versions, and writes the request to
// *json. Without this call they keep the floor and ceiling that they were promised. `reason` and `author` have 1 to
// 1,000 bytes. After SEXTON_OK the request survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO
// it is unknown whether it is recorded.
//
// Errors: SEXTON_INVALID if the class is unknown, or differs from an earlier version in `find` or `openings`;
// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_apply_class(struct sexton_engine *engine,
                           struct sexton_bytes class_name,
                           struct sexton_bytes reason,
                           struct sexton_bytes author,
                           struct sexton_text **json,
                           struct sexton_error **error);

// Ends an alarm whose cause an operator has examined, and writes the alarm to *json. `alarm` is its "id" in
// sexton_status(). For a clock alarm the present wall clock is accepted. For a breaker alarm the objects at short
// notice are accepted. `reason` and `author` have 1 to 1,000 bytes. After SEXTON_OK the end of the alarm survives a
// power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether the alarm stands.
//
// Errors: SEXTON_NOT_FOUND if no such alarm stands; SEXTON_BUSY if time would go back while batches are out;
// SEXTON_INVALID, also if the clock to be accepted shows a year before 1970 or after 9998; SEXTON_POISONED;
// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO. After SEXTON_BUSY the alarm stands and time is as before.
int32_t sexton_resume(struct sexton_engine *engine,
                      struct sexton_bytes alarm,
                      struct sexton_bytes reason,
                      struct sexton_bytes author,
                      struct sexton_text **json,
                      struct sexton_error **error);

// Writes the state of the engine to *out: SEXTON_STATE_*. Cheap: it reads no disk. Alarms of a single class are only
// in sexton_status().
int32_t sexton_state(const struct sexton_engine *engine,
                     int32_t *out,
                     struct sexton_error **error);

// Writes the status of the engine to *json, as `sexton status --json` shows it. "needs" has a message for each
// condition that needs an operator. It visits every page of the index.
int32_t sexton_status(const struct sexton_engine *engine,
                      struct sexton_text **json,
                      struct sexton_error **error);

// Writes the counts of a class to *out. It visits every page of the index.
//
// Errors: SEXTON_NOT_FOUND if there is no class of this name.
int32_t sexton_class_counters(const struct sexton_engine *engine,
                              struct sexton_bytes class_name,
                              struct sexton_counters *out,
                              struct sexton_error **error);

// Calls `visit` with each object that is due by until_ms, or by now if that is later, and with its planned action. It
// decides by the rules of deleting, and changes nothing. It cannot foresee the answers of the store, nor a breaker
// that has not tripped.
int32_t sexton_plan(const struct sexton_engine *engine,
                    int64_t until_ms,
                    sexton_plan_fn visit,
                    void *user,
                    struct sexton_error **error);

// Writes up to `max` deletions of classes with feed = true to *json, as an array in the order of their "number". At
// most 10,000 are written, even if `max` is larger. The first entry is the one after number `after`; begin with 0, and
// continue with the last number read.
int32_t sexton_feed(const struct sexton_engine *engine,
                    uint64_t after,
                    size_t max,
                    struct sexton_text **json,
                    struct sexton_error **error);

// Acknowledges the feed: the engine forgets its entries up to and including number `through`. After SEXTON_OK they
// stay forgotten after a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether they are
// forgotten.
//
// Errors: SEXTON_INVALID if the feed has no entry `through` yet; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL;
// SEXTON_IO.
int32_t sexton_acknowledge_feed(struct sexton_engine *engine,
                                uint64_t through,
                                struct sexton_error **error);

// Writes the known history of a key to *json, for an object that comes back from a backup. "state" is "live", "ended"
// or "unknown". Ended objects are remembered for as long as their class says (`remember`).
int32_t sexton_ended(const struct sexton_engine *engine,
                     struct sexton_bytes key,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Checks all stored data for consistency, and writes the findings to *json: "sound" is true if there are no
// "problems". It reads everything, and deleting waits meanwhile.
int32_t sexton_check(const struct sexton_engine *engine,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Frees the disk space of ended objects, and removes their rows from the files of the index, the write-ahead log (WAL)
// included. After SEXTON_OK no file has a row of a page that had settled before the call.
//
// It may be called at any time, and other calls go on. It takes a fraction of the time that the deletions took. The
// interval between calls bounds how long residue lasts: call it once an hour, for example.
//
// Errors: SEXTON_BUSY if a scan or a compaction still needs an older file, and then call it again; SEXTON_POISONED;
// SEXTON_FULL; SEXTON_IO.
int32_t sexton_reclaim(struct sexton_engine *engine,
                       struct sexton_error **error);

// Publishes the log now. The engine publishes by itself; this call is for retrying after a failure, or for publishing
// without waiting for batches in flight.
//
// Errors: SEXTON_FORKED; SEXTON_POISONED; SEXTON_FULL; SEXTON_IO.
int32_t sexton_publish(struct sexton_engine *engine,
                       struct sexton_error **error);

// Writes the id of the live registration of a key to *out, for classes with find = "key" or "version". `version` is
// empty, or the version of the registration. sexton_api() lists all live versions of a key.
//
// Errors: SEXTON_NOT_FOUND if there is none; SEXTON_INVALID if `version` is empty and several versions of the key live.
int32_t sexton_find(const struct sexton_engine *engine,
                    struct sexton_bytes key,
                    struct sexton_bytes version,
                    struct sexton_id *out,
                    struct sexton_error **error);

// Runs the operation of the API that a request names, as docs/api.md says. Writes the HTTP status of the response to
// *http_status and its body to *body. The body is the JSON of the answer if the status is 200, and otherwise a problem
// document (application/problem+json). A response of 429 or 503 has the header Retry-After: 1.
//
// SEXTON_OK means that there is a response, also if it is a problem. A reader of the feed gets its response at once,
// whatever time it would wait. A request with an idempotency key is refused, since no responses are kept. Operations on
// sources are refused: only `sexton serve` has sources.
//
// All operations are those of an operator. The host decides who may connect to its socket.
int32_t sexton_api(struct sexton_engine *engine,
                   const struct sexton_api_request *request,
                   uint32_t *http_status,
                   struct sexton_text **body,
                   struct sexton_error **error);

// Notes in the data folder that this process answers the API at the Unix socket `path`, which is absolute. `sexton`
// commands on the folder then use the socket. The host listens there first. An empty path withdraws the note.
//
// The note stays when the engine is closed. So a command does not open the folder of a host by accident, unless it has
// --offline. After SEXTON_OK the note survives a power failure.
//
// Errors: SEXTON_INVALID if the path is not absolute or contains a NUL; SEXTON_FULL; SEXTON_IO.
int32_t sexton_set_control_socket(struct sexton_engine *engine,
                                  struct sexton_bytes path,
                                  struct sexton_error **error);

// Writes the receipt of an ended registration to *out: the text of a C2SP tlog-proof file, for sexton_verify() and
// `sexton verify`. `opener` is SEXTON_OPENER_*, and `with` is the key or the ticket. If the log entry is not published
// yet, it is published first.
//
// Errors: SEXTON_NOT_FOUND if there is no such registration, it has not ended, or its opening is gone; SEXTON_INVALID
// if `with` does not open it; SEXTON_FORKED, SEXTON_POISONED, SEXTON_FULL or SEXTON_IO if its log entry cannot be
// published.
int32_t sexton_receipt(const struct sexton_engine *engine,
                       const struct sexton_id *id,
                       int32_t opener,
                       struct sexton_bytes with,
                       struct sexton_text **out,
                       struct sexton_error **error);

// Writes a trust policy to *out: a C2SP tlog-policy that trusts this log and requires no witnesses.
int32_t sexton_policy(const struct sexton_engine *engine,
                      struct sexton_text **out,
                      struct sexton_error **error);

// Verifies a receipt under a trust policy, offline and without an engine. `now_ms` is the caller's own time, Unix ms.
// If the policy requires witnesses, cosignatures dated more than 300 seconds after `now_ms` do not count, and neither do
// those dated more than 300 seconds before the deletion.
//
// Errors: SEXTON_NOT_VERIFIED if the receipt is not authentic or not witnessed, with the failed check in the message;
// SEXTON_INVALID if the policy is malformed.
int32_t sexton_verify(struct sexton_bytes receipt,
                      struct sexton_bytes policy,
                      int64_t now_ms,
                      struct sexton_verdict **out,
                      struct sexton_error **error);

// Returns the compliance with the promise: SEXTON_COMPLIANCE_*. 0 for NULL.
int32_t sexton_verdict_compliance(const struct sexton_verdict *verdict);

// Returns the time by which the end was early or late, in ms. 0 if it was neither, and for NULL.
uint64_t sexton_verdict_by_ms(const struct sexton_verdict *verdict);

// Returns the instant from which the promise counts, Unix ms. 0 for NULL.
int64_t sexton_verdict_start_ms(const struct sexton_verdict *verdict);

// Returns true and writes the floor to *ms, Unix ms, if one was promised. Otherwise, and for NULL, returns false and
// leaves *ms alone. `ms` may be NULL.
bool sexton_verdict_floor_ms(const struct sexton_verdict *verdict,
                             int64_t *ms);

// Returns true and writes the ceiling to *ms, Unix ms, if one was promised. Otherwise, and for NULL, returns false and
// leaves *ms alone. `ms` may be NULL.
bool sexton_verdict_ceiling_ms(const struct sexton_verdict *verdict,
                               int64_t *ms);

// Returns the instant at which the end was known, Unix ms. 0 for NULL.
int64_t sexton_verdict_time_ms(const struct sexton_verdict *verdict);

// Returns the origin line of the log. It lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_origin(const struct sexton_verdict *verdict);

// Returns the name of the class. It lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_class(const struct sexton_verdict *verdict);

// Returns the key of the object. It lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_key(const struct sexton_verdict *verdict);

// Returns the method by which the registration ended: "deleted", "absent", "absent-after-intent", "anonymised",
// "replaced", "released" or "requested". Static. Empty for NULL.
struct sexton_bytes sexton_verdict_method(const struct sexton_verdict *verdict);

// Returns the id of the registration that ended. If the object moved, it differs from the id for which the receipt was
// made. All 0 for NULL.
struct sexton_id sexton_verdict_id(const struct sexton_verdict *verdict);

// Returns sentence `i`, from 0, of what a valid receipt does not prove, and NULL after the last. Static and
// NUL-terminated. Show all of them with every result.
const char *sexton_does_not_prove(size_t i);

// Frees a verdict. NULL is allowed.
void sexton_verdict_free(struct sexton_verdict *verdict);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SEXTON_H */
