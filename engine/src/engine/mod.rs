//! The public operations. The only place, beside the worker, that reads the clock.

mod governance;

use crate::batch::Batch;
use crate::change::{self, Change, Changed};
use crate::check::{self, Report};
use crate::class::{ClassSet, Definition};
use crate::clock::{Clock, SystemClock};
use crate::commit::Committer;
use crate::core::{Core, Planner};
use crate::entropy::OsEntropy;
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::{self, Outcome};
use crate::files::disk::DiskFiles;
use crate::guard::{ClockGuard, ClockState, Reading, Trusted};
use crate::kv::rocks::RocksKv;
use crate::locator::SoughtKey;
use crate::options::Options;
use crate::plan;
use crate::pool::Pool;
use crate::publish;
use crate::receipts::{self, Opener};
use crate::reclaim;
use crate::recovery::{self, Seams};
use crate::register::{self, Durability, Manner, Registered, Registration};
use crate::requests;
use crate::screen;
use crate::status::{self, State, Status};
use crate::store::{Answer, Store};
use crate::trail::Trail;
use crate::writer::LookingGuard;
use parking_lot::Mutex;
use sexton_proof::id::RegistrationId;
use sexton_proof::note::Verifier;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Objects handed to a store at once by [`Engine::enforce`] and the workers.
pub(crate) const PART_OBJECTS: usize = 1_000;

/// An open engine. All its operations may be called from many threads at once.
pub struct Engine {
    core: Core,
    committer: Committer,
    trail: Trail,
    clock: Arc<dyn Clock>,
    /// Which time is trusted: within one opening it never goes back, whatever the clock does.
    guard: Mutex<ClockGuard>,
    /// Whether the clock was found right once: what is wrong from then on is a step.
    clock_agreed: AtomicBool,
    /// Held as long as the engine is open, so that no second process opens the folder.
    _lock: Option<FolderLock>,
}

/// The data folder's lock. A process that another thread is about to start may share the file for a moment, so letting go
/// of it takes more than closing it.
struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// What [`Engine::enforce`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Batches committed.
    pub batches: u64,
    /// Objects handed to the store.
    pub objects: u64,
}

impl Engine {
    /// Opens the engine in `folder`, making a new one where the folder is missing or empty, and finishes what a
    /// crash interrupted.
    ///
    /// The folder holds `index/` (RocksDB), `keys/` and `openings/` (private; keep `keys/` out of the backups of
    /// the rest), `head`, and the public `log/` and `tombstones/`.
    ///
    /// # Errors
    /// `Busy` where another process has it open; `Invalid` where the options do not fit; `Corrupt` where its files
    /// contradict themselves; `Io` where they cannot be read or written. A folder whose log is not the published
    /// one opens, in [`State::Forked`].
    pub fn open(folder: &Path, options: &Options) -> Result<Engine> {
        Engine::open_with_clock(folder, options, Arc::new(SystemClock))
    }

    /// The same with another clock than the machine's.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with_clock(folder: &Path, options: &Options, clock: Arc<dyn Clock>) -> Result<Engine> {
        fs::create_dir_all(folder)
            .map_err(|e| Error::io(format!("cannot make the data folder {}", folder.display()), e))?;
        let lock = lock(folder)?;
        make_private(&folder.join("index"))?;
        let kv = Arc::new(RocksKv::open(&folder.join("index"), &options.rocks)?);
        let pool = Arc::new(Pool::of("sexton-pool", options.threads)?);
        // Threads of their own: who waits for the disk must not keep others from what they reckon.
        let files = Arc::new(DiskFiles::new(folder, Arc::new(Pool::of("sexton-files", options.threads)?)));
        let seams = Seams { kv, files, entropy: Arc::new(OsEntropy), pool };
        Engine::open_over(seams, options, clock, Some(lock))
    }

    /// Opens an engine over seams of the caller's: an index in memory, files in memory, known secrets.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with_seams(seams: Seams, options: &Options, clock: Arc<dyn Clock>) -> Result<Engine> {
        Engine::open_over(seams, options, clock, None)
    }

    fn open_over(
        seams: Seams,
        options: &Options,
        clock: Arc<dyn Clock>,
        lock: Option<FolderLock>,
    ) -> Result<Engine> {
        options.check_limits()?;
        let stepped = recovery::clock_had_stepped(&*seams.kv)?;
        let last_known_ms = recovery::last_known_ms(&*seams.kv)?;
        let mut limits = options.clock;
        if stepped {
            // An alarm that a step raised is not ended by opening anew.
            limits.time_off_max_ms = limits.step_max_ms;
        }
        let reading = read(&*clock, !stepped);
        let mut guard = ClockGuard::new(reading, last_known_ms, limits);
        let now = guard.observe(reading);
        let core = recovery::recover(seams, options, now.now_ms)?;
        Ok(Engine {
            core,
            committer: Committer::default(),
            trail: Trail::default(),
            clock,
            guard: Mutex::new(guard),
            clock_agreed: AtomicBool::new(stepped || now.state == ClockState::Agrees),
            _lock: lock,
        })
    }

    /// Now, by the engine's clock; never earlier than it was before, and never further ahead than can be.
    pub fn now_ms(&self) -> i64 {
        self.trusted().now_ms
    }

    /// The monotonic clock, ms: for how long something has taken.
    pub(crate) fn monotonic_ms(&self) -> i64 {
        self.clock.monotonic_ms()
    }

    fn trusted(&self) -> Trusted {
        let mut guard = self.guard.lock();
        let mut now = guard.observe(read(&*self.clock, false));
        let agreed = self.clock_agreed.load(Ordering::SeqCst);
        if !agreed && matches!(now.state, ClockState::Ahead { .. }) {
            // After time off it goes on by itself once the kernel vouches for the time.
            now = guard.observe(read(&*self.clock, true));
        }
        if now.state == ClockState::Agrees {
            self.clock_agreed.store(true, Ordering::SeqCst);
        }
        now
    }

    /// Registers all of `items` or, where one of them is invalid, none; answers in their order.
    ///
    /// After `Ok` with [`Durability::Synced`] they survive the loss of power, with [`Durability::Buffered`] the end of
    /// the process. After `Err` of the kind `Invalid` nothing was applied; after another `Err` it is unknown which
    /// were, and registering the same again is safe where the class finds by key and the version is not empty.
    ///
    /// # Errors
    /// `Invalid` with the value and the bound; `Held` where an object that a hold on its class covers is registered under
    /// another class; `Forked`, `Poisoned`, `Io`, `Full`.
    pub fn register(&self, items: &[Registration<'_>], durability: Durability) -> Result<Vec<Registered>> {
        self.register_as(items, durability, Manner::USUAL)
    }

    /// Registers those of `items` whose key has no live registration, and leaves the others alone
    /// ([`Earlier::Stands`](crate::Earlier::Stands)): for taking in what was never registered. Only of use in classes
    /// that find by key.
    ///
    /// # Errors
    /// As [`Engine::register`].
    pub fn register_missing(
        &self,
        items: &[Registration<'_>],
        durability: Durability,
    ) -> Result<Vec<Registered>> {
        self.register_as(items, durability, Manner { only_missing: true, ..Manner::USUAL })
    }

    fn register_as(
        &self,
        items: &[Registration<'_>],
        durability: Durability,
        manner: Manner,
    ) -> Result<Vec<Registered>> {
        let now = self.trusted();
        let ahead_ms = if let ClockState::Ahead { by_ms } = now.state { by_ms } else { 0 };
        register::register(&self.core, items, durability, Manner { ahead_ms, ..manner }, now.now_ms)
    }

    /// Makes durable what was answered under [`Durability::Buffered`] so far: after `Ok` it survives the loss of power.
    ///
    /// # Errors
    /// `Poisoned`, `Io`, `Full`; then it is unknown what does.
    pub fn sync(&self) -> Result<()> {
        self.core.writer.sync(self.core.writer.so_far())
    }

    /// Applies each of `changes` or says why not, in their order; one fsync for all.
    ///
    /// After `Ok` with [`Durability::Synced`] what was applied survives the loss of power. A change that is asked for
    /// again is answered as done.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Io`, `Full` for all; of one change: `NotFound`, `Invalid`, `TooLate` where the object is
    /// on its way to deletion or gone, `Held` where a legal hold forbids it.
    pub fn change(&self, changes: &[Change<'_>], durability: Durability) -> Result<Vec<Result<Changed>>> {
        change::change(&self.core, &self.trail, changes, durability, self.now_ms())
    }

    /// Defines classes, or new versions of them, as opening with them would.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn define(&self, classes: &ClassSet) -> Result<()> {
        self.core.check_writable()?;
        recovery::define_classes(&self.core, classes, self.now_ms())
    }

    /// The newest version of each class, with its number per name.
    pub fn classes(&self) -> Vec<(Definition, u32)> {
        let classes = self.core.classes.read();
        let newest = classes.names().into_iter().filter_map(|name| classes.current(name));
        newest.map(|class| (class.definition.clone(), class.version)).collect()
    }

    /// The live registration of a key, where its class finds by key.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn find(&self, key: &[u8]) -> Result<Option<RegistrationId>> {
        let sought = SoughtKey::of(&self.core, key)?;
        let mut shard = sought.lock(&self.core);
        sought.live(&self.core, &mut shard, |id, _| Ok(id))
    }

    /// The next batch that is due. `None` where nothing is, or as many batches are out as may be; then what
    /// [`Engine::complete`] left unpublished is published.
    ///
    /// Its intent is durable before it is returned: if the process dies, the same objects come again.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Corrupt`, `Io`.
    pub fn next_batch(&self) -> Result<Option<Batch>> {
        let now = self.trusted();
        let batch = plan::next_batch(&self.core, now, self.clock_agreed.load(Ordering::SeqCst));
        if !matches!(batch, Ok(Some(_))) {
            self.publish_rest();
        }
        batch
    }

    /// When publishing is tried again after it failed, by the monotonic clock.
    pub(crate) fn publish_again_ms(&self) -> Option<i64> {
        publish::again_ms(&self.core)
    }

    /// Publishes what batches left to later, where there is nothing else to do.
    pub(crate) fn publish_rest(&self) {
        publish::publish_rest(&self.core, self.monotonic_ms());
    }

    /// When there is something to do at the earliest, Unix ms; in the past where there is already: a batch that is due, a
    /// request whose objects are to be looked for. `None` where nothing is registered or asked for.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.next_ms(self.core.index.next_slot())
    }

    /// The same, but for what is in a batch already: when planning may find something at the earliest.
    pub(crate) fn next_plan_ms(&self) -> Option<i64> {
        self.next_ms(self.core.index.next_plannable_slot())
    }

    fn next_ms(&self, slot: Option<u64>) -> Option<i64> {
        let slot = slot.map(|slot| i64::try_from(slot).unwrap_or(i64::MAX));
        slot.into_iter().chain(requests::next_ready_ms(&self.core)).min()
    }

    /// Takes a batch back with an outcome for each of [`Batch::objects`], in their order, writes the evidence and
    /// commits. A wrong number of outcomes counts as failed for all. Gives the index of the log entry.
    ///
    /// After `Ok` what was deleted has its tombstone, what was not is owed and will be tried again, and both survive
    /// the loss of power. After `Err` the engine is poisoned; reopening it finds out how far it came.
    ///
    /// It is published as well where no other batch is out. While others are, that is left to them if all was published
    /// within the last second; it is done with the last of them, by who then asks for a batch and gets none, and
    /// before a receipt is made. Who keeps a batch for long calls [`Engine::publish`]; an engine that is closed while
    /// batches are out leaves it to the next opening.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Io`, `Full`, `Corrupt`.
    #[expect(clippy::needless_pass_by_value, reason = "a batch that was handed back must not be used again")]
    pub fn complete(&self, mut batch: Batch, outcomes: Vec<Outcome>) -> Result<u64> {
        batch.handed_back();
        let committed = self.settle(batch, &outcomes);
        self.core.in_flight.fetch_sub(1, Ordering::SeqCst);
        match &committed {
            // After it is counted as back: of several that come back together, one sees that no other is out.
            Ok(_) => publish::publish_behind(&self.core, self.monotonic_ms()),
            // The objects may be deleted and their evidence half written: only recovery can tell.
            Err(error) => self.core.writer.poison(error),
        }
        committed
    }

    fn settle(&self, batch: Batch, outcomes: &[Outcome]) -> Result<u64> {
        // Nobody hands it back any more.
        let _stops = self.core.writer.stops_on_panic();
        self.core.check_writable()?;
        let fates = evidence::fates(&self.core, &batch, outcomes, self.now_ms())?;
        let mut evidence = evidence::build(&self.core, batch, fates)?;
        evidence.write_files(&self.core)?;
        self.committer.commit(&self.core, evidence, self.now_ms())
    }

    /// Deletes from `store` everything that is due now, in this thread.
    ///
    /// # Errors
    /// As [`Engine::next_batch`] and [`Engine::complete`].
    pub fn enforce(&self, store: &dyn Store) -> Result<Enforced> {
        let mut done = Enforced::default();
        while let Some(batch) = self.next_batch()? {
            done.objects += batch.len() as u64;
            done.batches += 1;
            let outcomes = self.delete(&batch, store);
            self.complete(batch, outcomes)?;
        }
        Ok(done)
    }

    /// Those of a batch's objects at `places` that a hold covers now.
    pub(crate) fn held(&self, batch: &Batch, places: &[usize]) -> Vec<usize> {
        batch.held(&self.core.holds.read(), places)
    }

    /// Whether batches wait to be handed out again.
    pub(crate) fn has_unanswered(&self) -> bool {
        // Who plans just now knows of them.
        let unfinished = |planner: LookingGuard<'_, Planner>| !planner.unfinished.is_empty();
        !self.core.returns.unanswered.lock().is_empty()
            || self.core.planner.try_look().is_some_and(unfinished)
    }

    /// Has the store delete a batch, part by part.
    pub(crate) fn delete(&self, batch: &Batch, store: &dyn Store) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for part in batch.parts(PART_OBJECTS) {
            let answers = part.request(|request| store.delete(request));
            let at_ms = self.now_ms();
            if answers.len() == part.len() {
                outcomes.extend(answers.into_iter().map(|answer| Outcome { answer, at_ms }));
            } else {
                let why = format!("the store gave {} answers for {} objects", answers.len(), part.len());
                let failed = || Outcome { answer: Answer::Failed(why.as_str().into()), at_ms };
                outcomes.extend((0..part.len()).map(|_| failed()));
            }
        }
        outcomes
    }

    /// The receipt for a registration that has ended: the text of a C2SP tlog-proof file, which `sexton verify`
    /// checks offline.
    ///
    /// # Errors
    /// `NotFound` where there is no such registration, it has not ended, or nothing opens it any more; `Invalid`
    /// where `opener` does not open it; `Forked`, `Poisoned`, `Full` where its log entry cannot be published; `Corrupt`, `Io`.
    pub fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
        receipts::make(&self.core, &self.trail, id, opener)
    }

    /// Whether the engine does its work: what [`Status::state`] says, and no more. Cheap.
    pub fn state(&self) -> State {
        status::state(&self.core)
    }

    /// What the engine is doing.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn status(&self) -> Result<Status> {
        status::status(&self.core, &self.trail, self.trusted())
    }

    /// Checks everything that is stored against everything else: rows, pages, wheels, evidence, log, what is
    /// published. Reads all of it; what it finds stands in the report. Deleting waits meanwhile, so while much is
    /// stored choose an hour in which little is due. Never open a copy of the folder for it while the engine goes on: what the
    /// copy finishes and publishes is signed with the same key, and is another history.
    ///
    /// # Errors
    /// Only where something cannot be read at all.
    pub fn check(&self) -> Result<Report> {
        check::check(&self.core)
    }

    /// Publishes the log, where an earlier attempt failed or batches that are still out are not to be waited for.
    ///
    /// # Errors
    /// `Forked`, or where files cannot be written.
    pub fn publish(&self) -> Result<()> {
        publish::publish(&self.core, &mut self.core.published.lock())
    }

    /// Cleans up behind what has ended: gives its disk space back, and clears its rows out of the index's files. After
    /// `Ok` no row of a page that had settled before the call is in any of them, log of writes included, nor the items of a
    /// request that was forgotten. Kept are: requests with what they say, until they are forgotten; what holds, lifts, alarms
    /// and their ends say, for ever; and of an
    /// object that moved to another page, what an older table may hold, until the page that it left settles.
    ///
    /// Safe at any time; others go on meanwhile. It writes out what the index has in memory and merges the tables in which
    /// something ended: a fraction of the time that deleting took, and nothing where nothing ended since the last time.
    /// Call it as often as traces may last, once an hour for example.
    ///
    /// # Errors
    /// `Busy` where a scan or another merge still needs an older file of the index; others where the index cannot do
    /// it. What was to be cleared away is void as before, and the next call tries again.
    pub fn reclaim(&self) -> Result<()> {
        let now_ms = self.now_ms();
        reclaim::reclaim(&self.core, now_ms)?;
        screen::forget(&self.core, now_ms)
    }

    /// The key with which the log is verified, as it stands in a policy (`log <key>`).
    pub fn log_key(&self) -> Verifier {
        self.core.signer.verifier()
    }

    /// A tlog-policy that trusts this log and asks for no witnesses.
    pub fn policy(&self) -> String {
        format!("log {}\nquorum none\n", self.log_key())
    }
}

/// What the clocks show. The wall is read first: a pause in between then looks like a wall that is behind, never ahead.
fn read(clock: &dyn Clock, ask_kernel: bool) -> Reading {
    let wall_ms = clock.now_ms();
    let monotonic_ms = clock.monotonic_ms();
    Reading { wall_ms, monotonic_ms, synchronised: ask_kernel && clock.is_synchronised() }
}

/// Keys and subjects lie in the index, beside folders that are published: only the owner may look in.
fn make_private(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
        .map_err(|e| Error::io(format!("cannot make the private folder {}", folder.display()), e))
}

fn lock(folder: &Path) -> Result<FolderLock> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Busy,
            format!("the data folder {} is open in another process", folder.display()),
        )),
        Err(TryLockError::Error(e)) => Err(Error::io(format!("cannot lock {}", path.display()), e)),
    }
}
