//! `sexton feed`: the deletions that third parties are to be told of.

use crate::args::FeedArgs;
use crate::output::{Failure, Output};
use crate::{folder, show};
use serde_json::{Value, json};
use sexton::{Engine, json};
use sexton_proof::id::printable;

pub(crate) fn run(args: &FeedArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    if let Some(through) = args.acknowledge {
        return acknowledge(&engine, args, through, output);
    }
    let entries = engine.feed(args.after, args.max as usize)?;
    let next = entries.last().map_or(args.after, |entry| entry.number);
    if args.change.data.json {
        let entries: Vec<Value> = entries.iter().map(json::feed_entry).collect();
        output.json(&json!({ "entries": entries, "next_after": next }));
        return Ok(0);
    }
    for entry in &entries {
        output.line(format_args!(
            "{:>8}  {}  {}  {}  {} ({})",
            entry.number,
            show::instant(entry.time_ms),
            entry.class,
            printable(&entry.key),
            entry.method,
            entry.reason
        ));
    }
    if entries.is_empty() {
        output.line(format_args!("nothing behind {}", args.after));
    }
    Ok(0)
}

fn acknowledge(engine: &Engine, args: &FeedArgs, through: u64, output: &mut Output) -> Result<u8, Failure> {
    let dry_run = args.change.dry_run;
    if !dry_run {
        engine.acknowledge_feed(through)?;
    } else if through > 0 && engine.feed(through - 1, 1)?.is_empty() {
        return Err(Failure::new(format!("entry {through} was not given yet, or is forgotten already")));
    }
    if args.change.data.json {
        output.json(&json!({ "dry_run": dry_run, "acknowledged": through }));
        return Ok(0);
    }
    let done = if dry_run { "would be" } else { "are" };
    output.line(format_args!("the entries up to {through} {done} forgotten"));
    Ok(0)
}
