//! `sexton check`: full consistency check of a data folder.

use super::args::DataArgs;
use super::host::Host;
use super::open::spinner;
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_service::api::{CheckData, CheckReport};
use std::path::Path;

const SOUND: u8 = 0;
const PROBLEMS: u8 = 1;

/// Arguments of `sexton check`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton check /var/lib/sexton

Exit codes:
  0  sound
  1  problems were found, and are listed
  2  wrong usage, or the folder cannot be opened, for example because another
     process has it open")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &CheckArgs, output: &mut Output) -> Result<u8, Failure> {
    let host = Host::of(&args.data)?;
    let bar = spinner("checking rows, evidence and log");
    let report = host.call(CheckData {});
    bar.finish_and_clear();
    let report = report?;
    let code = if report.answer().sound { SOUND } else { PROBLEMS };
    if args.data.json {
        output.json(&report.into_json());
    } else {
        print_text(report.answer(), &args.data.folder, output);
    }
    Ok(code)
}

fn print_text(report: &CheckReport, folder: &Path, output: &mut Output) {
    let mut line = |n: u64, what: &str| output.line(format_args!("{:>12} {what}", format::count(n)));
    line(report.live_registrations, "live registrations");
    line(report.live_pages, "live pages");
    line(report.batches, "batches");
    line(report.tombstones, "tombstones");
    line(report.carries, "carries");
    line(report.log_entries, "log entries");
    if let Some(why) = &report.why {
        output.line(format_args!("{} {why}", output.bad(format_args!("{}:", report.state))));
    }
    for problem in &report.problems {
        output.line(format_args!("{} {problem}", output.bad("problem:")));
    }
    let unlisted = report.problems_found.saturating_sub(report.problems.len() as u64);
    if unlisted > 0 {
        output.line(format_args!("and {} more", format::count(unlisted)));
    }
    if report.sound {
        output.line(output.good(format_args!("{} is sound", folder.display())));
    }
}
