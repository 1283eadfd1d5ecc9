//! State that the threads of a driver share with its host, and the pieces of work that they do.

use crate::driver::dispatcher::Dispatcher;
use crate::driver::event_fd::EventFd;
use crate::driver::notify::Notify;
use crate::driver::options::Handler;
use crate::driver::submissions::Submissions;
use crate::engine::Engine;
use crate::engine::status::EngineState;
use crate::platform::clock::Monotonic;
use crate::platform::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use sexton_proof::time::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Instant that means "at once": the Unix epoch, which lies in the past.
pub(crate) const AT_ONCE: Timestamp = Timestamp::from_unix_ms(0);

/// Time after which a driver looks again at due objects whose deletion is stopped.
const STOPPED: Duration = Duration::from_secs(1);

/// Piece of work. It returns `false` if there was none.
pub(crate) type Work = fn(&Shared) -> Result<bool>;

/// State of a driver.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) submissions: Submissions,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) event_fd: Arc<EventFd>,
    pub(crate) handler: Option<Box<Handler>>,
    pub(crate) notify: Notify,
    pub(crate) stopping: AtomicBool,
    pub(crate) failure: Mutex<Failure>,
}

/// Error that stopped a driver.
#[derive(Default)]
pub(crate) struct Failure {
    error: Option<Error>,
    /// `true` while the descriptor shows the error and the host has not asked for it.
    is_unreported: bool,
}

impl Failure {
    /// Returns the error, if there is one.
    pub(crate) fn error(&self) -> Option<Error> {
        self.error.as_ref().map(Error::duplicate)
    }
}

impl Shared {
    /// Runs the body of a thread: works until there is no work, waits, and repeats until the driver stops.
    pub(crate) fn run_thread(&self, work: Work) {
        while !self.stopping.load(Ordering::SeqCst) && self.failure.lock().error.is_none() {
            let seen = self.notify.sent();
            // A panic is a defect. Opening the engine again recovers from an incomplete step.
            match catch_unwind(AssertUnwindSafe(|| work(self))) {
                Ok(Ok(true)) => self.notify.notify(),
                Ok(Ok(false)) => self.notify.wait(seen),
                Ok(Err(error)) => self.fail(&error),
                Err(_) => {
                    self.fail(&Error::internal("a thread panicked; close the engine and open it again"));
                }
            }
        }
    }

    /// Applies waiting submissions.
    pub(crate) fn register(&self) -> Result<bool> {
        Ok(self.submissions.drain(&self.engine))
    }

    /// Commits an answered batch, or else plans one.
    pub(crate) fn enforce(&self) -> Result<bool> {
        self.dispatcher.advance(&self.engine)
    }

    /// Calls the handler with a ready sub-batch.
    pub(crate) fn handle(&self) -> Result<bool> {
        let Some(handler) = &self.handler else { return Ok(false) };
        let Some(sub_batch) = self.dispatcher.take(&self.engine) else { return Ok(false) };
        let id = sub_batch.id();
        let answered = handler(sub_batch).map(|answers| self.dispatcher.answer(&self.engine, id, answers));
        let why = match answered {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(error)) => error.to_string(),
            Err(why) => why,
        };
        self.dispatcher.fail_rest(&self.engine, id, &why);
        Ok(true)
    }

    /// Returns the next instant with work, as [`Driver::next`](crate::Driver::next) does.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let (now, monotonic) = (self.engine.now(), self.engine.monotonic());
        // One of the two spans is zero, because the instant is either in the future or in the past.
        let by_clock =
            |at: Monotonic| now.saturating_add(at.since(monotonic)).saturating_sub(monotonic.since(at));
        let next = self.dispatcher.next_work();
        let is_ready = self.handler.is_some() && self.dispatcher.is_ready();
        if next.commit || is_ready || self.submissions.is_waiting() {
            return Some(AT_ONCE);
        }
        let due = if self.engine.has_unanswered() { Some(AT_ONCE) } else { self.engine.next_plan() };
        // If objects were due and planning found no batch, deletion is stopped, for example by an alarm. The driver then
        // polls once a second, because polling without pause would keep a core busy.
        let found_nothing = next.found_nothing.map(by_clock);
        let plan = due.filter(|_| next.has_room).map(|due| match found_nothing {
            Some(tried) if due <= tried => tried.saturating_add(STOPPED),
            _ => due,
        });
        let publish = self.engine.publish_again();
        next.runs_out.into_iter().chain(publish).map(by_clock).chain(plan).min()
    }

    /// Fails with the error that stopped the driver, and clears it from the descriptor. For calls of an event loop.
    pub(crate) fn report_failure(&self) -> Result<()> {
        let mut failure = self.failure.lock();
        if std::mem::take(&mut failure.is_unreported) {
            self.event_fd.remove();
        }
        failure.error().map_or(Ok(()), Err)
    }

    /// Fails with the error that stopped the driver, if there is one.
    pub(crate) fn ensure_running(&self) -> Result<()> {
        self.failure.lock().error().map_or(Ok(()), Err)
    }

    /// Stops the driver because of `error`.
    pub(crate) fn fail(&self, error: &Error) {
        // Once the engine is poisoned, every error has the same remedy. The message of an internal error names it already.
        let error = match self.engine.state() {
            EngineState::Poisoned(_)
                if !matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Internal) =>
            {
                Error::new(ErrorKind::Poisoned, format!("{error}; close the engine and open it again"))
            }
            _ => error.duplicate(),
        };
        tracing::error!(%error, "enforcement has stopped");
        let mut failure = self.failure.lock();
        // The first error stays, unless it was a consequence of this defect.
        let is_consequence =
            |first: &Error| first.kind() == ErrorKind::Poisoned && error.kind() == ErrorKind::Internal;
        if failure.error.as_ref().is_some_and(|first| !is_consequence(first)) {
            return;
        }
        *failure = Failure { error: Some(error.duplicate()), is_unreported: true };
        self.event_fd.add();
        drop(failure);
        self.dispatcher.stop();
        self.submissions.fail_all(&error);
        self.notify.notify();
    }
}
