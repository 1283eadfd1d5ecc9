//! B. A software publisher's services.

use super::PUBLISHER;
use sexton::{Durability, ErrorKind, Registration};
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, subject};
use sexton_tests::{DAY, HOUR, MINUTE, NEW_YEAR, anonymised};

#[test]
fn server_log_is_deleted_within_73_hours_of_collection() {
    let sim = Simulation::new(PUBLISHER);
    let log = sim.put("server-log", "access.log.1");
    sim.pass(72 * HOUR);
    assert!(sim.has("access.log.1"));
    sim.pass(HOUR);
    assert!(!sim.has("access.log.1"));
    assert_eq!(sim.verdict(log, "access.log.1").ceiling, Some(NEW_YEAR.saturating_add(73 * HOUR)));
    assert_eq!(sim.receipt(log, "access.log.1"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

/// Further uploads do not extend the 30 days.
#[test]
fn information_goes_within_30_days_of_its_first_upload() {
    let sim = Simulation::new(PUBLISHER);
    let registration = Registration::new("collected", b"crash-report");
    let error = sim.engine().register(&[registration], Durability::Synced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "a registration without the first upload is refused");

    let first = sim.put_of("collected", "crash-report", "anna", Some(NEW_YEAR));
    sim.pass(25 * DAY);
    let again = sim.put_of("collected", "crash-report", "anna", Some(NEW_YEAR));
    sim.pass(5 * DAY);
    assert!(!sim.has("crash-report"));
    assert_eq!(sim.receipt(first, "crash-report").0, Compliance::NotADeletion(Method::Replaced));
    assert_eq!(sim.verdict(again, "crash-report").ceiling, Some(NEW_YEAR.saturating_add(30 * DAY)));
    assert_eq!(sim.receipt(again, "crash-report"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn information_stays_past_30_days_only_under_a_hold() {
    let sim = Simulation::new(PUBLISHER);
    let annas = sim.put_of("collected", "report/anna", "anna", Some(NEW_YEAR));
    let bobs = sim.put_of("collected", "report/bob", "bob", Some(NEW_YEAR));
    sim.pass(20 * DAY);
    sim.hold("court order 5", subject("anna"));
    sim.pass(20 * DAY);
    assert!(sim.has("report/anna") && !sim.has("report/bob"));
    assert_eq!((sim.class("collected").held, sim.class("collected").ended.held), (1, 1));

    sim.lift("court order 5", HOUR);
    sim.pass(59 * MINUTE);
    assert!(sim.has("report/anna"));
    sim.pass(MINUTE);
    assert!(!sim.has("report/anna"));
    let (outcome, method, reason) = sim.receipt(annas, "report/anna");
    let by = 10 * DAY + HOUR;
    assert_eq!((outcome, method, reason), (Compliance::AfterHold { by }, Method::Deleted, Reason::Lifted));
    assert_eq!(sim.receipt(bobs, "report/bob"), (Compliance::Kept, Method::Deleted, Reason::Due));
    let ended = sim.class("collected").ended;
    assert_eq!((ended.late, ended.late_after_hold), (0, 1));
    sim.assert_sound();
}

/// The receipt binds the digest of the anonymised record.
#[test]
fn full_addresses_are_removed_at_aggregation() {
    let sim = Simulation::new(PUBLISHER);
    let record = sim.put("access-record", "hit/1");
    let rewritten = anonymised(&sim.machine.store.version(b"hit/1").unwrap());
    let log = sim.put("server-log", "access.log.1");
    sim.pass(10 * HOUR);
    sim.start("hit/1"); // it is aggregated
    sim.pass(HOUR);
    assert_eq!(sim.machine.store.version(b"hit/1").as_ref(), Some(&rewritten));

    let verdict = sim.verdict(record, "hit/1");
    assert_eq!(verdict.result_digest, Some(rewritten));
    assert_eq!(sim.receipt(record, "hit/1"), (Compliance::Kept, Method::Anonymised, Reason::Due));
    let ended = sim.class("access-record").ended;
    assert_eq!((ended.anonymised, ended.deleted), (1, 0));

    // An object that is to be deleted is not rewritten.
    sim.pass(73 * HOUR);
    assert!(!sim.has("access.log.1"));
    assert_eq!(sim.receipt(log, "access.log.1").1, Method::Deleted);
    assert_eq!(sim.verdict(log, "access.log.1").result_digest, None);
    sim.assert_sound();
}
