//! Opening of data folders and of folders of objects.

use super::args::MutatingArgs;
use crate::output::{Failure, colour_on};
use indicatif::ProgressBar;
use sexton::report::EngineState;
use sexton::store::dir::{DirStore, Found, Identity};
use sexton::{ClassSet, Engine, ErrorKind, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Folder by which the store knows a folder of objects again.
const QUARANTINE: &str = ".sexton-quarantine";

/// Opens an existing data folder, and defines no class in it.
pub(super) fn data(folder: &Path) -> Result<Engine, Failure> {
    warnings_to_stderr();
    // The engine would create a new data folder in an empty one, and a check would then call it sound.
    if !is_data_folder(folder) {
        if folder.join("lock").is_file() && folder.join("index").is_dir() {
            return Err(interrupted(folder));
        }
        return Err(Failure::new(format!("{} is not a data folder of Sexton", folder.display())));
    }
    let bar = spinner("opening");
    // Classes in the options would be defined at opening. Only `class set` may define classes.
    let options = Options::default().classes(ClassSet::empty());
    let engine = Engine::open(folder, &options).map_err(|e| match e.kind() {
        ErrorKind::Busy => Failure::new(format!(
            "{} is open in another process, the running service or another command: stop that first",
            folder.display()
        )),
        // These options contradict no folder. They only lack the origin of a new one.
        ErrorKind::Invalid => interrupted(folder),
        _ => e.into(),
    });
    bar.finish_and_clear();
    engine
}

/// Opens an existing data folder for a mutating command.
///
/// The engine refuses changes if it is forked or poisoned. A dry run changes nothing, so it is refused here.
pub(super) fn for_change(args: &MutatingArgs) -> Result<Engine, Failure> {
    let engine = data(&args.data.folder)?;
    if args.dry_run
        && let EngineState::Forked(why) | EngineState::Poisoned(why) = engine.status()?.state
    {
        return Err(Failure::new(format!("the engine takes no changes: {why}")));
    }
    Ok(engine)
}

/// Returns the error for a folder whose creation was interrupted.
fn interrupted(folder: &Path) -> Failure {
    Failure::new(format!(
        "the creation of {} was interrupted: run `sexton init` again with the same origin",
        folder.display()
    ))
}

fn is_data_folder(folder: &Path) -> bool {
    folder.join("index").join("CURRENT").is_file() && folder.join("keys").is_dir()
}

/// Opens a folder of objects, new to the store or not.
pub(super) fn objects(dir: &Path) -> Result<DirStore, Failure> {
    DirStore::open(dir).map_err(|e| Failure::new(e.to_string()))
}

/// Opens a folder of objects that was used before. The mount point of a missing disk looks like a folder whose objects
/// are all gone, and is refused.
pub(super) fn known_objects(dir: &Path) -> Result<DirStore, Failure> {
    DirStore::reopen(dir).map_err(|e| {
        let is_new = dir.is_dir() && !dir.join(QUARANTINE).exists();
        let advice = if is_new { ": run `sexton reconcile` first" } else { "" };
        Failure::new(format!("{e}{advice}"))
    })
}

/// A folder of objects that is only read.
///
/// Dropping it removes the files of the store that its opening created. A mark of use on the mount point of a missing
/// disk would later pass for the disk.
pub(super) struct ReadOnlyObjects {
    pub(super) store: DirStore,
    created: Option<PathBuf>,
}

/// Opens a folder of objects for reading.
pub(super) fn read_only_objects(dir: &Path) -> Result<ReadOnlyObjects, Failure> {
    let quarantine = dir.join(QUARANTINE);
    let created = Some(quarantine.clone()).filter(|_| !quarantine.exists());
    Ok(ReadOnlyObjects { store: objects(dir)?, created })
}

impl Drop for ReadOnlyObjects {
    fn drop(&mut self) {
        if let Some(created) = &self.created {
            // A file that cannot be removed stays, as after every other use of the folder.
            for name in ["lock", "reserve/manifest"] {
                let _ = fs::remove_file(created.join(name));
            }
            let _ = fs::remove_dir(created.join("reserve")).and_then(|()| fs::remove_dir(created));
        }
    }
}

/// Returns the identity by which the store recognises files.
pub(super) fn identity(appended: bool) -> Identity {
    if appended { Identity::InodeOnly } else { Identity::Exact }
}

/// Content of a folder of objects.
pub(super) struct Listing {
    /// Keys of all files, sorted.
    pub(super) keys: Vec<Vec<u8>>,
    /// Folders that were left out, each with the reason.
    pub(super) skipped: Vec<(Vec<u8>, String)>,
}

/// Lists the files in a folder of objects.
pub(super) fn list(store: &DirStore) -> Result<Listing, Failure> {
    let bar = spinner("reading the folder");
    let mut listing = Listing { keys: Vec::new(), skipped: Vec::new() };
    let walked = store.walk(|found| match found {
        Found::File(path) => listing.keys.push(path.to_vec()),
        Found::Skipped { path, why } => listing.skipped.push((path.to_vec(), why.into())),
        // A later version of the store may find more.
        _ => {}
    });
    walked.map_err(|e| Failure::new(e.to_string()))?;
    listing.keys.sort_unstable();
    listing.skipped.sort_unstable();
    bar.finish_and_clear();
    Ok(listing)
}

/// Spinner for work without countable steps. It is drawn on a terminal only.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    // The spinner has a thread of its own and would panic without one.
    if !bar.is_hidden() && thread::Builder::new().spawn(|| ()).is_ok() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}

/// Sends the engine's warnings and errors to stderr.
pub(crate) fn warnings_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(colour_on(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .init();
}
