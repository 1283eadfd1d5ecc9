//! `sexton hold`: legal holds, which keep objects until a person lifts them.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::keys::{self, KeyForm};
use super::live::Live;
use super::{dry_run, open, parse};
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;
use sexton::decision::{Hold, HoldKind};
use sexton::{HoldName, NewHold, Selector, json};
use sexton_proof::time::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

const PLACED: u8 = 0;
const SOME_TOO_LATE: u8 = 1;

/// Subcommands of `sexton hold`.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Place a legal hold: the objects that it covers are not deleted until it is lifted
    ///
    /// Place a legal hold. The objects that it covers, now and later, are not deleted until it is lifted. The host can
    /// still overwrite or delete an object by itself. Name, reason and selector of a hold are kept for ever, even
    /// after it is lifted: name a case, not a person. A dry run does not list objects on their way to deletion.
    Place(PlaceArgs),
    /// Lift a legal hold
    ///
    /// Lift a legal hold. Objects that it kept past their ceiling are deleted when the grace has passed. Objects that
    /// are still in their window are deleted on time. Objects of an event hold count from now on.
    Lift(LiftArgs),
    /// Show the standing legal holds
    List(ListArgs),
}

/// Arguments of `sexton hold place`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton hold place /var/lib/sexton --name 'case 7' --subject anna \\\n    \
     --reason 'court order 7/26' --author 'Ada Lovelace' --review 2027-01-31",
    "the hold stands, but some covered objects were already on their way to\n     deletion, and are listed"
))]
pub(crate) struct PlaceArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Name of the hold, by which it is lifted
    #[arg(long, value_name = "NAME")]
    name: HoldName,
    #[command(flatten)]
    covers: Covers,
    #[command(flatten)]
    form: KeyForm,
    /// Restart the clock of the covered objects when the hold is lifted
    #[arg(long)]
    event: bool,
    #[command(flatten)]
    decision: DecisionArgs,
    /// Day on which to review the hold; it does not end by itself
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse::day)]
    review: Timestamp,
}

/// Selector of a hold, exactly one of these.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
struct Covers {
    /// Cover the object with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Cover the objects with the keys of this file, one key per line
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Cover every object whose key begins with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Cover every object of this subject
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Cover every object of this class
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
}

/// Arguments of `sexton hold lift`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton hold lift /var/lib/sexton 'case 7' --reason 'case closed' \\\n    --author 'Ada Lovelace' --grace 7d"
))]
pub(crate) struct LiftArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Name of the hold
    #[arg(value_name = "NAME")]
    name: HoldName,
    #[command(flatten)]
    decision: DecisionArgs,
    /// Time until objects that it kept past their ceiling are deleted: s, m, h, d, w, or 0
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse::exact)]
    grace: Duration,
}

/// Arguments of `sexton hold list`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton hold list /var/lib/sexton --all"))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Show lifted holds too
    #[arg(long)]
    all: bool,
}

pub(super) fn run(command: &HoldCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        HoldCommand::Place(args) => place(args, output),
        HoldCommand::Lift(args) => lift(args, output),
        HoldCommand::List(args) => list(args, output),
    }
}

fn place(args: &PlaceArgs, output: &mut Output) -> Result<u8, Failure> {
    let kind = if args.event { HoldKind::Event } else { HoldKind::Temporary };
    let attribution = args.decision.attribution();
    let new = NewHold::new(args.name.clone(), selector(args)?, kind, attribution, args.review);
    let engine = open::for_change(&args.common)?;
    let is_dry = args.common.dry_run;
    let dry = if is_dry { Some(dry_run::of(&engine)?) } else { None };
    let placed = dry.as_ref().unwrap_or(&engine).place_hold(new)?;
    // The hold stands before its objects are counted.
    let live = Live::count(&engine, &placed.hold.terms.selector);
    let too_late: Vec<String> = placed.too_late.iter().map(ToString::to_string).collect();
    let code = if too_late.is_empty() { PLACED } else { SOME_TOO_LATE };
    if args.common.data.json {
        let mut value = hold_json(&placed.hold, is_dry);
        value["too_late"] = too_late.into();
        value["live_objects"] = live.json();
        output.json(&value);
        return Ok(code);
    }
    let done = if is_dry { "would be placed" } else { "is placed" };
    let terms = &placed.hold.terms;
    output.line(format_args!("hold {:?} {done} on {}", terms.name.as_str(), terms.selector.describe()));
    live.print(output);
    for id in too_late {
        output.line(format_args!("{} {id} was already on its way to deletion", output.bad("too late:")));
    }
    Ok(code)
}

fn selector(args: &PlaceArgs) -> Result<Selector, Failure> {
    let covers = &args.covers;
    Ok(match (&covers.prefix, &covers.subject, &covers.class) {
        (Some(prefix), _, _) => Selector::Prefix(parse::bytes(prefix, args.form.hex)?),
        (_, Some(subject), _) => Selector::Subject(parse::bytes(subject, args.form.hex)?),
        (_, _, Some(class)) => Selector::Class(class.clone()),
        _ => Selector::Keys(keys::keys(&covers.key, covers.keys.as_deref(), args.form)?),
    })
}

fn lift(args: &LiftArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let is_dry = args.common.dry_run;
    let target = if is_dry { dry_run::of(&engine)? } else { engine };
    let hold = target.lift_hold(&args.name, args.decision.attribution(), args.grace)?;
    if args.common.data.json {
        output.json(&hold_json(&hold, is_dry));
        return Ok(0);
    }
    let done = if is_dry { "would be lifted" } else { "is lifted" };
    let terms = &hold.terms;
    output.line(format_args!("hold {:?} {done} from {}", terms.name.as_str(), terms.selector.describe()));
    output.line(match terms.kind {
        HoldKind::Event => "  the covered objects count from now on".to_owned(),
        _ if args.grace.is_zero() => {
            "  objects past their ceiling are deleted at the next enforcement".to_owned()
        }
        _ => {
            format!("  objects past their ceiling are deleted in {}", format::length(args.grace))
        }
    });
    Ok(0)
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let now = engine.now();
    let mut holds = engine.holds();
    holds.retain(|hold| args.all || hold.lifted.is_none());
    holds.sort_by_key(|hold| hold.placed);
    if args.data.json {
        output.json(&Value::Array(holds.iter().map(json::hold).collect()));
        return Ok(0);
    }
    for hold in &holds {
        print(hold, now, output);
    }
    if holds.is_empty() {
        output.line("no hold stands");
    }
    Ok(0)
}

fn print(hold: &Hold, now: Timestamp, output: &mut Output) {
    let terms = &hold.terms;
    let event = if terms.kind == HoldKind::Event { ", restarts the clock" } else { "" };
    output.line(format_args!("{} on {}{event}", output.strong(&terms.name), terms.selector.describe()));
    let review = format!("review {}", terms.review);
    let is_overdue = hold.lifted.is_none() && terms.review < now;
    output.line(format_args!(
        "  placed {} by {}: {}; {}",
        hold.placed,
        terms.attribution.author,
        terms.attribution.reason,
        if is_overdue { output.bad(review) } else { review }
    ));
    if let Some(lifted) = &hold.lifted {
        output.line(format_args!(
            "  lifted {} by {}: {}",
            lifted.at, lifted.attribution.author, lifted.attribution.reason
        ));
    }
}

/// Returns a hold as JSON. In a dry run it has no id.
fn hold_json(hold: &Hold, is_dry: bool) -> Value {
    let mut value = json::hold(hold);
    value["dry_run"] = is_dry.into();
    if is_dry {
        value["id"] = Value::Null;
    }
    value
}
