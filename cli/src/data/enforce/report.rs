//! Report of an enforcement.

use super::super::receipts::{self, POLICY};
use super::prune::Pruned;
use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton::Status;
use sexton::report::EngineState;
use sexton::store::Answer;
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;

/// Exit code if all due objects ended in their window.
pub(super) const ALL_IN_TIME: u8 = 0;
/// Exit code if objects were not deleted, or an operator is needed.
pub(super) const NOT_ALL: u8 = 1;
/// Exit code if objects ended early or late.
pub(super) const EARLY_OR_LATE: u8 = 3;

/// Largest number of problems in the output.
const PROBLEMS_LISTED_MAX: usize = 100;

/// Answers of the store.
#[derive(Default)]
pub(super) struct Answers {
    /// Number of answers, by word.
    counts: BTreeMap<&'static str, u64>,
    /// The first objects that were not deleted: key, word for the answer, reason.
    problems: Vec<(Vec<u8>, &'static str, String)>,
    /// Number of objects that were not deleted.
    problems_found: u64,
}

/// Numbers of ends and of kept objects, since the data folder was created.
#[derive(Default)]
pub(super) struct Ends {
    /// Ended, because the host deleted them by itself.
    released: u64,
    /// Ended, because a newer registration replaced them.
    replaced: u64,
    /// Kept by legal holds.
    held: u64,
    /// Ended before their floor.
    early: u64,
    /// Ended after their ceiling.
    late: u64,
    /// Ended after their ceiling, because a legal hold had kept them.
    late_after_hold: u64,
}

impl Ends {
    pub(super) fn of(status: &Status) -> Self {
        let mut ends = Ends::default();
        for class in status.classes.values() {
            ends.released += class.ended.released;
            ends.replaced += class.ended.replaced;
            ends.held += class.ended.held;
            ends.early += class.ended.early;
            ends.late += class.ended.late;
            ends.late_after_hold += class.ended.late_after_hold;
        }
        ends
    }

    /// Returns the numbers since `before`.
    pub(super) fn since(&self, before: &Ends) -> Self {
        Ends {
            released: self.released.saturating_sub(before.released),
            replaced: self.replaced.saturating_sub(before.replaced),
            held: self.held.saturating_sub(before.held),
            early: self.early.saturating_sub(before.early),
            late: self.late.saturating_sub(before.late),
            late_after_hold: self.late_after_hold.saturating_sub(before.late_after_hold),
        }
    }
}

/// Result of an enforcement.
pub(super) struct Enforced {
    pub(super) answers: Answers,
    pub(super) ends: Ends,
    /// Status afterwards.
    pub(super) status: Status,
    pub(super) needs: Vec<String>,
    pub(super) next: Option<Timestamp>,
    /// Number of receipts written, if they were asked for.
    pub(super) receipts: Option<u64>,
    /// Objects without a receipt: printable key and reason.
    pub(super) no_receipt: Vec<(String, String)>,
    /// Removal of emptied folders, if that was asked for.
    pub(super) pruned: Option<Pruned>,
}

impl Answers {
    pub(super) fn add(&mut self, key: &[u8], answer: &Answer) {
        let (word, why) = match answer {
            Answer::Deleted => ("deleted", None),
            Answer::Anonymised(_) => ("anonymised", None),
            Answer::Absent => ("absent", None),
            Answer::Requested => ("requested", None),
            Answer::Changed => (
                "changed",
                Some(
                    "the registered file was changed or replaced, so nothing is deleted; run `sexton reconcile`, which takes the file as it is now",
                ),
            ),
            Answer::Refused(why) => ("refused", Some(&**why)),
            Answer::Failed(why) => ("failed", Some(&**why)),
            // A later version of the engine may add answers.
            _ => ("other", Some("the store gave an answer that this version does not know")),
        };
        *self.counts.entry(word).or_default() += 1;
        let Some(why) = why else { return };
        self.problems_found += 1;
        if self.problems.len() < PROBLEMS_LISTED_MAX {
            self.problems.push((key.to_vec(), word, why.to_owned()));
        }
    }
}

impl Enforced {
    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        let is_pruned = self.pruned.as_ref().is_none_or(|pruned| pruned.refused.is_empty());
        let is_done = self.needs.is_empty()
            && self.answers.problems_found == 0
            && self.no_receipt.is_empty()
            && is_pruned;
        match is_done {
            false => NOT_ALL,
            true if self.ends.early + self.ends.late > 0 => EARLY_OR_LATE,
            true => ALL_IN_TIME,
        }
    }

    /// Returns the number of objects that are due although nothing more is deleted; 0 if nothing stops deletion.
    fn stopped(&self) -> u64 {
        let is_stopped = self.status.state != EngineState::Running || !self.status.alarms.is_empty();
        if is_stopped { self.status.classes.values().map(|class| class.due).sum() } else { 0 }
    }

    pub(super) fn json(&self) -> Value {
        let problem = |(key, word, why): &(Vec<u8>, &str, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "answer": word, "why": why });
        let no_receipt = |(name, why): &(String, String)| json!({ "key": name, "why": why });
        let receipts = self.receipts.map(|written| {
            let refused: Vec<Value> = self.no_receipt.iter().map(no_receipt).collect();
            json!({ "written": written, "policy": POLICY, "refused": refused })
        });
        json!({
            "dry_run": false,
            "answers": self.answers.counts,
            "released": self.ends.released,
            "replaced": self.ends.replaced,
            "kept_by_holds": self.ends.held,
            "early": self.ends.early,
            "late": self.ends.late,
            "late_after_hold": self.ends.late_after_hold,
            "stopped": self.stopped(),
            "problems_found": self.answers.problems_found,
            "problems": self.answers.problems.iter().map(problem).collect::<Vec<_>>(),
            "receipts": receipts,
            "folders_removed": self.pruned.as_ref().map(|pruned| pruned.removed),
            "folders_refused": self.pruned.as_ref().map(Pruned::refused_json),
            "next_due_ms": self.next.map(Timestamp::unix_ms),
            "needs": self.needs,
        })
    }

    pub(super) fn print(&self, output: &mut Output) {
        let Enforced { answers, ends, .. } = self;
        for (word, n) in &answers.counts {
            output.line(format_args!("{:>12} {word}", format::count(*n)));
        }
        let stopped = self.stopped();
        let kept = [
            (ends.released, "ended, released"),
            (ends.replaced, "ended, replaced"),
            (ends.held, "kept by legal holds"),
        ];
        let broken = [(ends.early, "of these ended early"), (ends.late, "of these ended late")];
        let late_after_hold = (ends.late_after_hold, "of these ended late, kept by a legal hold before");
        let lines = kept.into_iter().chain(broken).chain([late_after_hold]);
        for (n, what) in lines.filter(|(n, _)| *n > 0) {
            let line = format!("{:>12} {what}", format::count(n));
            output.line(if broken.contains(&(n, what)) { output.bad(line) } else { line });
        }
        let did_nothing = answers.counts.is_empty() && kept.iter().all(|(n, _)| *n == 0);
        match stopped {
            0 if did_nothing => output.line("nothing was due"),
            0 => {}
            n => {
                output
                    .line(output.bad(format_args!("{:>12} due, but deletion is stopped", format::count(n))));
            }
        }
        for (key, word, why) in &answers.problems {
            output.line(format_args!("{} {}: {why}", output.bad(format_args!("{word}:")), printable(key)));
        }
        let more = answers.problems_found.saturating_sub(answers.problems.len() as u64);
        if more > 0 {
            output.line(format_args!("and {} more", format::count(more)));
        }
        if let Some(written) = self.receipts {
            output.line(format_args!("{:>12} receipts written", format::count(written)));
        }
        for (name, why) in &self.no_receipt {
            receipts::print_refused(name, why, output);
        }
        if let Some(pruned) = &self.pruned {
            output.line(format_args!("{:>12} empty folders removed", format::count(pruned.removed)));
            pruned.print_refused(output);
        }
        if let Some(next) = self.next {
            output.line(format_args!("next work: {next}"));
        }
        for need in &self.needs {
            output.line(output.bad(need));
        }
    }
}
