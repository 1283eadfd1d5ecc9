//! Submissions: registrations and changes that are queued with a token, and their completions.
//!
//! The submitting thread does not wait. The thread that drives the engine applies the queue, and many small submissions
//! share one fsync.

use crate::driver::event_fd::EventFd;
use crate::driver::job::{Answers, Job};
use crate::engine::Engine;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::registration::change::Change;
use crate::registration::register::{Durability, REGISTER_MAX, RegisterOptions, Registration};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most submissions that are applied together.
const GROUP_MAX: usize = 1_000;
/// Objects of submissions that are applied together, unless the first submission has more.
const GROUP_OBJECTS_MAX: usize = 10_000;

/// Call that waits to be applied.
#[derive(Debug)]
struct Submission {
    token: u64,
    /// Room that it takes in the queue: its number of objects, at least 1.
    objects: usize,
    durability: Durability,
    job: Job,
}

/// Result of a submission.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Token of the submission.
    pub token: u64,
    /// Answers, or the error that the blocking call would have returned. After `Ok` they are as durable as requested.
    pub result: Result<Answers>,
    objects: usize,
}

/// Queue of submissions, and queue of completions that were not taken yet.
pub(crate) struct Submissions {
    state: Mutex<Queues>,
    /// Most objects in both queues together.
    objects_max: usize,
    event_fd: Arc<EventFd>,
    /// Lock of the thread that applies submissions, held until they are completed. Other threads may submit meanwhile. It
    /// keeps the order of submitting: an earlier registration of a key must not replace a later one.
    draining: Mutex<()>,
}

#[derive(Default)]
struct Queues {
    submissions: VecDeque<Submission>,
    completions: VecDeque<Completion>,
    /// Objects of submissions that wait, are being applied, or were completed and not taken.
    objects: usize,
}

impl Submissions {
    pub(crate) fn new(objects_max: usize, event_fd: Arc<EventFd>) -> Self {
        Submissions { state: Mutex::default(), objects_max, event_fd, draining: Mutex::default() }
    }

    /// Queues registrations.
    pub(crate) fn register(
        &self,
        token: u64,
        registrations: &[Registration<'_>],
        options: RegisterOptions,
    ) -> Result<()> {
        self.push(token, registrations.len(), options.durability, || Job::register(registrations, options))
    }

    /// Queues changes.
    pub(crate) fn change(&self, token: u64, changes: &[Change<'_>], durability: Durability) -> Result<()> {
        self.push(token, changes.len(), durability, || Job::change(changes))
    }

    fn push(
        &self,
        token: u64,
        objects: usize,
        durability: Durability,
        job: impl FnOnce() -> Job,
    ) -> Result<()> {
        let limit = REGISTER_MAX.min(self.objects_max);
        if objects > limit {
            return Err(Error::invalid(format!("{objects} objects in one call; {limit} is the limit")));
        }
        // Copied before the lock is taken.
        let job = job();
        let objects = objects.max(1);
        let mut state = self.state.lock();
        if state.objects.saturating_add(objects) > self.objects_max {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{} objects are queued or completed and not taken; {} is the limit: take completions, then try again",
                    state.objects, self.objects_max
                ),
            ));
        }
        state.objects += objects;
        state.submissions.push_back(Submission { token, objects, durability, job });
        Ok(())
    }

    /// Takes the next completion. `None` if there is none. Never waits for a disk.
    pub(crate) fn take(&self) -> Option<Completion> {
        let mut state = self.state.lock();
        let completion = state.completions.pop_front()?;
        state.objects -= completion.objects;
        self.event_fd.remove();
        Some(completion)
    }

    /// Completes all waiting submissions with an error, because no thread will apply them.
    pub(crate) fn fail_all(&self, error: &Error) {
        let mut state = self.state.lock();
        for submission in std::mem::take(&mut state.submissions) {
            self.complete(&mut state, &submission, Err(error.duplicate()));
        }
    }

    fn complete(&self, state: &mut Queues, submission: &Submission, result: Result<Answers>) {
        let Submission { token, objects, .. } = *submission;
        state.completions.push_back(Completion { token, result, objects });
        self.event_fd.add();
    }

    /// Returns `true` if a submission waits.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state.lock().submissions.is_empty()
    }

    /// Applies the waiting submissions, with one fsync for all. Returns `false` if there are none.
    pub(crate) fn drain(&self, engine: &Engine) -> bool {
        let _draining = self.draining.lock();
        let submissions: Vec<Submission> = {
            let mut state = self.state.lock();
            let mut objects = 0;
            let fits = |submission: &&Submission| {
                objects += submission.objects;
                objects <= GROUP_OBJECTS_MAX.max(submission.objects)
            };
            let group = state.submissions.iter().take(GROUP_MAX).take_while(fits).count();
            state.submissions.drain(..group).collect()
        };
        if submissions.is_empty() {
            return false;
        }
        let must_sync = submissions.iter().any(|submission| submission.durability == Durability::Synced);
        let mut in_flight = InFlight { queue: self, submissions, results: Vec::new() };
        let applied: Vec<_> =
            in_flight.submissions.iter().map(|submission| submission.job.apply(engine)).collect();
        // All writes precede this fsync, so it makes all of them durable. A crash before it loses only calls that are not
        // completed.
        let synced = if must_sync { engine.sync() } else { Ok(()) };
        let result = |(submission, applied): (&Submission, Result<Answers>)| match &synced {
            Err(error) if submission.durability == Durability::Synced => applied.and(Err(error.duplicate())),
            _ => applied,
        };
        in_flight.results = in_flight.submissions.iter().zip(applied).map(result).collect();
        true
    }
}

/// Submissions that are being applied, and their results once all are known. Dropping it completes each of them. After a
/// panic they are completed with an error.
struct InFlight<'a> {
    queue: &'a Submissions,
    submissions: Vec<Submission>,
    results: Vec<Result<Answers>>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut results = std::mem::take(&mut self.results).into_iter();
        let lost = || {
            Err(Error::internal(
                "a thread panicked, and it is unknown if the call was applied; close the engine and open it again",
            ))
        };
        let mut state = self.queue.state.lock();
        for submission in &self.submissions {
            self.queue.complete(&mut state, submission, results.next().unwrap_or_else(lost));
        }
    }
}
