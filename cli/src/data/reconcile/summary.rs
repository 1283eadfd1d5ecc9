//! Result of `sexton reconcile`.

use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton::store::dir::Kind;
use sexton_proof::id::printable;
use sexton_service::intake::{AtOnce, Bounded, Refused, Taken, Why};
use std::collections::BTreeMap;

/// Largest number of files of one kind in the output.
const LISTED_MAX: usize = 100;

/// Numbers of files by result, and the refused files.
#[derive(Default)]
pub(super) struct Summary {
    /// Objects that go at once, if the folder was accepted as a new root.
    pub(super) new_root: Option<AtOnce>,
    /// Files by result.
    pub(super) taken: Taken,
    /// Entries that are no objects, by kind.
    pub(super) others: BTreeMap<Kind, u64>,
    /// Folders on other file systems. They are refused too.
    pub(super) file_systems: u64,
    /// Objects of the root that the filter does not take.
    pub(super) excluded_registered: u64,
}

impl Summary {
    pub(super) fn print(&self, is_dry: bool, output: &mut Output) {
        let registered = if is_dry { "would be registered" } else { "registered" };
        if self.new_root.is_some() {
            let accepted = if is_dry { "would be accepted" } else { "is accepted" };
            output.line(format_args!("the folder {accepted} as a new root of the data folder"));
        }
        let taken = &self.taken;
        output.line(format_args!("{:>12} already known", format::count(taken.known)));
        if taken.renamed > 0 {
            let found = if is_dry { "would be found" } else { "found" };
            output
                .line(format_args!("{:>12} of these {found} under new names", format::count(taken.renamed)));
        }
        output.line(format_args!("{:>12} {registered}", format::count(taken.registered)));
        if taken.changed > 0 {
            let changed = if is_dry { "would be updated" } else { "updated" };
            output.line(format_args!(
                "{:>12} {changed}, because their content changed",
                format::count(taken.changed)
            ));
        }
        if taken.replaced > 0 {
            let place = "in place of other files under their keys";
            output.line(format_args!("{:>12} {registered} {place}", format::count(taken.replaced)));
        }
        if taken.deleted_again > 0 {
            let deleted =
                if is_dry { "would be deleted again" } else { "deleted again at the next enforcement" };
            output.line(format_args!("{:>12} {deleted}", format::count(taken.deleted_again)));
        }
        output.line(format_args!("{:>12} refused", format::count(taken.refused.len() as u64)));
        for Refused { key, why } in taken.refused.iter().take(LISTED_MAX) {
            output.line(format_args!("{} {}: {}", output.bad("refused:"), printable(key), words(why)));
        }
        let refused_more = taken.refused.len().saturating_sub(LISTED_MAX) as u64;
        print_more(refused_more, output);
        for Bounded { key, modified, start } in &taken.first_bounded {
            let key = printable(key);
            let why = if modified > start { "that is in the future" } else { "that is before its birth" };
            output.line(format_args!("starts at {start}: {key}: modified at {modified}, and {why}"));
        }
        print_more(taken.bounded.saturating_sub(taken.first_bounded.len() as u64), output);
        self.print_others(output);
        if let Some(at_once) = self.new_root {
            print_at_once(at_once, output);
        }
    }

    /// Prints the numbers of entries that are no objects, and of registered files that are excluded.
    fn print_others(&self, output: &mut Output) {
        let of = |kind| self.of(kind);
        let lines = [
            (of(Kind::SymbolicLink), "symbolic links, not followed"),
            (of(Kind::Socket), "sockets"),
            (of(Kind::Fifo), "named pipes"),
            (of(Kind::Device), "devices"),
            (self.file_systems, "folders on other file systems, refused"),
            (of(Kind::EmptyFolder), "empty folders"),
            (of(Kind::ExcludedFile), "files left out by --include and --exclude"),
            (of(Kind::ExcludedFolder), "folders left out by --exclude, and not entered"),
            (self.excluded_registered, "objects that are left out now stay registered"),
        ];
        for (n, what) in lines.into_iter().filter(|(n, _)| *n > 0) {
            output.line(format_args!("{:>12} {what}", format::count(n)));
        }
    }

    fn of(&self, kind: Kind) -> u64 {
        self.others.get(&kind).copied().unwrap_or(0)
    }

    pub(super) fn json(&self, is_dry: bool) -> Value {
        let taken = &self.taken;
        let refused = |Refused { key, why }: &Refused| json!({ "key": printable(key), "key_hex": hex::encode(key), "why": words(why) });
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
            "bounded": taken.bounded,
            "first_bounded": taken.first_bounded.iter().map(bounded).collect::<Vec<_>>(),
            "known": taken.known,
            "renamed": taken.renamed,
            "registered": taken.registered,
            "changed": taken.changed,
            "replaced": taken.replaced,
            "had_ended_before": taken.had_ended,
            "deleted_again": taken.deleted_again,
            "others": {
                "symbolic_links": self.of(Kind::SymbolicLink),
                "sockets": self.of(Kind::Socket),
                "fifos": self.of(Kind::Fifo),
                "devices": self.of(Kind::Device),
                "other_file_systems": self.file_systems,
                "empty_folders": self.of(Kind::EmptyFolder),
            },
            "excluded": {
                "files": self.of(Kind::ExcludedFile),
                "folders": self.of(Kind::ExcludedFolder),
                "registered": self.excluded_registered,
            },
            "refused": taken.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}

fn print_at_once(at_once: AtOnce, output: &mut Output) {
    let objects =
        format::counted(usize::try_from(at_once.objects).unwrap_or(usize::MAX), "object", "objects");
    output.line(format_args!("{objects} of the class would go at once, at the next enforcement"));
    if at_once.stopped() > 0 {
        output.line(format_args!(
            "{} all of them: at most {} pass without notice; look at `sexton plan` before you resume",
            output.bad("the breaker stops"),
            format::count(at_once.passing)
        ));
    }
}

/// Returns why a file is left out, and what to do.
fn words(why: &Why) -> String {
    match why {
        Why::Said(why) => why.clone(),
        Why::CameBack(ended) => format!(
            "its object ended at {} ({}, {}), so it may have come back from a backup: end it again with --delete-again; \
             if it is another object under the same key, register it with --as-new",
            ended.time,
            ended.method,
            format::reason(ended.reason)
        ),
    }
}

fn print_more(more: u64, output: &mut Output) {
    if more > 0 {
        output.line(format_args!("and {} more", format::count(more)));
    }
}
