//! Program log of a whole service at its finest level: it names registrations by id only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and its files need not outlive a crash of the machine"
)]

use serde_json::{Value, json};
use sexton::store::{Answer, Store, StoredObject, SubBatch};
use sexton::{ClassSet, Engine, Options};
use sexton_service::http::Server;
use sexton_service::sources::{Directory, SourceSettings, Sources, SourcesOptions};
use sexton_service::{ServeOptions, Serving};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Part of every key, path, subject, reason and name of a hold.
const SECRET: &str = "annazq";

const CLASSES: &str = r#"
[class.quick]
within = "2s"
start = "explicit"
slot = "1s"
lead = "1s"
max_open = "24h"
remember = "1d"
"#;

/// Store of the sources that answers for some objects as a broken disk does, with their keys in the reasons.
struct Broken<'a>(&'a Sources);

impl Store for Broken<'_> {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let answer = |object: &StoredObject<'_>| {
            let key = String::from_utf8_lossy(object.key);
            let why = || format!("no luck with {key:?}").into();
            match &*key {
                key if key.contains("refused") => Answer::Refused(why()),
                key if key.contains("failed") => Answer::Failed(why()),
                key if key.contains("changed") => Answer::Changed,
                key if key.contains("panics") => panic!("no store has {key}"),
                _ => self.0.delete(&SubBatch { objects: &[*object], ..*sub_batch }).remove(0),
            }
        };
        sub_batch.objects.iter().map(answer).collect()
    }
}

struct Host {
    folder: tempfile::TempDir,
    engine: Arc<Engine>,
    sources: Arc<Sources>,
    serving: Option<Serving>,
}

impl Host {
    fn start() -> Host {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let options = Options::new("example.com/logs").classes(ClassSet::from_toml(CLASSES).unwrap());
        let data = folder.path().join("data");
        let engine = Arc::new(Engine::open(&data, &options).unwrap());
        let sources = Host::sources(&folder, &engine);
        let options = ServeOptions::default()
            .control(folder.path().join("control.sock"), 0o600)
            .register(folder.path().join("register.sock"), 0o600);
        let server = Server::new(Arc::clone(&engine)).sources(Arc::clone(&sources));
        let serving = Some(Serving::start(server, &data, &options).unwrap());
        Host { folder, engine, sources, serving }
    }

    fn sources(folder: &tempfile::TempDir, engine: &Arc<Engine>) -> Arc<Sources> {
        let up = Directory::new("up", folder.path().join("files"), "quick");
        let options = SourcesOptions::default();
        Arc::new(
            Sources::start(
                engine,
                &folder.path().join("data"),
                &SourceSettings::default().directories(vec![up]),
                options,
            )
            .unwrap(),
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(format!("{SECRET}-{name}"))
    }

    /// Sends a request with any text as its body, and returns status and answer.
    fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.folder.path().join("control.sock")).unwrap();
        let length = body.len();
        write!(stream, "{head} HTTP/1.0\r\nHost: sexton\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        self.send(&format!("POST /v1/{path}"), &body.to_string())
    }

    #[track_caller]
    fn done(&self, path: &str, body: &Value) {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
    }

    #[track_caller]
    fn refused(&self, (status, answer): (u16, String)) {
        assert!((400..500).contains(&status), "{status}: {answer}");
    }
}

/// Waits until a condition holds. The bound is generous, because machines can be slow.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("this did not happen in a minute");
}

fn decision() -> Value {
    json!({ "author": format!("{SECRET} the operator"), "reason": format!("letter of {SECRET}") })
}

/// Places decisions on objects, and sends requests that are refused.
fn govern(host: &Host) {
    let now = host.engine.now().unix_ms();
    let key = |name: &str| format!("{SECRET}/{name}");
    let subject = format!("{SECRET}@example.com");
    let object = |name: &str, subject: &str| json!({ "key": key(name), "class": "quick", "start_ms": now, "subject": subject });
    let names = ["nowhere", "held", "released", "erased", "refused", "failed", "changed"];
    let objects: Vec<Value> = names.iter().map(|name| object(name, &subject)).collect();
    host.done("objects/register", &json!({ "objects": objects }));
    let hold = json!({
        "name": format!("case {SECRET}"), "on": { "keys": [key("held")] }, "decision": decision(),
        "review_ms": now + 60_000,
    });
    host.done("holds/place", &hold);
    host.refused(host.post("holds/place", &hold));
    host.refused(host.post("objects/release", &json!({ "object": { "key": key("held") } })));
    host.done("objects/release", &json!({ "object": { "key": key("released") } }));
    host.refused(host.post("objects/release", &json!({ "object": { "key": key("unknown") } })));
    host.refused(host.post("objects/register", &json!({ "objects": [object("long", &SECRET.repeat(50))] })));
    let erasure = json!({ "immediate": true, "on": { "subject": subject }, "decision": decision() });
    host.done("erasures/request", &erasure);
    host.done("pause", &json!({ "for_ms": 60_000, "decision": decision() }));
    host.refused(host.post("pause", &json!({ "for_ms": 60_000, "decision": decision() })));
    let alarms: Value = serde_json::from_str(&host.send("GET /v1/alarms", "").1).unwrap();
    let alarm = &alarms["alarms"][0]["id"];
    host.done("alarms/resume", &json!({ "alarm": alarm, "decision": decision() }));
    host.refused(host.send("POST /v1/objects/register", &format!("{{\"objects\": [\"{SECRET}\"")));
    host.refused(host.send(&format!("GET /v1/objects/find?kez={SECRET}"), ""));
    host.refused(host.send(&format!("GET /v1/{SECRET}?key={SECRET}"), ""));
    assert_eq!(host.send(&format!("GET /v1/objects/find?key={SECRET}"), "").0, 200);
}

/// Has files found, renamed, written again, and deleted although another name has their content.
fn find_files(host: &Host) {
    host.done("sources/enable", &json!({ "name": "up", "decision": decision() }));
    let live = |name: &str| host.engine.live(format!("up/{SECRET}-{name}").as_bytes()).unwrap();
    for name in ["linked", "refused", "before", "again"] {
        fs::write(host.file(name), name).unwrap();
    }
    until(|| ["linked", "refused", "before", "again"].iter().all(|name| live(name).is_some()));
    fs::hard_link(host.file("linked"), host.folder.path().join(SECRET)).unwrap();
    fs::rename(host.file("before"), host.file("after")).unwrap();
    let before = live("again").unwrap().version;
    fs::write(host.file("again"), "longer").unwrap();
    until(|| live("after").is_some() && live("again").is_some_and(|live| live.version != before));
}

/// Lets a full scan find a bay in the quarantine that nothing can put back.
fn leave_over(host: &mut Host) {
    let bay = host.folder.path().join("files/.sexton-quarantine/7-100");
    fs::create_dir(&bay).unwrap();
    fs::write(bay.join("manifest"), "sexton quar").unwrap();
    fs::write(bay.join("0"), SECRET).unwrap();
    host.serving.take().unwrap().stop(Duration::from_secs(60));
    host.sources = Host::sources(&host.folder, &host.engine);
}

#[test]
fn program_log_has_no_key_path_subject_or_reason() {
    let lines = tempfile::NamedTempFile::new().unwrap();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(Mutex::new(lines.reopen().unwrap()))
        .init();
    let mut host = Host::start();
    find_files(&host);
    govern(&host);
    until(|| {
        host.engine.enforce(&Broken(&host.sources)).unwrap();
        let failures = host.engine.status().unwrap().failures;
        let of = |word: &str| failures.iter().any(|failure| failure.cause.name() == word);
        !host.file("linked").exists() && ["failed", "refused", "changed"].into_iter().all(of)
    });
    let (_, status) = host.send("GET /v1/status", "");
    assert!(status.contains(&format!("no luck with \\\"{SECRET}/failed\\\"")), "{status}");
    leave_over(&mut host);
    fs::write(host.file("panics"), "").unwrap();
    until(|| host.engine.live(format!("up/{SECRET}-panics").as_bytes()).unwrap().is_some());
    let hook = panic::take_hook();
    sexton::log_panics();
    let until_panic = || until(|| host.engine.enforce(&Broken(&host.sources)).is_err());
    std::thread::scope(|scope| assert!(scope.spawn(until_panic).join().is_err()));
    panic::set_hook(hook);
    assert!(host.engine.next_batch().unwrap().is_some());
    let Host { serving, sources, engine, .. } = host;
    drop((serving, sources, engine));

    let log = fs::read_to_string(lines.path()).unwrap();
    for line in [
        "an object was not deleted",
        "result=\"refused\"",
        "a source works",
        "other_names=1",
        "a file stays in the quarantine",
        "an operator paused deletion",
        "a thread panicked",
        "a batch was dropped",
    ] {
        assert!(log.contains(line), "the run did not log {line:?}:\n{log}");
    }
    let numbers: Vec<String> = SECRET.bytes().map(|byte| byte.to_string()).collect();
    // The middle of it as base64, wherever it begins in a text.
    let base64 = ["YW5uYXpx", "FubmF6c", "hbm5henE"];
    for secret in [SECRET, "616e6e617a71", "616E6E617A71", &numbers.join(", ")].into_iter().chain(base64) {
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "{secret:?} is in the program log:\n{}", leaks.join("\n"));
    }
}
