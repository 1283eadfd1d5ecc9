//! What a run found: as a Markdown table, as JSON, and as plots.

use crate::bout::{Comparison, Setup};
use crate::figures::short;
use crate::machine::{self, Fsync, Machine};
use crate::plot::{self, Bar, Series};
use crate::{CALL, CLASSES, ROW_BYTES, Result, SHARDS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Everything that a run found, and under which circumstances.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which comparisons these are: `ours`, `peers` or `scale`.
    pub set: &'static str,
    /// Where it was measured.
    pub machine: Machine,
    /// The load when it ended.
    pub load_after: String,
    /// What was measured, in which version.
    pub versions: BTreeMap<String, String>,
    /// When is fsynced, and what that costs here.
    pub fsync: Fsync,
    /// Whether this is no measurement: smaller numbers, fewer rounds or a shorter look than the targets ask for.
    pub trial: bool,
    /// What the numbers of objects were multiplied with.
    pub scale: f64,
    /// Rounds asked for.
    pub rounds: usize,
    /// Of which comparisons alone; all of the set where there are none.
    pub only: Vec<String>,
    /// How long lateness was watched, seconds.
    pub seconds: u64,
    /// Numbers of objects, fill of slots and size of rows, in a sentence.
    pub objects: String,
    /// One for each comparison.
    pub results: Vec<Comparison>,
}

impl Report {
    /// A report of `results`.
    ///
    /// # Errors
    /// Where the measured folder cannot be written.
    pub fn new(set: &'static str, setup: &Setup, machine: Machine, results: Vec<Comparison>) -> Result<Self> {
        Ok(Report {
            set,
            machine,
            load_after: machine::load(),
            versions: machine::versions().into_iter().collect(),
            fsync: Fsync::measured(&setup.dir)?,
            trial: setup.is_trial(),
            scale: setup.scale,
            rounds: setup.rounds,
            only: setup.only.clone(),
            seconds: setup.seconds,
            objects: objects(set),
            results,
        })
    }

    /// As text for people.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let m = &self.machine;
        let _ = writeln!(
            out,
            "{}, {} cores, {} threads, {} MiB; Linux {}; {}; load {} before, {} after.",
            m.cpu, m.cores, m.threads, m.memory_mib, m.kernel, m.file_system, m.load_before, self.load_after
        );
        if let Some(micros) = self.fsync.micros {
            let _ = writeln!(
                out,
                "An fdatasync behind 4 KiB takes {:.0} µs ({:.0}–{:.0}, {} of them). Policy: {}.",
                micros.median, micros.least, micros.most, self.fsync.measured, self.fsync.policy
            );
        }
        let _ = writeln!(out, "{} Scale {}.", self.objects, self.scale);
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        let _ = writeln!(out, "Versions: {}.\n", versions.collect::<Vec<_>>().join("; "));
        if self.trial {
            out.push_str(
                "**A trial and no measurement**: fewer objects, fewer rounds or a shorter look than the targets ask for. \
                 What is met here need not be met there.\n\n",
            );
        }
        if !self.only.is_empty() {
            let _ = writeln!(out, "Of the set {} only {}.", self.set, self.only.join(", "));
        }
        let _ = writeln!(
            out,
            "Medians of up to {} rounds, ratios taken round by round; in brackets least–most, and in how many rounds a \
             target was met where that is not all or none.\n",
            self.rounds
        );
        out.push_str("| comparison | unit | ours | reference | ratio (least–most) | target | met |\n");
        out.push_str("|---|---|---:|---:|---:|---:|---|\n");
        for result in &self.results {
            let _ = writeln!(out, "{}", line(result));
        }
        let (met, asked) = self.score();
        let _ = writeln!(out, "\n{met} of {asked} targets met.");
        out
    }

    /// Targets that are met, and all.
    pub fn score(&self) -> (usize, usize) {
        let met = self.results.iter().filter(|result| result.met == Some(true)).count();
        (met, self.results.iter().filter(|result| result.met.is_some()).count())
    }

    /// The first comparison that failed: that somebody is not installed is none.
    pub fn failure(&self) -> Option<&Comparison> {
        self.results.iter().find(|result| result.failed)
    }

    /// Writes `<set>.md`, `<set>.json` and a plot for each group of comparisons into `folder`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)?;
        let mut files = vec![
            (format!("{}.md", self.set), self.markdown()),
            (format!("{}.json", self.set), serde_json::to_string_pretty(self)? + "\n"),
        ];
        files.extend(self.plots());
        let mut written = Vec::new();
        for (name, text) in files {
            let path = folder.join(name);
            File::create(&path)?.write_all(text.as_bytes())?;
            written.push(path);
        }
        Ok(written)
    }

    /// A plot for each group that has ratios.
    fn plots(&self) -> Vec<(String, String)> {
        let mut groups: BTreeMap<&str, Vec<Bar>> = BTreeMap::new();
        for result in &self.results {
            let group = result.name.split('/').next().unwrap_or_default();
            let (Some(ratio), Some(least), Some(most)) = (result.ratio, result.least, result.most) else {
                continue;
            };
            let target = result.target.filter(|_| result.target_of == Some("ratio"));
            let label = match result.reference_name {
                Some(reference) => format!("{} : {reference}", result.name),
                None => result.name.clone(),
            };
            groups.entry(group).or_default().push(Bar {
                label,
                value: ratio,
                least,
                most,
                target,
                met: result.met.unwrap_or(true),
            });
        }
        let plot = |(group, bars): (&str, Vec<Bar>)| {
            let title = format!("{group}: ratio to the reference (median, least–most; mark: target)");
            (format!("{}-{group}.svg", self.set), plot::bars(&title, &bars))
        };
        groups.into_iter().map(plot).chain(self.growth()).collect()
    }

    /// Rates over the number of objects that live, where they were measured.
    fn growth(&self) -> Option<(String, String)> {
        let series = ["register", "enforce"].map(|figure| {
            let mut points = Vec::new();
            for result in &self.results {
                let at = result.name.strip_prefix("growth/").and_then(|rest| rest.strip_prefix(figure));
                let at = at.and_then(|rest| rest.strip_prefix('/')?.strip_suffix('M')?.parse::<f64>().ok());
                let (Some(millions), Some(ours), Some(first)) = (at, result.ours, result.reference) else {
                    continue;
                };
                // Each is held against the same first one.
                if points.is_empty() {
                    points.push((1e6 * self.scale, first));
                }
                points.push((millions * 1e6 * self.scale, ours));
            }
            Series { name: figure.to_owned(), points }
        });
        if series.iter().all(|one| one.points.is_empty()) {
            return None;
        }
        let svg = plot::lines("growth: rates while others live", "live objects", "objects/s", &series);
        Some((format!("{}-growth-rates.svg", self.set), svg))
    }
}

/// What is registered at full scale.
fn objects(set: &str) -> String {
    let what = match set {
        "ours" => {
            "20 M at 100,000 per slot and class and for traces, 2 M at 1,000 and at 10; 4 M with each call over 500 \
             slots; 2 M and 10 M where keys come again; 2 M for lateness; 10 M tombstones for making a receipt"
        }
        "peers" => "2 M at 100,000 per slot and class; 1 M files; 5 M in the wheels; 200,000 leaves",
        _ => "2 M registered and enforced while 1 M, 10 M and 100 M live, 100,000 per slot and class",
    };
    format!(
        "Objects at full scale: {what}. {CLASSES} classes, shards: {SHARDS}, calls of {CALL}, rows of {ROW_BYTES} bytes."
    )
}

fn line(result: &Comparison) -> String {
    let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
    let reference = match (result.reference, result.reference_name) {
        (Some(value), Some(name)) => format!("{} ({name})", short(value)),
        (None, Some(name)) => format!("– ({name})"),
        _ => String::new(),
    };
    let ratio = match (result.ratio, result.least, result.most, &result.why_not) {
        (_, _, _, Some(why)) => format!("not run: {}", one_line(why)),
        (Some(ratio), Some(least), Some(most), _) => {
            format!("{} ({}–{})", short(ratio), short(least), short(most))
        }
        (None, Some(least), Some(most), _) => format!("({}–{})", short(least), short(most)),
        _ => "–".to_owned(),
    };
    let target = result.asked.map(|target| target.to_string()).unwrap_or_default();
    let rounds = match result.met_rounds {
        Some(met) if met > 0 && met < result.rounds => format!(" ({met} of {})", result.rounds),
        _ => String::new(),
    };
    let met = match (result.met, result.but) {
        (Some(true), _) => format!("yes{rounds}"),
        (Some(false), Some(but)) => format!("**no**: {but}"),
        (Some(false), None) => format!("**no**{rounds}"),
        (None, _) => String::new(),
    };
    let (name, unit, ours) = (&result.name, result.unit, figure(result.ours));
    format!("| {name} | {unit} | {ours} | {reference} | {ratio} | {target} | {met} |")
}

/// The first line of a sentence, fit for a cell of a table.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bout::{Contestant, Figures, Of, Pairing, play};
    use crate::figures::Target;
    use serde_json::Value;

    fn report() -> Report {
        let dir = std::env::temp_dir();
        let setup = Setup {
            dir: dir.clone(),
            rounds: 5,
            scale: 0.5,
            only: Vec::new(),
            seconds: 1,
            program: PathBuf::new(),
        };
        let one = |name, rate: f64| {
            Contestant::new(name, move |_: &Path| Ok(Figures::from([("rate", rate), ("zero", 0.0)])))
        };
        let contestants = vec![one("ours", 7.5), one("bare", 10.0), Contestant::absent("redis", "no redis")];
        let pair = |name: &str, reference| {
            Pairing::new(name, "objects/s", Of("ours", "rate"), Of(reference, "rate"), "rows | rows")
        };
        let pairings = [
            pair("register/a", "bare").to_reach(Target::Ratio(0.7)),
            pair("register/b", "redis").to_reach(Target::Ratio(10.0)),
            pair("enforce/<c>", "bare"),
            Pairing::alone("late/d", "objects", Of("ours", "zero"), "never").to_reach(Target::Never),
        ];
        let results = play(&setup, contestants, &pairings);
        Report::new("ours", &setup, Machine::here(&dir), results).unwrap()
    }

    #[test]
    fn the_json_has_what_was_promised() {
        let json: Value = serde_json::to_value(report()).unwrap();
        assert_eq!(json["trial"], true);
        for field in ["machine", "versions", "fsync", "objects", "scale", "rounds", "results"] {
            assert!(!json[field].is_null(), "{field} is missing");
        }
        assert_eq!(json["machine"]["threads"], 2);
        let first = json["results"][0].as_object().unwrap();
        for field in
            ["name", "ours", "reference", "reference_name", "ratio", "target", "met", "least", "most"]
        {
            assert!(!first[field].is_null(), "{field} is missing");
        }
        assert_eq!((first["ratio"].as_f64(), first["rounds"].as_u64()), (Some(0.75), Some(5)));
        assert_eq!(first["unit"], "objects/s");
        let absent = &json["results"][1];
        assert_eq!((absent["met"].as_bool(), absent["ratio"].as_f64()), (Some(false), None));
        assert_eq!(absent["why_not"], "no redis");
        assert!(json["results"][2]["met"].is_null());
        assert!(json["results"][3]["met"].as_bool().unwrap());
    }

    #[test]
    fn the_table_says_what_was_met_and_what_was_not_run() {
        let text = report().markdown();
        assert!(
            text.contains("| register/a | objects/s | 7.5 | 10 (bare) | 0.75 (0.75–0.75) | ≥ 0.7× | yes |"),
            "{text}"
        );
        assert!(
            text.contains("| register/b | objects/s | – | – (redis) | not run: no redis | ≥ 10× | **no** |")
        );
        assert!(text.contains("| late/d | objects | 0 |  | (0–0) | = 0 | yes |"));
        assert!(text.contains("2 of 3 targets met."));
        assert!(text.contains("A trial and no measurement"));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = report().write(folder.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["ours.md", "ours.json", "ours-enforce.svg", "ours-register.svg"]);
        let json: Value = serde_json::from_slice(&fs::read(&files[1]).unwrap()).unwrap();
        assert_eq!(json["results"].as_array().unwrap().len(), 4);
    }
}
