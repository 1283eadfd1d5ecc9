//! Result of `sexton reconcile`.

use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton_proof::id::printable;

/// Largest number of files of one kind in the output.
const LISTED_MAX: usize = 100;

/// Numbers of files by result, and the refused files.
#[derive(Default)]
pub(super) struct Summary {
    /// `true` if the folder was accepted as a new root.
    pub(super) is_new_root: bool,
    pub(super) registered: u64,
    pub(super) known: u64,
    /// Files whose key had ended before.
    had_ended: u64,
    /// Keys of the first of these files.
    first_ended: Vec<Vec<u8>>,
    /// Files and folders that cannot be registered, each with the reason.
    pub(super) refused: Vec<(Vec<u8>, String)>,
}

impl Summary {
    /// Adds a file whose key had ended before.
    pub(super) fn add_ended(&mut self, key: &[u8]) {
        self.had_ended += 1;
        if self.first_ended.len() < LISTED_MAX {
            self.first_ended.push(key.to_vec());
        }
    }

    pub(super) fn print(&self, is_dry: bool, output: &mut Output) {
        let registered = if is_dry { "would be registered" } else { "registered" };
        if self.is_new_root {
            let accepted = if is_dry { "would be accepted" } else { "is accepted" };
            output.line(format_args!("the folder {accepted} as a new root of the data folder"));
        }
        output.line(format_args!("{:>12} already known", format::count(self.known)));
        output.line(format_args!("{:>12} {registered}", format::count(self.registered)));
        output.line(format_args!("{:>12} refused", format::count(self.refused.len() as u64)));
        for (key, why) in self.refused.iter().take(LISTED_MAX) {
            output.line(format_args!("{} {}: {why}", output.bad("refused:"), printable(key)));
        }
        let refused_more = self.refused.len().saturating_sub(LISTED_MAX) as u64;
        print_more(refused_more, output);
        for key in &self.first_ended {
            output.line(format_args!("{} {}", output.bad("had ended before:"), printable(key)));
        }
        print_more(self.had_ended.saturating_sub(self.first_ended.len() as u64), output);
        if self.had_ended > 0 {
            output.line("files that had ended before may have come back from a backup: see `sexton ended`");
        }
    }

    pub(super) fn json(&self, is_dry: bool) -> Value {
        let refused = |(key, why): &(Vec<u8>, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": why });
        json!({
            "dry_run": is_dry,
            "new_root": self.is_new_root,
            "known": self.known,
            "registered": self.registered,
            "had_ended_before": self.had_ended,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}

fn print_more(more: u64, output: &mut Output) {
    if more > 0 {
        output.line(format_args!("and {} more", format::count(more)));
    }
}
