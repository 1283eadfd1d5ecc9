//! C. COCO, an app for talking with others.

use super::COCO;
use sexton::decision::{Progress, RequestState};
use sexton::report::KeyHistory;
use sexton::{Attribution, ClassSet, Durability, ErrorKind, Registration, Selector};
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_proof::window::Calendar;
use sexton_tests::simulation::{Simulation, instant, key, subject};
use sexton_tests::{DAY, HOUR, MINUTE, NEW_YEAR, anonymised};
use std::time::Duration;

/// Public holidays of China, as in the class file.
fn calendar() -> Calendar {
    let classes = ClassSet::from_toml(COCO).unwrap();
    classes.iter().find(|class| class.name == "request-paper").unwrap().calendar.clone()
}

fn open_request(sim: &Simulation) -> Option<u32> {
    sim.engine().status().unwrap().oldest_erasure.map(|request| request.number)
}

#[test]
fn unnecessary_data_are_deleted_or_anonymised() {
    let sim = Simulation::new(COCO);
    let profile = sim.put("personal-data", "profile/anna");
    let usage = sim.put("usage", "call/1");
    let rewritten = anonymised(&sim.machine.store.version(b"call/1").unwrap());
    sim.pass(60 * DAY);
    assert!(sim.has("profile/anna"), "it is still necessary");
    assert_eq!(sim.machine.store.version(b"call/1"), Some(rewritten));
    assert_eq!(sim.receipt(usage, "call/1"), (Compliance::Kept, Method::Anonymised, Reason::Due));

    sim.start("profile/anna"); // it is no longer necessary
    sim.pass(7 * DAY);
    assert!(!sim.has("profile/anna"));
    assert_eq!(sim.receipt(profile, "profile/anna"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn log_is_kept_six_months_even_under_an_erasure() {
    let sim = Simulation::new(COCO);
    let log = sim.put_of("log", "log/anna", "anna", None);
    sim.pass(30 * DAY);
    let number = sim.erase(subject("anna"));
    sim.pass(DAY);
    assert!(sim.has("log/anna"));

    // The request shows why it waits. Six months in Shanghai end eight hours before they do in Greenwich.
    let floor = instant("2026-07-01T08:00:00+08:00");
    assert_eq!(open_request(&sim), Some(number));
    let object = sim.engine().erasure_objects(number).unwrap().remove(0);
    let Progress::Pending { until, floor: Some(shown), held: false, .. } = object.progress else {
        panic!("{:?}", object.progress)
    };
    assert_eq!(shown, floor);
    sim.pass_until(floor.saturating_sub(Duration::from_millis(1)));
    assert!(sim.has("log/anna"), "not a millisecond early");

    // The log goes by itself after its floor.
    sim.pass_until(until);
    assert!(!sim.has("log/anna"));
    assert_eq!(sim.receipt(log, "log/anna"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(open_request(&sim), None);
    sim.assert_sound();
}

#[test]
fn closed_account_can_be_reopened_for_15_days_then_is_erased() {
    let mut sim = Simulation::new(COCO);
    let profile = sim.put_of("personal-data", "profile/anna", "anna", None);
    let close_account = |sim: &Simulation| {
        let erasure = sim.erasure(subject("anna")).cancellable(15 * DAY);
        sim.engine().erase(erasure).unwrap().number
    };
    let first = close_account(&sim);
    sim.pass(15 * DAY - MINUTE);
    assert_eq!(sim.engine().cancel_erasure(first).unwrap().state, RequestState::Cancelled);
    sim.pass(30 * DAY);
    assert!(sim.has("profile/anna"), "it was taken back");

    let second = close_account(&sim);
    sim.pass(14 * DAY);
    sim.lose_power();
    assert!(sim.has("profile/anna"));
    sim.pass(DAY);
    assert!(!sim.has("profile/anna"));
    assert_eq!(sim.engine().cancel_erasure(second).unwrap_err().kind(), ErrorKind::TooLate);
    assert_eq!(sim.receipt(profile, "profile/anna"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(sim.engine().requests().unwrap()[1].state, RequestState::Finished);
    sim.assert_sound();
}

/// The span includes the holidays of the National Day.
#[test]
fn request_is_answered_within_15_working_days() {
    let sim = Simulation::new(COCO);
    sim.pass_until(instant("2026-09-21T02:00:00Z")); // a Monday
    let profile = sim.put_of("personal-data", "profile/anna", "anna", None);
    let paper = sim.put_of("request-paper", "passport/anna", "unknown", None);
    let within = "15wd".parse().unwrap();
    let erasure = sim.erasure(subject("anna")).within(within).calendar(calendar()).cancellable(15 * DAY);
    let number = sim.engine().erase(erasure).unwrap().number;

    // 22 to 24 and 28 to 30 September, 8 to 10 and 12 to 16 October are fourteen working days. The next one is a
    // Monday.
    let due = instant("2026-10-19T02:00:00Z");
    sim.pass(10 * DAY);
    sim.put_of("personal-data", "profile/bob", "bob", None);
    sim.erase(subject("bob"));
    let oldest = sim.engine().status().unwrap().oldest_erasure.unwrap();
    assert_eq!((oldest.number, oldest.answer_by), (number, Some(due)));

    sim.pass_until(due);
    assert!(!sim.has("profile/anna") && !sim.has("passport/anna"));
    let answered = sim.engine().requests().unwrap().remove(0);
    assert_eq!(answered.state, RequestState::Finished);
    assert!(answered.changed <= due);
    assert_eq!(sim.receipt(profile, "profile/anna"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(sim.verdict(paper, "passport/anna").ceiling, Some(due));
    assert_eq!(sim.receipt(paper, "passport/anna"), (Compliance::Kept, Method::Deleted, Reason::Due));
    assert_eq!(open_request(&sim), None);
    sim.assert_sound();
}

#[test]
fn restored_data_are_recognised_and_deleted_again() {
    let mut sim = Simulation::new(COCO);
    sim.put_of("personal-data", "profile/anna", "anna", None);
    sim.put_of("personal-data", "profile/bob", "bob", Some(NEW_YEAR));
    sim.put("personal-data", "profile/cora");
    sim.pass(DAY);
    let number = sim.erase(subject("anna"));
    sim.pass(9 * DAY);
    sim.engine().forget_request(number).unwrap(); // a request can be forgotten once it is answered
    sim.assert_forgotten(b"anna");
    assert!(!sim.has("profile/anna") && !sim.has("profile/bob"));

    let restored = ["profile/anna", "profile/bob", "profile/cora", "profile/dave"];
    for key in restored {
        sim.machine.store.put(key.as_bytes(), b"of the backup");
    }
    sim.reopen();
    let registrations =
        restored.map(|key| Registration::new("personal-data", key.as_bytes()).version(b"of the backup"));
    assert!(matches!(sim.engine().ended(b"profile/cora").unwrap(), KeyHistory::Live(_)));
    assert_eq!(sim.engine().ended(b"profile/dave").unwrap(), KeyHistory::Unknown);
    let again = sim.engine().delete_again(&registrations, Durability::Synced).unwrap();
    assert_eq!(again.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
    sim.enforce();
    assert!(!sim.has("profile/anna") && !sim.has("profile/bob"));
    assert!(sim.has("profile/cora") && sim.has("profile/dave"), "these were not to be deleted");
    for (again, key) in again.into_iter().flatten().zip(restored) {
        let (_, method, reason) = sim.receipt(again.id, key);
        assert_eq!((method, reason), (Method::Deleted, Reason::Restored));
    }

    // Ended objects are remembered for 400 days.
    sim.pass(399 * DAY);
    assert!(matches!(sim.engine().ended(b"profile/anna").unwrap(), KeyHistory::Ended(_)));
    sim.pass(2 * DAY);
    assert_eq!(sim.engine().ended(b"profile/anna").unwrap(), KeyHistory::Unknown);
    sim.assert_forgotten(b"profile/anna");
    sim.assert_sound();
}

#[test]
fn feed_repeats_deletions_in_order_until_acknowledged() {
    let mut sim = Simulation::new(COCO);
    for n in 0..6 {
        sim.put_of("personal-data", &format!("profile/{n}"), "", Some(NEW_YEAR.saturating_add(n * DAY)));
    }
    sim.put("usage", "call/1"); // its class has no feed
    sim.pass(60 * DAY);
    sim.assert_forgotten(b"profile/");

    let keys = |sim: &Simulation, after, max| -> Vec<(u64, String)> {
        let entries = sim.engine().feed(after, max).unwrap();
        entries.into_iter().map(|e| (e.number, String::from_utf8(e.key).unwrap())).collect()
    };
    let entry = |number: u64| (number, format!("profile/{}", number - 1));
    assert_eq!(keys(&sim, 0, 100), (1..=6).map(entry).collect::<Vec<_>>());
    let first = sim.engine().feed(0, 1).unwrap().remove(0);
    assert_eq!((&*first.class, &*first.method, &*first.reason), ("personal-data", "deleted", "due"));

    // A third party continues to read where it stopped. Acknowledged entries are gone for good.
    assert_eq!(keys(&sim, 0, 2), [entry(1), entry(2)]);
    assert_eq!(keys(&sim, 2, 2), [entry(3), entry(4)]);
    sim.engine().acknowledge_feed(4).unwrap();
    sim.lose_power();
    assert_eq!(keys(&sim, 0, 100), [entry(5), entry(6)]);
    sim.put_of("personal-data", "profile/6", "", Some(NEW_YEAR));
    sim.enforce();
    assert_eq!(keys(&sim, 6, 100), [entry(7)]);
    sim.engine().acknowledge_feed(7).unwrap();
    assert_eq!(keys(&sim, 0, 100), []);
    sim.assert_sound();
}

#[test]
fn closed_service_deletes_or_anonymises_all_that_is_not_held() {
    let mut sim = Simulation::new(COCO);
    let mut all = Vec::new();
    for n in 0..20 {
        for class in ["personal-data", "usage", "log", "request-paper"] {
            let key = format!("{class}/{n}");
            all.push((sim.put(class, &key), key, class));
        }
    }
    sim.hold("case 17", key("personal-data/3"));
    sim.pass(2 * HOUR);
    let request =
        sim.engine().close_down(Selector::Everything, Attribution::new("board", "the service ends")).unwrap();
    let late = Registration::new("usage", b"call/2");
    assert_eq!(sim.engine().register(&[late], Durability::Synced).unwrap_err().kind(), ErrorKind::Invalid);

    sim.pass(DAY);
    sim.lose_power();
    let live = |class: &str| sim.class(class).live;
    assert_eq!(["personal-data", "usage", "request-paper", "log"].map(live), [1, 0, 0, 20]);
    assert!(sim.has("personal-data/3"), "it is held");
    sim.lift("case 17", Duration::ZERO);
    sim.pass_until(instant("2026-07-02T00:00:00Z")); // the floor of the logs
    for (id, key, class) in &all {
        let verdict = sim.verdict(*id, key);
        let method = if *class == "usage" { Method::Anonymised } else { Method::Deleted };
        assert_eq!((verdict.compliance(), verdict.method), (Compliance::Kept, method), "{key}");
        assert_eq!(verdict.reason, Reason::Closed, "{key}");
    }
    for (name, class) in sim.engine().status().unwrap().classes {
        assert_eq!((class.registered, class.ended.ended(), class.live), (20, 20, 0), "{name}");
        assert!(class.closed);
    }
    let finished = sim.engine().requests().unwrap().remove(0);
    assert_eq!((finished.number, finished.state), (request.number, RequestState::Finished));
    sim.assert_sound();

    // An object restored from a backup after the end is still deleted again.
    sim.machine.store.put(b"personal-data/5", b"of the backup");
    let registration = Registration::new("personal-data", b"personal-data/5").version(b"of the backup");
    assert!(sim.engine().delete_again(&[registration], Durability::Synced).unwrap()[0].is_some());
    sim.enforce();
    assert!(!sim.has("personal-data/5"));
    sim.assert_sound();
}

#[test]
fn personal_data_of_minors_are_deleted_at_once() {
    let sim = Simulation::new(COCO);
    let profile = sim.put_of("personal-data", "profile/kim", "kim", None);
    let paper = sim.put_of("request-paper", "school-id/kim", "kim", None);
    let usage = sim.put_of("usage", "call/kim", "kim", None);
    sim.put_of("personal-data", "profile/anna", "anna", None);
    let number = sim.erase(subject("kim"));
    sim.enforce();
    assert!(!sim.has("profile/kim") && !sim.has("school-id/kim") && sim.has("profile/anna"));
    for (id, key, method) in [
        (profile, "profile/kim", Method::Deleted),
        (paper, "school-id/kim", Method::Deleted),
        (usage, "call/kim", Method::Anonymised),
    ] {
        assert_eq!(sim.receipt(id, key), (Compliance::Kept, method, Reason::Erasure));
        assert_eq!(sim.verdict(id, key).time, NEW_YEAR);
    }
    assert_eq!(sim.engine().erasure_objects(number).unwrap().len(), 3);
    sim.assert_sound();
}

#[test]
fn held_data_outlast_an_erasure_and_go_after_the_hold() {
    let sim = Simulation::new(COCO);
    let profile = sim.put_of("personal-data", "profile/anna", "anna", None);
    sim.hold("investigation", subject("anna"));
    let number = sim.erase(subject("anna"));
    sim.pass(10 * DAY);
    assert!(sim.has("profile/anna"));
    assert_eq!(open_request(&sim), Some(number), "it is open, and shows why");
    let object = sim.engine().erasure_objects(number).unwrap().remove(0);
    assert!(matches!(object.progress, Progress::Pending { held: true, .. }));

    sim.lift("investigation", DAY);
    sim.pass(DAY);
    assert!(!sim.has("profile/anna"));
    assert_eq!(sim.receipt(profile, "profile/anna"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    assert_eq!(open_request(&sim), None);
    sim.assert_sound();
}
