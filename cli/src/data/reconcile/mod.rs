//! `sexton reconcile`: registers files that have no registration, and states the content of those that changed.

mod start;
mod summary;

use super::again;
use super::args::{MutatingArgs, help};
use super::bisect::{self, OBJECTS_MAX};
use super::roots::{self, Listing, NewRoot, Registering};
use super::{dry_run, open};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use sexton::class::{Definition, Find};
use sexton::report::{Action, Ended, KeyHistory};
use sexton::store::dir::{Identified, Identity, Likeness, Root};
use sexton::{Change, Durability, Engine, Previous, RegisterOptions, Registration, Which};
use sexton_proof::time::Timestamp;
use start::{Start, StartBy};
use std::path::PathBuf;
use summary::{AtOnce, Summary};

const ALL_TAKEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Arguments of `sexton reconcile`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton reconcile /var/lib/sexton --dir /srv/uploads --class data-30d",
    "some files or folders were refused or left out, and are listed with the\n     \
     reason",
    in steps
))]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Folder whose files are the objects; a key is a path below it
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Accept the folder as a new root of the data folder, also if it belongs to another one
    #[arg(long)]
    new_root: bool,
    /// Recognise files by inode and birth time, for files that still grow, such as logs
    #[arg(long)]
    appended: bool,
    /// Start of a file [default: modified, if the class has an explicit start; otherwise discovered]
    #[arg(long, value_name = "RULE")]
    start: Option<StartBy>,
    /// End files again whose object has ended: they came back from a backup; a dry run does not validate them
    #[arg(long, conflicts_with = "as_new")]
    delete_again: bool,
    /// Register files whose object has ended as new objects: none of them came back from a backup
    #[arg(long)]
    as_new: bool,
    /// Class of the new registrations
    #[arg(long, value_name = "NAME")]
    class: String,
}

/// Registration of a folder's files.
struct Reconciler<'a> {
    engine: &'a Engine,
    /// Engine in memory that takes the registrations of a dry run.
    dry: Option<Engine>,
    class: Definition,
    start: StartBy,
    identity: Identity,
    returned: Returned,
}

/// Treatment of files whose object has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returned {
    /// They are left out, and listed.
    LeaveOut,
    /// They are registered for their second deletion.
    DeleteAgain,
    /// They are other objects under the same keys.
    AsNew,
}

impl Returned {
    fn of(args: &ReconcileArgs) -> Self {
        match (args.delete_again, args.as_new) {
            (true, _) => Returned::DeleteAgain,
            (false, true) => Returned::AsNew,
            (false, false) => Returned::LeaveOut,
        }
    }
}

pub(super) fn run(args: &ReconcileArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let class = class(&engine, &args.class)?;
    let is_dry = args.common.dry_run;
    let dry = if is_dry { Some(dry_run::of(&engine)?) } else { None };
    let start = args.start.unwrap_or(StartBy::usual(&class));
    let (identity, returned) = (open::identity(args.appended), Returned::of(args));
    let reconciler = Reconciler { engine: &engine, dry, class, start, identity, returned };
    let new_root = if args.new_root { NewRoot::Accept } else { NewRoot::FirstOnly };
    let Registering { root, is_new } =
        roots::for_registering(&engine, &args.common.data.folder, &args.dir, new_root, is_dry)?;
    let mut summary = reconciler.all(&root)?;
    if is_new {
        summary.new_root = Some(reconciler.at_once()?);
    }
    if args.common.data.json {
        output.json(&summary.json(is_dry));
    } else {
        summary.print(is_dry, output);
    }
    Ok(if summary.refused.is_empty() { ALL_TAKEN } else { SOME_REFUSED })
}

/// Returns the class, if it can take files.
fn class(engine: &Engine, name: &str) -> Result<Definition, Failure> {
    let classes = engine.classes();
    let Some((class, _)) = classes.iter().find(|(class, _)| class.name == name) else {
        let names: Vec<&str> = classes.iter().map(|(class, _)| class.name.as_str()).collect();
        return Err(Failure::new(format!("unknown class {name:?}; known are: {}", names.join(", "))));
    };
    if class.find != Find::Key {
        return Err(Failure::new(format!(
            "class {name:?} does not find by key, so it cannot tell which files are registered"
        )));
    }
    if engine.status()?.classes.get(name).is_some_and(|class| class.closed) {
        return Err(Failure::new(format!("class {name:?} was closed down and takes no more objects")));
    }
    Ok(class.clone())
}

impl Reconciler<'_> {
    fn all(&self, root: &Root) -> Result<Summary, Failure> {
        let Listing { keys, skipped } = roots::list(root)?;
        let mut summary = Summary::default();
        summary.refused = skipped;
        let bar = output::progress(keys.len(), "registering");
        for chunk in keys.chunks(OBJECTS_MAX) {
            let mut found = Vec::with_capacity(chunk.len());
            for key in chunk {
                match root.identify(key, self.identity) {
                    Ok(Some(file)) => found.push((key, file)),
                    Ok(None) => {} // The file was deleted in the meantime.
                    Err(why) => summary.refused.push((key.clone(), why.to_string())),
                }
            }
            self.register(&found, &mut summary)?;
            bar.inc(chunk.len() as u64);
        }
        bar.finish_and_clear();
        Ok(summary)
    }

    fn register(&self, found: &[(&Vec<u8>, Identified)], summary: &mut Summary) -> Result<(), Failure> {
        let now = self.engine.now();
        let mut registrations = Vec::with_capacity(found.len());
        let (mut changed, mut replacing, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (key, file) in found {
            if let Some(live) = self.engine.live(key)? {
                match file.likeness(&live.version) {
                    Likeness::OtherContent => changed.push((&***key, file)),
                    Likeness::Another => replacing.push(self.registration(key, file, now, summary)),
                    // A version that is none of this store is left to the host.
                    _ => summary.known += 1,
                }
                continue;
            }
            if let KeyHistory::Ended(ended) = self.engine.ended(key)? {
                summary.had_ended += 1;
                match self.returned {
                    Returned::LeaveOut => {
                        summary.refused.push((key.to_vec(), came_back(&ended)));
                        continue;
                    }
                    Returned::DeleteAgain => {
                        again.push((&***key, file));
                        continue;
                    }
                    Returned::AsNew => {}
                }
            }
            registrations.push(self.registration(key, file, now, summary));
        }
        self.register_all(&registrations, RegisterOptions::new().only_missing(), summary)?;
        self.register_all(&replacing, RegisterOptions::new(), summary)?;
        self.state_content(&changed, now, summary)?;
        self.delete_again(&again, summary)
    }

    fn registration<'r>(
        &'r self,
        key: &'r [u8],
        file: &'r Identified,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Registration<'r> {
        let start = self.start_of(key, file, now, summary);
        Registration::new(&self.class.name, key).version(&file.version).size(file.size).start(start)
    }

    /// Registers objects in the engine, or in that of the dry run.
    fn register_all(
        &self,
        registrations: &[Registration<'_>],
        options: RegisterOptions,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let target = self.dry.as_ref().unwrap_or(self.engine);
        let answers = bisect::register(registrations, &|part| target.register(part, options))?;
        for (registration, answer) in registrations.iter().zip(answers) {
            match answer.map(|registered| registered.previous) {
                Ok(Previous::Identical | Previous::Kept) => summary.known += 1,
                Ok(_) if options.only_missing => summary.registered += 1,
                Ok(_) => summary.replaced += 1,
                Err(why) => summary.refused.push((registration.key.to_vec(), why)),
            }
        }
        Ok(())
    }

    /// States the content of files that were written again or grew. A dry run counts them only.
    fn state_content(
        &self,
        files: &[(&[u8], &Identified)],
        now: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let mut changes = Vec::with_capacity(files.len());
        for &(key, file) in files {
            // A file that still grows keeps its start, or it would never go.
            let moves = self.start == StartBy::Modified && self.identity == Identity::Exact;
            let start = if moves { self.start_of(key, file, now, summary) } else { None };
            let (of, version) = (Which::Key(key), &*file.version);
            changes.push(Change::Content { of, version, size: Some(file.size), start });
        }
        if self.dry.is_some() {
            summary.changed += changes.len() as u64;
            return Ok(());
        }
        for ((key, _), answer) in files.iter().zip(self.engine.change(&changes, Durability::Synced)?) {
            match answer {
                Ok(_) => summary.changed += 1,
                Err(why) => summary.refused.push((key.to_vec(), why.to_string())),
            }
        }
        Ok(())
    }

    /// Returns the start to state for a file, and adds it to the summary if its modification time is not believed.
    fn start_of(
        &self,
        key: &[u8],
        file: &Identified,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Option<Timestamp> {
        let start = self.start.start(self.class.start, file, now);
        if let Start::Bounded(start) = start {
            summary.add_bounded(key, file.modified, start);
        }
        start.stated()
    }

    /// Counts the objects of the class that the next enforcement would delete, and those that the breaker would stop.
    fn at_once(&self) -> Result<AtOnce, Failure> {
        let (mut objects, mut live) = (0, 0);
        for engine in [Some(self.engine), self.dry.as_ref()].into_iter().flatten() {
            for object in engine.plan(engine.now())? {
                let object = object?;
                objects += u64::from(object.class == self.class.name && object.action == Action::Delete);
            }
            live += engine.status()?.classes.get(&self.class.name).map_or(0, |class| class.live);
        }
        // Objects that are due when they are registered are at short notice, and the breaker stops all of them or none.
        let passing = self.engine.limits().breaker.passing(live);
        Ok(AtOnce { objects, passing })
    }

    /// Registers the files that came back for their second deletion. A dry run counts them only.
    fn delete_again(&self, files: &[(&[u8], &Identified)], summary: &mut Summary) -> Result<(), Failure> {
        if self.dry.is_some() {
            summary.deleted_again += files.len() as u64;
            return Ok(());
        }
        for ((key, _), answer) in files.iter().zip(again::delete_again(self.engine, files)?) {
            match answer {
                Ok(()) => summary.deleted_again += 1,
                Err(why) => summary.refused.push((key.to_vec(), why)),
            }
        }
        Ok(())
    }
}

/// Returns why a file whose object has ended is left out, and what to do.
fn came_back(ended: &Ended) -> String {
    format!(
        "its object ended at {} ({}, {}), so it may have come back from a backup: end it again with --delete-again; if \
         it is another object under the same key, register it with --as-new",
        ended.time,
        ended.method,
        format::reason(ended.reason)
    )
}
