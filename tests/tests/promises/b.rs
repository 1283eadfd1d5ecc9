//! B. A software publisher's services.

use super::PUBLISHER;
use crate::site::{DAY_MS, MINUTE_MS, Site, subject};
use sexton::{Durability, ErrorKind, Registration};
use sexton_proof::receipt::Outcome;
use sexton_proof::record::{Method, Reason};
use sexton_tests::{HOUR_MS, NEW_YEAR_MS, anonymised};

#[test]
fn a_server_log_file_is_deleted_within_73_hours_of_collection() {
    let site = Site::new(PUBLISHER);
    let log = site.put("server-log", "access.log.1");
    site.pass(72 * HOUR_MS);
    assert!(site.has("access.log.1"));
    site.pass(HOUR_MS);
    assert!(!site.has("access.log.1"));
    assert_eq!(site.verdict(log, "access.log.1").ceiling_ms, NEW_YEAR_MS + 73 * HOUR_MS);
    assert_eq!(site.receipt(log, "access.log.1"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn collected_information_goes_within_30_days_of_its_first_upload_however_often_it_is_uploaded_again() {
    let site = Site::new(PUBLISHER);
    let first_ms = Some(NEW_YEAR_MS);
    let item = Registration::new("collected", b"crash-report");
    let error = site.engine().register(&[item], Durability::Synced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "without the instant of the first upload it is not taken");

    let first = site.put_of("collected", "crash-report", "anna", first_ms);
    site.pass(25 * DAY_MS);
    let again = site.put_of("collected", "crash-report", "anna", first_ms);
    site.pass(5 * DAY_MS);
    assert!(!site.has("crash-report"));
    assert_eq!(site.receipt(first, "crash-report").0, Outcome::NotADeletion(Method::Replaced));
    assert_eq!(site.verdict(again, "crash-report").ceiling_ms, NEW_YEAR_MS + 30 * DAY_MS);
    assert_eq!(site.receipt(again, "crash-report"), (Outcome::Kept, Method::Deleted, Reason::Due));
    site.assert_sound();
}

#[test]
fn collected_information_stays_longer_than_30_days_only_while_law_requires_it() {
    let site = Site::new(PUBLISHER);
    let annas = site.put_of("collected", "report/anna", "anna", Some(NEW_YEAR_MS));
    let bobs = site.put_of("collected", "report/bob", "bob", Some(NEW_YEAR_MS));
    site.pass(20 * DAY_MS);
    site.hold("court order 5", subject("anna"));
    site.pass(20 * DAY_MS);
    assert!(site.has("report/anna") && !site.has("report/bob"));
    assert_eq!((site.class("collected").held, site.class("collected").ended.held), (1, 1));

    site.lift("court order 5", HOUR_MS);
    site.pass(59 * MINUTE_MS);
    assert!(site.has("report/anna"));
    site.pass(MINUTE_MS);
    assert!(!site.has("report/anna"));
    let (outcome, method, reason) = site.receipt(annas, "report/anna");
    let by_ms = u64::try_from(10 * DAY_MS + HOUR_MS).unwrap();
    assert_eq!((outcome, method, reason), (Outcome::AfterHold { by_ms }, Method::Deleted, Reason::Lifted));
    assert_eq!(site.receipt(bobs, "report/bob"), (Outcome::Kept, Method::Deleted, Reason::Due));
    let ended = site.class("collected").ended;
    assert_eq!((ended.late, ended.late_after_hold), (0, 1));
    site.assert_sound();
}

#[test]
fn full_addresses_are_removed_at_aggregation_and_the_receipt_binds_what_is_left() {
    let site = Site::new(PUBLISHER);
    let record = site.put("access-record", "hit/1");
    let rewritten = anonymised(&site.machine.store.version(b"hit/1").unwrap());
    let log = site.put("server-log", "access.log.1");
    site.pass(10 * HOUR_MS);
    site.start("hit/1"); // it is aggregated
    site.pass(HOUR_MS);
    assert_eq!(site.machine.store.version(b"hit/1").as_ref(), Some(&rewritten));

    let verdict = site.verdict(record, "hit/1");
    assert_eq!(verdict.result_digest, Some(rewritten));
    assert_eq!(site.receipt(record, "hit/1"), (Outcome::Kept, Method::Anonymised, Reason::Due));
    let ended = site.class("access-record").ended;
    assert_eq!((ended.anonymised, ended.deleted), (1, 0));

    // What is to be deleted is not rewritten.
    site.pass(73 * HOUR_MS);
    assert!(!site.has("access.log.1"));
    assert_eq!(site.receipt(log, "access.log.1").1, Method::Deleted);
    assert_eq!(site.verdict(log, "access.log.1").result_digest, None);
    site.assert_sound();
}
