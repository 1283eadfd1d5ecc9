//! Hosts, counsel, a privacy desk and workers on one engine at the same time. Hosts register, start, reschedule and
//! release, counsel places and lifts holds, the desk requests erasures, and one thread checks and plans. The assertions
//! hold for every order of their steps.

use sexton::decision::{HoldKind, RequestState};
use sexton::{
    Attribution, Change, ClassSet, Durability, Engine, Erasure, ErrorKind, HoldName, NewHold, Opener,
    Registration, RegistrationId, Selector, Which, Worker, WorkerOptions,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::time::Timestamp;
use sexton_tests::{FailureMode, HOUR, Machine, NEW_YEAR};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const HOSTS: u32 = 2;
const KEYS: u32 = 12;
const ROUNDS: u32 = 100;
const SUBJECTS: u32 = 5;
const CLASSES: &str = r#"
[class.quick]
within = "4s"
slot = "1s"
lead = "1s"
[class.slow]
keep = "3s"
within = "9s"
slot = "1s"
lead = "1s"
[class.open]
within = "4s"
slot = "1s"
lead = "1s"
start = "explicit"
max_open = "5s"
"#;

/// Registration with key and version of its object.
type Known = (RegistrationId, Vec<u8>, Vec<u8>);

/// Registers the keys of one host, and stores and registers each of them again in every third round.
fn host(machine: &Machine, engine: &Engine, number: u32) -> Vec<Known> {
    let mut known = Vec::new();
    for round in 0..ROUNDS {
        let version = round.to_be_bytes();
        for n in (0..KEYS).filter(|n| n % 3 == round % 3) {
            let key = format!("{number}/{n}").into_bytes();
            machine.store.set_failure_mode(&key, (round % 5 == 1).then_some(FailureMode::Fails));
            machine.store.put(&key, &version);
            let subject = format!("person {}", n % SUBJECTS).into_bytes();
            let class = ["quick", "slow", "open"][(n + round) as usize % 3];
            let registration = Registration::new(class, &key).version(&version).subject(&subject);
            let id = engine.register(&[registration], Durability::Synced).unwrap()[0].id;
            known.push((id, key, version.to_vec()));
        }
        // Changes to objects of other rounds, wherever their registrations are by now.
        let key = format!("{number}/{}", round % KEYS).into_bytes();
        let of = match known.get(known.len() / 2) {
            Some((id, ..)) if round % 2 == 0 => Which::Id(*id),
            _ => Which::Key(&key),
        };
        let start = engine.now();
        let change = match round % 4 {
            0 => Change::Reschedule { of, class: Some("slow"), start: None },
            1 => Change::Start { of: Which::Key(&key), start },
            2 => Change::Reschedule { of, class: None, start: Some(start) },
            _ => {
                machine.store.remove(&key);
                Change::Release { of: Which::Key(&key) }
            }
        };
        if let Err(error) = engine.change(&[change], Durability::Synced).unwrap().remove(0) {
            use ErrorKind::{Busy, Held, Invalid, NotFound, TooLate};
            let expected = [Busy, Held, Invalid, NotFound, TooLate];
            assert!(expected.contains(&error.kind()), "{change:?}: {error}");
        }
        machine.clock.advance(Duration::from_millis(300));
        thread::sleep(Duration::from_millis(1));
    }
    known
}

/// Objects deleted between the answer that placed their hold and its lift, and objects reported as too late.
struct Watched {
    deleted: Vec<Vec<u8>>,
    too_late: Vec<RegistrationId>,
}

/// Places holds on keys, watches the deletions meanwhile, and lifts the holds.
fn counsel(machine: &Machine, engine: &Engine) -> Vec<Watched> {
    let mut watched = Vec::new();
    for round in 0..ROUNDS / 2 {
        let prefix = format!("{}/{}", round % HOSTS, round % KEYS).into_bytes();
        let name = HoldName::new(format!("case {round}")).unwrap();
        let hold = NewHold::new(
            name.clone(),
            Selector::Prefix(prefix.clone()),
            if round % 2 == 0 { HoldKind::Temporary } else { HoldKind::Event },
            Attribution::new("counsel", "a court asked"),
            NEW_YEAR.saturating_add(10_000 * HOUR),
        );
        let placed = engine.place_hold(hold).unwrap();
        let before = machine.store.deleted().len();
        thread::sleep(Duration::from_millis(5));
        let deleted = machine.store.deleted().split_off(before);
        let grace = Duration::from_secs((round % 3).into());
        engine.lift_hold(&name, Attribution::new("counsel", "settled"), grace).unwrap();
        let deleted = deleted.into_iter().filter(|key| key.starts_with(&prefix)).collect();
        watched.push(Watched { deleted, too_late: placed.too_late });
    }
    watched
}

fn desk(engine: &Engine) {
    for round in 0..ROUNDS / 5 {
        let subject = Selector::Subject(format!("person {}", round % SUBJECTS).into_bytes());
        let erasure = Erasure::new(subject, engine.now(), Attribution::new("desk", "asked for"))
            .cancellable(Duration::from_secs(2 * u64::from(round % 2)));
        let number = match engine.erase(erasure) {
            Ok(request) => request.number,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "no object of that person is live");
                continue;
            }
        };
        thread::sleep(Duration::from_millis(3));
        if round % 4 == 3
            && let Err(error) = engine.cancel_erasure(number)
        {
            assert_eq!(error.kind(), ErrorKind::TooLate);
        }
    }
}

fn look(engine: &Engine, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let report = engine.check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        engine.status().unwrap();
        engine.plan(Timestamp::from_unix_ms(0)).unwrap().for_each(|planned| drop(planned.unwrap()));
        engine.requests().unwrap();
        engine.reclaim().unwrap();
    }
}

/// Runs all threads at the same time. Returns the registrations and the deletions under holds.
fn people_and_objects(machine: &Machine, engine: &Engine) -> (Vec<Known>, Vec<Watched>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || look(engine, done));
        let counsel = scope.spawn(move || counsel(machine, engine));
        let desk = scope.spawn(move || desk(engine));
        let hosts: Vec<_> = (0..HOSTS).map(|n| scope.spawn(move || host(machine, engine, n))).collect();
        let known: Vec<_> = hosts.into_iter().map(|host| host.join()).collect();
        let (watched, desk) = (counsel.join(), desk.join());
        done.store(true, Ordering::SeqCst);
        desk.unwrap();
        (known.into_iter().flat_map(|known| known.unwrap()).collect(), watched.unwrap())
    })
}

fn come_to_an_end(machine: &Machine, engine: &Engine, known: &[Known]) {
    for (_, key, _) in known {
        machine.store.set_failure_mode(key, None);
    }
    for _ in 0..3 {
        machine.clock.advance(2 * HOUR);
        engine.enforce(&*machine.store).unwrap();
    }
}

/// Every object that is not held ends exactly once.
#[test]
fn held_object_stays_unless_reported_as_too_late() {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.shards = Some(2);
    let engine = Arc::new(machine.open().unwrap());
    let store: Arc<dyn sexton::store::Store> = machine.store.clone();
    let options = WorkerOptions::default().threads(2).idle(Duration::from_millis(1));
    let worker = Worker::start(&engine, &store, options).unwrap();
    let (known, watched) = people_and_objects(&machine, &engine);
    worker.stop().unwrap();
    come_to_an_end(&machine, &engine, &known);

    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    let classes = engine.status().unwrap().classes;
    let sum = |of: fn(&sexton::report::ClassStatus) -> u64| classes.values().map(of).sum::<u64>();
    assert_eq!((sum(|class| class.live), sum(|class| class.ended.ended())), (0, known.len() as u64));
    assert_eq!(sum(|class| class.registered), known.len() as u64);
    assert!(machine.store.is_empty(), "{} objects are left", machine.store.len());
    for request in engine.requests().unwrap() {
        assert!(matches!(request.state, RequestState::Finished | RequestState::Cancelled), "{request:?}");
    }

    let policy = Policy::parse(engine.policy()).unwrap();
    let mut verifier = receipt::Verifier::new(&policy);
    let mut ids = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for (id, key, version) in &known {
        assert!(ids.insert(*id), "{id} was given twice");
        let text = engine.receipt(*id, Opener::Key(key)).unwrap();
        let verdict = verifier.verify(text.as_bytes(), engine.now()).unwrap();
        assert_eq!((&verdict.key, &verdict.version), (key, version));
        assert!(ends.insert(verdict.id), "{id} shares its end with another registration");
    }
    for Watched { deleted, too_late } in watched {
        for key in &deleted {
            let times = deleted.iter().filter(|other| *other == key).count();
            let warned = too_late.iter().filter(|id| engine.receipt(**id, Opener::Key(key)).is_ok()).count();
            let key = String::from_utf8_lossy(key);
            assert!(times <= warned, "{key} went {times} times under a hold, {warned} were too late");
        }
    }
}
