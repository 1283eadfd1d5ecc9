//! Grace after lifted holds. It follows from holds and terms, so neither the order of decisions nor a time off changes it.

use sexton::decision::HoldKind;
use sexton::{Attribution, Change, ClassSet, Durability, Registration, RegistrationId, Selector, Which};
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{HOUR, MINUTE, NEW_YEAR};

const TERMS: &str = "[class.kept]\nkeep = \"4h\"\nwithin = \"10h\"\nslot = \"1s\"\nlead = \"1s\"\n";

fn at(minute: u32) -> Timestamp {
    NEW_YEAR.saturating_add(minute * MINUTE)
}

/// Registers the object `a`, with its start at `start`.
fn register(sim: &Simulation, start: Timestamp) -> RegistrationId {
    sim.machine.store.put(b"a", b"v1");
    let registration = Registration::new("kept", b"a").version(b"v1").start(start);
    sim.engine().register(&[registration], Durability::Synced).unwrap()[0].id
}

/// Puts another version of the class into force for all objects.
fn apply(sim: &Simulation, keep: &str, within: &str) {
    let terms = TERMS.replace("4h", keep).replace("10h", within);
    sim.engine().define_classes(&ClassSet::from_toml(&terms).unwrap()).unwrap();
    sim.engine().apply_class("kept", Attribution::new("board", "new terms")).unwrap();
}

/// Minute and reason of the end of an object.
type End = (u32, Reason);

/// Returns the end of the object, to the nearest minute.
fn end(sim: &Simulation, id: RegistrationId) -> End {
    sim.pass_until(at(80 * 60));
    sim.assert_sound();
    let verdict = sim.verdict(id, "a");
    let minutes = (verdict.time.since(NEW_YEAR) + MINUTE / 2).as_secs() / 60;
    (u32::try_from(minutes).unwrap(), verdict.reason)
}

/// Time in which the engine is off.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Off {
    Never,
    /// From shortly after the hold until shortly before the lift.
    UnderTheHold,
    /// For half an hour from the lift on, before any sweep.
    AfterTheLift,
}

/// Instant at which the class changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Changed {
    Never,
    WithTheHold,
    JustBeforeTheLift,
    JustAfterTheLift,
    HalfAnHourLater,
}

/// Plays one history: a hold at minute 60, its lift, and a change of the class. Returns the end of the object.
fn play(lift: u32, grace: u32, terms: (&str, &str), changed: Changed, off: Off) -> End {
    let mut sim = Simulation::new(TERMS);
    let id = register(&sim, NEW_YEAR);
    sim.pass_until(at(60));
    sim.hold("case", key("a"));
    let change = |sim: &Simulation, now| {
        if changed == now {
            apply(sim, terms.0, terms.1);
        }
    };
    change(&sim, Changed::WithTheHold);
    sim.pass_until(at(61));
    if off == Off::UnderTheHold {
        sim.close();
        sim.machine.clock.set(at(lift));
        sim.reopen();
    } else {
        sim.pass_until(at(lift));
    }
    change(&sim, Changed::JustBeforeTheLift);
    sim.lift("case", grace * MINUTE);
    change(&sim, Changed::JustAfterTheLift);
    if off == Off::AfterTheLift {
        sim.close();
        sim.machine.kv.lose_power();
        sim.machine.clock.set(at(lift + 30));
        sim.reopen();
    }
    sim.pass_until(at(lift + 30));
    change(&sim, Changed::HalfAnHourLater);
    end(&sim, id)
}

/// Lift, grace, terms of the changed class, and the end by these terms. The class has a floor of 4 and a ceiling of 10
/// hours before.
const CASES: [(u32, u32, (&str, &str), End); 8] = [
    // It falls due after the lift.
    (180, 240, ("5h", "12h"), (300, Reason::Due)),
    // It fell due under the hold, by the earlier and by the later terms.
    (360, 120, ("5h", "12h"), (480, Reason::Due)),
    (360, 900, ("5h", "12h"), (720, Reason::Due)),
    (780, 300, ("5h", "12h"), (1_080, Reason::Lifted)),
    // Only by one of them.
    (330, 180, ("6h", "12h"), (360, Reason::Due)),
    (180, 240, ("2h", "12h"), (420, Reason::Due)),
    (660, 120, ("4h", "12h"), (720, Reason::Due)),
    (660, 120, ("4h", "8h"), (780, Reason::Lifted)),
];

#[test]
fn grace_depends_on_neither_order_nor_time_off() {
    let orders = [
        Changed::WithTheHold,
        Changed::JustBeforeTheLift,
        Changed::JustAfterTheLift,
        Changed::HalfAnHourLater,
    ];
    let mut wrong = Vec::new();
    for (lift, grace, terms, expected) in CASES {
        for changed in orders {
            for off in [Off::Never, Off::UnderTheHold, Off::AfterTheLift] {
                let found = play(lift, grace, terms, changed, off);
                if found != expected {
                    wrong.push(format!(
                        "lift {lift}, grace {grace}, {terms:?}, {changed:?}, {off:?}: {found:?}, not {expected:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn grace_without_another_class_does_not_depend_on_time_off() {
    for (lift, grace, expected) in [
        (180, 240, (240, Reason::Due)),
        (300, 60, (360, Reason::Due)),
        (300, 900, (600, Reason::Due)),
        (660, 90, (750, Reason::Lifted)),
    ] {
        for off in [Off::Never, Off::UnderTheHold, Off::AfterTheLift] {
            let found = play(lift, grace, ("", ""), Changed::Never, off);
            assert_eq!(found, expected, "lift {lift}, grace {grace}, {off:?}");
        }
    }
}

/// Placed, lifted, grace in minutes, and selector of a second hold. The first stands from minute 60 to 300, and its grace
/// lasts until 330.
fn others() -> Vec<(&'static str, [u32; 3], Selector, u32)> {
    let prefix = || Selector::Prefix(b"a".to_vec());
    vec![
        ("before the registration", [0, 5, 3_000], prefix(), 330),
        ("before the object was due", [30, 200, 3_000], prefix(), 330),
        ("on another object", [30, 290, 3_000], key("b"), 330),
        ("lifted before, and longer", [30, 290, 120], prefix(), 410),
        ("lifted before, and shorter", [30, 290, 5], prefix(), 330),
        ("lifted after, and shorter", [30, 310, 0], prefix(), 330),
        ("lifted after the grace", [30, 400, 0], prefix(), 400),
        ("lifted after the grace, with one", [30, 400, 60], prefix(), 460),
        ("within the grace, and longer", [310, 320, 60], prefix(), 380),
        ("within the grace, and shorter", [310, 320, 5], prefix(), 330),
        ("across the end of the grace", [320, 400, 60], prefix(), 460),
        ("on the class", [30, 290, 120], Selector::Class("kept".into()), 410),
    ]
}

#[test]
fn longest_grace_of_the_holds_that_kept_it_counts() {
    for (what, [placed, lifted, grace], selector, expected) in others() {
        let sim = Simulation::new(TERMS);
        let mut id = None;
        let mut steps =
            [(10, "register"), (60, "hold"), (300, "lift"), (placed, "other"), (lifted, "lift other")];
        steps.sort_unstable();
        for (minute, step) in steps {
            sim.pass_until(at(minute));
            match step {
                "register" => id = Some(register(&sim, NEW_YEAR)),
                "hold" => _ = sim.hold("case", key("a")),
                "other" => _ = sim.hold_of("other", selector.clone(), HoldKind::Temporary),
                "lift" => sim.lift("case", 30 * MINUTE),
                _ => sim.lift("other", grace * MINUTE),
            }
        }
        assert_eq!(end(&sim, id.unwrap()), (expected, Reason::Due), "{what}");
    }
}

/// The object was due when it was registered, so its terms alone do not say that the earlier hold had not kept it.
#[test]
fn hold_lifted_before_an_overdue_object_was_registered_gives_no_grace() {
    let sim = Simulation::new(TERMS);
    let prefix = || Selector::Prefix(b"a".to_vec());
    sim.hold("early", prefix());
    sim.hold("case", prefix());
    sim.pass_until(at(60));
    sim.lift("early", 50 * HOUR);
    sim.pass_until(at(120));
    let id = register(&sim, NEW_YEAR.saturating_sub(6 * HOUR));
    sim.pass_until(at(360));
    sim.lift("case", 30 * MINUTE);
    assert_eq!(end(&sim, id), (390, Reason::Lifted));
}

/// The sweep for the lift has not run. What the host states meanwhile moves the object to another page.
#[test]
fn object_that_its_host_changes_before_the_sweep_keeps_its_grace() {
    for what in ["content", "rename", "subject"] {
        let sim = Simulation::new(TERMS);
        let id = register(&sim, NEW_YEAR);
        sim.hold("case", Selector::Prefix(b"a".to_vec()));
        sim.machine.clock.set(at(660));
        sim.lift("case", 90 * MINUTE);
        let of = Which::Key(b"a");
        let moved = match what {
            "content" => {
                sim.change(Change::Content { of, version: b"v1", size: Some(7), start: None }).unwrap().id
            }
            "rename" => {
                sim.machine.store.put(b"ab", b"v1");
                sim.change(Change::Rename { of, to: b"ab" }).unwrap().id
            }
            _ => {
                let again = Registration::new("kept", b"a").version(b"v1").start(NEW_YEAR).subject(b"anna");
                sim.engine().register(&[again], Durability::Synced).unwrap()[0].id
            }
        };
        assert_eq!(moved.page.slot_start(), at(750), "{what}");
        assert_eq!(end(&sim, id), (750, Reason::Lifted), "{what}");
    }
}
