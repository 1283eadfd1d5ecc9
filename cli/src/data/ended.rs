//! `sexton ended`: looks up how the last object under a key ended, and finds objects that a backup brought back.

use super::args::{MutatingArgs, help};
use super::bisect::{self, OBJECTS_MAX};
use super::{open, parse};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::decision::KeyHistory;
use sexton::store::dir::{DirStore, Identified};
use sexton::{Durability, Engine, Registration, json};
use sexton_proof::id::printable;
use std::path::PathBuf;

const NONE_CAME_BACK: u8 = 0;
const SOME_CAME_BACK: u8 = 1;

/// Arguments of `sexton ended`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton ended /var/lib/sexton --dir /srv/uploads --delete-again",
    "files in --dir came back after their end, and were not registered again",
    in steps
))]
pub(crate) struct EndedArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Key to look up; may be repeated
    #[arg(long, value_name = "KEY", required_unless_present_any = ["keys", "dir"], conflicts_with = "keys")]
    key: Vec<String>,
    /// File of keys to look up, one per line
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Read the keys as hexadecimal
    #[arg(long)]
    hex: bool,
    /// Folder whose files are the objects; without keys, all its files are looked up
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Recognise files by inode and birth time, for files that still grow, such as logs
    #[arg(long, requires = "dir")]
    appended: bool,
    /// Register files that came back, so that the next enforcement deletes them; a dry run does not validate them
    #[arg(long, requires = "dir")]
    delete_again: bool,
}

/// History of a key, and the file under it.
struct Finding {
    key: Vec<u8>,
    history: KeyHistory,
    /// File under the key, if a folder is given and has one.
    file: Option<Identified>,
    /// Result of the registration for deletion, or why the file cannot be registered.
    delete_again: Option<Result<(), String>>,
}

impl Finding {
    /// Returns `true` if there is a file whose object has ended.
    fn came_back(&self) -> bool {
        self.file.is_some() && matches!(self.history, KeyHistory::Ended(_))
    }
}

pub(super) fn run(args: &EndedArgs, output: &mut Output) -> Result<u8, Failure> {
    let keys = match &args.keys {
        Some(path) => parse::keys_of(path, args.hex)?,
        None => parse::all_bytes(&args.key, args.hex)?,
    };
    let engine = open::for_change(&args.common)?;
    let changes = args.delete_again && !args.common.dry_run;
    let mut findings = match &args.dir {
        None => look_up(&engine, None, keys, args)?,
        Some(dir) if changes => look_up(&engine, Some(&open::objects(dir)?), keys, args)?,
        Some(dir) => look_up(&engine, Some(&open::read_only_objects(dir)?.store), keys, args)?,
    };
    if changes {
        delete_again(&engine, &mut findings)?;
    }
    if args.common.data.json {
        output.json(&json!({
            "dry_run": args.common.dry_run,
            "keys": findings.iter().map(to_json).collect::<Vec<_>>(),
        }));
    } else {
        print(&findings, args.delete_again && args.common.dry_run, output);
    }
    let stays = |finding: &Finding| finding.came_back() && !matches!(finding.delete_again, Some(Ok(())));
    Ok(if findings.iter().any(stays) { SOME_CAME_BACK } else { NONE_CAME_BACK })
}

fn look_up(
    engine: &Engine,
    store: Option<&DirStore>,
    keys: Vec<Vec<u8>>,
    args: &EndedArgs,
) -> Result<Vec<Finding>, Failure> {
    let keys = match store {
        Some(store) if keys.is_empty() => open::keys(store)?,
        _ => keys,
    };
    let identity = open::identity(args.appended);
    let bar = output::progress(keys.len(), "looking up keys");
    let mut findings = Vec::with_capacity(keys.len());
    for key in keys {
        bar.inc(1);
        let history = engine.ended(&key)?;
        // A file that cannot be identified cannot be deleted either, so its refusal is reported.
        let file = store.map(|store| store.identify(&key, identity)).transpose();
        let (file, delete_again) = match file {
            Ok(file) => (file.flatten(), None),
            Err(why) => (None, Some(Err(why.to_string()))),
        };
        findings.push(Finding { key, history, file, delete_again });
    }
    bar.finish_and_clear();
    Ok(findings)
}

/// Registers the files that came back, under their former terms.
fn delete_again(engine: &Engine, findings: &mut [Finding]) -> Result<(), Failure> {
    let mut back: Vec<&mut Finding> = findings.iter_mut().filter(|finding| finding.came_back()).collect();
    for chunk in back.chunks_mut(OBJECTS_MAX) {
        let registrations: Vec<Registration<'_>> =
            chunk.iter().filter_map(|finding| registration(finding)).collect();
        let answers =
            bisect::register(&registrations, &|part| engine.delete_again(part, Durability::Synced))?;
        for (finding, answer) in chunk.iter_mut().zip(answers) {
            finding.delete_again = Some(match answer {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("it is live again, or its end is no longer remembered".into()),
                Err(why) => Err(why),
            });
        }
    }
    Ok(())
}

fn registration(finding: &Finding) -> Option<Registration<'_>> {
    let file = finding.file.as_ref()?;
    // The engine takes class and start from the ended object.
    let registration = Registration::new("", &finding.key);
    Some(registration.version(&file.version).size(file.size))
}

fn print(findings: &[Finding], is_dry: bool, output: &mut Output) {
    for finding in findings {
        let key = printable(&finding.key);
        let line = match &finding.history {
            KeyHistory::Live(id) => format!("live     {key}  registration {id}"),
            KeyHistory::Ended(ended) => format!(
                "ended    {key}  {} {}, {}; remembered until {}",
                ended.method,
                ended.time,
                format::reason(ended.reason),
                ended.until
            ),
            _ => format!("unknown  {key}"),
        };
        output.line(line);
        if finding.came_back() && finding.delete_again.is_none() {
            let what = if is_dry { "it would be deleted again" } else { "it came back" };
            output.line(format_args!("         {}", output.bad(what)));
        }
        match &finding.delete_again {
            Some(Ok(())) => output.line("         it is deleted again at the next enforcement"),
            Some(Err(why)) => output.line(format_args!("         {} {why}", output.bad("refused:"))),
            None => {}
        }
    }
}

fn to_json(finding: &Finding) -> Value {
    let mut value = json::key_history(&finding.key, &finding.history);
    value["came_back"] = finding.came_back().into();
    value["delete_again"] = finding.delete_again.as_ref().is_some_and(Result::is_ok).into();
    value["refused"] = json!(finding.delete_again.as_ref().and_then(|result| result.as_ref().err()));
    value
}
