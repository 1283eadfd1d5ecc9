//! A driver whose engine, store, handler or clock fails.

use super::{AMPLE, all, assert_sound, due, ended, is_readable, keys, now, options, take_all, uploads};
use parking_lot::Mutex;
use sexton::drive::Handler;
use sexton::report::EngineState;
use sexton::store::Answer;
use sexton::testing::fault;
use sexton::testing::kv::ColumnFamily;
use sexton::{Driver, Durability, Engine, ErrorKind, Registration};
use sexton_tests::hooked::Hooked;
use sexton_tests::{HOUR, Machine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn driver_pauses_between_tries_while_an_alarm_stands() {
    let (machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
    driver.run(AMPLE).unwrap();
    let names = keys(4);
    let start = now(&machine);
    let registrations: Vec<Registration<'_>> =
        uploads(&names).into_iter().map(|registration| registration.start(start)).collect();
    driver.engine().register(&registrations, Durability::Synced).unwrap();
    machine.clock.step_forward(30 * 24 * HOUR);
    let next = driver.run(AMPLE).unwrap().unwrap();
    assert!(next > driver.engine().now(), "{next}");
    assert!(take_all(&driver).is_empty(), "nothing is planned while the clock is ahead");
}

#[test]
fn failed_handler_gets_its_objects_again() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(5)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let handler: Box<Handler> = Box::new(move |handed| {
        seen.lock().push(handed.len());
        match seen.lock().len() {
            1 => Ok(all(&handed, &Answer::Deleted)),
            2 => Err("the store is down".into()),
            3 => Ok(vec![(99, Answer::Deleted)]),
            _ => Ok(all(&handed, &Answer::Deleted)),
        }
    });
    let driver = Driver::start(engine, options(), Some(handler)).unwrap();
    driver.run(AMPLE).unwrap();
    assert_eq!((calls.lock().clone(), ended(driver.engine())), (vec![3, 2], 3));
    for expected in [3, 5] {
        machine.clock.advance(Duration::from_secs(10));
        driver.run(AMPLE).unwrap();
        assert_eq!(ended(driver.engine()), expected);
    }
    assert_eq!(driver.engine().status().unwrap().classes["upload-3h"].ended.carried, 4, "two objects, twice");
    assert_sound(driver.engine());
}

#[test]
fn failed_write_stops_the_driver_and_is_reported_once() {
    for outcome in [fault::InjectedOutcome::Lost, fault::InjectedOutcome::DoneButError] {
        let (machine, driver, _) = due(2);
        let handed = take_all(&driver).remove(0);
        assert!(!is_readable(&driver));
        driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        machine.faults.arm(0, outcome);
        assert!(driver.run(AMPLE).is_err());
        assert!(is_readable(&driver), "the failure is unreported");
        let kind = driver.next_sub_batch().unwrap_err().kind();
        assert!(!is_readable(&driver), "the failure is reported once");
        assert_eq!(driver.next_completion().unwrap_err().kind(), kind);
        assert!(driver.submit(1, &uploads(&keys(1)), Durability::Synced).is_err());
        drop(driver);
        machine.faults.disarm();
        let engine = machine.open().unwrap();
        assert_sound(&engine);
        let status = engine.status().unwrap().classes["upload-3h"];
        assert_eq!(status.live + status.ended.ended(), 2, "owed or on record");
    }
}

#[test]
fn options_of_zero_are_refused() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    for wrong in [
        options().sub_batch_objects(0),
        options().batches_in_flight(0),
        options().answer_timeout(Duration::ZERO),
        options().queue_objects(0),
        options().handler_threads(0),
    ] {
        let refused = Driver::start(Arc::clone(&engine), wrong, None).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn panicking_handler_stops_the_driver_and_loses_nothing() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(2)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);
    let handler: Box<Handler> = Box::new(|_| panic!("as the test asks"));
    let on_threads = options().threads(true);
    let driver = Driver::start(engine, on_threads, Some(handler)).unwrap();
    let stopped = loop {
        // Until the handler takes the sub-batch, polling succeeds.
        match driver.next_completion() {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    assert_eq!(stopped.kind(), ErrorKind::Internal);
    drop(driver);
    let engine = machine.open().unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 2);
    assert_sound(&engine);
}

/// Returns an engine whose index panics, while armed, when a column family of this kind is read.
fn panicking(machine: &Machine, panics: fn(ColumnFamily) -> bool) -> (Arc<Engine>, Arc<AtomicBool>) {
    let is_armed = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&is_armed);
    let read = move |family| {
        assert!(
            !(armed.load(Ordering::SeqCst) && panics(family)),
            "injected fault: reading {family:?} panicked"
        );
        Ok(())
    };
    let kv = Hooked { inner: machine.kv.clone(), before: Box::new(read), after: Box::new(|_| Ok(())) };
    (Arc::new(machine.open_on(Arc::new(kv), 7).unwrap()), is_armed)
}

/// The driver reports the panic as an internal error.
#[test]
fn panic_while_planning_stops_the_engine_and_loses_nothing() {
    let machine = Machine::new();
    let (engine, is_armed) = panicking(&machine, |family| matches!(family, ColumnFamily::Rows(_)));
    engine.register(&uploads(&keys(4)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);

    is_armed.store(true, Ordering::SeqCst);
    let driver = Driver::start(Arc::clone(&engine), options().threads(true), None).unwrap();
    while driver.failure().is_none() {
        thread::yield_now();
    }
    is_armed.store(false, Ordering::SeqCst);
    assert_eq!(driver.failure().unwrap().kind(), ErrorKind::Internal);
    assert!(matches!(engine.state(), EngineState::Poisoned(_)), "{:?}", engine.state());
    let refused = engine.register(&uploads(&keys(5)), Durability::Synced).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    assert!(engine.enforce(&*machine.store).is_err());
    drop((driver, engine));

    let engine = machine.open().unwrap();
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 4);
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn calls_of_a_panicking_thread_complete_with_an_error() {
    let machine = Machine::new();
    let (engine, is_armed) = panicking(&machine, |family| family == ColumnFamily::Locator);
    is_armed.store(true, Ordering::SeqCst);
    let driver = Driver::new(Arc::clone(&engine), options().threads(true), None).unwrap();
    for token in 0..3 {
        driver.submit(token, &uploads(&keys(2)), Durability::Synced).unwrap();
    }
    driver.start_threads().unwrap();
    let mut tokens = Vec::new();
    while tokens.len() < 3 {
        if let Ok(Some(completion)) = driver.next_completion() {
            assert_eq!(completion.result.unwrap_err().kind(), ErrorKind::Internal);
            tokens.push(completion.token);
        }
    }
    assert_eq!(tokens, [0, 1, 2]);
    while driver.failure().is_none() {
        thread::yield_now();
    }
    assert_eq!(driver.failure().unwrap().kind(), ErrorKind::Internal);
    drop(driver);
    is_armed.store(false, Ordering::SeqCst);
    assert!(engine.find(keys(1)[0].as_bytes()).unwrap().is_none());
    assert!(engine.check().unwrap().is_sound());
}
