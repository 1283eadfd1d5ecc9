//! `sexton reconcile`: registers files that have no registration.

use super::args::{MutatingArgs, help};
use super::bisect::{self, OBJECTS_MAX};
use super::open::Listing;
use super::{dry_run, open};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::class::{Definition, Find};
use sexton::report::KeyHistory;
use sexton::store::dir::{DirStore, Identified, Identity};
use sexton::{Engine, Previous, RegisterOptions, Registration};
use sexton_proof::id::printable;
use sexton_proof::leaf::StartRule;
use std::path::PathBuf;

const ALL_TAKEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Largest number of files of one kind in the output.
const LISTED_MAX: usize = 100;

/// Arguments of `sexton reconcile`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton reconcile /var/lib/sexton --dir /srv/uploads --class data-30d",
    "some files or folders were refused, and are listed with the reason",
    in steps
))]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Folder whose files are the objects; a key is a path below it
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Recognise files by inode and birth time, for files that still grow, such as logs
    #[arg(long)]
    appended: bool,
    /// Class of the new registrations
    #[arg(long, value_name = "NAME")]
    class: String,
}

/// Numbers of files by result, and the refused files.
#[derive(Default)]
struct Summary {
    registered: u64,
    known: u64,
    /// Files whose key had ended before.
    had_ended: u64,
    /// Keys of the first of these files.
    first_ended: Vec<Vec<u8>>,
    refused: Vec<(Vec<u8>, String)>,
}

/// Registration of a folder's files.
struct Reconciler<'a> {
    engine: &'a Engine,
    /// Engine in memory that takes the registrations of a dry run.
    dry: Option<Engine>,
    class: Definition,
}

pub(super) fn run(args: &ReconcileArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let class = class(&engine, &args.class)?;
    let is_dry = args.common.dry_run;
    let dry = if is_dry { Some(dry_run::of(&engine)?) } else { None };
    let reconciler = Reconciler { engine: &engine, dry, class };
    let identity = open::identity(args.appended);
    let summary = if is_dry {
        reconciler.all(&open::read_only_objects(&args.dir)?.store, identity)?
    } else {
        reconciler.all(&open::objects(&args.dir)?, identity)?
    };
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
    fn all(&self, store: &DirStore, identity: Identity) -> Result<Summary, Failure> {
        let Listing { keys, skipped } = open::list(store)?;
        let mut summary = Summary { refused: skipped, ..Summary::default() };
        let bar = output::progress(keys.len(), "registering");
        for chunk in keys.chunks(OBJECTS_MAX) {
            let mut found = Vec::with_capacity(chunk.len());
            for key in chunk {
                match store.identify(key, identity) {
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
        let is_explicit = self.class.start == StartRule::Explicit;
        let mut registrations = Vec::with_capacity(found.len());
        for (key, file) in found {
            match self.engine.ended(key)? {
                KeyHistory::Live(_) if self.dry.is_some() => {
                    summary.known += 1;
                    continue;
                }
                KeyHistory::Ended(_) => {
                    summary.had_ended += 1;
                    if summary.first_ended.len() < LISTED_MAX {
                        summary.first_ended.push((*key).clone());
                    }
                }
                _ => {}
            }
            let start = is_explicit.then_some(file.modified);
            let registration = Registration::new(&self.class.name, key).version(&file.version);
            registrations.push(registration.size(file.size).start(start));
        }
        let target = self.dry.as_ref().unwrap_or(self.engine);
        let options = RegisterOptions::new().only_missing();
        let answers = bisect::register(&registrations, &|part| target.register(part, options))?;
        for (registration, answer) in registrations.iter().zip(answers) {
            match answer.map(|registered| registered.previous) {
                Ok(Previous::Identical | Previous::Kept) => summary.known += 1,
                Ok(_) => summary.registered += 1,
                Err(why) => summary.refused.push((registration.key.to_vec(), why)),
            }
        }
        Ok(())
    }
}

impl Summary {
    fn print(&self, is_dry: bool, output: &mut Output) {
        let registered = if is_dry { "would be registered" } else { "registered" };
        output.line(format_args!("{:>12} already known", format::count(self.known)));
        output.line(format_args!("{:>12} {registered}", format::count(self.registered)));
        output.line(format_args!("{:>12} refused", format::count(self.refused.len() as u64)));
        for (key, why) in self.refused.iter().take(LISTED_MAX) {
            output.line(format_args!("{} {}: {why}", output.bad("refused:"), printable(key)));
        }
        let refused_more = self.refused.len().saturating_sub(LISTED_MAX) as u64;
        print_more(refused_more, output);
        for key in &self.first_ended {
            output.line(format_args!("{} {}", output.bad("had ended before:"), printable(key)));
        }
        print_more(self.had_ended.saturating_sub(self.first_ended.len() as u64), output);
        if self.had_ended > 0 {
            output.line("files that had ended before may have come back from a backup: see `sexton ended`");
        }
    }

    fn json(&self, is_dry: bool) -> Value {
        let refused = |(key, why): &(Vec<u8>, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": why });
        json!({
            "dry_run": is_dry,
            "known": self.known,
            "registered": self.registered,
            "had_ended_before": self.had_ended,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}

fn print_more(more: u64, output: &mut Output) {
    if more > 0 {
        output.line(format_args!("and {} more", format::count(more)));
    }
}
