//! Every operation over a real socket: its answer has the form of its type, and a dry run changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "shared test code may fail a test, and an operation is written where it is called"
)]

#[path = "operations/fuzzed.rs"]
mod fuzzed;
mod serving;

use serving::Host;
use sexton::limits::BreakerLimits;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{Options, RegistrationId, Timestamp};
use sexton_service::api::{
    Access, AcknowledgeFeed, ApplyClass, BackUp, Bytes, CancelErasure, CheckClasses, CheckData, CloseClass,
    CountLive, Covers, Decision, FOUND_OBJECTS_MAX, FindObject, ForgetRequest, GetFolder, GetLimits, GetPlan,
    GetPolicy, GetReceipt, GetStatus, GetTime, LiftHold, Limit, ListAlarms, ListClasses, ListHolds,
    ListRequestObjects, ListRequests, LookUpEnded, NewObject, Operation, Pause, PlaceHold, Publish, ReadFeed,
    Reclaim, Register, ReleaseObject, ReplaceContent, RequestErasure, RescheduleObject, ResumeAlarm,
    SetClasses, SetLimits, StartObject, Visitor, Which, visit,
};
use sexton_service::http::client::{Client, ClientError};
use sexton_service::http::document;
use sexton_service::sources::Directory;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const CLASSES: &str = r#"
[class.kept]
within = "1h"
slot = "1m"
lead = "1m"
feed = true
remember = "90d"

[class.slow]
within = "100d"

[class.open]
within = "1h"
slot = "1m"
lead = "1m"
start = "explicit"
max_open = "24h"

[class.tickets]
within = "1h"
slot = "1m"
lead = "1m"
openings = "ticket"
"#;
const HOUR: Duration = Duration::from_secs(3_600);

/// Store whose objects are all there and can be deleted.
struct Willing;

impl Store for Willing {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

/// Server on a virtual clock, its client, and the operations that were called.
struct Bench {
    serving: Host,
    client: Client,
    clock: Arc<VirtualClock>,
    called: BTreeSet<&'static str>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(&[])
    }

    fn with(directories: &[Directory]) -> Bench {
        let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
        let options =
            Options::new("example.com/operations").breaker(BreakerLimits { objects: 0, share_percent: 0 });
        let serving = Host::with(directories, &options, clock.clone());
        let mut bench = Bench { client: serving.control(), serving, clock, called: BTreeSet::new() };
        bench.ok(SetClasses { toml: CLASSES.into(), decision: Some(why()), dry_run: false });
        bench
    }

    fn call<O: Operation>(&mut self, operation: &O) -> Result<O::Answer, ClientError> {
        let value = self.client.call(operation)?;
        let answer: O::Answer = serde_json::from_value(value.clone())
            .unwrap_or_else(|e| panic!("the answer of {}: {e}: {value:#}", O::NAME));
        // A field that the type does not have would be lost here.
        assert_eq!(serde_json::to_value(&answer).unwrap(), value, "the answer of {}", O::NAME);
        self.called.insert(O::NAME);
        Ok(answer)
    }

    fn ok<O: Operation>(&mut self, operation: O) -> O::Answer {
        self.call(&operation).unwrap_or_else(|e| panic!("{}: {e}", O::NAME))
    }

    /// Runs a dry run, which changes nothing, and then the operation itself.
    fn both<O: Operation>(&mut self, operation: impl Fn(bool) -> O) -> O::Answer {
        let before = self.everything();
        self.ok(operation(true));
        assert_eq!(self.everything(), before, "a dry run of {} changed something", O::NAME);
        self.ok(operation(false))
    }

    /// Returns all decisions and registrations.
    fn everything(&self) -> Vec<String> {
        let engine = &self.serving.engine;
        let plan: Vec<_> = engine.plan(Timestamp::MAX).unwrap().map(Result::unwrap).collect();
        let status = engine.status().unwrap();
        vec![
            format!("{:?} {} {:?}", status.alarms, status.log_size, status.classes),
            format!("{:?} {:?}", engine.classes(), engine.holds()),
            format!("{:?}", engine.requests().unwrap()),
            format!("{plan:?}"),
            format!("{:?} {:?}", engine.feed(0, 1_000).unwrap(), engine.stored_limits().unwrap()),
        ]
    }

    fn register(&mut self, class: &str, keys: &[&str]) {
        let object = |key: &&str| NewObject { subject: Some("anna".into()), ..object(class, key) };
        let objects = keys.iter().map(object).collect();
        self.ok(Register { objects, only_missing: false, dry_run: false });
    }

    fn enforce_after(&self, span: Duration) {
        self.clock.advance(span);
        self.serving.engine.enforce(&Willing).unwrap();
    }
}

fn object(class: &str, key: &str) -> NewObject {
    NewObject { key: Some(key.into()), class: class.into(), ..NewObject::default() }
}

fn why() -> Decision {
    Decision { author: "Ada Lovelace".into(), reason: "case 7".into() }
}

fn anna() -> Covers {
    Covers { subject: Some("anna".into()), ..Covers::default() }
}

fn key(key: &str) -> Which {
    Which::key(key.as_bytes())
}

fn refused<T>(answer: Result<T, ClientError>) -> (u16, String, String) {
    match answer {
        Err(ClientError::Refused(problem)) => (problem.status, problem.kind, problem.detail),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// Calls every operation of the engine once at least. The answers of those that have none of their own test are checked here.
#[test]
fn every_answer_has_the_form_of_its_type() {
    let mut bench = Bench::new();
    objects(&mut bench);
    decisions(&mut bench);
    ends(&mut bench);
    guards(&mut bench);
    let mut all = Names(BTreeSet::new());
    visit(&mut all);
    // Those of sources have a test with real files, in `sockets.rs`.
    all.0.retain(|name| !name.starts_with("source_"));
    assert_eq!(bench.called, all.0);
}

struct Names(BTreeSet<&'static str>);

impl Visitor for Names {
    fn operation<O: Operation>(&mut self) {
        assert!(self.0.insert(O::NAME), "{} is listed twice", O::NAME);
    }
}

fn objects(bench: &mut Bench) {
    let mut full =
        NewObject { size: Some(9), version_base64: Some(Bytes(vec![1, 2])), ..object("kept", "k/1") };
    full.digest_hex = Some("00ff".into());
    let objects = vec![full, object("tickets", "t/1"), NewObject { start_ms: None, ..object("open", "o/1") }];
    let registered =
        bench.both(|dry_run| Register { objects: objects.clone(), only_missing: false, dry_run });
    assert_eq!(
        registered.objects.iter().map(|o| o.ticket_hex.is_some()).collect::<Vec<_>>(),
        [false, true, false]
    );
    let other = NewObject { version: Some("v9".into()), ..object("kept", "k/1") };
    let again = bench.ok(Register { objects: vec![other], only_missing: true, dry_run: false });
    assert_eq!(again.objects[0].previous, "kept");
    let find = |key: &str| FindObject { key: Some(key.into()), ..FindObject::default() };
    let live = bench.ok(find("k/1")).live.remove(0);
    assert_eq!((&*live.class, &*live.version_hex), ("kept", "0102"));
    assert!(bench.ok(find("none")).live.is_empty());
    assert!(bench.ok(GetFolder {}).folder.ends_with("/data"));
    let start_ms = bench.ok(GetTime {}).now_ms - 60_000;
    let started = bench.both(|dry_run| StartObject { object: key("o/1"), start_ms, dry_run });
    assert_eq!(started.ceiling_ms, Some(start_ms + 3_600_000));
    bench.both(|dry_run| ReplaceContent {
        object: key("k/1"),
        version: Some("v2".into()),
        version_base64: None,
        size: Some(10),
        start_ms: None,
        dry_run,
    });
    bench.register("slow", &["s/1", "s/2"]);
    bench.both(|dry_run| RescheduleObject {
        object: key("s/1"),
        class: None,
        start_ms: Some(start_ms),
        dry_run,
    });
    bench.both(|dry_run| ReleaseObject { object: key("s/2"), dry_run });
    assert_eq!(bench.ok(CountLive { on: Some(anna()) }).live_objects, 1);
    assert!(bench.ok(CountLive { on: None }).live_objects >= 4);
    let until_ms = start_ms + 400 * 86_400_000;
    assert!(bench.ok(GetPlan { until_ms, limit: Limit(2), after: None }).next.is_some());
    // The object that was started is at short notice, so it would stop its class later.
    bench.ok(ReleaseObject { object: key("o/1"), dry_run: false });
}

fn decisions(bench: &mut Bench) {
    let review_ms = bench.ok(GetTime {}).now_ms + 1_000_000;
    let placed = bench.both(|dry_run| PlaceHold {
        name: "case 7".into(),
        on: anna(),
        event: false,
        decision: why(),
        review_ms,
        dry_run,
    });
    let uid = bench.serving.folder.path().metadata().unwrap().uid();
    assert_eq!(placed.hold.uid, Some(uid));
    bench.both(|dry_run| LiftHold { name: "case 7".into(), decision: why(), grace_ms: 0, dry_run });
    assert_eq!(bench.ok(ListHolds { all: true }).holds[0].lifted.as_ref().unwrap().uid, Some(uid));
    let erasure = |dry_run| RequestErasure {
        on: anna(),
        received_ms: None,
        within: Some("15wd".into()),
        holidays: Some("2026-01-02".into()),
        cancellable_ms: 86_400_000,
        immediate: false,
        decision: why(),
        dry_run,
    };
    let requested = bench.both(erasure);
    let number = requested.request.number.unwrap();
    bench.both(|dry_run| CancelErasure { number, dry_run });
    let list = ListRequestObjects { number, after: None, limit: Limit(1) };
    assert!(bench.ok(list).objects.is_empty());
    assert!(!bench.ok(ListRequests::default()).requests.is_empty());
    bench.both(|dry_run| ForgetRequest { number, dry_run });
    let toml = "[class.slow]\nwithin = '90d'\n".to_owned();
    assert_eq!(bench.ok(CheckClasses { toml: toml.clone() }).classes.len(), 1);
    let set = bench.both(|dry_run| SetClasses { toml: toml.clone(), decision: Some(why()), dry_run });
    assert_eq!((&*set.classes[0].change, set.classes[0].version), ("new version", 2));
    let listed = bench.ok(ListClasses {}).classes;
    let slow = listed.iter().find(|listed| listed.class.name == "slow").unwrap();
    assert_eq!(slow.set.as_ref().unwrap().uid, Some(uid));
    bench.both(|dry_run| ApplyClass { name: "slow".into(), decision: why(), dry_run });
    bench.both(|dry_run| CloseClass {
        name: Some("slow".into()),
        everything: false,
        decision: why(),
        dry_run,
    });
}

fn ends(bench: &mut Bench) {
    bench.enforce_after(2 * HOUR);
    let keys = LookUpEnded { keys: vec!["k/1".into(), "none".into()], keys_base64: Vec::new() };
    let histories = bench.ok(keys).keys;
    assert_eq!(histories.iter().map(|key| &*key.state).collect::<Vec<_>>(), ["ended", "unknown"]);
    let by_key = GetReceipt { key: Some("k/1".into()), ..GetReceipt::default() };
    let receipt = bench.ok(by_key);
    assert!(receipt.receipt.starts_with("c2sp.org/tlog-proof@v1"));
    assert_eq!(receipt.policy, bench.ok(GetPolicy {}).policy);
    let feed = bench.ok(ReadFeed::default());
    assert_eq!((feed.entries.len(), &*feed.entries[0].key), (1, "k/1"));
    bench.both(|dry_run| AcknowledgeFeed { through: feed.next_after, dry_run });
    assert!(bench.ok(ReadFeed::default()).entries.is_empty());
}

fn guards(bench: &mut Bench) {
    bench.ok(GetLimits {});
    let set = bench.both(|dry_run| SetLimits {
        clock_step_max_ms: None,
        clock_time_off_max_ms: None,
        breaker_objects: Some(7),
        breaker_share_percent: None,
        reset: false,
        decision: why(),
        dry_run,
    });
    assert_eq!(set.limits.breaker_objects, 7);
    let start_ms = bench.ok(GetTime {}).now_ms - 3_540_000;
    let late = NewObject { start_ms: Some(start_ms), ..object("open", "o/2") };
    bench.ok(Register { objects: vec![late], only_missing: false, dry_run: false });
    bench.enforce_after(HOUR);
    assert_eq!(bench.ok(ListAlarms {}).alarms.len(), 1);
    assert_eq!(bench.ok(GetStatus {}).alarms.len(), 1);
    let ended = bench.both(|dry_run| ResumeAlarm { alarm: None, all: false, decision: why(), dry_run });
    assert_eq!(ended.resumed.len(), 1);
    let paused = bench.both(|dry_run| Pause { for_ms: 60_000, decision: why(), dry_run });
    assert!(paused.alarm.message.contains("deletion is paused until"), "{paused:?}");
    assert!(bench.ok(CheckData {}).sound);
    bench.ok(Publish {});
    bench.ok(Reclaim {});
    let folder = bench.serving.folder.path().join("copy").to_str().unwrap().to_owned();
    let copied = bench.ok(BackUp { folder: folder.clone() });
    assert!(copied.linked_files + copied.copied_files > 0 && copied.folder == folder, "{copied:?}");
    for (folder, why) in [(folder, "exists already"), ("copy".into(), "is a relative path")] {
        let (status, kind, detail) = refused(bench.call(&BackUp { folder }));
        assert!((status, &*kind) == (400, "invalid") && detail.contains(why), "{detail}");
    }
}

#[test]
fn ticket_of_a_registration_makes_its_receipt() {
    let mut bench = Bench::new();
    let objects = vec![object("tickets", "t/1")];
    let registered = bench.ok(Register { objects, only_missing: false, dry_run: false }).objects.remove(0);
    bench.enforce_after(2 * HOUR);
    let wanted =
        GetReceipt { id: registered.id.clone(), ticket_hex: registered.ticket_hex, ..Default::default() };
    assert_eq!(Some(bench.ok(wanted).id), registered.id);
}

#[test]
fn registering_too_many_objects_or_none_is_refused() {
    let mut bench = Bench::new();
    for count in [0, 1_001] {
        let objects = (0..count).map(|n| object("kept", &n.to_string())).collect();
        let answer = bench.call(&Register { objects, only_missing: false, dry_run: false });
        let (status, kind, detail) = refused(answer);
        assert_eq!((status, &*kind), (400, "invalid"), "{detail}");
        assert!(detail.contains("1 to 1000 are allowed"), "{detail}");
    }
    let objects = (0..1_000).map(|n| object("kept", &n.to_string())).collect();
    let answer = bench.ok(Register { objects, only_missing: false, dry_run: false });
    assert_eq!(answer.objects.len(), 1_000);
    let both = NewObject { key_base64: Some(Bytes(vec![1])), ..object("kept", "a") };
    let answer = bench.call(&Register { objects: vec![both], only_missing: false, dry_run: false });
    assert!(refused(answer).2.starts_with("object 0: both key and key_base64"));
}

#[test]
fn limit_beyond_its_bound_is_refused() {
    let mut bench = Bench::new();
    let bounds = |answer| {
        let (status, _, detail) = refused(answer);
        assert_eq!(status, 400);
        assert!(detail.contains("are allowed"), "{detail}");
    };
    bounds(bench.call(&GetPlan { until_ms: 0, limit: Limit(10_001), after: None }).map(drop));
    for limit in [0, 1_001] {
        bounds(bench.call(&ListRequests { limit: Limit(limit), ..Default::default() }).map(drop));
        bounds(bench.call(&ListRequestObjects { number: 1, after: None, limit: Limit(limit) }).map(drop));
        bounds(bench.call(&ReadFeed { limit: Limit(limit), ..Default::default() }).map(drop));
    }
    bounds(bench.call(&ReadFeed { wait_ms: 30_001, ..Default::default() }).map(drop));
}

#[test]
fn pages_of_each_list_have_all_entries_once() {
    let mut bench = Bench::new();
    let keys: Vec<String> = (0..25).map(|n| format!("k/{n:02}")).collect();
    bench.register("kept", &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let until_ms = bench.ok(GetTime {}).now_ms + 86_400_000;
    let (mut planned, mut after) = (Vec::new(), None);
    loop {
        let page = bench.ok(GetPlan { until_ms, limit: Limit(10), after });
        assert_eq!(page.found, 25);
        planned.extend(page.objects.into_iter().map(|object| object.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(planned, keys);

    for _ in 0..3 {
        let erasure = RequestErasure {
            on: anna(),
            received_ms: None,
            within: None,
            holidays: None,
            cancellable_ms: 0,
            immediate: true,
            decision: why(),
            dry_run: false,
        };
        bench.ok(erasure);
    }
    let (mut numbers, mut next) = (Vec::new(), Some(0));
    while let Some(after) = next {
        let page = bench.ok(ListRequests { after, limit: Limit(2), erasures: true });
        numbers.extend(page.requests.into_iter().filter_map(|request| request.number));
        next = page.next;
    }
    assert_eq!(numbers, [1, 2, 3]);

    // The breaker raises an alarm, since erased objects are at short notice.
    bench.enforce_after(Duration::from_secs(1));
    bench.ok(ResumeAlarm { alarm: None, all: true, decision: why(), dry_run: false });
    bench.enforce_after(2 * HOUR);
    let (mut listed, mut after) = (BTreeSet::new(), None);
    loop {
        let page = bench.ok(ListRequestObjects { number: 1, after, limit: Limit(10) });
        assert!(page.objects.iter().all(|object| object.progress == "ended"), "{page:?}");
        listed.extend(page.objects.into_iter().map(|object| object.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(listed.into_iter().eq(keys.iter().cloned()));

    let (mut fed, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = bench.ok(ReadFeed { after, limit: Limit(10), wait_ms: 0 });
        if page.entries.is_empty() {
            break;
        }
        after = page.next_after;
        fed.extend(page.entries.into_iter().map(|entry| entry.key));
    }
    assert!(fed.into_iter().eq(keys));
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name("reader".into()).spawn(run).unwrap()
}

/// More readers wait than operations may run at a time, and other requests still get their answers.
#[test]
fn waiting_readers_of_the_feed_get_the_next_deletion() {
    let mut bench = Bench::new();
    bench.register("kept", &["k/1"]);
    let readers: Vec<_> = (0..80)
        .map(|_| {
            let client = bench.serving.control();
            spawn(move || {
                loop {
                    // A burst of requests may be refused, as any other.
                    match client.call(&ReadFeed { wait_ms: 30_000, ..Default::default() }) {
                        Err(ClientError::Refused(problem)) if problem.status == 429 => {
                            std::thread::sleep(Duration::from_millis(10));
                        }
                        answer => return answer.unwrap()["entries"].as_array().unwrap().len(),
                    }
                }
            })
        })
        .collect();
    bench.ok(GetTime {});
    bench.enforce_after(2 * HOUR);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 1);
    }
}

#[test]
fn waiting_reader_gets_an_empty_answer_when_the_server_stops() {
    let mut bench = Bench::new();
    let client = bench.serving.control();
    let (sent, is_sent) = std::sync::mpsc::channel();
    let reader = spawn(move || {
        sent.send(()).unwrap();
        client.call(&ReadFeed { wait_ms: 30_000, ..Default::default() })
    });
    is_sent.recv().unwrap();
    // The request may still be on its way. Then the server does not know of it, and the client gets no answer.
    std::thread::sleep(Duration::from_millis(500));
    bench.serving.stop();
    if let Ok(answer) = reader.join().unwrap() {
        assert_eq!(answer["entries"], serde_json::json!([]));
    }
}

#[test]
fn user_of_a_decision_is_known_after_a_restart() {
    let mut bench = Bench::new();
    bench.register("slow", &["s/1"]);
    let review_ms = bench.ok(GetTime {}).now_ms + 1_000_000;
    let hold = |name: &str| PlaceHold {
        name: name.into(),
        on: anna(),
        event: false,
        decision: why(),
        review_ms,
        dry_run: false,
    };
    bench.ok(hold("case 7"));
    let uid = bench.serving.folder.path().metadata().unwrap().uid();
    let Bench { mut serving, clock, .. } = bench;
    serving.stop();
    let data = serving.folder.path().join("data");
    // The server has ended, so this is the last reference.
    drop(Arc::into_inner(std::mem::replace(&mut serving.engine, other_engine())).unwrap());
    let engine = sexton::Engine::open_with_clock(&data, &Options::default(), clock).unwrap();
    assert_eq!(engine.holds()[0].terms.attribution.uid, Some(uid));
    let decided = engine.class_decision("slow").unwrap().unwrap();
    assert_eq!((decided.attribution.uid, &*decided.attribution.reason), (Some(uid), "case 7"));
    assert!(engine.class_decision("upload-3h").unwrap().is_none());
}

fn other_engine() -> Arc<sexton::Engine> {
    let options = Options::new("example.com/other");
    let now = Timestamp::from_unix_ms(1_767_225_600_000);
    Arc::new(sexton_service::dry_run::in_memory(&options, now).unwrap())
}

#[test]
fn versions_of_a_key_are_listed_in_pages_and_named() {
    let mut bench = Bench::new();
    let toml = "[class.bucket]\nwithin = \"1d\"\nfind = \"version\"\n".to_owned();
    bench.ok(SetClasses { toml, decision: Some(why()), dry_run: false });
    let version = |number: u32| NewObject { version: Some(number.to_string()), ..object("bucket", "a") };
    let objects = (0..5).map(version).collect();
    let answer = bench.ok(Register { objects, only_missing: false, dry_run: false });
    let registered: Vec<String> = answer.objects.into_iter().map(|object| object.id.unwrap()).collect();

    let find = || FindObject { key: Some("a".into()), limit: Limit(2), ..FindObject::default() };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = bench.ok(FindObject { after, ..find() });
        assert!(!page.live.is_empty() && page.live.len() <= 2);
        found.extend(page.live.into_iter().map(|live| (live.id, live.version_hex)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> =
        registered.iter().enumerate().map(|(n, id)| (id.clone(), hex::encode(n.to_string()))).collect();
    expected.sort_unstable_by_key(|(id, _)| id.parse::<RegistrationId>().unwrap());
    assert_eq!(found, expected);
    let one = bench.ok(FindObject { version: Some("3".into()), ..find() });
    assert_eq!((&one.live[0].id, one.live.len(), one.next), (&registered[3], 1, None));
    assert!(bench.ok(FindObject { version: Some("9".into()), ..find() }).live.is_empty());
    for limit in [0, FOUND_OBJECTS_MAX + 1] {
        assert_eq!(refused(bench.call(&FindObject { limit: Limit(limit), ..find() })).0, 400);
    }
}

#[test]
fn one_version_of_a_key_is_named_in_a_change() {
    let mut bench = Bench::new();
    let toml = "[class.bucket]\nwithin = \"1d\"\nfind = \"version\"\n".to_owned();
    bench.ok(SetClasses { toml, decision: Some(why()), dry_run: false });
    let version = |version: &str| NewObject { version: Some(version.into()), ..object("bucket", "a") };
    let objects = vec![version("1"), version("2"), version("3")];
    let registered = bench.ok(Register { objects, only_missing: false, dry_run: false }).objects;

    let release = |object| ReleaseObject { object, dry_run: false };
    let (_, kind, detail) = refused(bench.call(&release(key("a"))));
    assert!(kind == "invalid" && detail.contains("3 versions"), "{detail}");
    let released = bench.both(|dry_run| ReleaseObject { dry_run, ..release(Which::version(b"a", b"3")) });
    let of = |version: &str| FindObject {
        key: Some("a".into()),
        version: Some(version.into()),
        ..FindObject::default()
    };
    assert_eq!(bench.ok(of("3")).live[0].id, released.id);
    for (version, answer) in ["1", "2"].iter().zip(&registered) {
        assert_eq!(bench.ok(of(version)).live[0].id, *answer.id.as_ref().unwrap());
    }
    assert_eq!(refused(bench.call(&release(Which::version(b"a", b"9")))).1, "not-found");
    let alone = Which { version: Some("3".into()), ..Which::default() };
    assert!(refused(bench.call(&release(alone))).2.contains("without its key"));
    let twice = Which { version: Some("3".into()), ..Which::version(b"a", b"4") };
    assert!(refused(bench.call(&release(twice))).2.contains("version_base64"));
}

#[test]
fn host_socket_has_the_operations_of_hosts_only() {
    let host = Host::start();
    let client = host.register();
    let objects = vec![object("log-73h", "a")];
    client.call(&Register { objects, only_missing: false, dry_run: false }).unwrap();
    let paths = document(Access::Host).paths.paths;
    let names: Vec<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "/v1/objects/content",
            "/v1/objects/ended",
            "/v1/objects/find",
            "/v1/objects/register",
            "/v1/objects/start",
            "/v1/policy",
            "/v1/receipts/get",
            "/v1/time",
        ]
    );
    let release = ReleaseObject { object: key("a"), dry_run: false };
    assert_eq!(refused(client.call(&release)).0, 404);
    assert!(host.engine.find(b"a").unwrap().is_some());
}

#[test]
fn document_lists_every_operation_and_resolves_every_reference() {
    for access in [Access::Host, Access::Control] {
        let text = document(access).to_json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut references = Vec::new();
        collect(&value, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(value.pointer(pointer).is_some(), "{reference} is not in the document");
        }
        let ids: BTreeSet<&str> = value["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .filter_map(|operation| operation["operationId"].as_str())
            .collect();
        let mut all = Names(BTreeSet::new());
        visit(&mut all);
        if access == Access::Control {
            assert_eq!(ids, all.0);
        } else {
            assert!(ids.is_subset(&all.0) && ids.len() < all.0.len());
        }
    }
}

fn collect<'a>(value: &'a serde_json::Value, references: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(serde_json::Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
