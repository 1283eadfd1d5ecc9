//! Report of the demonstration.

use super::Locations;
use super::class_report::{self, ClassReport};
use super::enforce::Enforced;
use super::names::Search;
use super::receipts::Verified;
use super::stopwatch::Stopwatch;
use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton_proof::receipt::DOES_NOT_PROVE;
use std::path::{Path, PathBuf};

/// All results of the demonstration.
pub(super) struct Report<'a> {
    pub(super) source: &'a Path,
    pub(super) files: usize,
    /// Files that are still in the store.
    pub(super) left: usize,
    pub(super) classes: Vec<ClassReport>,
    pub(super) enforced: Enforced,
    pub(super) verified: &'a Verified,
    /// Why the changed receipt was refused; `None` if it was not.
    pub(super) refused: Option<String>,
    pub(super) check: sexton::report::Report,
    pub(super) search: Search,
    pub(super) watch: Stopwatch,
    pub(super) locations: &'a Locations,
}

impl Report<'_> {
    pub(super) fn is_as_promised(&self) -> bool {
        self.problems().is_empty()
    }

    /// Returns the broken promises, one message each.
    fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut require = |holds: bool, otherwise: String| {
            if !holds {
                out.push(otherwise);
            }
        };
        for c in &self.classes {
            require(
                c.deleted == c.registered,
                format!("{}: {} of {} deleted", c.class, c.deleted, c.registered),
            );
            require(c.early == 0, format!("{}: {} deleted early", c.class, c.early));
            require(c.late == 0, format!("{}: {} deleted late", c.class, c.late));
            require(
                c.engine_agrees,
                format!("{}: the counts of the engine differ from the receipts", c.class),
            );
        }
        require(self.left == 0, format!("{} files are left in the store", self.left));
        let invalid = self.files - self.verified.valid;
        require(invalid == 0, format!("{invalid} receipts are not valid"));
        require(self.refused.is_some(), "the changed receipt was not refused".into());
        require(
            self.check.is_sound(),
            format!("the full check found {} problems", self.check.problems_found),
        );
        require(self.search.found == 0, format!("names were found in public {} times", self.search.found));
        out.extend(self.verified.problems.iter().cloned());
        out.extend(self.check.problems.iter().cloned());
        out
    }

    /// Returns a command that verifies all receipts.
    fn verify_command(&self) -> String {
        let quoted = |path: &Path| shell_word(&path.to_string_lossy());
        format!(
            "{} verify {} --policy {}",
            quoted(&this_command()),
            quoted(&self.locations.receipts),
            quoted(&self.locations.policy)
        )
    }

    pub(super) fn json(&self) -> Value {
        let phases: serde_json::Map<String, Value> =
            self.watch.laps().iter().map(|(name, s)| ((*name).to_owned(), json!(round(*s)))).collect();
        let Locations { data, store, log, tombstones, receipts, policy, changed } = self.locations;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        json!({
            "as_promised": self.is_as_promised(),
            "problems": self.problems(),
            "files": self.files,
            "source": text(self.source),
            "classes": self.classes.iter().map(ClassReport::json).collect::<Vec<_>>(),
            "batches": self.enforced.batches,
            "clock": {
                "from_ms": self.enforced.from.unix_ms(),
                "to_ms": self.enforced.to.unix_ms(),
                "steps": self.enforced.steps,
            },
            "receipts": {
                "issued": self.files,
                "valid": self.verified.valid,
                "changed_refused": self.refused.is_some(),
                "changed_refused_because": self.refused,
            },
            "check": { "sound": self.check.is_sound(), "problems": self.check.problems },
            "names": {
                "searched": self.search.needles,
                "bytes_searched": self.search.bytes,
                "found": self.search.found,
            },
            "seconds": round(self.watch.seconds()),
            "phases": phases,
            "paths": {
                "data": text(data),
                "store": text(store),
                "log": text(log),
                "tombstones": text(tombstones),
                "receipts": text(receipts),
                "policy": text(policy),
                "changed": text(changed),
            },
            "verify": self.verify_command(),
        })
    }

    pub(super) fn text(&self, output: &mut Output) {
        class_report::table(&self.classes, output);
        self.findings(output);
        self.locations(output);
        let problems = self.problems();
        if problems.is_empty() {
            output.line(output.good(format_args!("all as promised, in {:.1} s", self.watch.seconds())));
        }
        for problem in problems {
            output.line(format_args!("{} {problem}", output.bad("not as promised:")));
        }
    }

    fn findings(&self, output: &mut Output) {
        let files = format::count(self.files as u64);
        output.line(format_args!(
            "{files} files of {} registered; the clock went from {} to {} in {} steps; {} batches",
            self.source.display(),
            self.enforced.from,
            self.enforced.to,
            format::count(self.enforced.steps),
            format::count(self.enforced.batches),
        ));
        output.line(format_args!(
            "{files} receipts issued, {} valid; {} files left in the store",
            format::count(self.verified.valid as u64),
            self.left
        ));
        if let Some(why) = &self.refused {
            output.line(format_args!("one byte of one receipt changed: refused, {why}"));
        }
        output.line(format_args!(
            "full check: {} problems in {} log entries, {} tombstones",
            self.check.problems_found,
            format::count(self.check.leaves),
            format::count(self.check.tombstones),
        ));
        output.line(format_args!(
            "searched {} bytes of log/ and tombstones/ for {} paths, names and digests, plain and as BLAKE3: {} found",
            format::count(self.search.bytes),
            format::count(self.search.needles as u64),
            self.search.found,
        ));
        output.line("");
    }

    fn locations(&self, output: &mut Output) {
        let Locations { store, log, tombstones, receipts, policy, changed, .. } = self.locations;
        for (path, what) in [
            (log, "the transparency log: C2SP tiles and checkpoint (public)"),
            (tombstones, "a file of tombstones for each batch (public)"),
            (receipts, "a receipt for every file"),
            (policy, "trust policy with the key of the log"),
            (changed, "the receipt with one changed byte"),
            (store, "the store: its files are deleted, its folders stay"),
        ] {
            output.line(format_args!("{:<36} {what}", path.display()));
        }
        output.line("");
        output.line(format_args!("verify them yourself:  {}", output.strong(self.verify_command())));
        output.line(output.faint("What a valid receipt does not prove:"));
        for statement in DOES_NOT_PROVE {
            output.line(output.faint(format_args!("  {statement}")));
        }
        let phases = self.watch.laps().iter().map(|(name, s)| format!("{name} {s:.1} s")).collect::<Vec<_>>();
        output.line(output.faint(phases.join(", ")));
    }
}

/// Returns the name of this command if it is on the PATH, otherwise its path.
fn this_command() -> PathBuf {
    let by_name = PathBuf::from("sexton");
    let Ok(exe) = std::env::current_exe() else { return by_name };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(&by_name) == exe) {
        return by_name;
    }
    let here = std::env::current_dir().unwrap_or_default();
    exe.strip_prefix(here).map(Path::to_owned).unwrap_or(exe)
}

/// Rounds seconds to milliseconds, for JSON.
fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// Returns a word for a shell, quoted if necessary.
fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_word_with_space_or_quote_is_quoted() {
        assert_eq!(shell_word("a/b-1.x"), "a/b-1.x");
        assert_eq!(shell_word("my folder"), "'my folder'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
    }
}
