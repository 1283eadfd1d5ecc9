//! Objects that are registered again: every hold keeps what it covers, and a retry undoes no decision.

use sexton::decision::HoldKind;
use sexton::store::Answer;
use sexton::{
    Attribution, Change, ClassSet, Durability, ErrorKind, Previous, RegisterOptions, Registered,
    Registration, Result, Selector, Which,
};
use sexton_proof::record::{Method, Reason};
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, key, subject};
use sexton_tests::{DAY, HOUR, NEW_YEAR};
use std::time::Duration;

const CLASSES: &str = r#"
[class.short]
keep = "2h"
within = "10h"
slot = "1s"
lead = "1s"

[class.long]
keep = "4h"
within = "20h"
slot = "1s"
lead = "1s"

[class.blind]
within = "5h"
slot = "1s"
lead = "1s"
find = "none"

[class.open]
within = "3h"
start = "explicit"
max_open = "720h"
slot = "1s"
lead = "1s"

[class.started]
within = "3h"
slot = "1s"
lead = "1s"

[class.stated]
within = "3h"
start = "explicit"
slot = "1s"
lead = "1s"

[class.briefly-open]
within = "3h"
start = "explicit"
max_open = "1h"
slot = "1s"
lead = "1s"
"#;

/// Class, subject and start of a registration of the object `a` in version `v1`.
#[derive(Clone, Copy)]
struct Said {
    class: &'static str,
    subject: &'static str,
    start: Option<Timestamp>,
    version: &'static str,
}

const FIRST: Said = Said { class: "short", subject: "anna", start: None, version: "v1" };

impl Said {
    fn registration(&self) -> Registration<'_> {
        Registration::new(self.class, b"a")
            .version(self.version.as_bytes())
            .subject(self.subject.as_bytes())
            .start(self.start)
    }
}

fn register(sim: &Simulation, said: Said) -> Result<Registered> {
    sim.engine().register(&[said.registration()], Durability::Synced).map(|mut answers| answers.remove(0))
}

/// Returns a simulation in which the object is stored and registered.
fn with_object(first: Said) -> (Simulation, Registered) {
    let sim = Simulation::new(CLASSES);
    sim.machine.store.put(b"a", b"v1");
    let registered = register(&sim, first).unwrap();
    (sim, registered)
}

fn selectors() -> Vec<(&'static str, Selector)> {
    vec![
        ("key", key("a")),
        ("prefix", Selector::Prefix(b"a".to_vec())),
        ("subject", subject("anna")),
        ("class", Selector::Class("short".into())),
    ]
}

/// Ways to register the object again. The selectors named after each would no longer cover it.
fn ways() -> Vec<(&'static str, Said, &'static [&'static str])> {
    vec![
        ("identical", FIRST, &[]),
        ("identical, no subject", Said { subject: "", ..FIRST }, &[]),
        ("other subject", Said { subject: "ben", ..FIRST }, &["subject"]),
        ("start said", Said { start: Some(NEW_YEAR), ..FIRST }, &[]),
        ("other start", Said { start: Some(NEW_YEAR.saturating_add(HOUR)), ..FIRST }, &[]),
        (
            "other start, no subject",
            Said { start: Some(NEW_YEAR.saturating_sub(DAY)), subject: "", ..FIRST },
            &["subject"],
        ),
        ("other class", Said { class: "long", ..FIRST }, &["class"]),
        ("other class, no subject", Said { class: "long", subject: "", ..FIRST }, &["class", "subject"]),
        ("no version, no subject", Said { version: "", subject: "", ..FIRST }, &["subject"]),
        ("blind class", Said { class: "blind", ..FIRST }, &["class"]),
        ("blind class, no subject", Said { class: "blind", subject: "", ..FIRST }, &["class", "subject"]),
    ]
}

#[test]
fn held_object_registered_again_stays_held_under_every_selector() {
    for kind in [HoldKind::Temporary, HoldKind::Event] {
        for (name, selector) in selectors() {
            for (way, said, loses) in ways() {
                for parked in [false, true] {
                    let what = format!("{kind:?} hold on the {name}, {way}, parked: {parked}");
                    let (sim, first) = with_object(FIRST);
                    sim.hold_of("case", selector.clone(), kind);
                    if parked {
                        sim.pass(3 * HOUR);
                        assert_eq!(sim.class("short").held, 1, "{what}");
                    }
                    let answer = register(&sim, said);
                    if loses.contains(&name) {
                        assert_eq!(
                            answer.map_err(|error| error.kind()).err(),
                            Some(ErrorKind::Held),
                            "{what}"
                        );
                        assert!(sim.engine().find(b"a").unwrap().is_some(), "{what}");
                    } else {
                        answer.unwrap_or_else(|error| panic!("{what}: {error}"));
                        sim.machine.store.put(b"a", said.version.as_bytes());
                    }
                    sim.pass(40 * DAY);
                    assert!(sim.has("a"), "{what}: deleted under the hold");
                    sim.lift("case", Duration::ZERO);
                    sim.pass(DAY);
                    assert!(!sim.has("a"), "{what}: stays after the hold");
                    assert!(sim.engine().receipt(first.id, sexton::Opener::Key(b"a")).is_ok(), "{what}");
                    sim.assert_sound();
                }
            }
        }
    }
}

/// The stated limit of `find = "none"`: a second registration of the object is not recognised as one. The held
/// registration itself stays in any case.
#[test]
fn blind_object_is_kept_only_by_a_hold_on_all_its_registrations() {
    let first = Said { class: "blind", ..FIRST };
    let twice = [
        ("by key", Said { subject: "", ..FIRST }),
        ("of another subject", Said { subject: "ben", ..first }),
        ("of the same subject", FIRST),
    ];
    let selectors = [
        ("key", key("a"), [true; 3]),
        ("prefix", Selector::Prefix(b"a".to_vec()), [true; 3]),
        ("everything", Selector::Everything, [true; 3]),
        ("class", Selector::Class("blind".into()), [false, true, false]),
        ("subject", subject("anna"), [false, false, true]),
    ];
    for (name, selector, keeps) in selectors {
        for ((again, said), keeps) in twice.into_iter().zip(keeps) {
            let what = format!("hold on the {name}, registered again {again}");
            let (mut sim, registered) = with_object(first);
            sim.hold("case", selector.clone());
            assert_eq!(register(&sim, said).unwrap().previous, Previous::None, "{what}");
            sim.pass(2 * DAY);
            sim.lose_power();
            sim.pass(40 * DAY);
            assert_eq!(sim.has("a"), keeps, "{what}");
            assert!(sim.class("blind").held > 0, "{what}: the held registration is gone");
            sim.lift("case", Duration::ZERO);
            sim.pass(DAY);
            let method = sim.verdict(registered.id, "a").method;
            let ends = if keeps { [Method::Deleted, Method::Absent] } else { [Method::Absent; 2] };
            assert!(ends.contains(&method), "{what}: {method}");
            sim.assert_sound();
        }
    }
}

#[test]
fn call_that_leaves_a_hold_registers_none_of_its_objects() {
    let (sim, _) = with_object(FIRST);
    sim.hold("case", subject("anna"));
    let keys: Vec<String> = (0..40).map(|number| format!("other/{number}")).collect();
    let leaves = Said { subject: "", class: "long", ..FIRST };
    let mut call: Vec<Registration<'_>> =
        keys.iter().map(|key| Registration::new("long", key.as_bytes())).collect();
    call.insert(20, leaves.registration());
    let refused = sim.engine().register(&call, Durability::Synced).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Held);
    assert!(keys.iter().all(|key| sim.engine().find(key.as_bytes()).unwrap().is_none()));
}

#[test]
fn call_cannot_take_its_own_object_out_of_a_hold() {
    let sim = Simulation::new(CLASSES);
    sim.hold("case", subject("anna"));
    let again = Said { subject: "", class: "long", ..FIRST };
    let call = [FIRST.registration(), again.registration()];
    let refused = sim.engine().register(&call, Durability::Synced).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Held);
    assert_eq!(sim.engine().find(b"a").unwrap(), None);
}

/// A member that only repeats the live registration does not hide it from the members after it.
#[test]
fn later_members_of_a_call_cannot_leave_a_hold_either() {
    let no_subject = Said { subject: "", ..FIRST };
    let moved = Said { start: Some(NEW_YEAR.saturating_add(HOUR)), ..no_subject };
    for is_live in [false, true] {
        let sim = Simulation::new(CLASSES);
        sim.hold("case", subject("anna"));
        if is_live {
            register(&sim, FIRST).unwrap();
        }
        let said = [FIRST, no_subject, moved];
        let call: Vec<_> = said[usize::from(is_live)..].iter().map(Said::registration).collect();
        let refused = sim.engine().register(&call, Durability::Synced).unwrap_err();
        assert_eq!((refused.kind(), is_live), (ErrorKind::Held, is_live));
    }
}

#[test]
fn call_for_missing_keys_does_not_change_a_held_subject() {
    let (sim, _) = with_object(FIRST);
    sim.hold("case", subject("anna"));
    let other = Said { subject: "ben", ..FIRST };
    let options = RegisterOptions::new().only_missing();
    let refused = sim.engine().register(&[other.registration()], options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Held);
}

/// Two members adopt a subject while a batch has the object. The key keeps one live registration.
#[test]
fn subject_adopted_twice_in_a_call_leaves_one_registration() {
    let (sim, _) = with_object(Said { subject: "", ..FIRST });
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 1);
    let call = [FIRST.registration(), FIRST.registration()];
    let answers = sim.engine().register(&call, Durability::Synced).unwrap();
    assert!(matches!(answers[0].previous, Previous::TooLate(_)), "{:?}", answers[0].previous);
    assert_eq!((answers[1].previous, answers[1].id), (Previous::Identical, answers[0].id));
    sim.engine().complete(batch).unwrap();
    sim.pass(HOUR);
    assert_eq!(sim.class("short").live, 0);
    sim.assert_sound();
}

#[test]
fn retry_of_an_object_of_an_earlier_class_version_gets_its_ticket() {
    let tickets = CLASSES.replace("find = \"none\"", "openings = \"ticket\"");
    let sim = Simulation::new(&tickets);
    let said = Said { class: "blind", ..FIRST };
    let first = register(&sim, said).unwrap();
    let without = ClassSet::from_toml(&tickets.replace("openings = \"ticket\"", "")).unwrap();
    sim.engine().define_classes(&without).unwrap();
    let again = register(&sim, said).unwrap();
    assert_eq!((again.previous, &again.ticket), (Previous::Identical, &first.ticket));
    assert!(first.ticket.is_some());
}

#[test]
fn reconciling_a_held_object_in_another_class_keeps_it() {
    let (sim, _) = with_object(FIRST);
    sim.hold("case", Selector::Class("short".into()));
    let other = Said { class: "long", ..FIRST };
    let options = RegisterOptions::new().only_missing();
    let answer = sim.engine().register(&[other.registration()], options).unwrap();
    assert_eq!(answer[0].previous, Previous::Kept);
}

/// Returns reason and instant of the end of the object, which happens within 60 days.
fn end(sim: &Simulation, first: &Registered) -> (Method, Reason, Timestamp) {
    sim.pass_until(NEW_YEAR.saturating_add(60 * DAY));
    sim.assert_sound();
    let verdict = sim.verdict(first.id, "a");
    (verdict.method, verdict.reason, verdict.time)
}

fn reschedule(sim: &Simulation, class: Option<&str>, start: Option<Timestamp>) {
    sim.change(Change::Reschedule { of: Which::Key(b"a"), class, start }).unwrap();
}

fn apply(sim: &Simulation, class_file: &str, class: &str) {
    sim.engine().define_classes(&ClassSet::from_toml(class_file).unwrap()).unwrap();
    sim.engine().apply_class(class, Attribution::new("board", "new terms")).unwrap();
}

/// States that the object has other content.
fn rewrite(sim: &Simulation, start: Option<Timestamp>) {
    let known = sim.engine().live(b"a").unwrap().unwrap().version;
    let version = [&known[..], b"'"].concat();
    sim.machine.store.put(b"a", &version);
    sim.change(Change::Content { of: Which::Key(b"a"), version: &version, size: None, start }).unwrap();
}

/// Decision or statement that changes the object or its time.
type Decide = fn(&Simulation);

fn decisions() -> Vec<(&'static str, Decide)> {
    vec![
        ("nothing", |_| ()),
        ("rescheduled to a longer floor", |sim| reschedule(sim, Some("long"), None)),
        ("rescheduled there and back", |sim| {
            reschedule(sim, Some("long"), Some(NEW_YEAR.saturating_add(HOUR)));
            reschedule(sim, Some("short"), Some(NEW_YEAR));
        }),
        ("start corrected", |sim| reschedule(sim, None, Some(NEW_YEAR.saturating_add(5 * HOUR)))),
        ("event hold lifted", |sim| {
            sim.hold_of("case", key("a"), HoldKind::Event);
            sim.pass(3 * HOUR);
            sim.lift("case", Duration::ZERO);
            sim.enforce();
        }),
        ("event hold lifted and not yet swept", |sim| {
            sim.hold_of("case", key("a"), HoldKind::Event);
            sim.pass(3 * HOUR);
            sim.lift("case", Duration::ZERO);
        }),
        ("temporary hold lifted with a grace", |sim| {
            sim.hold("case", key("a"));
            sim.pass(11 * HOUR);
            sim.lift("case", DAY);
            sim.enforce();
        }),
        ("erased, and waits for its floor", |sim| {
            sim.erase(subject("anna"));
            sim.enforce();
        }),
        ("erasure final and not yet swept", |sim| {
            sim.erase(subject("anna"));
        }),
        ("closed", |sim| {
            reschedule(sim, Some("long"), None);
            let close = Selector::Class("long".into());
            sim.engine().close_down(close, Attribution::new("board", "over")).unwrap();
            sim.enforce();
        }),
        ("another version applied", |sim| {
            apply(sim, &CLASSES.replace("keep = \"2h\"", "keep = \"3h\""), "short");
            sim.enforce();
        }),
        ("parked", |sim| {
            sim.hold("case", key("a"));
            sim.pass(3 * HOUR);
            sim.lift("case", 2 * HOUR);
        }),
        ("other content", |sim| rewrite(sim, None)),
        ("other content twice, in another class", |sim| {
            rewrite(sim, None);
            reschedule(sim, Some("long"), None);
            rewrite(sim, None);
        }),
        ("other content with a later start", |sim| rewrite(sim, Some(NEW_YEAR.saturating_add(HOUR)))),
    ]
}

#[test]
fn retry_after_any_decision_is_identical_and_changes_nothing() {
    let starts = [None, Some(NEW_YEAR), Some(NEW_YEAR.saturating_sub(HOUR))];
    for start in starts {
        for (what, decide) in decisions() {
            let first = Said { start, ..FIRST };
            let ends: Vec<_> = [false, true]
                .map(|retries| {
                    let (mut sim, registered) = with_object(first);
                    decide(&sim);
                    if retries {
                        for power_lost in [false, true] {
                            if power_lost {
                                sim.lose_power();
                            }
                            let before = sim.engine().find(b"a").unwrap();
                            let answer = register(&sim, first).unwrap();
                            assert_eq!(answer.previous, Previous::Identical, "{what}, start {start:?}");
                            assert_eq!(Some(answer.id), before, "{what}, start {start:?}");
                        }
                    }
                    end(&sim, &registered)
                })
                .into();
            assert_eq!(ends[0], ends[1], "{what}, start {start:?}");
        }
    }
}

#[test]
fn registration_that_differs_after_a_decision_replaces() {
    let others = [
        Said { class: "long", ..FIRST },
        Said { start: Some(NEW_YEAR.saturating_add(HOUR)), ..FIRST },
        Said { version: "v2", ..FIRST },
        Said { version: "", ..FIRST },
    ];
    for other in others {
        let (sim, first) = with_object(FIRST);
        reschedule(&sim, Some("long"), None);
        let answer = register(&sim, other).unwrap();
        assert!(matches!(answer.previous, Previous::Replaced(_)), "{:?}", answer.previous);
        assert_ne!(answer.id, first.id);
    }
}

/// An object that was written again stays the object, so its first version still names it.
#[test]
fn object_with_other_content_cannot_leave_its_hold_by_its_first_version() {
    for version in ["v1", "v1'"] {
        let (sim, _) = with_object(FIRST);
        sim.hold("case", subject("anna"));
        rewrite(&sim, None);
        let elsewhere = Said { class: "long", subject: "", version, ..FIRST };
        assert_eq!(register(&sim, elsewhere).unwrap_err().kind(), ErrorKind::Held, "{version}");
    }
}

/// The stated limit of versions: another one is another object, so nothing links the third registration to the first.
/// A hold by key covers all of them.
#[test]
fn object_back_in_its_first_version_has_left_only_the_hold_on_its_subject() {
    for (selector, is_kept) in [(subject("anna"), false), (key("a"), true)] {
        let (sim, first) = with_object(FIRST);
        sim.hold("case", selector);
        for version in ["v2", "v1"] {
            sim.machine.store.put(b"a", version.as_bytes());
            let answer = register(&sim, Said { subject: "ben", version, ..FIRST }).unwrap();
            assert!(matches!(answer.previous, Previous::Replaced(_)), "{version}");
        }
        sim.pass(2 * DAY);
        assert_eq!(sim.has("a"), is_kept);
        assert_eq!(sim.verdict(first.id, "a").method, Method::Replaced);
        sim.assert_sound();
    }
}

#[test]
fn retry_with_a_subject_that_the_first_lacked_adopts_it() {
    for decide in [|_: &Simulation| (), |sim: &Simulation| reschedule(sim, Some("long"), None)] {
        let (mut sim, first) = with_object(Said { subject: "", ..FIRST });
        decide(&sim);
        assert_eq!(register(&sim, FIRST).unwrap().previous, Previous::Identical);
        sim.lose_power();
        sim.hold("case", subject("anna"));
        sim.pass(10 * DAY);
        assert!(sim.has("a"), "the hold on the subject does not cover the object");
        sim.lift("case", Duration::ZERO);
        sim.pass(Duration::from_secs(2));
        assert_eq!(sim.receipt(first.id, "a").2, Reason::Lifted);
        sim.assert_sound();
    }
}

#[test]
fn call_with_the_subject_in_its_second_registration_adopts_it() {
    let sim = Simulation::new(CLASSES);
    let call = [Said { subject: "", ..FIRST }.registration(), FIRST.registration()];
    let answers = sim.engine().register(&call, Durability::Synced).unwrap();
    assert_eq!(answers[1].previous, Previous::Identical);
    assert!(sim.engine().is_known(&subject("anna")).unwrap());
    sim.assert_sound();
}

/// The batch has the row as it was, so the subject goes to a copy that keeps the decided terms.
#[test]
fn subject_adopted_while_a_batch_is_out_is_not_lost() {
    let (sim, first) = with_object(Said { subject: "", ..FIRST });
    reschedule(&sim, Some("long"), None);
    sim.machine.clock.set(NEW_YEAR.saturating_add(5 * HOUR));
    let mut batch = sim.engine().next_batch().unwrap().unwrap();
    if batch.is_empty() {
        // The page that the object left has come up first.
        sim.engine().complete(batch).unwrap();
        batch = sim.engine().next_batch().unwrap().unwrap();
    }
    assert_eq!(batch.len(), 1);
    let answer = register(&sim, FIRST).unwrap();
    assert!(matches!(answer.previous, Previous::TooLate(_)), "{:?}", answer.previous);
    sim.hold("case", subject("anna"));
    batch.answer(0, Answer::Failed("busy".into()), sim.now()).unwrap();
    sim.engine().complete(batch).unwrap();
    sim.pass(10 * DAY);
    assert!(sim.has("a"));
    assert_eq!(sim.verdict(first.id, "a").method, Method::Replaced);
    sim.lift("case", Duration::ZERO);
    sim.pass(Duration::from_secs(2));
    let verdict = sim.verdict(answer.id, "a");
    assert_eq!((verdict.class_name.as_str(), verdict.reason), ("long", Reason::Lifted));
    sim.assert_sound();
}

/// Selects the second hold of a history, which is placed in the grace of the first.
#[test]
fn object_parked_in_a_grace_is_found_by_the_next_lift() {
    let terms = CLASSES.replace("keep = \"2h\"\nwithin = \"10h\"", "within = \"2h\"");
    let changes: [(&str, Decide); 4] = [
        ("nothing", |_| ()),
        ("erased", |sim| {
            sim.erase(key("a"));
        }),
        ("erased and swept", |sim| {
            sim.erase(key("a"));
            sim.enforce();
        }),
        ("closed", |sim| {
            let close = Selector::Class("short".into());
            sim.engine().close_down(close, Attribution::new("board", "over")).unwrap();
        }),
    ];
    for kind in [HoldKind::Temporary, HoldKind::Event] {
        for (what, change) in changes {
            for redefined in [false, true] {
                let sim = Simulation::new(&terms);
                sim.machine.store.put(b"a", b"v1");
                let first = register(&sim, FIRST).unwrap();
                sim.hold("h1", key("a"));
                sim.pass(4 * HOUR);
                sim.lift("h1", HOUR);
                sim.enforce();
                sim.hold_of("h2", key("a"), kind);
                sim.pass(2 * HOUR);
                assert_eq!(sim.class("short").held, 1, "{what}");
                change(&sim);
                if redefined {
                    apply(&sim, &terms.replace("within = \"2h\"", "within = \"150m\""), "short");
                }
                sim.enforce();
                sim.pass(HOUR);
                sim.lift("h2", Duration::ZERO);
                let lifted = sim.now();
                sim.pass(3 * HOUR);
                let late = sim.verdict(first.id, "a").time.since(lifted);
                let restarted = kind == HoldKind::Event && what == "nothing";
                let limit = if restarted { 3 * HOUR } else { Duration::from_secs(3) };
                assert!(late <= limit, "{kind:?}, {what}, redefined: {redefined}: gone after {late:?}");
                sim.assert_sound();
            }
        }
    }
}

/// The registration was replaced, and its hold lifted and swept, while a batch had it as held.
#[test]
fn held_row_replaced_during_its_batch_ends_after_the_lift() {
    for kind in [HoldKind::Temporary, HoldKind::Event] {
        let (sim, first) = with_object(FIRST);
        sim.hold_of("case", key("a"), kind);
        sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
        let batch = sim.engine().next_batch().unwrap().unwrap();
        assert_eq!(batch.len(), 0, "the hold keeps the only object");
        sim.machine.store.put(b"a", b"v2");
        let second = register(&sim, Said { version: "v2", ..FIRST }).unwrap();
        assert_eq!(second.previous, Previous::TooLate(first.id));
        sim.lift("case", Duration::ZERO);
        assert!(sim.engine().next_batch().unwrap().is_none());
        sim.engine().complete(batch).unwrap();
        sim.enforce();
        sim.pass(Duration::from_secs(2));
        assert_eq!(sim.verdict(first.id, "a").method, Method::Replaced, "{kind:?}");
        sim.pass(DAY);
        assert_eq!(sim.verdict(second.id, "a").method, Method::Deleted, "{kind:?}");
        sim.assert_sound();
    }
}

#[test]
fn unknown_start_follows_the_rule_of_the_new_class() {
    let open = Said { class: "open", ..FIRST };
    let moves: [(&str, Decide, u32); 7] = [
        (
            "rescheduled to a class that starts at registration",
            |sim| reschedule(sim, Some("started"), None),
            3,
        ),
        ("rescheduled to a shorter max_open", |sim| reschedule(sim, Some("briefly-open"), None), 4),
        (
            "applied to a class that starts at registration",
            |sim| {
                let started = CLASSES.replace("start = \"explicit\"\nmax_open = \"720h\"\n", "");
                apply(sim, &started, "open");
            },
            3,
        ),
        ("applied to a shorter max_open", |sim| apply(sim, &CLASSES.replace("720h", "1h"), "open"), 4),
        (
            "rescheduled through a class that assumes none",
            |sim| {
                reschedule(sim, Some("stated"), None);
                reschedule(sim, Some("started"), None);
            },
            3,
        ),
        (
            "rescheduled through two classes that assume none",
            |sim| {
                reschedule(sim, Some("briefly-open"), None);
                reschedule(sim, Some("stated"), None);
                apply(sim, &CLASSES.replace("slot = \"1s\"", "slot = \"2s\""), "stated");
                sim.enforce();
                reschedule(sim, Some("briefly-open"), None);
            },
            4,
        ),
        (
            "applied through a version that assumes none",
            |sim| {
                apply(sim, &CLASSES.replace("max_open = \"720h\"\n", ""), "open");
                sim.enforce();
                apply(sim, &CLASSES.replace("720h", "1h"), "open");
            },
            4,
        ),
    ];
    for (what, change, hours) in moves {
        let (sim, first) = with_object(open);
        sim.pass(Duration::from_mins(10));
        change(&sim);
        assert_eq!(register(&sim, open).unwrap().previous, Previous::Identical, "{what}");
        let (method, _, time) = end(&sim, &first);
        let ceiling = NEW_YEAR.saturating_add(hours * HOUR);
        assert_eq!(method, Method::Deleted, "{what}");
        assert!(time <= ceiling && ceiling.since(time) <= Duration::from_secs(3), "{what}: gone at {time}");
        assert_eq!(sim.verdict(first.id, "a").ceiling, Some(ceiling), "{what}");
    }
}

#[test]
fn start_said_after_the_class_changed_still_counts() {
    let (sim, first) = with_object(Said { class: "open", ..FIRST });
    reschedule(&sim, Some("briefly-open"), None);
    sim.pass(Duration::from_mins(30));
    sim.start("a");
    let (_, _, time) = end(&sim, &first);
    let ceiling = NEW_YEAR.saturating_add(Duration::from_mins(210));
    assert!(time <= ceiling && ceiling.since(time) <= Duration::from_secs(3), "gone at {time}");
}
