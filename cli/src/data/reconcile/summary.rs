//! Result of `sexton reconcile`.

use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;

/// Largest number of files of one kind in the output.
const LISTED_MAX: usize = 100;

/// Numbers of files by result, and the refused files.
#[derive(Default)]
pub(super) struct Summary {
    /// Objects that go at once, if the folder was accepted as a new root.
    pub(super) new_root: Option<AtOnce>,
    pub(super) registered: u64,
    pub(super) known: u64,
    /// Files that stay their objects, with other content.
    pub(super) changed: u64,
    /// Files that are new objects in place of other files under their keys.
    pub(super) replaced: u64,
    /// Files whose key had ended before.
    pub(super) had_ended: u64,
    /// Files of these that are deleted again.
    pub(super) deleted_again: u64,
    /// Files whose modification time is not believed.
    bounded: u64,
    first_bounded: Vec<Bounded>,
    /// Files and folders that cannot be registered, each with the reason.
    pub(super) refused: Vec<(Vec<u8>, String)>,
}

/// File that starts at another instant than its last modification.
struct Bounded {
    key: Vec<u8>,
    modified: Timestamp,
    start: Timestamp,
}

/// Objects of the class that the next enforcement deletes.
#[derive(Clone, Copy)]
pub(super) struct AtOnce {
    pub(super) objects: u64,
    /// Number of them that the breaker lets pass.
    pub(super) passing: u64,
}

impl AtOnce {
    /// Returns the number of objects that the breaker stops: all of them or none.
    fn stopped(self) -> u64 {
        if self.objects > self.passing { self.objects } else { 0 }
    }

    fn print(self, output: &mut Output) {
        let objects =
            format::counted(usize::try_from(self.objects).unwrap_or(usize::MAX), "object", "objects");
        output.line(format_args!("{objects} of the class would go at once, at the next enforcement"));
        if self.stopped() > 0 {
            output.line(format_args!(
                "{} all of them: at most {} pass without notice; look at `sexton plan` before you resume",
                output.bad("the breaker stops"),
                format::count(self.passing)
            ));
        }
    }
}

impl Summary {
    /// Adds a file whose modification time is not believed.
    pub(super) fn add_bounded(&mut self, key: &[u8], modified: Timestamp, start: Timestamp) {
        self.bounded += 1;
        if self.first_bounded.len() < LISTED_MAX {
            self.first_bounded.push(Bounded { key: key.to_vec(), modified, start });
        }
    }

    pub(super) fn print(&self, is_dry: bool, output: &mut Output) {
        let registered = if is_dry { "would be registered" } else { "registered" };
        if self.new_root.is_some() {
            let accepted = if is_dry { "would be accepted" } else { "is accepted" };
            output.line(format_args!("the folder {accepted} as a new root of the data folder"));
        }
        output.line(format_args!("{:>12} already known", format::count(self.known)));
        output.line(format_args!("{:>12} {registered}", format::count(self.registered)));
        if self.changed > 0 {
            let changed = if is_dry { "would be updated" } else { "updated" };
            output.line(format_args!(
                "{:>12} {changed}, because their content changed",
                format::count(self.changed)
            ));
        }
        if self.replaced > 0 {
            let place = "in place of other files under their keys";
            output.line(format_args!("{:>12} {registered} {place}", format::count(self.replaced)));
        }
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
        for Bounded { key, modified, start } in &self.first_bounded {
            let key = printable(key);
            let why = if modified > start { "that is in the future" } else { "that is before its birth" };
            output.line(format_args!("starts at {start}: {key}: modified at {modified}, and {why}"));
        }
        print_more(self.bounded.saturating_sub(self.first_bounded.len() as u64), output);
        if let Some(at_once) = self.new_root {
            at_once.print(output);
        }
    }

    pub(super) fn json(&self, is_dry: bool) -> Value {
        let refused = |(key, why): &(Vec<u8>, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": why });
        let bounded = |of: &Bounded| {
            json!({
                "key": printable(&of.key),
                "key_hex": hex::encode(&of.key),
                "modified_ms": of.modified.unix_ms(),
                "start_ms": of.start.unix_ms(),
            })
        };
        json!({
            "dry_run": is_dry,
            "new_root": self.new_root.is_some(),
            "at_once": self.new_root.map(|at_once| json!({
                "objects": at_once.objects,
                "stopped_by_breaker": at_once.stopped(),
            })),
            "bounded": self.bounded,
            "first_bounded": self.first_bounded.iter().map(bounded).collect::<Vec<_>>(),
            "known": self.known,
            "registered": self.registered,
            "changed": self.changed,
            "replaced": self.replaced,
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
