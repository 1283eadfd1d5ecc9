//! Output of `sexton verify`.

use super::Counts;
use super::judge::{Judged, ReceiptResult, check_name};
use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton_proof::id::printable;
use sexton_proof::leaf::Disposition;
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Cosignature, DOES_NOT_PROVE, Verdict};
use sexton_proof::record::Method;
use sexton_proof::time::{Timestamp, whole_ms};

/// Exit codes with their names in the summary, worst first.
const KINDS: [(u8, &str); 6] = [
    (1, "not valid"),
    (2, "unreadable"),
    (4, "unwitnessed"),
    (3, "early or late"),
    (5, "not a deletion"),
    (0, "authentic, promise kept"),
];

/// Shows a receipt with its result, as text or as a JSON line.
pub(super) fn receipt(judged: &Judged, is_json: bool, output: &mut Output) {
    if is_json {
        output.json_line(&receipt_json(judged));
    } else {
        print(judged, output);
    }
}

/// Shows the counts of all receipts, as text or as the last JSON line.
pub(super) fn summary(counts: &Counts, policy: &Policy, is_json: bool, output: &mut Output) {
    if is_json {
        output.json_line(&summary_json(counts, policy));
        return;
    }
    let total: usize = counts.0.iter().sum();
    if total > 1 {
        let kinds = KINDS.iter().filter_map(|(code, name)| {
            let n = Some(counts.of(*code)).filter(|n| *n > 0)?;
            Some(format!("{} {name}", format::count(n as u64)))
        });
        let summary = format!(
            "{}: {}",
            format::counted(total, "receipt", "receipts"),
            kinds.collect::<Vec<_>>().join(", ")
        );
        let summary = if counts.worst() == 0 { output.good(summary) } else { output.strong(summary) };
        output.line(summary);
    }
    if counts.of(0) > 0 {
        output.line(output.faint("What a valid receipt does not prove:"));
        for statement in DOES_NOT_PROVE {
            output.line(output.faint(format_args!("  {statement}")));
        }
        if policy.quorum().is_none() {
            let statement = "  This policy asks for no witnesses: only the operator vouches for the times.";
            output.line(output.faint(statement));
        }
    }
}

fn print(judged: &Judged, output: &mut Output) {
    let path = judged.path.display();
    let done = match judged.verdict.as_ref().map(|verdict| verdict.method) {
        Some(Method::Anonymised) => "anonymised",
        Some(Method::Requested) => "asked for",
        _ => "deleted",
    };
    let (head, why) = match &judged.result {
        ReceiptResult::Kept => (output.good("kept:"), None),
        ReceiptResult::NotValid { check: Some(check), why } => {
            (output.bad("not valid:"), Some(format!("check {check}, {}: {why}", check_name(*check))))
        }
        ReceiptResult::NotValid { check: None, why } => (output.bad("not valid:"), Some(why.clone())),
        ReceiptResult::Unreadable { why } => (output.bad("unreadable:"), Some(why.clone())),
        ReceiptResult::Early { by } => {
            (output.bad("early:"), Some(format!("{done} {} before its floor", format::length(*by))))
        }
        ReceiptResult::Late { by } => {
            (output.bad("late:"), Some(format!("{done} {} after its ceiling", format::length(*by))))
        }
        ReceiptResult::AfterHold { by } => {
            let by = format::length(*by);
            let why =
                format!("{done} {by} after its ceiling: a legal hold kept it, as the operator recorded");
            (output.strong("after a hold:"), Some(why))
        }
        ReceiptResult::Unwitnessed { why } => (output.bad("unwitnessed:"), Some(why.clone())),
        ReceiptResult::NotADeletion { method } => {
            let why = format!("authentic, but it ended as {method}{}", ended_as(*method));
            let head = if *method == Method::Requested { "not shown deleted:" } else { "not a deletion:" };
            (output.strong(head), Some(why))
        }
    };
    output.line(format_args!("{head} {path}"));
    if let Some(why) = why {
        output.line(format_args!("  {why}"));
    }
    if matches!(judged.result, ReceiptResult::Unwitnessed { .. }) {
        output.line("  what it claims:");
    }
    if let Some(verdict) = &judged.verdict {
        print_content(verdict, output);
    }
}

fn print_content(v: &Verdict, output: &mut Output) {
    let mut line = |name: &str, value: String| output.line(format_args!("  {name:<9} {value}"));
    let size = v.size.map(|bytes| format!(", {} bytes", format::count(bytes))).unwrap_or_default();
    line("object", format!("{}{size}", printable(&v.key)));
    line("promise", promise(v));
    line("ended", format!("{}, {} ({})", v.time, v.method, format::reason(v.reason)));
    if let Some(digest) = &v.result_digest {
        let digest = if digest.is_empty() {
            "the store gave no digest".to_owned()
        } else {
            format!("digest {}", hex::encode(digest))
        };
        line("rewritten", digest);
    }
    if let Some(floor) = v.floor {
        line("floor", format!("{floor}{}", relation(v.time, floor)));
    }
    if let Some(ceiling) = v.ceiling {
        line("ceiling", format!("{ceiling}{}", relation(v.time, ceiling)));
    }
    line("log", format!("{}, entry {} of {}, batch {}", v.origin, v.leaf_index, v.tree_size, v.batch));
}

/// Returns the explanation of a method that shows no deletion by the engine.
fn ended_as(method: Method) -> &'static str {
    match method {
        Method::Released => ": the host states that it deleted the object by itself",
        Method::Requested => ": the server was asked to delete the object and did not refuse",
        _ => "",
    }
}

fn promise(v: &Verdict) -> String {
    let done = match v.disposition {
        Disposition::Delete => "deleted",
        Disposition::Anonymise => "anonymised",
    };
    let bounds = match (v.keep, v.within) {
        (Some(keep), Some(within)) => format!("kept for {keep}, {done} within {within} of"),
        (Some(keep), None) => format!("kept for {keep} from"),
        (None, Some(within)) => format!("{done} within {within} of"),
        (None, None) => "from".into(),
    };
    format!("class {} version {}: {bounds} {} ({})", v.class_name, v.class_version, v.start, v.zone)
}

/// Returns the position of a bound relative to the end.
fn relation(time: Timestamp, bound: Timestamp) -> String {
    match time.cmp(&bound) {
        std::cmp::Ordering::Less => format!(", {} later", format::length(bound.since(time))),
        std::cmp::Ordering::Equal => ", the same instant".into(),
        std::cmp::Ordering::Greater => format!(", {} earlier", format::length(time.since(bound))),
    }
}

fn summary_json(counts: &Counts, policy: &Policy) -> Value {
    json!({
        "code": counts.worst(),
        "counts": {
            "kept": counts.of(0),
            "not_valid": counts.of(1),
            "unreadable": counts.of(2),
            "early_or_late": counts.of(3),
            "unwitnessed": counts.of(4),
            "not_a_deletion": counts.of(5),
        },
        "quorum": policy.quorum(),
        "does_not_prove": DOES_NOT_PROVE,
    })
}

fn receipt_json(judged: &Judged) -> Value {
    let mut value = json!({
        "receipt": judged.path.to_string_lossy(),
        "code": judged.code(),
        "result": judged.result.name(),
    });
    let more = match &judged.result {
        ReceiptResult::Kept => json!({}),
        ReceiptResult::NotValid { check, why } => json!({ "check": check, "why": why }),
        ReceiptResult::Unreadable { why } | ReceiptResult::Unwitnessed { why } => json!({ "why": why }),
        ReceiptResult::Early { by } | ReceiptResult::Late { by } | ReceiptResult::AfterHold { by } => {
            json!({ "by_ms": whole_ms(*by) })
        }
        ReceiptResult::NotADeletion { method } => json!({ "method": method.name() }),
    };
    merge(&mut value, more);
    if let Some(verdict) = &judged.verdict {
        merge(&mut value, json!({ "verdict": verdict_json(verdict) }));
    }
    value
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}

fn verdict_json(v: &Verdict) -> Value {
    let cosignature =
        |c: &Cosignature| json!({ "witness": c.witness, "time_s": c.time_s, "date": c.date.name() });
    let cosignatures: Vec<Value> = v.cosignatures.iter().map(cosignature).collect();
    json!({
        "origin": v.origin,
        "tree_size": v.tree_size,
        "leaf_index": v.leaf_index,
        "batch": v.batch,
        "registration": v.id.to_string(),
        "class": v.class_name,
        "class_version": v.class_version,
        "keep": v.keep.map(|span| span.to_string()),
        "within": v.within.map(|span| span.to_string()),
        "zone": v.zone,
        "disposition": v.disposition.name(),
        "key": printable(&v.key),
        "key_hex": hex::encode(&v.key),
        "version": hex::encode(&v.version),
        "digest": hex::encode(&v.digest),
        "size_bytes": v.size,
        "start_ms": v.start.unix_ms(),
        "floor_ms": v.floor.map(Timestamp::unix_ms),
        "ceiling_ms": v.ceiling.map(Timestamp::unix_ms),
        "time_ms": v.time.unix_ms(),
        "method": v.method.name(),
        "reason": v.reason.name(),
        "result_digest": v.result_digest.as_ref().map(hex::encode),
        "logged_ms": v.logged.unix_ms(),
        "tool": v.tool,
        "cosignatures": cosignatures,
    })
}
