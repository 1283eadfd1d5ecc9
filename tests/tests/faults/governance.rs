//! Faults at every write of a history of decisions: a late start, other terms, a release, a hold and its lift, an
//! erasure, anonymising, a feed and a closing down. After reopening every acknowledged decision stands, and the host
//! continues.

use super::enforcement::records;
use sexton::decision::{HoldKind, RequestKind};
use sexton::report::KeyHistory;
use sexton::testing::fault::InjectedOutcome;
use sexton::{
    Attribution, Change, ClassSet, Durability, Engine, Erasure, ErrorKind, HoldName, NewHold, Opener,
    Registration, Result, Selector, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::{Method, Reason};
use sexton_tests::{HOUR, MINUTE, Machine, NEW_YEAR, anonymised};
use std::collections::BTreeMap;
use std::time::Duration;

const CLASSES: &str = r#"
[class.desk]
within = "1h"
slot = "1m"
lead = "30s"
start = "explicit"
max_open = "2h"
[class.file]
within = "2h"
slot = "1m"
lead = "30s"
[class.faces]
within = "1h"
slot = "1m"
lead = "30s"
disposition = "anonymise"
feed = true
remember = "1d"
[class.told]
within = "1h"
slot = "1m"
lead = "30s"
feed = true
remember = "1d"
[class.closing]
within = "30d"
slot = "1m"
lead = "30s"
"#;

/// Key, class, and `true` if the object is registered with its start.
const OBJECTS: [(&str, &str, bool); 8] = [
    ("open", "desk", false),
    ("moved", "desk", true),
    ("released", "file", true),
    ("held", "file", true),
    ("erased", "file", true),
    ("face", "faces", true),
    ("told", "told", true),
    ("closing", "closing", true),
];

/// State of the host: the number of steps done, and the entries read from the feed.
#[derive(Default)]
struct Host {
    done: usize,
    heard: BTreeMap<u64, Vec<u8>>,
}

type Act = fn(&Machine, &Engine, &mut Host) -> Result<()>;

/// Steps of the history. Each one is safe to repeat, as a host without an answer does.
const STEPS: [(&str, Act); 13] = [
    ("register", register),
    ("start", start),
    ("reschedule", |_, engine, _| {
        let of = Which::Key(b"moved");
        apply(engine, Change::Reschedule { of, class: Some("file"), start: None })
    }),
    ("release", |machine, engine, _| {
        machine.store.remove(b"released");
        apply(engine, Change::Release { of: Which::Key(b"released") })
    }),
    ("hold", place_hold),
    ("erase", erase),
    ("close", |_, engine, _| {
        engine.close_down(Selector::Class("closing".into()), Attribution::new("ops", "over")).map(|_| ())
    }),
    ("enforce early", |machine, engine, _| enforce(machine, engine, 5 * MINUTE)),
    ("enforce after an hour", |machine, engine, _| enforce(machine, engine, HOUR)),
    ("enforce after two hours", |machine, engine, _| enforce(machine, engine, 2 * HOUR + MINUTE)),
    ("lift", lift),
    ("enforce at the end", |machine, engine, _| enforce(machine, engine, 2 * HOUR + 2 * MINUTE)),
    ("feed", feed),
];

fn apply(engine: &Engine, change: Change<'_>) -> Result<()> {
    engine.change(&[change], Durability::Synced)?.remove(0).map(|_| ())
}

fn register(machine: &Machine, engine: &Engine, _: &mut Host) -> Result<()> {
    let registrations = OBJECTS.map(|(key, class, said)| {
        machine.store.put(key.as_bytes(), b"1");
        let subject: &[u8] = if key == "erased" { b"anna" } else { b"" };
        let start = said.then_some(NEW_YEAR);
        Registration::new(class, key.as_bytes()).version(b"1").start(start).subject(subject)
    });
    engine.register(&registrations, Durability::Synced).map(|_| ())
}

fn start(_: &Machine, engine: &Engine, _: &mut Host) -> Result<()> {
    apply(engine, Change::Start { of: Which::Key(b"open"), start: NEW_YEAR.saturating_add(MINUTE) })
}

fn place_hold(_: &Machine, engine: &Engine, _: &mut Host) -> Result<()> {
    let hold = NewHold::new(
        HoldName::new("case")?,
        Selector::keys([b"held"]),
        HoldKind::Temporary,
        Attribution::new("counsel", "a court asked"),
        NEW_YEAR.saturating_add(1_000 * HOUR),
    );
    match engine.place_hold(hold) {
        Err(error) if error.kind() == ErrorKind::Invalid && engine.holds().len() == 1 => Ok(()),
        answer => answer.map(|placed| assert_eq!(placed.too_late, [])),
    }
}

fn lift(_: &Machine, engine: &Engine, _: &mut Host) -> Result<()> {
    let attribution = Attribution::new("counsel", "settled");
    match engine.lift_hold(&HoldName::new("case")?, attribution, Duration::ZERO) {
        Err(error) if error.kind() == ErrorKind::NotFound && engine.holds()[0].lifted.is_some() => Ok(()),
        answer => answer.map(|_| ()),
    }
}

fn erase(_: &Machine, engine: &Engine, _: &mut Host) -> Result<()> {
    let attribution = Attribution::new("desk", "asked for");
    let erasure = Erasure::new(Selector::Subject(b"anna".into()), engine.now(), attribution);
    engine.erase(erasure).map(|_| ())
}

fn enforce(machine: &Machine, engine: &Engine, after: Duration) -> Result<()> {
    machine.clock.advance(NEW_YEAR.saturating_add(after).since(engine.now()));
    engine.enforce(&*machine.store).map(|_| ())
}

fn feed(_: &Machine, engine: &Engine, host: &mut Host) -> Result<()> {
    for entry in engine.feed(0, 100)? {
        let heard = host.heard.insert(entry.number, entry.key.clone());
        assert!(heard.is_none_or(|key| key == entry.key), "entry {} changed", entry.number);
    }
    engine.acknowledge_feed(host.heard.len() as u64)
}

/// Opens the engine and continues the history until a step fails.
fn go_on(machine: &Machine, host: &mut Host, seed: u64, what: &str) -> Result<Engine> {
    let engine = machine.open_seeded(seed)?;
    let report = engine.check()?;
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
    check_acknowledged(&engine, host, what)?;
    while host.done < STEPS.len() {
        STEPS[host.done].1(machine, &engine, host)?;
        host.done += 1;
    }
    Ok(engine)
}

/// Asserts that each acknowledged step stands after reopening. The receipts at the end show that ended objects stay
/// ended.
fn check_acknowledged(engine: &Engine, host: &Host, what: &str) -> Result<()> {
    let did = |step: &str| STEPS.iter().take(host.done).any(|(name, _)| *name == step);
    let requests = engine.requests()?;
    let asked = |is: fn(&RequestKind) -> bool| requests.iter().any(|request| is(&request.kind));
    assert!(!did("erase") || asked(|kind| *kind == RequestKind::Erase), "{what}: the erasure is lost");
    assert!(!did("close") || asked(|kind| *kind == RequestKind::Close), "{what}: the closing is lost");
    assert!(!did("hold") || engine.holds().len() == 1, "{what}: the hold is lost");
    assert!(!did("lift") || engine.holds()[0].lifted.is_some(), "{what}: the lift is lost");
    assert!(!did("feed") || engine.feed(0, 100)?.is_empty(), "{what}: the feed repeats acknowledged entries");
    let classes = engine.status()?.classes;
    assert!(!did("close") || classes["closing"].closed, "{what}: the class is open again");
    let registered: u64 = classes.values().map(|class| class.registered).sum();
    assert!(!did("register") || registered == OBJECTS.len() as u64, "{what}: {registered} are registered");
    for (key, ..) in OBJECTS.iter().filter(|_| did("register") && !did("enforce early")) {
        // An object can only have ended if enforcing was tried.
        let lives = engine.find(key.as_bytes())?.is_some();
        assert!(lives || STEPS[host.done].0.starts_with("enforce"), "{what}: {key} is lost");
    }
    Ok(())
}

/// Returns class, method and reason of the end of each object.
fn end_of(key: &str) -> (&'static str, Method, Reason) {
    match key {
        "open" => ("desk", Method::Deleted, Reason::Due),
        "moved" => ("file", Method::Deleted, Reason::Due),
        "released" => ("file", Method::Released, Reason::Host),
        "held" => ("file", Method::Deleted, Reason::Lifted),
        "erased" => ("file", Method::Deleted, Reason::Erasure),
        "face" => ("faces", Method::Anonymised, Reason::Due),
        "told" => ("told", Method::Deleted, Reason::Due),
        _ => ("closing", Method::Deleted, Reason::Closed),
    }
}

fn check_end(machine: &Machine, engine: &Engine, host: &Host, what: &str) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
    let ends = records(machine);
    assert_eq!(ends.len(), OBJECTS.len(), "{what}: {ends:?}");
    assert!(ends.values().all(|count| *count == 1), "{what}: {ends:?}");
    assert_eq!((machine.store.len(), machine.store.has(b"face")), (1, true), "{what}");
    let policy = Policy::parse(engine.policy()).unwrap();
    for (key, ..) in OBJECTS {
        let opened = ends.keys().find_map(|id| engine.receipt(*id, Opener::Key(key.as_bytes())).ok());
        let text = opened.unwrap_or_else(|| panic!("{what}: no receipt for {key}"));
        let verdict =
            receipt::verify(text.as_bytes(), &policy, engine.now()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let (class, method, reason) = end_of(key);
        // A batch handed out again after a crash finds the deleted objects absent.
        let found = match verdict.method {
            Method::AbsentAfterIntent => Method::Deleted,
            method => method,
        };
        assert_eq!(
            (verdict.class_name.as_str(), found, verdict.reason),
            (class, method, reason),
            "{what}: {key}"
        );
        let result = (key == "face").then(|| anonymised(b"1"));
        assert_eq!(verdict.result_digest, result, "{what}: {key}");
        let start = NEW_YEAR.saturating_add(if key == "open" { MINUTE } else { Duration::ZERO });
        assert_eq!(verdict.start, start, "{what}: {key}");
        let times = machine.store.deleted().iter().filter(|k| *k == key.as_bytes()).count();
        assert_eq!(times, usize::from(method == Method::Deleted), "{what}: {key} was deleted {times} times");
        let remembered = matches!(engine.ended(key.as_bytes()).unwrap(), KeyHistory::Ended(_));
        assert_eq!(remembered, key == "face" || key == "told", "{what}: {key}");
    }
    let mut heard: Vec<&[u8]> = host.heard.values().map(|key| &key[..]).collect();
    heard.sort_unstable();
    assert_eq!((heard, host.heard.keys().max()), (vec![&b"face"[..], b"told"], Some(&2)), "{what}");
    assert_eq!(engine.feed(0, 100).unwrap(), [], "{what}");
}

fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.shards = Some(2);
    machine
}

/// Returns the number of writes of the history without a fault.
fn writes() -> u64 {
    let (machine, mut host) = (machine(), Host::default());
    machine.faults.arm(u64::MAX, InjectedOutcome::Done);
    let engine = go_on(&machine, &mut host, 1, "without a fault").unwrap();
    check_end(&machine, &engine, &host, "without a fault");
    machine.faults.writes()
}

/// Every object still ends exactly once.
#[test]
fn any_failed_write_keeps_acknowledged_decisions_and_feed() {
    let writes = writes();
    assert!(writes > 60, "the history has only {writes} writes");
    for nth in 0..writes {
        for outcome in [InjectedOutcome::Lost, InjectedOutcome::DoneButError] {
            for power_lost in [false, true] {
                let what = format!("write {nth} {outcome:?}, power lost: {power_lost}");
                let (machine, mut host) = (machine(), Host::default());
                machine.faults.arm(nth, outcome);
                // The first run ends at the fault.
                let _ = go_on(&machine, &mut host, 1, &what);
                machine.faults.disarm();
                if power_lost {
                    machine.kv.lose_power();
                }
                let step = STEPS.get(host.done).map_or("the end", |(name, _)| name);
                let what = format!("{what}, at {step}");
                let engine = go_on(&machine, &mut host, 2, &what).unwrap_or_else(|e| panic!("{what}: {e}"));
                check_end(&machine, &engine, &host, &what);
            }
        }
    }
}
