//! `sexton hold`: what is kept until a person lets it go.

use crate::args::{HoldCommand, HoldLiftArgs, HoldListArgs, HoldPlaceArgs};
use crate::output::{Failure, Output};
use crate::{folder, rehearsal, show, value};
use serde_json::Value;
use sexton::{Hold, HoldKind, NewHold, Selector, json};

const PLACED: u8 = 0;
const SOME_TOO_LATE: u8 = 1;

pub(crate) fn run(command: &HoldCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        HoldCommand::Place(args) => place(args, output),
        HoldCommand::Lift(args) => lift(args, output),
        HoldCommand::List(args) => list(args, output),
    }
}

fn place(args: &HoldPlaceArgs, output: &mut Output) -> Result<u8, Failure> {
    let new = NewHold {
        name: args.name.clone(),
        selector: selector(args)?,
        kind: if args.event { HoldKind::Event } else { HoldKind::Temporary },
        reason: args.why.reason.clone(),
        author: args.why.author.clone(),
        review_ms: args.review,
    };
    let engine = folder::to_change(&args.change)?;
    let dry_run = args.change.dry_run;
    let on = if dry_run { rehearsal::of(&engine)? } else { engine };
    let placed = on.place_hold(new)?;
    let too_late: Vec<String> = placed.too_late.iter().map(ToString::to_string).collect();
    let code = if too_late.is_empty() { PLACED } else { SOME_TOO_LATE };
    if args.change.data.json {
        let mut told = decided(&placed.hold, dry_run);
        told["too_late"] = too_late.into();
        output.json(&told);
        return Ok(code);
    }
    let done = if dry_run { "would be placed" } else { "is placed" };
    let hold = &placed.hold.terms;
    output.line(format_args!("hold {:?} {done} on {}", hold.name, hold.selector.describe()));
    for id in too_late {
        output.line(format_args!("{} {id} was on its way to deletion already", output.bad("too late:")));
    }
    Ok(code)
}

fn selector(args: &HoldPlaceArgs) -> Result<Selector, Failure> {
    let covers = &args.covers;
    Ok(match (&covers.prefix, &covers.subject, &covers.class) {
        (Some(prefix), _, _) => Selector::Prefix(value::bytes(prefix, args.hex)?),
        (_, Some(subject), _) => Selector::Subject(value::bytes(subject, args.hex)?),
        (_, _, Some(class)) => Selector::Class(class.clone()),
        _ => Selector::Keys(value::all_bytes(&covers.key, args.hex)?),
    })
}

fn lift(args: &HoldLiftArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    let dry_run = args.change.dry_run;
    let on = if dry_run { rehearsal::of(&engine)? } else { engine };
    let hold = on.lift_hold(&args.name, &args.why.reason, &args.why.author, args.grace)?;
    if args.change.data.json {
        output.json(&decided(&hold, dry_run));
        return Ok(0);
    }
    let done = if dry_run { "would be lifted" } else { "is lifted" };
    output.line(format_args!("hold {:?} {done} from {}", hold.terms.name, hold.terms.selector.describe()));
    output.line(match hold.terms.kind {
        HoldKind::Event => "  what it covers counts from now on".to_owned(),
        HoldKind::Temporary if args.grace == 0 => {
            "  what it kept past its ceiling goes at the next enforcement".to_owned()
        }
        HoldKind::Temporary => {
            format!("  what it kept past its ceiling goes in {}", show::length(args.grace.unsigned_abs()))
        }
    });
    Ok(0)
}

fn list(args: &HoldListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let now_ms = engine.now_ms();
    let mut holds = engine.holds();
    holds.retain(|hold| args.all || hold.lifted.is_none());
    holds.sort_by_key(|hold| hold.placed_ms);
    if args.data.json {
        output.json(&Value::Array(holds.iter().map(json::hold).collect()));
        return Ok(0);
    }
    for hold in &holds {
        describe(hold, now_ms, output);
    }
    if holds.is_empty() {
        output.line("no hold stands");
    }
    Ok(0)
}

fn describe(hold: &Hold, now_ms: i64, output: &mut Output) {
    let terms = &hold.terms;
    let event = if terms.kind == HoldKind::Event { ", restarts the clock" } else { "" };
    output.line(format_args!("{} on {}{event}", output.strong(&terms.name), terms.selector.describe()));
    let review = format!("review {}", show::instant(terms.review_ms));
    let is_overdue = hold.lifted.is_none() && terms.review_ms < now_ms;
    output.line(format_args!(
        "  placed {} by {}: {}; {}",
        show::instant(hold.placed_ms),
        terms.author,
        terms.reason,
        if is_overdue { output.bad(review) } else { review }
    ));
    if let Some(lifted) = &hold.lifted {
        output.line(format_args!(
            "  lifted {} by {}: {}",
            show::instant(lifted.at_ms),
            lifted.author,
            lifted.reason
        ));
    }
}

/// What was decided, or would be: then it has no id.
fn decided(hold: &Hold, dry_run: bool) -> Value {
    let mut told = json::hold(hold);
    told["dry_run"] = dry_run.into();
    if dry_run {
        told["id"] = Value::Null;
    }
    told
}
