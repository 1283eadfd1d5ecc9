//! Deleting: sub-batches as C gets them, and the answers. Pulling is the core; the callback is called by a thread of the
//! driver, or within sexton_run(), with what pulling would have given.

use crate::error::{EMPTY, Failure, Outcome, invalid, plain, sexton_error};
use crate::handle::{Handle, sexton_engine, with_driver, with_engine};
use crate::inside;
use crate::pointer::{self, Out, lend};
use crate::status::SEXTON_BUSY;
use crate::types::{
    SEXTON_NO_CEILING_MS, sexton_answer, sexton_batch_id, sexton_bytes, sexton_id, sexton_object,
};
use sexton::store::{Answer, Disposition};
use sexton::{Driver, Engine, Handed, Handler, SubBatchId};
use std::ffi::c_void;
use std::ptr;

/// The object registered was there, is gone now, and a power failure will not bring it back.
pub const SEXTON_ANSWER_DELETED: i32 = 1;
/// The object registered was there and was rewritten so that it concerns nobody any more. For SEXTON_ANONYMISE only.
pub const SEXTON_ANSWER_ANONYMISED: i32 = 2;
/// Nothing is there under this key, and a power failure will not bring anything back.
pub const SEXTON_ANSWER_ABSENT: i32 = 3;
/// Something is there, but not the object registered. It was left as it is.
pub const SEXTON_ANSWER_CHANGED: i32 = 4;
/// The store knows the object and declines, for example because it holds it itself.
pub const SEXTON_ANSWER_REFUSED: i32 = 5;
/// It could not be done, or not be made durable. It will be asked for again.
pub const SEXTON_ANSWER_FAILED: i32 = 6;

/// What is to be done with the objects of a sub-batch: they are deleted.
pub const SEXTON_DELETE: i32 = 1;
/// What is to be done with the objects of a sub-batch: they are rewritten so that they concern nobody any more.
pub const SEXTON_ANONYMISE: i32 = 2;

/// Objects of one class that are to be deleted together. Opaque. It owns its memory: it may be used after the engine is
/// closed, by one thread at a time; freed with sexton_batch_free().
pub struct sexton_batch {
    handed: Handed,
    /// They point into `handed`, whose bytes never move.
    objects: Vec<sexton_object>,
}

impl sexton_batch {
    fn new(handed: Handed) -> Self {
        let objects = handed.objects().map(|object| sexton_object {
            id: object.id.into(),
            key: lend(object.key),
            version: lend(object.version),
            digest: lend(object.digest),
            size_bytes: object.size_bytes,
            floor_ms: object.floor_ms,
            ceiling_ms: object.ceiling_ms,
        });
        let objects = objects.collect();
        sexton_batch { handed, objects }
    }
}

impl From<SubBatchId> for sexton_batch_id {
    fn from(id: SubBatchId) -> Self {
        let SubBatchId { batch, epoch, part, attempt } = id;
        sexton_batch_id { batch, epoch, part, attempt }
    }
}

impl From<sexton_batch_id> for SubBatchId {
    fn from(id: sexton_batch_id) -> Self {
        let sexton_batch_id { batch, epoch, part, attempt } = id;
        SubBatchId { batch, epoch, part, attempt }
    }
}

/// Is called with each sub-batch. Gives 0 where it has answered with sexton_complete(), or will, later and from any thread;
/// anything else: what it has not answered counts as failed at once. `batch` is borrowed for the call. It may call every
/// function but sexton_run(), sexton_close() and sexton_engine_free(). Called without any lock held, from up to
/// callback_threads threads at once, with stacks of 2 MiB, and from whoever is in sexton_run().
pub type sexton_delete_fn = Option<
    unsafe extern "C" fn(user: *mut c_void, engine: *mut sexton_engine, batch: *const sexton_batch) -> i32,
>;

/// The host's function that deletes.
#[derive(Clone, Copy)]
pub(crate) struct DeleteTarget {
    function: unsafe extern "C" fn(*mut c_void, *mut sexton_engine, *const sexton_batch) -> i32,
    user: *mut c_void,
}

// SAFETY: the contract asks for a callback that may be called from any thread with this pointer.
unsafe impl Send for DeleteTarget {}
// SAFETY: as above.
unsafe impl Sync for DeleteTarget {}

impl DeleteTarget {
    pub(crate) fn new(function: sexton_delete_fn, user: *mut c_void) -> Option<Self> {
        function.map(|function| DeleteTarget { function, user })
    }

    /// It as the driver calls it.
    pub(crate) fn handler(self, handle: Handle) -> Box<Handler> {
        Box::new(move |handed| {
            // The whole of both, not the pointers alone, so that they may go to another thread.
            let (target, handle) = (&self, &handle);
            let batch = sexton_batch::new(handed);
            let status = inside::a_callback_of(handle.0, || {
                // SAFETY: by the contract the host's function may be called from any thread with its pointer; the handle
                // lives until the driver's threads are gone, and the batch to the end of the call.
                unsafe { (target.function)(target.user, handle.0, &raw const batch) }
            });
            match status {
                0 => Ok(Vec::new()),
                status => Err(format!("the host's callback gave {status}")),
            }
        })
    }
}

/// Takes the next sub-batch that is due; *out is NULL where none is ready. Never waits. With threads it also does no I/O;
/// without them what is due becomes ready in sexton_run().
///
/// Its objects are to be deleted, and answered for by sexton_complete() within answer_timeout_ms from now; what is not
/// counts as failed and comes again. After a crash the same objects come again: deleting must be idempotent.
///
/// SEXTON_POISONED, SEXTON_FORKED, SEXTON_IO, SEXTON_CORRUPT, SEXTON_INTERNAL where the engine stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_next_batch(
    engine: *mut sexton_engine,
    out: *mut *mut sexton_batch,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let out = Out::new(out, "out")?;
        match driver.next_sub_batch()? {
            Some(handed) => out.give(sexton_batch::new(handed)),
            None => out.put(ptr::null_mut()),
        }
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// What names a sub-batch, for sexton_complete(). All 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_get_id(batch: *const sexton_batch) -> sexton_batch_id {
    let none = sexton_batch_id { batch: 0, epoch: 0, part: 0, attempt: 0 };
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain(none, || unsafe { pointer::maybe(batch) }.map_or(none, |batch| batch.handed.id().into()))
}

/// The class that all objects of a sub-batch fall under. Lives as long as the batch. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_class(batch: *const sexton_batch) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or a batch that is not freed yet.
        unsafe { pointer::maybe(batch) }.map_or(EMPTY, |batch| lend(batch.handed.class().as_bytes()))
    })
}

/// What is to be done with the objects of a sub-batch: SEXTON_DELETE or SEXTON_ANONYMISE. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_disposition(batch: *const sexton_batch) -> i32 {
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain(0, || match unsafe { pointer::maybe(batch) }.map(|batch| batch.handed.disposition()) {
        None => 0,
        Some(Disposition::Delete) => SEXTON_DELETE,
        Some(Disposition::Anonymise) => SEXTON_ANONYMISE,
    })
}

/// The objects of a sub-batch, *len of them, at least 1. They live as long as the batch. NULL and 0 for NULL.
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

/// Frees the memory of a sub-batch; its objects may be answered before or after. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_batch_free(batch: *mut sexton_batch) {
    // SAFETY: by the contract NULL or a batch that is not freed yet.
    plain((), || drop(unsafe { pointer::take(batch) }));
}

/// Answers for some or all objects of a sub-batch, in any order, in as many calls as it takes, from any thread. The first
/// answer for an object counts; *taken, which may be NULL, is how many did: fewer than given where some were answered
/// before, 0 where the sub-batch ran out of time or was handed out by an earlier opening. Never waits: what was answered is
/// committed by the engine's threads, or in sexton_run(), once the whole batch is answered or out of time.
///
/// SEXTON_INVALID where a place, an answer or a detail is beyond its bound: then none of them counts. What stopped the
/// engine, where it stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_complete(
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
        at_most(len, ANSWERS_MAX, "answers")?;
        let answers = answers.iter().map(answer).collect::<Outcome<Vec<_>>>()?;
        let counted = driver.answer((*id).into(), answers)?;
        // SAFETY: by the contract NULL or room for a length.
        unsafe { pointer::put_if_wanted(taken, counted) };
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Most answers in one call.
const ANSWERS_MAX: usize = 1_000_000;

/// Refuses a length that cannot be meant.
pub(crate) fn at_most(len: usize, max: usize, name: &str) -> Outcome<()> {
    if len > max { Err(invalid(format!("{len} {name} in one call; {max} is the limit"))) } else { Ok(()) }
}

fn answer(one: &sexton_answer) -> Outcome<(u32, Answer)> {
    // SAFETY: by the contract borrowed for the call.
    let detail = unsafe { pointer::bytes(one.detail, "detail") }?;
    let reason = || String::from_utf8_lossy(detail).into();
    let answer = match one.answer {
        SEXTON_ANSWER_DELETED => Answer::Deleted,
        SEXTON_ANSWER_ANONYMISED => Answer::Anonymised(detail.into()),
        SEXTON_ANSWER_ABSENT => Answer::Absent,
        SEXTON_ANSWER_CHANGED => Answer::Changed,
        SEXTON_ANSWER_REFUSED => Answer::Refused(reason()),
        SEXTON_ANSWER_FAILED => Answer::Failed(reason()),
        other => return Err(invalid(format!("answer {other} for object {}; there are 1 to 6", one.object))),
    };
    Ok((one.object, answer))
}

/// Does what is to do, in this thread, for about budget_ms: registers what was submitted, plans what is due, calls the
/// callback, commits what was answered. What has begun is finished, and how long callbacks take is the host's affair. With
/// threads = 0 nothing happens but in here; with threads it may be called too.
///
/// *next_ms, which may be NULL, is when it wants to be called again, as sexton_next_due_ms() says it; 0 where the budget was
/// used up.
///
/// SEXTON_BUSY inside a callback; what stopped the engine, where it stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_run(
    engine: *mut sexton_engine,
    budget_ms: u32,
    next_ms: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        if inside::is_in_a_callback() {
            return Err(Failure::new(
                SEXTON_BUSY,
                "sexton_run() inside a callback would go deeper and deeper",
            ));
        }
        let next = driver.run(budget_ms)?.unwrap_or(SEXTON_NO_CEILING_MS);
        // SAFETY: by the contract NULL or room for an instant.
        unsafe { pointer::put_if_wanted(next_ms, next) };
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// When sexton_run() will have something to do, Unix ms by sexton_now_ms(), which may stand still while the wall clock is
/// behind: so wait for the difference. 0, or else in the past, where it has already; SEXTON_NO_CEILING_MS where there is nothing
/// until something is submitted, answered, registered, changed or decided. What is handed out counts by when it runs out of
/// time, what an alarm stops is asked for again every second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_next_due_ms(
    engine: *const sexton_engine,
    out: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        Out::new(out, "out")?.put(driver.next_ms().unwrap_or(SEXTON_NO_CEILING_MS));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// The live registration of a key, where its class finds by key.
///
/// SEXTON_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_find(
    engine: *const sexton_engine,
    key: sexton_bytes,
    out: *mut sexton_id,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract borrowed for the call.
        let key = unsafe { pointer::bytes(key, "key") }?;
        match engine.find(key)? {
            Some(id) => out.put(id.into()),
            None => return Err(crate::error::not_found("no live registration has this key")),
        }
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}
