//! Legal holds: what they cover stays until they are lifted, whatever else was promised.

use crate::site::{DAY_MS, Site, key, subject};
use sexton::store::Answer;
use sexton::{Erasure, HoldKind, Outcome as Answered, RegistrationId, Selector};
use sexton_proof::receipt::Outcome;
use sexton_proof::record::{Method, Reason};
use sexton_tests::{HOUR_MS, NEW_YEAR_MS};

/// A short class, one with a floor and a wide window behind it, one that is open until it is started.
const CLASSES: &str = r#"
[class.upload]
within = "3h"

[class.kept]
keep = "10d"
within = "20d"

[class.account]
within = "3h"
start = "explicit"
max_open = "30d"
"#;

const CEILING_MS: i64 = NEW_YEAR_MS + 3 * HOUR_MS;

fn site() -> Site {
    Site::new(CLASSES)
}

fn after_hold(by_ms: i64) -> (Outcome, Method, Reason) {
    (Outcome::AfterHold { by_ms: u64::try_from(by_ms).unwrap() }, Method::Deleted, Reason::Lifted)
}

#[test]
fn a_hold_keeps_what_its_keys_prefix_subject_or_class_cover_and_nothing_else() {
    for (selector, kept) in [
        (key("a/1"), &["a/1"][..]),
        (Selector::Keys(vec![b"a/1".into(), b"b/1".into()]), &["a/1", "b/1"]),
        (Selector::Prefix(b"a/".into()), &["a/1", "a/2"]),
        (subject("anna"), &["a/1", "b/1"]),
        (Selector::Class("account".into()), &["b/2"]),
        (Selector::Everything, &["a/1", "a/2", "b/1", "b/2"]),
    ] {
        let site = site();
        let start = Some(NEW_YEAR_MS);
        for (class, key, subject) in
            [("upload", "a/1", "anna"), ("upload", "a/2", "bob"), ("upload", "b/1", "anna")]
        {
            site.put_of(class, key, subject, start);
        }
        site.put_of("account", "b/2", "bob", start);
        assert_eq!(site.hold("case", selector.clone()), []);
        site.pass(DAY_MS);
        let left: Vec<&str> = ["a/1", "a/2", "b/1", "b/2"].into_iter().filter(|key| site.has(key)).collect();
        assert_eq!(left, kept, "{}", selector.describe());
        let (upload, account) = (site.class("upload"), site.class("account"));
        assert_eq!(upload.held + account.held, kept.len() as u64);
        assert_eq!(upload.ended.held + account.ended.held, kept.len() as u64);
        site.assert_sound();
    }
}

#[test]
fn an_object_under_several_holds_goes_when_the_last_of_them_is_lifted() {
    let site = site();
    let id = site.put_of("upload", "a", "anna", None);
    site.hold("one", key("a"));
    site.hold("two", subject("anna"));
    site.hold("three", Selector::Class("upload".into()));
    site.pass(DAY_MS);
    for name in ["two", "one"] {
        site.lift(name, 0);
        site.pass(DAY_MS);
        assert!(site.has("a"), "{name} was not the last");
    }
    site.lift("three", 0);
    site.enforce();
    assert_eq!(site.receipt(id, "a"), after_hold(2 * DAY_MS + 21 * HOUR_MS));
    assert_eq!(site.engine().status().unwrap().holds, 0);
    assert_eq!(site.engine().holds().len(), 3, "lifted ones stay on record");
    site.assert_sound();
}

#[test]
fn a_standing_hold_covers_what_is_registered_later() {
    let site = site();
    site.hold("case", Selector::Prefix(b"mail/anna/".into()));
    site.pass(10 * DAY_MS);
    let held = site.put("upload", "mail/anna/9");
    site.put("upload", "mail/bob/9");
    site.pass(DAY_MS);
    assert!(site.has("mail/anna/9") && !site.has("mail/bob/9"));
    site.lift("case", 0);
    site.enforce();
    assert_eq!(site.receipt(held, "mail/anna/9"), after_hold(21 * HOUR_MS));
    site.assert_sound();
}

#[test]
fn a_temporary_hold_lets_the_clock_run_and_an_event_restarts_it() {
    for (kind, start_ms, outcome) in [
        (HoldKind::Temporary, NEW_YEAR_MS, after_hold(9 * HOUR_MS)),
        (HoldKind::Event, NEW_YEAR_MS + 12 * HOUR_MS, (Outcome::Kept, Method::Deleted, Reason::Due)),
    ] {
        let site = site();
        let id = site.put("upload", "a");
        site.hold_of("case", key("a"), kind);
        site.pass(12 * HOUR_MS);
        site.lift("case", 0);
        site.enforce();
        assert_eq!(site.has("a"), kind == HoldKind::Event);
        site.pass(3 * HOUR_MS);
        assert_eq!(site.verdict(id, "a").start_ms, start_ms);
        assert_eq!(site.receipt(id, "a"), outcome);
        site.assert_sound();
    }
}

#[test]
fn an_object_whose_hold_is_lifted_before_its_floor_goes_in_its_window_as_if_there_had_been_none() {
    let site = site();
    let id = site.put("kept", "a");
    site.hold("case", key("a"));
    site.pass(5 * DAY_MS);
    site.lift("case", 2 * DAY_MS);
    site.pass(5 * DAY_MS - 1);
    assert!(site.has("a"));
    site.pass(2 * HOUR_MS);
    assert_eq!(site.receipt(id, "a"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn an_object_whose_hold_is_lifted_in_its_window_goes_after_the_grace_or_at_the_latest_in_time() {
    for (grace_ms, goes_ms) in [(2 * DAY_MS, 17 * DAY_MS), (90 * DAY_MS, 20 * DAY_MS)] {
        let site = site();
        let id = site.put("kept", "a");
        site.hold("case", key("a"));
        site.pass(15 * DAY_MS);
        site.lift("case", grace_ms);
        site.pass_until(NEW_YEAR_MS + goes_ms - 2 * HOUR_MS);
        assert!(site.has("a"), "{grace_ms}");
        site.pass(2 * HOUR_MS);
        assert_eq!(site.receipt(id, "a"), (Outcome::Kept, Method::Deleted, Reason::Due));
        site.assert_sound();
    }
}

#[test]
fn an_object_whose_hold_is_lifted_after_its_ceiling_goes_after_the_grace_and_not_at_once() {
    let mut site = site();
    let id = site.put("upload", "a");
    site.hold("case", key("a"));
    site.pass(2 * DAY_MS);
    site.lift("case", DAY_MS);
    site.pass(DAY_MS - 1_000);
    site.lose_power();
    site.enforce();
    assert!(site.has("a"));
    site.pass(1_000);
    assert_eq!(site.receipt(id, "a"), after_hold(2 * DAY_MS + 21 * HOUR_MS));
    assert_eq!(site.class("upload").ended.late_after_hold, 1);
    site.assert_sound();
}

#[test]
fn an_object_whose_ceiling_passed_under_a_hold_while_the_engine_was_off_has_the_grace_as_well() {
    let mut site = site();
    let id = site.put("upload", "a");
    site.hold("case", key("a"));
    site.close();
    site.machine.clock.advance(2 * DAY_MS);
    site.reopen();
    site.lift("case", DAY_MS);
    site.pass(DAY_MS - 1_000);
    assert!(site.has("a"));
    site.pass(1_000);
    assert_eq!(site.receipt(id, "a"), after_hold(2 * DAY_MS + 21 * HOUR_MS));
    site.assert_sound();
}

#[test]
fn somebody_who_asks_for_erasure_in_the_grace_gets_it_and_the_receipt_still_names_the_hold() {
    let site = site();
    let id = site.put_of("upload", "a", "anna", None);
    site.hold("case", key("a"));
    site.pass(2 * DAY_MS);
    site.lift("case", 30 * DAY_MS);
    site.pass(DAY_MS);
    site.erase(subject("anna"));
    site.enforce();
    assert!(!site.has("a"));
    assert_eq!(site.receipt(id, "a"), after_hold(2 * DAY_MS + 21 * HOUR_MS));
    site.assert_sound();
}

#[test]
fn what_was_asked_to_be_erased_under_an_event_hold_goes_when_that_is_lifted() {
    let site = site();
    let id = site.put_of("upload", "a", "anna", None);
    site.hold_of("case", key("a"), HoldKind::Event);
    site.erase(subject("anna"));
    site.pass(2 * DAY_MS);
    assert!(site.has("a"));
    site.lift("case", HOUR_MS);
    site.pass(HOUR_MS);
    assert!(!site.has("a"));
    assert_eq!(site.receipt(id, "a"), after_hold(DAY_MS + 22 * HOUR_MS));
    site.assert_sound();
}

#[test]
fn holds_and_their_lifting_survive_a_restart_and_the_loss_of_power() {
    let mut site = site();
    let id = site.put("upload", "a");
    site.hold("case", key("a"));
    site.lose_power();
    site.pass(DAY_MS);
    site.reopen();
    site.pass(DAY_MS);
    assert!(site.has("a"));
    assert_eq!((site.class("upload").held, site.engine().status().unwrap().holds), (1, 1));
    site.lift("case", 0);
    site.lose_power();
    site.pass(1_000);
    assert!(matches!(site.receipt(id, "a").0, Outcome::AfterHold { .. }));
    site.assert_sound();
}

/// A batch of three that is out: two of anna's objects, one of bob's.
fn out(site: &Site) -> (sexton::Batch, Vec<RegistrationId>) {
    let ids = [("a", "anna"), ("b", "anna"), ("c", "bob")]
        .map(|(key, subject)| site.put_of("upload", key, subject, None));
    site.put_of("kept", "d", "anna", None);
    site.machine.clock.set(CEILING_MS - 20_000);
    let batch = site.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 3);
    (batch, ids.into())
}

#[test]
fn a_hold_placed_while_a_batch_is_out_answers_too_late_for_exactly_what_it_covers_of_it() {
    let site = site();
    let (batch, ids) = out(&site);
    let mut too_late = site.hold("case", subject("anna"));
    too_late.sort_unstable();
    let mut annas = ids[..2].to_vec();
    annas.sort_unstable();
    assert_eq!(too_late, annas, "bob's is not covered, and hers of the other class is not out");

    // The store could not delete one of them: that one is held from here on.
    let outcomes = batch.objects().map(|object| {
        let failed = object.key == b"a";
        let answer = if failed { Answer::Failed("it is busy".into()) } else { Answer::Deleted };
        Answered { answer, at_ms: site.now_ms() }
    });
    let outcomes = outcomes.collect();
    site.engine().complete(batch, outcomes).unwrap();
    site.pass(30 * DAY_MS);
    assert!(site.has("a") && site.has("d"));
    assert_eq!(site.hold("another case", subject("anna")), [], "nothing is out any more");
    site.assert_sound();
}

#[test]
fn a_hold_placed_before_planning_keeps_everything_that_it_covers() {
    let site = site();
    for n in 0..200 {
        site.put_of("upload", &n.to_string(), if n % 2 == 0 { "anna" } else { "bob" }, None);
    }
    site.machine.clock.set(CEILING_MS - 20_000);
    assert_eq!(site.hold("case", subject("anna")), []);
    site.pass(HOUR_MS);
    assert_eq!(site.machine.store.len(), 100);
    assert!((0..200).all(|n| site.has(&n.to_string()) == (n % 2 == 0)));
    let class = site.class("upload");
    assert_eq!((class.live, class.held, class.ended.held, class.ended.deleted), (100, 100, 100, 100));
    site.assert_sound();
}

#[test]
fn a_batch_that_is_handed_out_again_after_a_crash_leaves_out_what_is_held_by_now() {
    let mut site = site();
    let (batch, ids) = out(&site);
    let number = batch.number();
    drop(batch);
    site.lose_power();
    assert_eq!(site.hold("case", subject("anna")).len(), 2, "nobody knows how far the store had come");
    let batch = site.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.number(), number);
    assert_eq!(batch.objects().map(|object| object.id).collect::<Vec<_>>(), ids[2..]);
    drop(batch);
    site.pass(DAY_MS);
    assert!(site.has("a") && site.has("b") && !site.has("c"));
    site.lift("case", 0);
    site.enforce();
    assert!(!site.has("a") && !site.has("b"));
    for (id, key) in ids.iter().zip(["a", "b"]) {
        assert!(matches!(site.receipt(*id, key).0, Outcome::AfterHold { .. }));
    }
    site.assert_sound();
}

#[test]
fn an_object_whose_hold_is_lifted_while_other_batches_are_out_is_not_forgotten() {
    let site = site();
    site.put("upload", "a");
    let id = site.put_of("upload", "b", "", Some(NEW_YEAR_MS + 120_000));
    site.hold("case", key("b"));
    let next = || site.engine().next_batch().unwrap();
    let complete = |batch: sexton::Batch| {
        let at_ms = site.now_ms();
        let outcomes = batch.objects().map(|object| {
            site.machine.store.remove(object.key);
            Answered { answer: Answer::Deleted, at_ms }
        });
        let outcomes = outcomes.collect();
        site.engine().complete(batch, outcomes).unwrap();
    };
    site.machine.clock.set(CEILING_MS - 20_000);
    let first = next().unwrap();
    site.lift("case", 0);
    assert!(next().is_none());
    site.machine.clock.advance(120_000);
    let second = next().unwrap(); // the hold was lifted, and who looks for its objects waits for the first batch
    complete(first);
    assert!(next().is_none());
    complete(second);
    site.pass(1_000);
    assert_eq!(site.receipt(id, "b"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn a_held_object_is_asked_for_once_in_thirty_days_and_not_at_every_planning() {
    let site = site();
    site.put("upload", "a");
    site.hold("case", key("a"));
    site.pass(20 * DAY_MS);
    assert_eq!(site.class("upload").ended.held, 1);
    site.pass(20 * DAY_MS);
    assert_eq!(site.class("upload").ended.held, 2);
    assert_eq!(site.machine.store.asked(), 0);
    site.assert_sound();
}

#[test]
fn an_open_object_under_a_hold_can_be_started_and_stays() {
    let site = site();
    let id = site.put("account", "a");
    site.hold("case", key("a"));
    site.pass(DAY_MS);
    site.start("a");
    site.pass(DAY_MS);
    assert!(site.has("a"));
    site.lift("case", 0);
    site.enforce();
    assert_eq!(site.receipt(id, "a"), after_hold(21 * HOUR_MS));
    site.assert_sound();
}

#[test]
fn an_erasure_past_its_date_and_a_hold_past_its_review_need_a_person_and_what_is_held_does_not() {
    let site = site();
    site.put("upload", "photo");
    site.hold("investigation", key("photo"));
    let erasure = Erasure { within: Some("15d".parse().unwrap()), ..site.erasure(key("photo")) };
    let number = site.engine().erase(erasure).unwrap().number;
    let needs = || site.engine().needs(&site.engine().status().unwrap()).unwrap();
    site.pass(15 * DAY_MS);
    assert!(needs().is_empty(), "{:?}", needs());

    site.pass(75 * DAY_MS + 1_000);
    assert_eq!(
        needs(),
        ["hold \"investigation\" was to be reviewed by now"],
        "a hold keeps what was asked for"
    );
    site.lift("investigation", DAY_MS);
    site.enforce();
    let late = format!("erasure {number} was to be answered by now, and 1 of its objects still wait");
    assert!(needs().contains(&late), "{:?}", needs());
    site.pass(DAY_MS);
    assert!(needs().is_empty(), "{:?}", needs());
}
