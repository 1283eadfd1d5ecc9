//! Driving an engine for a host that must not wait: what is submitted is registered, what is due is planned ahead and
//! handed out in sub-batches, what is answered is committed. In threads of its own, or in the host's, a budget at a time.

use crate::change::Change;
use crate::dispatch::{Dispatcher, Handed, Limits, SubBatchId};
use crate::engine::{Engine, PART_OBJECTS};
use crate::error::{Error, ErrorKind, Result};
use crate::register::{Durability, Registration};
use crate::signal::Signal;
use crate::status::State;
use crate::store::Answer;
use crate::submit::{Completion, Submissions};
use parking_lot::{Condvar, Mutex};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How a [`Driver`] works. Every bound is settable.
#[derive(Clone, Copy, Debug)]
pub struct DriverOptions {
    /// Whether it has threads: one that registers, one that plans and commits, and those that call the handler. Without
    /// them nothing happens but in [`Driver::run`].
    pub threads: bool,
    /// Threads that call the handler, where there is one and `threads` is set; at least 1.
    pub handler_threads: usize,
    /// Most objects of a sub-batch.
    pub sub_batch_objects: usize,
    /// Batches planned and not yet committed. A hold that is placed still keeps what of them nobody has taken, though it
    /// names all of it as too late.
    pub batches: usize,
    /// From handing a sub-batch out to the last answer that counts, ms.
    pub answer_timeout_ms: u32,
    /// Objects that may be submitted and not yet completed, or completed and not yet taken; beyond it `Busy`.
    pub queue_objects: usize,
}

impl Default for DriverOptions {
    fn default() -> Self {
        DriverOptions {
            threads: true,
            handler_threads: 1,
            sub_batch_objects: PART_OBJECTS,
            batches: 2,
            answer_timeout_ms: 30_000,
            queue_objects: 1_000_000,
        }
    }
}

impl DriverOptions {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// `Invalid` with the values.
    pub fn check(&self) -> Result<()> {
        let DriverOptions { handler_threads, sub_batch_objects, batches, answer_timeout_ms, .. } = *self;
        if [handler_threads, sub_batch_objects, batches, self.queue_objects].contains(&0)
            || answer_timeout_ms == 0
            || handler_threads > HANDLER_THREADS_MAX
        {
            return Err(Error::invalid(format!(
                "{handler_threads} handler threads, {sub_batch_objects} objects in a sub-batch, {batches} batches, {} \
                 objects queued, {answer_timeout_ms} ms for an answer; each must be at least 1, threads at most \
                 {HANDLER_THREADS_MAX}",
                self.queue_objects
            )));
        }
        Ok(())
    }
}

/// What is called with each sub-batch, by threads of the driver or within [`Driver::run`], without any lock held. It gives
/// the answers that it has at once, each with the place of its object; the others are given later, by [`Driver::answer`].
/// Where it gives an error, what is not answered yet counts as failed.
pub type Handler = dyn Fn(Handed) -> std::result::Result<Vec<(u32, Answer)>, String> + Send + Sync;

/// Most threads that call the handler.
const HANDLER_THREADS_MAX: usize = 1_024;

/// How long a thread waits, once there was nothing to do, before it looks again.
const IDLE: Duration = Duration::from_millis(100);

/// The instant that stands for: at once.
const AT_ONCE_MS: i64 = 0;

/// How long until a driver without threads looks again at what is due and stopped, ms.
const STOPPED_MS: i64 = 1_000;

/// An engine that is driven. Dropping it stops its threads; what is handed out and not answered by then is handed out again
/// when the engine is driven next.
pub struct Driver {
    shared: Arc<Shared>,
    options: DriverOptions,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    engine: Arc<Engine>,
    submissions: Submissions,
    dispatcher: Dispatcher,
    signal: Arc<Signal>,
    handler: Option<Box<Handler>>,
    bell: Bell,
    stopping: AtomicBool,
    failure: Mutex<Failure>,
}

/// What stopped it.
#[derive(Default)]
struct Failure {
    error: Option<Error>,
    /// Whether the signal shows it and nobody has been told.
    is_news: bool,
}

/// Wakes threads that wait for something to do.
#[derive(Default)]
struct Bell {
    rung: Mutex<u64>,
    ringing: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() += 1;
        self.ringing.notify_all();
    }

    fn rung(&self) -> u64 {
        *self.rung.lock()
    }

    /// Waits until it has rung since `heard`, or for a moment.
    fn wait(&self, heard: u64) {
        let mut rung = self.rung.lock();
        if *rung == heard {
            self.ringing.wait_for(&mut rung, IDLE);
        }
    }
}

impl Driver {
    /// Drives `engine`; without a handler sub-batches are taken by [`Driver::next_sub_batch`]. Its threads log to where
    /// this thread logs, and block the signals that this thread blocks.
    ///
    /// # Errors
    /// `Invalid` where an option is 0; `Io` where the system gives no thread or no eventfd.
    pub fn start(
        engine: Arc<Engine>,
        options: DriverOptions,
        handler: Option<Box<Handler>>,
    ) -> Result<Driver> {
        let driver = Driver::new(engine, options, handler)?;
        driver.start_threads()?;
        Ok(driver)
    }

    /// The same, without its threads.
    ///
    /// # Errors
    /// As [`Driver::start`].
    pub fn new(engine: Arc<Engine>, options: DriverOptions, handler: Option<Box<Handler>>) -> Result<Driver> {
        options.check()?;
        let signal = Arc::new(Signal::new()?);
        let limits = Limits {
            objects: options.sub_batch_objects,
            batches: options.batches,
            answer_ms: options.answer_timeout_ms.into(),
            is_pulled: handler.is_none(),
        };
        let shared = Arc::new(Shared {
            engine,
            submissions: Submissions::new(options.queue_objects, Arc::clone(&signal)),
            dispatcher: Dispatcher::new(limits, Arc::clone(&signal)),
            signal,
            handler,
            bell: Bell::default(),
            stopping: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        Ok(Driver { shared, options, threads: Mutex::default() })
    }

    /// Starts its threads, where its options say that it has any.
    ///
    /// # Errors
    /// `Io` where the system gives no thread; those that it gave are stopped.
    pub fn start_threads(&self) -> Result<()> {
        let handlers = if self.shared.handler.is_some() { self.options.handler_threads } else { 0 };
        let start = || {
            self.spawn("sexton-register", Shared::register)?;
            self.spawn("sexton-enforce", Shared::enforce)?;
            (0..handlers).try_for_each(|_| self.spawn("sexton-handle", Shared::handle))
        };
        if self.options.threads { start().inspect_err(|_| self.stop()) } else { Ok(()) }
    }

    /// Starts a thread that does `piece` until there is nothing to do, waits, and so on.
    fn spawn(&self, name: &str, piece: fn(&Arc<Shared>) -> Result<bool>) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let log = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || tracing::dispatcher::with_default(&log, || shared.work(piece)))
            .map_err(|e| Error::io(format!("cannot start the thread {name}"), e))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// The engine that is driven.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Takes registrations as [`Engine::register`] does, and returns at once: the answers come with the completion of
    /// this token. Nothing is known to have happened before.
    ///
    /// # Errors
    /// `Invalid` for too many in one call; `Busy` where as much is queued as may be; what stopped the driver.
    pub fn submit(
        &self,
        token: u64,
        items: &[Registration<'_>],
        durability: Durability,
        only_missing: bool,
    ) -> Result<()> {
        self.shared.check()?;
        self.shared.submissions.register(token, items, durability, only_missing)?;
        self.shared.bell.ring();
        Ok(())
    }

    /// The same for changes ([`Engine::change`]).
    ///
    /// # Errors
    /// As [`Driver::submit`].
    pub fn submit_changes(&self, token: u64, changes: &[Change<'_>], durability: Durability) -> Result<()> {
        self.shared.check()?;
        self.shared.submissions.change(token, changes, durability)?;
        self.shared.bell.ring();
        Ok(())
    }

    /// The next completion, in the order of submitting; `None` where none is there yet. Never waits.
    ///
    /// # Errors
    /// What stopped the driver, once every completion was taken.
    pub fn next_completion(&self) -> Result<Option<Completion>> {
        match self.shared.submissions.take() {
            Some(completion) => Ok(Some(completion)),
            None => self.shared.tell().map(|()| None),
        }
    }

    /// The next sub-batch that is due; `None` where none is ready. Never waits. Its objects are to be deleted and
    /// answered for within the time-out, which begins now.
    ///
    /// # Errors
    /// What stopped the driver.
    pub fn next_sub_batch(&self) -> Result<Option<Handed>> {
        self.shared.tell()?;
        Ok(self.shared.dispatcher.take(&self.shared.engine))
    }

    /// Takes answers for some or all objects of a sub-batch, each with the place of its object in it; in any order, in
    /// as many calls as it takes. The first answer for an object counts; gives how many did: none where the sub-batch ran
    /// out of time, or was handed out by an earlier opening. Never waits: what was answered is committed by whoever
    /// drives, and on record after that.
    ///
    /// # Errors
    /// `Invalid` where a part, a place or a digest is beyond its bound, or an answer does not fit the class, then none of
    /// them counts; what stopped the driver.
    pub fn answer(&self, id: SubBatchId, answers: Vec<(u32, Answer)>) -> Result<usize> {
        self.shared.check()?;
        let counted = self.shared.dispatcher.answer(&self.shared.engine, id, answers)?;
        self.shared.bell.ring();
        Ok(counted)
    }

    /// A descriptor to be polled: readable exactly while a completion or a sub-batch can be taken, and once where the
    /// driver stopped. Not to be read from.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.shared.signal.fd()
    }

    /// Does what is to do, in this thread, for about `budget_ms`: a piece that has begun is finished, and how long the
    /// handler takes is its own affair. Gives when there will be something to do again, as [`Driver::next_ms`]; 0 where the
    /// budget was used up.
    ///
    /// # Errors
    /// What stopped the driver.
    pub fn run(&self, budget_ms: u32) -> Result<Option<i64>> {
        let shared = &self.shared;
        let end_ms = shared.engine.monotonic_ms().saturating_add(budget_ms.into());
        loop {
            shared.tell()?;
            let mut busy = false;
            for piece in [Shared::register, Shared::handle, Shared::enforce] {
                busy |= piece(shared).inspect_err(|error| shared.fail(error))?;
            }
            if !busy {
                return Ok(shared.next_ms());
            }
            if shared.stopping.load(Ordering::SeqCst) || shared.engine.monotonic_ms() >= end_ms {
                return Ok(Some(AT_ONCE_MS));
            }
        }
    }

    /// When there will be something to do, by the engine's clock ([`Engine::now_ms`]), Unix ms: 0, or else in the past, where
    /// there is already, `None` where nothing is known to come. What is handed out counts by when it runs out of time.
    pub fn next_ms(&self) -> Option<i64> {
        self.shared.next_ms()
    }

    /// What stopped it by itself, where something did.
    pub fn failure(&self) -> Option<Error> {
        self.shared.failure.lock().error.as_ref().map(Error::again)
    }

    /// Stops it, for a defect that its caller met: nothing is handed out or answered any more.
    pub fn fail(&self, why: &str) {
        self.shared.fail(&Error::internal(why));
    }

    /// Stops the threads, each after what it is working at, and waits for them; not to be called by the handler. What was
    /// answered is committed: what nobody has answered in a batch of which something was counts as failed. What was
    /// submitted and not worked off is not applied.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.bell.ring();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // What it panicked with was caught inside.
            let _ = thread.join();
        }
        self.shared.dispatcher.stop();
        if self.failure().is_none()
            && let Err(error) = self.shared.dispatcher.settle(&self.shared.engine)
        {
            self.shared.fail(&error);
        }
        // What is out stays out: nobody else publishes what was committed beside it.
        let _ = self.shared.engine.publish();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// The life of a thread.
    fn work(self: &Arc<Self>, piece: fn(&Arc<Shared>) -> Result<bool>) {
        while !self.stopping.load(Ordering::SeqCst) && self.failure.lock().error.is_none() {
            let heard = self.bell.rung();
            // A panic is a defect; what it left half done is found out by reopening.
            match catch_unwind(AssertUnwindSafe(|| piece(self))) {
                Ok(Ok(true)) => self.bell.ring(),
                Ok(Ok(false)) => self.bell.wait(heard),
                Ok(Err(error)) => self.fail(&error),
                Err(_) => {
                    self.fail(&Error::internal("a thread panicked; close the engine and open it again"));
                }
            }
        }
    }

    fn register(self: &Arc<Self>) -> Result<bool> {
        Ok(self.submissions.work_off(&self.engine))
    }

    fn enforce(self: &Arc<Self>) -> Result<bool> {
        self.dispatcher.advance(&self.engine)
    }

    fn handle(self: &Arc<Self>) -> Result<bool> {
        let Some(handler) = &self.handler else { return Ok(false) };
        let Some(handed) = self.dispatcher.take(&self.engine) else { return Ok(false) };
        let id = handed.id();
        let why = match handler(handed).map(|answers| self.dispatcher.answer(&self.engine, id, answers)) {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(error)) => error.to_string(),
            Err(why) => why,
        };
        self.dispatcher.fail_rest(id, &why, self.engine.now_ms());
        Ok(true)
    }

    fn next_ms(&self) -> Option<i64> {
        let (now_ms, monotonic_ms) = (self.engine.now_ms(), self.engine.monotonic_ms());
        let by_clock = |at_ms: i64| now_ms.saturating_add(at_ms.saturating_sub(monotonic_ms));
        let next = self.dispatcher.next();
        let is_ready = self.handler.is_some() && self.dispatcher.is_ready();
        if next.commit || is_ready || self.submissions.is_waiting() {
            return Some(AT_ONCE_MS);
        }
        let due = if self.engine.has_unanswered() { Some(AT_ONCE_MS) } else { self.engine.next_plan_ms() };
        // What was due when planning found nothing is stopped, by an alarm perhaps: it is asked again, but not all the time.
        let plan = due.filter(|_| next.has_room).map(|due_ms| match next.found_nothing_ms.map(by_clock) {
            Some(tried_ms) if due_ms <= tried_ms => tried_ms.saturating_add(STOPPED_MS),
            _ => due_ms,
        });
        let again = self.engine.publish_again_ms();
        next.run_out_ms.into_iter().chain(again).map(by_clock).chain(plan).min()
    }

    /// What stopped it, as often as it is asked, to somebody who polls: that it stopped is no news any more.
    fn tell(&self) -> Result<()> {
        let mut failure = self.failure.lock();
        if std::mem::take(&mut failure.is_news) {
            self.signal.took();
        }
        drop(failure);
        self.check()
    }

    /// What stopped it, as often as it is asked.
    fn check(&self) -> Result<()> {
        self.failure.lock().error.as_ref().map_or(Ok(()), |error| Err(error.again()))
    }

    fn fail(&self, error: &Error) {
        // Whatever failed, once the engine is poisoned there is one thing to do. A defect says so itself.
        let error = match self.engine.state() {
            State::Poisoned(_) if !matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Internal) => {
                Error::new(ErrorKind::Poisoned, format!("{error}; close the engine and open it again"))
            }
            _ => error.again(),
        };
        tracing::error!(%error, "enforcement is off");
        let mut failure = self.failure.lock();
        // The first stays, unless it only followed from the defect that is told of now.
        let follows =
            |first: &Error| first.kind() == ErrorKind::Poisoned && error.kind() == ErrorKind::Internal;
        if failure.error.as_ref().is_some_and(|first| !follows(first)) {
            return;
        }
        *failure = Failure { error: Some(error.again()), is_news: true };
        self.signal.put();
        drop(failure);
        // Nobody gets what is ready, and nobody works off what waits.
        self.dispatcher.stop();
        self.submissions.fail_all(&error);
        self.bell.ring();
    }
}
