//! The life of objects on an engine in memory, from registration to a receipt that verifies.

use sexton::store::Answer;
use sexton::{ClassSet, Durability, Earlier, Engine, ErrorKind, Opener, Registration, RegistrationId};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Outcome, Verdict};
use sexton_proof::record::Method;
use sexton_tests::{HOUR_MS, Machine, Mood, NEW_YEAR_MS};

fn upload<'a>(key: &'a [u8], version: &'a [u8], start_ms: i64) -> Registration<'a> {
    Registration { version, start_ms: Some(start_ms), ..Registration::new("upload-3h", key) }
}

fn register(engine: &Engine, item: Registration<'_>) -> RegistrationId {
    engine.register(&[item], Durability::Synced).unwrap()[0].id
}

fn verdict(engine: &Engine, id: RegistrationId, key: &[u8]) -> Verdict {
    let receipt = engine.receipt(id, Opener::Key(key)).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    receipt::verify(receipt.as_bytes(), &policy).unwrap()
}

fn assert_sound(engine: &Engine) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

#[test]
fn an_upload_is_gone_within_three_hours_and_its_receipt_verifies() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"cat.jpg", b"v1");
    let id = register(&engine, upload(b"cat.jpg", b"v1", NEW_YEAR_MS));
    assert_eq!(engine.find(b"cat.jpg").unwrap(), Some(id));

    machine.clock.advance(2 * HOUR_MS);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 0);
    assert_eq!(engine.receipt(id, Opener::Key(b"cat.jpg")).unwrap_err().kind(), ErrorKind::NotFound);

    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 1);
    assert!(machine.store.is_empty());
    let verdict = verdict(&engine, id, b"cat.jpg");
    assert_eq!(verdict.outcome(), Outcome::Kept);
    assert_eq!(verdict.method, Method::Deleted);
    assert_eq!(engine.find(b"cat.jpg").unwrap(), None);
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn an_object_that_is_gone_already_becomes_absent() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let id = register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.clock.advance(3 * HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(verdict(&engine, id, b"a").outcome(), Outcome::NotADeletion(Method::Absent));
    assert_sound(&engine);
}

#[test]
fn an_object_registered_again_goes_on_its_own_time_and_not_on_its_predecessors() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let first = register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.clock.advance(HOUR_MS);
    machine.store.put(b"a", b"v2");
    let again = engine.register(&[upload(b"a", b"v2", NEW_YEAR_MS + HOUR_MS)], Durability::Synced).unwrap();
    assert_eq!(again[0].earlier, Earlier::Replaced(first));
    assert_eq!(engine.find(b"a").unwrap(), Some(again[0].id));

    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.has(b"a"));
    assert_eq!(verdict(&engine, first, b"a").outcome(), Outcome::NotADeletion(Method::Replaced));
    assert_sound(&engine);

    machine.clock.set(NEW_YEAR_MS + 4 * HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    assert!(!machine.store.has(b"a"));
    assert_eq!(verdict(&engine, again[0].id, b"a").outcome(), Outcome::Kept);
    assert_sound(&engine);
}

#[test]
fn the_same_object_registered_again_is_answered_as_already_done() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let item = upload(b"a", b"v1", NEW_YEAR_MS);
    let first = register(&engine, item);
    for again in engine.register(&[item, item], Durability::Synced).unwrap() {
        assert_eq!((again.id, again.earlier), (first, Earlier::Same));
    }
    let within = engine.register(&[upload(b"b", b"v1", NEW_YEAR_MS); 2], Durability::Synced).unwrap();
    assert_eq!(within[0].id, within[1].id);
    assert_eq!(within[1].earlier, Earlier::Same);
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 2);
    assert_sound(&engine);
}

#[test]
fn an_overwritten_object_survives_its_old_time_and_is_shown_overdue() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.store.put(b"a", b"v2");
    machine.clock.advance(3 * HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    machine.clock.advance(1);
    let status = engine.status().unwrap().classes["upload-3h"];
    assert!(machine.store.has(b"a"));
    assert_eq!((status.live, status.overdue), (1, 1));
    assert_eq!(status.oldest_overdue_ms, Some(NEW_YEAR_MS + 3 * HOUR_MS));
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn what_the_store_cannot_delete_stays_owed_is_tried_again_with_back_off_and_then_has_one_tombstone() {
    for mood in [Mood::Fails, Mood::Refuses] {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        machine.store.put(b"a", b"v1");
        machine.store.set_mood(b"a", Some(mood));
        let id = register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
        machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
        let mut asked_at = Vec::new();
        for _ in 0..600 {
            let asked = machine.store.asked();
            engine.enforce(&*machine.store).unwrap();
            if machine.store.asked() > asked {
                asked_at.push(engine.now_ms());
            }
            machine.clock.advance(1_000);
        }
        let waits: Vec<i64> = asked_at.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
        assert_eq!(engine.status().unwrap().classes["upload-3h"].overdue, 1);
        assert_sound(&engine);

        // A crash in between forgets neither the object nor how often it was tried.
        drop(engine);
        let engine = machine.open().unwrap();
        assert_eq!(engine.status().unwrap().classes["upload-3h"].overdue, 1);
        machine.store.set_mood(b"a", None);
        machine.clock.advance(512_000);
        engine.enforce(&*machine.store).unwrap();
        let verdict = verdict(&engine, id, b"a");
        assert!(matches!(verdict.outcome(), Outcome::Late { by_ms } if by_ms > 0), "{:?}", verdict.outcome());
        assert_eq!(engine.status().unwrap().classes["upload-3h"].ended.late, 1);
        assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0);
        assert_sound(&engine);
    }
}

#[test]
fn one_key_in_many_classes_and_slots_ends_with_exactly_one_record_each() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..2_000).map(|n| format!("object/{n}")).collect();
    let classes = ["upload-3h", "log-73h", "data-30d", "log-6mo"];
    let items: Vec<Registration<'_>> = (0_i64..)
        .zip(&keys)
        .zip(classes.iter().cycle())
        .map(|((n, key), class)| Registration {
            version: b"1",
            start_ms: Some(NEW_YEAR_MS - n * 1_009),
            ..Registration::new(class, key.as_bytes())
        })
        .collect();
    for key in &keys {
        machine.store.put(key.as_bytes(), b"1");
    }
    let registered = engine.register(&items, Durability::Synced).unwrap();
    while let Some(next_ms) = engine.next_due_ms() {
        machine.clock.set(next_ms.max(engine.now_ms()));
        engine.enforce(&*machine.store).unwrap();
    }
    assert!(machine.store.is_empty());
    for class in engine.status().unwrap().classes.values() {
        assert_eq!((class.live, class.ended.deleted, class.ended.early, class.ended.late), (0, 500, 0, 0));
    }
    for (one, key) in registered.iter().zip(&keys) {
        assert_eq!(verdict(&engine, one.id, key.as_bytes()).outcome(), Outcome::Kept);
    }
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn a_ticket_opens_what_the_operator_cannot() {
    let mut machine = Machine::new();
    machine.options.classes =
        ClassSet::from_toml("[class.t]\nwithin = \"1h\"\nopenings = \"ticket\"\n").unwrap();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"1");
    let item = Registration { version: b"1", ..Registration::new("t", b"a") };
    let one = engine.register(&[item], Durability::Synced).unwrap().remove(0);
    let ticket = one.ticket.unwrap();
    assert_eq!(engine.register(&[item], Durability::Synced).unwrap()[0].ticket.as_ref(), Some(&ticket));
    machine.clock.advance(HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(engine.receipt(one.id, Opener::Key(b"a")).unwrap_err().kind(), ErrorKind::NotFound);
    let receipt = engine.receipt(one.id, Opener::Ticket(&ticket)).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    assert_eq!(receipt::verify(receipt.as_bytes(), &policy).unwrap().outcome(), Outcome::Kept);
    assert_sound(&engine);
}

#[test]
fn an_object_replaced_while_its_batch_is_out_ends_as_replaced_whatever_the_store_answers() {
    for answer in [Answer::Failed("no".into()), Answer::Changed, Answer::Absent, Answer::Deleted] {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        let first = register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
        machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
        let batch = engine.next_batch().unwrap().unwrap();
        assert_eq!(batch.objects().map(|object| object.id).collect::<Vec<_>>(), [first]);

        machine.store.put(b"a", b"v2");
        let now_ms = engine.now_ms();
        let second = engine.register(&[upload(b"a", b"v2", now_ms)], Durability::Synced).unwrap().remove(0);
        assert_eq!(second.earlier, Earlier::TooLate(first));
        let outcome = sexton::Outcome { answer: answer.clone(), at_ms: now_ms };
        engine.complete(batch, vec![outcome]).unwrap();
        assert_sound(&engine);
        assert_eq!(engine.find(b"a").unwrap(), Some(second.id));

        // A failure is carried, and ends as replaced without the store being asked again.
        machine.clock.advance(10_000);
        engine.enforce(&*machine.store).unwrap();
        assert_eq!(machine.store.asked(), 0);
        let method = verdict(&engine, first, b"a").method;
        let expected = match answer {
            Answer::Absent => Method::Absent,
            Answer::Deleted => Method::Deleted,
            _ => Method::Replaced,
        };
        assert_eq!(method, expected, "{answer:?}");
        machine.clock.set(now_ms + 3 * HOUR_MS);
        engine.enforce(&*machine.store).unwrap();
        assert!(machine.store.is_empty());
        assert_eq!(verdict(&engine, second.id, b"a").outcome(), Outcome::Kept);
        assert_sound(&engine);
    }
}

#[test]
fn a_ticket_opens_a_registration_that_was_carried_and_no_other() {
    let mut machine = Machine::new();
    machine.options.classes =
        ClassSet::from_toml("[class.t]\nwithin = \"1h\"\nopenings = \"ticket\"\n").unwrap();
    let engine = machine.open().unwrap();
    let item = |key: &'static [u8]| Registration { version: b"1", ..Registration::new("t", key) };
    let both = engine.register(&[item(b"a"), item(b"b")], Durability::Synced).unwrap();
    let ticket = |at: usize| both[at].ticket.as_deref().unwrap();
    for key in [b"a", b"b"] {
        machine.store.put(key, b"1");
        machine.store.set_mood(key, Some(Mood::Fails));
    }
    machine.clock.advance(HOUR_MS - 1_000);
    engine.enforce(&*machine.store).unwrap();
    for key in [b"a", b"b"] {
        machine.store.set_mood(key, None);
    }
    machine.clock.advance(1_000);
    engine.enforce(&*machine.store).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    for at in [0, 1] {
        let receipt = engine.receipt(both[at].id, Opener::Ticket(ticket(at))).unwrap();
        assert_eq!(receipt::verify(receipt.as_bytes(), &policy).unwrap().outcome(), Outcome::Kept);
        let foreign = engine.receipt(both[at].id, Opener::Ticket(ticket(1 - at))).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::Invalid);
    }
    assert_sound(&engine);
}

#[test]
fn a_batch_that_is_dropped_is_handed_out_again() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    for _ in 0..20 {
        drop(engine.next_batch().unwrap().unwrap());
    }
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_eq!(engine.status().unwrap().batches_in_flight, 0);
    assert_sound(&engine);
}

#[test]
fn absurd_instants_and_sizes_of_a_host_do_no_harm() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let big =
        |key: &'static [u8]| Registration { size_bytes: u64::MAX - 1, ..upload(key, b"1", NEW_YEAR_MS) };
    engine.register(&[big(b"a"), big(b"b"), big(b"c")], Durability::Synced).unwrap();
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    while let Some(batch) = engine.next_batch().unwrap() {
        let answers = [Answer::Deleted, Answer::Failed("slow".into())].into_iter().cycle();
        let outcomes = answers.map(|answer| sexton::Outcome { answer, at_ms: i64::MAX }).take(batch.len());
        engine.complete(batch, outcomes.collect()).unwrap();
    }
    assert!(engine.next_due_ms().is_none_or(|due_ms| due_ms < engine.now_ms() + HOUR_MS));
    assert_sound(&engine);
    machine.clock.advance(HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0);
}

#[test]
fn a_batch_whose_failures_took_an_hour_is_carried_to_few_pages() {
    let mut machine = Machine::new();
    machine.options.shards = Some(32);
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let items: Vec<Registration<'_>> =
        keys.iter().map(|key| upload(key.as_bytes(), b"1", NEW_YEAR_MS)).collect();
    engine.register(&items, Durability::Synced).unwrap();
    machine.clock.set(NEW_YEAR_MS + 4 * HOUR_MS);
    let batch = engine.next_batch().unwrap().unwrap();
    machine.clock.advance(HOUR_MS);
    let begin_ms = engine.now_ms() - HOUR_MS;
    let failed = |at_ms| sexton::Outcome { answer: Answer::Failed("timed out".into()), at_ms };
    let n = i64::try_from(batch.len()).unwrap();
    engine.complete(batch, (0..n).map(|at| failed(begin_ms + at * HOUR_MS / n)).collect()).unwrap();
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn a_wrong_number_of_outcomes_counts_as_failed_and_the_objects_stay_owed() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    let batch = engine.next_batch().unwrap().unwrap();
    engine.complete(batch, Vec::new()).unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 1);
    machine.clock.advance(1_000);
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_sound(&engine);
}

#[test]
fn no_more_batches_are_out_than_may_be_and_what_is_due_then_waits() {
    let mut machine = Machine::new();
    machine.options.batches_in_flight = 2;
    machine.options.batch_rows = 1;
    machine.options.shards = Some(8);
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    for key in &keys {
        register(&engine, upload(key.as_bytes(), b"1", NEW_YEAR_MS));
        machine.store.put(key.as_bytes(), b"1");
    }
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS);
    let out = [engine.next_batch().unwrap().unwrap(), engine.next_batch().unwrap().unwrap()];
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(engine.status().unwrap().batches_in_flight, 2);
    for batch in out {
        engine.complete(batch, Vec::new()).unwrap();
    }
    machine.clock.advance(1_000);
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_sound(&engine);
}

#[test]
fn a_batch_that_was_out_when_the_process_ended_comes_again_and_what_is_gone_is_known_to_be_ours() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    let id = register(&engine, upload(b"a", b"v1", NEW_YEAR_MS));
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    let batch = engine.next_batch().unwrap().unwrap();
    let number = batch.number();
    machine.store.remove(b"a"); // the store had deleted it, and the process ended before it was handed back
    drop((batch, engine));
    let engine = machine.open().unwrap();
    let batch = engine.next_batch().unwrap().unwrap();
    assert_eq!(batch.number(), number);
    let outcome = sexton::Outcome { answer: Answer::Absent, at_ms: engine.now_ms() };
    engine.complete(batch, vec![outcome]).unwrap();
    let verdict = verdict(&engine, id, b"a");
    assert_eq!((verdict.outcome(), verdict.method), (Outcome::Kept, Method::AbsentAfterIntent));
    assert_sound(&engine);
}

#[test]
fn what_falls_between_the_pages_of_a_batch_while_it_is_out_lives_on() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let keys = |word: &str| (0..40).map(|n| format!("{word}{n}")).collect::<Vec<_>>();
    let register = |keys: &[String], start_ms: i64| -> Vec<RegistrationId> {
        keys.iter().for_each(|key| machine.store.put(key.as_bytes(), b"v1"));
        let items: Vec<_> = keys.iter().map(|key| upload(key.as_bytes(), b"v1", start_ms)).collect();
        let registered = engine.register(&items, Durability::Synced).unwrap();
        registered.into_iter().map(|one| one.id).collect()
    };
    // Two slots, one after the other, and something in each shard: rows of a batch without a gap.
    let in_time = NEW_YEAR_MS + 29_000;
    register(&keys("first"), in_time);
    let second = register(&keys("second"), in_time + 60_000);
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS);
    let batch = engine.next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 80);

    let late = register(&keys("late"), in_time + 60_000);
    for id in &late {
        let page = second.iter().map(|id| id.page).find(|page| page.shard == id.page.shard).unwrap();
        assert_eq!((id.page.slot, id.page.part), (page.slot, 1));
    }
    let deleted = || sexton::Outcome { answer: Answer::Deleted, at_ms: engine.now_ms() };
    engine.complete(batch, (0..80).map(|_| deleted()).collect()).unwrap();
    assert_sound(&engine);
    drop(engine);

    let engine = machine.open().unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 40);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 40);
    assert_eq!(verdict(&engine, late[7], b"late7").outcome(), Outcome::Kept);
    assert_sound(&engine);
}
