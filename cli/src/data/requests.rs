//! `sexton request`: erasures, closings, applied classes and lifted holds, and the progress of their objects.

use super::args::{DataArgs, MutatingArgs, help};
use super::live::Live;
use super::open;
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;
use sexton::decision::{ErasureObject, Progress, Request, RequestKind, RequestState};
use sexton::{Engine, json};
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;

/// Subcommands of `sexton request`.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Show the requests, or the progress of one erasure
    List(ListArgs),
}

/// Arguments of `sexton request list`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton request list /var/lib/sexton --objects 3"))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Show the objects of this erasure, each with its end or the reason for its delay
    #[arg(long, value_name = "N")]
    objects: Option<u32>,
    /// Show erasures only
    #[arg(long, conflicts_with = "objects")]
    erasures: bool,
}

pub(super) fn run(command: &RequestCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        RequestCommand::List(args) => list(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let now = engine.now();
    if let Some(number) = args.objects {
        let request = find(&engine, number)?;
        if !request.lists_objects() {
            return Err(Failure::new(format!(
                "request {number} has no list of objects: it is a {} of {}",
                json::request_kind(&request),
                request.selector.describe()
            )));
        }
        let objects = engine.erasure_objects(number)?;
        print_objects(&request, &objects, args.data.json, now, output);
        return Ok(0);
    }
    let mut requests = engine.requests()?;
    requests.retain(|request| !args.erasures || request.kind == RequestKind::Erase);
    if args.data.json {
        output.json(&Value::Array(requests.iter().map(json::request).collect()));
        return Ok(0);
    }
    for request in &requests {
        print(request, now, output);
    }
    if requests.is_empty() {
        output.line("there are no requests");
    }
    Ok(0)
}

/// Returns the request with this number.
pub(super) fn find(engine: &Engine, number: u32) -> Result<Request, Failure> {
    let found = engine.requests()?.into_iter().find(|request| request.number == number);
    found.ok_or_else(|| {
        Failure::new(format!("there is no request {number}; `sexton request list` shows all requests"))
    })
}

/// Returns the erasure with this number. Any other request is refused with this explanation.
pub(super) fn find_erasure(engine: &Engine, number: u32, otherwise: &str) -> Result<Request, Failure> {
    let request = find(engine, number)?;
    if request.kind != RequestKind::Erase {
        return Err(Failure::new(format!("request {number} is no erasure, and {otherwise}")));
    }
    Ok(request)
}

fn print(request: &Request, now: Timestamp, output: &mut Output) {
    let state = match request.state {
        RequestState::Waiting if now < request.ready => {
            format!("waiting, can be cancelled until {}", request.ready)
        }
        RequestState::Waiting => "waiting, the next enforcement looks for its objects".into(),
        _ => format!(
            "{} {}, {}",
            json::request_state(request),
            request.changed,
            format::counted(request.objects, "object", "objects")
        ),
    };
    let answer_by = match request.answer_by {
        Some(_) if request.is_immediate() => ", immediate".into(),
        Some(answer_by) => format!(", to be answered by {answer_by}"),
        None => String::new(),
    };
    let is_late = request.is_open() && request.answer_by.is_some_and(|answer_by| answer_by < now);
    let answer_by = if is_late { output.bad(answer_by) } else { answer_by };
    let what = kind(request);
    output.line(format_args!(
        "{:>4}  {what} {}, received {}{answer_by}",
        request.number,
        request.selector.describe(),
        request.received
    ));
    output.line(format_args!("      {state}"));
    output.line(format_args!("      {} ({})", request.attribution.reason, request.attribution.author));
}

fn kind(request: &Request) -> &'static str {
    match request.kind {
        RequestKind::Erase => "erasure of",
        RequestKind::Close => "closing of",
        RequestKind::Apply { .. } => "new terms for",
        RequestKind::Lift { .. } => "lifted hold on",
        RequestKind::Doubt { .. } => "end of a doubt about the clock, for",
        RequestKind::Back { .. } => "time that went back, for",
        // A later version of the engine may add kinds.
        _ => json::request_kind(request),
    }
}

fn print_objects(
    request: &Request,
    objects: &[ErasureObject],
    json: bool,
    now: Timestamp,
    output: &mut Output,
) {
    if json {
        // `objects` is the number of objects found, as in the list of requests.
        let mut value = json::request(request);
        value["object_list"] = objects.iter().map(json::erasure_object).collect();
        output.json(&value);
        return;
    }
    print(request, now, output);
    for object in objects {
        output.line(format_args!("      {}  {}", printable(&object.key), progress(&object.progress, now)));
    }
}

fn progress(progress: &Progress, now: Timestamp) -> String {
    match progress {
        Progress::Ended { method, time } => format!("{method} {time}"),
        Progress::Pending { held: true, .. } => "kept by a legal hold".into(),
        Progress::Pending { floor: Some(floor), .. } => format!("waits for its floor, {floor}"),
        Progress::Pending { until, .. } if *until <= now => "due at the next enforcement".into(),
        Progress::Pending { until, .. } => format!("due {until}"),
        // A later version of the engine may add states.
        _ => "in a state that this version does not know".into(),
    }
}

/// Reports that a request was accepted, or that the dry run accepts it.
pub(super) fn accepted(request: &Request, what: &str, live: &Live, args: &MutatingArgs, output: &mut Output) {
    if args.data.json {
        let mut value = json::request(request);
        value["dry_run"] = args.dry_run.into();
        value["live_objects"] = live.json();
        if args.dry_run {
            value["number"] = Value::Null;
        }
        output.json(&value);
        return;
    }
    if args.dry_run {
        output.line(format_args!("would {what}"));
    } else {
        output.line(format_args!("request {} accepted: {what}", request.number));
    }
    live.print(output);
    if request.is_immediate() {
        output.line(
            "  immediate, as it is to be answered within a second: it cannot be cancelled, and its objects are deleted at the next enforcement, unless a floor \
             or a hold keeps them",
        );
        return;
    }
    if request.ready > request.received {
        output.line(format_args!("  it can be cancelled until {}", request.ready));
    }
    if let Some(answer_by) = request.answer_by {
        output.line(format_args!("  it is to be answered by {answer_by}"));
    }
}
