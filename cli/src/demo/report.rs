//! Report of the demonstration.

use super::enforce::Enforced;
use super::names::Search;
use super::receipts::{End, Verified};
use super::stopwatch::Stopwatch;
use super::{Locations, Registered, spread};
use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton::{ClassSet, Status};
use sexton_proof::receipt::{Compliance, DOES_NOT_PROVE};
use sexton_proof::record::Method;
use sexton_proof::time::{Timestamp, whole_ms};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Median, 99th percentile and maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quantiles {
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Quantiles {
    fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        // The smallest value that this percentage of the values does not exceed.
        let at =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).unwrap_or_default());
        Quantiles { p50, p99, max }
    }

    fn json(self) -> Value {
        json!({ "p50": whole_ms(self.p50), "p99": whole_ms(self.p99), "max": whole_ms(self.max) })
    }
}

/// Row of the table for one class.
#[derive(Debug)]
pub(super) struct ClassReport {
    class: &'static str,
    registered: u64,
    deleted: u64,
    early: u64,
    late: u64,
    /// Tombstone time − due instant.
    lateness: Quantiles,
    /// Tombstone time − beginning of the slot: the part of the lateness that was work.
    after_slot: Quantiles,
    /// Shortest time from a deletion to its ceiling, negative if the deletion was late.
    least_margin_ms: Option<i64>,
    /// `true` if the engine's own counts agree with the receipts.
    engine_agrees: bool,
}

impl ClassReport {
    fn json(&self) -> Value {
        json!({
            "class": self.class,
            "registered": self.registered,
            "deleted": self.deleted,
            "early": self.early,
            "late": self.late,
            "lateness_ms": self.lateness.json(),
            "after_slot_ms": self.after_slot.json(),
            "least_margin_ms": self.least_margin_ms,
            "engine_agrees": self.engine_agrees,
        })
    }
}

/// Returns the rows of the table. The number of registrations is the engine's; all else follows from valid receipts.
pub(super) fn classes(registered: &[Registered], verified: &Verified, status: &Status) -> Vec<ClassReport> {
    let class = |class: &'static str| {
        let registered = registered.iter().filter(|file| file.planned.class == class).count() as u64;
        let ends: Vec<&End> = verified.ends.iter().filter(|end| end.class == class).collect();
        let number = |is: fn(&End) -> bool| ends.iter().filter(|end| is(end)).count() as u64;
        let slot_and_lead = slot_and_lead(class);
        let since = |from: &dyn Fn(&End) -> Timestamp| {
            Quantiles::of(ends.iter().map(|end| end.time.since(from(end))).collect())
        };
        let (deleted, early, late) = (
            number(|end| end.method == Method::Deleted),
            number(|end| matches!(end.compliance, Compliance::Early { .. })),
            number(|end| matches!(end.compliance, Compliance::Late { .. })),
        );
        let engine = status.classes.get(class).copied().unwrap_or_default();
        let counts = engine.ended;
        ClassReport {
            class,
            registered,
            deleted,
            early,
            late,
            lateness: since(&|end| due(end, slot_and_lead)),
            after_slot: since(&|end| end.slot),
            least_margin_ms: margins_ms(&ends).min(),
            engine_agrees: (engine.registered, counts.deleted, counts.early, counts.late)
                == (registered, deleted, early, late),
        }
    };
    spread::classes().map(class).collect()
}

/// Returns the sum of slot width and lead of a class.
fn slot_and_lead(class: &str) -> Duration {
    let classes = ClassSet::built_in();
    let found = classes.iter().find(|definition| definition.name == class);
    found.map_or(Duration::ZERO, |definition| definition.slot + definition.lead)
}

/// Returns the due instant: the floor if one is promised, otherwise the ceiling less slot and lead.
fn due(end: &End, slot_and_lead: Duration) -> Timestamp {
    let ceiling = end.ceiling.unwrap_or(Timestamp::MAX);
    end.floor.unwrap_or_else(|| ceiling.saturating_sub(slot_and_lead))
}

/// Returns the time from each deletion to its ceiling, negative if the deletion was late.
fn margins_ms<'a>(ends: &'a [&End]) -> impl Iterator<Item = i64> + 'a {
    ends.iter().filter_map(|end| Some(end.ceiling?.unix_ms() - end.time.unix_ms()))
}

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
        let Locations { root, store, log, tombstones, receipts, policy, changed } = self.locations;
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
                "data": text(root),
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
        self.table(output);
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

    fn table(&self, output: &mut Output) {
        let row = |cells: [&str; 10]| {
            let [class, registered, deleted, early, late, p50, p99, max, work, margin] = cells;
            format!(
                "{class:<10} {registered:>10} {deleted:>8} {early:>6} {late:>5}  {p50:>12} {p99:>12} {max:>12}  \
                 {work:>8} {margin:>12}"
            )
        };
        let heads = [
            "class",
            "registered",
            "deleted",
            "early",
            "late",
            "lateness p50",
            "p99",
            "max",
            "work max",
            "least margin",
        ];
        output.line(output.strong(row(heads)));
        for c in &self.classes {
            let [registered, deleted, early, late] =
                [c.registered, c.deleted, c.early, c.late].map(format::count);
            let Quantiles { p50, p99, max } = c.lateness;
            let [p50, p99, max, work] = [p50, p99, max, c.after_slot.max].map(format::length);
            let margin = c.least_margin_ms.map_or("-".into(), |ms| {
                let sign = if ms < 0 { "-" } else { "" };
                format!("{sign}{}", format::length(Duration::from_millis(ms.unsigned_abs())))
            });
            output.line(row([
                c.class,
                &registered,
                &deleted,
                &early,
                &late,
                &p50,
                &p99,
                &max,
                &work,
                &margin,
            ]));
        }
        for explanation in [
            "lateness: from the due instant (the floor; if none is promised, the ceiling less slot and lead) to the time of \
             the tombstone",
            "work: the part of it after the beginning of the slot; before that the object waits for the slot. Least margin: \
             shortest time from a deletion to its ceiling",
        ] {
            output.line(output.faint(explanation));
        }
        output.line("");
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
    fn quantiles_are_values_of_the_sample() {
        let of = |values: &[u64]| Quantiles::of(values.iter().copied().map(Duration::from_millis).collect());
        let quantiles = |values: [u64; 3]| {
            let [p50, p99, max] = values.map(Duration::from_millis);
            Quantiles { p50, p99, max }
        };
        assert_eq!(of(&[]), quantiles([0, 0, 0]));
        assert_eq!(of(&[7]), quantiles([7, 7, 7]));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), quantiles([50, 99, 100]));
        assert_eq!(of(&[1, 2, 3]), quantiles([2, 3, 3]));
    }

    #[test]
    fn shell_word_with_space_or_quote_is_quoted() {
        assert_eq!(shell_word("a/b-1.x"), "a/b-1.x");
        assert_eq!(shell_word("my folder"), "'my folder'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
    }
}
