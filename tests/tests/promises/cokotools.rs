//! A. CokoTools, a file-conversion site.

use super::COKOTOOLS;
use sexton::decision::RequestState;
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, subject};
use sexton_tests::{DAY, FailureMode, HOUR, MINUTE, NEW_YEAR};
use std::time::Duration;

#[test]
fn upload_is_deleted_3_hours_after_processing_at_the_latest() {
    let sim = Simulation::new(COKOTOOLS);
    let file = sim.put("file", "cat.heic");
    sim.pass(40 * MINUTE);
    sim.start("cat.heic"); // its processing is complete
    sim.pass(2 * HOUR + 58 * MINUTE);
    assert!(sim.has("cat.heic"));
    sim.pass(2 * MINUTE);
    assert!(!sim.has("cat.heic"));

    let verdict = sim.verdict(file, "cat.heic");
    assert_eq!(verdict.start, NEW_YEAR.saturating_add(40 * MINUTE));
    assert_eq!(verdict.ceiling, Some(verdict.start.saturating_add(3 * HOUR)));
    assert_eq!(sim.receipt(file, "cat.heic"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn upload_without_an_end_of_processing_starts_after_a_day() {
    let mut sim = Simulation::new(COKOTOOLS);
    let file = sim.put("file", "cat.heic");
    sim.pass(12 * HOUR);
    sim.lose_power();
    sim.pass(14 * HOUR + 58 * MINUTE);
    assert!(sim.has("cat.heic"));
    sim.pass(2 * MINUTE);
    assert!(!sim.has("cat.heic"));
    assert_eq!(sim.verdict(file, "cat.heic").start, NEW_YEAR.saturating_add(DAY));
    assert_eq!(sim.receipt(file, "cat.heic"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn deletion_needs_no_person() {
    let sim = Simulation::new(COKOTOOLS);
    for hour in 0..48 {
        for n in 0..20 {
            let key = format!("{hour}/{n}");
            sim.put("file", &key);
            sim.start(&key);
        }
        sim.pass(HOUR);
    }
    sim.pass(3 * HOUR);
    let status = sim.engine().status().unwrap();
    assert!(sim.machine.store.is_empty() && status.alarms.is_empty());
    let class = sim.class("file");
    assert_eq!((class.live, class.ended.deleted, class.ended.late), (0, 960, 0));
    sim.assert_sound();
}

#[test]
fn only_counts_are_kept() {
    let sim = Simulation::new(COKOTOOLS);
    for n in 0..5 {
        sim.put_of("file", &format!("holiday-with-anna-{n}.heic"), "anna@example.com", Some(NEW_YEAR));
    }
    sim.machine.store.set_failure_mode(b"holiday-with-anna-3.heic", Some(FailureMode::Fails));
    sim.pass_until(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(20)));
    sim.machine.store.set_failure_mode(b"holiday-with-anna-3.heic", None);
    assert!(sim.index_holds(b"holiday-with-anna-3.heic"));
    sim.pass(HOUR);

    let class = sim.class("file");
    assert_eq!((class.registered, class.registered_bytes), (5, 5_000));
    assert_eq!((class.ended.deleted, class.ended.deleted_bytes, class.live), (5, 5_000, 0));
    assert!(class.ended.carried > 0, "the failed attempt is counted");
    for personal in ["holiday", "anna"] {
        sim.assert_forgotten(personal.as_bytes());
        for (path, bytes) in sim.machine.files.all() {
            let found = bytes.windows(personal.len()).any(|window| window == personal.as_bytes());
            assert!(!found, "{personal} is in {path}");
        }
    }
    sim.assert_sound();
}

#[test]
fn personal_data_are_kept_until_the_service_is_provided() {
    let sim = Simulation::new(COKOTOOLS);
    let order = sim.put_of("personal-data", "order/17", "anna", None);
    sim.pass(20 * DAY);
    assert!(sim.has("order/17"));
    sim.start("order/17"); // the service has been provided
    sim.pass(HOUR);
    assert!(!sim.has("order/17"));
    assert_eq!(sim.verdict(order, "order/17").start, NEW_YEAR.saturating_add(20 * DAY));
    assert_eq!(sim.receipt(order, "order/17"), (Compliance::Kept, Method::Deleted, Reason::Due));

    // They also go if the person withdraws them.
    let first = sim.put_of("personal-data", "order/18", "anna", None);
    sim.pass(Duration::from_secs(1));
    let other = sim.put_of("personal-data", "order/18", "anna", None); // it was changed
    let number = sim.erase(subject("anna"));
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.receipt(other, "order/18"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    let request = sim.engine().requests().unwrap().pop().unwrap();
    assert_eq!((request.number, request.state, request.objects), (number, RequestState::Finished, 1));
    assert_eq!(sim.receipt(first, "order/18").0, Compliance::NotADeletion(Method::Replaced));
    sim.engine().forget_request(number).unwrap();
    sim.assert_forgotten(b"order/");
    sim.assert_sound();
}
