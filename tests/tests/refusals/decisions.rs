//! Decisions that the engine refuses.

use sexton::decision::{GRACE_MAX, HoldKind};
use sexton::{
    Attribution, Change, ClassSet, Durability, Erasure, Error, ErrorKind, HoldName, NewHold, Registration,
    RegistrationId, Selector, Which,
};
use sexton_proof::id::PageId;
use sexton_proof::time::Timestamp;
use sexton_proof::window::{Calendar, Span, Unit};
use sexton_tests::simulation::{Simulation, key, subject};
use sexton_tests::{DAY, HOUR, NEW_YEAR};
use std::time::Duration;

/// Smallest difference between two instants.
const MS: Duration = Duration::from_millis(1);

const CLASSES: &str = r#"
[class.upload]
within = "3h"

[class.account]
within = "3h"
start = "explicit"
max_open = "2h"

[class.unfound]
within = "3h"
find = "none"

[class.ticketed]
within = "3h"
openings = "ticket"

[class.ended]
within = "3h"

[class.told]
within = "3h"
feed = true
"#;

/// Returns a host with an object of each kind, a hold on one of them, and a class that was closed down.
fn simulation() -> Simulation {
    let sim = Simulation::new(CLASSES);
    sim.put_of("upload", "started", "anna", Some(NEW_YEAR));
    sim.put_of("upload", "held", "bob", Some(NEW_YEAR));
    sim.put_of("account", "open", "anna", None);
    sim.engine()
        .close_down(Selector::Class("ended".into()), Attribution::new("board", "no longer offered"))
        .unwrap();
    sim.hold("case", key("held"));
    sim.enforce();
    sim
}

/// Asserts that a call fails with this kind and these words, in lower case, and that nothing was applied.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    sim: &Simulation,
    kind: ErrorKind,
    words: &[&str],
    ask: impl FnOnce(&Simulation) -> Result<T, Error>,
) {
    let before = sim.machine.kv.image();
    let error = ask(sim).unwrap_err();
    let said = error.to_string();
    assert_eq!(error.kind(), kind, "{said}");
    assert!(!said.starts_with(char::is_uppercase) && !said.ends_with('.'), "{said}");
    for word in words {
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    }
    assert!(sim.machine.kv.image() == before, "something was applied: {said}");
}

fn selectors_that_select_nothing() -> Vec<(Selector, &'static str)> {
    vec![
        (Selector::keys([b""; 0]), "empty list of keys"),
        (Selector::keys([&b"a"[..], b""]), "empty key"),
        (Selector::keys([vec![1; 2049]]), "key of length 2049; 1 to 2048"),
        (Selector::Prefix(vec![]), "empty key prefix"),
        (Selector::Prefix(vec![1; 2049]), "key prefix of length 2049; 1 to 2048"),
        (Selector::Subject(vec![]), "empty subject"),
        (Selector::Subject(vec![1; 256]), "subject of length 256; 1 to 255"),
        (Selector::Class(String::new()), "empty class name"),
        (Selector::Class("uploads".into()), "unknown class \"uploads\"; known are: account, ended"),
    ]
}

#[test]
fn hold_with_an_empty_selector_text_or_taken_name_is_refused() {
    let sim = simulation();
    let place = |new: NewHold| move |sim: &Simulation| sim.engine().place_hold(new);
    let good = || sim.new_hold("new", key("started"), HoldKind::Temporary);
    let with = |change: &dyn Fn(&mut NewHold)| {
        let mut new = good();
        change(&mut new);
        new
    };
    for (selector, words) in selectors_that_select_nothing() {
        let bad = with(&|new| new.selector = selector.clone());
        refused(&sim, ErrorKind::Invalid, &[words], place(bad));
    }
    let long = "x".repeat(1_001);
    let at = NEW_YEAR.to_string();
    let case = HoldName::new("case").unwrap();
    for (bad, words) in [
        (with(&|new| new.name = case.clone()), vec!["\"case\" stands already", "another name"]),
        (with(&|new| new.attribution.reason = "  ".into()), vec!["reason of 0 bytes; 1 to 1000"]),
        (with(&|new| new.attribution.author = long.clone()), vec!["author of 1001 bytes; 1 to 1000"]),
        (with(&|new| new.review = NEW_YEAR), vec!["review date", &at, "in the past"]),
        (with(&|new| new.review = Timestamp::MIN), vec!["review date -9223372036854775808 ms"]),
    ] {
        refused(&sim, ErrorKind::Invalid, &words, place(bad));
    }
    let unnamed = |_: &Simulation| HoldName::new(String::new());
    refused(&sim, ErrorKind::Invalid, &["name of 0 bytes; 1 to 1000"], unnamed);
    sim.engine().place_hold(good()).unwrap();
    sim.assert_sound();
}

#[test]
fn lift_of_an_unknown_hold_or_without_a_reason_is_refused() {
    let sim = simulation();
    let lift = |name: &'static str, attribution: Attribution, grace: Duration| {
        move |sim: &Simulation| sim.engine().lift_hold(&HoldName::new(name)?, attribution, grace)
    };
    let (good, none) = (|| Attribution::new("a", "r"), Duration::ZERO);
    refused(&sim, ErrorKind::NotFound, &["no hold named \"cases\" stands"], lift("cases", good(), none));
    let bad = Attribution::new("a", "");
    refused(&sim, ErrorKind::Invalid, &["reason of 0 bytes"], lift("case", bad, none));
    let bad = Attribution::new("\n", "r");
    refused(&sim, ErrorKind::Invalid, &["author of 0 bytes"], lift("case", bad, none));
    let long = GRACE_MAX + Duration::from_millis(1);
    refused(&sim, ErrorKind::Invalid, &["grace of 316224000001 ms; 0 to"], lift("case", good(), long));
    sim.lift("case", none);
    refused(&sim, ErrorKind::NotFound, &["no hold named \"case\" stands"], lift("case", good(), none));
    sim.assert_sound();
}

#[test]
fn erasure_with_a_bad_selector_instant_or_span_is_refused() {
    let sim = simulation();
    let erase = |erasure: Erasure| move |sim: &Simulation| sim.engine().erase(erasure);
    let good = || sim.erasure(subject("anna"));
    let of = |selector: Selector| Erasure::new(selector, sim.now(), good().attribution);
    let received = |received| Erasure::new(subject("anna"), received, good().attribution);
    let by = |author: &str, reason: &str| {
        Erasure::new(subject("anna"), sim.now(), Attribution::new(author, reason))
    };
    for (selector, words) in [
        (Selector::Class("upload".into()), ["the class \"upload\"", "takes a subject or keys"]),
        (Selector::Prefix(b"a/".into()), ["keys that begin with \"a/\"", "takes a subject or keys"]),
        (Selector::Everything, ["everything", "close it"]),
    ] {
        refused(&sim, ErrorKind::Invalid, &words, erase(of(selector)));
    }
    for (selector, words) in selectors_that_select_nothing() {
        if matches!(selector, Selector::Keys(_) | Selector::Subject(_)) {
            refused(&sim, ErrorKind::Invalid, &[words], erase(of(selector)));
        }
    }
    let words = ["\"another person\"", "nothing to erase"];
    refused(&sim, ErrorKind::NotFound, &words, erase(of(subject("another person"))));
    let span = |count, unit| Span { count, unit };
    for (bad, words) in [
        (received(NEW_YEAR.saturating_add(MS)), vec!["2026-01-01T00:00:00.001Z", "in the future"]),
        (received(Timestamp::MAX), vec!["9223372036854775807", "in the future"]),
        (good().within(span(0, Unit::Hours)), vec!["within 0h", "1 to 1000000"]),
        (good().within(span(1_000_000, Unit::Years)), vec!["within 1000000y"]),
        (good().within(span(1_000_000, Unit::WorkingDays)), vec!["within 1000000wd"]),
        (
            received(Timestamp::MIN).within(span(1, Unit::Months)),
            vec!["within 1mo of -9223372036854775808 ms"],
        ),
        (good().cancellable(Duration::from_millis(u64::MAX)), vec!["18446744073709551615 ms; 0 to"]),
        (
            good().cancellable(15 * DAY).within(span(14, Unit::Days)),
            vec!["cancelled for longer than it may take"],
        ),
        (by("support", ""), vec!["reason of 0 bytes"]),
        (by("", "they asked for it"), vec!["author of 0 bytes"]),
    ] {
        refused(&sim, ErrorKind::Invalid, &words, erase(bad));
    }
    sim.engine().erase(received(Timestamp::MIN)).unwrap();
    sim.enforce();
    assert!(!sim.has("started"), "that a letter lay about for long is no reason to refuse it");
    sim.assert_sound();
}

#[test]
fn calendar_with_a_bad_line_is_refused_with_its_number() {
    for (text, line, words) in [
        ("2026-01-01\n2026-02-30\n", 2, "a date that exists"),
        ("\n# comment\n1 January 2026\n", 3, "a date that exists"),
        ("2026-01-01\n2026-01-01 # again\n", 2, "this is in line 1"),
        ("+2026-01-05\n", 1, "a Saturday or Sunday behind +"),
        ("2026-01-04\n+2026-01-04\n", 2, "this is in line 1"),
        ("+ 2026-01-04\n", 1, "a date that exists"),
    ] {
        let line = format!("line {line} ");
        let said = Calendar::parse(text).unwrap_err().to_string();
        assert!(said.contains(&line) && said.contains(words), "{said:?} lacks {line:?} or {words:?}");
        let file = format!(
            "[calendar.cn]\ndays = \"\"\"\n{text}\"\"\"\n[class.a]\nwithin = \"15wd\"\ncalendar = \"cn\"\n"
        );
        let error = ClassSet::from_toml(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("calendar \"cn\": line "), "{error}");
    }
    let error = ClassSet::from_toml("[class.a]\nwithin = \"15wd\"\ncalendar = \"cn\"\n").unwrap_err();
    assert!(error.to_string().contains("add a [calendar.cn]"), "{error}");
}

#[test]
fn erasure_cannot_be_cancelled_after_its_period() {
    let sim = simulation();
    let cancel = |number: u32| move |sim: &Simulation| sim.engine().cancel_erasure(number);
    refused(&sim, ErrorKind::NotFound, &["no request 77"], cancel(77));
    refused(&sim, ErrorKind::Invalid, &["request 1 is no erasure"], cancel(1));
    let erasure = sim.erasure(key("started")).cancellable(DAY);
    let number = sim.engine().erase(erasure.clone()).unwrap().number;
    let forget = |number: u32| move |sim: &Simulation| sim.engine().forget_request(number);
    refused(&sim, ErrorKind::Invalid, &["still open"], forget(number));
    let cancelled = sim.engine().cancel_erasure(number).unwrap();
    let before = sim.machine.kv.image();
    assert_eq!(sim.engine().cancel_erasure(number).unwrap(), cancelled, "doing it again is fine");
    assert!(sim.machine.kv.image() == before);

    let number = sim.engine().erase(erasure).unwrap().number;
    sim.machine.clock.advance(DAY);
    refused(&sim, ErrorKind::TooLate, &["until 2026-01-02T00:00:00.000Z", "final"], cancel(number));
    sim.enforce();
    refused(&sim, ErrorKind::TooLate, &["final"], cancel(number));
    refused(&sim, ErrorKind::NotFound, &["no request 77"], forget(77));
    refused(&sim, ErrorKind::NotFound, &["no request 77"], |sim| sim.engine().erasure_objects(77));
    sim.assert_sound();
}

fn change(change: Change<'_>) -> impl FnOnce(&Simulation) -> Result<sexton::Changed, Error> + '_ {
    move |sim: &Simulation| sim.change(change)
}

#[test]
fn start_that_is_known_or_too_late_is_refused() {
    let sim = simulation();
    let start =
        |key: &'static str, start: Timestamp| change(Change::Start { of: Which::Key(key.as_bytes()), start });
    let known = NEW_YEAR.to_string();
    refused(
        &sim,
        ErrorKind::Invalid,
        &["known already", &known, "reschedule"],
        start("started", NEW_YEAR.saturating_add(MS)),
    );
    sim.change(Change::Start { of: Which::Key(b"started"), start: NEW_YEAR }).unwrap();
    let late = NEW_YEAR.saturating_add(2 * HOUR);
    refused(
        &sim,
        ErrorKind::Invalid,
        &[&late.to_string(), "max_open"],
        start("open", late.saturating_add(MS)),
    );
    refused(
        &sim,
        ErrorKind::Invalid,
        &["start 0 ms is before 1990"],
        start("open", Timestamp::from_unix_ms(0)),
    );
    refused(&sim, ErrorKind::Invalid, &["max_open"], start("open", Timestamp::MAX));
    refused(&sim, ErrorKind::NotFound, &["no live registration"], start("nothing", NEW_YEAR));
    let page = PageId { class: 9, slot: 1_000, shard: 99, part: 0 };
    for shard in [0, 99] {
        let of = Which::Id(RegistrationId { page: PageId { shard, ..page }, seq: 0 });
        let ask = change(Change::Start { of, start: NEW_YEAR });
        refused(&sim, ErrorKind::NotFound, &["no live registration"], ask);
    }
    sim.machine.clock.advance(2 * HOUR);
    refused(&sim, ErrorKind::Invalid, &["max_open"], start("open", NEW_YEAR.saturating_add(HOUR)));

    // The object is in flight, then gone.
    let id = sim.engine().find(b"started").unwrap().unwrap();
    sim.machine.clock.advance(HOUR);
    let batch = sim.engine().next_batch().unwrap().unwrap();
    refused(&sim, ErrorKind::TooLate, &["on its way"], start("started", NEW_YEAR));
    drop(batch);
    sim.enforce();
    let ask = change(Change::Start { of: Which::Id(id), start: NEW_YEAR });
    refused(&sim, ErrorKind::TooLate, &["has ended: deleted at"], ask);
    refused(&sim, ErrorKind::NotFound, &["no live registration"], start("started", NEW_YEAR));
    sim.assert_sound();
}

/// A class is unusable if it is unknown or closed, or if it finds or opens objects in another way.
#[test]
fn reschedule_to_an_unusable_class_is_refused() {
    let sim = simulation();
    let to = |class: &'static str| {
        let of = Which::Key(b"started");
        change(Change::Reschedule { of, class: Some(class), start: None })
    };
    refused(&sim, ErrorKind::Invalid, &["unknown class \"uploads\"", "known are"], to("uploads"));
    refused(&sim, ErrorKind::Invalid, &["find = \"key\"", "find = \"none\""], to("unfound"));
    refused(&sim, ErrorKind::Invalid, &["openings = \"operator\"", "openings = \"ticket\""], to("ticketed"));
    refused(&sim, ErrorKind::Invalid, &["class \"ended\" was closed down"], to("ended"));
    for (start_ms, words) in [(0, "1990"), (i64::MIN, "1990"), (i64::MAX, "ten years")] {
        let (of, start) = (Which::Key(b"started"), Some(Timestamp::from_unix_ms(start_ms)));
        let ask = change(Change::Reschedule { of, class: None, start });
        refused(&sim, ErrorKind::Invalid, &[&start_ms.to_string(), words], ask);
    }
    sim.change(Change::Reschedule { of: Which::Key(b"started"), class: Some("told"), start: None }).unwrap();
    sim.assert_sound();
}

#[test]
fn held_is_not_released_and_released_is_not_rescheduled() {
    let sim = simulation();
    let release = |key: &'static str| change(Change::Release { of: Which::Key(key.as_bytes()) });
    refused(&sim, ErrorKind::Held, &["cannot be released", "the legal hold \"case\""], release("held"));
    refused(&sim, ErrorKind::NotFound, &["no live registration"], release("nothing"));
    sim.change(Change::Release { of: Which::Key(b"started") }).unwrap();
    let of = Which::Key(b"started");
    let start = Some(NEW_YEAR.saturating_add(MS));
    let ask = change(Change::Reschedule { of, class: None, start });
    refused(&sim, ErrorKind::TooLate, &["is released", "the host has reported its deletion"], ask);
    let ask = change(Change::Content { of, version: b"v2", size: None, start: None });
    refused(&sim, ErrorKind::TooLate, &["is released"], ask);
    sim.assert_sound();
}

#[test]
fn content_with_long_version_or_early_start_is_refused() {
    let sim = simulation();
    let of = |key: &'static str| Which::Key(key.as_bytes());
    let (of_held, start) = (of("held"), Some(Timestamp::from_unix_ms(0)));
    let ask = change(Change::Content { of: of("nothing"), version: b"v2", size: None, start: None });
    refused(&sim, ErrorKind::NotFound, &["no live registration"], ask);
    let ask = change(Change::Content { of: of_held, version: &[7; 1025], size: None, start: None });
    refused(&sim, ErrorKind::Invalid, &["version of 1025 bytes", "0 to 1024"], ask);
    let ask = change(Change::Content { of: of_held, version: b"v2", size: None, start });
    refused(&sim, ErrorKind::Invalid, &["before 1990-01-01"], ask);
    sim.assert_sound();
}

#[test]
fn valid_changes_apply_beside_refused_ones() {
    let sim = simulation();
    let of = |key: &'static str| Which::Key(key.as_bytes());
    let changes = [
        Change::Release { of: of("held") },
        Change::Start { of: of("open"), start: NEW_YEAR },
        Change::Release { of: of("nothing") },
    ];
    let answers = sim.engine().change(&changes, Durability::Synced).unwrap();
    let kinds: Vec<_> = answers.iter().map(|a| a.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [Some(ErrorKind::Held), None, Some(ErrorKind::NotFound)]);
    sim.assert_sound();
}

#[test]
fn closed_class_refuses_objects_and_only_classes_close() {
    let sim = simulation();
    let register = |sim: &Simulation| {
        let registrations = [Registration::new("upload", b"good"), Registration::new("ended", b"bad")];
        sim.engine().register(&registrations, Durability::Synced)
    };
    let words = ["registration 2 of 2", "class \"ended\" was closed down"];
    refused(&sim, ErrorKind::Invalid, &words, register);
    let good = || Attribution::new("a", "r");
    let close = |selector: Selector| move |sim: &Simulation| sim.engine().close_down(selector, good());
    refused(&sim, ErrorKind::Invalid, &["the subject \"anna\" cannot be closed"], close(subject("anna")));
    refused(&sim, ErrorKind::Invalid, &["unknown class \"x\""], close(Selector::Class("x".into())));
    for bad in [Attribution::new("a", ""), Attribution::new("", "r")] {
        refused(&sim, ErrorKind::Invalid, &["of 0 bytes"], |sim| {
            sim.engine().close_down(Selector::Everything, bad.clone())
        });
        refused(&sim, ErrorKind::Invalid, &["of 0 bytes"], |sim| {
            sim.engine().apply_class("upload", bad.clone())
        });
    }
    refused(&sim, ErrorKind::Invalid, &["unknown class \"x\""], |sim| sim.engine().apply_class("x", good()));
    sim.put("upload", "still open");
    sim.assert_sound();
}

#[test]
fn new_class_version_that_opens_differently_is_not_applied() {
    let sim = simulation();
    let other = "[class.upload]\nwithin = \"3h\"\nopenings = \"ticket\"\n";
    sim.engine().define_classes(&ClassSet::from_toml(other).unwrap()).unwrap();
    let words = ["openings = \"operator\"", "openings = \"ticket\""];
    let attribution = Attribution::new("a", "r");
    refused(&sim, ErrorKind::Invalid, &words, |sim| sim.engine().apply_class("upload", attribution));
    sim.assert_sound();
}

#[test]
fn feed_entry_that_was_never_given_cannot_be_acknowledged() {
    let sim = simulation();
    let acknowledge = |number: u64| move |sim: &Simulation| sim.engine().acknowledge_feed(number);
    refused(&sim, ErrorKind::Invalid, &["the feed has no entry 1; its last is 0"], acknowledge(1));
    sim.put("told", "a");
    sim.pass(3 * HOUR);
    refused(&sim, ErrorKind::Invalid, &["18446744073709551615", "its last is 1"], acknowledge(u64::MAX));
    assert_eq!(sim.engine().feed(u64::MAX, 10).unwrap(), []);
    assert_eq!(sim.engine().feed(0, 0).unwrap(), [], "nothing was asked for");
    assert_eq!(sim.engine().feed(0, usize::MAX).unwrap().len(), 1);
    sim.engine().acknowledge_feed(1).unwrap();
    sim.assert_sound();
}
