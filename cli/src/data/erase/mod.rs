//! `sexton erase`: erasures, which people request before the ceiling.

mod receipts;

use super::args::{DecisionArgs, MutatingArgs, help};
use super::host::Host;
use super::keys::{self, KeyForm};
use super::live::Live;
use super::parse::When;
use super::{parse, requests};
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton::class::Calendar;
use sexton::{Selector, Span};
use sexton_proof::time::whole_ms;
use sexton_service::api::{AcceptedRequest, CancelErasure, Covers, ForgetRequest, Operation, RequestErasure};
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
    /// Erase the objects with the keys of this file, one key per line, in any number
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
    let holidays = match &args.holidays {
        None => None,
        Some(path) => {
            let text = parse::text_of("the holiday file", path)?;
            Calendar::parse(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
            Some(text)
        }
    };
    let Erased { subject, key, keys } = &args.erased;
    let selector = match subject {
        Some(subject) => Selector::Subject(parse::bytes(subject, args.form.hex)?),
        None => Selector::Keys(keys::keys(key, keys.as_deref(), args.form)?),
    };
    let on = Covers::from(&selector);
    let host = Host::of(&args.common.data)?;
    let request = RequestErasure {
        on: on.clone(),
        received_ms: Some(args.received.resolve(host.now()?)?.unix_ms()),
        within: args.within.map(|span| span.to_string()),
        holidays,
        cancellable_ms: whole_ms(args.cancellable),
        immediate: args.immediate,
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let (json, accepted) = host.call(request)?.into_parts();
    // The request stands before its objects are counted.
    let live = Live::on(&host, on);
    let what = format!("erase {}", accepted.request.of);
    requests::report((json, &accepted), &what, &live, args.common.data.json, output);
    Ok(0)
}

fn cancel(args: &NumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = CancelErasure { number: args.number, dry_run: args.common.dry_run };
    change(args, request, output, |done, of| format!("{done} cancelled: erasure of {of}"))
}

fn forget(args: &NumberArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = ForgetRequest { number: args.number, dry_run: args.common.dry_run };
    change(args, request, output, |done, _| format!("{done} forgotten"))
}

/// Changes a request, and reports `line`, which is given the words for a dry run and the selector.
fn change<O: Operation<Answer = AcceptedRequest>>(
    args: &NumberArgs,
    operation: O,
    output: &mut Output,
    line: fn(&str, &str) -> String,
) -> Result<u8, Failure> {
    let reply = Host::of(&args.common.data)?.call(operation)?;
    if args.common.data.json {
        output.json(&reply.into_json());
        return Ok(0);
    }
    let AcceptedRequest { request, dry_run } = reply.answer();
    let done = if *dry_run { "would be" } else { "is" };
    output.line(format_args!("request {} {}", args.number, line(done, &request.of)));
    Ok(0)
}
