//! Opening: assembles an engine from its data folder, and finishes interrupted batches.

use crate::enforcement::feed;
use crate::engine::load;
use crate::engine::options::Options;
use crate::engine::recovery;
use crate::model::copy_mark::CopyOf;
use crate::model::schema::{self, Shape};
use crate::platform::data_folder::{LOCK, SIGNING_KEY};
use crate::platform::entropy::Entropy;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::files::{Access, Files};
use crate::platform::kv::{ColumnFamily, Kv, WriteSet};
use crate::platform::pool::Pool;
use crate::registration::classes::define_classes;
use crate::state::classes::ClassRegistry;
use crate::state::core::{
    Batches, Core, EngineLimits, Identity, Ledger, Published, ReadOnly, Residue, Secrets, Transparency,
};
use crate::state::failures::Failures;
use crate::state::keyring::KeyRing;
use crate::state::lock_order::{OrderedMutex, Rank};
use crate::state::log::{self, Log};
use crate::state::publish;
use crate::state::schedule::Schedule;
use crate::state::tally::Tally;
use crate::state::time::TrustedTime;
use crate::state::writer::{PoisoningMutex, Writer};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::note::Signer;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use zeroize::Zeroizing;

/// Interfaces of an engine to its environment, except for the clock and the store.
///
/// [`Engine::open`](crate::Engine::open) uses RocksDB, the disk and the entropy of the operating system. Tests and
/// simulations use an index and files in memory, and known secrets.
#[derive(Clone)]
pub struct Seams {
    /// Index: an ordered key-value store with atomic writes.
    pub kv: Arc<dyn Kv>,
    /// Files beside the index: keys, evidence, and the published log.
    pub files: Arc<dyn Files>,
    /// Source of keys and random ids.
    pub entropy: Arc<dyn Entropy>,
    /// Threads that share the hashing of a batch.
    pub pool: Arc<Pool>,
}

/// Lock on a data folder, held as long as its engine is open. No second process can open the folder meanwhile.
pub(crate) struct FolderLock {
    file: File,
    folder: PathBuf,
}

impl FolderLock {
    /// Locks `folder`, which must exist. The file of the lock is readable by its owner only, because any user who can open
    /// it can hold the lock.
    ///
    /// # Errors
    /// `Busy` if another process has it open; `Io`.
    pub(crate) fn acquire(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
        tighten(&file).map_err(|e| Error::io(format!("cannot make {} private", path.display()), e))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { file, folder: folder.to_owned() }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Busy,
                format!("the data folder {} is open in another process", folder.display()),
            )),
            Err(TryLockError::Error(e)) => Err(Error::io(format!("cannot lock {}", path.display()), e)),
        }
    }

    /// Returns the locked data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that another thread starts may share it for a moment.
        let _ = self.file.unlock();
    }
}

/// Takes the permissions of other users from a file, if they have any.
fn tighten(file: &File) -> std::io::Result<()> {
    match file.metadata()?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(0o600)),
    }
}

/// Creates `folder`, readable by its owner only: keys and subjects are in the index, beside folders that are published.
pub(crate) fn make_private(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
        .map_err(|e| Error::io(format!("cannot make the private folder {}", folder.display()), e))
}

/// Assembles an engine, defines its classes and finishes interrupted batches. A forked log and a copy (`copy`) are left as they
/// are.
pub(crate) fn open(
    seams: Seams,
    options: &Options,
    time: TrustedTime,
    copy: Option<&CopyOf>,
) -> Result<Core> {
    let core = assemble(seams, options, time, copy)?;
    if core.identity.read_only.is_some() {
        return Ok(core);
    }
    define_classes(&core, &options.classes, None)?;
    recovery::finish_interrupted(&core)?;
    publish::publish_or_warn(&core);
    Ok(core)
}

fn assemble(seams: Seams, options: &Options, time: TrustedTime, copy: Option<&CopyOf>) -> Result<Core> {
    let now = time.read().now;
    let Seams { kv, files, entropy, pool } = seams;
    let stored = load::shape(&*kv)?;
    if let Some(copy) = copy {
        check_copy(stored.as_ref(), copy)?;
    }
    let is_new = stored.is_none();
    let shape = stored.map_or_else(|| new_shape(&*files, &*entropy, options), Ok)?;
    options.check_shape(&shape.origin, shape.shards)?;
    let keyring = KeyRing::load(Arc::clone(&files), Arc::clone(&entropy), is_new)?;
    let (signer, log_key) = match copy {
        Some(copy) => (None, copy.log_key.clone()),
        None => {
            let signer = load_signer(&*files, &*entropy, &shape.origin, is_new)?;
            let log_key = signer.verifier();
            (Some(signer), log_key)
        }
    };
    let log = load::log(&*kv)?;
    let checkpoint = publish::read_checkpoint(&*files, &log_key)?;
    let forked = fork(&*kv, &*files, &log, checkpoint.as_ref())?.map(ReadOnly::Forked);
    let read_only = forked.or_else(|| copy.map(|copy| ReadOnly::Copy(of_copy(copy))));
    let writer = Arc::new(Writer::new(Arc::clone(&kv)));
    let epoch = match read_only {
        Some(_) => 0,
        None => next_epoch(&*kv, &writer, is_new.then_some(&shape))?,
    };
    let (classes, counts) = load::classes(&*kv)?;
    let schedule = Schedule::new(shape.shards, shape.secret, &writer);
    load::fill_schedule(&*kv, &schedule, &classes, now)?;
    let planner = load::planner(&*kv, &schedule, options, now)?;
    let last_feed_entry = load::number(&*kv, schema::FEED, "the last entry of the feed")?;
    let feed = feed::load_key(&*files, &*entropy, last_feed_entry)?;
    let ledger = Ledger { log, counts, feed: last_feed_entry };
    let published = Published { size: checkpoint.map_or(0, |c| c.size), tried: None, error: None };
    Ok(Core {
        time,
        limits: limits(options, shape.shards),
        identity: Identity { origin: shape.origin, epoch, log_key, formers: load::formers(&*kv)?, read_only },
        secrets: Secrets { keyring, signer, feed },
        classes: ClassRegistry::new(classes),
        schedule,
        batches: Batches {
            planner: PoisoningMutex::new(Rank::Planner, planner, &writer),
            in_flight: AtomicU64::new(0),
            pool: Arc::default(),
        },
        transparency: Transparency {
            ledger: PoisoningMutex::new(Rank::Ledger, ledger, &writer),
            published: OrderedMutex::new(Rank::Published, published),
        },
        governance: load::governance(&*kv)?,
        residue: Residue::new(),
        tally: Tally::default(),
        failures: Failures::default(),
        copying: OrderedMutex::new(Rank::Copying, ()),
        kv,
        files,
        entropy,
        pool,
        writer,
    })
}

/// Refuses a copy whose index is not that of the engine that was copied.
fn check_copy(shape: Option<&Shape>, copy: &CopyOf) -> Result<()> {
    match shape {
        Some(shape) if shape.origin == copy.log_key.name() => Ok(()),
        Some(shape) => Err(Error::corrupt(format!(
            "restoring this copy under the origin {:?} was interrupted: run `sexton restore` again",
            shape.origin
        ))),
        None => Err(Error::corrupt("the copy has an empty index; use another copy")),
    }
}

/// Returns the reason why a copy takes no changes.
fn of_copy(CopyOf { log_key, taken, .. }: &CopyOf) -> String {
    format!(
        "this is a copy of {:?}, taken at {taken}, and is open for reading only. If the original is lost for good, `sexton \
         restore` lets the copy go on under a new origin",
        log_key.name()
    )
}

/// Returns the limits of an engine with this number of shards.
fn limits(options: &Options, shards: u16) -> EngineLimits {
    EngineLimits {
        batch_objects: options.batch_objects,
        max_batches_in_flight: options.max_batches_in_flight,
        disk_reserve_bytes: options.disk_reserve_bytes,
        sweep_rows: options.sweep_rows,
        memtable_keys: (options.memtable_keys as usize / usize::from(shards)).max(1),
    }
}

/// Returns the shape of a new engine. It is stored later, when its keys are durable.
fn new_shape(files: &dyn Files, entropy: &dyn Entropy, options: &Options) -> Result<Shape> {
    if files.read(publish::HEAD)?.is_some() || files.read(publish::CHECKPOINT)?.is_some() {
        return Err(Error::corrupt(
            "the index is empty but a log was published from this folder; bring the index back (see Backups in \
             docs/operations.md), or use a new folder and a new origin",
        ));
    }
    let (origin, shards) = options.new_shape()?;
    Ok(Shape { shards, secret: entropy.secret()?, origin })
}

/// Reads the signing key. A new folder gets one.
fn load_signer(files: &dyn Files, entropy: &dyn Entropy, origin: &str, is_new: bool) -> Result<Signer> {
    let unusable =
        |why: String| Error::corrupt(format!("the signing key {SIGNING_KEY} cannot be used: {why}"));
    if let Some(bytes) = files.read(SIGNING_KEY)? {
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| unusable("it is not text".into()))?);
        let signer = Signer::from_private(text.trim_end()).map_err(|e| unusable(e.to_string()))?;
        if signer.verifier().name() == origin {
            return Ok(signer);
        }
        let name = signer.verifier().name().to_owned();
        if !is_new {
            return Err(unusable(format!("it belongs to the origin {name:?}, not {origin:?}")));
        }
        // A crash interrupted the creation of this folder under another origin. Its key has signed nothing.
    } else if !is_new {
        return Err(unusable("it is missing; put it back".into()));
    }
    new_signer(files, entropy, origin)
}

/// Creates and stores the signing key of a log.
pub(crate) fn new_signer(files: &dyn Files, entropy: &dyn Entropy, origin: &str) -> Result<Signer> {
    let signer = Signer::generate(origin, entropy.secret()?).map_err(|e| Error::invalid(e.to_string()))?;
    let text = Zeroizing::new(format!("{}\n", signer.to_private()));
    files.replace(SIGNING_KEY, text.as_bytes(), Access::Private)?;
    Ok(signer)
}

/// Returns the reason why the log in the index is not the published one, if so. The recorded head and the published
/// checkpoint must both be prefixes of it.
fn fork(
    kv: &dyn Kv,
    files: &dyn Files,
    log: &Log,
    checkpoint: Option<&Checkpoint>,
) -> Result<Option<String>> {
    let head = publish::read_head(files)?;
    let checkpoint = checkpoint.map(|c| (c.size, c.root));
    for (what, seen) in [("recorded head", head), ("published checkpoint", checkpoint)] {
        let Some((size, root)) = seen else { continue };
        let why = if size > log.size() {
            format!("has {size} entries, the log in the index only {}", log.size())
        } else if log::root_at(kv, size)? != root {
            format!("of {size} entries has another root than the log in the index had at that size")
        } else {
            continue;
        };
        let why = format!(
            "the {what} {why}: an older copy of the index was restored, or another engine signs under this name; \
             nothing is signed, registered or deleted. Bring back the newest index, or start a new folder with a \
             new origin"
        );
        tracing::error!("{why}");
        return Ok(Some(why));
    }
    Ok(None)
}

/// Counts this opening and returns its epoch. The first opening also stores the shape.
fn next_epoch(kv: &dyn Kv, writer: &Writer, shape: Option<&Shape>) -> Result<u64> {
    let last = load::number(kv, schema::EPOCH, "openings")?;
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, schema::EPOCH, &schema::encode_number(last + 1));
    if let Some(shape) = shape {
        set.put(ColumnFamily::Meta, schema::SHAPE, &shape.encode());
    }
    writer.write_durably(set)?;
    Ok(last + 1)
}
