//! Calls that are submitted: their order, their completion, and the bound of the queue.

use super::{AMPLE, all, due, is_readable, keys, options, take_all, uploads};
use sexton::drive::{Answers, Completion};
use sexton::report::Action;
use sexton::store::Answer;
use sexton::{Change, Driver, Durability, ErrorKind, Previous, RegisterOptions, Registration, Which};
use sexton_proof::time::Timestamp;
use sexton_tests::{HOUR, Machine, NEW_YEAR};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn submitted_calls_apply_in_order_on_any_number_of_threads() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    let names = keys(50);
    for round in 0..20 {
        let start = NEW_YEAR.saturating_add(Duration::from_secs(round));
        let uploads = uploads(&names).into_iter();
        let registrations: Vec<Registration<'_>> =
            uploads.map(|registration| registration.version(b"").start(start)).collect();
        for call in registrations.chunks(1) {
            driver.submit(round, call, Durability::Buffered).unwrap();
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| driver.run(AMPLE).unwrap());
        }
    });
    let tokens: Vec<u64> =
        std::iter::from_fn(|| driver.next_completion().unwrap()).map(|completion| completion.token).collect();
    assert!(tokens.len() == 1_000 && tokens.is_sorted(), "completions come in order");
    let plan = driver.engine().plan(Timestamp::MAX).unwrap().map(Result::unwrap);
    let standing: Vec<Option<Timestamp>> =
        plan.filter(|planned| planned.action == Action::Delete).map(|planned| planned.ceiling).collect();
    assert_eq!(
        standing,
        [Some(NEW_YEAR.saturating_add(3 * HOUR + Duration::from_secs(19))); 50],
        "the last registration of each key stands"
    );
}

/// Each call has the answer that the blocking call would have returned.
#[test]
fn submitted_calls_complete_in_order() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    let names = keys(2);
    let registrations = uploads(&names);
    driver.submit(11, &registrations, Durability::Synced).unwrap();
    driver.submit(12, &[Registration::new("no such class", b"k")], Durability::Synced).unwrap();
    let again = registrations[0].version(b"w");
    driver.submit(13, &[again], RegisterOptions::new().only_missing()).unwrap();
    let release = Change::Release { of: Which::Key(names[1].as_bytes()) };
    let unknown = Change::Release { of: Which::Key(b"unknown") };
    driver.submit_changes(14, &[release, unknown], Durability::Synced).unwrap();
    assert!(driver.next_completion().unwrap().is_none() && !is_readable(&driver), "it is not driven yet");

    driver.run(AMPLE).unwrap();
    assert!(is_readable(&driver));
    let done: Vec<Completion> = std::iter::from_fn(|| driver.next_completion().unwrap()).collect();
    assert!(!is_readable(&driver));
    assert_eq!(done.iter().map(|completion| completion.token).collect::<Vec<_>>(), [11, 12, 13, 14]);
    let Ok(Answers::Registered(first)) = &done[0].result else { panic!("{:?}", done[0]) };
    assert_eq!(first.len(), 2);
    assert_eq!(done[1].result.as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    let Ok(Answers::Registered(third)) = &done[2].result else { panic!("{:?}", done[2]) };
    assert_eq!((third[0].id, third[0].previous), (first[0].id, Previous::Kept));
    let Ok(Answers::Changed(fourth)) = &done[3].result else { panic!("{:?}", done[3]) };
    assert!(fourth[0].is_ok());
    assert_eq!(fourth[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn completed_call_survives_a_power_loss() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    driver.submit(1, &uploads(&keys(2)), Durability::Synced).unwrap();
    driver.run(AMPLE).unwrap();
    assert!(driver.next_completion().unwrap().unwrap().result.is_ok());
    machine.kv.lose_power();
    drop(driver);
    let engine = machine.open().unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 2);
}

#[test]
fn full_queue_refuses_a_call_as_a_whole() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let driver = Driver::start(engine, options().queue_objects(5), None).unwrap();
    let names = keys(6);
    let registrations = uploads(&names);
    assert_eq!(driver.submit(1, &registrations, Durability::Synced).unwrap_err().kind(), ErrorKind::Invalid);
    driver.submit(2, &registrations[..3], Durability::Synced).unwrap();
    assert_eq!(
        driver.submit(3, &registrations[3..], Durability::Synced).unwrap_err().kind(),
        ErrorKind::Busy
    );
    driver.run(AMPLE).unwrap();
    assert_eq!(
        driver.submit(3, &registrations[3..], Durability::Synced).unwrap_err().kind(),
        ErrorKind::Busy,
        "untaken completions count too"
    );
    assert_eq!(driver.next_completion().unwrap().unwrap().token, 2);
    driver.submit(3, &registrations[3..], Durability::Synced).unwrap();
    driver.run(AMPLE).unwrap();
    assert_eq!(driver.engine().status().unwrap().classes["upload-3h"].live, 6);
}

#[test]
fn waiting_calls_complete_with_the_error_of_a_failed_driver() {
    let (machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
    driver.submit(5, &[], Durability::Synced).unwrap();
    driver.fail("as the test asks");
    let completion = driver.next_completion().unwrap().unwrap();
    assert_eq!((completion.token, completion.result.unwrap_err().kind()), (5, ErrorKind::Internal));
    assert!(is_readable(&driver) && driver.next_completion().is_err() && !is_readable(&driver));
    drop(driver);
    assert_eq!(
        machine.open().unwrap().status().unwrap().classes["upload-3h"].live,
        2,
        "nothing was committed"
    );
}
