//! `sexton init` and `sexton class`: what is promised.

use crate::args::{
    ClassApplyArgs, ClassCheckArgs, ClassCloseArgs, ClassCommand, ClassListArgs, ClassSetArgs, InitArgs,
};
use crate::output::{Failure, Output};
use crate::{folder, rehearsal, request, show, value};
use serde_json::{Value, json};
use sexton::{ClassSet, Clock, Definition, Engine, Options, Selector, Span, SystemClock, json};
use std::path::Path;

pub(crate) fn run(command: &ClassCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        ClassCommand::Check(args) => check(args, output),
        ClassCommand::List(args) => list(args, output),
        ClassCommand::Set(args) => set(args, output),
        ClassCommand::Apply(args) => apply(args, output),
        ClassCommand::Close(args) => close(args, output),
    }
}

pub(crate) fn init(args: &InitArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.change.data.folder;
    let is_new = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_new {
        return Err(Failure::new(format!("{} is not a new or empty folder", folder.display())));
    }
    let dry_run = args.change.dry_run;
    let options = Options::new(&args.origin);
    let engine = if dry_run {
        rehearsal::with(&options, SystemClock.now_ms())?
    } else {
        Engine::open(folder, &options)?
    };
    let log_key = Some(engine.log_key().to_string()).filter(|_| !dry_run);
    if args.change.data.json {
        output.json(&json!({ "dry_run": dry_run, "origin": args.origin, "log_key": log_key }));
        return Ok(0);
    }
    let made = if dry_run { "would make" } else { "made" };
    output.line(format_args!("{made} {} with the origin {}", folder.display(), args.origin));
    if let Some(key) = log_key {
        output.line(format_args!("its log is verified with the key {key}"));
    }
    Ok(0)
}

fn check(args: &ClassCheckArgs, output: &mut Output) -> Result<u8, Failure> {
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
    let text = value::text_of("the class file", path)?;
    let classes = ClassSet::from_toml(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    if classes == ClassSet::empty() {
        return Err(Failure::new(format!("{}: it defines no class", path.display())));
    }
    Ok(classes)
}

fn list(args: &ClassListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let status = engine.status()?;
    let is_closed = |name: &str| status.classes.get(name).is_some_and(|class| class.closed);
    if args.data.json {
        let one = |(class, version): &(Definition, u32)| {
            let mut told = json::class(class);
            told["version"] = (*version).into();
            told["closed"] = is_closed(&class.name).into();
            told
        };
        output.json(&Value::Array(engine.classes().iter().map(one).collect()));
        return Ok(0);
    }
    for (class, version) in engine.classes() {
        let closed = if is_closed(&class.name) { ", closed down" } else { "" };
        describe(&class, &format!(" (version {version}{closed})"), output);
    }
    Ok(0)
}

fn set(args: &ClassSetArgs, output: &mut Output) -> Result<u8, Failure> {
    let classes = read(&args.file)?;
    let engine = folder::to_change(&args.change)?;
    let before = engine.classes();
    let dry_run = args.change.dry_run;
    if dry_run {
        rehearsal::of(&engine)?.define(&classes)?;
    } else {
        engine.define(&classes)?;
    }
    let changes: Vec<(&Definition, &str, u32)> = classes
        .iter()
        .map(|class| match before.iter().find(|(known, _)| known.name == class.name) {
            None => (class, "new", 1),
            Some((known, version)) if known == class => (class, "unchanged", *version),
            Some((_, version)) => (class, "new version", version + 1),
        })
        .collect();
    if args.change.data.json {
        let one = |(class, change, version): &(&Definition, &str, u32)| json!({ "name": class.name, "change": change, "version": version });
        let told: Vec<Value> = changes.iter().map(one).collect();
        output.json(&json!({ "dry_run": dry_run, "classes": told }));
        return Ok(0);
    }
    for (class, change, version) in changes {
        let would = if dry_run { "would be " } else { "" };
        describe(class, &format!(": {would}{change}, version {version}"), output);
    }
    Ok(0)
}

fn apply(args: &ClassApplyArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    let (why, dry_run) = (&args.why, args.change.dry_run);
    let on = if dry_run { rehearsal::of(&engine)? } else { engine };
    let taken = on.apply_class(&args.name, &why.reason, &why.author)?;
    let what = format!("apply the newest version of class \"{}\" to what lives in it", args.name);
    request::taken(&taken, &what, &args.change, output);
    Ok(0)
}

fn close(args: &ClassCloseArgs, output: &mut Output) -> Result<u8, Failure> {
    let selector = match &args.name {
        Some(name) => Selector::Class(name.clone()),
        None => Selector::Everything,
    };
    let engine = folder::to_change(&args.change)?;
    let live: u64 = engine
        .status()?
        .classes
        .iter()
        .filter(|(name, _)| args.name.as_ref().is_none_or(|wanted| wanted == *name))
        .map(|(_, class)| class.live)
        .sum();
    let what = format!("close down {}, in which {} live", selector.describe(), show::count(live));
    let (why, dry_run) = (&args.why, args.change.dry_run);
    let on = if dry_run { rehearsal::of(&engine)? } else { engine };
    let taken = on.close_down(selector, &why.reason, &why.author)?;
    request::taken(&taken, &what, &args.change, output);
    Ok(0)
}

/// What a class promises, for people.
fn describe(class: &Definition, about: &str, output: &mut Output) {
    output.line(format_args!("{}{about}", output.strong(&class.name)));
    let text = |span: Option<Span>| span.map(|span| span.to_string()).unwrap_or_default();
    let bounds = match (class.keep, class.within) {
        (Some(_), Some(_)) => {
            format!("kept for {}, gone within {}", text(class.keep), text(class.within))
        }
        (Some(_), None) => format!("kept for {}", text(class.keep)),
        (None, _) => format!("gone within {}", text(class.within)),
    };
    let open = class.max_open.map(|span| format!(", {span} after registration at the latest"));
    output.line(format_args!(
        "  promise   {bounds} of its start, which is {}{}",
        class.start.name(),
        open.unwrap_or_default()
    ));
    if class.zone != "UTC" || !class.calendar.is_empty() {
        let days = class.calendar.holidays().len();
        output.line(format_args!(
            "  calendar  {}, {}",
            class.zone,
            show::counted(days, "holiday", "holidays")
        ));
    }
    output.line(format_args!(
        "  slot      {}, lead {}",
        show::span(class.slot_ms),
        show::span(class.lead_ms)
    ));
    let mut more = vec![
        class.disposition.name().to_owned(),
        format!("find by {}", class.find.name()),
        format!("openings kept by {}", class.openings.name()),
    ];
    more.extend(class.feed.then(|| "deletions go into the feed".to_owned()));
    more.extend(class.remember.map(|span| format!("remembered for {span}")));
    output.line(format_args!("  how       {}", more.join(", ")));
}
