//! An engine that is driven for a host which must not wait: what is submitted is completed, what is due is handed out in
//! sub-batches, and answers may come in any order, in part, twice, late or never.

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use sexton::fault;
use sexton::kv::Family;
use sexton::store::Answer;
use sexton::{
    Action, Answers, Change, Clock, Completion, Driver, DriverOptions, Durability, Earlier, Engine,
    ErrorKind, Handed, Handler, HoldKind, NewHold, Opener, Registration, RegistrationId, Selector, State,
    SubBatchId, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Outcome};
use sexton_tests::hooked::Hooked;
use sexton_tests::{HOUR_MS, Machine, NEW_YEAR_MS};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A run that ends because there is nothing to do.
const AMPLE_MS: u32 = 60_000;
const ANSWER_MS: u32 = 5_000;

fn options() -> DriverOptions {
    let (threads, sub_batch_objects) = (false, 3);
    DriverOptions { threads, sub_batch_objects, answer_timeout_ms: ANSWER_MS, ..DriverOptions::default() }
}

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|at| format!("object {at}")).collect()
}

fn uploads(keys: &[String]) -> Vec<Registration<'_>> {
    let (version, start_ms) = (&b"v"[..], Some(NEW_YEAR_MS));
    let one = |key| Registration { version, start_ms, ..Registration::new("upload-3h", key) };
    keys.iter().map(|key| one(key.as_bytes())).collect()
}

/// A machine on which `n` uploads are due, driven in the test's thread.
fn due(n: usize) -> (Machine, Driver, Vec<RegistrationId>) {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let names = keys(n);
    let ids = engine.register(&uploads(&names), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR_MS);
    let driver = Driver::start(engine, options(), None).unwrap();
    driver.run(AMPLE_MS).unwrap();
    (machine, driver, ids.into_iter().map(|one| one.id).collect())
}

fn now_ms(machine: &Machine) -> i64 {
    machine.clock.now_ms()
}

fn take_all(driver: &Driver) -> Vec<Handed> {
    std::iter::from_fn(|| driver.next_sub_batch().unwrap()).collect()
}

fn all(handed: &Handed, answer: &Answer) -> Vec<(u32, Answer)> {
    (0..u32::try_from(handed.len()).unwrap()).map(|place| (place, answer.clone())).collect()
}

fn ended(engine: &Engine) -> u64 {
    engine.status().unwrap().classes["upload-3h"].ended.ended()
}

fn is_readable(driver: &Driver) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(driver.event_fd(), PollFlags::IN)], Some(&now)).unwrap() == 1
}

/// Waits until something can be taken; fails only where nothing ever comes.
fn wait(driver: &Driver) {
    let long = Timespec { tv_sec: 60, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(driver.event_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&long)).unwrap(), 1, "nothing came");
}

fn assert_sound(engine: &Engine) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

fn assert_kept(engine: &Engine, id: RegistrationId, key: &str) {
    let receipt = engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    assert_eq!(receipt::verify(receipt.as_bytes(), &policy).unwrap().outcome(), Outcome::Kept);
}

#[test]
fn a_due_batch_comes_in_sub_batches_and_commits_once_all_of_it_is_answered() {
    let (_machine, driver, ids) = due(7);
    let mut handed = take_all(&driver);
    let sizes: Vec<usize> = handed.iter().map(Handed::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let first = handed[0].id();
    assert_eq!(first, SubBatchId { batch: 1, epoch: 1, part: 0, attempt: 1 });
    let keys: BTreeSet<Vec<u8>> = handed.iter().flat_map(Handed::objects).map(|o| o.key.to_vec()).collect();
    assert_eq!(keys.len(), 7, "each object once");

    handed.reverse();
    for (at, one) in handed.iter().enumerate() {
        assert_eq!(ended(driver.engine()), 0, "{at} sub-batches are answered");
        assert_eq!(driver.answer(one.id(), all(one, &Answer::Deleted)).unwrap(), one.len());
        driver.run(AMPLE_MS).unwrap();
    }
    assert_eq!(ended(driver.engine()), 7);
    let object = |id: RegistrationId| {
        handed.iter().flat_map(Handed::objects).find(|o| o.id == id).map(|o| o.key.to_vec()).unwrap()
    };
    for id in ids {
        assert_kept(driver.engine(), id, &String::from_utf8(object(id)).unwrap());
    }
    assert_sound(driver.engine());
}

#[test]
fn an_object_that_is_never_answered_comes_again_and_keeps_nobody_waiting() {
    let (machine, driver, _) = due(3);
    let handed = take_all(&driver).remove(0);
    let stuck = handed.objects().next().unwrap().key.to_vec();
    let others = (1..3).map(|place| (place, Answer::Deleted)).collect();
    assert_eq!(driver.answer(handed.id(), others).unwrap(), 2);
    let next = driver.run(AMPLE_MS).unwrap();
    assert_eq!(next, Some(now_ms(&machine) + i64::from(ANSWER_MS)), "it wants to be called when time is up");
    assert_eq!(ended(driver.engine()), 0);

    machine.clock.advance(i64::from(ANSWER_MS));
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(ended(driver.engine()), 2, "the others have their tombstones");
    assert_eq!(driver.answer(handed.id(), vec![(0, Answer::Deleted)]).unwrap(), 0, "too late");

    machine.clock.advance(2_000);
    driver.run(AMPLE_MS).unwrap();
    let again = take_all(&driver).remove(0);
    assert_eq!(again.objects().map(|o| o.key.to_vec()).collect::<Vec<_>>(), [stuck]);
    assert_ne!(again.id().batch, handed.id().batch);
    driver.answer(again.id(), vec![(0, Answer::Absent)]).unwrap();
    driver.run(AMPLE_MS).unwrap();
    let counts = driver.engine().status().unwrap().classes["upload-3h"].ended;
    assert_eq!((counts.deleted, counts.absent_after_intent), (2, 1), "it may well have been our own attempt");
    assert_sound(driver.engine());
}

#[test]
fn what_an_alarm_stops_is_asked_for_again_but_not_all_the_time() {
    let (machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
    driver.run(AMPLE_MS).unwrap();
    let names = keys(4);
    let start_ms = Some(now_ms(&machine));
    let items: Vec<Registration<'_>> =
        uploads(&names).into_iter().map(|item| Registration { start_ms, ..item }).collect();
    driver.engine().register(&items, Durability::Synced).unwrap();
    machine.clock.step(30 * 24 * HOUR_MS);
    let next = driver.run(AMPLE_MS).unwrap().unwrap();
    assert!(next > driver.engine().now_ms(), "{next}");
    assert!(take_all(&driver).is_empty(), "nothing is planned while the clock is ahead");
}

#[test]
fn calls_are_applied_in_the_order_of_submitting_however_many_threads_drive() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    let names = keys(50);
    for round in 0..20 {
        let start_ms = Some(NEW_YEAR_MS + round * 1_000);
        let item = |item| Registration { version: b"", start_ms, ..item };
        let items: Vec<Registration<'_>> = uploads(&names).into_iter().map(item).collect();
        for one in items.chunks(1) {
            driver.submit(round.unsigned_abs(), one, Durability::Buffered, false).unwrap();
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| driver.run(AMPLE_MS).unwrap());
        }
    });
    let tokens: Vec<u64> =
        std::iter::from_fn(|| driver.next_completion().unwrap()).map(|one| one.token).collect();
    assert!(tokens.len() == 1_000 && tokens.is_sorted(), "completions come in order");
    let mut standing = Vec::new();
    driver
        .engine()
        .plan(i64::MAX, &mut |one| {
            standing.extend((one.action == Action::Delete).then_some(one.ceiling_ms));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        standing,
        [NEW_YEAR_MS + 19_000 + 3 * HOUR_MS; 50],
        "the last registration of each key stands"
    );
}

#[test]
fn it_wants_to_be_called_at_once_exactly_while_there_is_something_to_do() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(4)), Durability::Synced).unwrap();
    let driver = Driver::start(Arc::clone(&engine), options(), None).unwrap();
    let due_ms = driver.run(AMPLE_MS).unwrap().unwrap();
    assert!(due_ms > now_ms(&machine));
    machine.clock.set(due_ms);
    assert!(driver.next_ms().unwrap() <= due_ms, "it is due, and nobody has looked");
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(driver.next_ms(), None, "nothing to do until somebody takes what is ready");
    let handed = take_all(&driver);
    driver.answer(handed[0].id(), all(&handed[0], &Answer::Deleted)).unwrap();
    let run_out_ms = due_ms + i64::from(ANSWER_MS);
    assert_eq!(driver.next_ms(), Some(run_out_ms), "the other sub-batch");
    machine.clock.set(run_out_ms - 1);
    assert_eq!(driver.next_ms(), Some(run_out_ms));
    driver.answer(handed[1].id(), all(&handed[1], &Answer::Deleted)).unwrap();
    assert_eq!(driver.next_ms(), Some(0), "answered, and not committed");
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(driver.next_ms(), None);
}

#[test]
fn what_an_earlier_opening_left_is_asked_for_at_once() {
    let (machine, driver, _) = due(2);
    take_all(&driver);
    drop(driver);
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    assert_eq!(driver.next_ms(), Some(0));
}

#[test]
fn what_was_answered_is_on_record_when_the_driver_stops() {
    let (machine, driver, ids) = due(4);
    let handed = take_all(&driver);
    driver.answer(handed[0].id(), vec![(1, Answer::Deleted)]).unwrap();
    let deleted = handed[0].objects().nth(1).unwrap();
    assert!(ids.contains(&deleted.id));
    drop(driver);
    let engine = machine.open().unwrap();
    assert_kept(&engine, deleted.id, std::str::from_utf8(deleted.key).unwrap());
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 3, "the others are owed");
    assert_sound(&engine);
}

#[test]
fn a_hold_reaches_what_is_ready_and_was_not_taken() {
    let (machine, driver, _) = due(4);
    let placed = driver
        .engine()
        .place_hold(NewHold {
            name: "case".into(),
            selector: Selector::Keys(vec![b"object 1".to_vec(), b"object 3".to_vec()]),
            kind: HoldKind::Temporary,
            reason: "court".into(),
            author: "counsel".into(),
            review_ms: now_ms(&machine) + HOUR_MS,
        })
        .unwrap();
    assert_eq!(placed.too_late.len(), 2, "for all that the engine knows");
    let handed = take_all(&driver);
    let keys: BTreeSet<Vec<u8>> = handed.iter().flat_map(Handed::objects).map(|o| o.key.to_vec()).collect();
    assert_eq!(
        keys,
        BTreeSet::from([b"object 0".to_vec(), b"object 2".to_vec()]),
        "those held are not handed out"
    );
    for one in &handed {
        assert_eq!(driver.answer(one.id(), all(one, &Answer::Deleted)).unwrap(), one.len());
    }
    driver.run(AMPLE_MS).unwrap();
    machine.clock.advance(HOUR_MS);
    driver.run(AMPLE_MS).unwrap();
    assert!(take_all(&driver).is_empty());
    let class = driver.engine().status().unwrap().classes["upload-3h"];
    assert_eq!((class.live, class.held, class.ended.deleted), (2, 2, 2));
    assert_sound(driver.engine());
}

#[test]
fn what_nobody_took_cannot_be_answered() {
    let (_machine, driver, _) = due(4);
    let first = driver.next_sub_batch().unwrap().unwrap();
    let untaken = SubBatchId { part: 1, ..first.id() };
    assert_eq!(driver.answer(untaken, vec![(0, Answer::Deleted)]).unwrap(), 0);
    assert_eq!(driver.next_sub_batch().unwrap().unwrap().id(), untaken);
}

#[test]
fn a_late_answer_counts_for_nothing_also_where_nobody_has_looked_since() {
    let (machine, driver, _) = due(1);
    let handed = take_all(&driver).remove(0);
    machine.clock.advance(i64::from(ANSWER_MS));
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(), 0);
}

#[test]
fn calls_that_wait_when_the_driver_stops_by_itself_are_completed_with_its_error() {
    let (machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
    driver.submit(5, &[], Durability::Synced, false).unwrap();
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

#[test]
fn the_first_answer_for_an_object_counts() {
    let (_machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    let twice = vec![(0, Answer::Deleted), (0, Answer::Absent)];
    assert_eq!(driver.answer(handed.id(), twice).unwrap(), 1);
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Absent)).unwrap(), 1);
    driver.run(AMPLE_MS).unwrap();
    let counts = driver.engine().status().unwrap().classes["upload-3h"].ended;
    assert_eq!((counts.deleted, counts.absent), (1, 1));
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(), 0, "it is committed");
}

#[test]
fn a_call_with_a_wrong_answer_counts_for_nothing() {
    let (_machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    for (wrong, said) in [
        ((2, Answer::Deleted), "an answer for object 2 of a sub-batch of 2; places count from 0"),
        (
            (1, Answer::Anonymised([0; 5].into())),
            "object 1 was to be deleted, and the answer is that it was rewritten",
        ),
    ] {
        let error = driver.answer(handed.id(), vec![(0, Answer::Deleted), wrong]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, said));
    }
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(), 2, "nothing had counted");
}

#[test]
fn answers_under_another_attempt_part_or_opening_count_for_nothing() {
    let (_machine, driver, _) = due(4);
    let handed = take_all(&driver);
    let id = handed[0].id();
    for stale in [
        SubBatchId { attempt: id.attempt + 1, ..id },
        SubBatchId { epoch: id.epoch - 1, ..id },
        SubBatchId { batch: id.batch + 1, ..id },
    ] {
        assert_eq!(driver.answer(stale, all(&handed[0], &Answer::Deleted)).unwrap(), 0, "{stale:?}");
    }
    let beyond = SubBatchId { part: 9, ..id };
    let refused = driver.answer(beyond, vec![(0, Answer::Deleted)]).unwrap_err();
    assert_eq!(refused.message(), "an answer for part 9 of batch 1, which has 2; parts count from 0");
}

#[test]
fn what_is_not_answered_when_the_driver_goes_comes_again_with_a_higher_attempt() {
    let (machine, driver, _) = due(2);
    let first = take_all(&driver).remove(0);
    drop(driver);

    let engine = Arc::new(machine.open().unwrap());
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let driver = Driver::start(Arc::clone(&engine), options(), None).unwrap();
        driver.run(AMPLE_MS).unwrap();
        let again = take_all(&driver).remove(0);
        assert_eq!(again.id().batch, first.id().batch, "the same batch");
        assert!(again.id().epoch > first.id().epoch);
        assert_eq!(
            driver.answer(first.id(), all(&first, &Answer::Deleted)).unwrap(),
            0,
            "of an earlier opening"
        );
        attempts.push(again.id().attempt);
    }
    assert_eq!(attempts, [2, 3, 4]);
}

#[test]
fn no_more_batches_are_out_than_may_be() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    for slot in 0..5 {
        let key = format!("in slot {slot}");
        let start_ms = Some(NEW_YEAR_MS + slot * 600_000);
        let item = Registration { version: b"v", start_ms, ..Registration::new("upload-3h", key.as_bytes()) };
        engine.register(&[item], Durability::Synced).unwrap();
    }
    let mut most = 0;
    let driver = Driver::start(engine, DriverOptions { batches: 2, ..options() }, None).unwrap();
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
fn submitted_calls_are_completed_in_order_with_the_answers_that_waiting_would_have_given() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    let names = keys(2);
    let items = uploads(&names);
    driver.submit(11, &items, Durability::Synced, false).unwrap();
    driver.submit(12, &[Registration::new("no such class", b"k")], Durability::Synced, false).unwrap();
    let again = Registration { version: b"w", ..items[0] };
    driver.submit(13, &[again], Durability::Synced, true).unwrap();
    let release = Change::Release { of: Which::Key(names[1].as_bytes()) };
    let unknown = Change::Release { of: Which::Key(b"nobody") };
    driver.submit_changes(14, &[release, unknown], Durability::Synced).unwrap();
    assert!(driver.next_completion().unwrap().is_none() && !is_readable(&driver), "nobody drives it yet");

    driver.run(AMPLE_MS).unwrap();
    assert!(is_readable(&driver));
    let done: Vec<Completion> = std::iter::from_fn(|| driver.next_completion().unwrap()).collect();
    assert!(!is_readable(&driver));
    assert_eq!(done.iter().map(|one| one.token).collect::<Vec<_>>(), [11, 12, 13, 14]);
    let Ok(Answers::Registered(first)) = &done[0].result else { panic!("{:?}", done[0]) };
    assert_eq!(first.len(), 2);
    assert_eq!(done[1].result.as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    let Ok(Answers::Registered(third)) = &done[2].result else { panic!("{:?}", done[2]) };
    assert_eq!((third[0].id, third[0].earlier), (first[0].id, Earlier::Stands));
    let Ok(Answers::Changed(fourth)) = &done[3].result else { panic!("{:?}", done[3]) };
    assert!(fourth[0].is_ok());
    assert_eq!(fourth[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_completed_call_survives_the_loss_of_power() {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open().unwrap()), options(), None).unwrap();
    driver.submit(1, &uploads(&keys(2)), Durability::Synced, false).unwrap();
    driver.run(AMPLE_MS).unwrap();
    assert!(driver.next_completion().unwrap().unwrap().result.is_ok());
    machine.kv.lose_power();
    drop(driver);
    let engine = machine.open().unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 2);
}

#[test]
fn more_than_may_be_queued_is_refused_and_nothing_of_it_is_taken() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let driver = Driver::start(engine, DriverOptions { queue_objects: 5, ..options() }, None).unwrap();
    let names = keys(6);
    let items = uploads(&names);
    assert_eq!(driver.submit(1, &items, Durability::Synced, false).unwrap_err().kind(), ErrorKind::Invalid);
    driver.submit(2, &items[..3], Durability::Synced, false).unwrap();
    assert_eq!(driver.submit(3, &items[3..], Durability::Synced, false).unwrap_err().kind(), ErrorKind::Busy);
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(
        driver.submit(3, &items[3..], Durability::Synced, false).unwrap_err().kind(),
        ErrorKind::Busy,
        "what is completed and not taken counts too"
    );
    assert_eq!(driver.next_completion().unwrap().unwrap().token, 2);
    driver.submit(3, &items[3..], Durability::Synced, false).unwrap();
    driver.run(AMPLE_MS).unwrap();
    assert_eq!(driver.engine().status().unwrap().classes["upload-3h"].live, 6);
}

#[test]
fn a_handler_answers_at_once_and_what_it_fails_at_comes_again() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(5)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR_MS);
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
    driver.run(AMPLE_MS).unwrap();
    assert_eq!((calls.lock().clone(), ended(driver.engine())), (vec![3, 2], 3));
    for expected in [3, 5] {
        machine.clock.advance(10_000);
        driver.run(AMPLE_MS).unwrap();
        assert_eq!(ended(driver.engine()), expected);
    }
    assert_eq!(driver.engine().status().unwrap().classes["upload-3h"].ended.carried, 4, "two objects, twice");
    assert_sound(driver.engine());
}

#[test]
fn a_failed_write_stops_the_driver_and_it_says_so() {
    for outcome in [fault::Outcome::Lost, fault::Outcome::DoneButError] {
        let (machine, driver, _) = due(2);
        let handed = take_all(&driver).remove(0);
        assert!(!is_readable(&driver));
        driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap();
        machine.faults.arm(0, outcome);
        assert!(driver.run(AMPLE_MS).is_err());
        assert!(is_readable(&driver), "that it stopped is news");
        let kind = driver.next_sub_batch().unwrap_err().kind();
        assert!(!is_readable(&driver), "told once");
        assert_eq!(driver.next_completion().unwrap_err().kind(), kind);
        assert!(driver.submit(1, &uploads(&keys(1)), Durability::Synced, false).is_err());
        drop(driver);
        machine.faults.disarm();
        let engine = machine.open().unwrap();
        assert_sound(&engine);
        let status = engine.status().unwrap().classes["upload-3h"];
        assert_eq!(status.live + status.ended.ended(), 2, "owed or on record");
    }
}

#[test]
fn options_of_nothing_are_refused() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    for wrong in [
        DriverOptions { sub_batch_objects: 0, ..options() },
        DriverOptions { batches: 0, ..options() },
        DriverOptions { answer_timeout_ms: 0, ..options() },
        DriverOptions { queue_objects: 0, ..options() },
        DriverOptions { handler_threads: 0, ..options() },
    ] {
        let refused = Driver::start(Arc::clone(&engine), wrong, None).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn with_threads_everything_happens_by_itself() {
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
fn a_handler_on_threads_is_called_by_them() {
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

#[test]
fn a_handler_that_panics_stops_the_driver_and_nothing_is_lost() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    engine.register(&uploads(&keys(2)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR_MS);
    let handler: Box<Handler> = Box::new(|_| panic!("as the test asks"));
    let on_threads = DriverOptions { threads: true, ..options() };
    let driver = Driver::start(engine, on_threads, Some(handler)).unwrap();
    let stopped = loop {
        // Before the handler gets it, the sub-batch itself can be polled.
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

/// Registers in rounds and answers for all but the first of each sub-batch.
fn history(seed: u64) -> Machine {
    let machine = Machine::new();
    let driver = Driver::start(Arc::new(machine.open_seeded(seed).unwrap()), options(), None).unwrap();
    for round in 0..4 {
        let names: Vec<String> = (0..5).map(|at| format!("{round}/{at}")).collect();
        let start_ms = Some(now_ms(&machine));
        let item = |item| Registration { start_ms, ..item };
        let items: Vec<Registration<'_>> = uploads(&names).into_iter().map(item).collect();
        driver.submit(0, &items, Durability::Synced, false).unwrap();
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
fn without_threads_the_same_steps_give_the_same_files() {
    let [a, b] = [history(3), history(3)];
    assert!(a.files.all() == b.files.all() && a.kv.image() == b.kv.image());
    assert!(a.files.all().len() > 10, "something happened");
}

/// An engine whose index panics when a family of this kind is read, while it is armed.
fn panicking(machine: &Machine, panics: fn(Family) -> bool) -> (Arc<Engine>, Arc<AtomicBool>) {
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

#[test]
fn a_panic_in_the_midst_of_planning_is_told_as_a_defect_stops_the_engine_and_loses_nothing() {
    let machine = Machine::new();
    let (engine, is_armed) = panicking(&machine, |family| matches!(family, Family::Rows(_)));
    engine.register(&uploads(&keys(4)), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR_MS);

    is_armed.store(true, Ordering::SeqCst);
    let driver =
        Driver::start(Arc::clone(&engine), DriverOptions { threads: true, ..options() }, None).unwrap();
    while driver.failure().is_none() {
        thread::yield_now();
    }
    is_armed.store(false, Ordering::SeqCst);
    assert_eq!(driver.failure().unwrap().kind(), ErrorKind::Internal);
    assert!(matches!(engine.state(), State::Poisoned(_)), "{:?}", engine.state());
    let refused = engine.register(&uploads(&keys(5)), Durability::Synced).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    assert!(engine.enforce(&*machine.store).is_err());
    drop((driver, engine));

    let engine = machine.open().unwrap();
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 4);
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn calls_that_are_worked_at_when_their_thread_panics_are_completed_too() {
    let machine = Machine::new();
    let (engine, is_armed) = panicking(&machine, |family| family == Family::Locator);
    is_armed.store(true, Ordering::SeqCst);
    let driver =
        Driver::new(Arc::clone(&engine), DriverOptions { threads: true, ..options() }, None).unwrap();
    for token in 0..3 {
        driver.submit(token, &uploads(&keys(2)), Durability::Synced, false).unwrap();
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
