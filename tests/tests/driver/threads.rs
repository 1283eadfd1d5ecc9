//! Pace of the driver: when it wants to be called, its own threads, and determinism without them.

use super::{AMPLE, ANSWER, all, assert_sound, due, ended, keys, now, options, take_all, uploads, wait};
use sexton::drive::Handler;
use sexton::store::Answer;
use sexton::{Driver, Durability, Registration};
use sexton_proof::time::Timestamp;
use sexton_tests::{HOUR, MINUTE, Machine, NEW_YEAR};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn next_is_due_exactly_while_there_is_work() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(4)), Durability::Synced).unwrap();
    let driver = Driver::start(Arc::clone(&engine), options(), None).unwrap();
    let due = driver.run(AMPLE).unwrap().unwrap();
    assert!(due > now(&machine));
    machine.clock.set(due);
    assert!(driver.next().unwrap() <= due, "it is due, and the driver has not run");
    driver.run(AMPLE).unwrap();
    assert_eq!(driver.next(), None, "nothing to do until the host takes the sub-batches");
    let handed = take_all(&driver);
    driver.answer(handed[0].id(), all(&handed[0], &Answer::Deleted)).unwrap();
    let run_out = due.saturating_add(ANSWER);
    assert_eq!(driver.next(), Some(run_out), "the timeout of the other sub-batch");
    machine.clock.set(run_out.saturating_sub(Duration::from_millis(1)));
    assert_eq!(driver.next(), Some(run_out));
    driver.answer(handed[1].id(), all(&handed[1], &Answer::Deleted)).unwrap();
    assert_eq!(driver.next(), Some(Timestamp::from_unix_ms(0)), "answered, and not committed");
    driver.run(AMPLE).unwrap();
    assert_eq!(driver.next(), None);
}

#[test]
fn batch_left_by_an_earlier_opening_is_asked_for_at_once() {
    let (machine, driver, _) = due(2);
    take_all(&driver);
    drop(driver);
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    assert_eq!(driver.next(), Some(Timestamp::from_unix_ms(0)));
}

#[test]
fn driver_keeps_batches_in_flight_within_its_limit() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    for slot in 0..5 {
        let key = format!("in slot {slot}");
        let start = NEW_YEAR.saturating_add(slot * 10 * MINUTE);
        let registration = Registration::new("upload-3h", key.as_bytes()).version(b"v").start(start);
        engine.register(&[registration], Durability::Synced).unwrap();
    }
    let mut most = 0;
    let driver = Driver::start(engine, options().batches_in_flight(2), None).unwrap();
    for _ in 0..10 {
        machine.clock.advance(HOUR / 2);
        driver.run(AMPLE).unwrap();
        most = most.max(driver.engine().status().unwrap().batches_in_flight);
        for handed in take_all(&driver) {
            driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        }
    }
    assert!(most <= 2, "{most} batches were out");
    driver.run(AMPLE).unwrap();
    assert_eq!(ended(driver.engine()), 5);
}

#[test]
fn driver_with_threads_needs_no_calls_to_run() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let with_threads = options().threads(true);
    let driver = Driver::start(engine, with_threads, None).unwrap();
    let names = keys(10);
    driver.submit(1, &uploads(&names), Durability::Synced).unwrap();
    wait(&driver);
    assert!(driver.next_completion().unwrap().unwrap().result.is_ok());
    machine.clock.advance(3 * HOUR);
    let mut left = names.len();
    while left > 0 {
        wait(&driver);
        for handed in take_all(&driver) {
            left -= driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        }
    }
    while ended(driver.engine()) < 10 {
        std::thread::yield_now();
    }
    driver.stop();
    assert_sound(driver.engine());
}

#[test]
fn handler_is_called_by_the_threads_of_the_driver() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(20)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);
    let handler: Box<Handler> = Box::new(|handed| Ok(all(&handed, &Answer::Deleted)));
    let on_threads = options().threads(true).handler_threads(3);
    let driver = Driver::start(engine, on_threads, Some(handler)).unwrap();
    while ended(driver.engine()) < 20 {
        std::thread::yield_now();
    }
    driver.stop();
    assert_sound(driver.engine());
}

/// Runs a history that registers in rounds and answers all but the first object of each sub-batch.
fn history(seed: u64) -> Machine {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open_seeded(seed).unwrap()), options(), None).unwrap();
    for round in 0..4 {
        let names: Vec<String> = (0..5).map(|at| format!("{round}/{at}")).collect();
        let start = now(&machine);
        let registrations: Vec<Registration<'_>> =
            uploads(&names).into_iter().map(|registration| registration.start(start)).collect();
        driver.submit(0, &registrations, Durability::Synced).unwrap();
        for _ in 0..3 {
            machine.clock.advance(HOUR);
            driver.run(AMPLE).unwrap();
            for handed in take_all(&driver) {
                let answers = all(&handed, &Answer::Deleted).into_iter().skip(1).collect();
                driver.answer(handed.id(), answers).unwrap();
            }
        }
    }
    machine
}

#[test]
fn equal_steps_without_threads_give_equal_files() {
    let [a, b] = [history(3), history(3)];
    assert!(a.files.all() == b.files.all() && a.kv.image() == b.kv.image());
    assert!(a.files.all().len() > 10, "the history wrote files");
}
