//! Publishing of the log: at once, unless more batches follow, and always in the end.

use sexton::store::Answer;
use sexton::testing::fault;
use sexton::{
    Batch, Driver, DriverOptions, Durability, Engine, ErrorKind, Opener, Registration, RegistrationId,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_tests::{HOUR, MINUTE, Machine, NEW_YEAR};
use std::sync::Arc;
use std::time::Duration;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Returns a machine on which five objects are due, each in a batch of its own, and their registrations.
fn due() -> (Machine, Engine, Vec<RegistrationId>) {
    let mut machine = Machine::new();
    machine.options.batch_objects = 1;
    let engine = machine.open().unwrap();
    let registrations = (0..).zip(KEYS).map(|(slot, key)| {
        let start = NEW_YEAR.saturating_add(slot * 10 * MINUTE);
        Registration::new("upload-3h", key.as_bytes()).version(b"v").start(start)
    });
    let ids = engine.register(&registrations.collect::<Vec<_>>(), Durability::Synced).unwrap();
    machine.clock.advance(4 * HOUR);
    (machine, engine, ids.into_iter().map(|registered| registered.id).collect())
}

/// Returns the number of unpublished entries of the log.
fn unpublished(engine: &Engine) -> u64 {
    let status = engine.status().unwrap();
    status.log_size - status.published_size
}

fn out(engine: &Engine) -> std::vec::IntoIter<Batch> {
    let batches: Vec<Batch> = KEYS.iter().map(|_| engine.next_batch().unwrap().unwrap()).collect();
    batches.into_iter()
}

fn try_to_complete(engine: &Engine, mut batch: Batch) -> sexton::Result<u64> {
    batch.answer(0, Answer::Deleted, engine.now())?;
    engine.complete(batch)
}

fn complete(engine: &Engine, batch: Option<Batch>) {
    try_to_complete(engine, batch.unwrap()).unwrap();
}

/// Returns an engine whose second batch is committed but not published, the batches in flight, and an object of the
/// second batch with its key.
fn left_to_later() -> (Machine, Engine, std::vec::IntoIter<Batch>, (RegistrationId, &'static str)) {
    let (machine, engine, ids) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    let batch = out.next();
    let object = object(batch.as_ref().unwrap(), &ids);
    complete(&engine, batch);
    assert_eq!(unpublished(&engine), 1);
    (machine, engine, out, object)
}

/// Returns the object of a batch and its key.
fn object(batch: &Batch, ids: &[RegistrationId]) -> (RegistrationId, &'static str) {
    let id = batch.objects().next().unwrap().id;
    (id, KEYS[ids.iter().position(|other| *other == id).unwrap()])
}

/// Returns a driver of the engine without threads and with a limit on the batches in flight.
fn driven(engine: Engine, batches_in_flight: usize) -> Driver {
    let options = DriverOptions::default().threads(false).batches_in_flight(batches_in_flight);
    let driver = Driver::start(Arc::new(engine), options, None).unwrap();
    driver.run(MINUTE).unwrap();
    driver
}

#[test]
fn log_is_published_once_a_second_and_with_the_last_batch() {
    let (machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "nothing was published in the last second");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 1);
    machine.clock.advance(Duration::from_millis(999));
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 2);
    machine.clock.advance(Duration::from_millis(1));
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "a second has passed");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "no other batch is out");
}

#[test]
fn call_without_work_publishes_what_others_left() {
    let (_machine, engine, _out, _) = left_to_later();
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn receipt_is_available_once_its_batch_is_committed() {
    let (_machine, engine, _out, (id, key)) = left_to_later();
    let text = engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    receipt::verify(text.as_bytes(), &policy, engine.now()).unwrap();
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn unpublished_commits_are_published_by_the_next_opening() {
    let (machine, engine, out, _) = left_to_later();
    drop((out, engine));
    let engine = machine.open().unwrap();
    assert_eq!(unpublished(&engine), 0);
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn stopping_driver_publishes_although_a_batch_is_out() {
    let (machine, engine, _) = due();
    let driver = driven(engine, 3);
    let handed: Vec<_> = std::iter::from_fn(|| driver.next_sub_batch().unwrap()).collect();
    assert_eq!(handed.len(), 3);
    for sub_batch in &handed[..2] {
        driver.answer(sub_batch.id(), vec![(0, Answer::Deleted)]).unwrap();
    }
    driver.stop();
    let status = driver.engine().status().unwrap();
    assert_eq!(status.classes["upload-3h"].ended.ended(), 2);
    assert!(status.batches_in_flight > 0);
    assert_eq!(unpublished(driver.engine()), 0);
    drop(driver);
    assert!(machine.open().unwrap().check().unwrap().is_sound());
}

#[test]
fn wall_clock_that_stands_still_does_not_stop_publishing() {
    let (machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    machine.clock.step_back(HOUR);
    let now = engine.now();
    machine.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.now(), now, "trusted time waits for the wall clock");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "a second has passed on the monotonic clock");
}

#[test]
fn publishing_does_not_wait_for_a_dropped_batch() {
    let (_machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    let last = out.next();
    drop(out);
    complete(&engine, last);
    assert_eq!(unpublished(&engine), 0);
}

/// Returns an engine whose second batch was committed a second after the first and could not be published, and the
/// batches in flight.
fn could_not_publish() -> (Machine, Engine, std::vec::IntoIter<Batch>, (RegistrationId, &'static str)) {
    // Another write fails in each round, until it is a write of the publication.
    for nth in 0.. {
        let (machine, engine, ids) = due();
        let mut out = out(&engine);
        complete(&engine, out.next());
        machine.clock.advance(Duration::from_secs(1));
        machine.faults.arm(nth, fault::InjectedOutcome::Lost);
        let batch = out.next().unwrap();
        let object = object(&batch, &ids);
        if try_to_complete(&engine, batch).is_ok() {
            machine.faults.disarm();
            return (machine, engine, out, object);
        }
    }
    unreachable!("some write is that of the publication")
}

#[test]
fn next_batch_publishes_at_once_after_a_failure() {
    let (_machine, engine, mut out, _) = could_not_publish();
    assert_eq!(unpublished(&engine), 1);
    assert!(engine.status().unwrap().publish_error.is_some());
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0);
    assert_eq!(engine.status().unwrap().publish_error, None);
}

#[test]
fn call_for_a_batch_retries_publishing_once_a_second() {
    let (machine, engine, _out, _) = could_not_publish();
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 1);
    machine.clock.advance(Duration::from_secs(1));
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn publish_or_receipt_clears_an_earlier_failure() {
    for by_receipt in [false, true] {
        let (_machine, engine, _out, (id, key)) = could_not_publish();
        assert!(engine.status().unwrap().publish_error.is_some());
        if by_receipt {
            engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
        } else {
            engine.publish().unwrap();
        }
        assert_eq!(unpublished(&engine), 0);
        assert_eq!(engine.status().unwrap().publish_error, None);
    }
}

#[test]
fn receipt_of_a_commit_without_its_fsync_is_poisoned() {
    // Another write fails in each round, until it is the fsync of the commit. The end is then visible but not durable.
    let seen = (0..).find_map(|nth| {
        let (machine, engine, ids) = due();
        let batch = engine.next_batch().unwrap().unwrap();
        let (id, key) = object(&batch, &ids);
        machine.faults.arm(nth, fault::InjectedOutcome::Lost);
        assert!(try_to_complete(&engine, batch).is_err(), "no fault left the end visible but not durable");
        engine.receipt(id, Opener::Key(key.as_bytes())).err().filter(|e| e.kind() != ErrorKind::NotFound)
    });
    assert_eq!(seen.unwrap().kind(), ErrorKind::Poisoned);
}

#[test]
fn driver_at_its_batch_limit_publishes_what_it_left() {
    let (_machine, engine, _) = due();
    let driver = driven(engine, 2);
    for _ in 0..2 {
        let handed = driver.next_sub_batch().unwrap().unwrap();
        driver.answer(handed.id(), vec![(0, Answer::Deleted)]).unwrap();
        driver.run(MINUTE).unwrap();
        assert_eq!(driver.engine().status().unwrap().batches_in_flight, 2);
        assert_eq!(unpublished(driver.engine()), 0);
    }
}

#[test]
fn driver_reports_when_it_publishes_again() {
    let (machine, engine, out, _) = could_not_publish();
    for batch in out {
        // A forgotten batch stays in flight, so its objects do not come again.
        std::mem::forget(batch);
    }
    let driver = driven(engine, DriverOptions::default().batches_in_flight);
    assert_eq!(unpublished(driver.engine()), 1);
    assert_eq!(driver.next(), Some(driver.engine().now().saturating_add(Duration::from_secs(1))));
    machine.clock.advance(Duration::from_secs(1));
    driver.run(MINUTE).unwrap();
    assert_eq!(unpublished(driver.engine()), 0);
}
