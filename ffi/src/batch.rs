//! Deletion: sub-batches as C gets them, and their answers. The host takes sub-batches itself, or its delete callback
//! gets them from a thread of the driver or inside sexton_run().

use crate::error::{plain, sexton_error};
use crate::failure::{CallResult, Failure, invalid};
use crate::handle::{Handle, sexton_engine, with_driver};
use crate::pointer::{self, Out, lend};
use crate::reentrancy;
use crate::status::SEXTON_BUSY;
use crate::time::{due_ms, split_instant, split_size};
use crate::types::{EMPTY, sexton_answer, sexton_batch_id, sexton_bytes, sexton_object};
use sexton::Driver;
use sexton::drive::{Handler, OwnedSubBatch, SubBatchId};
use sexton::store::{Answer, Disposition};
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

/// The registered object was there and is gone, and a power failure cannot bring it back.
pub const SEXTON_ANSWER_DELETED: i32 = 1;
/// The registered object was there and was rewritten so that it concerns no person. Only if the disposition is
/// SEXTON_ANONYMISE.
pub const SEXTON_ANSWER_ANONYMISED: i32 = 2;
/// The key has no object, and a power failure cannot bring one back.
pub const SEXTON_ANSWER_ABSENT: i32 = 3;
/// The key has another object than the registered one. It was left alone.
pub const SEXTON_ANSWER_CHANGED: i32 = 4;
/// The store declines to delete the object, for example because of a hold of its own.
pub const SEXTON_ANSWER_REFUSED: i32 = 5;
/// The object could not be deleted, or the deletion could not be made durable. The engine hands it out again.
pub const SEXTON_ANSWER_FAILED: i32 = 6;
/// The server behind the host was asked to delete the registered object and no other, and acknowledged the request. It
/// acknowledges an object that it did not have alike, so the receipt shows no deletion.
pub const SEXTON_ANSWER_REQUESTED: i32 = 7;

/// Disposition of a sub-batch: delete the objects.
pub const SEXTON_DELETE: i32 = 1;
/// Disposition of a sub-batch: rewrite the objects so that they concern no person.
pub const SEXTON_ANONYMISE: i32 = 2;

/// Sub-batch: objects of one class that are handed out together. Opaque; freed with sexton_batch_free(). It owns its
/// memory and may outlive the engine. One thread at a time may use it.
pub struct sexton_batch {
    owned: OwnedSubBatch,
    /// Their pointers lead into `owned`, whose bytes never move.
    objects: Vec<sexton_object>,
}

impl sexton_batch {
    fn new(owned: OwnedSubBatch) -> Self {
        let objects = owned.objects().map(|object| {
            let (has_size, size_bytes) = split_size(object.size);
            let (has_floor, floor_ms) = split_instant(object.floor);
            let (has_ceiling, ceiling_ms) = split_instant(object.ceiling);
            sexton_object {
                id: object.id.into(),
                key: lend(object.key),
                first_key: lend(object.first_key),
                version: lend(object.version),
                digest: lend(object.digest),
                has_size,
                has_floor,
                has_ceiling,
                size_bytes,
                floor_ms,
                ceiling_ms,
            }
        });
        let objects = objects.collect();
        sexton_batch { owned, objects }
    }
}

impl From<SubBatchId> for sexton_batch_id {
    fn from(id: SubBatchId) -> Self {
        let SubBatchId { batch, epoch, index, attempt } = id;
        sexton_batch_id { batch, epoch, index, attempt }
    }
}

impl From<sexton_batch_id> for SubBatchId {
    fn from(id: sexton_batch_id) -> Self {
        let sexton_batch_id { batch, epoch, index, attempt } = id;
        SubBatchId { batch, epoch, index, attempt }
    }
}

/// Deletes the objects of a sub-batch. It answers with sexton_answer_objects(), inside the callback or later from any
/// thread, and returns 0. After any other return value the unanswered objects count as failed. `batch` is borrowed for
/// the call.
///
/// It may call every function except sexton_run(), sexton_close() and sexton_engine_free(). Up to handler_threads
/// threads of the engine call it at the same time, and so does every thread in sexton_run(). The threads of the engine
/// have stacks of 2 MiB. The engine holds no lock during the call.
pub type sexton_delete_fn = Option<
    unsafe extern "C" fn(user: *mut c_void, engine: *mut sexton_engine, batch: *const sexton_batch) -> i32,
>;

/// The host's delete function.
#[derive(Clone, Copy)]
pub(crate) struct DeleteTarget {
    function: unsafe extern "C" fn(*mut c_void, *mut sexton_engine, *const sexton_batch) -> i32,
    user: *mut c_void,
}

// SAFETY: the contract requires a callback that any thread may call with this pointer.
unsafe impl Send for DeleteTarget {}
// SAFETY: as for Send.
unsafe impl Sync for DeleteTarget {}

impl DeleteTarget {
    pub(crate) fn new(function: sexton_delete_fn, user: *mut c_void) -> Option<Self> {
        function.map(|function| DeleteTarget { function, user })
    }

    /// Returns the handler by which the driver calls the function.
    pub(crate) fn handler(self, handle: Handle) -> Box<Handler> {
        Box::new(move |owned| {
            // Both are captured whole, since their pointers alone are not Send.
            let (target, handle) = (&self, &handle);
            let batch = sexton_batch::new(owned);
            let status = reentrancy::in_callback_of(handle.0.cast_const().cast(), || {
                // SAFETY: by the contract any thread may call the host's function with its pointer. The handle lives
                // until the driver's threads have ended, and the batch until the end of the call.
                unsafe { (target.function)(target.user, handle.0, &raw const batch) }
            });
            match status {
                0 => Ok(Vec::new()),
                status => Err(format!("the delete callback returned {status}")),
            }
        })
    }
}

/// Takes the next due sub-batch. *out is NULL if none is ready. Never waits. With threads it does no I/O; without them
/// sub-batches become ready inside sexton_run().
///
/// The host deletes the objects, and answers with sexton_answer_objects() within answer_timeout_ms from now. Objects
/// without an answer count as failed and are handed out again. After a crash the same objects are handed out again, so
/// deleting must be idempotent.
///
/// Errors: the status with which the engine stopped, such as SEXTON_POISONED, SEXTON_FORKED, SEXTON_IO or
/// SEXTON_CORRUPT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_next_batch(
    engine: *mut sexton_engine,
    out: *mut *mut sexton_batch,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let out = Out::new(out, "out")?;
        match driver.next_sub_batch()? {
            Some(owned) => out.give(sexton_batch::new(owned)),
            None => out.put(ptr::null_mut()),
        }
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Returns the id of a sub-batch, for sexton_answer_objects(). All 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_get_id(batch: *const sexton_batch) -> sexton_batch_id {
    let none = sexton_batch_id { batch: 0, epoch: 0, index: 0, attempt: 0 };
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain(none, || unsafe { pointer::maybe(batch) }.map_or(none, |batch| batch.owned.id().into()))
}

/// Returns the name of the class of all objects of a sub-batch. It lives as long as the batch. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_class(batch: *const sexton_batch) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or a batch that is not freed yet.
        unsafe { pointer::maybe(batch) }.map_or(EMPTY, |batch| lend(batch.owned.class().as_bytes()))
    })
}

/// Returns the disposition of all objects of a sub-batch: SEXTON_DELETE or SEXTON_ANONYMISE. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_disposition(batch: *const sexton_batch) -> i32 {
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain(0, || match unsafe { pointer::maybe(batch) }.map(|batch| batch.owned.disposition()) {
        None => 0,
        Some(Disposition::Delete) => SEXTON_DELETE,
        Some(Disposition::Anonymise) => SEXTON_ANONYMISE,
    })
}

/// Returns the objects of a sub-batch and writes their number, at least 1, to *len, which may be NULL. They live as
/// long as the batch. NULL and 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_objects(
    batch: *const sexton_batch,
    len: *mut usize,
) -> *const sexton_object {
    plain(ptr::null(), || {
        // SAFETY: by the contract NULL or a batch that is not freed yet.
        let objects = unsafe { pointer::maybe(batch) }.map(|batch| batch.objects.as_slice());
        // SAFETY: by the contract NULL or room for a length.
        unsafe { pointer::put_if_wanted(len, objects.map_or(0, <[_]>::len)) };
        objects.map_or(ptr::null(), <[_]>::as_ptr)
    })
}

/// Frees the memory of a sub-batch, before or after its objects are answered. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_free(batch: *mut sexton_batch) {
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain((), || drop(unsafe { pointer::take(batch) }));
}

/// Gives answers for some or all objects of a sub-batch, in any order and from any thread. At most 1,000,000 answers in
/// a call. Only the first answer for an object counts.
///
/// *taken, which may be NULL, gets the number of answers that count. It is less than `len` if objects were answered
/// before, and 0 if the sub-batch timed out or was handed out by an earlier opening.
///
/// Never waits. Answers become durable when the engine's threads, or sexton_run(), commit the batch: once all its
/// objects are answered or timed out. Until then a crash loses them, and the objects are handed out again.
///
/// Errors: SEXTON_INVALID if an index, an answer or a detail is out of bounds; the status with which the engine
/// stopped. After SEXTON_INVALID no answer of the call counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_answer_objects(
    engine: *mut sexton_engine,
    id: *const sexton_batch_id,
    answers: *const sexton_answer,
    len: usize,
    taken: *mut usize,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        // SAFETY: by the contract it points to an id.
        let id = unsafe { pointer::borrow(id, "id") }?;
        // SAFETY: by the contract borrowed for the call.
        let answers = unsafe { pointer::values(answers, len, "answers") }?;
        pointer::at_most(len, ANSWERS_MAX, "answers")?;
        let answers = answers.iter().map(answer).collect::<CallResult<Vec<_>>>()?;
        let counted = driver.answer((*id).into(), answers)?;
        // SAFETY: by the contract NULL or room for a length.
        unsafe { pointer::put_if_wanted(taken, counted) };
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Limit of the answers in one call.
const ANSWERS_MAX: usize = 1_000_000;

fn answer(from: &sexton_answer) -> CallResult<(u32, Answer)> {
    // SAFETY: by the contract borrowed for the call.
    let detail = unsafe { pointer::bytes(from.detail, "detail") }?;
    let reason = || String::from_utf8_lossy(detail).into();
    let answer = match from.answer {
        SEXTON_ANSWER_DELETED => Answer::Deleted,
        SEXTON_ANSWER_ANONYMISED => Answer::Anonymised(detail.into()),
        SEXTON_ANSWER_ABSENT => Answer::Absent,
        SEXTON_ANSWER_CHANGED => Answer::Changed,
        SEXTON_ANSWER_REFUSED => Answer::Refused(reason()),
        SEXTON_ANSWER_FAILED => Answer::Failed(reason()),
        SEXTON_ANSWER_REQUESTED => Answer::Requested,
        other => {
            return Err(invalid(format!("answer {other} for object {}; 1 to 7 are allowed", from.object)));
        }
    };
    Ok((from.object, answer))
}

/// Works in this thread for about budget_ms: registers what was submitted, plans due batches, calls the delete
/// callback, and commits answers. It looks at the clock after each step: up to 10,000 submitted objects, one delete
/// callback, one batch planned or committed, or 1,024 rows scanned for requests. A step that has begun is finished, so a
/// large sub_batch_objects or batch_objects exceeds a small budget. With threads = 0 this is the only place where the
/// engine works; with threads it may be called too.
///
/// *next_ms, which may be NULL, gets the time of the next call, as sexton_next_due_ms() defines it. It is 0 if the
/// budget was used up.
///
/// Errors: SEXTON_BUSY inside a callback; the status with which the engine stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_run(
    engine: *mut sexton_engine,
    budget_ms: u32,
    next_ms: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        if reentrancy::is_in_callback() {
            return Err(Failure::new(
                SEXTON_BUSY,
                "sexton_run() inside a callback would recurse; call it after the callback",
            ));
        }
        let next = driver.run(Duration::from_millis(budget_ms.into()))?;
        // SAFETY: by the contract NULL or room for an instant.
        unsafe { pointer::put_if_wanted(next_ms, due_ms(next)) };
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Writes to *out the time at which sexton_run() will have work: Unix ms on the clock of sexton_now_ms(). That clock
/// may stand still while the wall clock is behind, so wait for the difference between the two.
///
/// The time is 0 or in the past if there is work now. It is SEXTON_NEVER_MS if there is none. Any later call that
/// submits, answers, registers, changes or decides may bring the time forward. For a sub-batch that is handed out, its
/// time-out counts. While an alarm stops a class, the time is at most a second ahead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_next_due_ms(
    engine: *const sexton_engine,
    out: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        Out::new(out, "out")?.put(due_ms(driver.next()));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}
