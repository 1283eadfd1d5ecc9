//! When the log is published: at once, unless more batches follow; and always in the end.

use sexton::fault;
use sexton::store::Answer;
use sexton::{
    Batch, Driver, DriverOptions, Durability, Engine, ErrorKind, Opener, Registration, RegistrationId,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_tests::{HOUR_MS, Machine, NEW_YEAR_MS};
use std::sync::Arc;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A machine on which five objects are due, each for a batch of its own; their registrations.
fn due() -> (Machine, Engine, Vec<RegistrationId>) {
    let mut machine = Machine::new();
    machine.options.batch_rows = 1;
    let engine = machine.open().unwrap();
    let items = (0..).zip(KEYS).map(|(slot, key)| Registration {
        version: b"v",
        start_ms: Some(NEW_YEAR_MS + slot * 600_000),
        ..Registration::new("upload-3h", key.as_bytes())
    });
    let ids = engine.register(&items.collect::<Vec<_>>(), Durability::Synced).unwrap();
    machine.clock.advance(4 * HOUR_MS);
    (machine, engine, ids.into_iter().map(|one| one.id).collect())
}

/// Entries of the log that are not published.
fn unpublished(engine: &Engine) -> u64 {
    let status = engine.status().unwrap();
    status.log_size - status.published_size
}

fn out(engine: &Engine) -> std::vec::IntoIter<Batch> {
    let batches: Vec<Batch> = KEYS.iter().map(|_| engine.next_batch().unwrap().unwrap()).collect();
    batches.into_iter()
}

fn try_to_complete(engine: &Engine, batch: Batch) -> sexton::Result<u64> {
    let outcome = sexton::Outcome { answer: Answer::Deleted, at_ms: engine.now_ms() };
    engine.complete(batch, vec![outcome])
}

fn complete(engine: &Engine, batch: Option<Batch>) {
    try_to_complete(engine, batch.unwrap()).unwrap();
}

/// An engine whose second batch left it to the others to publish; these, and an object of that batch with its key.
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

/// The object of a batch, and its key.
fn object(batch: &Batch, ids: &[RegistrationId]) -> (RegistrationId, &'static str) {
    let id = batch.objects().next().unwrap().id;
    (id, KEYS[ids.iter().position(|one| *one == id).unwrap()])
}

/// The engine, driven in the test's thread, with so many batches out at most.
fn driven(engine: Engine, batches: usize) -> Driver {
    let options = DriverOptions { threads: false, batches, ..DriverOptions::default() };
    let driver = Driver::start(Arc::new(engine), options, None).unwrap();
    driver.run(60_000).unwrap();
    driver
}

#[test]
fn while_batches_follow_one_another_the_log_is_published_once_a_second_and_with_the_last() {
    let (machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "nothing was published in the last second");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 1);
    machine.clock.advance(999);
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 2);
    machine.clock.advance(1);
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "a second has passed");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "no other batch is out");
}

#[test]
fn whoever_finds_nothing_to_do_publishes_what_others_left() {
    let (_machine, engine, _out, _) = left_to_later();
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn a_receipt_is_to_be_had_as_soon_as_its_batch_is_committed() {
    let (_machine, engine, _out, (id, key)) = left_to_later();
    let text = engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
    receipt::verify(text.as_bytes(), &Policy::parse(engine.policy()).unwrap()).unwrap();
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn what_was_committed_and_not_published_is_published_by_the_next_opening() {
    let (machine, engine, out, _) = left_to_later();
    drop((out, engine));
    let engine = machine.open().unwrap();
    assert_eq!(unpublished(&engine), 0);
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn a_driver_that_stops_leaves_nothing_unpublished_though_a_batch_is_out() {
    let (machine, engine, _) = due();
    let driver = driven(engine, 3);
    let handed: Vec<_> = std::iter::from_fn(|| driver.next_sub_batch().unwrap()).collect();
    assert_eq!(handed.len(), 3);
    for one in &handed[..2] {
        driver.answer(one.id(), vec![(0, Answer::Deleted)]).unwrap();
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
fn a_wall_that_stands_still_keeps_nothing_from_being_published() {
    let (machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    machine.clock.step(-HOUR_MS);
    let now_ms = engine.now_ms();
    machine.clock.advance(1_000);
    assert_eq!(engine.now_ms(), now_ms, "the trusted time waits for the wall");
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0, "a second has passed all the same");
}

#[test]
fn a_batch_that_was_dropped_is_not_waited_for() {
    let (_machine, engine, _) = due();
    let mut out = out(&engine);
    complete(&engine, out.next());
    let last = out.next();
    drop(out);
    complete(&engine, last);
    assert_eq!(unpublished(&engine), 0);
}

/// An engine whose second batch was committed and could not be published, a second after the first; and the others.
fn could_not_publish() -> (Machine, Engine, std::vec::IntoIter<Batch>, (RegistrationId, &'static str)) {
    // One write after the other fails, until it is one of the publication.
    for nth in 0.. {
        let (machine, engine, ids) = due();
        let mut out = out(&engine);
        complete(&engine, out.next());
        machine.clock.advance(1_000);
        machine.faults.arm(nth, fault::Outcome::Lost);
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
fn after_a_failure_the_next_batch_tries_again_at_once() {
    let (_machine, engine, mut out, _) = could_not_publish();
    assert_eq!(unpublished(&engine), 1);
    assert!(engine.status().unwrap().publish_error.is_some());
    complete(&engine, out.next());
    assert_eq!(unpublished(&engine), 0);
    assert_eq!(engine.status().unwrap().publish_error, None);
}

#[test]
fn after_a_failure_whoever_only_asks_for_a_batch_tries_once_a_second() {
    let (machine, engine, _out, _) = could_not_publish();
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 1);
    machine.clock.advance(1_000);
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(unpublished(&engine), 0);
}

#[test]
fn what_a_person_or_a_receipt_published_after_a_failure_is_no_failure_any_more() {
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
fn a_receipt_of_what_failed_on_its_way_to_the_disk_says_that_the_engine_is_to_be_reopened() {
    // One write after the other fails, until it is the fsync behind the commit: the end is seen, and not durable.
    let seen = (0..).find_map(|nth| {
        let (machine, engine, ids) = due();
        let batch = engine.next_batch().unwrap().unwrap();
        let (id, key) = object(&batch, &ids);
        machine.faults.arm(nth, fault::Outcome::Lost);
        assert!(try_to_complete(&engine, batch).is_err(), "no write made the end seen and not durable");
        engine.receipt(id, Opener::Key(key.as_bytes())).err().filter(|e| e.kind() != ErrorKind::NotFound)
    });
    assert_eq!(seen.unwrap().kind(), ErrorKind::Poisoned);
}

#[test]
fn a_driver_without_room_for_another_batch_publishes_what_it_left() {
    let (_machine, engine, _) = due();
    let driver = driven(engine, 2);
    for _ in 0..2 {
        let handed = driver.next_sub_batch().unwrap().unwrap();
        driver.answer(handed.id(), vec![(0, Answer::Deleted)]).unwrap();
        driver.run(60_000).unwrap();
        assert_eq!(driver.engine().status().unwrap().batches_in_flight, 2);
        assert_eq!(unpublished(driver.engine()), 0);
    }
}

#[test]
fn a_driver_says_when_it_tries_again_to_publish() {
    let (machine, engine, out, _) = could_not_publish();
    for batch in out {
        // Nothing of them comes again before they are handed back.
        std::mem::forget(batch);
    }
    let driver = driven(engine, DriverOptions::default().batches);
    assert_eq!(unpublished(driver.engine()), 1);
    assert_eq!(driver.next_ms(), Some(driver.engine().now_ms() + 1_000));
    machine.clock.advance(1_000);
    driver.run(60_000).unwrap();
    assert_eq!(unpublished(driver.engine()), 0);
}
