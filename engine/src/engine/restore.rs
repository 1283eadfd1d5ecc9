//! Restoring: a copy of a data folder goes on in place of its original, which is lost for good.
//!
//! The log goes on under a new origin and a new key. Its first entries are those of the copy. The original may have logged
//! others after the copy, so its name never signs again.

use crate::engine::open::FolderLock;
use crate::engine::options::Options;
use crate::engine::{Engine, load, open};
use crate::governance::pauses;
use crate::model::class::ClassSet;
use crate::model::copy_mark::{CopyMark, CopyOf};
use crate::model::schema::{self, FormerLog, Shape};
use crate::model::text::Attribution;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::data_folder::{COPY, SIGNING_KEY};
use crate::platform::entropy::OsEntropy;
use crate::platform::error::{Error, Result};
use crate::platform::files::Files;
use crate::platform::files::disk::DiskFiles;
use crate::platform::files::durable::sync_folder;
use crate::platform::kv::rocks::RocksKv;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::platform::pool::Pool;
use crate::state::publish;
use crate::state::writer::Writer;
use sexton_proof::note::Signer;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

impl Engine {
    /// Opens a copy, which [`Engine::back_up`] made, in place of its original. From then on it is a data folder like any other.
    ///
    /// The caller declares the original lost for good: it must never run again. `options` name a new origin; the classes
    /// stay as they are. The log has an entry for the decision, and its first entries are those of the copy. Receipts of
    /// earlier ends are those of the former log.
    ///
    /// Nothing is deleted until an operator ends the alarm [`Restored`](crate::decision::AlarmCause::Restored). Registrations,
    /// holds and requests that came after the copy are unknown, and so are objects that the original deleted since. Hosts
    /// forget the ids that registrations returned after the copy: they can come to mean other objects.
    ///
    /// If it is interrupted, call it again with the same origin.
    ///
    /// # Errors
    /// `Invalid` if the folder is no copy, the origin is missing, malformed or that of a former log, or a text is missing;
    /// `Busy` if another process has the folder open; `Full`, `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// use sexton::{Attribution, Engine, Options};
    /// let engine = Engine::open(&folder.path().join("data"), &Options::new("example.com/uploads"))?;
    /// engine.back_up(&folder.path().join("copy"))?;
    /// drop(engine); // lost
    ///
    /// let decision = Attribution::new("Ada Lovelace", "the disk is lost");
    /// let options = Options::new("example.com/uploads-2");
    /// let engine = Engine::restore(&folder.path().join("copy"), &options, &decision)?;
    /// let alarm = &engine.status()?.alarms[0]; // what to do before deletion goes on
    /// engine.resume(alarm.id, Attribution::new("Ada Lovelace", "holds placed again, files reconciled"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(folder: &Path, options: &Options, attribution: &Attribution) -> Result<Engine> {
        Engine::restore_with_clock(folder, options, attribution, Arc::new(SystemClock))
    }

    /// Opens a copy in place of its original, as [`Engine::restore`] does, with the given clock.
    ///
    /// # Errors
    /// Those of [`Engine::restore`].
    pub fn restore_with_clock(
        folder: &Path,
        options: &Options,
        attribution: &Attribution,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine> {
        let lock = FolderLock::acquire(folder)?;
        let copy = Engine::check_restore(folder, options, attribution)?;
        begin_log(folder, options, &copy)?;
        let options = options.clone().classes(ClassSet::empty());
        let engine = Engine::open_locked(lock, &options, clock, None)?;
        pauses::raise_restored(&engine.core, &copy, attribution)?;
        engine.publish()?;
        remove_mark(folder)?;
        Ok(engine)
    }

    /// Returns the origin and time of the copy that [`Engine::restore`] would open with these arguments.
    ///
    /// # Errors
    /// `Invalid` if the folder is no copy, the origin is missing, malformed or that of the original, or a text is missing;
    /// `Io`, `Corrupt`.
    pub fn check_restore(folder: &Path, options: &Options, attribution: &Attribution) -> Result<CopyOf> {
        attribution.check()?;
        let (origin, _) = options.new_shape()?;
        let copy = copy_of(folder)?.ok_or_else(|| {
            Error::invalid(format!("{} is no copy that `sexton backup` made", folder.display()))
        })?;
        match copy.log_key.name() == origin {
            true => Err(in_use(&origin)),
            false => Ok(copy),
        }
    }
}

/// Numbers of the feed that are left out, because the original may have given some of them after the copy. So a reader that
/// has read them neither misses an entry nor forgets one unread.
const FEED_GAP: u64 = 1 << 40;

fn in_use(origin: &str) -> Error {
    Error::invalid(format!(
        "the log {origin:?} may have gone on after the copy, and signing it again would make a second history; choose a \
         new origin"
    ))
}

/// Returns the origin and time of a copy; `None` if the folder is no copy.
///
/// # Errors
/// `Corrupt` if the copy is not whole; `Io`.
pub(crate) fn copy_of(folder: &Path) -> Result<Option<CopyOf>> {
    let path = folder.join(COPY);
    let bytes = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?,
    };
    match CopyMark::parse(&bytes)? {
        CopyMark::Whole(copy) => Ok(Some(*copy)),
        CopyMark::Unfinished => Err(Error::corrupt(format!(
            "the copy {} is not whole: making it was interrupted; remove it, and make another",
            folder.display()
        ))),
    }
}

/// Gives the copy a signing key and the new origin, and keeps the former log on record.
///
/// A crash leaves the mark of the copy, so the folder opens as nothing else. The key is durable before the index has the
/// origin. The checkpoint of the former log is in the index before its file goes; the first publication writes another.
fn begin_log(folder: &Path, options: &Options, copy: &CopyOf) -> Result<()> {
    let files = DiskFiles::new(folder, Arc::new(Pool::none()));
    let kv = Arc::new(RocksKv::open(&folder.join("index"), &options.rocks)?);
    let shape = load::shape(&*kv)?.ok_or_else(|| Error::corrupt("the copy has an empty index"))?;
    let (origin, _) = options.new_shape()?;
    if shape.origin == copy.log_key.name() {
        if load::formers(&*kv)?.iter().any(|former| former.log_key.name() == origin) {
            return Err(in_use(&origin));
        }
        let former = former_log(&files, copy)?;
        check_key(&files, copy)?;
        open::new_signer(&files, &OsEntropy, &origin)?;
        let feed = load::number(&*kv, schema::FEED, "the last entry of the feed")?;
        let mut set = WriteSet::default();
        set.put(ColumnFamily::Meta, schema::FEED, &schema::encode_number(feed.saturating_add(FEED_GAP)));
        set.put(ColumnFamily::Meta, schema::SHAPE, &Shape { origin, ..shape }.encode());
        set.put(ColumnFamily::Meta, &former.key(), &former.encode()?);
        Writer::new(kv).write_durably(set)?;
    } else if shape.origin != origin {
        return Err(Error::invalid(format!(
            "restoring this copy under the origin {:?} was begun; use that one",
            shape.origin
        )));
    }
    files.remove(publish::CHECKPOINT)
}

/// Returns the log of the copy, as the copy has it published.
fn former_log(files: &dyn Files, copy: &CopyOf) -> Result<FormerLog> {
    let differs =
        || Error::corrupt(format!("{} is not that of this copy; use another copy", publish::CHECKPOINT));
    let checkpoint = publish::read_checkpoint(files, &copy.log_key)?.ok_or_else(differs)?;
    let text = files.read(publish::CHECKPOINT)?.and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) if checkpoint.size == copy.log_entries => {
            let log_key = copy.log_key.clone();
            Ok(FormerLog { log_key, entries: copy.log_entries, checkpoint: text })
        }
        _ => Err(differs()),
    }
}

/// Refuses to replace the key of the former log, which a person may have put here.
fn check_key(files: &dyn Files, copy: &CopyOf) -> Result<()> {
    let text = files.read(SIGNING_KEY)?.and_then(|bytes| String::from_utf8(bytes).ok());
    let signer = text.and_then(|text| Signer::from_private(text.trim_end()).ok());
    match signer {
        Some(signer) if signer.verifier() == copy.log_key => Err(Error::invalid(format!(
            "{SIGNING_KEY} is the key of the original, which must sign nothing here; take it out of the copy"
        ))),
        // None, or that of an interrupted restoring, which has signed nothing.
        _ => Ok(()),
    }
}

/// Removes the mark of the copy. It does not come back after a power failure.
fn remove_mark(folder: &Path) -> Result<()> {
    let path = folder.join(COPY);
    fs::remove_file(&path).map_err(|e| Error::io(format!("cannot remove {}", path.display()), e))?;
    sync_folder(folder)
}
