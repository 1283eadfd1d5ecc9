//! `sexton erase`: erasures, which people request before the ceiling.

mod receipts;

use super::args::{DecisionArgs, MutatingArgs, help};
use super::keys::{self, KeyForm};
use super::live::Live;
use super::parse::When;
use super::{dry_run, open, parse, requests};
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton::class::Calendar;
use sexton::decision::{AT_ONCE, Request, RequestKind, RequestState};
use sexton::{Erasure, Selector, Span, json};
use sexton_proof::time::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// Subcommands of `sexton erase`.
#[derive(Debug, Subcommand)]
pub(crate) enum EraseCommand {
    /// Request an erasure
    ///
    /// Request an erasure. Once it can no longer be cancelled, the next enforcement looks for its objects. Each is
    /// deleted as soon as its floor allows and no legal hold covers it. A subject without stored objects is refused.
    /// This check may read the whole index.
    Request(RequestArgs),
    /// Cancel an erasure that can still be cancelled
    #[command(after_long_help = help!("sexton erase cancel /var/lib/sexton 3"))]
    Cancel(NumberArgs),
    /// Write a receipt for each ended object of an erasure
    ///
    /// Write a receipt for each ended object of an erasure, and the trust policy to verify them with. If the class has
    /// `openings = "ticket"`, only the holder of the ticket can make the receipt; such objects are listed.
    Receipts(receipts::ReceiptsArgs),
    /// Forget a finished or cancelled request, its subject and its objects
    ///
    /// Forget a finished or cancelled request, its subject and its list of objects. Holds keep their own selectors.
    #[command(after_long_help = help!("sexton erase forget /var/lib/sexton 3"))]
    Forget(NumberArgs),
}

/// Arguments of `sexton erase request`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton erase request /var/lib/sexton --subject anna --within 15wd \\\n    \
     --holidays cn.txt --cancellable 15d \\\n    \
     --reason 'account closed' --author 'Ada Lovelace'"
))]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    common: MutatingArgs,
    #[command(flatten)]
    erased: Erased,
    #[command(flatten)]
    form: KeyForm,
    /// Instant at which the request was received: RFC 3339, or now
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = parse::received)]
    received: When,
    /// Time from then in which it is to be answered, in UTC: s, m, h, d, w, mo, y, or wd for working days; 1s means
    /// --immediate
    #[arg(long, value_name = "SPAN")]
    within: Option<Span>,
    /// File of holidays, one YYYY-MM-DD per line; +YYYY-MM-DD is a weekend day that is a working day
    #[arg(long, value_name = "FILE", requires = "within")]
    holidays: Option<PathBuf>,
    /// Time in which it can be cancelled, and nothing is erased: s, m, h, d, w, or 0
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = parse::exact)]
    cancellable: Duration,
    /// Erase immediately, as for data of minors: it cannot be cancelled, and is to be answered within a second
    #[arg(long, conflicts_with_all = ["cancellable", "within"])]
    immediate: bool,
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Selector of an erasure, exactly one of these.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
struct Erased {
    /// Erase every object of this subject
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Erase the object with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Erase the objects with the keys of this file, one key per line
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

/// Arguments of `sexton erase cancel` and `sexton erase forget`.
#[derive(Debug, ClapArgs)]
pub(crate) struct NumberArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Number of the request
    #[arg(value_name = "N")]
    number: u32,
}

pub(super) fn run(command: &EraseCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        EraseCommand::Request(args) => request(args, output),
        EraseCommand::Cancel(args) => cancel(args, output),
        EraseCommand::Receipts(args) => receipts::run(args, output),
        EraseCommand::Forget(args) => forget(args, output),
    }
}

fn request(args: &RequestArgs, output: &mut Output) -> Result<u8, Failure> {
    let calendar = match &args.holidays {
        None => Calendar::default(),
        Some(path) => Calendar::parse(&parse::text_of("the holiday file", path)?)
            .map_err(|e| Failure::new(format!("{}: {e}", path.display())))?,
    };
    let Erased { subject, key, keys } = &args.erased;
    let selector = match subject {
        Some(subject) => Selector::Subject(parse::bytes(subject, args.form.hex)?),
        None => Selector::Keys(keys::keys(key, keys.as_deref(), args.form)?),
    };
    let engine = open::for_change(&args.common)?;
    let received = args.received.resolve(engine.now())?;
    let mut erasure = Erasure::new(selector, received, args.decision.attribution())
        .calendar(calendar)
        .cancellable(args.cancellable);
    erasure.within = if args.immediate { Some(AT_ONCE) } else { args.within };
    let what = format!("erase {}", erasure.selector.describe());
    let is_dry = args.common.dry_run;
    let dry = if is_dry { Some(dry_run::for_erasure(&engine, &erasure.selector)?) } else { None };
    let accepted = dry.as_ref().unwrap_or(&engine).erase(erasure)?;
    let live = Live::count(&engine, &accepted.selector);
    requests::accepted(&accepted, &what, &live, &args.common, output);
    Ok(0)
}

fn cancel(args: &NumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    // The engine checks again. This check gives the dry run the same message.
    let found = cancellable(requests::find(&engine, args.number)?, engine.now())?;
    let request = if args.common.dry_run { found } else { engine.cancel_erasure(args.number)? };
    let done = if args.common.dry_run { "would be" } else { "is" };
    let erased = request.selector.describe();
    print(
        &request,
        args,
        format!("request {} {done} cancelled: erasure of {erased}", request.number),
        output,
    );
    Ok(0)
}

/// Returns the request, if it is cancelled or can still be.
fn cancellable(request: Request, now: Timestamp) -> Result<Request, Failure> {
    let number = request.number;
    if request.kind != RequestKind::Erase {
        return Err(Failure::new(format!("request {number} is no erasure; only those can be cancelled")));
    }
    match request.state {
        RequestState::Waiting if now < request.ready => Ok(request),
        RequestState::Cancelled => Ok(request),
        _ if request.ready == request.received => {
            Err(Failure::new(format!("erasure {number} is final: it could never be cancelled")))
        }
        _ => {
            let until = request.ready;
            Err(Failure::new(format!("erasure {number} is final: it could be cancelled until {until}")))
        }
    }
}

fn forget(args: &NumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let request = requests::find(&engine, args.number)?;
    // The engine checks again. This check gives the dry run the same message.
    if request.is_open() {
        return Err(Failure::new(format!(
            "request {0} is still open; once it is finished or cancelled, `sexton erase forget` forgets it",
            args.number
        )));
    }
    if !args.common.dry_run {
        engine.forget_request(args.number)?;
    }
    let done = if args.common.dry_run { "would be" } else { "is" };
    print(&request, args, format!("request {} {done} forgotten", args.number), output);
    Ok(0)
}

fn print(request: &Request, args: &NumberArgs, line: String, output: &mut Output) {
    if !args.common.data.json {
        output.line(line);
        return;
    }
    let mut value = json::request(request);
    value["dry_run"] = args.common.dry_run.into();
    output.json(&value);
}
