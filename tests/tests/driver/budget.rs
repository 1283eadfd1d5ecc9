//! The budget of [`Driver::run`]: it is checked after each piece of work.

use super::{all, due, ended, keys, options, uploads};
use sexton::decision::HoldKind;
use sexton::drive::Handler;
use sexton::store::Answer;
use sexton::{Attribution, Driver, Durability, Erasure, HoldName, NewHold, Selector};
use sexton_tests::{HOUR, Machine};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Budget of one piece of work: the clock of these tests stands still unless the handler moves it.
const ONE_PIECE: Duration = Duration::ZERO;

#[test]
fn run_with_spent_budget_does_one_piece() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(6)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let handler: Box<Handler> = Box::new(move |handed| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(all(&handed, &Answer::Deleted))
    });
    let driver = Driver::start(engine, options(), Some(handler)).unwrap();
    let mut seen = Vec::new();
    while driver.run(ONE_PIECE).unwrap().is_some_and(|next| next <= driver.engine().now()) {
        seen.push((calls.load(Ordering::SeqCst), ended(driver.engine())));
    }
    // A batch is planned, each sub-batch of three handled, the batch committed.
    assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (2, 6)]);
}

#[test]
fn run_with_small_budget_starves_no_piece() {
    let (machine, driver, _) = due(3);
    let names = keys(2);
    for token in 0..50 {
        driver.submit(token, &uploads(&names), Durability::Synced).unwrap();
        driver.run(ONE_PIECE).unwrap();
    }
    for handed in super::take_all(&driver) {
        driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
    }
    for token in 50..55 {
        driver.submit(token, &uploads(&names), Durability::Synced).unwrap();
        driver.run(ONE_PIECE).unwrap();
    }
    assert_eq!(ended(driver.engine()), 3, "registering leaves time for the commit");
    drop(machine);
}

#[test]
fn run_sweeps_for_an_erasure_piece_by_piece() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let names = keys(5_000);
    let anna: Vec<_> = uploads(&names).into_iter().map(|upload| upload.subject(b"anna")).collect();
    engine.register(&anna, Durability::Synced).unwrap();
    let asked = Attribution::new("desk", "asked for");
    engine.erase(Erasure::new(Selector::Subject(b"anna".into()), engine.now(), asked)).unwrap();
    let driver = Driver::start(engine, options(), None).unwrap();
    let mut pieces = 0;
    while !super::is_readable(&driver) {
        driver.run(ONE_PIECE).unwrap();
        pieces += 1;
        if pieces == 3 {
            // In the middle of a page: one object was moved already, the other was not reached yet.
            let covered = [&names[0], &names[4_999]].map(|key| key.as_bytes().to_vec());
            let review = driver.engine().now().saturating_add(HOUR);
            let name = HoldName::new("case 7").unwrap();
            let why = Attribution::new("legal", "court order");
            let hold = NewHold::new(name, Selector::keys(covered), HoldKind::Temporary, why, review);
            driver.engine().place_hold(hold).unwrap();
        }
    }
    assert!((5..100).contains(&pieces), "{pieces} pieces");
    driver.run(Duration::from_secs(60)).unwrap();
    let mut erased = 0;
    while let Some(handed) = driver.next_sub_batch().unwrap() {
        erased += driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        driver.run(Duration::from_secs(60)).unwrap();
    }
    assert_eq!((erased, ended(driver.engine())), (4_998, 4_998));
    let objects = driver.engine().erasure_objects(1).unwrap();
    assert_eq!(objects.len(), 5_000, "each object is found once");
    super::assert_sound(driver.engine());
}

#[test]
fn many_submissions_are_applied_in_groups() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    let names = keys(4_000);
    for token in 0..5 {
        driver.submit(token, &uploads(&names), Durability::Synced).unwrap();
    }
    driver.run(ONE_PIECE).unwrap();
    let done = std::iter::from_fn(|| driver.next_completion().unwrap()).count();
    assert_eq!(done, 2, "10,000 objects make a piece");
    driver.run(Duration::from_secs(60)).unwrap();
    let tokens: Vec<u64> =
        std::iter::from_fn(|| driver.next_completion().unwrap()).map(|completion| completion.token).collect();
    assert_eq!(tokens, [2, 3, 4]);
}
