//! `sexton source`: the sources of a running service.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::host::Host;
use crate::format;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton_proof::time::Timestamp;
use sexton_service::api::{EnableSource, ListSources, RescanSource, Rescanning, SourceList};
use sexton_service::sources::{Enabling, SourceReport, SourceState};

const DONE: u8 = 0;
const NEEDS_OPERATOR: u8 = 1;

/// Subcommands of `sexton source`.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Show the sources of a running service, and what needs an operator
    List(ListArgs),
    /// Enable a source: accept its root, so that its files are registered and deleted
    ///
    /// Count the files of a source, and the objects of its class that go at once. Then accept its root under its name.
    /// Run it with --dry-run first, which only counts. A source whose root was replaced by another folder has to be
    /// enabled again. Its earlier objects wait until they are released.
    Enable(EnableArgs),
    /// Begin a full scan of a source
    Rescan(RescanArgs),
}

/// Arguments of `sexton source list`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton source list /var/lib/sexton",
    "a source needs an operator, as the messages say"
))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Arguments of `sexton source enable`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton source enable /var/lib/sexton uploads --reason 'new server' \\\n    --author 'Ada Lovelace' --dry-run"
))]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Name of the source
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the root from another data folder that has it
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Arguments of `sexton source rescan`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton source rescan /var/lib/sexton uploads"))]
pub(crate) struct RescanArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the source
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run(command: &SourceCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        SourceCommand::List(args) => list(args, output),
        SourceCommand::Enable(args) => enable(args, output),
        SourceCommand::Rescan(args) => rescan(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let listed = Host::of(&args.data)?.call(ListSources {})?;
    let SourceList { sources, needs, .. } = listed.answer();
    let code = if needs.is_empty() { DONE } else { NEEDS_OPERATOR };
    if args.data.json {
        output.json(&listed.into_json());
        return Ok(code);
    }
    for source in sources {
        print(source, output);
    }
    if sources.is_empty() {
        output.line("the configuration has no source");
    }
    for need in needs {
        output.line(format_args!("{} {need}", output.bad("needs you:")));
    }
    Ok(code)
}

fn print(source: &SourceReport, output: &mut Output) {
    let state = match source.state {
        SourceState::Starting => "starting",
        SourceState::NotEnabled => "not enabled",
        SourceState::RootLost => "root lost",
        SourceState::Refused => "cannot work",
        SourceState::Watching => "watching",
        SourceState::Listing => "found by listings",
        _ => "found by full scans only",
    };
    let scanning = if source.scanning { ", scanning" } else { "" };
    output.line(format_args!(
        "{} on {}, class {}: {state}{scanning}",
        output.strong(&source.name),
        source.path,
        source.class
    ));
    if let Some(enabled) = &source.enabled {
        let at = Timestamp::from_unix_ms(enabled.at_ms);
        output.line(format_args!("  enabled {at} by {}: {}", enabled.author, enabled.reason));
    }
    let last = source.last_scan_ms.map_or("none yet".into(), |at| Timestamp::from_unix_ms(at).to_string());
    output.line(format_args!(
        "  last full scan {last}; {} wait until they are complete",
        files(source.settling)
    ));
    output.line(format_args!(
        "  since the start {} registered, {} changed, {} renamed, {} replaced",
        format::count(source.registered),
        format::count(source.changed),
        format::count(source.renamed),
        format::count(source.replaced)
    ));
}

fn enable(args: &EnableArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = EnableSource {
        name: args.name.clone(),
        take_over: args.take_over,
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let enabled = Host::of(&args.common.data)?.call(request)?;
    if args.common.data.json {
        output.json(&enabled.into_json());
        return Ok(DONE);
    }
    let enabling: &Enabling = enabled.answer();
    if enabling.was_enabled {
        output.line(format_args!("source {:?} is enabled already", enabling.name));
        return Ok(DONE);
    }
    let done = if enabling.dry_run { "would be enabled" } else { "is enabled" };
    output.line(format_args!("source {:?} {done}", enabling.name));
    let lines = [
        (enabling.files, format!("files of {} bytes", format::count(enabling.bytes))),
        (enabling.known, "of these registered already".into()),
        (enabling.came_back, "left out, because their objects have ended".into()),
        (enabling.refused, "files or folders refused".into()),
        (
            enabling.owed_elsewhere,
            "objects whose files are not in this root, and wait until they are released".into(),
        ),
    ];
    for (number, what) in lines.into_iter().filter(|(number, _)| *number > 0) {
        output.line(format_args!("{:>12} {what}", format::count(number)));
    }
    if enabling.has_more {
        output.line("             and more, which were not counted");
    }
    for why in &enabling.first_refused {
        output.line(format_args!("{} {why}", output.bad("refused:")));
    }
    output.line(format_args!(
        "{:>12} objects of the class go at once, {} bytes of this source",
        format::count(enabling.at_once),
        format::count(enabling.at_once_bytes)
    ));
    if enabling.stopped_by_breaker > 0 {
        output.line(format_args!(
            "{} all of them; look at `sexton plan` before you resume",
            output.bad("the breaker stops")
        ));
    }
    Ok(DONE)
}

fn files(number: u64) -> String {
    format::counted(usize::try_from(number).unwrap_or(usize::MAX), "file", "files")
}

fn rescan(args: &RescanArgs, output: &mut Output) -> Result<u8, Failure> {
    let begun = Host::of(&args.data)?.call(RescanSource { name: args.name.clone() })?;
    if args.data.json {
        output.json(&begun.into_json());
        return Ok(DONE);
    }
    let Rescanning { name } = begun.answer();
    output.line(format_args!("a full scan of {name:?} begins"));
    Ok(DONE)
}
