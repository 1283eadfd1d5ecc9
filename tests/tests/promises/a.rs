//! A. CokoTools, a file-conversion site.

use super::COKOTOOLS;
use crate::site::{DAY_MS, MINUTE_MS, Site, subject};
use sexton::RequestState;
use sexton_proof::receipt::Outcome;
use sexton_proof::record::{Method, Reason};
use sexton_tests::{HOUR_MS, Mood, NEW_YEAR_MS};

#[test]
fn an_uploaded_file_is_deleted_within_three_hours_after_its_processing_is_complete() {
    let site = Site::new(COKOTOOLS);
    let file = site.put("file", "cat.heic");
    site.pass(40 * MINUTE_MS);
    site.start("cat.heic"); // its processing is complete
    site.pass(2 * HOUR_MS + 58 * MINUTE_MS);
    assert!(site.has("cat.heic"));
    site.pass(2 * MINUTE_MS);
    assert!(!site.has("cat.heic"));

    let verdict = site.verdict(file, "cat.heic");
    assert_eq!(verdict.start_ms, NEW_YEAR_MS + 40 * MINUTE_MS);
    assert_eq!(verdict.ceiling_ms, verdict.start_ms + 3 * HOUR_MS);
    assert_eq!(site.receipt(file, "cat.heic"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn a_file_whose_processing_nobody_ends_counts_as_processed_after_a_day_and_goes_three_hours_later() {
    let mut site = Site::new(COKOTOOLS);
    let file = site.put("file", "cat.heic");
    site.pass(12 * HOUR_MS);
    site.lose_power();
    site.pass(14 * HOUR_MS + 58 * MINUTE_MS);
    assert!(site.has("cat.heic"));
    site.pass(2 * MINUTE_MS);
    assert!(!site.has("cat.heic"));
    assert_eq!(site.verdict(file, "cat.heic").start_ms, NEW_YEAR_MS + DAY_MS);
    assert_eq!(site.receipt(file, "cat.heic"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn deletion_is_by_machine_and_nobody_takes_part_in_it() {
    let site = Site::new(COKOTOOLS);
    for hour in 0..48 {
        for n in 0..20 {
            let key = format!("{hour}/{n}");
            site.put("file", &key);
            site.start(&key);
        }
        site.pass(HOUR_MS);
    }
    site.pass(3 * HOUR_MS);
    let status = site.engine().status().unwrap();
    assert!(site.machine.store.is_empty() && status.alarms.is_empty());
    let class = site.class("file");
    assert_eq!((class.live, class.ended.deleted, class.ended.late), (0, 960, 0));
    site.assert_sound();
}

#[test]
fn only_counts_are_kept() {
    let site = Site::new(COKOTOOLS);
    for n in 0..5 {
        site.put_of("file", &format!("holiday-with-anna-{n}.heic"), "anna@example.com", Some(NEW_YEAR_MS));
    }
    site.machine.store.set_mood(b"holiday-with-anna-3.heic", Some(Mood::Fails));
    site.pass_until(NEW_YEAR_MS + 3 * HOUR_MS - 20_000);
    site.machine.store.set_mood(b"holiday-with-anna-3.heic", None);
    assert!(site.index_holds(b"holiday-with-anna-3.heic"));
    site.pass(HOUR_MS);

    let class = site.class("file");
    assert_eq!((class.registered, class.registered_bytes), (5, 5_000));
    assert_eq!((class.ended.deleted, class.ended.deleted_bytes, class.live), (5, 5_000, 0));
    assert!(class.ended.carried > 0, "that one could not be deleted at first is counted");
    for personal in ["holiday", "anna"] {
        site.assert_forgotten(personal.as_bytes());
        for (path, bytes) in site.machine.files.all() {
            let found = bytes.windows(personal.len()).any(|window| window == personal.as_bytes());
            assert!(!found, "{personal} is in {path}");
        }
    }
    site.assert_sound();
}

#[test]
fn personal_data_are_kept_until_the_service_has_been_provided() {
    let site = Site::new(COKOTOOLS);
    let order = site.put_of("personal-data", "order/17", "anna", None);
    site.pass(20 * DAY_MS);
    assert!(site.has("order/17"));
    site.start("order/17"); // the service has been provided
    site.pass(HOUR_MS);
    assert!(!site.has("order/17"));
    assert_eq!(site.verdict(order, "order/17").start_ms, NEW_YEAR_MS + 20 * DAY_MS);
    assert_eq!(site.receipt(order, "order/17"), (Outcome::Kept, Method::Deleted, Reason::Due));

    // Or until the person takes them back.
    let first = site.put_of("personal-data", "order/18", "anna", None);
    site.pass(1_000);
    let other = site.put_of("personal-data", "order/18", "anna", None); // it was changed
    let number = site.erase(subject("anna"));
    site.pass(1_000);
    assert_eq!(site.receipt(other, "order/18"), (Outcome::Kept, Method::Deleted, Reason::Erasure));
    let request = site.engine().requests().unwrap().pop().unwrap();
    assert_eq!((request.number, request.state, request.objects), (number, RequestState::Finished, 1));
    assert_eq!(site.receipt(first, "order/18").0, Outcome::NotADeletion(Method::Replaced));
    site.engine().forget_request(number).unwrap();
    site.assert_forgotten(b"order/");
    site.assert_sound();
}
