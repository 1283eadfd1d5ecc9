//! Report of a run: a Markdown table, JSON, and plots.

use crate::comparison::ComparisonResult;
use crate::contest::Setup;
use crate::environment::{self, Fsync, Machine};
use crate::plot::{self, Bar, Series};
use crate::statistics::short;
use crate::{CALL, CLASSES, ROW_BYTES, Result, SHARDS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Results of a run, and its circumstances. Its fields are the fields of the JSON report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Set of comparisons: `ours`, `peers` or `scale`.
    pub set: &'static str,
    /// Machine that the run was measured on.
    pub machine: Machine,
    /// Load average at the end.
    pub load_after: String,
    /// Versions of the measured software, by name.
    pub versions: BTreeMap<String, String>,
    /// Fsync policy, and the time of one fsync.
    pub fsync: Fsync,
    /// `true` if the run was smaller than the targets ask for: fewer objects, fewer rounds or a shorter time.
    pub trial: bool,
    /// Factor for the numbers of objects.
    pub scale: f64,
    /// Number of rounds that were asked for.
    pub rounds: usize,
    /// Parts of names that selected comparisons. Empty if all of the set were selected.
    pub only: Vec<String>,
    /// Seconds for which lateness was measured.
    pub seconds: u64,
    /// Numbers of objects, fill of slots and size of rows, as text.
    pub objects: String,
    /// Results, one for each comparison.
    pub results: Vec<ComparisonResult>,
}

impl Report {
    /// Creates a report of `results`.
    ///
    /// # Errors
    /// If the measured folder cannot be written.
    pub fn new(
        set: &'static str,
        setup: &Setup,
        machine: Machine,
        results: Vec<ComparisonResult>,
    ) -> Result<Self> {
        Ok(Report {
            set,
            machine,
            load_after: environment::load(),
            versions: environment::versions().into_iter().collect(),
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

    /// Formats the report as Markdown.
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
                "An fdatasync after appending 4 KiB takes {:.0} µs ({:.0}–{:.0}, {} samples). Policy: {}.",
                micros.median, micros.least, micros.most, self.fsync.measured, self.fsync.policy
            );
        }
        let _ = writeln!(out, "{} Scale {}.", self.objects, self.scale);
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        let _ = writeln!(out, "Versions: {}.\n", versions.collect::<Vec<_>>().join("; "));
        if self.trial {
            out.push_str(
                "**This run is a trial**: it has fewer objects, fewer rounds or a shorter time than the targets ask for. \
                 A target that is met here may be missed at full size.\n\n",
            );
        }
        if !self.only.is_empty() {
            let _ = writeln!(out, "Selected from the set {}: {}.", self.set, self.only.join(", "));
        }
        let _ = writeln!(
            out,
            "Medians of up to {} rounds, with ratios taken round by round. Brackets give least–most. They also give the \
             number of rounds that met a target, if some did and some did not.\n",
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

    /// Number of targets that are met, and number of all targets.
    pub fn score(&self) -> (usize, usize) {
        let met = self.results.iter().filter(|result| result.met == Some(true)).count();
        (met, self.results.iter().filter(|result| result.met.is_some()).count())
    }

    /// First comparison that failed. A contestant that is not installed is no failure.
    pub fn failure(&self) -> Option<&ComparisonResult> {
        self.results.iter().find(|result| result.failed)
    }

    /// Writes `<set>.md`, `<set>.json` and a plot for each group of comparisons into `folder`.
    ///
    /// # Errors
    /// If `folder` cannot be written.
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

    /// Plots, one for each group that has ratios, and one of growth.
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
            let title =
                format!("{group}: ratio to the reference (bar: median, line: least–most, mark: target)");
            (format!("{}-{group}.svg", self.set), plot::bars(&title, &bars))
        };
        groups.into_iter().map(plot).chain(self.growth()).collect()
    }

    /// Plot of the rates over the number of live objects, if growth was measured.
    fn growth(&self) -> Option<(String, String)> {
        let series = ["register", "enforce"].map(|figure| {
            let mut points = Vec::new();
            for result in &self.results {
                let rest = result.name.strip_prefix("growth/").and_then(|rest| rest.strip_prefix(figure));
                let live =
                    rest.and_then(|rest| rest.strip_prefix('/')?.strip_suffix('M')?.parse::<f64>().ok());
                let (Some(millions), Some(ours), Some(first)) = (live, result.ours, result.reference) else {
                    continue;
                };
                // Every comparison has the rate at 1 M as its reference.
                if points.is_empty() {
                    points.push((1e6 * self.scale, first));
                }
                points.push((millions * 1e6 * self.scale, ours));
            }
            Series { name: figure.to_owned(), points }
        });
        if series.iter().all(|line| line.points.is_empty()) {
            return None;
        }
        let svg =
            plot::lines("growth: rates by number of live objects", "live objects", "objects/s", &series);
        Some((format!("{}-growth-rates.svg", self.set), svg))
    }
}

/// Describes the objects that a set registers at full scale.
fn objects(set: &str) -> String {
    let what = match set {
        "ours" => {
            "20 M at 100,000 per slot and class and for residue, 2 M at 1,000 and at 10; 4 M with each call over 500 \
             slots; 2 M and 10 M with repeated keys; 2 M for lateness; 10 M tombstones for making a receipt"
        }
        "peers" => "2 M at 100,000 per slot and class; 1 M files; 5 M in the wheels; 200,000 leaves",
        _ => "2 M registered and enforced beside 1 M, 10 M and 100 M live ones, 100,000 per slot and class",
    };
    format!(
        "Objects at full scale: {what}. {CLASSES} classes, shards: {SHARDS}, calls of {CALL}, rows of {ROW_BYTES} bytes."
    )
}

fn line(result: &ComparisonResult) -> String {
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
    let target = result.shown_target.map(|target| target.to_string()).unwrap_or_default();
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

/// First line of a text, without the separator of table cells.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{Comparison, FigureOf};
    use crate::contest::{Contestant, Figures, run_contest};
    use crate::statistics::Target;
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
        let contestant = |name, rate: f64| {
            Contestant::new(name, move |_: &Path| Ok(Figures::from([("rate", rate), ("zero", 0.0)])))
        };
        let contestants = vec![
            contestant("ours", 7.5),
            contestant("baseline", 10.0),
            Contestant::absent("redis", "no redis"),
        ];
        let pair = |name: &str, reference| {
            Comparison::new(
                name,
                "objects/s",
                FigureOf("ours", "rate"),
                FigureOf(reference, "rate"),
                "rows | rows",
            )
        };
        let comparisons = [
            pair("register/a", "baseline").with_target(Target::Ratio(0.7)),
            pair("register/b", "redis").with_target(Target::Ratio(10.0)),
            pair("enforce/<c>", "baseline"),
            Comparison::alone("late/d", "objects", FigureOf("ours", "zero"), "never")
                .with_target(Target::Never),
        ];
        let results = run_contest(&setup, contestants, &comparisons);
        Report::new("ours", &setup, Machine::here(&dir), results).unwrap()
    }

    #[test]
    fn json_report_has_the_documented_fields() {
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
    fn table_shows_met_missed_and_absent() {
        let text = report().markdown();
        assert!(
            text.contains(
                "| register/a | objects/s | 7.5 | 10 (baseline) | 0.75 (0.75–0.75) | ≥ 0.7× | yes |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| register/b | objects/s | – | – (redis) | not run: no redis | ≥ 10× | **no** |")
        );
        assert!(text.contains("| late/d | objects | 0 |  | (0–0) | = 0 | yes |"));
        assert!(text.contains("2 of 3 targets met."));
        assert!(text.contains("This run is a trial"));
    }

    #[test]
    fn written_report_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = report().write(folder.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["ours.md", "ours.json", "ours-enforce.svg", "ours-register.svg"]);
        let json: Value = serde_json::from_slice(&fs::read(&files[1]).unwrap()).unwrap();
        assert_eq!(json["results"].as_array().unwrap().len(), 4);
    }
}
