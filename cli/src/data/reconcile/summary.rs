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
    pub(super) had_ended: u64,
    /// Those of them that are deleted again.
    pub(super) deleted_again: u64,
    /// Files and folders that cannot be registered, each with the reason.
    pub(super) refused: Vec<(Vec<u8>, String)>,
}

impl Summary {
    pub(super) fn print(&self, is_dry: bool, output: &mut Output) {
        let registered = if is_dry { "would be registered" } else { "registered" };
        if self.is_new_root {
            let accepted = if is_dry { "would be accepted" } else { "is accepted" };
            output.line(format_args!("the folder {accepted} as a new root of the data folder"));
        }
        output.line(format_args!("{:>12} already known", format::count(self.known)));
        output.line(format_args!("{:>12} {registered}", format::count(self.registered)));
        if self.deleted_again > 0 {
            let deleted =
                if is_dry { "would be deleted again" } else { "deleted again at the next enforcement" };
            output.line(format_args!("{:>12} {deleted}", format::count(self.deleted_again)));
        }
        output.line(format_args!("{:>12} refused", format::count(self.refused.len() as u64)));
        for (key, why) in self.refused.iter().take(LISTED_MAX) {
            output.line(format_args!("{} {}: {why}", output.bad("refused:"), printable(key)));
        }
        let refused_more = self.refused.len().saturating_sub(LISTED_MAX) as u64;
        print_more(refused_more, output);
    }

    pub(super) fn json(&self, is_dry: bool) -> Value {
        let refused = |(key, why): &(Vec<u8>, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": why });
        json!({
            "dry_run": is_dry,
            "new_root": self.is_new_root,
            "known": self.known,
            "registered": self.registered,
            "had_ended_before": self.had_ended,
            "deleted_again": self.deleted_again,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}

fn print_more(more: u64, output: &mut Output) {
    if more > 0 {
        output.line(format_args!("and {} more", format::count(more)));
    }
}
