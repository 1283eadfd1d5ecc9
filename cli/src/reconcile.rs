//! `sexton reconcile`: files that were never registered.

use crate::args::ReconcileArgs;
use crate::bulk::{self, AT_ONCE};
use crate::output::{self, Failure, Output};
use crate::{folder, rehearsal, show};
use serde_json::{Value, json};
use sexton::store::dir::{DirStore, Identified};
use sexton::{Definition, Durability, Earlier, Engine, Find, Registration, Screened};
use sexton_proof::id::printable;
use sexton_proof::leaf::StartRule;

const ALL_TAKEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Refusals that are listed.
const LISTED: usize = 100;

/// What became of the files.
#[derive(Default)]
struct Told {
    registered: u64,
    known: u64,
    /// Of the registered ones: an object of that name had ended before.
    had_ended: u64,
    refused: Vec<(Vec<u8>, String)>,
}

/// What is asked when files are registered.
struct Work<'a> {
    engine: &'a Engine,
    /// Where nothing is to be changed: what checks in the engine's place.
    rehearsal: Option<Engine>,
    class: Definition,
}

pub(crate) fn run(args: &ReconcileArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    let class = class(&engine, &args.class)?;
    let dry_run = args.change.dry_run;
    let rehearsal = if dry_run { Some(rehearsal::of(&engine)?) } else { None };
    let work = Work { engine: &engine, rehearsal, class };
    let identity = folder::identity(args.files.appended);
    let told = if dry_run {
        work.all(&folder::look_at(&args.files.dir)?.store, identity)?
    } else {
        work.all(&folder::objects(&args.files.dir)?, identity)?
    };
    if args.change.data.json {
        output.json(&told.json(dry_run));
    } else {
        told.text(dry_run, output);
    }
    if told.had_ended > 0 {
        output::talk(format_args!(
            "{} had ended before and may have come back from a backup: see `sexton screen`",
            show::counted(usize::try_from(told.had_ended).unwrap_or(usize::MAX), "of them", "of them")
        ));
    }
    Ok(if told.refused.is_empty() { ALL_TAKEN } else { SOME_REFUSED })
}

/// The class, where files can be taken into it.
fn class(engine: &Engine, name: &str) -> Result<Definition, Failure> {
    let classes = engine.classes();
    let Some((class, _)) = classes.iter().find(|(class, _)| class.name == name) else {
        let names: Vec<&str> = classes.iter().map(|(class, _)| class.name.as_str()).collect();
        return Err(Failure::new(format!("unknown class {name:?}; known are: {}", names.join(", "))));
    };
    if class.find != Find::Key {
        return Err(Failure::new(format!(
            "class {name:?} does not find by key, so that nobody can tell which files are registered"
        )));
    }
    if engine.status()?.classes.get(name).is_some_and(|class| class.closed) {
        return Err(Failure::new(format!("class {name:?} was closed down and takes no objects any more")));
    }
    Ok(class.clone())
}

impl Work<'_> {
    fn all(&self, store: &DirStore, identity: sexton::store::dir::Identity) -> Result<Told, Failure> {
        let keys = folder::keys(store)?;
        let mut told = Told::default();
        let bar = output::progress(keys.len(), "registering");
        for part in keys.chunks(AT_ONCE) {
            let mut found = Vec::with_capacity(part.len());
            for key in part {
                match store.identify(key, identity) {
                    Ok(Some(file)) => found.push((key, file)),
                    Ok(None) => {} // It went in the meantime.
                    Err(why) => told.refused.push((key.clone(), why.to_string())),
                }
            }
            self.part(&found, &mut told)?;
            bar.inc(part.len() as u64);
        }
        bar.finish_and_clear();
        Ok(told)
    }

    fn part(&self, found: &[(&Vec<u8>, Identified)], told: &mut Told) -> Result<(), Failure> {
        let is_explicit = self.class.start == StartRule::Explicit;
        let mut items = Vec::with_capacity(found.len());
        for (key, file) in found {
            match self.engine.screen(key)? {
                Screened::Live(_) if self.rehearsal.is_some() => {
                    told.known += 1;
                    continue;
                }
                Screened::Ended(_) => told.had_ended += 1,
                Screened::Live(_) | Screened::Unknown => {}
            }
            items.push(Registration {
                version: &file.version,
                size_bytes: file.size_bytes,
                start_ms: is_explicit.then_some(file.modified_ms),
                ..Registration::new(&self.class.name, key)
            });
        }
        let on = self.rehearsal.as_ref().unwrap_or(self.engine);
        let answers = bulk::each(&items, &|items| on.register_missing(items, Durability::Synced))?;
        for (item, answer) in items.iter().zip(answers) {
            match answer.map(|registered| registered.earlier) {
                Ok(Earlier::Same | Earlier::Stands) => told.known += 1,
                Ok(_) => told.registered += 1,
                Err(why) => told.refused.push((item.key.to_vec(), why)),
            }
        }
        Ok(())
    }
}

impl Told {
    fn text(&self, dry_run: bool, output: &mut Output) {
        let registered = if dry_run { "would be registered" } else { "registered" };
        output.line(format_args!("{:>12} known already", show::count(self.known)));
        output.line(format_args!("{:>12} {registered}", show::count(self.registered)));
        output.line(format_args!("{:>12} refused", show::count(self.refused.len() as u64)));
        for (key, why) in self.refused.iter().take(LISTED) {
            output.line(format_args!("{} {}: {why}", output.bad("refused:"), printable(key)));
        }
        if self.refused.len() > LISTED {
            output.line(format_args!("and {} more", show::count((self.refused.len() - LISTED) as u64)));
        }
    }

    fn json(&self, dry_run: bool) -> Value {
        let refused = |(key, why): &(Vec<u8>, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": why });
        json!({
            "dry_run": dry_run,
            "known": self.known,
            "registered": self.registered,
            "had_ended_before": self.had_ended,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}
