//! Metrics and health over real sockets, and what `docs/monitoring` makes of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use sexton::decision::HoldKind;
use sexton::store::{Answer, Disposition, Store, StoredObject, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{
    Attribution, Durability, Engine, HoldName, NewHold, Options, Registration, Selector, Timestamp,
};
use sexton_service::http::Server;
use sexton_service::sources::{Directory, OtherRoot, SourceSettings, Sources, SourcesOptions};
use sexton_service::{ServeOptions, Serving};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Engine on a virtual clock.
struct Host {
    folder: tempfile::TempDir,
    clock: Arc<VirtualClock>,
    engine: Arc<Engine>,
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
        let options = Options::new("example.com/metrics");
        let engine =
            Engine::open_with_clock(&folder.path().join("data"), &options, Arc::clone(&clock) as _).unwrap();
        Host { folder, clock, engine: Arc::new(engine) }
    }

    fn register(&self, keys: &[&str]) {
        let all: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new("log-73h", key.as_bytes()).size(100)).collect();
        self.engine.register(&all, Durability::Synced).unwrap();
    }

    fn serve(&self) -> Serving {
        let options = ServeOptions::default()
            .control(self.folder.path().join("control.sock"), 0o600)
            .metrics(SocketAddr::from(([127, 0, 0, 1], 0)));
        Serving::start(Server::new(Arc::clone(&self.engine)), &self.folder.path().join("data"), &options)
            .unwrap()
    }
}

/// Store that answers by the first letter of a key.
struct ByLetter(Vec<(u8, Answer)>);

impl Store for ByLetter {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let answer = |key: &[u8]| self.0.iter().find(|(letter, _)| key[0] == *letter);
        let of = |key| answer(key).map_or(Answer::Deleted, |(_, answer)| answer.clone());
        sub_batch.objects.iter().map(|object| of(object.key)).collect()
    }
}

fn failed() -> Answer {
    Answer::Failed("the disk is gone".into())
}

/// Returns status and body of an answer to a GET.
fn get(mut stream: impl Read + Write, path: &str, accept: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: sexton\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get_tcp(address: SocketAddr, path: &str) -> (u16, String) {
    get(TcpStream::connect(address).unwrap(), path, "*/*")
}

/// Returns the samples of a text: the name with its labels, and the value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn scrape(serving: &Serving) -> BTreeMap<String, f64> {
    let (status, text) = get_tcp(serving.metrics_address().unwrap(), "/metrics");
    assert_eq!(status, 200, "{text}");
    samples(&text)
}

/// An object ends in its window, two end 56 minutes late after a failure and a change, one is refused and then fails, one
/// is held, one is young.
fn known_history() -> Host {
    let host = Host::new();
    host.register(&["a", "b", "c", "d", "h"]);
    let attribution = Attribution::new("Ada Lovelace", "court order");
    let selector = Selector::keys([b"h"]);
    let review = host.engine.now().saturating_add(HOUR);
    let name = HoldName::new("case 7").unwrap();
    let hold = NewHold::new(name, selector, HoldKind::Temporary, attribution, review);
    host.engine.place_hold(hold).unwrap();

    host.clock.advance(73 * HOUR - 4 * MINUTE);
    let refused = Answer::Refused("it is locked".into());
    let first = vec![(b'b', failed()), (b'c', Answer::Changed), (b'd', refused)];
    host.engine.enforce(&ByLetter(first)).unwrap();
    host.register(&["e"]);

    host.clock.advance(HOUR);
    host.engine.enforce(&ByLetter(vec![(b'd', failed())])).unwrap();
    host.engine.reclaim().unwrap();
    host
}

#[test]
fn values_after_a_known_history_are_exact() {
    let host = known_history();
    let serving = host.serve();
    let found = scrape(&serving);
    let of_class = |name: &str| format!("sexton_{name}{{class=\"log-73h\"}}");
    let of_result =
        |name: &str, result: &str| format!("sexton_{name}{{class=\"log-73h\",result=\"{result}\"}}");
    let lateness = |le: &str| format!("sexton_lateness_seconds_bucket{{class=\"log-73h\",le=\"{le}\"}}");
    let expected = [
        (of_class("registered_objects_total"), 6.0),
        (of_class("registered_bytes_total"), 600.0),
        (of_class("deleted_bytes_total"), 300.0),
        (of_class("live_objects"), 3.0),
        (of_class("held_objects"), 1.0),
        (of_class("due_objects"), 0.0),
        (of_class("overdue_objects"), 1.0),
        (of_class("oldest_overdue_age_seconds"), 3_360.0),
        (of_class("late_objects_total"), 2.0),
        (of_class("early_objects_total"), 0.0),
        (of_result("ended_objects_total", "deleted"), 3.0),
        (of_result("ended_objects_total", "absent"), 0.0),
        (of_result("failures_total", "failed"), 2.0),
        (of_result("failures_total", "refused"), 1.0),
        (of_result("failures_total", "changed"), 1.0),
        (lateness("0"), 1.0),
        (lateness("900"), 1.0),
        (lateness("3600"), 3.0),
        (of_class("lateness_seconds_count"), 3.0),
        (of_class("lateness_seconds_sum"), 6_720.0),
        (of_class("batch_duration_seconds_count"), 2.0),
        (of_class("alarm_breaker"), 0.0),
        ("sexton_running".into(), 1.0),
        ("sexton_poisoned".into(), 0.0),
        ("sexton_holds".into(), 1.0),
        ("sexton_unreviewed_holds".into(), 1.0),
        ("sexton_overdue_erasures".into(), 0.0),
        ("sexton_clock_offset_seconds".into(), 0.0),
        ("sexton_reclaims_total{result=\"done\"}".into(), 1.0),
        ("sexton_reclaim_last_done_timestamp_seconds".into(), 1_767_225_600.0 + 73.0 * 3_600.0 + 3_360.0),
    ];
    for (name, value) in expected {
        assert_eq!(found.get(&name), Some(&value), "{name}");
    }
    assert_eq!(found["sexton_log_entries"], found["sexton_log_published_entries"]);
    for name in ["index_memtable_bytes", "index_wal_bytes", "disk_free_bytes"] {
        assert!(found[&format!("sexton_{name}")] > 0.0, "{name}");
    }
    assert!(found["sexton_checkpoint_age_seconds"] >= 0.0);
}

#[test]
fn due_objects_that_wait_have_an_age() {
    let host = Host::new();
    host.register(&["a"]);
    host.clock.advance(73 * HOUR - 4 * MINUTE);
    let found = scrape(&host.serve());
    assert_eq!(found["sexton_due_objects{class=\"log-73h\"}"], 1.0);
    let age = found["sexton_oldest_due_age_seconds{class=\"log-73h\"}"];
    assert!((60.0..=660.0).contains(&age), "{age}");
    assert_eq!(found["sexton_oldest_due_age_seconds{class=\"upload-3h\"}"], 0.0);
}

#[test]
fn clock_that_steps_ahead_is_a_pause_with_an_alarm() {
    let host = Host::new();
    host.clock.step_forward(30 * 24 * HOUR);
    host.engine.enforce(&ByLetter(vec![])).unwrap();
    let found = scrape(&host.serve());
    assert_eq!((found["sexton_paused"], found["sexton_running"]), (1.0, 0.0));
    assert_eq!((found["sexton_alarm_clock"], found["sexton_alarm_time_off"]), (1.0, 0.0));
    assert!(found["sexton_clock_offset_seconds"] > 86_400.0);
}

/// Service with one source.
struct SourcesHost {
    folder: tempfile::TempDir,
    sources: Arc<Sources>,
    serving: Serving,
}

impl SourcesHost {
    fn start(name: &str, watches_max: usize) -> SourcesHost {
        let folder = tempfile::tempdir().unwrap();
        let (data, files) = (folder.path().join("data"), folder.path().join("files"));
        std::fs::create_dir(&files).unwrap();
        let engine = Arc::new(Engine::open(&data, &Options::new("example.com/metrics")).unwrap());
        let directory = Directory::new(name, &files, "upload-3h");
        let options = SourcesOptions::default().watches_max(watches_max);
        let sources = Arc::new(
            Sources::start(&engine, &data, &SourceSettings::default().directories(vec![directory]), options)
                .unwrap(),
        );
        let server = Server::new(engine).sources(Arc::clone(&sources));
        let options = ServeOptions::default().metrics(SocketAddr::from(([127, 0, 0, 1], 0)));
        let serving = Serving::start(server, &data, &options).unwrap();
        SourcesHost { folder, sources, serving }
    }

    fn enable(&self, name: &str) {
        let attribution = Attribution::new("Ada Lovelace", "a test");
        self.sources.enable(name, OtherRoot::Refuse, &attribution, false).unwrap();
    }

    /// Waits until metrics of the source `up` have these values, and returns all.
    #[track_caller]
    fn until(&self, expected: &[(&str, f64)]) -> BTreeMap<String, f64> {
        for _ in 0..600 {
            let found = scrape(&self.serving);
            if expected.iter().all(|(name, value)| found.get(&of_source(name)) == Some(value)) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{expected:?} did not come within a minute: {:#?}", scrape(&self.serving));
    }
}

/// Returns the name of a metric of the source `up`, with its result if one follows a space.
fn of_source(name: &str) -> String {
    match name.split_once(' ') {
        Some((name, result)) => format!("sexton_source_{name}{{source=\"up\",result=\"{result}\"}}"),
        None => format!("sexton_source_{name}{{source=\"up\"}}"),
    }
}

#[test]
fn source_has_its_states_and_files() {
    let host = SourcesHost::start("up", usize::MAX);
    let found = host.until(&[("not_enabled", 1.0), ("watching", 0.0), ("root_lost", 0.0)]);
    for name in ["scan_age_seconds", "last_scan_timestamp_seconds", "scan_duration_seconds"] {
        assert!(!found.contains_key(&of_source(name)), "{name}");
    }
    let files = host.folder.path().join("files");
    std::os::unix::fs::symlink("/", files.join("link")).unwrap();
    std::fs::File::create(files.join("a")).unwrap();
    std::fs::File::create(files.join("b")).unwrap();
    host.enable("up");
    let found = host.until(&[("watching", 1.0), ("files known", 2.0), ("files waiting", 0.0)]);
    assert_eq!(found[&of_source("scan_interval_seconds")], 3_600.0);
    assert!(found[&of_source("scan_age_seconds")] < 3_600.0);
    assert_eq!(found[&of_source("watched_folders")], 1.0);
    let scanned = host.until(&[("not_enabled", 0.0), ("event_overflows_total", 0.0)]);
    assert!(scanned[&of_source("last_scan_timestamp_seconds")] > 1_600_000_000.0);
    assert!(scanned[&of_source("scan_duration_seconds")] >= 0.0);

    let away = host.folder.path().join("away");
    rustix::fs::rename(&files, &away).unwrap();
    let lost = host.until(&[("root_lost", 1.0), ("watching", 0.0), ("not_enabled", 0.0)]);
    assert!(!lost.contains_key(&of_source("scan_age_seconds")));
    let object = StoredObject { key: b"up/a", version: b"v", digest: b"", size: None };
    let sub_batch = SubBatch {
        batch: 1,
        class: "upload-3h",
        disposition: Disposition::Delete,
        attempt: 1,
        epoch: 1,
        objects: &[object],
    };
    assert!(matches!(&host.sources.delete(&sub_batch)[..], [Answer::Failed(_)]));
    host.until(&[("failures_total not_working", 1.0), ("failures_total failed", 0.0)]);
    rustix::fs::rename(&away, &files).unwrap();
    host.until(&[("root_lost", 0.0), ("watching", 1.0), ("limited_objects", 0.0)]);
}

#[test]
fn source_without_watches_only_rescans() {
    let host = SourcesHost::start("up", 0);
    host.enable("up");
    host.until(&[("rescanning", 1.0), ("watching", 0.0), ("watched_folders", 0.0)]);
}

#[test]
fn labels_have_bounded_names_and_values() {
    let host = known_history();
    let sources = SourcesHost::start("up", usize::MAX);
    let results = [
        "deleted",
        "anonymised",
        "requested",
        "absent",
        "absent_after_intent",
        "released",
        "replaced",
        "failed",
        "refused",
        "changed",
        "done",
        "known",
        "waiting",
        "came_back",
        "put_off",
        "not_working",
        "not_registered",
    ];
    let classes: BTreeSet<String> = host.engine.status().unwrap().classes.into_keys().collect();
    for name in scrape(&host.serve()).keys().chain(scrape(&sources.serving).keys()) {
        let Some((_, labels)) = name.split_once('{') else { continue };
        for label in labels.trim_end_matches('}').split(',') {
            let (label, value) = label.split_once('=').unwrap();
            let value = value.trim_matches('"');
            let is_bounded = match label {
                "class" => classes.contains(value),
                "source" => value == "up",
                "result" => results.contains(&value),
                "le" => true,
                _ => false,
            };
            assert!(is_bounded, "{name}");
        }
    }
}

#[test]
fn text_is_openmetrics_for_a_client_that_accepts_it() {
    let host = Host::new();
    let serving = host.serve();
    let connect = || TcpStream::connect(serving.metrics_address().unwrap()).unwrap();
    let (_, open) = get(connect(), "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(open.contains("# UNIT sexton_lateness_seconds seconds\n"));
    let (_, plain) = get(connect(), "/metrics", "text/plain");
    assert!(!plain.contains("# EOF"));
    let names = |text: &str| metrics_in(&samples(text).into_keys().collect::<Vec<_>>().join(" "));
    assert_eq!(names(&open), names(&plain));
}

#[test]
fn health_fails_only_if_a_restart_helps() {
    let host = Host::new();
    let serving = host.serve();
    let address = serving.metrics_address().unwrap();
    assert_eq!(get_tcp(address, "/healthz"), (200, "ok\n".into()));
    assert_eq!(get_tcp(address, "/readyz"), (200, "ok\n".into()));
    let control = || UnixStream::connect(host.folder.path().join("control.sock")).unwrap();
    assert_eq!(get(control(), "/healthz", "*/*").0, 200);

    // A pause waits for an operator: a restart does not help, and registering goes on.
    host.clock.step_forward(30 * 24 * HOUR);
    host.engine.enforce(&ByLetter(vec![])).unwrap();
    assert_eq!((get_tcp(address, "/healthz").0, get_tcp(address, "/readyz").0), (200, 200));

    serving.health().fail("a deleting thread has failed");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get_tcp(address, path), (503, "a deleting thread has failed\n".into()));
        assert_eq!(get(control(), path, "*/*").0, 503);
    }
    serving.stop(Duration::from_secs(10));
}

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring").join(file).canonicalize().unwrap()
}

/// Returns the names of metrics in a text: its words that begin with `sexton_`.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_in_name(c));
    words.filter(|word| word.starts_with("sexton_")).map(str::to_owned).collect()
}

#[test]
fn rules_dashboard_and_docs_name_metrics_that_exist() {
    let host = known_history();
    let serving = host.serve();
    let (_, text) = get_tcp(serving.metrics_address().unwrap(), "/metrics");
    let there = metrics_in(&text);
    let dashboard = std::fs::read_to_string(monitoring("sexton.dashboard.json")).unwrap();
    let _: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let read = |file| std::fs::read_to_string(monitoring(file)).unwrap();
    let operations = read("../operations.md");
    let table = operations.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let texts = [dashboard, read("sexton.rules.yml"), read("sexton.test.yml"), table];
    for text in texts {
        let named = metrics_in(&text);
        let unknown: Vec<&String> = named.difference(&there).collect();
        assert!(!named.is_empty() && unknown.is_empty(), "{unknown:?} are no metrics");
    }
}

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped());
    command
}

#[test]
#[ignore = "needs Prometheus: `make test-serve` installs it"]
fn promtool_accepts_the_text_and_the_rules() {
    let serving = known_history().serve();
    let (_, text) =
        get(TcpStream::connect(serving.metrics_address().unwrap()).unwrap(), "/metrics", "text/plain");
    let mut check =
        promtool(&["check", "metrics"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    for arguments in [["check", "rules", "sexton.rules.yml"], ["test", "rules", "sexton.test.yml"]] {
        let done = promtool(&arguments).current_dir(monitoring(".")).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

/// Running Prometheus, which ends with the value.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Prometheus: `make test-serve` installs it"]
fn prometheus_scrapes_the_service_and_evaluates_the_rules() {
    let host = known_history();
    let serving = host.serve();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{:?}]\nscrape_configs:\n- \
         job_name: sexton\n  static_configs: [{{targets: [\"{}\"]}}]\n",
        monitoring("sexton.rules.yml"),
        serving.metrics_address().unwrap()
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("prometheus.yml"))
        .unwrap()
        .write_all(config.as_bytes())
        .unwrap();
    // A free port: Prometheus does not tell which one it chose for port 0.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let child = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Prometheus(child);

    let query = |path: &str| {
        let stream = TcpStream::connect(address).ok()?;
        let (status, body) = get(stream, path, "*/*");
        (status == 200).then(|| serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let until = |path: &str, is_there: &dyn Fn(&serde_json::Value) -> bool| {
        for _ in 0..600 {
            if let Some(found) = query(path).filter(is_there) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no answer to {path} within a minute: {:?}", query(path));
    };
    let value =
        |found: &serde_json::Value| found["data"]["result"][0]["value"][1].as_str().map(str::to_owned);
    for (expression, expected) in [
        ("sexton_late_objects_total%7Bclass=%22log-73h%22%7D", "2"),
        ("sexton_lateness_seconds_bucket%7Bclass=%22log-73h%22,le=%223600.0%22%7D", "3"),
        ("sexton_overdue_objects%7Bclass=%22log-73h%22%7D", "1"),
    ] {
        let found = until(&format!("/api/v1/query?query={expression}"), &|found| value(found).is_some());
        assert_eq!(value(&found).as_deref(), Some(expected), "{expression}");
    }
    let rules = |found: &serde_json::Value| {
        found["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default()
    };
    let is_evaluated = |found: &serde_json::Value| {
        let rules = rules(found);
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    };
    for rule in rules(&until("/api/v1/rules", &is_evaluated)) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}
