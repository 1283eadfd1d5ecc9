//! Options of a driver, and the type of its handler.

use crate::driver::sub_batch::OwnedSubBatch;
use crate::engine::SUB_BATCH_OBJECTS;
use crate::platform::error::{Error, Result};
use crate::platform::store::Answer;
use std::time::Duration;

/// Function that deletes the objects of a sub-batch.
///
/// Threads of the driver, or [`Driver::run`](crate::Driver::run), call it without any lock held; several threads may call
/// it at once. It returns the answers that it already has, each with the index of its object in the sub-batch. The host may
/// give the others later, with [`Driver::answer`](crate::Driver::answer). If the handler returns an error, all unanswered
/// objects count as failed.
pub type Handler = dyn Fn(OwnedSubBatch) -> std::result::Result<Vec<(u32, Answer)>, String> + Send + Sync;

/// Most threads that call the handler.
const HANDLER_THREADS_MAX: usize = 1_024;

/// Options of a [`Driver`](crate::Driver).
///
/// ```
/// use sexton::DriverOptions;
/// use std::time::Duration;
///
/// let options = DriverOptions::default().handler_threads(4).answer_timeout(Duration::from_mins(2));
/// # options.check()?;
/// # Ok::<(), sexton::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DriverOptions {
    /// `true` if the driver has threads: one that registers, one that plans and commits, and those that call the handler.
    /// Otherwise [`Driver::run`](crate::Driver::run) does all work. Default: `true`.
    pub threads: bool,
    /// Threads that call the handler, 1 to 1,024. Used if there is a handler and `threads` is set. Default: 1.
    pub handler_threads: usize,
    /// Most objects of a sub-batch, at least 1. Default: 1,000.
    pub sub_batch_objects: usize,
    /// Batches planned and not committed yet, at least 1. A hold placed meanwhile keeps objects of these batches that were
    /// not taken yet, although [`Placed::too_late`](crate::decision::Placed::too_late) lists all of them. Default: 2.
    pub batches_in_flight: usize,
    /// Time from taking a sub-batch to its last answer, at least 1 ms. Later answers do not count. Default: 30 s.
    pub answer_timeout: Duration,
    /// Objects submitted and not completed, or completed and not taken, at least 1. Beyond it submitting fails with
    /// `Busy`. Default: 1,000,000.
    pub queue_objects: usize,
}

impl Default for DriverOptions {
    fn default() -> Self {
        DriverOptions {
            threads: true,
            handler_threads: 1,
            sub_batch_objects: SUB_BATCH_OBJECTS,
            batches_in_flight: 2,
            answer_timeout: Duration::from_secs(30),
            queue_objects: 1_000_000,
        }
    }
}

impl DriverOptions {
    /// Sets [`threads`](field@DriverOptions::threads).
    #[must_use]
    pub const fn threads(mut self, threads: bool) -> Self {
        self.threads = threads;
        self
    }

    /// Sets [`handler_threads`](field@DriverOptions::handler_threads).
    #[must_use]
    pub const fn handler_threads(mut self, threads: usize) -> Self {
        self.handler_threads = threads;
        self
    }

    /// Sets [`sub_batch_objects`](field@DriverOptions::sub_batch_objects).
    #[must_use]
    pub const fn sub_batch_objects(mut self, objects: usize) -> Self {
        self.sub_batch_objects = objects;
        self
    }

    /// Sets [`batches_in_flight`](field@DriverOptions::batches_in_flight).
    #[must_use]
    pub const fn batches_in_flight(mut self, batches: usize) -> Self {
        self.batches_in_flight = batches;
        self
    }

    /// Sets [`answer_timeout`](field@DriverOptions::answer_timeout).
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Sets [`queue_objects`](field@DriverOptions::queue_objects).
    #[must_use]
    pub const fn queue_objects(mut self, objects: usize) -> Self {
        self.queue_objects = objects;
        self
    }

    /// Checks that every option is within its bounds.
    ///
    /// # Errors
    /// `Invalid` with the values.
    pub fn check(&self) -> Result<()> {
        let DriverOptions { handler_threads, sub_batch_objects, batches_in_flight, queue_objects, .. } =
            *self;
        if [handler_threads, sub_batch_objects, batches_in_flight, queue_objects].contains(&0)
            || self.answer_timeout < Duration::from_millis(1)
            || handler_threads > HANDLER_THREADS_MAX
        {
            return Err(Error::invalid(format!(
                "handler_threads {handler_threads}, sub_batch_objects {sub_batch_objects}, batches_in_flight \
                 {batches_in_flight}, queue_objects {queue_objects}, answer_timeout {:?}; each must be at least 1 \
                 (the time-out 1 ms), handler_threads at most {HANDLER_THREADS_MAX}",
                self.answer_timeout
            )));
        }
        Ok(())
    }
}
