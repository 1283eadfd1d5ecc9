//! `sexton screen`: what came back from a backup, and what is new.

use crate::args::ScreenArgs;
use crate::bulk::{self, AT_ONCE};
use crate::output::{self, Failure, Output};
use crate::{folder, show, value};
use serde_json::{Value, json};
use sexton::store::dir::{DirStore, Identified};
use sexton::{Durability, Engine, Registration, Screened, json};
use sexton_proof::id::printable;

const NOTHING_BACK: u8 = 0;
const CAME_BACK: u8 = 1;

/// What is known of a key.
struct Told {
    key: Vec<u8>,
    what: Screened,
    /// The file under it, where a folder is given and there is one.
    file: Option<Identified>,
    /// Whether it was registered so that it is deleted again; else why not.
    again: Option<Result<(), String>>,
}

impl Told {
    /// Whether a file is there whose object has ended.
    fn came_back(&self) -> bool {
        self.file.is_some() && matches!(self.what, Screened::Ended(_))
    }
}

pub(crate) fn run(args: &ScreenArgs, output: &mut Output) -> Result<u8, Failure> {
    let keys = match &args.keys {
        Some(path) => value::keys_of(path, args.hex)?,
        None => value::all_bytes(&args.key, args.hex)?,
    };
    let engine = folder::to_change(&args.change)?;
    let changes = args.delete_again && !args.change.dry_run;
    let mut told = match &args.dir {
        None => look(&engine, None, keys, args)?,
        Some(dir) if changes => look(&engine, Some(&folder::objects(dir)?), keys, args)?,
        Some(dir) => look(&engine, Some(&folder::look_at(dir)?.store), keys, args)?,
    };
    if changes {
        delete_again(&engine, &mut told)?;
    }
    if args.change.data.json {
        output.json(&json!({
            "dry_run": args.change.dry_run,
            "keys": told.iter().map(json_of).collect::<Vec<_>>(),
        }));
    } else {
        text(&told, args.delete_again && args.change.dry_run, output);
    }
    let is_open = |one: &Told| one.came_back() && !matches!(one.again, Some(Ok(())));
    Ok(if told.iter().any(is_open) { CAME_BACK } else { NOTHING_BACK })
}

fn look(
    engine: &Engine,
    store: Option<&DirStore>,
    keys: Vec<Vec<u8>>,
    args: &ScreenArgs,
) -> Result<Vec<Told>, Failure> {
    let keys = match store {
        Some(store) if keys.is_empty() => folder::keys(store)?,
        _ => keys,
    };
    let identity = folder::identity(args.appended);
    let bar = output::progress(keys.len(), "screening");
    let mut told = Vec::with_capacity(keys.len());
    for key in keys {
        bar.inc(1);
        let what = engine.screen(&key)?;
        // A file that cannot be registered cannot be deleted either; where it matters the refusal is told.
        let file = store.map(|store| store.identify(&key, identity)).transpose();
        let (file, again) = match file {
            Ok(file) => (file.flatten(), None),
            Err(why) => (None, Some(Err(why.to_string()))),
        };
        told.push(Told { key, what, file, again });
    }
    bar.finish_and_clear();
    Ok(told)
}

/// Registers what came back, under the terms that it had.
fn delete_again(engine: &Engine, told: &mut [Told]) -> Result<(), Failure> {
    let mut back: Vec<&mut Told> = told.iter_mut().filter(|one| one.came_back()).collect();
    for part in back.chunks_mut(AT_ONCE) {
        let items: Vec<Registration<'_>> = part.iter().filter_map(|one| registration(one)).collect();
        let answers = bulk::each(&items, &|items| engine.delete_again(items, Durability::Synced))?;
        for (one, answer) in part.iter_mut().zip(answers) {
            one.again = Some(match answer {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("it lives again, or is not remembered any more".into()),
                Err(why) => Err(why),
            });
        }
    }
    Ok(())
}

fn registration(one: &Told) -> Option<Registration<'_>> {
    let file = one.file.as_ref()?;
    // The class and the start are those that it had.
    let item = Registration::new("", &one.key);
    Some(Registration { version: &file.version, size_bytes: file.size_bytes, ..item })
}

fn text(told: &[Told], would: bool, output: &mut Output) {
    for one in told {
        let key = printable(&one.key);
        let line = match &one.what {
            Screened::Live(id) => format!("live     {key}  registration {id}"),
            Screened::Unknown => format!("unknown  {key}"),
            Screened::Ended(ended) => format!(
                "ended    {key}  {} {}, {}; remembered until {}",
                ended.method,
                show::instant(ended.time_ms),
                show::reason(ended.reason),
                show::instant(ended.until_ms)
            ),
        };
        output.line(line);
        if one.came_back() && one.again.is_none() {
            let what = if would { "it would be deleted again" } else { "it came back" };
            output.line(format_args!("         {}", output.bad(what)));
        }
        match &one.again {
            Some(Ok(())) => output.line("         it is deleted again at the next enforcement"),
            Some(Err(why)) => output.line(format_args!("         {} {why}", output.bad("refused:"))),
            None => {}
        }
    }
}

fn json_of(one: &Told) -> Value {
    let mut told = json::screened(&one.key, &one.what);
    told["came_back"] = one.came_back().into();
    told["delete_again"] = one.again.as_ref().is_some_and(Result::is_ok).into();
    told["refused"] = json!(one.again.as_ref().and_then(|again| again.as_ref().err()));
    told
}
