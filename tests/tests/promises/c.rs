//! C. COCO, an app for talking with others.

use super::COCO;
use crate::site::{DAY_MS, MINUTE_MS, Site, key, ms, subject};
use sexton::{
    ClassSet, Durability, Erasure, ErrorKind, Progress, Registration, RequestState, Screened, Selector,
};
use sexton_proof::receipt::Outcome;
use sexton_proof::record::{Method, Reason};
use sexton_proof::window::Calendar;
use sexton_tests::{HOUR_MS, NEW_YEAR_MS, anonymised};

/// The days on which nobody works in China, as the class file has them.
fn calendar() -> Calendar {
    let classes = ClassSet::from_toml(COCO).unwrap();
    classes.iter().find(|class| class.name == "request-paper").unwrap().calendar.clone()
}

fn open_request(site: &Site) -> Option<u32> {
    site.engine().status().unwrap().oldest_erasure.map(|request| request.number)
}

#[test]
fn data_are_kept_only_as_long_as_necessary_and_then_deleted_or_anonymised() {
    let site = Site::new(COCO);
    let profile = site.put("personal-data", "profile/anna");
    let usage = site.put("usage", "call/1");
    let rewritten = anonymised(&site.machine.store.version(b"call/1").unwrap());
    site.pass(60 * DAY_MS);
    assert!(site.has("profile/anna"), "it is still necessary");
    assert_eq!(site.machine.store.version(b"call/1"), Some(rewritten));
    assert_eq!(site.receipt(usage, "call/1"), (Outcome::Kept, Method::Anonymised, Reason::Due));

    site.start("profile/anna"); // it is not necessary any more
    site.pass(7 * DAY_MS);
    assert!(!site.has("profile/anna"));
    assert_eq!(site.receipt(profile, "profile/anna"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn related_logs_are_kept_not_less_than_six_months_and_an_erasure_does_not_delete_them_before() {
    let site = Site::new(COCO);
    let log = site.put_of("log", "log/anna", "anna", None);
    site.pass(30 * DAY_MS);
    let number = site.erase(subject("anna"));
    site.pass(DAY_MS);
    assert!(site.has("log/anna"));

    // The request shows why it waits. Six months in Shanghai end eight hours before they do in Greenwich ...
    let floor_ms = ms("2026-07-01T08:00:00+08:00");
    assert_eq!(open_request(&site), Some(number));
    let item = site.engine().erasure_items(number).unwrap().remove(0);
    let Progress::Waits { until_ms, floor_ms: Some(shown_ms), held: false } = item.progress else {
        panic!("{:?}", item.progress)
    };
    assert_eq!(shown_ms, floor_ms);
    site.pass_until(floor_ms - 1);
    assert!(site.has("log/anna"), "not a millisecond early");

    // ... and then it goes by itself.
    site.pass_until(until_ms);
    assert!(!site.has("log/anna"));
    assert_eq!(site.receipt(log, "log/anna"), (Outcome::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(open_request(&site), None);
    site.assert_sound();
}

#[test]
fn a_closed_account_can_be_taken_back_for_15_days_and_is_erased_then() {
    let mut site = Site::new(COCO);
    let profile = site.put_of("personal-data", "profile/anna", "anna", None);
    let close_account = |site: &Site| {
        let erasure = Erasure { cancellable_ms: 15 * DAY_MS, ..site.erasure(subject("anna")) };
        site.engine().erase(erasure).unwrap().number
    };
    let first = close_account(&site);
    site.pass(15 * DAY_MS - MINUTE_MS);
    assert_eq!(site.engine().cancel_erasure(first).unwrap().state, RequestState::Cancelled);
    site.pass(30 * DAY_MS);
    assert!(site.has("profile/anna"), "it was taken back");

    let second = close_account(&site);
    site.pass(14 * DAY_MS);
    site.lose_power();
    assert!(site.has("profile/anna"));
    site.pass(DAY_MS);
    assert!(!site.has("profile/anna"));
    assert_eq!(site.engine().cancel_erasure(second).unwrap_err().kind(), ErrorKind::TooLate);
    assert_eq!(site.receipt(profile, "profile/anna"), (Outcome::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(site.engine().requests().unwrap()[1].state, RequestState::Finished);
    site.assert_sound();
}

#[test]
fn a_request_is_answered_within_15_working_days_over_the_national_day_holidays() {
    let site = Site::new(COCO);
    site.pass_until(ms("2026-09-21T02:00:00Z")); // a Monday
    let profile = site.put_of("personal-data", "profile/anna", "anna", None);
    let paper = site.put_of("request-paper", "passport/anna", "nobody", None);
    let erasure = Erasure {
        within: Some("15wd".parse().unwrap()),
        calendar: calendar(),
        cancellable_ms: 15 * DAY_MS,
        ..site.erasure(subject("anna"))
    };
    let number = site.engine().erase(erasure).unwrap().number;

    // 22 to 24 and 28 to 30 September, 8 to 10 and 12 to 16 October are fourteen; the next one is a Monday.
    let due_ms = ms("2026-10-19T02:00:00Z");
    site.pass(10 * DAY_MS);
    site.put_of("personal-data", "profile/bob", "bob", None);
    site.erase(subject("bob"));
    let oldest = site.engine().status().unwrap().oldest_erasure.unwrap();
    assert_eq!((oldest.number, oldest.due_ms), (number, Some(due_ms)));

    site.pass_until(due_ms);
    assert!(!site.has("profile/anna") && !site.has("passport/anna"));
    let answered = site.engine().requests().unwrap().remove(0);
    assert_eq!(answered.state, RequestState::Finished);
    assert!(answered.changed_ms <= due_ms);
    assert_eq!(site.receipt(profile, "profile/anna"), (Outcome::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(site.verdict(paper, "passport/anna").ceiling_ms, due_ms);
    assert_eq!(site.receipt(paper, "passport/anna"), (Outcome::Kept, Method::Deleted, Reason::Due));
    assert_eq!(open_request(&site), None);
    site.assert_sound();
}

#[test]
fn data_that_a_restored_backup_brings_back_are_recognised_and_deleted_again_at_once() {
    let mut site = Site::new(COCO);
    site.put_of("personal-data", "profile/anna", "anna", None);
    site.put_of("personal-data", "profile/bob", "bob", Some(NEW_YEAR_MS));
    site.put("personal-data", "profile/cora");
    site.pass(DAY_MS);
    let number = site.erase(subject("anna"));
    site.pass(9 * DAY_MS);
    site.engine().forget_request(number).unwrap(); // whose data they were need not be known
    site.assert_forgotten(b"anna");
    assert!(!site.has("profile/anna") && !site.has("profile/bob"));

    let restored = ["profile/anna", "profile/bob", "profile/cora", "profile/dave"];
    for key in restored {
        site.machine.store.put(key.as_bytes(), b"of the backup");
    }
    site.reopen();
    let items = restored.map(|key| Registration {
        version: b"of the backup",
        ..Registration::new("personal-data", key.as_bytes())
    });
    assert!(matches!(site.engine().screen(b"profile/cora").unwrap(), Screened::Live(_)));
    assert_eq!(site.engine().screen(b"profile/dave").unwrap(), Screened::Unknown);
    let again = site.engine().delete_again(&items, Durability::Synced).unwrap();
    assert_eq!(again.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
    site.enforce();
    assert!(!site.has("profile/anna") && !site.has("profile/bob"));
    assert!(site.has("profile/cora") && site.has("profile/dave"), "nobody had these deleted");
    for (again, key) in again.into_iter().flatten().zip(restored) {
        let (_, method, reason) = site.receipt(again.id, key);
        assert_eq!((method, reason), (Method::Deleted, Reason::Restored));
    }

    // They are remembered for 400 days.
    site.pass(399 * DAY_MS);
    assert!(matches!(site.engine().screen(b"profile/anna").unwrap(), Screened::Ended(_)));
    site.pass(2 * DAY_MS);
    assert_eq!(site.engine().screen(b"profile/anna").unwrap(), Screened::Unknown);
    site.assert_forgotten(b"profile/anna");
    site.assert_sound();
}

#[test]
fn third_parties_who_got_the_data_hear_of_their_deletion_in_order_until_they_acknowledge_it() {
    let mut site = Site::new(COCO);
    for n in 0..6_i64 {
        site.put_of("personal-data", &format!("profile/{n}"), "", Some(NEW_YEAR_MS + n * DAY_MS));
    }
    site.put("usage", "call/1"); // nobody got that
    site.pass(60 * DAY_MS);
    site.assert_forgotten(b"profile/");

    let keys = |site: &Site, after, max| -> Vec<(u64, String)> {
        let entries = site.engine().feed(after, max).unwrap();
        entries.into_iter().map(|e| (e.number, String::from_utf8(e.key).unwrap())).collect()
    };
    let entry = |number: u64| (number, format!("profile/{}", number - 1));
    assert_eq!(keys(&site, 0, 100), (1..=6).map(entry).collect::<Vec<_>>());
    let first = site.engine().feed(0, 1).unwrap().remove(0);
    assert_eq!((&*first.class, &*first.method, &*first.reason), ("personal-data", "deleted", "due"));

    // A third party reads on where it stopped, and what it acknowledged is forgotten for good.
    assert_eq!(keys(&site, 0, 2), [entry(1), entry(2)]);
    assert_eq!(keys(&site, 2, 2), [entry(3), entry(4)]);
    site.engine().acknowledge_feed(4).unwrap();
    site.lose_power();
    assert_eq!(keys(&site, 0, 100), [entry(5), entry(6)]);
    site.put_of("personal-data", "profile/6", "", Some(NEW_YEAR_MS));
    site.enforce();
    assert_eq!(keys(&site, 6, 100), [entry(7)]);
    site.engine().acknowledge_feed(7).unwrap();
    assert_eq!(keys(&site, 0, 100), []);
    site.assert_sound();
}

#[test]
fn when_the_service_ends_everything_that_is_not_held_is_deleted_or_anonymised_and_nothing_was_missed() {
    let mut site = Site::new(COCO);
    let mut all = Vec::new();
    for n in 0..20 {
        for class in ["personal-data", "usage", "log", "request-paper"] {
            let key = format!("{class}/{n}");
            all.push((site.put(class, &key), key, class));
        }
    }
    site.hold("case 17", key("personal-data/3"));
    site.pass(2 * HOUR_MS);
    let request = site.engine().close_down(Selector::Everything, "the service ends", "board").unwrap();
    let late = Registration::new("usage", b"call/2");
    assert_eq!(site.engine().register(&[late], Durability::Synced).unwrap_err().kind(), ErrorKind::Invalid);

    site.pass(DAY_MS);
    site.lose_power();
    let live = |class: &str| site.class(class).live;
    assert_eq!(["personal-data", "usage", "request-paper", "log"].map(live), [1, 0, 0, 20]);
    assert!(site.has("personal-data/3"), "it is held");
    site.lift("case 17", 0);
    site.pass_until(ms("2026-07-02T00:00:00Z")); // the floor of the logs
    for (id, key, class) in &all {
        let verdict = site.verdict(*id, key);
        let method = if *class == "usage" { Method::Anonymised } else { Method::Deleted };
        assert_eq!((verdict.outcome(), verdict.method), (Outcome::Kept, method), "{key}");
        assert_eq!(verdict.reason, Reason::Closed, "{key}");
    }
    for (name, class) in site.engine().status().unwrap().classes {
        assert_eq!((class.registered, class.ended.ended(), class.live), (20, 20, 0), "{name}");
        assert!(class.closed);
    }
    let finished = site.engine().requests().unwrap().remove(0);
    assert_eq!((finished.number, finished.state), (request.number, RequestState::Finished));
    site.assert_sound();

    // A backup that turns up after the end is still deleted again.
    site.machine.store.put(b"personal-data/5", b"of the backup");
    let item =
        Registration { version: b"of the backup", ..Registration::new("personal-data", b"personal-data/5") };
    assert!(site.engine().delete_again(&[item], Durability::Synced).unwrap()[0].is_some());
    site.enforce();
    assert!(!site.has("personal-data/5"));
    site.assert_sound();
}

#[test]
fn the_personal_data_of_minors_are_deleted_at_once() {
    let site = Site::new(COCO);
    let profile = site.put_of("personal-data", "profile/kim", "kim", None);
    let paper = site.put_of("request-paper", "school-id/kim", "kim", None);
    let usage = site.put_of("usage", "call/kim", "kim", None);
    site.put_of("personal-data", "profile/anna", "anna", None);
    let number = site.erase(subject("kim"));
    site.enforce();
    assert!(!site.has("profile/kim") && !site.has("school-id/kim") && site.has("profile/anna"));
    for (id, key, method) in [
        (profile, "profile/kim", Method::Deleted),
        (paper, "school-id/kim", Method::Deleted),
        (usage, "call/kim", Method::Anonymised),
    ] {
        assert_eq!(site.receipt(id, key), (Outcome::Kept, method, Reason::Erasure));
        assert_eq!(site.verdict(id, key).time_ms, NEW_YEAR_MS);
    }
    assert_eq!(site.engine().erasure_items(number).unwrap().len(), 3);
    site.assert_sound();
}

#[test]
fn what_law_wants_kept_is_kept_against_the_wish_of_its_subject_and_goes_when_law_lets_it() {
    let site = Site::new(COCO);
    let profile = site.put_of("personal-data", "profile/anna", "anna", None);
    site.hold("investigation", subject("anna"));
    let number = site.erase(subject("anna"));
    site.pass(10 * DAY_MS);
    assert!(site.has("profile/anna"));
    assert_eq!(open_request(&site), Some(number), "it is open, and shows why");
    let item = site.engine().erasure_items(number).unwrap().remove(0);
    assert!(matches!(item.progress, Progress::Waits { held: true, .. }));

    site.lift("investigation", DAY_MS);
    site.pass(DAY_MS);
    assert!(!site.has("profile/anna"));
    assert_eq!(site.receipt(profile, "profile/anna"), (Outcome::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(open_request(&site), None);
    site.assert_sound();
}
