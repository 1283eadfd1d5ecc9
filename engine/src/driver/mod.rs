//! Driver: an engine for hosts that must not block.
//!
//! A driver applies submitted registrations, plans due batches, hands them out in sub-batches, and commits answered ones.
//! It works in its own threads, or in a thread of the host within a time budget.

pub(crate) mod dispatcher;
pub(crate) mod event_fd;
pub(crate) mod job;
mod notify;
pub(crate) mod options;
mod shared;
pub(crate) mod sub_batch;
pub(crate) mod submissions;
pub(crate) mod worker;

use crate::driver::dispatcher::{DispatchLimits, Dispatcher};
use crate::driver::event_fd::EventFd;
use crate::driver::notify::Notify;
use crate::driver::options::{DriverOptions, Handler};
use crate::driver::shared::{AT_ONCE, Shared, Work};
use crate::driver::sub_batch::{OwnedSubBatch, SubBatchId};
use crate::driver::submissions::{Completion, Submissions};
use crate::engine::Engine;
use crate::platform::error::{Error, Result};
use crate::platform::store::Answer;
use crate::registration::change::Change;
use crate::registration::register::{Durability, RegisterOptions, Registration};
use parking_lot::Mutex;
use sexton_proof::time::Timestamp;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Engine for a host that must not block: submitting, taking and answering never wait for a disk.
///
/// All methods may be called from many threads at once. Methods that stop or drive it ([`Driver::stop`],
/// [`Driver::run`]) must not be called by the handler.
///
/// Once the engine fails, the driver stops by itself: every method fails with the error that stopped it, and waiting
/// submissions are completed with it.
///
/// Dropping a driver stops it, as [`Driver::stop`] does. Unanswered sub-batches are handed out again by the next driver
/// of the engine.
///
/// ```
/// use sexton::store::Answer;
/// use sexton::{Driver, DriverOptions, Durability, Registration};
/// use std::time::Duration;
/// # use std::sync::Arc;
/// # let folder = tempfile::tempdir()?;
/// # let options = sexton::Options::new("example.com/uploads");
/// # let engine = Arc::new(sexton::Engine::open(folder.path(), &options)?);
///
/// // No threads: the host calls `run` from its event loop. No handler: it takes sub-batches itself.
/// let driver = Driver::start(engine, DriverOptions::default().threads(false), None)?;
/// driver.submit(1, &[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
/// driver.run(Duration::from_millis(10))?;
/// while let Some(completion) = driver.next_completion()? {
///     assert!(completion.token == 1 && completion.result.is_ok());
/// }
/// while let Some(sub_batch) = driver.next_sub_batch()? {
///     // Delete the objects here, durably.
///     let answers = (0_u32..).zip(sub_batch.objects()).map(|(index, _)| (index, Answer::Deleted)).collect();
///     driver.answer(sub_batch.id(), answers)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Driver {
    shared: Arc<Shared>,
    options: DriverOptions,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Number of pieces of work that [`Driver::run`] did.
    turn: AtomicUsize,
}

impl Driver {
    /// Starts to drive `engine`. Without a handler, [`Driver::next_sub_batch`] hands sub-batches out.
    ///
    /// Threads of the driver log to the subscriber of this thread, and block the signals that this thread blocks.
    ///
    /// # Errors
    /// `Invalid` if an option is out of its bounds; `Io` if the system gives no thread or no eventfd.
    ///
    /// ```
    /// use sexton::drive::OwnedSubBatch;
    /// use sexton::store::Answer;
    /// use sexton::{Driver, DriverOptions};
    /// # use std::sync::Arc;
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = Arc::new(sexton::Engine::open(folder.path(), &options)?);
    /// let delete = |sub_batch: OwnedSubBatch| {
    ///     // Delete the objects here, durably.
    ///     Ok((0_u32..).zip(sub_batch.objects()).map(|(index, _)| (index, Answer::Deleted)).collect())
    /// };
    /// let driver = Driver::start(engine, DriverOptions::default(), Some(Box::new(delete)))?;
    /// driver.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(
        engine: Arc<Engine>,
        options: DriverOptions,
        handler: Option<Box<Handler>>,
    ) -> Result<Driver> {
        let driver = Driver::new(engine, options, handler)?;
        driver.start_threads()?;
        Ok(driver)
    }

    /// Creates a driver without threads. [`Driver::start_threads`] starts them.
    ///
    /// # Errors
    /// `Invalid` if an option is out of its bounds; `Io` if the system gives no eventfd.
    pub fn new(engine: Arc<Engine>, options: DriverOptions, handler: Option<Box<Handler>>) -> Result<Driver> {
        options.check()?;
        let event_fd = Arc::new(EventFd::new()?);
        let limits = DispatchLimits {
            sub_batch_objects: options.sub_batch_objects,
            batches_in_flight: options.batches_in_flight,
            answer_timeout: options.answer_timeout,
            is_pulled: handler.is_none(),
        };
        let shared = Arc::new(Shared {
            engine,
            submissions: Submissions::new(options.queue_objects, Arc::clone(&event_fd)),
            dispatcher: Dispatcher::new(limits, Arc::clone(&event_fd)),
            event_fd,
            handler,
            notify: Notify::default(),
            stopping: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        Ok(Driver { shared, options, threads: Mutex::default(), turn: AtomicUsize::new(0) })
    }

    /// Starts the threads of [`DriverOptions`]. It is a no-op if
    /// [`DriverOptions::threads`](field@DriverOptions::threads) is `false`.
    ///
    /// # Errors
    /// `Io` if the system gives no thread. Threads that were started before are stopped.
    pub fn start_threads(&self) -> Result<()> {
        let handlers = if self.shared.handler.is_some() { self.options.handler_threads } else { 0 };
        let start = || {
            self.spawn("sexton-register", Shared::register)?;
            self.spawn("sexton-enforce", Shared::enforce)?;
            (0..handlers).try_for_each(|_| self.spawn("sexton-handle", Shared::handle))
        };
        if self.options.threads { start().inspect_err(|_| self.stop()) } else { Ok(()) }
    }

    fn spawn(&self, name: &str, work: Work) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let log = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || tracing::dispatcher::with_default(&log, || shared.run_thread(work)))
            .map_err(|e| Error::io(format!("cannot start the thread {name}"), e))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Returns the engine that is driven.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Queues registrations and returns at once. Their answers come with the completion of `token`; until then they may or
    /// may not be registered. `options` are those of [`Engine::register`].
    ///
    /// # Errors
    /// `Invalid` for too many in one call; `Busy` if the queue is full; the error that stopped the driver.
    pub fn submit(
        &self,
        token: u64,
        registrations: &[Registration<'_>],
        options: impl Into<RegisterOptions>,
    ) -> Result<()> {
        self.shared.ensure_running()?;
        self.shared.submissions.register(token, registrations, options.into())?;
        self.shared.notify.notify();
        Ok(())
    }

    /// Queues changes ([`Engine::change`]) and returns at once. Their answers come with the completion of `token`.
    ///
    /// # Errors
    /// `Invalid` for too many in one call; `Busy` if the queue is full; the error that stopped the driver.
    ///
    /// ```
    /// use sexton::drive::Answers;
    /// use sexton::{Change, Which};
    /// # use sexton::{Driver, DriverOptions};
    /// # use std::sync::Arc;
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = Arc::new(sexton::Engine::open(folder.path(), &options)?);
    /// # let driver = Driver::start(engine, DriverOptions::default().threads(false), None)?;
    /// let released = Change::Release { of: Which::Key(b"cat.jpg") };
    /// driver.submit_changes(2, &[released], sexton::Durability::Synced)?;
    /// driver.run(std::time::Duration::from_millis(10))?;
    /// let completion = driver.next_completion()?.ok_or("no completion")?;
    /// let Answers::Changed(answers) = completion.result? else { unreachable!() };
    /// assert_eq!(answers[0].as_ref().unwrap_err().kind(), sexton::ErrorKind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_changes(&self, token: u64, changes: &[Change<'_>], durability: Durability) -> Result<()> {
        self.shared.ensure_running()?;
        self.shared.submissions.change(token, changes, durability)?;
        self.shared.notify.notify();
        Ok(())
    }

    /// Takes the next completion, in the order of submitting. `None` if there is none yet.
    ///
    /// # Errors
    /// The error that stopped the driver, once every completion was taken.
    pub fn next_completion(&self) -> Result<Option<Completion>> {
        match self.shared.submissions.take() {
            Some(completion) => Ok(Some(completion)),
            None => self.shared.report_failure().map(|()| None),
        }
    }

    /// Takes the next due sub-batch. `None` if none is ready. The host deletes its objects and answers before
    /// [`answer_timeout`](field@DriverOptions::answer_timeout) have passed, counted from now.
    ///
    /// # Errors
    /// The error that stopped the driver.
    pub fn next_sub_batch(&self) -> Result<Option<OwnedSubBatch>> {
        self.shared.report_failure()?;
        Ok(self.shared.dispatcher.take(&self.shared.engine))
    }

    /// Takes answers for some or all objects of a sub-batch, each with the index of its object there. They may come in any
    /// order and in any number of calls.
    ///
    /// The first answer for an object counts. Returns the number of answers that count: none if the sub-batch ran out of
    /// time, or is of an earlier opening. Another thread, or [`Driver::run`], commits answered batches; their tombstones
    /// are durable after that.
    ///
    /// # Errors
    /// `Invalid` if an index or a digest is beyond its bound, or if an answer does not fit the class. Then none counts.
    /// The error that stopped the driver.
    pub fn answer(&self, id: SubBatchId, answers: Vec<(u32, Answer)>) -> Result<usize> {
        self.shared.ensure_running()?;
        let counted = self.shared.dispatcher.answer(&self.shared.engine, id, answers)?;
        self.shared.notify.notify();
        Ok(counted)
    }

    /// Returns a descriptor to be polled. It is readable exactly while a completion or a sub-batch can be taken, and once
    /// if the driver stopped by itself. The host must not read from it.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.shared.event_fd.fd()
    }

    /// Works in this thread for about `budget`: applies submissions, calls the handler, plans and commits.
    ///
    /// The budget is checked after each piece of work: up to 10,000 submitted objects, one call of the handler, one batch
    /// to commit or to plan, or 1,024 rows scanned for requests. A piece that has begun is finished, and the time of the
    /// handler is not limited. Returns the instant of the next
    /// work as [`Driver::next`] does, which lies in the past if the budget is used up.
    ///
    /// # Errors
    /// The error that stopped the driver.
    pub fn run(&self, budget: Duration) -> Result<Option<Timestamp>> {
        let shared = &self.shared;
        let end = shared.engine.monotonic().saturating_add(budget);
        let pieces: [Work; 3] = [Shared::register, Shared::handle, Shared::enforce];
        let mut idle = 0;
        while idle < pieces.len() {
            shared.report_failure()?;
            // The next call goes on after the last piece, so that none starves under a small budget.
            let turn = self.turn.fetch_add(1, Ordering::SeqCst) % pieces.len();
            let is_busy = pieces[turn](shared).inspect_err(|error| shared.fail(error))?;
            idle = if is_busy { 0 } else { idle + 1 };
            if is_busy && (shared.stopping.load(Ordering::SeqCst) || shared.engine.monotonic() >= end) {
                return Ok(Some(AT_ONCE));
            }
        }
        Ok(shared.next())
    }

    /// Returns the instant of the next work, in the time of [`Engine::now`]. If there is work now, it lies in the past. `None`
    /// if no work is foreseen.
    ///
    /// A sub-batch that is out counts by the end of its time-out.
    pub fn next(&self) -> Option<Timestamp> {
        self.shared.next()
    }

    /// Returns the error that stopped the driver. `None` if it runs, or was stopped by [`Driver::stop`].
    pub fn failure(&self) -> Option<Error> {
        self.shared.failure.lock().error()
    }

    /// Stops the driver because of a defect in its host. It hands out no sub-batch and takes no answer from then on.
    pub fn fail(&self, why: &str) {
        self.shared.fail(&Error::internal(why));
    }

    /// Stops the threads, waits for them, and commits answered batches.
    ///
    /// In a batch with at least one answer, unanswered objects count as failed. Submissions that still wait are not
    /// applied. A repeated call is a no-op. The handler must not call it.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.notify.notify();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A panic was caught inside the thread.
            let _ = thread.join();
        }
        self.shared.dispatcher.stop();
        if self.failure().is_none()
            && let Err(error) = self.shared.dispatcher.commit_answered(&self.shared.engine)
        {
            self.shared.fail(&error);
        }
        // Batches may stay out, so no other thread publishes the commits above.
        let _ = self.shared.engine.publish();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}
