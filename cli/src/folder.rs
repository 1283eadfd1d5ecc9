//! Opening what a command works on: a data folder, a folder of objects.

use crate::args::Change;
use crate::output::{self, Failure};
use sexton::store::dir::{DirStore, Identity};
use sexton::{ClassSet, Engine, ErrorKind, Options, State};
use std::fs;
use std::path::{Path, PathBuf};

/// Opens a data folder that is there already, and defines nothing in it.
pub(crate) fn open(folder: &Path) -> Result<Engine, Failure> {
    output::warnings_to_stderr();
    // Opening would make a new engine in an empty folder, and call it sound.
    if !is_data_folder(folder) {
        return Err(Failure::new(format!("{} is not a data folder of Sexton's", folder.display())));
    }
    let bar = output::spinner("opening");
    // No classes: those given at opening would be defined, and only `class set` defines.
    let options = Options { classes: ClassSet::empty(), ..Options::default() };
    let engine = Engine::open(folder, &options).map_err(|e| match e.kind() {
        ErrorKind::Busy => Failure::new(format!(
            "{} is open in another process: the running service has it, or another command; stop that first",
            folder.display()
        )),
        _ => e.into(),
    });
    bar.finish_and_clear();
    engine
}

/// Opens a data folder in which something is to be changed. In earnest the engine refuses what cannot be; a dry run is
/// told here.
pub(crate) fn to_change(change: &Change) -> Result<Engine, Failure> {
    let engine = open(&change.data.folder)?;
    if change.dry_run
        && let State::Forked(why) | State::Poisoned(why) = engine.status()?.state
    {
        return Err(Failure::new(format!("nothing can be changed: {why}")));
    }
    Ok(engine)
}

fn is_data_folder(folder: &Path) -> bool {
    folder.join("index").join("CURRENT").is_file() && folder.join("keys").is_dir()
}

/// Opens a folder of objects, for the first time perhaps.
pub(crate) fn objects(dir: &Path) -> Result<DirStore, Failure> {
    DirStore::open(dir).map_err(|e| Failure::new(e.to_string()))
}

/// Opens a folder of objects that was in use before: a disk that is not mounted looks like one where all is gone.
pub(crate) fn known_objects(dir: &Path) -> Result<DirStore, Failure> {
    DirStore::reopen(dir).map_err(|e| Failure::new(e.to_string()))
}

/// A folder of objects that is only looked at: nothing of the store's stays in it that was not there before. A mark of
/// use in a folder where no disk is mounted would later pass for the disk.
pub(crate) struct Looked {
    pub(crate) store: DirStore,
    made: Option<PathBuf>,
}

/// Opens a folder of objects for a look.
pub(crate) fn look_at(dir: &Path) -> Result<Looked, Failure> {
    let quarantine = dir.join(".sexton-quarantine");
    let made = Some(quarantine.clone()).filter(|_| !quarantine.exists());
    Ok(Looked { store: objects(dir)?, made })
}

impl Drop for Looked {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            // Where it cannot be removed it stays, as after every other use.
            for name in ["lock", "reserve"] {
                let _ = fs::remove_file(made.join(name));
            }
            let _ = fs::remove_dir(made);
        }
    }
}

/// By what files are recognised.
pub(crate) fn identity(appended: bool) -> Identity {
    if appended { Identity::InodeOnly } else { Identity::Exact }
}

/// The keys of all files in a folder of objects, sorted.
pub(crate) fn keys(store: &DirStore) -> Result<Vec<Vec<u8>>, Failure> {
    let bar = output::spinner("reading the folder");
    let mut keys = Vec::new();
    store.walk(|key| keys.push(key.to_vec())).map_err(|e| Failure::new(e.to_string()))?;
    keys.sort_unstable();
    bar.finish_and_clear();
    Ok(keys)
}
