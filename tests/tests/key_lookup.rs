//! Lookup by key after crashes. The key index has its latest entries in a memtable and the others in durable runs. If a
//! lookup missed a live key, an overwritten object would go at the time of its predecessor.

use sexton::testing::fault::InjectedOutcome;
use sexton::testing::kv::{ColumnFamily, Kv, Order};
use sexton::{Change, ClassSet, Durability, Engine, Previous, Registration, RegistrationId, Which};
use sexton_proof::id::PageId;
use sexton_tests::hooked::Hooked;
use sexton_tests::host::Rng;
use sexton_tests::{HOUR, Machine};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const KEYS: u64 = 24;
const STEPS: u64 = 400;
const SEEDS: u64 = 24;

/// Two classes, so that the registrations of a key lie in different pages.
const CLASSES: &str = "
[class.quick]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"

[class.slow]
within = \"3h\"
";

/// Live registration of each key.
type Live = BTreeMap<u64, RegistrationId>;

/// No registration.
const NONE: RegistrationId = RegistrationId { page: PageId { class: 0, slot: 0, shard: 0, part: 0 }, seq: 0 };

fn name(key: u64) -> Vec<u8> {
    format!("key-{key}").into_bytes()
}

/// Machine that ends in many ways, with the registrations that a lookup must find on it.
struct Life {
    machine: Machine,
    engine: Option<Engine>,
    live: Live,
    /// Registrations that survive a power loss. Later ones may survive too, because a flush makes all earlier writes
    /// durable.
    durable: Live,
    /// All registrations that each key ever had, with the version of the object.
    ever: BTreeMap<u64, Vec<(RegistrationId, u64)>>,
    versions: u64,
}

impl Life {
    fn new(memtable_keys: u32) -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
        machine.options.shards = Some(2);
        machine.options.memtable_keys = memtable_keys;
        let engine = Some(machine.open().unwrap());
        Life { machine, engine, live: Live::new(), durable: Live::new(), ever: BTreeMap::new(), versions: 0 }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn register(&mut self, keys: &[u64], class: &str, durability: Durability) {
        self.versions += 1;
        let version = self.versions.to_be_bytes();
        let names: Vec<Vec<u8>> = keys.iter().map(|key| name(*key)).collect();
        for name in &names {
            self.machine.store.put(name, &version);
        }
        let registration = |name| Registration::new(class, name).version(&version);
        let registrations: Vec<Registration<'_>> = names.iter().map(|name| registration(name)).collect();
        let answers = self.engine().register(&registrations, durability).unwrap();
        for (key, answer) in keys.iter().zip(answers) {
            let earlier = self.live.insert(*key, answer.id);
            self.ever.entry(*key).or_default().push((answer.id, self.versions));
            match answer.previous {
                Previous::None => assert_eq!(earlier, None, "key {key} was missed"),
                Previous::Replaced(id) => assert_eq!(earlier, Some(id), "key {key} was found elsewhere"),
                other => panic!("key {key}: {other:?}"),
            }
        }
        if durability == Durability::Synced {
            self.durable.clone_from(&self.live);
        }
    }

    fn open(&mut self) {
        self.engine = Some(self.machine.open().unwrap());
        // Opening syncs its own writes and all earlier ones.
        self.durable.clone_from(&self.live);
    }

    fn lose_power(&mut self) {
        self.engine = None;
        self.machine.kv.lose_power();
        self.engine = Some(self.machine.open().unwrap());
        for key in 0..KEYS {
            let found = self.engine().find(&name(key)).unwrap();
            let before = self.live.insert(key, found.unwrap_or(NONE));
            let ever = &self.ever.entry(key).or_default()[..];
            let since = ever.iter().position(|(id, _)| Some(id) == self.durable.get(&key)).unwrap_or(0);
            // The last one counts, because an id that a power loss undid may be given again.
            let version =
                ever[since..].iter().rfind(|(id, _)| Some(*id) == found).map(|(_, version)| version);
            match (found, before) {
                // The durable registration or a later one.
                (Some(_), Some(_)) => assert!(version.is_some(), "key {key} was found elsewhere"),
                (Some(id), None) => panic!("key {key} is found in {id} and ended"),
                (None, _) => assert_eq!(self.durable.get(&key), None, "key {key} was missed"),
            }
            // The store lost the later versions.
            match version {
                Some(version) => self.machine.store.put(&name(key), &version.to_be_bytes()),
                None => self.machine.store.remove(&name(key)),
            }
        }
        self.live.retain(|_, id| *id != NONE);
        self.durable.clone_from(&self.live);
        // Every live row is found.
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
    }

    fn enforce(&mut self) {
        self.machine.clock.advance(Duration::from_secs(70));
        self.engine().enforce(&*self.machine.store).unwrap();
        let gone: Vec<u64> =
            self.live.keys().copied().filter(|key| !self.machine.store.has(&name(*key))).collect();
        for key in gone {
            self.live.remove(&key);
        }
        self.durable.clone_from(&self.live);
    }

    fn step(&mut self, rng: &mut Rng) {
        let class = if rng.below(2) == 0 { "quick" } else { "slow" };
        match rng.below(16) {
            0 => self.lose_power(),
            1 => {
                self.engine = None;
                self.open();
            }
            2 => self.enforce(),
            3 => self.engine().reclaim().unwrap(),
            n => {
                let durability = if n < 10 { Durability::Buffered } else { Durability::Synced };
                let first = rng.below(KEYS);
                let keys: Vec<u64> = (0..1 + rng.below(6)).map(|n| (first + n * 5) % KEYS).collect();
                self.register(&keys, class, durability);
            }
        }
    }

    fn look(&self, what: &str) {
        for key in 0..KEYS {
            let found = self.engine().find(&name(key)).unwrap();
            assert_eq!(found, self.live.get(&key).copied(), "{what}: key {key}");
        }
    }
}

#[test]
fn every_live_key_is_found_at_each_step_of_random_histories() {
    // From a flush at nearly every call to no flush at all.
    for (seed, memtable_keys) in (0..SEEDS).zip([2, 6, 40, 100_000].into_iter().cycle()) {
        let mut life = Life::new(memtable_keys);
        let mut rng = Rng::new(seed);
        for step in 0..STEPS {
            life.step(&mut rng);
            life.look(&format!("seed {seed}, step {step}"));
        }
        let report = life.engine().check().unwrap();
        assert!(report.is_sound(), "seed {seed}: {:#?}", report.problems);
    }
}

/// A power loss undoes the replacement.
#[test]
fn registration_is_found_after_its_replacement_is_lost() {
    for others in 1..12 {
        let mut life = Life::new(4);
        let keys: Vec<u64> = (0..12).collect();
        life.register(&keys, "slow", Durability::Synced);
        // The next flush has to remove entries of earlier runs.
        life.register(&keys[..others], "quick", Durability::Buffered);
        life.lose_power();
        life.register(&keys, "slow", Durability::Synced);
        life.look("registered again");
    }
}

#[test]
fn failed_flush_poisons_and_reopening_finds_every_key() {
    for outcome in [InjectedOutcome::Lost, InjectedOutcome::DoneButError] {
        for nth in 0..12 {
            let mut life = Life::new(6);
            life.register(&[0, 1, 2], "slow", Durability::Synced);
            let keys: Vec<Vec<u8>> = (3..12).map(name).collect();
            let registrations: Vec<Registration<'_>> =
                keys.iter().map(|key| Registration::new("slow", key)).collect();
            life.machine.faults.arm(nth, outcome);
            let answer = life.engine().register(&registrations, Durability::Synced);
            life.machine.faults.disarm();
            life.engine = None;
            life.machine.kv.lose_power();
            life.open();
            let report = life.engine().check().unwrap();
            assert!(report.is_sound(), "{outcome:?} {nth}: {:#?}", report.problems);
            for key in 0..3 {
                assert_eq!(life.engine().find(&name(key)).unwrap(), life.live.get(&key).copied());
            }
            if let Ok(answers) = answer {
                for (key, answer) in keys.iter().zip(answers) {
                    assert_eq!(life.engine().find(key).unwrap(), Some(answer.id));
                }
            }
        }
    }
}

/// Earlier versions wrote each entry by itself, without sorted runs.
#[test]
fn key_index_without_runs_of_an_earlier_version_is_readable() {
    let mut life = Life::new(100_000);
    let keys: Vec<u64> = (0..KEYS).collect();
    life.register(&keys, "slow", Durability::Synced);
    life.engine = None;
    let mut image = life.machine.kv.image();
    let notes = image.remove(&ColumnFamily::Pending).unwrap();
    let entries = notes.values().flat_map(|note| note.chunks(36)).map(|entry| (entry.to_vec(), Vec::new()));
    image.entry(ColumnFamily::Locator).or_default().extend(entries);
    life.machine.kv.restore(image);
    life.open();
    life.look("after taking it over");
    life.register(&keys, "quick", Durability::Synced);
    assert!(life.engine().check().unwrap().is_sound());
}

#[test]
fn carried_object_is_found_in_its_later_page() {
    let mut life = Life::new(4);
    let keys: Vec<u64> = (0..KEYS).collect();
    life.register(&keys, "quick", Durability::Synced);
    for key in &keys {
        life.machine.store.set_failure_mode(&name(*key), Some(sexton_tests::FailureMode::Fails));
    }
    life.machine.clock.advance(Duration::from_secs(70));
    life.engine().enforce(&*life.machine.store).unwrap();
    let found = |life: &Life| -> Live {
        keys.iter().map(|key| (*key, life.engine().find(&name(*key)).unwrap().unwrap())).collect()
    };
    let carried = found(&life);
    assert!(keys.iter().all(|key| carried[key] != life.live[key]));
    life.engine = None;
    life.machine.kv.lose_power();
    life.open();
    assert_eq!(found(&life), carried);
    life.live = carried;
    life.register(&keys, "slow", Durability::Synced);
    life.look("registered over what was carried");
    life.machine.clock.advance(HOUR);
    assert!(life.engine().check().unwrap().is_sound());
}

/// Event during a lookup.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[test]
fn key_registered_and_flushed_during_a_lookup_is_found() {
    for others in [0, 7] {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
        machine.options.shards = Some(1);
        machine.options.memtable_keys = 8;
        let meanwhile: Arc<Mutex<Option<Meanwhile>>> = Arc::default();
        let then = Arc::clone(&meanwhile);
        let after = move |family| {
            let then = then.lock().unwrap().take_if(|_| family == ColumnFamily::Locator);
            // In a thread of its own, as another caller would: this one holds a shard's lock perhaps.
            thread::scope(|scope| then.into_iter().for_each(|then| scope.spawn(then).join().unwrap()));
            Ok(())
        };
        let kv = Hooked { inner: machine.kv.clone(), before: Box::new(|_| Ok(())), after: Box::new(after) };
        let engine = Arc::new(machine.open_on(Arc::new(kv), 7).unwrap());

        let first = Arc::new(Mutex::new(None));
        *meanwhile.lock().unwrap() = Some(Box::new({
            let (engine, first) = (Arc::clone(&engine), Arc::clone(&first));
            move || {
                let names: Vec<Vec<u8>> = (0..=others).map(name).collect();
                let registration = |name| Registration::new("slow", name).version(b"1");
                let registrations: Vec<_> = names.iter().map(|name| registration(name)).collect();
                *first.lock().unwrap() =
                    Some(engine.register(&registrations, Durability::Buffered).unwrap()[0].id);
            }
        }));
        let again = Registration::new("slow", b"key-0").version(b"2");
        let second = engine.register(&[again], Durability::Buffered).unwrap().remove(0);
        let first = first.lock().unwrap().unwrap();
        assert_eq!(second.previous, Previous::Replaced(first), "with {others} others");
        assert_eq!(engine.find(b"key-0").unwrap(), Some(second.id));
        assert!(engine.check().unwrap().is_sound());
        let in_runs = entries(&machine);
        assert_eq!(in_runs > 0, others > 0, "{in_runs} entries are in runs");
    }
}

#[test]
fn flush_skips_empty_memtables_and_classes_found_by_id() {
    let mut machine = Machine::new();
    let class = "[class.by-id]\nwithin = \"30d\"\nslot = \"60s\"\nfind = \"none\"\n";
    machine.options.classes = ClassSet::from_toml(class).unwrap();
    machine.options.memtable_keys = 1;
    let engine = machine.open().unwrap();
    for n in 0..20 {
        let name = name(n);
        let registration = Registration::new("by-id", &name).version(b"1");
        let id = engine.register(&[registration], Durability::Buffered).unwrap()[0].id;
        let released = engine.change(&[Change::Release { of: Which::Id(id) }], Durability::Buffered).unwrap();
        assert!(released[0].is_ok(), "{released:?}");
    }
    assert_eq!(entries(&machine), 0);
    assert!(engine.check().unwrap().is_sound());
}

/// Returns the number of entries in runs.
fn entries(machine: &Machine) -> usize {
    let mut entries = 0;
    let mut count = |_: &[u8], _: &[u8]| {
        entries += 1;
        ControlFlow::Continue(())
    };
    machine.kv.scan(ColumnFamily::Locator, &[][..]..&[0xff; 64][..], Order::Ascending, &mut count).unwrap();
    entries
}
