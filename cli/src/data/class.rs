//! `sexton class`: retention classes, which hold the promises.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::format::span;
use super::host::Host;
use super::live::Live;
use super::{parse, requests};
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;
use sexton::{ClassSet, json};
use sexton_proof::time::Timestamp;
use sexton_service::api::{
    ApplyClass, Class, ClassChange, CloseClass, Covers, Decided, Decision, ListClasses, ListedClass,
    SetClasses,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Subcommands of `sexton class`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassCommand {
    /// Read a class file and show its promises, or why it is refused
    Check(CheckArgs),
    /// Show the classes of a data folder
    List(ListArgs),
    /// Define classes or new class versions
    ///
    /// Define the classes of a file. A class that differs from the stored one becomes a new version. Registered
    /// objects keep the bounds that they were promised, until `class apply`.
    Set(SetArgs),
    /// Apply the newest version of a class to objects registered under earlier ones
    Apply(ApplyArgs),
    /// Close down a class or everything: it takes no more objects, and its objects are deleted
    ///
    /// Close down a class, or everything. It takes no more objects. Its live objects are deleted after a slot's
    /// notice, but not before their floor, and not while a legal hold covers them.
    Close(CloseArgs),
}

/// Arguments of `sexton class check`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class check classes.toml"))]
pub(crate) struct CheckArgs {
    /// Class file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON on stdout instead of text
    #[arg(long)]
    json: bool,
}

/// Arguments of `sexton class list`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class list /var/lib/sexton"))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Arguments of `sexton class set`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class set /var/lib/sexton classes.toml --dry-run", in steps))]
pub(crate) struct SetArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Class file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Reason, for later readers; kept with each new class version
    #[arg(long, value_name = "TEXT", value_parser = parse::short_text, requires = "author")]
    reason: Option<String>,
    /// Person who decides
    #[arg(long, value_name = "NAME", value_parser = parse::short_text, requires = "reason")]
    author: Option<String>,
}

/// Arguments of `sexton class apply`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton class apply /var/lib/sexton data-30d \\\n    --reason 'new policy' --author 'Ada Lovelace'"
))]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Class name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Arguments of `sexton class close`.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("closed").args(["name", "everything"]).required(true),
    // clap would put the group before DATA.
    override_usage = "sexton class close [OPTIONS] --reason <TEXT> --author <NAME> <DATA> <NAME|--everything>",
    after_long_help = help!(
        "sexton class close /var/lib/sexton upload-3h \\\n    --reason 'the service ends' --author 'Ada Lovelace'"
    )
)]
pub(crate) struct CloseArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Class name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Close every class
    #[arg(long)]
    everything: bool,
    #[command(flatten)]
    decision: DecisionArgs,
}

pub(super) fn run(command: &ClassCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        ClassCommand::Check(args) => check(args, output),
        ClassCommand::List(args) => list(args, output),
        ClassCommand::Set(args) => set(args, output),
        ClassCommand::Apply(args) => apply(args, output),
        ClassCommand::Close(args) => close(args, output),
    }
}

fn check(args: &CheckArgs, output: &mut Output) -> Result<u8, Failure> {
    let (_, classes) = read(&args.file)?;
    let value = Value::Array(classes.iter().map(json::class).collect());
    if args.json {
        output.json(&value);
        return Ok(0);
    }
    for class in described(value)? {
        describe(&class, "", output);
    }
    Ok(0)
}

/// Reads a class file. Returns its text and its classes.
fn read(path: &Path) -> Result<(String, ClassSet), Failure> {
    let text = parse::text_of("the class file", path)?;
    let classes = ClassSet::from_toml(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    if classes == ClassSet::empty() {
        return Err(Failure::new(format!("{}: it defines no class", path.display())));
    }
    Ok((text, classes))
}

/// Returns classes from their JSON.
fn described(classes: Value) -> Result<Vec<Class>, Failure> {
    serde_json::from_value(classes).map_err(|e| Failure::new(format!("the classes are not understood: {e}")))
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let listed = Host::of(&args.data)?.call(ListClasses {})?;
    if args.data.json {
        output.json(&listed.into_json()["classes"]);
        return Ok(0);
    }
    for ListedClass { class, version, closed, set } in &listed.answer().classes {
        let closed = if *closed { ", closed down" } else { "" };
        describe(class, &format!(" (version {version}{closed})"), output);
        if let Some(Decided { at_ms, author, reason, .. }) = set {
            let at = Timestamp::from_unix_ms(*at_ms);
            output.line(format_args!("  set       {at} by {author}: {reason}"));
        }
    }
    Ok(0)
}

fn set(args: &SetArgs, output: &mut Output) -> Result<u8, Failure> {
    let (toml, classes) = read(&args.file)?;
    let decision = args.reason.as_ref().zip(args.author.as_ref());
    let decision =
        decision.map(|(reason, author)| Decision { author: author.clone(), reason: reason.clone() });
    let dry_run = args.common.dry_run;
    let reply = Host::of(&args.common.data)?.call(SetClasses { toml, decision, dry_run })?;
    if args.common.data.json {
        output.json(&reply.into_json());
        return Ok(0);
    }
    let would = if dry_run { "would be " } else { "" };
    let classes = described(Value::Array(classes.iter().map(json::class).collect()))?;
    for (class, ClassChange { change, version, .. }) in classes.iter().zip(&reply.answer().classes) {
        describe(class, &format!(": {would}{change}, version {version}"), output);
    }
    Ok(0)
}

fn apply(args: &ApplyArgs, output: &mut Output) -> Result<u8, Failure> {
    let host = Host::of(&args.common.data)?;
    let request = ApplyClass {
        name: args.name.clone(),
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let reply = host.call(request)?;
    let live = Live::on(&host, Covers { class: Some(args.name.clone()), ..Covers::default() });
    let what = format!("apply the newest version of class \"{}\" to its live objects", args.name);
    let (json, accepted) = reply.into_parts();
    requests::report((json, &accepted), &what, &live, args.common.data.json, output);
    Ok(0)
}

fn close(args: &CloseArgs, output: &mut Output) -> Result<u8, Failure> {
    let host = Host::of(&args.common.data)?;
    let request = CloseClass {
        name: args.name.clone(),
        everything: args.everything,
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let reply = host.call(request)?;
    let live = match &args.name {
        Some(name) => Live::on(&host, Covers { class: Some(name.clone()), ..Covers::default() }),
        None => Live::all(&host),
    };
    let what = format!("close down {}", reply.answer().request.of);
    let (json, accepted) = reply.into_parts();
    requests::report((json, &accepted), &what, &live, args.common.data.json, output);
    Ok(0)
}

/// Prints the promise and the settings of a class, below its name and `about`.
fn describe(class: &Class, about: &str, output: &mut Output) {
    output.line(format_args!("{}{about}", output.strong(&class.name)));
    let bounds = match (&class.keep, &class.within) {
        (Some(keep), Some(within)) => format!("kept for {keep}, gone within {within} of"),
        (Some(keep), None) => format!("kept for {keep} from"),
        (None, within) => format!("gone within {} of", within.as_deref().unwrap_or_default()),
    };
    let max_open = class.max_open.as_ref().map(|span| format!(", {span} after registration at the latest"));
    output.line(format_args!(
        "  promise   {bounds} its start, which is {}{}",
        class.start,
        max_open.unwrap_or_default()
    ));
    if class.zone != "UTC" || !class.holidays.is_empty() || !class.workdays.is_empty() {
        output.line(format_args!(
            "  calendar  {}, {}",
            class.zone,
            format::counted(class.holidays.len(), "holiday", "holidays")
        ));
    }
    let length = |ms| span(Duration::from_millis(ms));
    output.line(format_args!("  slot      {}, lead {}", length(class.slot_ms), length(class.lead_ms)));
    let mut settings = vec![
        class.disposition.clone(),
        match &*class.find {
            "key" => "found by key".to_owned(),
            "version" => "found by key and version".to_owned(),
            _ => "not found by key".to_owned(),
        },
        match &*class.openings {
            "ticket" => "openings handed out as tickets".to_owned(),
            other => format!("openings kept by the {other}"),
        },
    ];
    settings.push(format!("sealed within {}", class.seal_within));
    settings.extend(class.evidence.as_ref().map(|span| format!("openings destroyed {span} after the end")));
    settings.extend(class.feed.then(|| "deletions go into the feed".to_owned()));
    let remember = class.remember.as_ref();
    settings.extend(remember.map(|span| format!("ended objects remembered for {span}")));
    settings.extend(class.host_deletes.then(|| "the host deletes most objects".to_owned()));
    output.line(format_args!("  settings  {}", settings.join(", ")));
}
