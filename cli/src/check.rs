//! `sexton check`: the full check of a data folder.

use crate::args::CheckArgs;
use crate::folder;
use crate::output::{self, Failure, Output};
use crate::show;
use serde_json::json;
use sexton::{Report, State};
use std::path::Path;

const SOUND: u8 = 0;
const PROBLEMS: u8 = 1;

pub(crate) fn run(args: &CheckArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.folder;
    let engine = folder::open(folder)?;
    let bar = output::spinner("checking rows, evidence and log");
    let report = engine.check()?;
    let state = engine.status()?.state;
    bar.finish_and_clear();
    let sound = report.is_sound() && state == State::Running;
    if args.json {
        json(&report, &state, sound, output);
    } else {
        text(&report, &state, sound, folder, output);
    }
    Ok(if sound { SOUND } else { PROBLEMS })
}

/// The name of a state, and what happened.
pub(crate) fn state_text(state: &State) -> (&'static str, Option<&str>) {
    match state {
        State::Running => ("running", None),
        State::Forked(why) => ("forked", Some(why)),
        State::Poisoned(why) => ("poisoned", Some(why)),
        State::Paused(why) => ("paused", Some(why)),
    }
}

fn json(report: &Report, state: &State, sound: bool, output: &mut Output) {
    let (state, why) = state_text(state);
    output.json(&json!({
        "sound": sound,
        "state": state,
        "why": why,
        "live_pages": report.pages,
        "live_registrations": report.rows,
        "batches": report.batches,
        "tombstones": report.tombstones,
        "carries": report.carries,
        "log_entries": report.leaves,
        "problems_found": report.problems_found,
        "problems": report.problems,
    }));
}

fn text(report: &Report, state: &State, sound: bool, folder: &Path, output: &mut Output) {
    let mut line = |n: u64, what: &str| output.line(format_args!("{:>12} {what}", show::count(n)));
    line(report.rows, "live registrations");
    line(report.pages, "live pages");
    line(report.batches, "batches");
    line(report.tombstones, "tombstones");
    line(report.carries, "carries");
    line(report.leaves, "log entries");
    if let (state, Some(why)) = state_text(state) {
        output.line(format_args!("{} {why}", output.bad(format_args!("{state}:"))));
    }
    for problem in &report.problems {
        output.line(format_args!("{} {problem}", output.bad("problem:")));
    }
    let unlisted = report.problems_found.saturating_sub(report.problems.len() as u64);
    if unlisted > 0 {
        output.line(format_args!("and {} more", show::count(unlisted)));
    }
    if sound {
        output.line(output.good(format_args!("{} is sound", folder.display())));
    }
}
