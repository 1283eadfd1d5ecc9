//! Source: the settings of a directory, its store, and what its threads share.

use super::limit::Limit;
use super::measures::{SourceMeasures, Tally};
use super::report::{EnabledBy, SourceReport, SourceState};
use super::settings::{Settings, check_apart, other_root};
use crate::intake::{self, Intake, StartBy, Taken, Why};
use parking_lot::{Mutex, RwLock};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, OwnedFd};
use sexton::class::Definition;
use sexton::decision::AcceptedRoot;
use sexton::store::dir::{DirStore, Root};
use sexton::testing::{Clock, Monotonic};
use sexton::{Engine, Error, ErrorKind, Result, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Limit on the reasons in [`SourceReport::first_refused`].
const REASONS_MAX: usize = 10;

/// Names and paths of all sources, with which each compares its root.
pub(super) type Peers = Arc<RwLock<Vec<(String, PathBuf)>>>;

/// Surroundings that all sources share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    /// Data folder of the engine.
    pub(super) data: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peers: Peers,
    /// Limit on watches of each source, beside that of the system.
    pub(super) watches_max: usize,
    /// Called before the events of a source are read.
    #[cfg(test)]
    pub(super) before_events: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Directory at work.
pub(super) struct Source {
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    /// Store on the root, once it was enabled and there. Lock order: before `progress`.
    store: Mutex<Option<Arc<DirStore>>>,
    pub(super) limit: Option<Mutex<Limit>>,
    progress: Mutex<Progress>,
    pub(super) tally: Tally,
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

impl Source {
    /// Creates a source.
    ///
    /// # Errors
    /// `Io` if the system gives no descriptor.
    pub(super) fn new(settings: Settings, shared: Shared) -> Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| {
            Error::with_source(
                ErrorKind::Io,
                "the system gives no event descriptor",
                std::io::Error::from(errno),
            )
        })?;
        let now = shared.clock.monotonic();
        let limit = settings.directory.max_deletes_per_second.map(|limit| Mutex::new(Limit::new(limit, now)));
        let (is_stopped, wants_scan) = (AtomicBool::new(false), AtomicBool::new(false));
        let (store, progress, tally) = (Mutex::default(), Mutex::default(), Tally::default());
        let started = now;
        Ok(Source { settings, shared, store, limit, progress, tally, started, wake, is_stopped, wants_scan })
    }

    pub(super) fn name(&self) -> &str {
        self.settings.source.name()
    }

    /// Returns the store on the root, if the source is enabled and its root is there.
    ///
    /// # Errors
    /// The reason for which the source does not work.
    pub(super) fn enter(&self) -> std::result::Result<Arc<DirStore>, Trouble> {
        let path = &self.settings.directory.path;
        let accepted = self.accepted().map_err(|error| Trouble::Refused(error.to_string()))?;
        let Some(accepted) = accepted else {
            return Err(Trouble::NotEnabled(format!(
                "the folder {} was not accepted for it yet",
                path.display()
            )));
        };
        if accepted.source.as_ref() != Some(&self.settings.source) {
            return Err(Trouble::Refused(
                "its root was enabled with another prefix; the prefix of a source never changes".into(),
            ));
        }
        let mut store = self.store.lock();
        if let Some(open) = store.as_ref().filter(|open| open.id() == accepted.id) {
            return match open.root() {
                Ok(_) => Ok(Arc::clone(open)),
                Err(error) => Err(Trouble::RootLost(error.to_string())),
            };
        }
        *store = None;
        let root = Root::open(path).map_err(|error| Trouble::RootLost(error.to_string()))?;
        if root.id() != Some(accepted.id) {
            return Err(Trouble::RootLost(lost(&root, &path.display().to_string(), self.name())));
        }
        self.check_apart(&root).map_err(|error| Trouble::Refused(error.to_string()))?;
        drop(root);
        let open = DirStore::reopen(path).map_err(|error| Trouble::RootLost(error.to_string()))?;
        if open.id() != accepted.id {
            return Err(Trouble::RootLost(format!(
                "{} was replaced by another folder meanwhile",
                path.display()
            )));
        }
        let open = Arc::new(open);
        *store = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Returns the root that was accepted under its name.
    fn accepted(&self) -> Result<Option<AcceptedRoot>> {
        let is_own = |root: &AcceptedRoot| root.source.as_ref().is_some_and(|of| of.name() == self.name());
        Ok(self.shared.engine.roots()?.into_iter().find(is_own))
    }

    /// Refuses a root that overlaps the data folder or the root of another source.
    pub(super) fn check_apart(&self, root: &Root) -> Result<()> {
        root.check_apart(&self.shared.data)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        let peers = self.shared.peers.read().clone();
        for (name, path) in peers.iter().filter(|(name, _)| name != self.name()) {
            if let Some(other) = other_root(path) {
                check_apart(self.name(), root, [(name.as_str(), &other)].into_iter())?;
            }
        }
        Ok(())
    }

    /// Returns the class of new objects and the rule for their starts.
    pub(super) fn class(&self) -> Result<(Definition, StartBy)> {
        let class = intake::class(&self.shared.engine, &self.settings.directory.class)?;
        let start = self.settings.directory.start.unwrap_or(StartBy::usual(&class));
        Ok((class, start))
    }

    /// Returns the intake of its files, into an engine in memory if one is given.
    pub(super) fn intake<'a>(
        &'a self,
        class: &'a Definition,
        start: StartBy,
        dry: Option<&'a Engine>,
    ) -> Intake<'a> {
        let returned = self.settings.directory.returned;
        Intake { engine: &self.shared.engine, dry, class, start, returned }
    }

    /// Returns the key of the file at a path below the root.
    pub(super) fn key(&self, path: &[u8]) -> Vec<u8> {
        [self.settings.source.prefix().as_bytes(), path].concat()
    }

    /// Returns why a file at this path cannot be an object of the source, if it cannot: its key is one of another source.
    pub(super) fn foreign(&self, path: &[u8]) -> Option<String> {
        if !self.settings.source.prefix().is_empty() {
            return None;
        }
        let first = path.iter().position(|byte| *byte == b'/').and_then(|slash| path.get(..slash))?;
        let peers = self.shared.peers.read();
        let (name, _) = peers.iter().find(|(name, _)| name != self.name() && name.as_bytes() == first)?;
        Some(format!(
            "a folder has the name of the source {name:?}, so its files have keys of that source; rename it"
        ))
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
        let state = progress.state();
        let works = matches!(state, SourceState::Watching | SourceState::Rescanning);
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
            rescan: self.settings.directory.rescan.0,
            intake_lag: progress.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)),
            counts: self.tally.counts(),
        }
    }

    pub(super) fn report(&self) -> SourceReport {
        // Without the record, the state says why.
        let decided = self.accepted().ok().flatten().and_then(|root| root.decided);
        let progress = self.progress.lock();
        let now = self.shared.clock.monotonic();
        let state = progress.state();
        let why = progress.trouble.as_ref().map(|trouble| trouble.why().to_owned());
        let lag = progress.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        let directory = &self.settings.directory;
        SourceReport {
            name: self.name().into(),
            prefix: self.settings.source.prefix().into(),
            path: directory.path.to_string_lossy().into_owned(),
            class: directory.class.clone(),
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
        }
    }
}

impl Progress {
    fn state(&self) -> SourceState {
        match &self.trouble {
            Some(trouble) => trouble.state(),
            None if !self.has_started => SourceState::Starting,
            None if self.unwatched.is_some() => SourceState::Rescanning,
            None => SourceState::Watching,
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

/// Returns why a folder is not the root that was accepted.
fn lost(root: &Root, path: &str, name: &str) -> String {
    let what = match (root.is_labelled(), root.id()) {
        (false, _) => "has no label of a root",
        (true, None) => "has a label that is damaged or was copied from another root",
        (true, Some(_)) => "is another root",
    };
    format!(
        "{path} {what}; mount the disk, or accept the folder in its place with `sexton source enable {name}`"
    )
}
