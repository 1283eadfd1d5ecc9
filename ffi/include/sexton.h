// libsexton: deletes stored objects inside the window that was promised for them, and proves it.
//
// The contract that all functions share is in docs/c-api.md. In short:
//  * A function that can fail gives an int32_t status, SEXTON_OK or another SEXTON_* number, and takes a sexton_error ** as
//    its last argument: NULL, or a place for an error, written only where the call fails, to be freed by the caller.
//  * Places for answers are written only on SEXTON_OK.
//  * Bytes and arrays are a pointer with a length, never NUL-terminated, and borrowed for the call; what is given out lives as
//    long as the object it was asked of.
//  * Only a function whose name ends in _free takes an object from the caller; freeing NULL is fine.
//  * An engine may be used by many threads at once, every other object by one at a time.
//  * Texts are UTF-8, instants Unix milliseconds (UTC).
//
// Generated from the Rust source by `make header`; do not edit.

#ifndef SEXTON_H
#define SEXTON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An object about which nothing is said yet.
#define SEXTON_REGISTRATION_INIT \
  { {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, SEXTON_UNKNOWN_MS, SEXTON_SIZE_UNKNOWN }

// First part of the version of this header.
#define SEXTON_VERSION_MAJOR 0

// Second part of the version of this header.
#define SEXTON_VERSION_MINOR 1

// Third part of the version of this header.
#define SEXTON_VERSION_PATCH 0

// The version of this header: major * 1,000,000 + minor * 1,000 + patch. Compare it with sexton_version_number().
#define SEXTON_VERSION_NUMBER 1000

// It was done.
#define SEXTON_OK 0

// The input is outside its stated bounds. Nothing of the call was applied; correct it and call again.
#define SEXTON_INVALID 1

// What was named does not exist.
#define SEXTON_NOT_FOUND 2

// A legal hold stands in the way.
#define SEXTON_HELD 3

// The object is on its way to deletion already, or gone; or the request is final.
#define SEXTON_TOO_LATE 4

// A stated limit is reached, the folder is open elsewhere, or this cannot be done inside a callback. Try again later.
#define SEXTON_BUSY 5

// The disk is full, or its reserve for deleting is reached.
#define SEXTON_FULL 6

// The operating system refused; the message names the file.
#define SEXTON_IO 7

// Stored data contradict themselves. Do not go on: keep the folder as it is, run the full check, see Backups in docs/operations.md.
#define SEXTON_CORRUPT 8

// The log here is not the one that was last published: nothing is signed and nothing deleted. (Not about fork().)
#define SEXTON_FORKED 9

// An earlier write or fsync failed, so what is on disk is unknown. Close the engine and open it again.
#define SEXTON_POISONED 10

// The engine was closed, or was opened by the process that this one was forked from.
#define SEXTON_CLOSED 11

// A defect in Sexton. The handle is of no more use: free it and open the engine again.
#define SEXTON_INTERNAL 12

// The receipt is not authentic under this policy.
#define SEXTON_NOT_VERIFIED 13

// A start that is not known yet, or a floor that is not there.
#define SEXTON_UNKNOWN_MS INT64_MIN

// A ceiling that is not there; an instant that does not come.
#define SEXTON_NO_CEILING_MS INT64_MAX

// A size that is not known.
#define SEXTON_SIZE_UNKNOWN UINT64_MAX

// Bytes of a registration id.
#define SEXTON_ID_BYTES 20

// Level of a log line: something does not work, and a person is needed.
#define SEXTON_LOG_ERROR 1

// Level of a log line: something went wrong, and will be tried again.
#define SEXTON_LOG_WARN 2

// Level of a log line: what happens; nothing so far.
#define SEXTON_LOG_INFO 3

// Level of a log line: for whoever looks for a defect.
#define SEXTON_LOG_DEBUG 4

// Flag: do not wait for the fsync. What was answered so survives the end of the process, and the loss of power only after
// sexton_sync() or a later call without this flag.
#define SEXTON_BUFFERED 1

// Flag of registering: leave keys alone that have a live registration (SEXTON_EARLIER_STANDS).
#define SEXTON_ONLY_MISSING 2

// Kind of a change: the start, not known so far, is start_ms.
#define SEXTON_START 1

// Kind of a change: the object falls under other terms.
#define SEXTON_RESCHEDULE 2

// Kind of a change: the host has deleted the object itself.
#define SEXTON_RELEASE 3

// There was no earlier live registration of the key, or its class does not find by key.
#define SEXTON_EARLIER_NONE 0

// The earlier registration is replaced: its object is not deleted on its time any more.
#define SEXTON_EARLIER_REPLACED 1

// The earlier one is on its way to deletion already, so its object may still go on the earlier time.
#define SEXTON_EARLIER_TOO_LATE 2

// It is this very object, so nothing was registered again: a safe retry.
#define SEXTON_EARLIER_SAME 3

// It stands, and only what was missing was to be registered.
#define SEXTON_EARLIER_STANDS 4

// The object registered was there, is gone now, and a power failure will not bring it back.
#define SEXTON_ANSWER_DELETED 1

// The object registered was there and was rewritten so that it concerns nobody any more. For SEXTON_ANONYMISE only.
#define SEXTON_ANSWER_ANONYMISED 2

// Nothing is there under this key, and a power failure will not bring anything back.
#define SEXTON_ANSWER_ABSENT 3

// Something is there, but not the object registered. It was left as it is.
#define SEXTON_ANSWER_CHANGED 4

// The store knows the object and declines, for example because it holds it itself.
#define SEXTON_ANSWER_REFUSED 5

// It could not be done, or not be made durable. It will be asked for again.
#define SEXTON_ANSWER_FAILED 6

// What is to be done with the objects of a sub-batch: they are deleted.
#define SEXTON_DELETE 1

// What is to be done with the objects of a sub-batch: they are rewritten so that they concern nobody any more.
#define SEXTON_ANONYMISE 2

// Of a selector: these keys.
#define SEXTON_SELECT_KEYS 1

// Of a selector: every key that begins so.
#define SEXTON_SELECT_PREFIX 2

// Of a selector: everything of this subject.
#define SEXTON_SELECT_SUBJECT 3

// Of a selector: everything in this class.
#define SEXTON_SELECT_CLASS 4

// Of a selector: everything.
#define SEXTON_SELECT_EVERYTHING 5

// A hold that lets the clock run: lifted, the object goes as soon as it may.
#define SEXTON_HOLD_TEMPORARY 1

// A hold that restarts the clock: what it covers when it is lifted counts from that instant on.
#define SEXTON_HOLD_EVENT 2

// The engine does its work.
#define SEXTON_STATE_RUNNING 1

// Nothing is deleted until the clock is right or a person resumes.
#define SEXTON_STATE_PAUSED 2

// The log here is not the one that was published: nothing is signed, registered or deleted.
#define SEXTON_STATE_FORKED 3

// A write failed: nothing more is written until the engine is reopened.
#define SEXTON_STATE_POISONED 4

// A receipt is opened by the object's key (openings = "operator").
#define SEXTON_OPENER_KEY 1

// A receipt is opened by the ticket that registering gave (openings = "ticket").
#define SEXTON_OPENER_TICKET 2

// Deleted or anonymised, not before the floor and not after the ceiling.
#define SEXTON_OUTCOME_KEPT 1

// Deleted before the floor.
#define SEXTON_OUTCOME_EARLY 2

// Deleted after the ceiling.
#define SEXTON_OUTCOME_LATE 3

// Deleted after the ceiling, once a legal hold was lifted that had kept it, as the operator recorded.
#define SEXTON_OUTCOME_AFTER_HOLD 4

// The registration ended, but not by a deletion of the engine's.
#define SEXTON_OUTCOME_NOT_A_DELETION 5

// Objects of one class that are to be deleted together. Opaque. It owns its memory: it may be used after the engine is
// closed, by one thread at a time; freed with sexton_batch_free().
typedef struct sexton_batch sexton_batch;

// An open engine. Opaque; made by sexton_open(), freed by sexton_engine_free(). Every function may be called on it from
// many threads at once, but for sexton_engine_free(), which must be the last.
typedef struct sexton_engine sexton_engine;

// An error: its status and one clear sentence. Opaque; belongs to the caller, and is freed with sexton_error_free().
typedef struct sexton_error sexton_error;

// How to open an engine. Opaque; made with sexton_options_new(), set by name, read by sexton_open(), freed with
// sexton_options_free(). Not for two threads at once.
typedef struct sexton_options sexton_options;

// The answers to a call that registers or changes, an answer for each of its items, in their order. Opaque; freed with
// sexton_results_free().
typedef struct sexton_results sexton_results;

// A text with its length: JSON, a receipt, a policy. UTF-8, not NUL-terminated. Opaque; freed with sexton_text_free().
typedef struct sexton_text sexton_text;

// What an authentic receipt says. Opaque; freed with sexton_verdict_free(). Authentic is not yet kept: look at
// sexton_verdict_outcome(), and tell people what sexton_does_not_prove() says.
typedef struct sexton_verdict sexton_verdict;

// Bytes that somebody else owns. {NULL, 0} is empty.
typedef struct sexton_bytes {
  // Where they are.
  const uint8_t *data;
  // How many.
  size_t len;
} sexton_bytes;

// A registration id. Keep it to ask for a receipt. Its text form is 40 hexadecimal digits.
typedef struct sexton_id {
  // Its bytes.
  uint8_t bytes[SEXTON_ID_BYTES];
} sexton_id;

// Is given a log line: UTF-8, without a line end, borrowed for the call. Called from several threads at once, also while
// the engine works at something: it must return soon, and every sexton function refuses to be called from it
// (SEXTON_BUSY).
typedef void (*sexton_log_fn)(void *user, int32_t level, struct sexton_bytes line);

// Is called with each sub-batch. Gives 0 where it has answered with sexton_complete(), or will, later and from any thread;
// anything else: what it has not answered counts as failed at once. `batch` is borrowed for the call. It may call every
// function but sexton_run(), sexton_close() and sexton_engine_free(). Called without any lock held, from up to
// callback_threads threads at once, with stacks of 2 MiB, and from whoever is in sexton_run().
typedef int32_t (*sexton_delete_fn)(void *user,
                                    struct sexton_engine *engine,
                                    const struct sexton_batch *batch);

// Tells the time, in ms. Called from several threads at once; every sexton function refuses to be called from it
// (SEXTON_BUSY).
typedef int64_t (*sexton_clock_fn)(void *user);

// An object to be registered. Begin with SEXTON_REGISTRATION_INIT.
typedef struct sexton_registration {
  // What the host knows the object by: 1 to 1024 bytes. One live registration per key, where its class finds by key.
  struct sexton_bytes key;
  // The class it falls under.
  struct sexton_bytes class_name;
  // What the store recognises this very object by: at most 64 bytes. With a version, registering the same again is a
  // safe retry; without one it replaces.
  struct sexton_bytes version;
  // A digest of the content: at most 64 bytes.
  struct sexton_bytes digest;
  // Whose data it is: at most 255 bytes. Stays in the index, goes into no evidence.
  struct sexton_bytes subject;
  // The instant the promise counts from, Unix ms, or SEXTON_UNKNOWN_MS: then the class's rule applies.
  int64_t start_ms;
  // Size of the object, or SEXTON_SIZE_UNKNOWN.
  uint64_t size_bytes;
} sexton_registration;

// What the host says of a registered object.
typedef struct sexton_change {
  // SEXTON_START: its start, unknown so far, is start_ms. SEXTON_RESCHEDULE: it falls under other terms.
  // SEXTON_RELEASE: the host has deleted it itself.
  int32_t kind;
  // Its key, where its class finds by key; where this is empty, `id` says which object is meant.
  struct sexton_bytes key;
  // Its registration id, an earlier one of a registration that moved too.
  struct sexton_id id;
  // For SEXTON_RESCHEDULE: the class; empty: as before.
  struct sexton_bytes class_name;
  // Unix ms; for SEXTON_RESCHEDULE SEXTON_UNKNOWN_MS is: as before.
  int64_t start_ms;
} sexton_change;

// The answer to one registration.
typedef struct sexton_registered {
  // SEXTON_OK. Only sexton_delete_again() also has SEXTON_NOT_FOUND here, where nothing is known of the key or its
  // object lives; the rest is then 0.
  int32_t status;
  // What happened to an earlier live registration of the key: SEXTON_EARLIER_*.
  int32_t earlier;
  // The registration id.
  struct sexton_id id;
  // The earlier registration, where it is replaced or it was too late for that; else 0.
  struct sexton_id earlier_id;
  // Of classes with openings = "ticket": what opens the commitment, kept by nobody else. Lives as long as the results.
  struct sexton_bytes ticket;
} sexton_registered;

// The answer to one change.
typedef struct sexton_changed {
  // SEXTON_OK; or SEXTON_INVALID, SEXTON_NOT_FOUND, SEXTON_HELD, SEXTON_TOO_LATE, SEXTON_BUSY: then this one was not
  // applied, whatever became of the others.
  int32_t status;
  // Its registration id from here on; the earlier ones lead to it.
  struct sexton_id id;
  // Its floor, SEXTON_UNKNOWN_MS where there is none.
  int64_t floor_ms;
  // Its ceiling, SEXTON_NO_CEILING_MS where there is none.
  int64_t ceiling_ms;
  // Of classes with openings = "ticket": the ticket that takes the place of the earlier one. Lives as long as the results.
  struct sexton_bytes ticket;
  // Where it was not applied: why, UTF-8. Lives as long as the results.
  struct sexton_bytes message;
} sexton_changed;

// Names one handing over of a sub-batch.
typedef struct sexton_batch_id {
  // The batch: the same number when its objects come again after a crash.
  uint64_t batch;
  // The fencing epoch: grows with every opening of the engine. A store that serves several refuses a smaller one than
  // it has seen.
  uint64_t epoch;
  // Which part of the batch, from 0.
  uint32_t part;
  // How often the batch has been handed over, this time included; after a crash at least 2.
  uint32_t attempt;
} sexton_batch_id;

// An object that is to be deleted.
typedef struct sexton_object {
  // Its registration.
  struct sexton_id id;
  // What it is stored under.
  struct sexton_bytes key;
  // What the store recognises it by. Another object found under the key is left alone: SEXTON_ANSWER_CHANGED.
  struct sexton_bytes version;
  // Its digest, as registered.
  struct sexton_bytes digest;
  // Its size, as registered, or SEXTON_SIZE_UNKNOWN.
  uint64_t size_bytes;
  // Its floor, SEXTON_UNKNOWN_MS where there is none.
  int64_t floor_ms;
  // Its ceiling, SEXTON_NO_CEILING_MS where there is none.
  int64_t ceiling_ms;
} sexton_object;

// What became of one object.
typedef struct sexton_answer {
  // Its place in sexton_batch_objects().
  uint32_t object;
  // SEXTON_ANSWER_*. A statement of fact: it goes into the evidence.
  int32_t answer;
  // For SEXTON_ANSWER_ANONYMISED the digest of what is there now, at most 64 bytes; for SEXTON_ANSWER_REFUSED and
  // SEXTON_ANSWER_FAILED the reason, for the log. Otherwise empty.
  struct sexton_bytes detail;
} sexton_answer;

// Which objects are meant.
typedef struct sexton_selector {
  // SEXTON_SELECT_*.
  int32_t kind;
  // The keys (1 to 10,000), or the one prefix, subject or class; none for SEXTON_SELECT_EVERYTHING.
  const struct sexton_bytes *items;
  // How many.
  size_t len;
} sexton_selector;

// A legal hold to be placed.
typedef struct sexton_hold {
  // By which it is lifted: 1 to 1,000 bytes, not that of a hold that stands.
  struct sexton_bytes name;
  // What it covers, now and later.
  struct sexton_selector selector;
  // SEXTON_HOLD_TEMPORARY lets the clock run; SEXTON_HOLD_EVENT restarts it when the hold is lifted.
  int32_t kind;
  // Why.
  struct sexton_bytes reason;
  // Who places it.
  struct sexton_bytes author;
  // When somebody is to look whether it is still needed, Unix ms. It does not end then by itself.
  int64_t review_ms;
} sexton_hold;

// An erasure that somebody asks for.
typedef struct sexton_erasure {
  // Whose or which objects: SEXTON_SELECT_SUBJECT or SEXTON_SELECT_KEYS.
  struct sexton_selector selector;
  // When it was received, Unix ms, not in the future; SEXTON_UNKNOWN_MS: now.
  int64_t received_ms;
  // Within what time it is to be answered, like "30d" or "15wd", in UTC; empty where nothing was promised.
  struct sexton_bytes within;
  // The text of a holiday file, where `within` is in working days: on each line a date like 2026-12-25 on which nobody
  // works, or +2026-12-26, at a weekend, on which people do. Empty: weekends alone.
  struct sexton_bytes holidays;
  // How long it can be cancelled, ms from received_ms on; nothing is erased before. 0: at once.
  int64_t cancellable_ms;
  // Why.
  struct sexton_bytes reason;
  // Who records it.
  struct sexton_bytes author;
} sexton_erasure;

// Counts of a class, all its versions together. They hold nothing else, and outlive the objects.
typedef struct sexton_counters {
  // Objects ever registered.
  uint64_t registered;
  // Bytes of those whose size was known.
  uint64_t registered_bytes;
  // Registrations that have not ended; one that a newer one replaced counts until its slot.
  uint64_t live;
  // Of those, the ones that legal holds keep though their time has come.
  uint64_t held;
  // Of those, the ones whose slot has begun.
  uint64_t due;
  // Of those, the ones whose ceiling has passed.
  uint64_t overdue;
  // Ended: deleted by the store.
  uint64_t deleted;
  // Bytes of those whose size was known.
  uint64_t deleted_bytes;
  // Ended: not there when they were to be deleted.
  uint64_t absent;
  // Ended: not there, after an attempt of ours of which nobody heard; that attempt may well have deleted them.
  uint64_t absent_after_intent;
  // Ended: replaced by a newer registration of the key.
  uint64_t replaced;
  // Ended: deleted by the host itself.
  uint64_t released;
  // Ended: rewritten so that they concern nobody any more.
  uint64_t anonymised;
  // Of all that ended: before their floor.
  uint64_t early;
  // Of all that ended: after their ceiling, and no legal hold had kept them.
  uint64_t late;
  // Of all that ended: after their ceiling, because a legal hold had kept them.
  uint64_t late_after_hold;
  // The earliest ceiling among the overdue, Unix ms; SEXTON_UNKNOWN_MS where nothing is overdue.
  int64_t oldest_overdue_ms;
  // Whether it was closed down.
  bool closed;
} sexton_counters;

// What will be done with an object, as far as is known now.
typedef struct sexton_forecast {
  // The registration as it is now.
  struct sexton_id id;
  // Name of the class.
  struct sexton_bytes class_name;
  // Key of the object.
  struct sexton_bytes key;
  // "delete", "anonymise", "end-replaced", "end-released", "hold", "wait-for-floor" or "stopped".
  struct sexton_bytes action;
  // For "hold" the hold's name, for "stopped" what raised the alarm; otherwise why it ends, as a word.
  struct sexton_bytes why;
  // When its time comes, Unix ms; in the past where it has come.
  int64_t at_ms;
  // Its floor, SEXTON_UNKNOWN_MS where there is none.
  int64_t floor_ms;
  // Its ceiling, SEXTON_NO_CEILING_MS where there is none.
  int64_t ceiling_ms;
} sexton_forecast;

// Is shown one line of the plan, borrowed for the call; anything but 0 ends it. It may call every function but
// sexton_run(), sexton_close() and sexton_engine_free().
typedef int32_t (*sexton_forecast_fn)(void *user, const struct sexton_forecast *forecast);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that is loaded, packed like SEXTON_VERSION_NUMBER.
uint32_t sexton_version_number(void);

// The version of the library that is loaded, like "0.1.0". Static and NUL-terminated.
const char *sexton_version(void);

// The name of a status, like "SEXTON_BUSY", or "unknown". Static and NUL-terminated; never NULL.
const char *sexton_status_name(int32_t status);

// The status of an error; SEXTON_OK for NULL.
int32_t sexton_error_status(const struct sexton_error *error);

// The sentence of an error, UTF-8, one line: what failed, the value and the bound, what to do. Lives as long as the error.
// Empty for NULL.
struct sexton_bytes sexton_error_message(const struct sexton_error *error);

// Frees an error. NULL is fine.
void sexton_error_free(struct sexton_error *error);

// The bytes of a text; they live as long as it. Empty for NULL.
struct sexton_bytes sexton_text_bytes(const struct sexton_text *text);

// Frees a text. NULL is fine.
void sexton_text_free(struct sexton_text *text);

// Reads a registration id from its 40 hexadecimal digits.
//
// SEXTON_INVALID where the text is not one.
int32_t sexton_id_parse(struct sexton_bytes text,
                        struct sexton_id *out,
                        struct sexton_error **error);

// Writes a registration id as its 40 hexadecimal digits.
int32_t sexton_id_format(const struct sexton_id *id,
                         struct sexton_text **out,
                         struct sexton_error **error);

// The default options. Never NULL.
struct sexton_options *sexton_options_new(void);

// Frees options. NULL is fine. Engines that were opened with them do not need them any more.
void sexton_options_free(struct sexton_options *options);

// Sets an option by its name; docs/c-api.md has the list with defaults.
//
// SEXTON_INVALID where there is no such option or the value is not one; the options are then as before.
int32_t sexton_options_set(struct sexton_options *options,
                           struct sexton_bytes name,
                           struct sexton_bytes value,
                           struct sexton_error **error);

// Sets an option that is a number by its name.
//
// SEXTON_INVALID where there is no such option or the value is beyond its bound; the options are then as before.
int32_t sexton_options_set_uint(struct sexton_options *options,
                                struct sexton_bytes name,
                                uint64_t value,
                                struct sexton_error **error);

// Sets where log lines go; NULL: nowhere, which is the default. Nothing is ever written to stdout or stderr.
int32_t sexton_options_set_log(struct sexton_options *options,
                               sexton_log_fn log,
                               void *user,
                               struct sexton_error **error);

// Sets what is called with each sub-batch; NULL: the host takes them itself with sexton_next_batch(), which is the default.
int32_t sexton_options_set_delete(struct sexton_options *options,
                                  sexton_delete_fn delete_fn,
                                  void *user,
                                  struct sexton_error **error);

// Sets the host's own clocks, for tests and simulation; both NULL: the machine's, which is the default.
//
// wall_ms gives Unix ms and may jump; monotonic_ms never goes back while an engine is open. What they say is believed: a wall
// that steps away from the monotonic clock pauses deleting, so whoever winds both advances monotonic_ms first.
//
// SEXTON_INVALID where only one of them is NULL.
int32_t sexton_options_set_clock(struct sexton_options *options,
                                 sexton_clock_fn wall_ms,
                                 sexton_clock_fn monotonic_ms,
                                 void *user,
                                 struct sexton_error **error);

// Opens the engine in `folder`, making a new one where the folder is missing or empty, and finishes what a crash
// interrupted. `options` may be NULL: the defaults, which open a folder that exists.
//
// SEXTON_BUSY where another process has the folder open; SEXTON_INVALID where the options do not fit what is stored;
// SEXTON_CLOSED in a child of a process that had opened an engine before it forked; SEXTON_CORRUPT where the files
// contradict themselves; SEXTON_IO, SEXTON_FULL. A folder whose log is not the published one opens, in the state
// SEXTON_STATE_FORKED.
int32_t sexton_open(struct sexton_bytes folder,
                    const struct sexton_options *options,
                    struct sexton_engine **out,
                    struct sexton_error **error);

// Closes the engine: stops its threads, each after what it is working at, and waits for calls and callbacks that are under
// way. What was answered is committed: what is not answered in a batch of which something is counts as failed, and a batch
// of which nothing is comes again after the next opening. What was submitted and not completed may or may not be applied. From then on every call gives SEXTON_CLOSED; closing again is fine. The handle is still to be
// freed.
//
// SEXTON_BUSY from inside a callback.
int32_t sexton_close(struct sexton_engine *engine,
                     struct sexton_error **error);

// Closes the engine, where it is still open, and frees the handle. NULL is fine; not from inside a callback. In a forked
// child it only lets go of the handle: the parent's engine is not touched.
void sexton_engine_free(struct sexton_engine *engine);

// Now, by the engine's clock, Unix ms: never earlier than it was before.
int32_t sexton_now_ms(const struct sexton_engine *engine,
                      int64_t *out,
                      struct sexton_error **error);

// Registers all items or, where one of them is invalid, none; blocks for the fsync, which it shares with everybody who
// waits. At most 100,000 items.
//
// After SEXTON_OK they survive the loss of power (with SEXTON_BUFFERED the end of the process). After SEXTON_INVALID nothing
// was applied. After another status it is unknown which were, and registering the same again is safe where the class finds
// by key and versions are given.
//
// SEXTON_INVALID with the item, the value and the bound; SEXTON_HELD, SEXTON_FULL, SEXTON_IO, SEXTON_POISONED,
// SEXTON_FORKED.
int32_t sexton_register(struct sexton_engine *engine,
                        const struct sexton_registration *items,
                        size_t len,
                        uint32_t flags,
                        struct sexton_results **out,
                        struct sexton_error **error);

// Applies each change or says why not; one fsync for all. A change that is asked for again is answered as done.
//
// After SEXTON_OK what was applied survives the loss of power (with SEXTON_BUFFERED the end of the process); each item has
// a status of its own. SEXTON_INVALID where an item cannot be read: then none was applied.
int32_t sexton_change_all(struct sexton_engine *engine,
                          const struct sexton_change *items,
                          size_t len,
                          uint32_t flags,
                          struct sexton_results **out,
                          struct sexton_error **error);

// Registers objects that came back from a backup after their end, so that they are deleted again at once: in the class and
// with the start that they had. An item of which nothing is known, or that lives, has the status SEXTON_NOT_FOUND.
int32_t sexton_delete_again(struct sexton_engine *engine,
                            const struct sexton_registration *items,
                            size_t len,
                            uint32_t flags,
                            struct sexton_results **out,
                            struct sexton_error **error);

// Makes durable what was answered with SEXTON_BUFFERED so far: after SEXTON_OK it survives the loss of power.
int32_t sexton_sync(struct sexton_engine *engine,
                    struct sexton_error **error);

// Copies the items, queues them, and returns at once. The answers come as the completion with this token, as durable as
// sexton_register() would have made them; before that nothing is known to have happened. Completions come in the order of
// submitting.
//
// SEXTON_BUSY where more than queue_objects are queued, or completed and not taken; SEXTON_INVALID where an item cannot be
// read or there are too many (what else is invalid the completion says).
int32_t sexton_submit_register(struct sexton_engine *engine,
                               uint64_t token,
                               const struct sexton_registration *items,
                               size_t len,
                               uint32_t flags,
                               struct sexton_error **error);

// The same for changes: sexton_change_all() without waiting.
int32_t sexton_submit_change(struct sexton_engine *engine,
                             uint64_t token,
                             const struct sexton_change *items,
                             size_t len,
                             uint32_t flags,
                             struct sexton_error **error);

// Takes the next completion; *out is NULL where none is there yet. Never waits.
//
// What stopped the engine, where it stopped and every completion was taken.
int32_t sexton_next_completion(struct sexton_engine *engine,
                               struct sexton_results **out,
                               struct sexton_error **error);

// A file descriptor for poll(): readable exactly while a completion or a sub-batch can be taken, and once where the engine
// stopped. It belongs to the engine and goes with it: do not read from it, do not close it.
int32_t sexton_event_fd(const struct sexton_engine *engine,
                        int *out,
                        struct sexton_error **error);

// The answers to registrations, *len of them (len may be NULL). They live as long as the results. NULL and 0 where the call
// was not one that registers, or failed.
const struct sexton_registered *sexton_results_registered(const struct sexton_results *results,
                                                          size_t *len);

// The answers to changes, *len of them (len may be NULL). They live as long as the results. NULL and 0 where the call was not
// one that changes, or failed.
const struct sexton_changed *sexton_results_changed(const struct sexton_results *results,
                                                    size_t *len);

// The token of a completion; 0 for NULL and for calls that waited.
uint64_t sexton_results_token(const struct sexton_results *results);

// The status of a completed call as a whole: what the call that waits would have given. SEXTON_OK for NULL.
int32_t sexton_results_status(const struct sexton_results *results);

// Why a completed call failed, UTF-8; empty where it did not. Lives as long as the results.
struct sexton_bytes sexton_results_message(const struct sexton_results *results);

// Frees results. NULL is fine.
void sexton_results_free(struct sexton_results *results);

// Takes the next sub-batch that is due; *out is NULL where none is ready. Never waits. With threads it also does no I/O;
// without them what is due becomes ready in sexton_run().
//
// Its objects are to be deleted, and answered for by sexton_complete() within answer_timeout_ms from now; what is not
// counts as failed and comes again. After a crash the same objects come again: deleting must be idempotent.
//
// SEXTON_POISONED, SEXTON_FORKED, SEXTON_IO, SEXTON_CORRUPT, SEXTON_INTERNAL where the engine stopped.
int32_t sexton_next_batch(struct sexton_engine *engine,
                          struct sexton_batch **out,
                          struct sexton_error **error);

// What names a sub-batch, for sexton_complete(). All 0 for NULL.
struct sexton_batch_id sexton_batch_get_id(const struct sexton_batch *batch);

// The class that all objects of a sub-batch fall under. Lives as long as the batch. Empty for NULL.
struct sexton_bytes sexton_batch_class(const struct sexton_batch *batch);

// What is to be done with the objects of a sub-batch: SEXTON_DELETE or SEXTON_ANONYMISE. 0 for NULL.
int32_t sexton_batch_disposition(const struct sexton_batch *batch);

// The objects of a sub-batch, *len of them, at least 1. They live as long as the batch. NULL and 0 for NULL.
const struct sexton_object *sexton_batch_objects(const struct sexton_batch *batch,
                                                 size_t *len);

// Frees the memory of a sub-batch; its objects may be answered before or after. NULL is fine.
void sexton_batch_free(struct sexton_batch *batch);

// Answers for some or all objects of a sub-batch, in any order, in as many calls as it takes, from any thread. The first
// answer for an object counts; *taken, which may be NULL, is how many did: fewer than given where some were answered
// before, 0 where the sub-batch ran out of time or was handed out by an earlier opening. Never waits: what was answered is
// committed by the engine's threads, or in sexton_run(), once the whole batch is answered or out of time.
//
// SEXTON_INVALID where a place, an answer or a detail is beyond its bound: then none of them counts. What stopped the
// engine, where it stopped.
int32_t sexton_complete(struct sexton_engine *engine,
                        const struct sexton_batch_id *id,
                        const struct sexton_answer *answers,
                        size_t len,
                        size_t *taken,
                        struct sexton_error **error);

// Does what is to do, in this thread, for about budget_ms: registers what was submitted, plans what is due, calls the
// callback, commits what was answered. What has begun is finished, and how long callbacks take is the host's affair. With
// threads = 0 nothing happens but in here; with threads it may be called too.
//
// *next_ms, which may be NULL, is when it wants to be called again, as sexton_next_due_ms() says it; 0 where the budget was
// used up.
//
// SEXTON_BUSY inside a callback; what stopped the engine, where it stopped.
int32_t sexton_run(struct sexton_engine *engine,
                   uint32_t budget_ms,
                   int64_t *next_ms,
                   struct sexton_error **error);

// When sexton_run() will have something to do, Unix ms by sexton_now_ms(), which may stand still while the wall clock is
// behind: so wait for the difference. 0, or else in the past, where it has already; SEXTON_NO_CEILING_MS where there is nothing
// until something is submitted, answered, registered, changed or decided. What is handed out counts by when it runs out of
// time, what an alarm stops is asked for again every second.
int32_t sexton_next_due_ms(const struct sexton_engine *engine,
                           int64_t *out,
                           struct sexton_error **error);

// The live registration of a key, where its class finds by key.
//
// SEXTON_NOT_FOUND where there is none.
int32_t sexton_find(const struct sexton_engine *engine,
                    struct sexton_bytes key,
                    struct sexton_id *out,
                    struct sexton_error **error);

// Defines classes, or new versions of them, from the text of a class file (TOML). Objects registered before keep the version
// they fell under.
//
// SEXTON_INVALID where the text is no class file: then nothing was defined.
int32_t sexton_define_classes(struct sexton_engine *engine,
                              struct sexton_bytes toml,
                              struct sexton_error **error);

// The newest version of each class: an array.
int32_t sexton_classes(const struct sexton_engine *engine,
                       struct sexton_text **json,
                       struct sexton_error **error);

// Places a legal hold: what it covers, now and later, is not deleted until it is lifted. After SEXTON_OK it survives the loss
// of power. The hold is in *json; "too_late" lists the registrations that were on their way to deletion already.
//
// SEXTON_INVALID where the selector is empty, a text is missing, the name is taken or the class unknown.
int32_t sexton_place_hold(struct sexton_engine *engine,
                          const struct sexton_hold *hold,
                          struct sexton_text **json,
                          struct sexton_error **error);

// Lifts the hold of this name. What it kept past its ceiling goes when grace_ms have passed, what is still in its window goes
// in time. After SEXTON_OK that survives the loss of power.
//
// SEXTON_NOT_FOUND where no such hold stands.
int32_t sexton_lift_hold(struct sexton_engine *engine,
                         struct sexton_bytes name,
                         struct sexton_bytes reason,
                         struct sexton_bytes author,
                         int64_t grace_ms,
                         struct sexton_text **json,
                         struct sexton_error **error);

// All legal holds, lifted ones too: an array.
int32_t sexton_holds(const struct sexton_engine *engine,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Takes an erasure; the request with its "number" is in *json. When it can no longer be cancelled, each of its objects goes as
// soon as its floor allows and no hold covers it. It covers what is registered by then. After SEXTON_OK it survives the loss
// of power.
//
// SEXTON_NOT_FOUND where nothing that lives belongs to the subject, which takes reading every row; SEXTON_INVALID.
int32_t sexton_erase(struct sexton_engine *engine,
                     const struct sexton_erasure *erasure,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Cancels an erasure that may still be cancelled. Doing it again is fine.
//
// SEXTON_NOT_FOUND; SEXTON_TOO_LATE where it is final.
int32_t sexton_cancel_erasure(struct sexton_engine *engine,
                              uint32_t number,
                              struct sexton_text **json,
                              struct sexton_error **error);

// All requests (erasures, closing down, applied classes, lifted holds) and how far they have come: an array.
int32_t sexton_requests(const struct sexton_engine *engine,
                        struct sexton_text **json,
                        struct sexton_error **error);

// The objects of an erasure that were found so far, each with what it waits for or how it ended: an array.
//
// SEXTON_NOT_FOUND.
int32_t sexton_erasure_items(const struct sexton_engine *engine,
                             uint32_t number,
                             struct sexton_text **json,
                             struct sexton_error **error);

// Forgets a request that is over, and with it whose it was and which objects it concerned.
//
// SEXTON_NOT_FOUND; SEXTON_INVALID where it is still open.
int32_t sexton_forget_request(struct sexton_engine *engine,
                              uint32_t number,
                              struct sexton_error **error);

// Closes down a class (SEXTON_SELECT_CLASS) or everything: it takes no objects any more, and what lives in it goes with a
// slot's notice, at its floor, or when no hold covers it any more. The request is in *json.
//
// SEXTON_INVALID.
int32_t sexton_close_down(struct sexton_engine *engine,
                          const struct sexton_selector *what,
                          struct sexton_bytes reason,
                          struct sexton_bytes author,
                          struct sexton_text **json,
                          struct sexton_error **error);

// Applies the newest version of a class to the objects that were registered under earlier ones. The request is in *json.
//
// SEXTON_INVALID where the class is unknown, or finds or opens in another way than before.
int32_t sexton_apply_class(struct sexton_engine *engine,
                           struct sexton_bytes class_name,
                           struct sexton_bytes reason,
                           struct sexton_bytes author,
                           struct sexton_text **json,
                           struct sexton_error **error);

// Ends an alarm after somebody has looked; `alarm` is its "id" in sexton_status(). A clock is accepted as it stands now; what
// was a surprise counts as known.
//
// SEXTON_NOT_FOUND where no such alarm stands.
int32_t sexton_resume(struct sexton_engine *engine,
                      struct sexton_bytes alarm,
                      struct sexton_bytes reason,
                      struct sexton_bytes author,
                      struct sexton_text **json,
                      struct sexton_error **error);

// Whether the engine does its work: SEXTON_STATE_*. Cheap. What stops a single class is in sexton_status().
int32_t sexton_state(const struct sexton_engine *engine,
                     int32_t *out,
                     struct sexton_error **error);

// What the engine is doing and what needs a person, as `sexton status --json` shows it. Costs a look at every page.
int32_t sexton_status(const struct sexton_engine *engine,
                      struct sexton_text **json,
                      struct sexton_error **error);

// The counts of a class. Costs as much as sexton_status().
//
// SEXTON_NOT_FOUND where there is no such class.
int32_t sexton_class_counters(const struct sexton_engine *engine,
                              struct sexton_bytes class_name,
                              struct sexton_counters *out,
                              struct sexton_error **error);

// Shows every object whose time comes by until_ms (at least now), and what will be done with it. Decides as deleting does, and
// changes nothing.
int32_t sexton_plan(const struct sexton_engine *engine,
                    int64_t until_ms,
                    sexton_forecast_fn visit,
                    void *user,
                    struct sexton_error **error);

// Up to `max` (at most 10,000) deletions behind number `after`, of the classes with feed = true: an array, in their order.
// Remember the last "number", and go on behind it.
int32_t sexton_feed(const struct sexton_engine *engine,
                    uint64_t after,
                    size_t max,
                    struct sexton_text **json,
                    struct sexton_error **error);

// Forgets the feed up to number `through`. After SEXTON_OK that survives the loss of power.
//
// SEXTON_INVALID where there is no such entry yet.
int32_t sexton_acknowledge_feed(struct sexton_engine *engine,
                                uint64_t through,
                                struct sexton_error **error);

// What is known of a key that comes back from a backup: "state" is "live", "ended" or "unknown".
int32_t sexton_screen(const struct sexton_engine *engine,
                      struct sexton_bytes key,
                      struct sexton_text **json,
                      struct sexton_error **error);

// Checks everything that is stored against everything else, and tells in *json what it found ("sound", "problems"). Reads all
// of it; deleting waits meanwhile.
int32_t sexton_check(const struct sexton_engine *engine,
                     struct sexton_text **json,
                     struct sexton_error **error);

// Cleans up behind what has ended: gives its disk space back and clears its rows out of the index's files. After SEXTON_OK no
// row of a page that had settled before the call is in any of them, log of writes included. Safe at any time; blocks
// for a fraction of the time that deleting took. Call it as often as traces may last, once an hour for example.
// SEXTON_BUSY: a scan or another merge still needs an older file; call it again.
int32_t sexton_reclaim(struct sexton_engine *engine,
                       struct sexton_error **error);

// Publishes the log, where an earlier attempt failed or batches that are still out are not to be waited for.
int32_t sexton_publish(struct sexton_engine *engine,
                       struct sexton_error **error);

// The receipt for a registration that has ended: the text of a C2SP tlog-proof file, which sexton_verify() and `sexton verify`
// check. `with` is the object's key, or the ticket.
//
// SEXTON_NOT_FOUND where there is no such registration, it has not ended, or nothing opens it any more; SEXTON_INVALID where
// `with` does not open it; SEXTON_FORKED, SEXTON_POISONED, SEXTON_FULL or SEXTON_IO where its log
// entry cannot be published.
int32_t sexton_receipt(const struct sexton_engine *engine,
                       const struct sexton_id *id,
                       int32_t opener,
                       struct sexton_bytes with,
                       struct sexton_text **out,
                       struct sexton_error **error);

// A C2SP tlog-policy that trusts this log and asks for no witnesses.
int32_t sexton_policy(const struct sexton_engine *engine,
                      struct sexton_text **out,
                      struct sexton_error **error);

// Verifies a receipt under a policy: offline, without an engine.
//
// SEXTON_NOT_VERIFIED where the receipt is not authentic; the message names the failed check. SEXTON_INVALID where the policy
// is malformed.
int32_t sexton_verify(struct sexton_bytes receipt,
                      struct sexton_bytes policy,
                      struct sexton_verdict **out,
                      struct sexton_error **error);

// How the promise fared: SEXTON_OUTCOME_*. 0 for NULL.
int32_t sexton_verdict_outcome(const struct sexton_verdict *verdict);

// By how much it was early or late, ms; 0 where it was neither.
uint64_t sexton_verdict_by_ms(const struct sexton_verdict *verdict);

// The instant the promise counts from, Unix ms. 0 for NULL.
int64_t sexton_verdict_start_ms(const struct sexton_verdict *verdict);

// The floor, Unix ms; SEXTON_UNKNOWN_MS where none was promised. 0 for NULL.
int64_t sexton_verdict_floor_ms(const struct sexton_verdict *verdict);

// The ceiling, Unix ms; SEXTON_NO_CEILING_MS where none was promised. 0 for NULL.
int64_t sexton_verdict_ceiling_ms(const struct sexton_verdict *verdict);

// When the end was known, Unix ms. 0 for NULL.
int64_t sexton_verdict_time_ms(const struct sexton_verdict *verdict);

// The origin line of the log. Lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_origin(const struct sexton_verdict *verdict);

// The name of the class. Lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_class(const struct sexton_verdict *verdict);

// The key of the object. Lives as long as the verdict. Empty for NULL.
struct sexton_bytes sexton_verdict_key(const struct sexton_verdict *verdict);

// How the registration ended: "deleted", "absent", "absent-after-intent", "anonymised", "replaced" or "released". Static.
// Empty for NULL.
struct sexton_bytes sexton_verdict_method(const struct sexton_verdict *verdict);

// The registration that ended: the last one of the object, which may have moved since the id that was asked for. All 0 for
// NULL.
struct sexton_id sexton_verdict_id(const struct sexton_verdict *verdict);

// What a valid receipt does not prove, sentence by sentence from 0; NULL behind the last. Static and NUL-terminated. These
// belong beside every result that is shown.
const char *sexton_does_not_prove(size_t i);

// Frees a verdict. NULL is fine.
void sexton_verdict_free(struct sexton_verdict *verdict);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SEXTON_H */
