//! `sexton class`: retention classes, which hold the promises.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::format::span;
use super::live::Live;
use super::{dry_run, open, parse, requests};
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use sexton::class::{Definition, Find};
use sexton::{ClassSet, Selector, Span, json};
use sexton_proof::leaf::Openings;
use std::path::{Path, PathBuf};

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
    let classes = read(&args.file)?;
    if args.json {
        output.json(&Value::Array(classes.iter().map(json::class).collect()));
        return Ok(0);
    }
    for class in classes.iter() {
        describe(class, "", output);
    }
    Ok(0)
}

fn read(path: &Path) -> Result<ClassSet, Failure> {
    let text = parse::text_of("the class file", path)?;
    let classes = ClassSet::from_toml(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    if classes == ClassSet::empty() {
        return Err(Failure::new(format!("{}: it defines no class", path.display())));
    }
    Ok(classes)
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let status = engine.status()?;
    let is_closed = |name: &str| status.classes.get(name).is_some_and(|class| class.closed);
    if args.data.json {
        let value = |(class, version): &(Definition, u32)| {
            let mut value = json::class(class);
            value["version"] = (*version).into();
            value["closed"] = is_closed(&class.name).into();
            value
        };
        output.json(&Value::Array(engine.classes().iter().map(value).collect()));
        return Ok(0);
    }
    for (class, version) in engine.classes() {
        let closed = if is_closed(&class.name) { ", closed down" } else { "" };
        describe(&class, &format!(" (version {version}{closed})"), output);
    }
    Ok(0)
}

fn set(args: &SetArgs, output: &mut Output) -> Result<u8, Failure> {
    let classes = read(&args.file)?;
    let engine = open::for_change(&args.common)?;
    let before = engine.classes();
    let is_dry = args.common.dry_run;
    if is_dry {
        dry_run::of(&engine)?.define_classes(&classes)?;
    } else {
        engine.define_classes(&classes)?;
    }
    let changes: Vec<(&Definition, &str, u32)> = classes
        .iter()
        .map(|class| match before.iter().find(|(known, _)| known.name == class.name) {
            None => (class, "new", 1),
            Some((known, version)) if known == class => (class, "unchanged", *version),
            Some((_, version)) => (class, "new version", version + 1),
        })
        .collect();
    if args.common.data.json {
        let value = |(class, change, version): &(&Definition, &str, u32)| json!({ "name": class.name, "change": change, "version": version });
        let values: Vec<Value> = changes.iter().map(value).collect();
        output.json(&json!({ "dry_run": is_dry, "classes": values }));
        return Ok(0);
    }
    for (class, change, version) in changes {
        let would = if is_dry { "would be " } else { "" };
        describe(class, &format!(": {would}{change}, version {version}"), output);
    }
    Ok(0)
}

fn apply(args: &ApplyArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let dry = if args.common.dry_run { Some(dry_run::of(&engine)?) } else { None };
    let target = dry.as_ref().unwrap_or(&engine);
    let request = target.apply_class(&args.name, args.decision.attribution())?;
    let live = Live::count(&engine, &request.selector);
    let what = format!("apply the newest version of class \"{}\" to its live objects", args.name);
    requests::accepted(&request, &what, &live, &args.common, output);
    Ok(0)
}

fn close(args: &CloseArgs, output: &mut Output) -> Result<u8, Failure> {
    let selector = match &args.name {
        Some(name) => Selector::Class(name.clone()),
        None => Selector::Everything,
    };
    let engine = open::for_change(&args.common)?;
    let what = format!("close down {}", selector.describe());
    let dry = if args.common.dry_run { Some(dry_run::of(&engine)?) } else { None };
    let request = dry.as_ref().unwrap_or(&engine).close_down(selector, args.decision.attribution())?;
    let live = Live::count(&engine, &request.selector);
    requests::accepted(&request, &what, &live, &args.common, output);
    Ok(0)
}

/// Prints the promise and the settings of a class, below its name and `about`.
fn describe(class: &Definition, about: &str, output: &mut Output) {
    output.line(format_args!("{}{about}", output.strong(&class.name)));
    let text = |span: Option<Span>| span.map(|span| span.to_string()).unwrap_or_default();
    let bounds = match (class.keep, class.within) {
        (Some(_), Some(_)) => {
            format!("kept for {}, gone within {} of", text(class.keep), text(class.within))
        }
        (Some(_), None) => format!("kept for {} from", text(class.keep)),
        (None, _) => format!("gone within {} of", text(class.within)),
    };
    let max_open = class.max_open.map(|span| format!(", {span} after registration at the latest"));
    output.line(format_args!(
        "  promise   {bounds} its start, which is {}{}",
        class.start.name(),
        max_open.unwrap_or_default()
    ));
    if class.zone != "UTC" || !class.calendar.is_empty() {
        let days = class.calendar.holidays().len();
        output.line(format_args!(
            "  calendar  {}, {}",
            class.zone,
            format::counted(days, "holiday", "holidays")
        ));
    }
    output.line(format_args!("  slot      {}, lead {}", span(class.slot), span(class.lead)));
    let mut settings = vec![
        class.disposition.name().to_owned(),
        if class.find == Find::Key { "found by key" } else { "not found by key" }.to_owned(),
        match class.openings {
            Openings::Ticket => "openings handed out as tickets".to_owned(),
            other => format!("openings kept by the {}", other.name()),
        },
    ];
    settings.extend(class.feed.then(|| "deletions go into the feed".to_owned()));
    settings.extend(class.remember.map(|span| format!("ended objects remembered for {span}")));
    settings.extend(class.host_deletes.then(|| "the host deletes most objects".to_owned()));
    output.line(format_args!("  settings  {}", settings.join(", ")));
}
