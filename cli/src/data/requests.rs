//! `sexton request`: erasures, closings, applied classes and lifted holds, and the progress of their objects.

use super::args::{DataArgs, help};
use super::host::Host;
use super::live::Live;
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;
use sexton::RegistrationId;
use sexton_proof::time::Timestamp;
use sexton_service::api::{AcceptedRequest, Limit, ListRequestObjects, ListRequests, Request, RequestObject};
use std::collections::BTreeMap;

/// Requests or objects of one call.
const PAGE: u32 = 1_000;

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
    let host = Host::of(&args.data)?;
    if let Some(number) = args.objects {
        let listed = objects(&host, number)?;
        if args.data.json {
            // `objects` is the number of objects found, as in the list of requests.
            let mut value = listed.request_json;
            value["object_list"] = listed.objects.into_values().map(|(value, _)| value).collect();
            output.json(&value);
            return Ok(0);
        }
        print(&listed.request, listed.as_of_ms, output);
        for (_, object) in listed.objects.values() {
            let progress = progress(object, listed.as_of_ms);
            output.line(format_args!("      {}  {progress}", object.key));
        }
        return Ok(0);
    }
    let mut next = Some(0);
    let mut values: Vec<Value> = Vec::new();
    let mut is_empty = true;
    while let Some(after) = next {
        let page = ListRequests { after, limit: Limit(PAGE), erasures: args.erasures };
        let (mut value, list) = host.call(page)?.into_parts();
        next = list.next;
        is_empty &= list.requests.is_empty();
        if args.data.json {
            values.extend(value["requests"].as_array_mut().into_iter().flat_map(std::mem::take));
        } else {
            list.requests.iter().for_each(|request| print(request, list.as_of_ms, output));
        }
    }
    if args.data.json {
        output.json(&Value::Array(values));
    } else if is_empty {
        output.line("there are no requests");
    }
    Ok(0)
}

/// Returns the numbers of all erasures.
pub(super) fn erasures(host: &Host) -> Result<Vec<u32>, Failure> {
    let mut numbers = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = ListRequests { after, limit: Limit(PAGE), erasures: true };
        let (_, list) = host.call(page)?.into_parts();
        next = list.next;
        numbers.extend(list.requests.iter().filter_map(|request| request.number));
    }
    Ok(numbers)
}

/// Objects of a request, all pages together.
pub(super) struct Objects {
    pub(super) request: Request,
    pub(super) request_json: Value,
    /// Each object by its present id, as JSON too. An object that moved meanwhile is listed twice, and counts once.
    pub(super) objects: BTreeMap<RegistrationId, (Value, RequestObject)>,
    pub(super) as_of_ms: i64,
}

/// Returns the objects of a request.
pub(super) fn objects(host: &Host, number: u32) -> Result<Objects, Failure> {
    let mut objects = BTreeMap::new();
    let mut after = None;
    loop {
        let page = ListRequestObjects { number, after, limit: Limit(PAGE) };
        let (mut value, list) = host.call(page)?.into_parts();
        let values = value["objects"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for (value, object) in values.into_iter().zip(list.objects) {
            let id: RegistrationId =
                object.id.parse().map_err(|e| Failure::new(format!("the id {:?}: {e}", object.id)))?;
            objects.insert(id, (value, object));
        }
        after = list.next;
        if after.is_none() {
            let request_json = value["request"].take();
            return Ok(Objects { request: list.request, request_json, objects, as_of_ms: list.as_of_ms });
        }
    }
}

fn print(request: &Request, now_ms: i64, output: &mut Output) {
    let instant = Timestamp::from_unix_ms;
    let state = match (&*request.state, request.cancellable_until_ms) {
        ("waiting", Some(until_ms)) if now_ms < until_ms => {
            format!("waiting, can be cancelled until {}", instant(until_ms))
        }
        ("waiting", _) => "waiting, the next enforcement looks for its objects".into(),
        (state, _) => format!(
            "{state} {}, {}",
            instant(request.changed_ms),
            format::counted(request.objects, "object", "objects")
        ),
    };
    let answer_by = match request.answer_by_ms {
        Some(_) if request.immediate => ", immediate".into(),
        Some(answer_by_ms) => format!(", to be answered by {}", instant(answer_by_ms)),
        None => String::new(),
    };
    let is_open = ["waiting", "found"].contains(&&*request.state);
    let is_late = is_open && request.answer_by_ms.is_some_and(|answer_by_ms| answer_by_ms < now_ms);
    let answer_by = if is_late { output.bad(answer_by) } else { answer_by };
    output.line(format_args!(
        "{:>4}  {} {}, received {}{answer_by}",
        request.number.unwrap_or_default(),
        kind(&request.kind),
        request.of,
        instant(request.received_ms)
    ));
    output.line(format_args!("      {state}"));
    output.line(format_args!("      {} ({})", request.reason, request.author));
}

fn kind(name: &str) -> &str {
    match name {
        "erase" => "erasure of",
        "close" => "closing of",
        "apply" => "new terms for",
        "lift" => "lifted hold on",
        "doubt" => "end of a doubt about the clock, for",
        "back" => "time that went back, for",
        // A later version of the engine may add kinds.
        other => other,
    }
}

fn progress(object: &RequestObject, now_ms: i64) -> String {
    let instant = Timestamp::from_unix_ms;
    match object {
        RequestObject { method: Some(method), time_ms: Some(time_ms), .. } => {
            format!("{method} {}", instant(*time_ms))
        }
        RequestObject { held: Some(true), .. } => "kept by a legal hold".into(),
        RequestObject { floor_ms: Some(Some(floor_ms)), .. } => {
            format!("waits for its floor, {}", instant(*floor_ms))
        }
        RequestObject { until_ms: Some(until_ms), .. } if *until_ms <= now_ms => {
            "due at the next enforcement".into()
        }
        RequestObject { until_ms: Some(until_ms), .. } => format!("due {}", instant(*until_ms)),
        // A later version of the engine may add states.
        _ => "in a state that this version does not know".into(),
    }
}

/// Reports that a request was accepted, or that the dry run accepts it.
pub(super) fn report(
    (json, accepted): (Value, &AcceptedRequest),
    what: &str,
    live: &Live,
    is_json: bool,
    output: &mut Output,
) {
    if is_json {
        let mut value = json;
        value["live_objects"] = live.json();
        output.json(&value);
        return;
    }
    let AcceptedRequest { request, .. } = accepted;
    match request.number {
        Some(number) => output.line(format_args!("request {number} accepted: {what}")),
        None => output.line(format_args!("would {what}")),
    }
    live.print(output);
    if request.immediate {
        output.line(
            "  immediate, as it is to be answered within a second: it cannot be cancelled, and its objects are deleted at the next enforcement, unless a floor \
             or a hold keeps them",
        );
        return;
    }
    let instant = Timestamp::from_unix_ms;
    if let Some(until_ms) = request.cancellable_until_ms {
        output.line(format_args!("  it can be cancelled until {}", instant(until_ms)));
    }
    if let Some(answer_by_ms) = request.answer_by_ms {
        output.line(format_args!("  it is to be answered by {}", instant(answer_by_ms)));
    }
}
