//! `sexton erase`: what people ask to be gone before its time.

mod list;
mod receipts;

use crate::args::{EraseCommand, EraseNumberArgs, EraseRequestArgs};
use crate::output::{Failure, Output};
use crate::{folder, rehearsal, request, show, value};
use sexton::{AT_ONCE, Calendar, Engine, Erasure, Request, RequestKind, RequestState, Selector, json};

pub(crate) fn run(command: &EraseCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        EraseCommand::Request(args) => take(args, output),
        EraseCommand::Cancel(args) => cancel(args, output),
        EraseCommand::List(args) => list::run(args, output),
        EraseCommand::Receipts(args) => receipts::run(args, output),
        EraseCommand::Forget(args) => forget(args, output),
    }
}

fn take(args: &EraseRequestArgs, output: &mut Output) -> Result<u8, Failure> {
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
    let engine = folder::to_change(&args.change)?;
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
    let on = if args.change.dry_run { rehearsal::for_erasure(&engine, &erasure.selector)? } else { engine };
    let taken = on.erase(erasure)?;
    request::taken(&taken, &what, &args.change, output);
    Ok(0)
}

/// How many of the keys have a live registration; of a subject it would take looking through everything.
fn live_keys(engine: &Engine, selector: &Selector) -> Result<Option<usize>, Failure> {
    let Selector::Keys(keys) = selector else { return Ok(None) };
    let mut live = 0;
    for key in keys.iter().filter(|key| !key.is_empty()) {
        live += usize::from(engine.find(key)?.is_some());
    }
    Ok(Some(live))
}

/// The request of that number.
fn numbered(engine: &Engine, number: u32) -> Result<Request, Failure> {
    let found = engine.requests()?.into_iter().find(|request| request.number == number);
    found.ok_or_else(|| Failure::new(format!("there is no request {number}; `erase list` shows them")))
}

fn cancel(args: &EraseNumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
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
    let engine = folder::to_change(&args.change)?;
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
    let mut told = json::request(request);
    told["dry_run"] = args.change.dry_run.into();
    output.json(&told);
}
