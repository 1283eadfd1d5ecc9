//! Opening of data folders.

use super::args::MutatingArgs;
use crate::output::{Failure, LogWriter};
use indicatif::ProgressBar;
use sexton::report::EngineState;
use sexton::store::dir::Identity;
use sexton::{ClassSet, Engine, ErrorKind, Options};
use std::path::Path;
use std::thread;
use std::time::Duration;

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
/// The engine refuses changes if it is forked or poisoned. A dry run changes nothing, so it is refused here. A copy is always
/// refused here, before anything happens to the folder of objects.
pub(super) fn for_change(args: &MutatingArgs) -> Result<Engine, Failure> {
    let engine = data(&args.data.folder)?;
    if let EngineState::Copy(why) = engine.state() {
        return Err(Failure::new(why));
    }
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

/// Returns the identity by which the store recognises files.
pub(super) fn identity(appended: bool) -> Identity {
    if appended { Identity::InodeOnly } else { Identity::Exact }
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
        .with_writer(|| LogWriter)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}
