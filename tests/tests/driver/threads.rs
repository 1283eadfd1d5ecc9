//! Pace of the driver: when it wants to be called, its own threads, and determinism without them.

use super::{
    AMPLE_MS, ANSWER_MS, all, assert_sound, due, ended, keys, now_ms, options, take_all, uploads, wait,
};
use sexton::store::Answer;
use sexton::{Driver, DriverOptions, Durability, Handler, Registration};
use sexton_tests::{HOUR_MS, Machine, NEW_YEAR_MS};
use std::sync::Arc;

#[test]
fn next_ms_is_due_exactly_while_there_is_work() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(4)), Durability::Synced).unwrap();
    let driver = Driver::start(Arc::clone(&engine), options(), None).unwrap();
    let due_ms = driver.run(AMPLE_MS).unwrap().unwrap();
    assert!(due_ms > now_ms(&machine));
    machine.clock.set(due_ms);
    assert!(driver.next_ms().unwrap() <= due_ms, "it is due, and the driver has not run");
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(driver.next_ms(), None, "nothing to do until the host takes the sub-batches");
    let handed = take_all(&driver);
    driver.answer(handed[0].id(), all(&handed[0], &Answer::Deleted)).unwrap();
    let run_out_ms = due_ms + i64::from(ANSWER_MS);
    assert_eq!(driver.next_ms(), Some(run_out_ms), "the timeout of the other sub-batch");
    machine.clock.set(run_out_ms - 1);
    assert_eq!(driver.next_ms(), Some(run_out_ms));
    driver.answer(handed[1].id(), all(&handed[1], &Answer::Deleted)).unwrap();
    assert_eq!(driver.next_ms(), Some(0), "answered, and not committed");
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(driver.next_ms(), None);
}

#[test]
fn batch_left_by_an_earlier_opening_is_asked_for_at_once() {
    let (machine, driver, _) = due(2);
    take_all(&driver);
    drop(driver);
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    assert_eq!(driver.next_ms(), Some(0));
}

#[test]
fn driver_keeps_batches_in_flight_within_its_limit() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    for slot in 0..5 {
        let key = format!("in slot {slot}");
        let start_ms = Some(NEW_YEAR_MS + slot * 600_000);
        let registration =
            Registration { version: b"v", start_ms, ..Registration::new("upload-3h", key.as_bytes()) };
        engine.register(&[registration], Durability::Synced).unwrap();
    }
    let mut most = 0;
    let driver = Driver::start(engine, DriverOptions { batches_in_flight: 2, ..options() }, None).unwrap();
    for _ in 0..10 {
        machine.clock.advance(HOUR_MS / 2);
        driver.run(AMPLE_MS).unwrap();
        most = most.max(driver.engine().status().unwrap().batches_in_flight);
        for handed in take_all(&driver) {
            driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        }
    }
    assert!(most <= 2, "{most} batches were out");
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(ended(driver.engine()), 5);
}

#[test]
fn driver_with_threads_needs_no_calls_to_run() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let with_threads = DriverOptions { threads: true, ..options() };
    let driver = Driver::start(engine, with_threads, None).unwrap();
    let names = keys(10);
    driver.submit(1, &uploads(&names), Durability::Synced, false).unwrap();
    wait(&driver);
    assert!(driver.next_completion().unwrap().unwrap().result.is_ok());
    machine.clock.advance(3 * HOUR_MS);
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
    machine.clock.advance(3 * HOUR_MS);
    let handler: Box<Handler> = Box::new(|handed| Ok(all(&handed, &Answer::Deleted)));
    let on_threads = DriverOptions { threads: true, handler_threads: 3, ..options() };
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
        let start_ms = Some(now_ms(&machine));
        let registration = |registration| Registration { start_ms, ..registration };
        let registrations: Vec<Registration<'_>> = uploads(&names).into_iter().map(registration).collect();
        driver.submit(0, &registrations, Durability::Synced, false).unwrap();
        for _ in 0..3 {
            machine.clock.advance(HOUR_MS);
            driver.run(AMPLE_MS).unwrap();
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
