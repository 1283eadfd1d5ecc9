//! The plan for now is exactly what enforcing then does, after any history. Planning changes nothing.

use crate::model::{CLASSES, Run, Step, histories};
use proptest::prelude::*;
use sexton::decision::{AlarmCause, RequestKind};
use sexton::limits::BreakerLimits;
use sexton::report::{Action, Counts, PlannedObject};
use sexton::store::Disposition;
use sexton::testing::kv::{ColumnFamily, Kv, WriteSet};
use sexton::{Attribution, ClassSet, Durability, Engine, Erasure, Opener, Registration, Selector};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use sexton_tests::Machine;
use std::collections::BTreeMap;
use std::time::Duration;

/// Returns the plan for now. Asserts that making it changed nothing.
fn plan(machine: &Machine, engine: &Engine) -> Vec<PlannedObject> {
    let before = (machine.kv.image(), machine.files.all());
    let plan = engine.plan(engine.now()).unwrap().map(Result::unwrap).collect();
    assert!(before == (machine.kv.image(), machine.files.all()), "planning changed something");
    plan
}

fn ended(engine: &Engine) -> BTreeMap<String, Counts> {
    engine.status().unwrap().classes.into_iter().map(|(name, class)| (name, class.ended)).collect()
}

type Asked = Vec<(Vec<u8>, Disposition)>;

/// Returns the deletions that the plan asks of the store.
fn asked_by<'a>(plan: impl Iterator<Item = &'a PlannedObject>) -> Asked {
    let asked = |line: &PlannedObject| match line.action {
        Action::Delete => Some((line.key.clone(), Disposition::Delete)),
        Action::Anonymise => Some((line.key.clone(), Disposition::Anonymise)),
        _ => None,
    };
    sorted(plan.filter_map(asked).collect())
}

fn sorted(mut asked: Asked) -> Asked {
    asked.sort_by(|(a, _), (b, _)| a.cmp(b));
    asked
}

fn enforce(run: &mut Run) {
    let plan = plan(&run.machine, run.engine());
    let (asked_before, ended_before) = (run.machine.store.asked_for().len(), ended(run.engine()));
    let now = run.engine().now();
    for line in &plan {
        assert!(line.at <= now, "{line:?} is not due now");
    }
    run.step(&Step::Enforce);
    let asked = run.machine.store.asked_for().split_off(asked_before);
    assert_eq!(asked_by(plan.iter()), sorted(asked), "the store was asked for other objects: {plan:#?}");
    check_what_was_not_asked_for(run, &plan, &ended_before);
    check_stops(run.engine(), &plan);
}

/// Checks the planned objects that the store is not asked for: those that end by themselves and those that stay.
fn check_what_was_not_asked_for(run: &Run, plan: &[PlannedObject], before: &BTreeMap<String, Counts>) {
    let policy = Policy::parse(run.engine().policy()).unwrap();
    for line in plan {
        let method = match &line.action {
            Action::EndReplaced => Method::Replaced,
            Action::EndReleased => Method::Released,
            Action::Hold(name) => {
                assert!(
                    run.model_hold_covers(name.as_str(), &line.key, &line.class),
                    "{name:?} does not cover {line:?}"
                );
                continue;
            }
            // A replaced object whose stated start lies in the future, since time went back.
            Action::WaitForFloor if time_went_back(run.engine()) => continue,
            Action::WaitForFloor => panic!("{line:?}: nothing is due before its floor"),
            _ => continue,
        };
        let text =
            run.engine().receipt(line.id, Opener::Key(line.first_key.as_ref().unwrap_or(&line.key))).unwrap();
        let verdict = receipt::verify(text.as_bytes(), &policy, run.engine().now()).unwrap();
        assert_eq!((verdict.method, verdict.reason), (method, line.reason), "{line:?}");
        assert_eq!((verdict.floor, verdict.ceiling), (line.floor, line.ceiling), "{line:?}");
    }
    for (class, after) in ended(run.engine()) {
        let lines = |is: fn(&Action) -> bool| {
            plan.iter().filter(|line| line.class == class && is(&line.action)).count() as u64
        };
        let replaced = lines(|action| *action == Action::EndReplaced);
        let released = lines(|action| *action == Action::EndReleased);
        let held = lines(|action| matches!(action, Action::Hold(_)));
        let earlier = before[&class];
        let found =
            (after.replaced - earlier.replaced, after.released - earlier.released, after.held - earlier.held);
        assert_eq!(found, (replaced, released, held), "{class}: {plan:#?}");
    }
}

fn time_went_back(engine: &Engine) -> bool {
    engine.requests().unwrap().iter().any(|request| matches!(request.kind, RequestKind::Back(_)))
}

/// Checks that a clock alarm stops all planned objects, and that without one none is stopped. A clock that is behind stops
/// only objects with a floor.
fn check_stops(engine: &Engine, plan: &[PlannedObject]) {
    let alarms = engine.status().unwrap().alarms;
    let causes: Vec<&AlarmCause> = alarms.iter().map(|alarm| &alarm.cause).collect();
    for line in plan {
        match &line.action {
            Action::Stopped(cause) => {
                assert_eq!(causes, [cause], "{line:?}");
                assert!(*cause != AlarmCause::Behind || line.floor.is_some(), "{line:?}");
            }
            _ if line.floor.is_none() && causes == [&AlarmCause::Behind] => {}
            _ => assert!(causes.is_empty(), "{line:?} in spite of {causes:?}"),
        }
    }
}

/// Step of a history whose objects are often late when they are registered.
#[derive(Clone, Debug)]
enum Arrival {
    Register {
        class: usize,
        ago: Duration,
    },
    Advance {
        by: Duration,
    },
    Enforce,
    Resume,
    /// Erases all objects of one of two subjects.
    Erase {
        odd: bool,
    },
}

fn seconds(below: u64) -> impl Strategy<Value = Duration> {
    (0..below).prop_map(Duration::from_secs)
}

/// Subjects of objects, by the parity of their number.
const SUBJECTS: [&[u8]; 2] = [b"even", b"odd"];

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let arrival = prop_oneof![
        6 => (0..CLASSES.len(), seconds(60)).prop_map(|(class, ago)| Arrival::Register { class, ago }),
        2 => seconds(20).prop_map(|by| Arrival::Advance { by }),
        3 => Just(Arrival::Enforce),
        1 => Just(Arrival::Resume),
        1 => any::<bool>().prop_map(|odd| Arrival::Erase { odd }),
    ];
    proptest::collection::vec(arrival, 1..60)
}

/// Enforces and compares the deletions with the plan, which foresees the breakers that trip now.
fn enforce_with_breaker(machine: &Machine, engine: &Engine) {
    let tripped = || -> Vec<AlarmCause> {
        engine.status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect()
    };
    let (plan, before, asked_before) = (plan(machine, engine), tripped(), machine.store.asked_for().len());
    engine.enforce(&*machine.store).unwrap();
    let asked = machine.store.asked_for().split_off(asked_before);
    let after = tripped();
    let stopped: Vec<&PlannedObject> =
        plan.iter().filter(|line| matches!(line.action, Action::Stopped(_))).collect();
    for cause in after.iter().filter(|cause| !before.contains(cause)) {
        let is_shown = stopped.iter().any(|line| line.action == Action::Stopped(cause.clone()));
        assert!(is_shown, "{cause:?} was not foreseen: {plan:#?}");
    }
    for (number, class) in CLASSES.iter().enumerate() {
        let cause = AlarmCause::Breaker { class: class.name.into() };
        let lines: Vec<&PlannedObject> = plan.iter().filter(|line| line.class == class.name).collect();
        let planned = asked_by(lines.iter().copied());
        let of_class = |(key, _): &&(Vec<u8>, Disposition)| usize::from(key[0]) == number;
        let asked = sorted(asked.iter().filter(of_class).cloned().collect());
        assert_eq!(asked, planned, "{}: {lines:#?}", class.name);
        for line in lines {
            if let Action::Stopped(by) = &line.action {
                assert!(*by == cause && after.contains(by), "{line:?}: {after:?}");
            }
        }
    }
}

/// The plan shows the objects as stopped.
#[test]
fn erasure_does_not_pass_a_tripped_breaker() {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(&CLASSES[0].toml()).unwrap();
    machine.options.breaker = Some(BreakerLimits { objects: 1, share_percent: 0 });
    let engine = machine.open().unwrap();
    for key in [b"\0a", b"\0b", b"\0c"] {
        machine.store.put(key, b"1");
        let start = engine.now().saturating_sub(Duration::from_secs(60));
        let registration = Registration::new(CLASSES[0].name, key);
        let registration = registration.version(b"1").start(start).subject(b"anna");
        engine.register(&[registration], Durability::Synced).unwrap();
    }
    enforce_with_breaker(&machine, &engine);
    let attribution = Attribution::new("desk", "asked for");
    let erasure = Erasure::new(Selector::Subject(b"anna".into()), engine.now(), attribution);
    engine.erase(erasure).unwrap();
    machine.clock.advance(Duration::from_secs(5));
    enforce_with_breaker(&machine, &engine);
    machine.clock.advance(Duration::from_secs(5));
    enforce_with_breaker(&machine, &engine);
    assert_eq!(machine.store.len(), 3);
    resume(&engine);
    enforce_with_breaker(&machine, &engine);
    assert!(machine.store.is_empty());
}

/// The plan reads 1,024 rows at once. A page may end before, at and after such a chunk.
#[test]
fn plan_of_a_page_of_several_chunks_shows_each_object_once() {
    for objects in [1, 1_023, 1_024, 1_025, 2_048, 3_000] {
        let mut machine = Machine::new();
        machine.options.shards = Some(1);
        let engine = machine.open().unwrap();
        let keys: Vec<Vec<u8>> = (0..objects).map(|number: u64| number.to_be_bytes().to_vec()).collect();
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new("log-73h", key)).collect();
        engine.register(&registrations, Durability::Synced).unwrap();
        let mut plan = engine.plan(Timestamp::MAX).unwrap();
        let shown: Vec<Vec<u8>> = plan.by_ref().map(|planned| planned.unwrap().key).collect();
        assert_eq!(shown, keys);
        assert!(plan.next().is_none(), "the iterator stays at its end");
    }
}

#[test]
fn plan_shows_objects_before_a_damaged_row_then_the_error() {
    let mut machine = Machine::new();
    machine.options.shards = Some(1);
    let engine = machine.open().unwrap();
    let keys = [b"a", b"b", b"c"];
    let registrations = keys.map(|key| Registration::new("log-73h", key));
    let registered = engine.register(&registrations, Durability::Synced).unwrap();
    let id = registered[1].id;
    let mut damage = WriteSet::default();
    damage.put(ColumnFamily::Rows(id.page.class), &id.to_bytes()[4..], b"damaged");
    machine.kv.write(damage).unwrap();

    let mut plan = engine.plan(Timestamp::MAX).unwrap();
    assert_eq!(plan.next().unwrap().unwrap().key, b"a");
    assert!(plan.next().unwrap().is_err());
    assert!(plan.next().is_none());
}

fn resume(engine: &Engine) {
    for alarm in engine.status().unwrap().alarms {
        engine.resume(alarm.id, Attribution::new("ops", "looked")).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn plan_is_what_enforcing_then_does_and_changes_nothing(steps in histories()) {
        let mut run = Run::new();
        for step in &steps {
            match step {
                Step::Enforce => enforce(&mut run),
                step => run.step(step),
            }
        }
        enforce(&mut run);
    }

    #[test]
    fn plan_shows_exactly_what_the_breaker_stopped(arrivals in arrivals()) {
        let mut machine = Machine::new();
        let text: String = CLASSES.iter().map(|class| class.toml()).collect();
        machine.options.classes = ClassSet::from_toml(&text).unwrap();
        machine.options.breaker = Some(BreakerLimits { objects: 3, share_percent: 10 });
        let engine = machine.open().unwrap();
        for (number, arrival) in arrivals.iter().enumerate() {
            match *arrival {
                Arrival::Register { class, ago } => {
                    let key = [&[u8::try_from(class).unwrap()][..], &number.to_be_bytes()].concat();
                    machine.store.put(&key, b"1");
                    let start = engine.now().saturating_sub(ago);
                    let registration = Registration::new(CLASSES[class].name, &key);
                    let registration = registration.version(b"1").start(start).subject(SUBJECTS[number % 2]);
                    engine.register(&[registration], Durability::Synced).unwrap();
                }
                Arrival::Erase { odd } => {
                    let selector = Selector::Subject(SUBJECTS[usize::from(odd)].into());
                    let asked = Erasure::new(selector, engine.now(), Attribution::new("desk", "asked for"));
                    // A subject without live objects is refused.
                    let _ = engine.erase(asked);
                }
                Arrival::Advance { by } => machine.clock.advance(by),
                Arrival::Enforce => enforce_with_breaker(&machine, &engine),
                Arrival::Resume => resume(&engine),
            }
        }
        enforce_with_breaker(&machine, &engine);
        resume(&engine);
        enforce_with_breaker(&machine, &engine);
    }
}
