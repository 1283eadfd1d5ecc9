//! `sexton feed`: deletions that third parties are told of.

use super::args::{DataArgs, MutatingArgs, help};
use super::open;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use sexton::json;
use sexton_proof::id::printable;

/// Subcommands of `sexton feed`.
#[derive(Debug, Subcommand)]
pub(crate) enum FeedCommand {
    /// Show entries of the feed
    ///
    /// Show the deletions of the classes with `feed = true`, in order.
    Read(ReadArgs),
    /// Acknowledge entries that all third parties know, and forget them
    Ack(AckArgs),
}

/// Arguments of `sexton feed read`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton feed read /var/lib/sexton --after 1200 --json"))]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Show entries with a larger number only
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Largest number of entries to show
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max: u32,
}

/// Arguments of `sexton feed ack`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton feed ack /var/lib/sexton 1200"))]
pub(crate) struct AckArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Number of the last entry to forget
    #[arg(value_name = "N")]
    through: u64,
}

pub(super) fn run(command: &FeedCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        FeedCommand::Read(args) => read(args, output),
        FeedCommand::Ack(args) => acknowledge(args, output),
    }
}

fn read(args: &ReadArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let entries = engine.feed(args.after, args.max as usize)?;
    let next = entries.last().map_or(args.after, |entry| entry.number);
    if args.data.json {
        let entries: Vec<Value> = entries.iter().map(json::feed_entry).collect();
        output.json(&json!({ "entries": entries, "next_after": next }));
        return Ok(0);
    }
    for entry in &entries {
        output.line(format_args!(
            "{:>8}  {}  {}  {}  {} ({})",
            entry.number,
            entry.time,
            entry.class,
            printable(&entry.key),
            entry.method,
            entry.reason
        ));
    }
    if entries.is_empty() {
        output.line(format_args!("no entries after {}", args.after));
    }
    Ok(0)
}

fn acknowledge(args: &AckArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let (is_dry, through, last) = (args.common.dry_run, args.through, engine.feed_end());
    // The engine checks again. This check gives the dry run the same message.
    if through > last {
        return Err(Failure::new(format!("entry {through} was not given yet; the last one is {last}")));
    }
    if !is_dry {
        engine.acknowledge_feed(through)?;
    }
    if args.common.data.json {
        output.json(&json!({ "dry_run": is_dry, "acknowledged": through }));
        return Ok(0);
    }
    let done = if is_dry { "would be" } else { "are" };
    output.line(format_args!("the entries up to {through} {done} forgotten"));
    Ok(0)
}
