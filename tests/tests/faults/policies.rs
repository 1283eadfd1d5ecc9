//! Faults at every write of a history of requests under the class file of a policy. After reopening no object is lost,
//! none ends twice, and held objects stay.

use sexton::decision::HoldKind;
use sexton::testing::fault::InjectedOutcome;
use sexton::{
    Attribution, Change, ClassSet, Durability, Engine, Erasure, ErrorKind, HoldName, NewHold,
    RegisterOptions, Registration, Result, Selector, Which,
};
use sexton_tests::simulation::{key, subject};
use sexton_tests::{DAY, HOUR, Machine, NEW_YEAR};

const CLASSES: &str = r#"
[class.upload]
within = "3h"
feed = true
remember = "30d"

[class.longer]
within = "12h"

[class.kept]
keep = "10h"
within = "20h"

[class.account]
within = "3h"
start = "explicit"
max_open = "10h"
"#;

/// Key, class, subject.
const OBJECTS: [(&str, &str, &str); 8] = [
    ("plain", "upload", ""),
    ("held", "upload", ""),
    ("moved", "upload", ""),
    ("released", "upload", ""),
    ("annas", "longer", "anna"),
    ("annas-kept", "kept", "anna"),
    ("annas-open", "account", "anna"),
    ("started", "account", ""),
];

/// Progress of the first run, as far as the engine acknowledged it.
#[derive(Default)]
struct Told {
    held: bool,
    lifting: bool,
}

fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.shards = Some(2);
    for (key, ..) in OBJECTS {
        machine.store.put(key.as_bytes(), b"1");
    }
    machine
}

fn register(engine: &Engine) -> Result<()> {
    let registrations = OBJECTS.map(|(key, class, subject)| {
        Registration::new(class, key.as_bytes()).version(b"1").subject(subject.as_bytes())
    });
    engine.register(&registrations, RegisterOptions::new().only_missing()).map(|_| ())
}

fn pass_until(machine: &Machine, engine: &Engine, hour: u32) -> Result<()> {
    use sexton::testing::Clock as _;
    while machine.clock.now() < NEW_YEAR.saturating_add(hour * HOUR) {
        machine.clock.advance(HOUR / 2);
        engine.enforce(&*machine.store)?;
    }
    Ok(())
}

/// Makes one request an hour. Each request is safe to repeat.
fn history(machine: &Machine, engine: &Engine, told: &mut Told) -> Result<()> {
    let by = |reason: &str| Attribution::new("operator", reason);
    let case = HoldName::new("case")?;
    let review = NEW_YEAR.saturating_add(90 * DAY);
    let hold = NewHold::new(case.clone(), key("held"), HoldKind::Temporary, by("asked"), review);
    if !told.lifting && engine.holds().is_empty() {
        engine.place_hold(hold)?;
    }
    told.held = true;
    let of = |key: &'static str| Which::Key(key.as_bytes());
    let changes = [
        Change::Start { of: of("started"), start: NEW_YEAR },
        Change::Reschedule { of: of("moved"), class: Some("longer"), start: None },
        Change::Release { of: of("released") },
    ];
    machine.store.remove(b"released");
    engine.change(&changes, Durability::Synced)?;
    pass_until(machine, engine, 2)?;
    let erased = engine.erase(Erasure::new(subject("anna"), engine.now(), by("asked")));
    // When the request is repeated, her data may all have gone.
    if let Err(error) = erased
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    pass_until(machine, engine, 6)?;
    assert!(machine.store.has(b"held") || told.lifting, "a held object is gone");
    told.lifting = true;
    if engine.status()?.holds > 0 {
        engine.lift_hold(&case, by("over"), HOUR)?;
    }
    pass_until(machine, engine, 8)?;
    engine.close_down(Selector::Everything, by("the end"))?;
    pass_until(machine, engine, 30)
}

fn check_sound(engine: &Engine, what: &str) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
}

fn check_end_state(machine: &Machine, engine: &Engine, what: &str) {
    check_sound(engine, what);
    assert!(machine.store.is_empty(), "{what}: {} objects are left", machine.store.len());
    let mut deleted = machine.store.deleted();
    deleted.sort();
    deleted.dedup();
    assert_eq!(deleted.len(), machine.store.deleted().len(), "{what}: an object was deleted twice");
    let classes = engine.status().unwrap().classes;
    let sum = |of: fn(&sexton::report::ClassStatus) -> u64| classes.values().map(of).sum::<u64>();
    assert_eq!(sum(|class| class.live), 0, "{what}");
    assert_eq!(sum(|class| class.registered), sum(|class| class.ended.ended()), "{what}");
    assert_eq!(sum(|class| class.ended.early), 0, "{what}");
}

#[test]
fn any_failed_write_keeps_held_objects_and_ends_the_rest_once() {
    let whole = machine();
    whole.faults.arm(u64::MAX, InjectedOutcome::Done);
    let engine = whole.open().unwrap();
    register(&engine).unwrap();
    history(&whole, &engine, &mut Told::default()).unwrap();
    check_end_state(&whole, &engine, "without a fault");
    let writes = whole.faults.writes();
    assert!(writes > 60, "the history has only {writes} writes");

    for nth in 0..writes {
        for outcome in [InjectedOutcome::Lost, InjectedOutcome::DoneButError] {
            for power_lost in [false, true] {
                let what = format!("write {nth} {outcome:?}, power lost: {power_lost}");
                let machine = machine();
                let mut told = Told::default();
                machine.faults.arm(nth, outcome);
                if let Ok(engine) = machine.open()
                    && register(&engine).is_ok()
                {
                    let _ = history(&machine, &engine, &mut told);
                }
                machine.faults.disarm();
                if power_lost {
                    machine.kv.lose_power();
                }
                let engine = machine.open().unwrap_or_else(|e| panic!("{what}: {e}"));
                check_sound(&engine, &what);
                assert!(!told.held || told.lifting || machine.store.has(b"held"), "{what}");
                // The host repeats the calls without an answer. A closed class refuses objects and has all of them
                // already.
                let _ = register(&engine);
                history(&machine, &engine, &mut told).unwrap_or_else(|e| panic!("{what}: {e}"));
                pass_until(&machine, &engine, 60).unwrap();
                check_end_state(&machine, &engine, &what);
            }
        }
    }
}
