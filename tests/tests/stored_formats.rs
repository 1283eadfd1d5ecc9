//! Golden test of the stored formats. A fixed history on the in-memory seams must leave exactly the bytes that it left
//! when the constants below were recorded. A different constant means that a data folder of an earlier release reads
//! differently, so it needs a new format version and a way to migrate.

use sexton::decision::{AlarmCause, HoldKind};
use sexton::limits::BreakerLimits;
use sexton::store::{Answer, Disposition};
use sexton::testing::kv::ColumnFamily;
use sexton::{
    Attribution, Batch, Change, ClassSet, Durability, Engine, Erasure, HoldName, NewHold, Opener,
    RegisterOptions, Registered, Registration, Selector, Which,
};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::note::Note;
use sexton_tests::{DAY, FailureMode, HOUR, MINUTE, Machine, NEW_YEAR, anonymised};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Root of the log in the final checkpoint, in hexadecimal.
const LOG_ROOT: &str = "8126a69539de1b7f065bd6272b1ac951c612d946e431bd40359fdd0bf9305713";
/// BLAKE3 hash over every stored key, value and file, at every snapshot of the history.
const STORED_BYTES: &str = "e5fe1be1cab093b402105fe59482a4d30a7c549cd931321b817cbf682b4b2a34";
/// BLAKE3 hash over the receipts of the history.
const RECEIPTS: &str = "20914a2656a75c2058548e31d810563e50c19dcadb9857027dbce1b0021b8af7";

/// A class for each feature that reaches the stored bytes.
const CLASSES: &str = r#"
[calendar.office]
days = """
2026-01-01
2026-01-02
"""

[class.plain]
within = "6h"
slot = "10m"
lead = "5m"

[class.kept]
keep = "1d"
within = "3d"
slot = "30m"
feed = true
remember = "3d"

[class.open]
within = "1d"
slot = "10m"
lead = "5m"
start = "explicit"
max_open = "12h"

[class.faces]
within = "9h"
slot = "10m"
lead = "5m"
disposition = "anonymise"
feed = true
remember = "6h"

[class.blind]
within = "12h"
slot = "10m"
lead = "5m"
find = "none"

[class.ticketed]
within = "1d"
slot = "10m"
lead = "5m"
openings = "ticket"

[class.archive]
keep = "2d"
slot = "1h"

[class.office]
within = "2wd"
calendar = "office"
slot = "1h"

[class.closing]
within = "30d"
slot = "1h"
"#;
const NAMES: [&str; 9] =
    ["plain", "kept", "open", "faces", "blind", "ticketed", "archive", "office", "closing"];
/// Objects of each class.
const OBJECTS: usize = 24;

/// Returns the key of an object. Its prefix follows from its number.
fn key(class: &str, n: usize) -> String {
    format!("room-{}/{class}/object-{n}", n % 3)
}

fn keys(class: &str, numbers: impl IntoIterator<Item = usize>) -> Selector {
    Selector::keys(numbers.into_iter().map(|n| key(class, n)))
}

/// Running history, with a hash over everything that it has stored.
struct History {
    machine: Machine,
    engine: Option<Engine>,
    /// Number of openings, which seeds the entropy of each one.
    openings: u64,
    stored: blake3::Hasher,
    /// Column families that had an entry at any snapshot, and kinds of metadata records.
    seen: BTreeSet<String>,
    registered: Vec<(String, Registered)>,
}

/// Returns the name of a column family on disk.
fn name(family: ColumnFamily) -> String {
    match family {
        ColumnFamily::Meta => "meta".into(),
        ColumnFamily::Log => "log".into(),
        ColumnFamily::Settled => "settled".into(),
        ColumnFamily::Marks => "marks".into(),
        ColumnFamily::Locator => "locator".into(),
        ColumnFamily::Pending => "notes".into(),
        ColumnFamily::RequestObjects => "items".into(),
        ColumnFamily::Feed => "feed".into(),
        ColumnFamily::Ended => "ended".into(),
        ColumnFamily::Rows(class) => format!("class-{class}"),
    }
}

/// Adds bytes to a hash, after their length.
fn add(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

impl History {
    fn new(class_file: &str) -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(class_file).unwrap();
        let engine = Some(machine.open_seeded(1).unwrap());
        let (stored, seen) = (blake3::Hasher::new(), BTreeSet::new());
        History { machine, engine, openings: 1, stored, seen, registered: Vec::new() }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn reopen(&mut self, power_lost: bool) {
        self.engine = None;
        if power_lost {
            self.machine.kv.lose_power();
        }
        self.openings += 1;
        self.engine = Some(self.machine.open_seeded(self.openings).unwrap());
    }

    /// Adds everything that is stored now to the hash.
    fn snapshot(&mut self) {
        let image = self.machine.kv.image();
        let families: BTreeMap<String, _> = image
            .into_iter()
            .filter(|(_, map)| !map.is_empty())
            .map(|(family, map)| (name(family), map))
            .collect();
        for (family, map) in &families {
            self.seen.insert(family.clone());
            add(&mut self.stored, family.as_bytes());
            for (key, value) in map {
                if family == "meta" {
                    let kind = key.split(|byte| *byte == b'/').next().unwrap();
                    self.seen.insert(format!("meta {}", String::from_utf8_lossy(kind)));
                }
                add(&mut self.stored, key);
                add(&mut self.stored, value);
            }
        }
        for (path, bytes) in self.machine.files.all() {
            add(&mut self.stored, path.as_bytes());
            add(&mut self.stored, &bytes);
        }
    }

    /// Stores objects of a class and registers them in one call.
    fn register(&mut self, class: &str, numbers: impl IntoIterator<Item = usize>, version: &str) {
        let now = self.engine().now();
        // Number, key and subject of each object.
        let named: Vec<_> =
            numbers.into_iter().map(|n| (n, key(class, n), format!("person {}", n % 5))).collect();
        let digests: Vec<_> = named.iter().map(|(_, key, _)| blake3::hash(key.as_bytes())).collect();
        let registrations: Vec<Registration<'_>> = named
            .iter()
            .zip(&digests)
            .map(|((n, key, subject), digest)| {
                // Some starts are given, before or after the registration, and some are not.
                let first = now.saturating_sub(12 * MINUTE);
                let start = first.saturating_add(u32::try_from(*n).unwrap() * MINUTE);
                Registration::new(class, key.as_bytes())
                    .version(version.as_bytes())
                    .start((n % 4 != 0 && class != "open").then_some(start))
                    .digest(if n % 2 == 0 { &digest.as_bytes()[..8 + n % 25] } else { &[] })
                    .size((n % 5 != 0).then_some(1_000 + *n as u64))
                    .subject(if n % 7 == 0 { &[] } else { subject.as_bytes() })
            })
            .collect();
        for (_, key, _) in &named {
            self.machine.store.put(key.as_bytes(), version.as_bytes());
        }
        let answers = self.engine().register(&registrations, Durability::Synced).unwrap();
        self.registered.extend(named.into_iter().map(|(_, key, _)| key).zip(answers));
    }

    fn change(&self, change: Change<'_>) {
        self.engine().change(&[change], Durability::Synced).unwrap().remove(0).unwrap();
    }

    fn hold(&self, name: &str, selector: Selector, kind: HoldKind) {
        let name = HoldName::new(name).unwrap();
        let attribution = Attribution::new("counsel", "a court asked");
        let review = NEW_YEAR.saturating_add(90 * DAY);
        self.engine().place_hold(NewHold::new(name, selector, kind, attribution, review)).unwrap();
    }

    fn lift(&self, name: &str, grace: Duration) {
        let name = HoldName::new(name).unwrap();
        self.engine().lift_hold(&name, Attribution::new("counsel", "settled"), grace).unwrap();
    }

    fn erase(&self, selector: Selector, within: Option<&str>, cancellable: Duration) -> u32 {
        let attribution = Attribution::new("desk", "asked for");
        let mut erasure = Erasure::new(selector, self.engine().now(), attribution).cancellable(cancellable);
        erasure.within = within.map(|span| span.parse().unwrap());
        self.engine().erase(erasure).unwrap().number
    }

    /// Lets time pass until an hour, in steps of half an hour, and deletes objects when they fall due.
    fn pass_until(&self, hours: u32) {
        let until = NEW_YEAR.saturating_add(hours * HOUR);
        loop {
            self.engine().enforce(&*self.machine.store).unwrap();
            let now = self.engine().now();
            if now >= until {
                return;
            }
            self.machine.clock.set(until.min(now.saturating_add(HOUR / 2)));
        }
    }

    /// Completes a batch with each kind of answer that a store can give.
    fn complete(&self, mut batch: Batch) {
        let at = self.engine().now();
        let answer = |(n, object): (usize, sexton::Object<'_>)| match n % 6 {
            0 => Answer::Failed("the disk is busy".into()),
            1 => Answer::Refused("another service holds it".into()),
            2 => Answer::Changed,
            3 => Answer::Absent,
            _ if batch.disposition() == Disposition::Anonymise => {
                Answer::Anonymised(anonymised(object.version).into())
            }
            _ => {
                self.machine.store.remove(object.key);
                Answer::Deleted
            }
        };
        let answers: Vec<Answer> = batch.objects().enumerate().map(answer).collect();
        for (index, answer) in answers.into_iter().enumerate() {
            batch.answer(index, answer, at).unwrap();
        }
        self.engine().complete(batch).unwrap();
    }
}

/// Registers objects of every class, replaces some of them, and repeats some registrations.
fn register_all(history: &mut History) {
    for class in NAMES {
        history.register(class, 0..OBJECTS, "1");
    }
    history.snapshot();
    history.machine.clock.advance(MINUTE);
    for class in ["plain", "kept", "faces", "ticketed"] {
        history.register(class, (0..OBJECTS).step_by(6), "2");
        history.register(class, (0..OBJECTS).step_by(12), "2");
    }
    history.register("blind", [3, 4], "2");
    history.snapshot();
}

/// Makes the decisions of the first day: changes, holds and erasures.
fn decide(history: &mut History) {
    let limits = history.engine().limits();
    history.engine().set_limits(Some(limits), Attribution::new("ops", "as they are")).unwrap();
    let (opened, moved) = (key("open", 1), key("plain", 1));
    let (longer, released) = (key("archive", 2), key("plain", 5));
    let start = history.engine().now();
    history.change(Change::Start { of: Which::Key(opened.as_bytes()), start });
    history.change(Change::Reschedule { of: Which::Key(moved.as_bytes()), class: Some("kept"), start: None });
    let later = Some(start.saturating_add(HOUR));
    history.change(Change::Reschedule { of: Which::Key(longer.as_bytes()), class: None, start: later });
    let of_blind = history.registered.iter().find(|(of, _)| *of == key("blind", 7)).unwrap().1.id;
    history.change(Change::Reschedule { of: Which::Id(of_blind), class: None, start: later });
    history.machine.store.remove(released.as_bytes());
    history.change(Change::Release { of: Which::Key(released.as_bytes()) });

    history.hold("case keys", keys("plain", [7, 8, 9]), HoldKind::Temporary);
    history.hold("case prefix", Selector::Prefix(b"room-1/faces/".to_vec()), HoldKind::Event);
    history.hold("case subject", Selector::Subject(b"person 4".to_vec()), HoldKind::Temporary);
    history.hold("case class", Selector::Class("closing".into()), HoldKind::Temporary);
    history.erase(Selector::Subject(b"person 2".to_vec()), Some("15d"), Duration::ZERO);
    history.erase(keys("kept", [10, 11]), Some("1mo"), 3 * HOUR);
    let cancelled = history.erase(keys("archive", [1, 3]), None, 6 * HOUR);
    history.engine().cancel_erasure(cancelled).unwrap();
    history.erase(Selector::Subject(b"person 3".to_vec()), Some("10wd"), DAY);
    history.snapshot();
}

/// Defines new versions of two classes and applies them to the objects registered before.
fn define_new_versions(history: &mut History) {
    let text =
        CLASSES.replace("within = \"6h\"", "within = \"7h\"").replace("keep = \"2d\"", "keep = \"50h\"");
    history.machine.options.classes = ClassSet::from_toml(&text).unwrap();
    history.engine().define_classes(&history.machine.options.classes).unwrap();
    history.register("plain", OBJECTS..OBJECTS + 6, "1");
    history.snapshot();
    for class in ["plain", "archive"] {
        history.engine().apply_class(class, Attribution::new("board", "new terms")).unwrap();
    }
    history.pass_until(1);
    history.snapshot();
}

/// Deletes for a day and a half, with a store that fails and refuses, two batches completed by hand, and a crash.
fn enforce_with_failures(history: &mut History) {
    let store = &history.machine.store;
    for n in [2, 13] {
        store.set_failure_mode(key("plain", n).as_bytes(), Some(FailureMode::Fails));
        store.set_failure_mode(key("blind", n).as_bytes(), Some(FailureMode::Refuses));
    }
    store.put(key("plain", 3).as_bytes(), b"another object");
    store.remove(key("plain", 10).as_bytes());
    history.pass_until(6);
    history.snapshot();

    history.machine.clock.set(NEW_YEAR.saturating_add(9 * HOUR));
    let batch = history.engine().next_batch().unwrap().unwrap();
    history.hold("case too late", keys("faces", 0..OBJECTS), HoldKind::Temporary);
    history.snapshot();
    history.complete(batch);
    history.snapshot();
    history.machine.clock.set(NEW_YEAR.saturating_add(12 * HOUR));
    let batch = history.engine().next_batch().unwrap().unwrap();
    let (number, attempt) = (batch.number(), batch.attempt());
    drop(batch);
    history.reopen(true);
    history.snapshot();
    let batch = history.engine().next_batch().unwrap().unwrap();
    assert_eq!((batch.number(), batch.attempt()), (number, attempt + 1));
    history.snapshot();
    history.complete(batch);
    history.pass_until(36);
    history.snapshot();
}

/// Lifts the holds, closes a class down, acknowledges half of the feed, and lets the other objects fall due.
fn lift_and_close(history: &mut History) {
    for n in [2, 13] {
        history.machine.store.set_failure_mode(key("plain", n).as_bytes(), None);
        history.machine.store.set_failure_mode(key("blind", n).as_bytes(), None);
    }
    history.lift("case keys", 2 * HOUR);
    history.lift("case prefix", Duration::ZERO);
    history.lift("case too late", Duration::ZERO);
    let attribution = Attribution::new("board", "no longer offered");
    history.engine().close_down(Selector::Class("closing".into()), attribution).unwrap();
    history.snapshot();
    history.pass_until(37);
    history.snapshot();
    let feed = history.engine().feed(0, 1_000).unwrap();
    history.engine().acknowledge_feed(feed[feed.len() / 2].number).unwrap();
    history.lift("case class", HOUR);
    history.pass_until(60);
    history.engine().reclaim().unwrap();
    history.snapshot();
    history.lift("case subject", Duration::ZERO);
    history.pass_until(76);
    history.snapshot();
}

/// Registers objects restored from a backup, forgets a request, and ends with a batch in flight.
fn restore_and_forget(history: &mut History) {
    let names = [key("kept", 0), key("kept", 12), key("archive", 4), key("office", 99)];
    let restored = names.each_ref().map(|key| {
        history.machine.store.put(key.as_bytes(), b"restored");
        Registration::new("kept", key.as_bytes()).version(b"restored")
    });
    let again = history.engine().delete_again(&restored, Durability::Synced).unwrap();
    assert!(again[0].is_some(), "the index remembers what ended");
    history.engine().register(&restored, RegisterOptions::new().only_missing()).unwrap();
    history.snapshot();
    history.pass_until(78);
    history.engine().forget_request(1).unwrap();
    history.reopen(false);
    history.engine().reclaim().unwrap();
    history.register("plain", 100..140, "1");
    history.pass_until(80);
    history.snapshot();
    assert!(
        history.engine().check().unwrap().is_sound(),
        "{:#?}",
        history.engine().check().unwrap().problems
    );
    history.machine.clock.set(NEW_YEAR.saturating_add(90 * HOUR));
    let batch = history.engine().next_batch().unwrap().unwrap();
    history.engine().publish().unwrap();
    history.snapshot();
    drop(batch);
}

/// Returns the number of receipts of ended registrations, and a hash over them.
fn receipts(history: &History) -> (usize, String) {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0;
    for (key, registered) in &history.registered {
        let opener = match &registered.ticket {
            Some(ticket) => Opener::Ticket(ticket),
            None => Opener::Key(key.as_bytes()),
        };
        if let Ok(text) = history.engine().receipt(registered.id, opener) {
            add(&mut hasher, text.as_bytes());
            count += 1;
        }
    }
    (count, hasher.finalize().to_hex().to_string())
}

/// The history writes every column family and every kind of record except alarms. The message of an alarm is text for
/// people and no format.
#[test]
fn fixed_history_stores_the_recorded_bytes() {
    let mut history = History::new(CLASSES);
    register_all(&mut history);
    decide(&mut history);
    define_new_versions(&mut history);
    enforce_with_failures(&mut history);
    lift_and_close(&mut history);
    restore_and_forget(&mut history);

    let families = ["ended", "feed", "items", "locator", "log", "marks", "notes", "settled"]
        .map(str::to_owned)
        .into_iter();
    let classes = (1..=NAMES.len() + 2).map(|id| format!("class-{id}"));
    let records = [
        "batch", "class", "clock", "closed", "counts", "epoch", "event", "feed", "hold", "intent", "limits",
        "log", "page", "request", "shape", "tally",
    ];
    let records = records.map(|kind| format!("meta {kind}"));
    let mut expected: BTreeSet<String> = families.chain(classes).chain(records).collect();
    expected.insert("meta".into());
    assert_eq!(history.seen, expected);

    let note = Note::parse(&history.machine.files.all()["log/checkpoint"]).unwrap();
    let root = hex::encode(Checkpoint::parse(note.text()).unwrap().root);
    let stored = history.stored.finalize().to_hex().to_string();
    let (count, receipts) = receipts(&history);
    assert!(count > 200, "{count} receipts");
    assert_eq!((root.as_str(), stored.as_str(), receipts.as_str()), (LOG_ROOT, STORED_BYTES, RECEIPTS));
}

/// The message of an alarm may change, but not the JSON keys around it.
#[test]
fn alarm_is_stored_under_the_recorded_keys() {
    let mut history = History::new(CLASSES);
    history.engine = None;
    history.machine.options.breaker = Some(BreakerLimits { objects: 1, share_percent: 0 });
    history.reopen(false);
    let start = history.engine().now().saturating_sub(10 * HOUR);
    let late: Vec<Registration<'_>> =
        [b"a", b"b", b"c"].iter().map(|key| Registration::new("plain", &key[..]).start(start)).collect();
    history.engine().register(&late, Durability::Synced).unwrap();
    history.engine().enforce(&*history.machine.store).unwrap();
    let alarm = history.engine().status().unwrap().alarms.remove(0);
    assert_eq!(alarm.cause, AlarmCause::Breaker { class: "plain".into() });
    let stored = format!(
        "{{\"id\":\"{}\",\"cause\":\"breaker\",\"class\":\"plain\",\"raised_ms\":{},\"sentence\":\"",
        alarm.id,
        alarm.raised.unix_ms()
    );
    let meta = |history: &History| history.machine.kv.image().remove(&ColumnFamily::Meta).unwrap();
    let key = [b"alarm/", &alarm.id.to_bytes()[..]].concat();
    assert!(meta(&history)[&key].starts_with(stored.as_bytes()));

    history.engine().resume(alarm.id, Attribution::new("ops", "looked")).unwrap();
    let resumed = format!("[{stored}");
    let is_resumption = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        // The text follows the 32-byte secret that blinds its commitment in the log.
        key.starts_with(b"event/")
            && value[32..].starts_with(resumed.as_bytes())
            && value.ends_with(b"\"},\"looked\",\"ops\"]")
    };
    let meta = meta(&history);
    assert!(!meta.contains_key(&key) && meta.iter().any(is_resumption));
}
