//! `sexton erase list`: requests, and what became of their objects.

use super::numbered;
use crate::args::EraseListArgs;
use crate::output::{Failure, Output};
use crate::request::kind;
use crate::{folder, show};
use serde_json::Value;
use sexton::{Item, Progress, Request, RequestKind, RequestState, json};
use sexton_proof::id::printable;

pub(super) fn run(args: &EraseListArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let now_ms = engine.now_ms();
    if let Some(number) = args.items {
        let request = numbered(&engine, number)?;
        let items = engine.erasure_items(number)?;
        items_of(&request, &items, args.data.json, now_ms, output);
        return Ok(0);
    }
    let requests: Vec<Request> = engine
        .requests()?
        .into_iter()
        .filter(|request| args.all || request.kind == RequestKind::Erase)
        .collect();
    if args.data.json {
        output.json(&Value::Array(requests.iter().map(json::request).collect()));
        return Ok(0);
    }
    for request in &requests {
        line(request, now_ms, output);
    }
    if requests.is_empty() {
        output.line("nothing was requested");
    }
    Ok(0)
}

fn line(request: &Request, now_ms: i64, output: &mut Output) {
    let state = match request.state {
        RequestState::Waiting if now_ms < request.ready_ms => {
            format!("waiting, can be cancelled until {}", show::instant(request.ready_ms))
        }
        RequestState::Waiting => "waiting, its objects are looked for at the next enforcement".into(),
        _ => format!(
            "{} {}, {}",
            json::request_state(request),
            show::instant(request.changed_ms),
            show::counted(usize::try_from(request.objects).unwrap_or(usize::MAX), "object", "objects")
        ),
    };
    let due = match request.due_ms {
        Some(_) if request.is_immediate() => ", at once".into(),
        Some(due) => format!(", due {}", show::instant(due)),
        None => String::new(),
    };
    let is_late = request.is_open() && request.due_ms.is_some_and(|due_ms| due_ms < now_ms);
    let due = if is_late { output.bad(due) } else { due };
    let what = kind(request);
    output.line(format_args!(
        "{:>4}  {what} {}, received {}{due}",
        request.number,
        request.selector.describe(),
        show::instant(request.received_ms)
    ));
    output.line(format_args!("      {state}"));
    output.line(format_args!("      {} ({})", request.reason, request.author));
}

fn items_of(request: &Request, items: &[Item], json: bool, now_ms: i64, output: &mut Output) {
    if json {
        let mut told = json::request(request);
        told["items"] = items.iter().map(json::item).collect();
        output.json(&told);
        return;
    }
    line(request, now_ms, output);
    for item in items {
        let how = match item.progress {
            Progress::Ended { method, time_ms } => format!("{method} {}", show::instant(time_ms)),
            Progress::Waits { held: true, .. } => "waits: a legal hold keeps it".into(),
            Progress::Waits { floor_ms: Some(floor_ms), .. } => {
                format!("waits for its floor, {}", show::instant(floor_ms))
            }
            Progress::Waits { until_ms, .. } if until_ms <= now_ms => "goes at the next enforcement".into(),
            Progress::Waits { until_ms, .. } => format!("goes from {} on", show::instant(until_ms)),
        };
        output.line(format_args!("      {}  {how}", printable(&item.key)));
    }
}
