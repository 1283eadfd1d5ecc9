//! Driving an engine for a host that must not wait: what is submitted is registered, what is due is planned ahead and
//! handed out in sub-batches, what is answered is committed. In threads of its own, or in the host's, a budget at a time.

use crate::change::Change;
use crate::dispatch::{Dispatcher, Handed, Limits, SubBatchId};
use crate::engine::{Engine, PART_OBJECTS};
use crate::error::{Error, Result};
use crate::register::{Durability, Registration};
use crate::signal::Signal;
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
    /// Batches planned and not yet committed. A hold that is placed comes too late for what is planned, so few.
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
    fn check(&self) -> Result<()> {
        let DriverOptions { handler_threads, sub_batch_objects, batches, answer_timeout_ms, .. } = *self;
        if [handler_threads, sub_batch_objects, batches, self.queue_objects].contains(&0)
            || answer_timeout_ms == 0
        {
            return Err(Error::invalid(format!(
                "{handler_threads} handler threads, {sub_batch_objects} objects in a sub-batch, {batches} batches, {} \
                 objects queued, {answer_timeout_ms} ms for an answer; each must be at least 1",
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

/// How long a thread waits, once there was nothing to do, before it looks again.
const IDLE: Duration = Duration::from_millis(100);

/// How long until a driver without threads looks again at what is due and stopped, ms.
const STOPPED_MS: i64 = 1_000;

/// An engine that is driven. Dropping it stops its threads; what is handed out and not answered by then is handed out again
/// when the engine is driven next.
pub struct Driver {
    shared: Arc<Shared>,
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
        options.check()?;
        let signal = Arc::new(Signal::new()?);
        let limits = Limits {
            objects: options.sub_batch_objects,
            batches: options.batches,
            answer_ms: options.answer_timeout_ms.into(),
        };
        let handlers = if handler.is_some() { options.handler_threads } else { 0 };
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
        let driver = Driver { shared, threads: Mutex::default() };
        if options.threads {
            driver.spawn("sexton-register", Shared::register)?;
            driver.spawn("sexton-enforce", Shared::enforce)?;
            for _ in 0..handlers {
                driver.spawn("sexton-handle", Shared::handle)?;
            }
        }
        Ok(driver)
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
            None => self.shared.check().map(|()| None),
        }
    }

    /// The next sub-batch that is due; `None` where none is ready. Never waits. Its objects are to be deleted and
    /// answered for within the time-out, which begins now.
    ///
    /// # Errors
    /// What stopped the driver.
    pub fn next_sub_batch(&self) -> Result<Option<Handed>> {
        self.shared.check()?;
        Ok(self.shared.dispatcher.take(self.shared.engine.monotonic_ms()))
    }

    /// Takes answers for some or all objects of a sub-batch, each with the place of its object in it; in any order, in
    /// as many calls as it takes. The first answer for an object counts; gives how many did: none where the sub-batch ran
    /// out of time, or was handed out by an earlier opening. Never waits: what was answered is committed by whoever
    /// drives, and on record after that.
    ///
    /// # Errors
    /// `Invalid` where a place or a digest is beyond its bound, then none of them counts; what stopped the driver.
    pub fn answer(&self, id: SubBatchId, answers: Vec<(u32, Answer)>) -> Result<usize> {
        self.shared.check()?;
        let counted = self.shared.dispatcher.answer(id, answers, self.shared.engine.now_ms())?;
        self.shared.bell.ring();
        Ok(counted)
    }

    /// A descriptor to be polled: readable exactly while a completion or a sub-batch can be taken, and once where the
    /// driver stopped. Not to be read from.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.shared.signal.fd()
    }

    /// Does what is to do, in this thread, for about `budget_ms`: a piece that has begun is finished, and how long the
    /// handler takes is its own affair. Gives when there will be something to do again, Unix ms: in the past where the
    /// budget was used up, `None` where nothing is known to come.
    ///
    /// # Errors
    /// What stopped the driver.
    pub fn run(&self, budget_ms: u32) -> Result<Option<i64>> {
        let shared = &self.shared;
        let end_ms = shared.engine.monotonic_ms().saturating_add(budget_ms.into());
        loop {
            shared.check()?;
            let mut busy = false;
            for piece in [Shared::register, Shared::handle, Shared::enforce] {
                busy |= piece(shared).inspect_err(|error| shared.fail(error))?;
            }
            if !busy {
                return Ok(shared.next_ms());
            }
            if shared.stopping.load(Ordering::SeqCst) || shared.engine.monotonic_ms() >= end_ms {
                return Ok(Some(shared.engine.now_ms()));
            }
        }
    }

    /// When there will be something to do, Unix ms: in the past where there is already, `None` where nothing is known to come.
    /// What is handed out counts by when it runs out of time.
    pub fn next_ms(&self) -> Option<i64> {
        self.shared.next_ms()
    }

    /// Stops the threads, each after what it is working at, and waits for them; not to be called by the handler. What was submitted and not worked off is
    /// not applied.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.bell.ring();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // What it panicked with was caught inside.
            let _ = thread.join();
        }
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
        let Some(handed) = self.dispatcher.take(self.engine.monotonic_ms()) else { return Ok(false) };
        let id = handed.id();
        let answered = handler(handed);
        let now_ms = self.engine.now_ms();
        let why = match answered.map(|answers| self.dispatcher.answer(id, answers, now_ms)) {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(error)) => error.to_string(),
            Err(why) => why,
        };
        self.dispatcher.fail_rest(id, &why, now_ms);
        Ok(true)
    }

    fn next_ms(&self) -> Option<i64> {
        let now_ms = self.engine.now_ms();
        if self.submissions.is_waiting() || (self.handler.is_some() && self.dispatcher.is_ready()) {
            return Some(now_ms);
        }
        let left = self.dispatcher.next_run_out_ms().map(|at| at.saturating_sub(self.engine.monotonic_ms()));
        let run_out = left.map(|left| now_ms.saturating_add(left));
        // What is due and yet was not planned is stopped, by an alarm perhaps: it is asked again, but not all the time.
        let plan = self.engine.next_plan_ms().filter(|_| self.dispatcher.has_room());
        let plan = plan.map(|at| if at <= now_ms { now_ms.saturating_add(STOPPED_MS) } else { at });
        run_out.into_iter().chain(plan).min()
    }

    /// What stopped it, as often as it is asked.
    fn check(&self) -> Result<()> {
        let mut failure = self.failure.lock();
        match &failure.error {
            None => Ok(()),
            Some(error) => {
                let error = error.again();
                if std::mem::take(&mut failure.is_news) {
                    self.signal.took();
                }
                Err(error)
            }
        }
    }

    fn fail(&self, error: &Error) {
        tracing::error!(%error, "enforcement is off");
        let mut failure = self.failure.lock();
        if failure.error.is_none() {
            *failure = Failure { error: Some(error.again()), is_news: true };
            self.signal.put();
        }
        drop(failure);
        self.bell.ring();
    }
}
