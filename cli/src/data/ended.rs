//! `sexton ended`: looks up how the last object under a key ended, and finds objects that a backup brought back.

use super::args::{MutatingArgs, help};
use super::host::Host;
use super::keys::{self, KeyForm};
use super::roots::{self, Listing, Seen};
use super::{history, open};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::Engine;
use sexton::store::dir::{Filter, Identified};
use sexton_proof::id::printable;
use sexton_service::api::KeyHistory;
use sexton_service::intake;
use std::path::PathBuf;

const NONE_CAME_BACK: u8 = 0;
const SOME_CAME_BACK: u8 = 1;

/// Arguments of `sexton ended`.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("keys or dir").args(["key", "keys", "dir"]).required(true).multiple(true),
    after_long_help = help!(
        "sexton ended /var/lib/sexton --dir /srv/uploads --delete-again",
        "files in --dir came back after their end, and were not registered again,\n     \
         or folders below it were left out",
        in steps
    )
)]
pub(crate) struct EndedArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Key to look up; may be repeated
    #[arg(long, value_name = "KEY", conflicts_with = "keys")]
    key: Vec<String>,
    /// Look up the keys of this file, one key per line
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    form: KeyForm,
    /// Folder whose files are the objects, a root of the data folder; without keys, all its files are looked up
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Recognise files by inode and birth time, for files that still grow, such as logs
    #[arg(long, requires = "dir")]
    appended: bool,
    /// Register files that came back, so that the next enforcement deletes them; a dry run does not validate them
    #[arg(long, requires = "dir")]
    delete_again: bool,
}

/// Work of a service on files that came back, in words.
const DELETES_AGAIN: &str = "deletes files again that came back if `returned = \"delete-again\"` stands at their directory in \
                             its configuration";

/// Folders that were left out, each with the reason.
type Skipped = Vec<(Vec<u8>, String)>;

/// History of a key, and the file under it.
struct Finding {
    key: Vec<u8>,
    history: KeyHistory,
    history_json: Value,
    /// File under the key, if a folder is given and has one.
    file: Option<Identified>,
    again: Again,
}

/// Registration of a file for its second deletion.
enum Again {
    /// No registration was attempted.
    NotRegistered,
    /// Registered: the next enforcement deletes the file.
    Registered,
    /// Refused for this reason.
    Refused(String),
}

impl Finding {
    /// Returns `true` if there is a file whose object has ended.
    fn came_back(&self) -> bool {
        self.file.is_some() && self.history.state == "ended"
    }

    /// Returns `true` if the file came back, or was refused.
    fn needs_attention(&self) -> bool {
        self.came_back() || !matches!(self.again, Again::NotRegistered)
    }
}

pub(super) fn run(args: &EndedArgs, output: &mut Output) -> Result<u8, Failure> {
    let keys: Vec<Vec<u8>> = keys::keys(&args.key, args.keys.as_deref(), args.form)?;
    let data = &args.common.data;
    let Some(dir) = &args.dir else {
        history::show(&Host::of(data)?, &keys, args.common.dry_run, data.json, output)?;
        return Ok(NONE_CAME_BACK);
    };
    let (findings, skipped) = if args.delete_again {
        let engine = Host::work(&args.common, DELETES_AGAIN)?;
        let is_dry = args.common.dry_run;
        let open = if is_dry { roots::known } else { roots::restored };
        let root = open(&engine, &data.folder, dir)?;
        let host = Host::Folder(Box::new(engine));
        let (mut findings, skipped) = look_up(&host, &Seen { root, prefix: String::new() }, keys, args)?;
        if let Some(engine) = host.engine().filter(|_| !is_dry) {
            delete_again(engine, &mut findings)?;
        }
        (findings, skipped)
    } else {
        let host = Host::of(data)?;
        look_up(&host, &roots::seen(&host, &data.folder, dir)?, keys, args)?
    };
    if args.common.data.json {
        output.json(&json!({
            "dry_run": args.common.dry_run,
            "keys": findings.iter().map(to_json).collect::<Vec<_>>(),
            "skipped": skipped.iter().map(skipped_json).collect::<Vec<_>>(),
        }));
    } else {
        let is_dry = args.delete_again && args.common.dry_run;
        let is_whole_folder = args.keys.is_none() && args.key.is_empty();
        // Of a whole folder, only the files are shown that need attention.
        let is_shown = |finding: &&Finding| !is_whole_folder || finding.needs_attention();
        for finding in findings.iter().filter(is_shown) {
            print(finding, is_dry, output);
        }
        for (path, why) in &skipped {
            output.line(format_args!("{} {}: {why}", output.bad("left out:"), printable(path)));
        }
        if is_whole_folder {
            print_summary(&findings, output);
        }
    }
    let stays = |finding: &Finding| finding.came_back() && !matches!(finding.again, Again::Registered);
    let is_done = skipped.is_empty() && !findings.iter().any(stays);
    Ok(if is_done { NONE_CAME_BACK } else { SOME_CAME_BACK })
}

fn look_up(
    host: &Host,
    Seen { root, prefix }: &Seen,
    keys: Vec<Vec<u8>>,
    args: &EndedArgs,
) -> Result<(Vec<Finding>, Skipped), Failure> {
    let (keys, skipped) = if keys.is_empty() {
        let Listing { keys: paths, skipped, .. } = roots::list(root, &Filter::default())?;
        let key = |path: &[u8]| [prefix.as_bytes(), path].concat();
        let skipped = skipped.into_iter().map(|(path, why)| (key(&path), why)).collect();
        (paths.iter().map(|path| key(path)).collect(), skipped)
    } else {
        (keys, Skipped::default())
    };
    let identity = open::identity(args.appended);
    let bar = output::progress(keys.len(), "looking up keys");
    let mut findings = Vec::with_capacity(keys.len());
    for (key, (history_json, history)) in keys.iter().zip(history::of(host, &keys)?) {
        bar.inc(1);
        // A file that cannot be identified cannot be deleted either, so its refusal is reported.
        let file = key.strip_prefix(prefix.as_bytes()).map(|path| root.identify(path, identity)).transpose();
        let (file, again) = match file {
            Ok(file) => (file.flatten(), Again::NotRegistered),
            Err(why) => (None, Again::Refused(why.to_string())),
        };
        findings.push(Finding { key: key.clone(), history, history_json, file, again });
    }
    bar.finish_and_clear();
    Ok((findings, skipped))
}

/// Registers the files that came back, under their former terms.
fn delete_again(engine: &Engine, findings: &mut [Finding]) -> Result<(), Failure> {
    let files: Vec<(&[u8], &Identified)> = findings
        .iter()
        .filter(|finding| finding.came_back())
        .filter_map(|finding| Some((&*finding.key, finding.file.as_ref()?)))
        .collect();
    let answers = intake::delete_again(engine, &files)?;
    for (finding, answer) in findings.iter_mut().filter(|finding| finding.came_back()).zip(answers) {
        finding.again = match answer {
            Ok(()) => Again::Registered,
            Err(why) => Again::Refused(why),
        };
    }
    Ok(())
}

fn print(finding: &Finding, is_dry: bool, output: &mut Output) {
    output.line(history::line(&finding.history));
    if finding.came_back() && matches!(finding.again, Again::NotRegistered) {
        let what = if is_dry { "it would be deleted again" } else { "it came back" };
        output.line(format_args!("         {}", output.bad(what)));
    }
    match &finding.again {
        Again::Registered => output.line("         it is deleted again at the next enforcement"),
        Again::Refused(why) => output.line(format_args!("         {} {why}", output.bad("refused:"))),
        Again::NotRegistered => {}
    }
}

/// Prints the number of files, and how many are live, came back, or are unknown.
fn print_summary(findings: &[Finding], output: &mut Output) {
    let (mut live, mut ended, mut unknown) = (0_u64, 0_u64, 0_u64);
    for finding in findings {
        match &*finding.history.state {
            "live" => live += 1,
            "ended" => ended += 1,
            _ => unknown += 1,
        }
    }
    output.line(format_args!(
        "{}: {} live, {} came back, {} unknown",
        format::counted(findings.len(), "file", "files"),
        format::count(live),
        format::count(ended),
        format::count(unknown)
    ));
}

fn skipped_json((path, why): &(Vec<u8>, String)) -> Value {
    json!({ "path": printable(path), "path_hex": hex::encode(path), "why": why })
}

fn to_json(finding: &Finding) -> Value {
    let mut value = finding.history_json.clone();
    value["came_back"] = finding.came_back().into();
    let (registered, refused) = match &finding.again {
        Again::NotRegistered => (false, None),
        Again::Registered => (true, None),
        Again::Refused(why) => (false, Some(why)),
    };
    value["delete_again"] = registered.into();
    value["refused"] = json!(refused);
    value
}
