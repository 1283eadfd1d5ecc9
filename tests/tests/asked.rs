//! What cannot be done is refused in one clear sentence with the value, and nothing of it is applied.

use crate::site::{DAY_MS, Site, key, subject};
use sexton::{
    Change, ClassSet, Durability, Erasure, Error, ErrorKind, GRACE_MAX_MS, HoldKind, NewHold, Registration,
    RegistrationId, SELECTOR_KEYS_MAX, Selector, Which,
};
use sexton_proof::id::PageId;
use sexton_proof::window::{Calendar, Span, Unit};
use sexton_tests::{HOUR_MS, NEW_YEAR_MS};

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

/// A site with one object of each kind, a hold that stands on one, and a class that was closed down.
fn site() -> Site {
    let site = Site::new(CLASSES);
    site.put_of("upload", "started", "anna", Some(NEW_YEAR_MS));
    site.put_of("upload", "held", "bob", Some(NEW_YEAR_MS));
    site.put_of("account", "open", "anna", None);
    site.engine().close_down(Selector::Class("ended".into()), "no longer offered", "board").unwrap();
    site.hold("case", key("held"));
    site.enforce();
    site
}

/// That the error is of this kind, a sentence in lower case, says these words; and that nothing was applied.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    site: &Site,
    kind: ErrorKind,
    words: &[&str],
    ask: impl FnOnce(&Site) -> Result<T, Error>,
) {
    let before = site.machine.kv.image();
    let error = ask(site).unwrap_err();
    let said = error.to_string();
    assert_eq!(error.kind(), kind, "{said}");
    assert!(!said.starts_with(char::is_uppercase) && !said.ends_with('.'), "{said}");
    for word in words {
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    }
    assert!(site.machine.kv.image() == before, "something was applied: {said}");
}

fn selectors_that_select_nothing() -> Vec<(Selector, &'static str)> {
    vec![
        (Selector::Keys(vec![]), "empty list of keys"),
        (Selector::Keys(vec![b"a".into(), vec![]]), "empty key"),
        (
            Selector::Keys(vec![b"a".into(); SELECTOR_KEYS_MAX + 1]),
            "list of keys of length 10001; 1 to 10000",
        ),
        (Selector::Keys(vec![vec![1; 1025]]), "key of length 1025; 1 to 1024"),
        (Selector::Prefix(vec![]), "empty key prefix"),
        (Selector::Prefix(vec![1; 1025]), "key prefix of length 1025; 1 to 1024"),
        (Selector::Subject(vec![]), "empty subject"),
        (Selector::Subject(vec![1; 256]), "subject of length 256; 1 to 255"),
        (Selector::Class(String::new()), "empty class name"),
        (Selector::Class("uploads".into()), "unknown class \"uploads\"; known are: account, ended"),
    ]
}

#[test]
fn a_hold_that_covers_nothing_or_says_nothing_or_has_anothers_name_is_refused() {
    let site = site();
    let place = |new: NewHold| move |site: &Site| site.engine().place_hold(new);
    let good = || site.new_hold("new", key("started"), HoldKind::Temporary);
    for (selector, words) in selectors_that_select_nothing() {
        refused(&site, ErrorKind::Invalid, &[words], place(NewHold { selector, ..good() }));
    }
    let long = "x".repeat(1_001);
    let at = NEW_YEAR_MS.to_string();
    for (bad, words) in [
        (NewHold { name: "case".into(), ..good() }, vec!["\"case\" stands already", "another name"]),
        (NewHold { name: String::new(), ..good() }, vec!["name of 0 bytes; 1 to 1000"]),
        (NewHold { reason: "  ".into(), ..good() }, vec!["reason of 0 bytes; 1 to 1000"]),
        (NewHold { author: long, ..good() }, vec!["author of 1001 bytes; 1 to 1000"]),
        (NewHold { review_ms: NEW_YEAR_MS, ..good() }, vec!["review date", &at, "in the past"]),
        (NewHold { review_ms: i64::MIN, ..good() }, vec!["review date -9223372036854775808 ms"]),
    ] {
        refused(&site, ErrorKind::Invalid, &words, place(bad));
    }
    site.engine().place_hold(good()).unwrap();
    site.assert_sound();
}

#[test]
fn lifting_what_does_not_stand_or_without_a_reason_is_refused() {
    let site = site();
    let lift = |name: &'static str, reason: &'static str, author: &'static str, grace_ms: i64| {
        move |site: &Site| site.engine().lift_hold(name, reason, author, grace_ms)
    };
    refused(&site, ErrorKind::NotFound, &["no hold named \"cases\" stands"], lift("cases", "r", "a", 0));
    refused(&site, ErrorKind::Invalid, &["reason of 0 bytes"], lift("case", "", "a", 0));
    refused(&site, ErrorKind::Invalid, &["author of 0 bytes"], lift("case", "r", "\n", 0));
    refused(&site, ErrorKind::Invalid, &["grace of -1 ms; 0 to"], lift("case", "r", "a", -1));
    refused(&site, ErrorKind::Invalid, &["316224000001 ms"], lift("case", "r", "a", GRACE_MAX_MS + 1));
    site.lift("case", 0);
    refused(&site, ErrorKind::NotFound, &["no hold named \"case\" stands"], lift("case", "r", "a", 0));
    site.assert_sound();
}

#[test]
fn an_erasure_takes_a_subject_or_keys_a_past_instant_and_a_span_that_exists() {
    let site = site();
    let erase = |erasure: Erasure| move |site: &Site| site.engine().erase(erasure);
    let good = || site.erasure(subject("anna"));
    for (selector, words) in [
        (Selector::Class("upload".into()), ["the class \"upload\"", "takes a subject or keys"]),
        (Selector::Prefix(b"a/".into()), ["keys that begin with \"a/\"", "takes a subject or keys"]),
        (Selector::Everything, ["everything", "close it"]),
    ] {
        refused(&site, ErrorKind::Invalid, &words, erase(Erasure { selector, ..good() }));
    }
    for (selector, words) in selectors_that_select_nothing() {
        if matches!(selector, Selector::Keys(_) | Selector::Subject(_)) {
            refused(&site, ErrorKind::Invalid, &[words], erase(Erasure { selector, ..good() }));
        }
    }
    let unknown = Erasure { selector: subject("somebody else"), ..good() };
    refused(&site, ErrorKind::NotFound, &["\"somebody else\"", "nothing to erase"], erase(unknown));
    let span = |count, unit| Some(Span { count, unit });
    for (bad, words) in [
        (Erasure { received_ms: NEW_YEAR_MS + 1, ..good() }, vec!["1767225600001", "in the future"]),
        (Erasure { received_ms: i64::MAX, ..good() }, vec!["9223372036854775807", "in the future"]),
        (Erasure { within: span(0, Unit::Hours), ..good() }, vec!["within 0h", "1 to 1000000"]),
        (Erasure { within: span(1_000_000, Unit::Years), ..good() }, vec!["within 1000000y"]),
        (Erasure { within: span(1_000_000, Unit::WorkingDays), ..good() }, vec!["within 1000000wd"]),
        (
            Erasure { within: span(1, Unit::Months), received_ms: i64::MIN, ..good() },
            vec!["within 1mo of -9223372036854775808 ms"],
        ),
        (Erasure { cancellable_ms: -1, ..good() }, vec!["cancellable for -1 ms; 0 to"]),
        (Erasure { cancellable_ms: i64::MAX, ..good() }, vec!["9223372036854775807 ms; 0 to"]),
        (
            Erasure { cancellable_ms: 15 * DAY_MS, within: span(14, Unit::Days), ..good() },
            vec!["cancelled for longer than it may take"],
        ),
        (Erasure { reason: String::new(), ..good() }, vec!["reason of 0 bytes"]),
        (Erasure { author: String::new(), ..good() }, vec!["author of 0 bytes"]),
    ] {
        refused(&site, ErrorKind::Invalid, &words, erase(bad));
    }
    site.engine().erase(Erasure { received_ms: i64::MIN, ..good() }).unwrap();
    site.enforce();
    assert!(!site.has("started"), "that a letter lay about for long is no reason to refuse it");
    site.assert_sound();
}

#[test]
fn a_holiday_file_with_a_bad_line_is_refused_with_its_number() {
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
fn an_erasure_is_cancelled_in_time_or_not_at_all() {
    let site = site();
    let cancel = |number: u32| move |site: &Site| site.engine().cancel_erasure(number);
    refused(&site, ErrorKind::NotFound, &["no request 77"], cancel(77));
    refused(&site, ErrorKind::Invalid, &["request 1 is no erasure"], cancel(1));
    let erasure = Erasure { cancellable_ms: DAY_MS, ..site.erasure(key("started")) };
    let number = site.engine().erase(erasure.clone()).unwrap().number;
    let forget = |number: u32| move |site: &Site| site.engine().forget_request(number);
    refused(&site, ErrorKind::Invalid, &["still open"], forget(number));
    let cancelled = site.engine().cancel_erasure(number).unwrap();
    let before = site.machine.kv.image();
    assert_eq!(site.engine().cancel_erasure(number).unwrap(), cancelled, "doing it again is fine");
    assert!(site.machine.kv.image() == before);

    let number = site.engine().erase(erasure).unwrap().number;
    site.machine.clock.advance(DAY_MS);
    refused(&site, ErrorKind::TooLate, &["until 1767312000000 ms", "final"], cancel(number));
    site.enforce();
    refused(&site, ErrorKind::TooLate, &["final"], cancel(number));
    refused(&site, ErrorKind::NotFound, &["no request 77"], forget(77));
    refused(&site, ErrorKind::NotFound, &["no request 77"], |site| site.engine().erasure_items(77));
    site.assert_sound();
}

fn change(change: Change<'_>) -> impl FnOnce(&Site) -> Result<sexton::Changed, Error> + '_ {
    move |site: &Site| site.change(change)
}

#[test]
fn a_start_that_is_known_or_comes_too_late_is_refused() {
    let site = site();
    let start =
        |key: &'static str, start_ms: i64| change(Change::Start { of: Which::Key(key.as_bytes()), start_ms });
    let known = NEW_YEAR_MS.to_string();
    refused(
        &site,
        ErrorKind::Invalid,
        &["known already", &known, "reschedule"],
        start("started", NEW_YEAR_MS + 1),
    );
    site.change(Change::Start { of: Which::Key(b"started"), start_ms: NEW_YEAR_MS }).unwrap();
    let late = NEW_YEAR_MS + 2 * HOUR_MS;
    refused(&site, ErrorKind::Invalid, &[&late.to_string(), "max_open"], start("open", late + 1));
    refused(&site, ErrorKind::Invalid, &["start 0 ms is before 1990"], start("open", 0));
    refused(&site, ErrorKind::Invalid, &["max_open"], start("open", i64::MAX));
    refused(&site, ErrorKind::NotFound, &["no live registration"], start("nothing", NEW_YEAR_MS));
    let page = PageId { class: 9, slot: 1_000, shard: 99, part: 0 };
    for shard in [0, 99] {
        let of = Which::Id(RegistrationId { page: PageId { shard, ..page }, seq: 0 });
        let ask = change(Change::Start { of, start_ms: NEW_YEAR_MS });
        refused(&site, ErrorKind::NotFound, &["no live registration"], ask);
    }
    site.machine.clock.advance(2 * HOUR_MS);
    refused(&site, ErrorKind::Invalid, &["max_open"], start("open", NEW_YEAR_MS + HOUR_MS));

    // On its way, and gone.
    let id = site.engine().find(b"started").unwrap().unwrap();
    site.machine.clock.advance(HOUR_MS);
    let batch = site.engine().next_batch().unwrap().unwrap();
    refused(&site, ErrorKind::TooLate, &["on its way"], start("started", NEW_YEAR_MS));
    drop(batch);
    site.enforce();
    let ask = change(Change::Start { of: Which::Id(id), start_ms: NEW_YEAR_MS });
    refused(&site, ErrorKind::TooLate, &["has ended: deleted at"], ask);
    refused(&site, ErrorKind::NotFound, &["no live registration"], start("started", NEW_YEAR_MS));
    site.assert_sound();
}

#[test]
fn an_object_is_not_rescheduled_to_a_class_that_is_unknown_closed_or_finds_or_opens_in_another_way() {
    let site = site();
    let to = |class: &'static str| {
        let of = Which::Key(b"started");
        change(Change::Reschedule { of, class: Some(class), start_ms: None })
    };
    refused(&site, ErrorKind::Invalid, &["unknown class \"uploads\"", "known are"], to("uploads"));
    refused(&site, ErrorKind::Invalid, &["find = \"key\"", "find = \"none\""], to("unfound"));
    refused(&site, ErrorKind::Invalid, &["openings = \"operator\"", "openings = \"ticket\""], to("ticketed"));
    refused(&site, ErrorKind::Invalid, &["class \"ended\" was closed down"], to("ended"));
    for (start_ms, words) in [(0, "1990"), (i64::MIN, "1990"), (i64::MAX, "ten years")] {
        let of = Which::Key(b"started");
        let ask = change(Change::Reschedule { of, class: None, start_ms: Some(start_ms) });
        refused(&site, ErrorKind::Invalid, &[&start_ms.to_string(), words], ask);
    }
    site.change(Change::Reschedule { of: Which::Key(b"started"), class: Some("told"), start_ms: None })
        .unwrap();
    site.assert_sound();
}

#[test]
fn what_is_held_cannot_be_released_and_what_was_released_cannot_be_rescheduled() {
    let site = site();
    let release = |key: &'static str| change(Change::Release { of: Which::Key(key.as_bytes()) });
    refused(&site, ErrorKind::Held, &["cannot be released", "the legal hold \"case\""], release("held"));
    refused(&site, ErrorKind::NotFound, &["no live registration"], release("nothing"));
    site.change(Change::Release { of: Which::Key(b"started") }).unwrap();
    let of = Which::Key(b"started");
    let ask = change(Change::Reschedule { of, class: None, start_ms: Some(NEW_YEAR_MS + 1) });
    refused(&site, ErrorKind::TooLate, &["has deleted it itself"], ask);
    site.assert_sound();
}

#[test]
fn of_several_changes_the_bad_ones_are_refused_and_the_good_ones_done() {
    let site = site();
    let of = |key: &'static str| Which::Key(key.as_bytes());
    let changes = [
        Change::Release { of: of("held") },
        Change::Start { of: of("open"), start_ms: NEW_YEAR_MS },
        Change::Release { of: of("nothing") },
    ];
    let answers = site.engine().change(&changes, Durability::Synced).unwrap();
    let kinds: Vec<_> = answers.iter().map(|a| a.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [Some(ErrorKind::Held), None, Some(ErrorKind::NotFound)]);
    site.assert_sound();
}

#[test]
fn a_class_that_was_closed_down_takes_nothing_and_only_classes_are_closed_down() {
    let site = site();
    let register = |site: &Site| {
        let items = [Registration::new("upload", b"good"), Registration::new("ended", b"bad")];
        site.engine().register(&items, Durability::Synced)
    };
    let words = ["registration 2 of 2", "class \"ended\" was closed down"];
    refused(&site, ErrorKind::Invalid, &words, register);
    let close = |selector: Selector| move |site: &Site| site.engine().close_down(selector, "r", "a");
    refused(&site, ErrorKind::Invalid, &["the subject \"anna\" cannot be closed"], close(subject("anna")));
    refused(&site, ErrorKind::Invalid, &["unknown class \"x\""], close(Selector::Class("x".into())));
    for (reason, author) in [("", "a"), ("r", "")] {
        refused(&site, ErrorKind::Invalid, &["of 0 bytes"], |site| {
            site.engine().close_down(Selector::Everything, reason, author)
        });
        refused(&site, ErrorKind::Invalid, &["of 0 bytes"], |site| {
            site.engine().apply_class("upload", reason, author)
        });
    }
    refused(&site, ErrorKind::Invalid, &["unknown class \"x\""], |site| {
        site.engine().apply_class("x", "r", "a")
    });
    site.put("upload", "still open");
    site.assert_sound();
}

#[test]
fn a_new_version_of_a_class_is_not_applied_to_objects_that_open_in_another_way() {
    let site = site();
    let other = "[class.upload]\nwithin = \"3h\"\nopenings = \"ticket\"\n";
    site.engine().define(&ClassSet::from_toml(other).unwrap()).unwrap();
    let words = ["openings = \"operator\"", "openings = \"ticket\""];
    refused(&site, ErrorKind::Invalid, &words, |site| site.engine().apply_class("upload", "r", "a"));
    site.assert_sound();
}

#[test]
fn what_the_feed_never_gave_cannot_be_acknowledged() {
    let site = site();
    let acknowledge = |number: u64| move |site: &Site| site.engine().acknowledge_feed(number);
    refused(&site, ErrorKind::Invalid, &["entry 1 was never given; the last one is 0"], acknowledge(1));
    site.put("told", "a");
    site.pass(3 * HOUR_MS);
    refused(&site, ErrorKind::Invalid, &["18446744073709551615", "the last one is 1"], acknowledge(u64::MAX));
    assert_eq!(site.engine().feed(u64::MAX, 10).unwrap(), []);
    assert_eq!(site.engine().feed(0, 0).unwrap(), [], "nothing was asked for");
    assert_eq!(site.engine().feed(0, usize::MAX).unwrap().len(), 1);
    site.engine().acknowledge_feed(1).unwrap();
    site.assert_sound();
}
