//! Life of objects on an engine in memory, from registration to a receipt that verifies.

use sexton::store::Answer;
use sexton::{
    Change, ClassSet, Durability, Engine, ErrorKind, Opener, Previous, Registration, RegistrationId, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Compliance, Verdict};
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use sexton_tests::{FailureMode, HOUR, Machine, NEW_YEAR};
use std::time::Duration;

fn upload<'a>(key: &'a [u8], version: &'a [u8], start: Timestamp) -> Registration<'a> {
    Registration::new("upload-3h", key).version(version).start(start)
}

fn register(engine: &Engine, registration: Registration<'_>) -> RegistrationId {
    engine.register(&[registration], Durability::Synced).unwrap()[0].id
}

fn verdict(engine: &Engine, id: RegistrationId, key: &[u8]) -> Verdict {
    let receipt = engine.receipt(id, Opener::Key(key)).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    receipt::verify(receipt.as_bytes(), &policy, engine.now()).unwrap()
}

fn assert_sound(engine: &Engine) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

#[test]
fn upload_is_gone_within_three_hours_and_its_receipt_verifies() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"cat.jpg", b"v1");
    let id = register(&engine, upload(b"cat.jpg", b"v1", NEW_YEAR));
    assert_eq!(engine.find(b"cat.jpg").unwrap(), Some(id));

    machine.clock.advance(2 * HOUR);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 0);
    assert_eq!(engine.receipt(id, Opener::Key(b"cat.jpg")).unwrap_err().kind(), ErrorKind::NotFound);

    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 1);
    assert!(machine.store.is_empty());
    let verdict = verdict(&engine, id, b"cat.jpg");
    assert_eq!(verdict.compliance(), Compliance::Kept);
    assert_eq!(verdict.method, Method::Deleted);
    assert_eq!(engine.find(b"cat.jpg").unwrap(), None);
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

/// Also: a start that is not later changes nothing, and a repeated change is a no-op.
#[test]
fn object_with_other_content_keeps_its_time_or_gets_a_later_one() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let first = register(&engine, upload(b"grown", b"v1", NEW_YEAR).digest(b"of v1"));
    register(&engine, upload(b"rewritten", b"v1", NEW_YEAR));
    machine.clock.advance(HOUR);
    let state = |key: &'static [u8], start| {
        machine.store.put(key, b"v2");
        let change = Change::Content { of: Which::Key(key), version: b"v2", size: Some(2), start };
        engine.change(&[change], Durability::Synced).unwrap().remove(0).unwrap()
    };
    let earlier = NEW_YEAR.saturating_sub(HOUR);
    let grown = state(b"grown", Some(earlier));
    assert_eq!(grown.ceiling, Some(NEW_YEAR.saturating_add(3 * HOUR)));
    assert_eq!(state(b"grown", None), grown);
    let rewritten = state(b"rewritten", Some(NEW_YEAR.saturating_add(HOUR)));
    assert_eq!(rewritten.ceiling, Some(NEW_YEAR.saturating_add(4 * HOUR)));
    assert_eq!(state(b"rewritten", Some(NEW_YEAR)), rewritten);

    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 1);
    assert!(!machine.store.has(b"grown") && machine.store.has(b"rewritten"));
    machine.clock.advance(HOUR);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 1);
    assert!(machine.store.is_empty());
    for (id, key) in [(first, &b"grown"[..]), (rewritten.id, b"rewritten")] {
        let verdict = verdict(&engine, id, key);
        assert_eq!((verdict.compliance(), verdict.method), (Compliance::Kept, Method::Deleted));
    }
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn missing_object_ends_as_absent() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let id = register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.advance(3 * HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(verdict(&engine, id, b"a").compliance(), Compliance::NotADeletion(Method::Absent));
    assert_sound(&engine);
}

#[test]
fn replacement_has_its_own_time() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let first = register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.advance(HOUR);
    machine.store.put(b"a", b"v2");
    let again =
        engine.register(&[upload(b"a", b"v2", NEW_YEAR.saturating_add(HOUR))], Durability::Synced).unwrap();
    assert_eq!(again[0].previous, Previous::Replaced(first));
    assert_eq!(engine.find(b"a").unwrap(), Some(again[0].id));

    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.has(b"a"));
    assert_eq!(verdict(&engine, first, b"a").compliance(), Compliance::NotADeletion(Method::Replaced));
    assert_sound(&engine);

    machine.clock.set(NEW_YEAR.saturating_add(4 * HOUR));
    engine.enforce(&*machine.store).unwrap();
    assert!(!machine.store.has(b"a"));
    assert_eq!(verdict(&engine, again[0].id, b"a").compliance(), Compliance::Kept);
    assert_sound(&engine);
}

#[test]
fn identical_registration_is_a_no_op() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let registration = upload(b"a", b"v1", NEW_YEAR);
    let first = register(&engine, registration);
    for again in engine.register(&[registration, registration], Durability::Synced).unwrap() {
        assert_eq!((again.id, again.previous), (first, Previous::Identical));
    }
    let within = engine.register(&[upload(b"b", b"v1", NEW_YEAR); 2], Durability::Synced).unwrap();
    assert_eq!(within[0].id, within[1].id);
    assert_eq!(within[1].previous, Previous::Identical);
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 2);
    assert_sound(&engine);
}

#[test]
fn overwritten_object_is_kept_and_reported_overdue() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.store.put(b"a", b"v2");
    machine.clock.advance(3 * HOUR);
    engine.enforce(&*machine.store).unwrap();
    machine.clock.advance(Duration::from_millis(1));
    let status = engine.status().unwrap().classes["upload-3h"];
    assert!(machine.store.has(b"a"));
    assert_eq!((status.live, status.overdue), (1, 1));
    assert_eq!(status.oldest_overdue, Some(NEW_YEAR.saturating_add(3 * HOUR)));
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

/// Only the newest answer counts.
#[test]
fn status_has_the_reason_of_a_failure_until_the_object_ends() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let failures = |engine: &Engine| {
        let failures = engine.status().unwrap().failures;
        failures.into_iter().map(|of| (of.id, of.key, of.cause.name(), of.why)).collect::<Vec<_>>()
    };
    machine.store.put(b"a", b"v1");
    let id = register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    for (mode, cause, why) in
        [(FailureMode::Fails, "failed", "it is broken"), (FailureMode::Refuses, "refused", "it is held")]
    {
        machine.store.set_failure_mode(b"a", Some(mode));
        engine.enforce(&*machine.store).unwrap();
        let now = engine.find(b"a").unwrap().unwrap();
        assert_ne!(now, id);
        assert_eq!(failures(&engine), [(now, b"a".to_vec(), cause, why.to_owned())]);
        machine.clock.advance(Duration::from_secs(2));
    }
    machine.store.set_failure_mode(b"a", None);
    machine.clock.advance(Duration::from_secs(2));
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(failures(&engine), []);
}

/// The object then has exactly one tombstone.
#[test]
fn failed_deletion_is_retried_with_backoff_until_it_ends() {
    for mode in [FailureMode::Fails, FailureMode::Refuses] {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        machine.store.put(b"a", b"v1");
        machine.store.set_failure_mode(b"a", Some(mode));
        let id = register(&engine, upload(b"a", b"v1", NEW_YEAR));
        machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
        let mut asked_at = Vec::new();
        for _ in 0..600 {
            let asked = machine.store.asked();
            engine.enforce(&*machine.store).unwrap();
            if machine.store.asked() > asked {
                asked_at.push(engine.now());
            }
            machine.clock.advance(Duration::from_secs(1));
        }
        let waits: Vec<u64> = asked_at.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
        assert_eq!(engine.status().unwrap().classes["upload-3h"].overdue, 1);
        assert_sound(&engine);

        // A crash in between loses neither the object nor its number of attempts.
        drop(engine);
        let engine = machine.open().unwrap();
        assert_eq!(engine.status().unwrap().classes["upload-3h"].overdue, 1);
        machine.store.set_failure_mode(b"a", None);
        machine.clock.advance(Duration::from_secs(512));
        engine.enforce(&*machine.store).unwrap();
        let verdict = verdict(&engine, id, b"a");
        assert!(
            matches!(verdict.compliance(), Compliance::Late { by } if !by.is_zero()),
            "{:?}",
            verdict.compliance()
        );
        assert_eq!(engine.status().unwrap().classes["upload-3h"].ended.late, 1);
        assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0);
        assert_sound(&engine);
    }
}

#[test]
fn key_in_many_classes_and_slots_gets_one_record_each() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..2_000).map(|n| format!("object/{n}")).collect();
    let classes = ["upload-3h", "log-73h", "data-30d", "log-6mo"];
    let registrations: Vec<Registration<'_>> = (0_u32..)
        .zip(&keys)
        .zip(classes.iter().cycle())
        .map(|((n, key), class)| {
            let start = NEW_YEAR.saturating_sub(n * Duration::from_millis(1_009));
            Registration::new(class, key.as_bytes()).version(b"1").start(start)
        })
        .collect();
    for key in &keys {
        machine.store.put(key.as_bytes(), b"1");
    }
    let registered = engine.register(&registrations, Durability::Synced).unwrap();
    while let Some(next) = engine.next_due() {
        machine.clock.set(next.max(engine.now()));
        engine.enforce(&*machine.store).unwrap();
    }
    assert!(machine.store.is_empty());
    for class in engine.status().unwrap().classes.values() {
        assert_eq!((class.live, class.ended.deleted, class.ended.early, class.ended.late), (0, 500, 0, 0));
    }
    for (registered, key) in registered.iter().zip(&keys) {
        assert_eq!(verdict(&engine, registered.id, key.as_bytes()).compliance(), Compliance::Kept);
    }
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn ticket_opens_a_receipt_that_the_operator_cannot() {
    let mut machine = Machine::new();
    machine.options.classes =
        ClassSet::from_toml("[class.t]\nwithin = \"1h\"\nopenings = \"ticket\"\n").unwrap();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"1");
    let registration = Registration::new("t", b"a").version(b"1");
    let registered = engine.register(&[registration], Durability::Synced).unwrap().remove(0);
    let ticket = registered.ticket.unwrap();
    assert_eq!(
        engine.register(&[registration], Durability::Synced).unwrap()[0].ticket.as_ref(),
        Some(&ticket)
    );
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(engine.receipt(registered.id, Opener::Key(b"a")).unwrap_err().kind(), ErrorKind::NotFound);
    let receipt = engine.receipt(registered.id, Opener::Ticket(&ticket)).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    assert_eq!(
        receipt::verify(receipt.as_bytes(), &policy, engine.now()).unwrap().compliance(),
        Compliance::Kept
    );
    assert_sound(&engine);
}

/// The answer of the store does not matter.
#[test]
fn object_replaced_during_its_batch_ends_as_replaced() {
    for answer in [Answer::Failed("no".into()), Answer::Changed, Answer::Absent, Answer::Deleted] {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        let first = register(&engine, upload(b"a", b"v1", NEW_YEAR));
        machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
        let mut batch = engine.next_batch().unwrap().unwrap();
        assert_eq!(batch.objects().map(|object| object.id).collect::<Vec<_>>(), [first]);

        machine.store.put(b"a", b"v2");
        let now = engine.now();
        let second = engine.register(&[upload(b"a", b"v2", now)], Durability::Synced).unwrap().remove(0);
        assert_eq!(second.previous, Previous::TooLate(first));
        batch.answer(0, answer.clone(), now).unwrap();
        engine.complete(batch).unwrap();
        assert_sound(&engine);
        assert_eq!(engine.find(b"a").unwrap(), Some(second.id));

        // A failed object is carried. It ends as replaced, and the store is not asked again.
        machine.clock.advance(Duration::from_secs(10));
        engine.enforce(&*machine.store).unwrap();
        assert_eq!(machine.store.asked(), 0);
        let method = verdict(&engine, first, b"a").method;
        let expected = match answer {
            Answer::Absent => Method::Absent,
            Answer::Deleted => Method::Deleted,
            _ => Method::Replaced,
        };
        assert_eq!(method, expected, "{answer:?}");
        machine.clock.set(now.saturating_add(3 * HOUR));
        engine.enforce(&*machine.store).unwrap();
        assert!(machine.store.is_empty());
        assert_eq!(verdict(&engine, second.id, b"a").compliance(), Compliance::Kept);
        assert_sound(&engine);
    }
}

#[test]
fn ticket_opens_its_carried_registration_and_no_other() {
    let mut machine = Machine::new();
    machine.options.classes =
        ClassSet::from_toml("[class.t]\nwithin = \"1h\"\nopenings = \"ticket\"\n").unwrap();
    let engine = machine.open().unwrap();
    let registration = |key: &'static [u8]| Registration::new("t", key).version(b"1");
    let both = engine.register(&[registration(b"a"), registration(b"b")], Durability::Synced).unwrap();
    let ticket = |at: usize| both[at].ticket.as_deref().unwrap();
    for key in [b"a", b"b"] {
        machine.store.put(key, b"1");
        machine.store.set_failure_mode(key, Some(FailureMode::Fails));
    }
    machine.clock.advance(HOUR - Duration::from_secs(1));
    engine.enforce(&*machine.store).unwrap();
    for key in [b"a", b"b"] {
        machine.store.set_failure_mode(key, None);
    }
    machine.clock.advance(Duration::from_secs(1));
    engine.enforce(&*machine.store).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    for at in [0, 1] {
        let receipt = engine.receipt(both[at].id, Opener::Ticket(ticket(at))).unwrap();
        assert_eq!(
            receipt::verify(receipt.as_bytes(), &policy, engine.now()).unwrap().compliance(),
            Compliance::Kept
        );
        let foreign = engine.receipt(both[at].id, Opener::Ticket(ticket(1 - at))).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::Invalid);
    }
    assert_sound(&engine);
}

#[test]
fn dropped_batch_is_handed_out_again() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    for _ in 0..20 {
        drop(engine.next_batch().unwrap().unwrap());
    }
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_eq!(engine.status().unwrap().batches_in_flight, 0);
    assert_sound(&engine);
}

#[test]
fn extreme_instants_and_sizes_do_no_harm() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let big = |key: &'static [u8]| upload(key, b"1", NEW_YEAR).size(u64::MAX - 1);
    engine.register(&[big(b"a"), big(b"b"), big(b"c")], Durability::Synced).unwrap();
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    while let Some(mut batch) = engine.next_batch().unwrap() {
        let answers = [Answer::Deleted, Answer::Failed("slow".into())].into_iter().cycle();
        for (index, answer) in (0..batch.len()).zip(answers) {
            batch.answer(index, answer, Timestamp::MAX).unwrap();
        }
        engine.complete(batch).unwrap();
    }
    assert!(engine.next_due().is_none_or(|due| due < engine.now().saturating_add(HOUR)));
    assert_sound(&engine);
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0);
}

#[test]
fn failures_spread_over_an_hour_are_carried_to_few_pages() {
    let mut machine = Machine::new();
    machine.options.shards = Some(32);
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let registrations: Vec<Registration<'_>> =
        keys.iter().map(|key| upload(key.as_bytes(), b"1", NEW_YEAR)).collect();
    engine.register(&registrations, Durability::Synced).unwrap();
    machine.clock.set(NEW_YEAR.saturating_add(4 * HOUR));
    let mut batch = engine.next_batch().unwrap().unwrap();
    machine.clock.advance(HOUR);
    let begin = engine.now().saturating_sub(HOUR);
    let n = u32::try_from(batch.len()).unwrap();
    for index in 0..n {
        let at = begin.saturating_add(index * HOUR / n);
        batch.answer(index as usize, Answer::Failed("timed out".into()), at).unwrap();
    }
    engine.complete(batch).unwrap();
    assert_sound(&engine);
    assert_sound(&machine.open().unwrap());
}

#[test]
fn object_without_an_answer_counts_as_failed() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    let batch = engine.next_batch().unwrap().unwrap();
    engine.complete(batch).unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 1);
    machine.clock.advance(Duration::from_secs(1));
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_sound(&engine);
}

/// Due objects beyond it wait.
#[test]
fn batches_in_flight_stay_within_their_limit() {
    let mut machine = Machine::new();
    machine.options.max_batches_in_flight = 2;
    machine.options.batch_objects = 1;
    machine.options.shards = Some(8);
    let engine = machine.open().unwrap();
    let keys: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    for key in &keys {
        register(&engine, upload(key.as_bytes(), b"1", NEW_YEAR));
        machine.store.put(key.as_bytes(), b"1");
    }
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    let out = [engine.next_batch().unwrap().unwrap(), engine.next_batch().unwrap().unwrap()];
    assert!(engine.next_batch().unwrap().is_none());
    assert_eq!(engine.status().unwrap().batches_in_flight, 2);
    for batch in out {
        engine.complete(batch).unwrap();
    }
    machine.clock.advance(Duration::from_secs(1));
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert_sound(&engine);
}

/// An object that is gone by then ends as deleted by an earlier attempt.
#[test]
fn batch_in_flight_at_a_crash_comes_again() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"v1");
    let id = register(&engine, upload(b"a", b"v1", NEW_YEAR));
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    let batch = engine.next_batch().unwrap().unwrap();
    let number = batch.number();
    machine.store.remove(b"a"); // the store deleted it, and the process ended before the answer
    drop((batch, engine));
    let engine = machine.open().unwrap();
    let mut batch = engine.next_batch().unwrap().unwrap();
    assert_eq!(batch.number(), number);
    batch.answer(0, Answer::Absent, engine.now()).unwrap();
    engine.complete(batch).unwrap();
    let verdict = verdict(&engine, id, b"a");
    assert_eq!((verdict.compliance(), verdict.method), (Compliance::Kept, Method::AbsentAfterIntent));
    assert_sound(&engine);
}

#[test]
fn registration_between_the_pages_of_a_batch_survives_it() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let keys = |word: &str| (0..40).map(|n| format!("{word}{n}")).collect::<Vec<_>>();
    let register = |keys: &[String], start: Timestamp| -> Vec<RegistrationId> {
        keys.iter().for_each(|key| machine.store.put(key.as_bytes(), b"v1"));
        let registrations: Vec<_> = keys.iter().map(|key| upload(key.as_bytes(), b"v1", start)).collect();
        let registered = engine.register(&registrations, Durability::Synced).unwrap();
        registered.into_iter().map(|registered| registered.id).collect()
    };
    // Two consecutive slots with objects in each shard, so the rows of the batch have no gap.
    let in_time = NEW_YEAR.saturating_add(Duration::from_secs(29));
    register(&keys("first"), in_time);
    let second = register(&keys("second"), in_time.saturating_add(Duration::from_secs(60)));
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    let mut batch = engine.next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 80);

    let late = register(&keys("late"), in_time.saturating_add(Duration::from_secs(60)));
    for id in &late {
        let page = second.iter().map(|id| id.page).find(|page| page.shard == id.page.shard).unwrap();
        assert_eq!((id.page.slot, id.page.part), (page.slot, 1));
    }
    assert_eq!(batch.len(), 80);
    batch.answer_all(&Answer::Deleted, engine.now());
    engine.complete(batch).unwrap();
    assert_sound(&engine);
    drop(engine);

    let engine = machine.open().unwrap();
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 40);
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 40);
    assert_eq!(verdict(&engine, late[7], b"late7").compliance(), Compliance::Kept);
    assert_sound(&engine);
}
