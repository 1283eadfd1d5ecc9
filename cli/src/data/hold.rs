//! `sexton hold`: legal holds, which keep objects until a person lifts them.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::host::Host;
use super::keys::{self, KeyForm};
use super::live::Live;
use super::parse;
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton::{HoldName, Selector};
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_service::api::{Covers, Hold, HoldList, LiftHold, LiftedHold, ListHolds, PlaceHold, PlacedHold};
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
    /// still overwrite or delete an object by itself. An object that is registered twice, because its class has
    /// find = "none", needs a hold that covers both registrations: by key, by prefix or on everything. Name, reason and selector of a hold are kept for ever, even
    /// after it is lifted: name a case, not a person. A dry run does not list objects on their way to deletion.
    Place(PlaceArgs),
    /// Lift a legal hold
    ///
    /// Lift a legal hold. Objects that fell due under it are deleted when the grace has passed, or just before a ceiling
    /// that is still to come. Other objects are deleted on time. Of several lifted holds the longest grace counts, and an
    /// erasure waits for none. Objects of an event hold count from now on.
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
    covers: CoverArgs,
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
struct CoverArgs {
    /// Cover the object with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Cover the objects with the keys of this file, one key per line, in any number
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
    let on = Covers::from(&selector(args)?);
    let request = PlaceHold {
        name: args.name.as_str().to_owned(),
        on: on.clone(),
        event: args.event,
        decision: args.decision.decision(),
        review_ms: args.review.unix_ms(),
        dry_run: args.common.dry_run,
    };
    let host = Host::of(&args.common.data)?;
    let placed = host.call(request)?;
    // The hold stands before its objects are counted.
    let live = Live::on(&host, on);
    let PlacedHold { hold, too_late, dry_run } = placed.answer();
    let code = if too_late.is_empty() { PLACED } else { SOME_TOO_LATE };
    if args.common.data.json {
        let mut value = placed.into_json();
        value["live_objects"] = live.json();
        output.json(&value);
        return Ok(code);
    }
    let done = if *dry_run { "would be placed" } else { "is placed" };
    output.line(format_args!("hold {:?} {done} on {}", hold.name, hold.on));
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
    let request = LiftHold {
        name: args.name.as_str().to_owned(),
        decision: args.decision.decision(),
        grace_ms: whole_ms(args.grace),
        dry_run: args.common.dry_run,
    };
    let lifted = Host::of(&args.common.data)?.call(request)?;
    if args.common.data.json {
        output.json(&lifted.into_json());
        return Ok(0);
    }
    let LiftedHold { hold, dry_run } = lifted.answer();
    let done = if *dry_run { "would be lifted" } else { "is lifted" };
    output.line(format_args!("hold {:?} {done} from {}", hold.name, hold.on));
    output.line(match () {
        () if hold.event => "  the covered objects count from now on".to_owned(),
        () if args.grace.is_zero() => {
            "  objects past their ceiling are deleted at the next enforcement".to_owned()
        }
        () => format!("  objects past their ceiling are deleted in {}", format::length(args.grace)),
    });
    Ok(0)
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let listed = Host::of(&args.data)?.call(ListHolds { all: args.all })?;
    if args.data.json {
        output.json(&listed.into_json()["holds"]);
        return Ok(0);
    }
    let HoldList { holds, as_of_ms } = listed.answer();
    for hold in holds {
        print(hold, *as_of_ms, output);
    }
    if holds.is_empty() {
        output.line("no hold stands");
    }
    Ok(0)
}

fn print(hold: &Hold, as_of_ms: i64, output: &mut Output) {
    let event = if hold.event { ", restarts the clock" } else { "" };
    output.line(format_args!("{} on {}{event}", output.strong(&hold.name), hold.on));
    let instant = Timestamp::from_unix_ms;
    let review = format!("review {}", instant(hold.review_ms));
    let is_overdue = hold.lifted.is_none() && hold.review_ms < as_of_ms;
    output.line(format_args!(
        "  placed {} by {}: {}; {}",
        instant(hold.placed_ms),
        hold.author,
        hold.reason,
        if is_overdue { output.bad(review) } else { review }
    ));
    if let Some(lift) = &hold.lifted {
        output.line(format_args!("  lifted {} by {}: {}", instant(lift.at_ms), lift.author, lift.reason));
    }
}
