//! `sexton feed`: deletions that third parties are told of.

use super::args::{DataArgs, MutatingArgs, help};
use super::host::Host;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use sexton_proof::time::Timestamp;
use sexton_service::api::{AcknowledgeFeed, Acknowledged, FeedEntry, Limit, ReadFeed};

/// Entries of one call.
const PAGE: u32 = 1_000;

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
    let host = Host::of(&args.data)?;
    let (mut values, mut entries): (Vec<Value>, Vec<FeedEntry>) = (Vec::new(), Vec::new());
    each(&host, args.after, args.max.into(), &mut |value, entry| {
        values.push(value);
        entries.push(entry);
        Ok(())
    })?;
    let next = entries.last().map_or(args.after, |entry| entry.number);
    if args.data.json {
        output.json(&json!({ "entries": values, "next_after": next }));
        return Ok(0);
    }
    for entry in &entries {
        output.line(format_args!(
            "{:>8}  {}  {}  {}  {} ({})",
            entry.number,
            Timestamp::from_unix_ms(entry.time_ms),
            entry.class,
            entry.key,
            entry.method,
            entry.reason
        ));
    }
    if entries.is_empty() {
        output.line(format_args!("no entries after {}", args.after));
    }
    Ok(0)
}

/// Calls `visit` for at most `max` entries after a number, each as JSON too.
pub(super) fn each(
    host: &Host,
    mut after: u64,
    max: u64,
    visit: &mut dyn FnMut(Value, FeedEntry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = max;
    while left > 0 {
        let limit = Limit(u32::try_from(left).map_or(PAGE, |left| left.min(PAGE)));
        let (mut value, feed) = host.call(ReadFeed { after, limit, wait_ms: 0 })?.into_parts();
        if feed.entries.is_empty() {
            break;
        }
        (after, left) = (feed.next_after, left.saturating_sub(feed.entries.len() as u64));
        let values = value["entries"].as_array_mut().map(std::mem::take).unwrap_or_default();
        values.into_iter().zip(feed.entries).try_for_each(|(value, entry)| visit(value, entry))?;
    }
    Ok(())
}

fn acknowledge(args: &AckArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = AcknowledgeFeed { through: args.through, dry_run: args.common.dry_run };
    let reply = Host::of(&args.common.data)?.call(request)?;
    if args.common.data.json {
        output.json(&reply.into_json());
        return Ok(0);
    }
    let Acknowledged { acknowledged, dry_run } = reply.answer();
    let done = if *dry_run { "would be" } else { "are" };
    output.line(format_args!("the entries up to {acknowledged} {done} forgotten"));
    Ok(0)
}
