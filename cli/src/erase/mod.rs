//! `sexton erase`: what people ask to be gone before its time.

mod list;
mod receipts;

use crate::args::{Change, EraseCommand, EraseNumberArgs, EraseRequestArgs};
use crate::output::{Failure, Output};
use crate::{folder, rehearsal, show, value};
use serde_json::{Value, json};
use sexton::{Calendar, Engine, Erasure, Request, RequestKind, RequestState, Selector, Span};
use sexton_proof::window::Unit;

/// Within what time an erasure that is to have effect at once is to be answered: the shortest span there is.
const AT_ONCE: Span = Span { count: 1, unit: Unit::Seconds };

pub(crate) fn run(command: &EraseCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        EraseCommand::Request(args) => request(args, output),
        EraseCommand::Cancel(args) => cancel(args, output),
        EraseCommand::List(args) => list::run(args, output),
        EraseCommand::Receipts(args) => receipts::run(args, output),
        EraseCommand::Forget(args) => forget(args, output),
    }
}

fn request(args: &EraseRequestArgs, output: &mut Output) -> Result<u8, Failure> {
    let calendar = match &args.holidays {
        None => Calendar::default(),
        Some(path) => Calendar::parse(&value::text_of("the holiday file", path)?)
            .map_err(|e| Failure::new(format!("{}: {e}", path.display())))?,
    };
    let selector = match (&args.whose.subject, &args.whose.keys) {
        (Some(subject), _) => Selector::Subject(value::bytes(subject, args.hex)?),
        (None, Some(path)) => Selector::Keys(value::keys_of(path, args.hex)?),
        (None, None) => Selector::Keys(value::all_bytes(&args.whose.key, args.hex)?),
    };
    let engine = folder::open(&args.change.data.folder)?;
    let erasure = Erasure {
        received_ms: args.received.ms(engine.now_ms())?,
        within: if args.immediate { Some(AT_ONCE) } else { args.within },
        calendar,
        cancellable_ms: args.cancellable,
        reason: args.why.reason.clone(),
        author: args.why.author.clone(),
        selector,
    };
    let live = live_keys(&engine, &erasure.selector)?;
    let what = match live {
        None => format!("erase {}", erasure.selector.describe()),
        Some(live) => {
            format!("erase {}, of which {} live", erasure.selector.describe(), show::count(live as u64))
        }
    };
    let on = if args.change.dry_run { rehearsal::of(&engine)? } else { engine };
    let request = on.erase(erasure)?;
    taken(&request, &what, &args.change, output);
    Ok(0)
}

/// How many of the keys have a live registration; nobody knows that of a subject before looking through everything.
fn live_keys(engine: &Engine, selector: &Selector) -> Result<Option<usize>, Failure> {
    let Selector::Keys(keys) = selector else { return Ok(None) };
    let mut live = 0;
    for key in keys.iter().filter(|key| !key.is_empty()) {
        live += usize::from(engine.find(key)?.is_some());
    }
    Ok(Some(live))
}

/// Says that a request was taken, or would be.
pub(crate) fn taken(request: &Request, what: &str, change: &Change, output: &mut Output) {
    if change.data.json {
        let mut told = json_of(request);
        told["dry_run"] = change.dry_run.into();
        if change.dry_run {
            told["number"] = Value::Null;
        }
        output.json(&told);
        return;
    }
    match change.dry_run {
        true => output.line(format_args!("would {what}")),
        false => output.line(format_args!("request {} is taken: {what}", request.number)),
    }
    for line in times(request) {
        output.line(format_args!("  {line}"));
    }
}

/// Whether it is to have effect at once.
fn is_immediate(request: &Request) -> bool {
    let at_once_ms = request.received_ms.saturating_add(AT_ONCE.exact_ms().unwrap_or(0));
    request.kind == RequestKind::Erase
        && request.ready_ms == request.received_ms
        && request.due_ms.is_some_and(|due_ms| due_ms <= at_once_ms)
}

/// What of its times matters.
fn times(request: &Request) -> Vec<String> {
    let mut lines = Vec::new();
    if is_immediate(request) {
        lines.push("at once: it cannot be cancelled, and goes at the next enforcement".into());
        return lines;
    }
    if request.ready_ms > request.received_ms {
        lines.push(format!("it can be cancelled until {}", show::instant(request.ready_ms)));
    }
    lines.extend(request.due_ms.map(|due| format!("it is to be answered by {}", show::instant(due))));
    lines
}

fn json_of(request: &Request) -> Value {
    let (kind, _) = kind(request);
    json!({
        "number": request.number,
        "kind": kind,
        "of": request.selector.describe(),
        "selector": request.selector,
        "reason": request.reason,
        "author": request.author,
        "received_ms": request.received_ms,
        "cancellable_until_ms": Some(request.ready_ms).filter(|ready| *ready > request.received_ms),
        "due_ms": request.due_ms,
        "immediate": is_immediate(request),
        "state": state(request),
        "changed_ms": request.changed_ms,
        "objects": request.objects,
    })
}

/// What is asked for, as a word and for people.
fn kind(request: &Request) -> (&'static str, &'static str) {
    match request.kind {
        RequestKind::Erase => ("erase", "erasure of"),
        RequestKind::Close => ("close", "closing down of"),
        RequestKind::Apply { .. } => ("apply", "new terms for"),
        RequestKind::Lift { .. } => ("lift", "lifted hold on"),
    }
}

fn state(request: &Request) -> &'static str {
    match request.state {
        RequestState::Waiting => "waiting",
        RequestState::Found => "found",
        RequestState::Finished => "finished",
        RequestState::Cancelled => "cancelled",
    }
}

/// The request of that number.
fn numbered(engine: &Engine, number: u32) -> Result<Request, Failure> {
    let found = engine.requests()?.into_iter().find(|request| request.number == number);
    found.ok_or_else(|| Failure::new(format!("there is no request {number}; `erase list` shows them")))
}

fn cancel(args: &EraseNumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.change.data.folder)?;
    let request = match args.change.dry_run {
        false => engine.cancel_erasure(args.number)?,
        true => may_be_cancelled(numbered(&engine, args.number)?, engine.now_ms())?,
    };
    let done = if args.change.dry_run { "would be" } else { "is" };
    let of = request.selector.describe();
    told(&request, args, format!("request {} {done} cancelled: the erasure of {of}", request.number), output);
    Ok(0)
}

fn may_be_cancelled(request: Request, now_ms: i64) -> Result<Request, Failure> {
    let may = match request.state {
        RequestState::Waiting => now_ms < request.ready_ms,
        state => state == RequestState::Cancelled,
    };
    if request.kind != RequestKind::Erase || !may {
        return Err(Failure::new(format!("request {} can not, or no longer, be cancelled", request.number)));
    }
    Ok(request)
}

fn forget(args: &EraseNumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.change.data.folder)?;
    let request = numbered(&engine, args.number)?;
    if !args.change.dry_run {
        engine.forget_request(args.number)?;
    } else if request.is_open() {
        return Err(Failure::new(format!("request {} is still open", args.number)));
    }
    let done = if args.change.dry_run { "would be" } else { "is" };
    told(&request, args, format!("request {} {done} forgotten", args.number), output);
    Ok(0)
}

fn told(request: &Request, args: &EraseNumberArgs, line: String, output: &mut Output) {
    if !args.change.data.json {
        output.line(line);
        return;
    }
    let mut told = json_of(request);
    told["dry_run"] = args.change.dry_run.into();
    output.json(&told);
}
