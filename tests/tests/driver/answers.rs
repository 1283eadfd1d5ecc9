//! Sub-batches that the driver hands out, and answers that come in any order, in part, twice, late or never.

use super::{AMPLE, ANSWER, all, assert_kept, assert_sound, due, ended, now, options, take_all};
use sexton::decision::HoldKind;
use sexton::drive::{OwnedSubBatch, SubBatchId};
use sexton::store::Answer;
use sexton::{Attribution, Driver, ErrorKind, HoldName, NewHold, RegistrationId, Selector};
use sexton_tests::HOUR;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn due_batch_commits_once_all_sub_batches_are_answered() {
    let (_machine, driver, ids) = due(7);
    let mut handed = take_all(&driver);
    let sizes: Vec<usize> = handed.iter().map(OwnedSubBatch::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let first = handed[0].id();
    assert_eq!(first, SubBatchId { batch: 1, epoch: 1, index: 0, attempt: 1 });
    let keys: BTreeSet<Vec<u8>> =
        handed.iter().flat_map(OwnedSubBatch::objects).map(|o| o.key.to_vec()).collect();
    assert_eq!(keys.len(), 7, "each object comes once");

    handed.reverse();
    for (at, sub_batch) in handed.iter().enumerate() {
        assert_eq!(ended(driver.engine()), 0, "{at} sub-batches are answered");
        assert_eq!(driver.answer(sub_batch.id(), all(sub_batch, &Answer::Deleted)).unwrap(), sub_batch.len());
        driver.run(AMPLE).unwrap();
    }
    assert_eq!(ended(driver.engine()), 7);
    let object = |id: RegistrationId| {
        handed.iter().flat_map(OwnedSubBatch::objects).find(|o| o.id == id).map(|o| o.key.to_vec()).unwrap()
    };
    for id in ids {
        assert_kept(driver.engine(), id, &String::from_utf8(object(id)).unwrap());
    }
    assert_sound(driver.engine());
}

/// The other objects of its batch do not wait for it.
#[test]
fn unanswered_object_comes_again_after_the_timeout() {
    let (machine, driver, _) = due(3);
    let handed = take_all(&driver).remove(0);
    let stuck = handed.objects().next().unwrap().key.to_vec();
    let others = (1..3).map(|index| (index, Answer::Deleted)).collect();
    assert_eq!(driver.answer(handed.id(), others).unwrap(), 2);
    let next = driver.run(AMPLE).unwrap();
    assert_eq!(
        next,
        Some(now(&machine).saturating_add(ANSWER)),
        "the driver wants to be called at the timeout"
    );
    assert_eq!(ended(driver.engine()), 0);

    machine.clock.advance(ANSWER);
    driver.run(AMPLE).unwrap();
    assert_eq!(ended(driver.engine()), 2, "the others have their tombstones");
    assert_eq!(driver.answer(handed.id(), vec![(0, Answer::Deleted)]).unwrap(), 0, "too late");

    machine.clock.advance(Duration::from_secs(2));
    driver.run(AMPLE).unwrap();
    let again = take_all(&driver).remove(0);
    assert_eq!(again.objects().map(|o| o.key.to_vec()).collect::<Vec<_>>(), [stuck]);
    assert_ne!(again.id().batch, handed.id().batch);
    driver.answer(again.id(), vec![(0, Answer::Absent)]).unwrap();
    driver.run(AMPLE).unwrap();
    let counts = driver.engine().status().unwrap().classes["upload-3h"].ended;
    assert_eq!(
        (counts.deleted, counts.absent_after_intent),
        (2, 1),
        "an earlier attempt may have deleted it"
    );
    assert_sound(driver.engine());
}

#[test]
fn untaken_sub_batch_cannot_be_answered() {
    let (_machine, driver, _) = due(4);
    let first = driver.next_sub_batch().unwrap().unwrap();
    let untaken = SubBatchId { index: 1, ..first.id() };
    assert_eq!(driver.answer(untaken, vec![(0, Answer::Deleted)]).unwrap(), 0);
    assert_eq!(driver.next_sub_batch().unwrap().unwrap().id(), untaken);
}

#[test]
fn late_answer_is_ignored_before_the_driver_runs_again() {
    let (machine, driver, _) = due(1);
    let handed = take_all(&driver).remove(0);
    machine.clock.advance(ANSWER);
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(), 0);
}

#[test]
fn first_answer_for_an_object_counts() {
    let (_machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    let twice = vec![(0, Answer::Deleted), (0, Answer::Absent)];
    assert_eq!(driver.answer(handed.id(), twice).unwrap(), 1);
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Absent)).unwrap(), 1);
    driver.run(AMPLE).unwrap();
    let counts = driver.engine().status().unwrap().classes["upload-3h"].ended;
    assert_eq!((counts.deleted, counts.absent), (1, 1));
    assert_eq!(driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(), 0, "it is committed");
}

#[test]
fn call_with_one_wrong_answer_applies_none_of_them() {
    let (_machine, driver, _) = due(2);
    let handed = take_all(&driver).remove(0);
    for (wrong, said) in [
        ((2, Answer::Deleted), "an answer for object 2 of a sub-batch of 2; objects count from 0"),
        (
            (1, Answer::Anonymised([0; 5].into())),
            "the answer for object 1: the class deletes, but the store answered Anonymised",
        ),
    ] {
        let error = driver.answer(handed.id(), vec![(0, Answer::Deleted), wrong]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, said));
    }
    assert_eq!(
        driver.answer(handed.id(), all(&handed, &Answer::Deleted)).unwrap(),
        2,
        "no answer of the refused call was applied"
    );
}

#[test]
fn answer_for_another_attempt_part_or_opening_is_ignored() {
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
    let beyond = SubBatchId { index: 9, ..id };
    let refused = driver.answer(beyond, vec![(0, Answer::Deleted)]).unwrap_err();
    assert_eq!(
        refused.message(),
        "an answer for sub-batch 9 of batch 1, which has 2; sub-batches count from 0"
    );
}

/// A later driver hands the batch out again.
#[test]
fn unanswered_batch_of_a_dropped_driver_raises_its_attempt() {
    let (machine, driver, _) = due(2);
    let first = take_all(&driver).remove(0);
    drop(driver);

    let engine = Arc::new(machine.open().unwrap());
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let driver = Driver::start(Arc::clone(&engine), options(), None).unwrap();
        driver.run(AMPLE).unwrap();
        let again = take_all(&driver).remove(0);
        assert_eq!(again.id().batch, first.id().batch, "the same batch");
        assert!(again.id().epoch > first.id().epoch);
        assert_eq!(
            driver.answer(first.id(), all(&first, &Answer::Deleted)).unwrap(),
            0,
            "the answer is of an earlier opening"
        );
        attempts.push(again.id().attempt);
    }
    assert_eq!(attempts, [2, 3, 4]);
}

#[test]
fn answered_object_is_committed_when_the_driver_stops() {
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
fn hold_keeps_objects_of_an_untaken_sub_batch() {
    let (machine, driver, _) = due(4);
    let name = HoldName::new("case").unwrap();
    let selector = Selector::keys([b"object 1", b"object 3"]);
    let review = now(&machine).saturating_add(HOUR);
    let attribution = Attribution::new("counsel", "court");
    let hold = NewHold::new(name, selector, HoldKind::Temporary, attribution, review);
    let placed = driver.engine().place_hold(hold).unwrap();
    assert_eq!(placed.too_late.len(), 2, "both objects are in flight for the engine");
    let handed = take_all(&driver);
    let keys: BTreeSet<Vec<u8>> =
        handed.iter().flat_map(OwnedSubBatch::objects).map(|o| o.key.to_vec()).collect();
    assert_eq!(
        keys,
        BTreeSet::from([b"object 0".to_vec(), b"object 2".to_vec()]),
        "held objects are not handed out"
    );
    for sub_batch in &handed {
        assert_eq!(driver.answer(sub_batch.id(), all(sub_batch, &Answer::Deleted)).unwrap(), sub_batch.len());
    }
    driver.run(AMPLE).unwrap();
    machine.clock.advance(HOUR);
    driver.run(AMPLE).unwrap();
    assert!(take_all(&driver).is_empty());
    let class = driver.engine().status().unwrap().classes["upload-3h"];
    assert_eq!((class.live, class.held, class.ended.deleted), (2, 2, 2));
    assert_sound(driver.engine());
}
