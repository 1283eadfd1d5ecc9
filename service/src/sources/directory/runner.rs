//! Thread of a source: finds its files and takes them in.
//!
//! One loop does everything in small steps, so that a full scan of a million files delays no new file:
//!
//! 1. read the events that wait;
//! 2. take in files that are complete, at most [`OBJECTS_MAX`];
//! 3. take in files that a scan found, at most [`OBJECTS_MAX`];
//! 4. list one more folder of a scan.
//!
//! Each step opens the root and closes it. So the disk can be unmounted between two of them.

use super::super::journal::{Position, Trouble};
use super::moves::Moves;
use super::renaming;
use super::scan::{Entry, Scan, Stray};
use super::settle::{Seen, Settling};
use super::source::DirectorySource;
use super::watch::{Event, Watches};
use crate::intake::{Candidate, Names, OBJECTS_MAX, StartBy, Taken};
use rustix::fd::AsFd;
use sexton::class::Definition;
use sexton::store::dir::{DirError, DirStore, FileId, Identified, Identity, Root};
use sexton::testing::Monotonic;
use sexton::{Error, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Longest wait of the thread, and the time after which it looks again if its root is there.
const TICK: Duration = Duration::from_secs(1);

/// Limit on the full buffers of events that are read before other work.
const READS_MAX: usize = 64;

/// Longest wait between two readings of events while renamed files are looked for.
const STRAYS_WAIT: Duration = Duration::from_millis(20);

type Step<T> = Result<T, Trouble>;

/// Runs a source until it is stopped.
pub(super) fn run(source: &DirectorySource) {
    while !source.journal.is_stopped() {
        match source.enter().and_then(|store| Session::new(source, store)?.run()) {
            Ok(()) => {}
            Err(trouble) => {
                source.journal.set_trouble(Some(trouble));
                source.journal.leave();
                source.journal.wait(None, TICK);
            }
        }
    }
}

/// Work on a root from its opening until the source stops or the root is lost.
struct Session<'s> {
    source: &'s DirectorySource,
    store: Arc<DirStore>,
    class: Definition,
    start: StartBy,
    watches: Option<Watches>,
    settling: Settling,
    scan: Scan,
    moves: Moves,
    /// `true` if the full scan compares files with those that are registered under other names.
    compares: bool,
    next_scan: Monotonic,
    next_look: Monotonic,
    /// Instant from which the source tries again after an error of the engine.
    retry: Option<Monotonic>,
}

impl<'s> Session<'s> {
    fn new(source: &'s DirectorySource, store: Arc<DirStore>) -> Step<Self> {
        let (class, start) = source.class().map_err(|error| Trouble::Refused(error.to_string()))?;
        let directory = &source.settings.directory;
        let now = source.journal.shared.clock.monotonic();
        source.journal.set_trouble(None);
        Ok(Session {
            source,
            store,
            class,
            start,
            watches: None,
            settling: Settling::new(directory.settle.0, directory.settle_max.0),
            scan: Scan::default(),
            moves: Moves::default(),
            compares: false,
            next_scan: now,
            next_look: now.saturating_add(TICK),
            retry: None,
        })
    }

    fn run(mut self) -> Step<()> {
        self.begin(Watching::Fresh)?;
        while !self.source.journal.is_stopped() {
            let now = self.now();
            if self.source.journal.take_rescan() || now >= self.next_scan || self.settling.take_overflow() {
                self.begin(Watching::GoOn)?;
            }
            if now >= self.next_look {
                self.look(now)?;
            }
            #[cfg(test)]
            if let Some(hook) = &self.source.journal.shared.before_events {
                hook();
            }
            let mut has_worked = self.read_events()?;
            if self.retry.is_none_or(|retry| now >= retry) {
                self.retry = None;
                has_worked |= self.take_ripe()?;
                has_worked |= self.take_found()?;
                has_worked |= self.take_strays()?;
            }
            has_worked |= self.list_folder()?;
            self.finish_scan();
            self.report();
            if !has_worked {
                self.wait();
            }
        }
        Ok(())
    }

    fn now(&self) -> Monotonic {
        self.source.journal.shared.clock.monotonic()
    }

    /// Begins a full scan.
    fn begin(&mut self, watching: Watching) -> Step<()> {
        if watching == Watching::Fresh || self.watches.is_none() {
            self.watches = match Watches::new(self.source.journal.shared.watches_max) {
                Ok(watches) => Some(watches),
                Err(errno) => {
                    self.scan.unwatched(format!(
                        "inotify gives no instance: {errno}; raise fs.inotify.max_user_instances"
                    ));
                    None
                }
            };
        }
        self.scan.begin(self.watches.is_some());
        self.next_scan = self.now().saturating_add(self.source.settings.directory.rescan.0);
        let status = self
            .source
            .journal
            .shared
            .engine
            .status()
            .map_err(|error| Trouble::Refused(error.to_string()))?;
        self.compares = status.classes.values().any(|class| class.live > 0);
        Ok(())
    }

    /// Looks if the root is still there.
    fn look(&mut self, now: Monotonic) -> Step<()> {
        self.next_look = now.saturating_add(TICK);
        self.store = self.source.enter()?;
        (self.class, self.start) =
            self.source.class().map_err(|error| Trouble::Refused(error.to_string()))?;
        self.source.journal.set_trouble(None);
        Ok(())
    }

    /// Reads the events that wait, and returns `true` if there were any.
    fn read_events(&mut self) -> Step<bool> {
        let now = self.now();
        let Some(watches) = &mut self.watches else { return Ok(false) };
        let (filter, settling, scan, moves) =
            (&self.source.settings.filter, &mut self.settling, &mut self.scan, &mut self.moves);
        let (mut has_any, mut is_lost, mut is_root_gone) = (false, false, false);
        let mut note = |path: &[u8], seen| {
            if filter.takes(path) {
                settling.note(path, seen, now);
            }
        };
        let mut visit = |event| {
            has_any = true;
            match event {
                Event::Created(path) => note(&path, Seen::Created),
                Event::Closed(path) => note(&path, Seen::Complete),
                Event::MovedIn(path, number) => {
                    moves.arrive(&path, number);
                    note(&path, Seen::Complete);
                }
                Event::MovedOut(path, number) => moves.leave(path, number),
                Event::Folder(path, number) => {
                    let from = moves.arrive_folder(&path, number);
                    scan.add_folder(path, from);
                }
                Event::RootGone => is_root_gone = true,
                Event::Overflow => is_lost = true,
            }
        };
        // A move has two events. Both have been read once none waits.
        for _ in 0..READS_MAX {
            match watches.read(&mut visit) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    is_lost = true;
                    break;
                }
            }
        }
        if is_root_gone {
            self.look(now)?;
            self.begin(Watching::Fresh)?;
        } else if is_lost {
            tracing::warn!(source = self.source.name(), "events of files were lost; a full scan finds them");
            self.source.journal.tally.add_overflow();
            self.begin(Watching::Fresh)?;
        }
        self.state_moves()?;
        Ok(has_any)
    }

    /// States the renames of files that were moved.
    fn state_moves(&mut self) -> Step<()> {
        let mut moves = self.moves.take();
        moves.retain(|(to, _)| self.source.settings.filter.takes(to));
        if moves.is_empty() {
            return Ok(());
        }
        let root = self.root()?;
        let mut taken = Taken::default();
        match renaming::state(self.source, &root, &moves, &mut taken) {
            Ok(refused) => refused.iter().for_each(|path| self.settling.forget(path)),
            Err(error) => {
                // The next full scan finds them.
                self.next_scan = self.now();
                self.put_off(&error);
            }
        }
        self.source.journal.add_taken(&taken);
        Ok(())
    }

    /// Takes in files that wait no longer.
    fn take_ripe(&mut self) -> Step<bool> {
        let now = self.now();
        let ripe = self.settling.ripe(now, OBJECTS_MAX);
        if ripe.is_empty() {
            return Ok(false);
        }
        let root = self.root()?;
        let mut taken = Taken::default();
        let (mut candidates, mut taking) = (Vec::with_capacity(ripe.len()), Vec::with_capacity(ripe.len()));
        for ripe in ripe {
            match self.identify(&root, &ripe.path, ripe.is_forced) {
                Ok(None) => {} // The file is gone.
                Ok(Some(candidate)) => match self.left_to_settle(&candidate.file) {
                    Some(left) if !ripe.is_forced => self.settling.again(ripe, left, now),
                    _ => {
                        candidates.push(candidate);
                        taking.push(ripe);
                    }
                },
                Err(why) => taken.refuse(&self.source.key(&ripe.path), why),
            }
        }
        drop(root);
        if let Err(error) = self.take(&candidates, taken) {
            for ripe in taking {
                self.settling.again(ripe, TICK, now);
            }
            self.put_off(&error);
        }
        Ok(true)
    }

    /// Takes in files that a scan found.
    fn take_found(&mut self) -> Step<bool> {
        let found = self.scan.found(OBJECTS_MAX);
        if found.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        let root = self.root()?;
        let mut taken = Taken::default();
        let moved: Vec<(Vec<u8>, Vec<u8>)> =
            found.iter().filter_map(|entry| Some((entry.path.clone(), entry.from.clone()?))).collect();
        let refused = match renaming::state(self.source, &root, &moved, &mut taken) {
            Ok(refused) => refused,
            Err(error) => {
                self.scan.put_back(found);
                self.put_off(&error);
                return Ok(true);
            }
        };
        let mut candidates = Vec::with_capacity(found.len());
        for Entry { path, is_new, .. } in &found {
            if self.settling.has(path) || refused.contains(path) {
                continue;
            }
            match self.identify(&root, path, false) {
                Ok(None) => {} // The file is gone.
                Ok(Some(candidate)) => match self.left_to_settle(&candidate.file) {
                    // A file that may be a renamed one is compared first.
                    Some(left) if *is_new || !self.compares => {
                        self.settling.note(path, Seen::Young(left), now);
                    }
                    _ => candidates.push((path, *is_new, candidate)),
                },
                Err(why) => taken.refuse(&self.source.key(path), why),
            }
        }
        drop(root);
        if let Err(error) = self.take_or_set_aside(candidates, taken) {
            self.scan.put_back(found);
            self.put_off(&error);
        }
        Ok(true)
    }

    /// Takes files in. In a full scan, sets those aside that are not registered under their names.
    fn take_or_set_aside(
        &mut self,
        found: Vec<(&Vec<u8>, bool, Candidate)>,
        mut taken: Taken,
    ) -> Result<(), Error> {
        let compares = self.compares;
        let (compared, new): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, is_new, _)| compares && !is_new);
        let (paths, compared): (Vec<&Vec<u8>>, Vec<Candidate>) =
            compared.into_iter().map(|(path, _, candidate)| (path, candidate)).unzip();
        let strays = self.source.intake(&self.class, self.start, None).compare(&compared, &mut taken)?;
        let new: Vec<Candidate> = new.into_iter().map(|(_, _, candidate)| candidate).collect();
        self.take(&new, taken)?;
        for index in strays {
            if let (Some(path), Some(candidate)) = (paths.get(index), compared.get(index)) {
                let file = FileId::of(&candidate.file.version);
                self.scan.add_stray(Stray { path: path.to_vec(), file });
            }
        }
        Ok(())
    }

    /// Finds those files of a full scan that were renamed, and has the others taken in. Events are read meanwhile.
    fn take_strays(&mut self) -> Step<bool> {
        let strays = self.scan.take_strays();
        if strays.is_empty() {
            return Ok(false);
        }
        let (source, store) = (self.source, Arc::clone(&self.store));
        let found = thread::scope(|scope| {
            let finding = scope.spawn(|| renaming::of_strays(source, &store, &strays));
            while !finding.is_finished() {
                self.read_events()?;
                source.journal.wait(self.watches.as_ref().map(|watches| watches as &dyn AsFd), STRAYS_WAIT);
            }
            Ok(finding
                .join()
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "finding renamed files panicked"))))
        })?;
        match found {
            Ok((refused, taken)) => {
                self.source.journal.add_taken(&taken);
                for stray in strays.into_iter().filter(|stray| !refused.contains(&stray.path)) {
                    self.scan.add_found(stray.path);
                }
            }
            Err(error) => {
                strays.into_iter().for_each(|stray| self.scan.add_stray(stray));
                self.put_off(&error);
            }
        }
        Ok(true)
    }

    fn take(&self, candidates: &[Candidate], mut taken: Taken) -> Result<(), Error> {
        let intake = self.source.intake(&self.class, self.start, None);
        let done = intake.take(candidates, &Names::default(), &mut taken);
        // What an interrupted call refused is refused again.
        match done {
            Ok(()) => self.source.journal.clear_error(),
            Err(_) => taken.refused.clear(),
        }
        self.source.journal.add_taken(&taken);
        done
    }

    fn put_off(&mut self, error: &Error) {
        self.source.journal.set_error(error);
        self.retry = Some(self.now().saturating_add(TICK));
    }

    /// Returns the file at a path as it is to be taken in; `None` if it is gone.
    fn identify(&self, root: &Root, path: &[u8], grows: bool) -> Result<Option<Candidate>, String> {
        if let Some(why) = self.source.foreign(path) {
            return Err(why);
        }
        let identify = |identity| root.identify(path, identity).map_err(|error| error.to_string());
        let found = match root.identify(path, if grows { Identity::InodeOnly } else { Identity::Exact }) {
            Ok(found) => found,
            // Without birth times, only the whole file as it is now tells it apart.
            Err(DirError::Invalid(_)) if grows => identify(Identity::Exact)?,
            Err(error) => return Err(error.to_string()),
        };
        Ok(found.map(|file| Candidate { key: self.source.key(path), file, grows }))
    }

    /// Returns the time until a file has settled; `None` if it has. A modification in the future tells nothing.
    fn left_to_settle(&self, file: &Identified) -> Option<Duration> {
        let (settle, now) =
            (self.source.settings.directory.settle.0, self.source.journal.shared.engine.now());
        if file.modified > now {
            return None;
        }
        settle.checked_sub(now.since(file.modified)).filter(|left| !left.is_zero())
    }

    /// Lists one more folder of a scan, unless files that it found wait.
    fn list_folder(&mut self) -> Step<bool> {
        let Some(folder) = self.scan.next_folder() else { return Ok(false) };
        let root = self.root()?;
        let taken = self.scan.list(&root, &folder, &self.source.settings.filter, self.watches.as_mut());
        drop(root);
        match taken {
            Ok(skipped) => {
                let mut taken = Taken::default();
                for (path, why) in skipped {
                    taken.refuse(&self.source.key(&path), why);
                }
                if !taken.refused.is_empty() {
                    self.source.journal.add_taken(&taken);
                }
                Ok(true)
            }
            Err(error) => Err(Trouble::RootLost(error.to_string())),
        }
    }

    fn finish_scan(&mut self) {
        if self.scan.finish() {
            tracing::debug!(source = self.source.name(), "a full scan has ended");
        }
    }

    fn root(&self) -> Step<Root> {
        self.store.root().map_err(|error| Trouble::RootLost(error.to_string()))
    }

    fn report(&self) {
        let now = self.now();
        self.source.journal.set_position(Position {
            is_scanning: self.scan.is_running(),
            watched: self.watches.as_ref().map_or(0, Watches::len) as u64,
            unwatched: self.scan.why_unwatched(),
            settling: self.settling.len() as u64,
            oldest: self.settling.next().filter(|due| *due <= now),
        });
    }

    fn wait(&self) {
        let now = self.now();
        let next = [Some(self.next_scan), self.settling.next(), self.retry].into_iter().flatten().min();
        let until = next.map_or(TICK, |next| next.since(now)).min(TICK);
        // A millisecond at least, because times are whole ones.
        let until = until.max(Duration::from_millis(1));
        self.source.journal.wait(self.watches.as_ref().map(|watches| watches as &dyn AsFd), until);
    }
}

/// Treatment of the watches at the beginning of a full scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watching {
    /// Folders stay watched.
    GoOn,
    /// Nothing is known of the watched folders, because events were lost.
    Fresh,
}
