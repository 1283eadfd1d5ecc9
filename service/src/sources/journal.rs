//! Journal of a source: what its threads share, and what they did, for its report.

use super::limit::Limit;
use super::measures::{SourceMeasures, Tally};
use super::report::{EnabledBy, SourceReport, SourceState};
use super::shared::Shared;
use crate::intake::{Taken, Why};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, OwnedFd};
use sexton::decision::{AcceptedRoot, RootSource};
use sexton::testing::Monotonic;
use sexton::{Error, ErrorKind, Result, Timestamp};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Limit on the reasons in [`SourceReport::first_refused`].
const REASONS_MAX: usize = 10;

/// What a journal says of its source at all times.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) source: RootSource,
    /// Path or URL of the place.
    pub(super) path: String,
    /// Class of new objects.
    pub(super) class: String,
    /// Time between two full scans.
    pub(super) rescan: Duration,
    /// Limit on deletions in a second.
    pub(super) limit: Option<NonZeroU32>,
    /// State of the source while it works.
    pub(super) works: SourceState,
}

/// Journal of a source.
pub(super) struct Journal {
    pub(super) about: About,
    pub(super) shared: Shared,
    pub(super) limit: Option<Mutex<Limit>>,
    pub(super) tally: Tally,
    progress: Mutex<Progress>,
    started: Monotonic,
    wake: OwnedFd,
    is_stopped: AtomicBool,
    wants_scan: AtomicBool,
}

/// What a source did, for its report.
#[derive(Default)]
struct Progress {
    trouble: Option<Trouble>,
    has_started: bool,
    /// Reason for which not all folders are watched.
    unwatched: Option<String>,
    is_scanning: bool,
    last_scan: Option<Timestamp>,
    /// Beginning of the full scan under way.
    scan_began: Option<Monotonic>,
    /// End of the last full scan, and the time that it took.
    scanned: Option<(Monotonic, Duration)>,
    watched: u64,
    settling: u64,
    /// Instant from which the oldest file waits that is complete.
    oldest: Option<Monotonic>,
    registered: u64,
    renamed: u64,
    changed: u64,
    replaced: u64,
    deleted_again: u64,
    files: Files,
    /// As of the full scan under way.
    scan_files: Files,
    error: Option<String>,
    warnings: Vec<String>,
}

/// Files by what became of them.
#[derive(Clone, Default)]
struct Files {
    known: u64,
    came_back: u64,
    refused: u64,
    reasons: Vec<String>,
}

impl Files {
    /// Adds files that were found. A known file counts once: at the scan that finds it, or when it is registered.
    fn add(&mut self, taken: &Taken, is_scanning: bool) {
        self.known += taken.registered + taken.deleted_again;
        if is_scanning {
            self.known += taken.known + taken.changed + taken.replaced;
        }
        for refused in &taken.refused {
            match &refused.why {
                Why::CameBack(_) => self.came_back += 1,
                Why::Said(why) => {
                    self.refused += 1;
                    if self.reasons.len() < REASONS_MAX {
                        self.reasons.push(why.clone());
                    }
                }
            }
        }
    }
}

/// Reason for which a source does not work now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    NotEnabled(String),
    RootLost(String),
    Refused(String),
}

impl Trouble {
    pub(super) fn why(&self) -> &str {
        match self {
            Trouble::NotEnabled(why) | Trouble::RootLost(why) | Trouble::Refused(why) => why,
        }
    }
}

/// Position of a source in its work, for its report.
pub(super) struct Position {
    pub(super) is_scanning: bool,
    pub(super) watched: u64,
    pub(super) unwatched: Option<String>,
    pub(super) settling: u64,
    pub(super) oldest: Option<Monotonic>,
}

impl Journal {
    /// Creates a journal.
    ///
    /// # Errors
    /// `Io` if the system gives no descriptor.
    pub(super) fn new(about: About, shared: Shared) -> Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| {
            Error::with_source(
                ErrorKind::Io,
                "the system gives no event descriptor",
                std::io::Error::from(errno),
            )
        })?;
        let started = shared.clock.monotonic();
        let limit = about.limit.map(|limit| Mutex::new(Limit::new(limit, started)));
        let (is_stopped, wants_scan) = (AtomicBool::new(false), AtomicBool::new(false));
        let (progress, tally) = (Mutex::default(), Tally::default());
        Ok(Journal { about, shared, limit, tally, progress, started, wake, is_stopped, wants_scan })
    }

    pub(super) fn name(&self) -> &str {
        self.about.source.name()
    }

    pub(super) fn prefix(&self) -> &str {
        self.about.source.prefix()
    }

    /// Returns the root that was accepted under its name.
    pub(super) fn accepted(&self) -> Result<Option<AcceptedRoot>> {
        let is_own = |root: &AcceptedRoot| root.source.as_ref().is_some_and(|of| of.name() == self.name());
        Ok(self.shared.engine.roots()?.into_iter().find(is_own))
    }

    /// Wakes its thread.
    pub(super) fn wake(&self) {
        // A full counter wakes too.
        let _ = rustix::io::write(&self.wake, &[1; 8]);
    }

    /// Asks its thread to end.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// Asks its thread for a full scan.
    pub(super) fn rescan(&self) {
        self.wants_scan.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Returns `true` once after a full scan was asked for.
    pub(super) fn take_rescan(&self) -> bool {
        self.wants_scan.swap(false, Ordering::SeqCst)
    }

    /// Waits until it is woken, something can be read from `events`, or the time has passed.
    pub(super) fn wait(&self, events: Option<&dyn AsFd>, at_most: Duration) {
        let timeout = Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut polled = vec![PollFd::new(&self.wake, PollFlags::IN)];
        polled.extend(events.map(|events| PollFd::from_borrowed_fd(events.as_fd(), PollFlags::IN)));
        // An interrupted wait is a short one.
        let _ = poll(&mut polled, Some(&timeout));
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }

    /// Notes that it does not work, or works again.
    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        let mut progress = self.progress.lock();
        progress.has_started = true;
        if progress.trouble != trouble {
            match &trouble {
                Some(trouble) => {
                    tracing::warn!(source = self.name(), state = trouble.word(), "a source does not work");
                }
                None => tracing::info!(source = self.name(), "a source works"),
            }
        }
        progress.trouble = trouble;
    }

    /// Notes the result of an attempt to register.
    pub(super) fn add_taken(&self, taken: &Taken) {
        let mut progress = self.progress.lock();
        progress.registered += taken.registered;
        progress.renamed += taken.renamed;
        progress.changed += taken.changed;
        progress.replaced += taken.replaced;
        progress.deleted_again += taken.deleted_again;
        let is_scanning = progress.is_scanning;
        progress.files.add(taken, false);
        if is_scanning {
            progress.scan_files.add(taken, true);
        }
    }

    /// Notes that the engine registers again.
    pub(super) fn clear_error(&self) {
        self.progress.lock().error = None;
    }

    /// Notes what stands in the way of its promises, one message each.
    pub(super) fn set_warnings(&self, warnings: Vec<String>) {
        self.progress.lock().warnings = warnings;
    }

    /// Notes an error of the engine.
    pub(super) fn set_error(&self, error: &Error) {
        self.tally.add_not_registered();
        let mut progress = self.progress.lock();
        if progress.error.is_none() {
            tracing::error!(source = self.name(), kind = ?error.kind(), "a source cannot register; it tries again");
        }
        progress.error = Some(error.to_string());
    }

    pub(super) fn set_position(&self, position: Position) {
        let now = self.shared.clock.monotonic();
        let mut progress = self.progress.lock();
        progress.watched = position.watched;
        progress.settling = position.settling;
        progress.oldest = position.oldest;
        progress.unwatched = position.unwatched;
        if position.is_scanning && !progress.is_scanning {
            progress.scan_files = Files::default();
            progress.scan_began = Some(now);
        }
        if progress.is_scanning && !position.is_scanning {
            progress.last_scan = Some(self.shared.engine.now());
            progress.scanned = progress.scan_began.take().map(|began| (now, now.since(began)));
            progress.files = std::mem::take(&mut progress.scan_files);
        }
        progress.is_scanning = position.is_scanning;
    }

    /// Notes that its thread has let go of the root before the end of a scan.
    pub(super) fn leave(&self) {
        let mut progress = self.progress.lock();
        progress.is_scanning = false;
        (progress.watched, progress.settling, progress.oldest) = (0, 0, None);
    }

    pub(super) fn measures(&self) -> SourceMeasures {
        let progress = self.progress.lock();
        let now = self.shared.clock.monotonic();
        let state = progress.state(self.about.works);
        let works = state == self.about.works || state == SourceState::Rescanning;
        let since = progress.scanned.map_or(self.started, |(ended, _)| ended);
        SourceMeasures {
            name: self.name().into(),
            state,
            files: [
                ("known", progress.files.known),
                ("waiting", progress.settling),
                ("refused", progress.files.refused),
                ("came_back", progress.files.came_back),
            ],
            watched: progress.watched,
            last_scan: progress.last_scan,
            scan_took: progress.scanned.map(|(_, took)| took),
            scan_age: works.then(|| now.since(since)),
            rescan: self.about.rescan,
            intake_lag: progress.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)),
            counts: self.tally.counts(),
        }
    }

    pub(super) fn report(&self) -> SourceReport {
        // Without the record, the state says why.
        let decided = self.accepted().ok().flatten().and_then(|root| root.decided);
        let progress = self.progress.lock();
        let now = self.shared.clock.monotonic();
        let state = progress.state(self.about.works);
        let why = progress.trouble.as_ref().map(|trouble| trouble.why().to_owned());
        let lag = progress.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        SourceReport {
            name: self.name().into(),
            prefix: self.prefix().into(),
            path: self.about.path.clone(),
            class: self.about.class.clone(),
            state,
            enabled: decided.map(EnabledBy::from),
            why: why.or_else(|| progress.unwatched.clone()),
            scanning: progress.is_scanning,
            last_scan_ms: progress.last_scan.map(Timestamp::unix_ms),
            watched_folders: progress.watched,
            settling: progress.settling,
            intake_lag_ms: u64::try_from(lag.as_millis()).unwrap_or(u64::MAX),
            registered: progress.registered,
            renamed: progress.renamed,
            changed: progress.changed,
            replaced: progress.replaced,
            deleted_again: progress.deleted_again,
            came_back: progress.files.came_back,
            refused: progress.files.refused,
            first_refused: progress.files.reasons.clone(),
            error: progress.error.clone(),
            warnings: progress.warnings.clone(),
        }
    }
}

impl Progress {
    fn state(&self, works: SourceState) -> SourceState {
        match &self.trouble {
            Some(trouble) => trouble.state(),
            None if !self.has_started => SourceState::Starting,
            None if self.unwatched.is_some() => SourceState::Rescanning,
            None => works,
        }
    }
}

impl Trouble {
    fn state(&self) -> SourceState {
        match self {
            Trouble::NotEnabled(_) => SourceState::NotEnabled,
            Trouble::RootLost(_) => SourceState::RootLost,
            Trouble::Refused(_) => SourceState::Refused,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Trouble::NotEnabled(_) => "not enabled",
            Trouble::RootLost(_) => "root lost",
            Trouble::Refused(_) => "refused",
        }
    }
}
