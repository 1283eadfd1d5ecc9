//! Found by key, whatever happened: what finds the keys registered last is in memory only, and what finds the others in
//! runs that are durable by themselves. A live key that is missed would let an overwritten object go on its
//! predecessor's time.

use sexton::fault::Outcome;
use sexton::kv::{Family, Kv, Order};
use sexton::{Change, ClassSet, Durability, Earlier, Engine, Registration, RegistrationId, Which};
use sexton_proof::id::PageId;
use sexton_tests::hooked::Hooked;
use sexton_tests::host::Dice;
use sexton_tests::{HOUR_MS, Machine};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

const KEYS: u64 = 24;
const STEPS: u64 = 400;
const SEEDS: u64 = 24;

/// Two classes, so that a key's registrations lie in different places.
const CLASSES: &str = "
[class.quick]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"

[class.slow]
within = \"3h\"
";

/// The live registration of each key.
type Live = BTreeMap<u64, RegistrationId>;

/// No registration.
const NONE: RegistrationId = RegistrationId { page: PageId { class: 0, slot: 0, shard: 0, part: 0 }, seq: 0 };

fn name(key: u64) -> Vec<u8> {
    format!("key-{key}").into_bytes()
}

/// A machine that is switched off in many ways, and what must be found on it.
struct Life {
    machine: Machine,
    engine: Option<Engine>,
    live: Live,
    /// What the loss of power leaves at the least: later registrations may be durable too, for a run makes all durable
    /// that it follows from.
    durable: Live,
    /// Every registration that each key ever had, with its object's version.
    ever: BTreeMap<u64, Vec<(RegistrationId, u64)>>,
    versions: u64,
}

impl Life {
    fn new(recent_keys: u32) -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
        machine.options.shards = Some(2);
        machine.options.recent_keys = recent_keys;
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
        let item = |name| Registration { version: &version, ..Registration::new(class, name) };
        let items: Vec<Registration<'_>> = names.iter().map(|name| item(name)).collect();
        let answers = self.engine().register(&items, durability).unwrap();
        for (key, answer) in keys.iter().zip(answers) {
            let earlier = self.live.insert(*key, answer.id);
            self.ever.entry(*key).or_default().push((answer.id, self.versions));
            match answer.earlier {
                Earlier::None => assert_eq!(earlier, None, "key {key} was missed"),
                Earlier::Replaced(id) => assert_eq!(earlier, Some(id), "key {key} was found elsewhere"),
                other => panic!("key {key}: {other:?}"),
            }
        }
        if durability == Durability::Synced {
            self.durable.clone_from(&self.live);
        }
    }

    fn open(&mut self) {
        self.engine = Some(self.machine.open().unwrap());
        // Opening syncs what it writes, and everything before.
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
            // The last of them: an id that the loss of power undid may be given again.
            let version =
                ever[since..].iter().rfind(|(id, _)| Some(*id) == found).map(|(_, version)| version);
            match (found, before) {
                // One that was durable, or came later.
                (Some(_), Some(_)) => assert!(version.is_some(), "key {key} was found elsewhere"),
                (Some(id), None) => panic!("key {key} is found in {id} and ended"),
                (None, _) => assert_eq!(self.durable.get(&key), None, "key {key} was missed"),
            }
            // The store lost what was stored later.
            match version {
                Some(version) => self.machine.store.put(&name(key), &version.to_be_bytes()),
                None => self.machine.store.remove(&name(key)),
            }
        }
        self.live.retain(|_, id| *id != NONE);
        self.durable.clone_from(&self.live);
        // Whatever row is live, is found.
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
    }

    fn enforce(&mut self) {
        self.machine.clock.advance(70_000);
        self.engine().enforce(&*self.machine.store).unwrap();
        let gone: Vec<u64> =
            self.live.keys().copied().filter(|key| !self.machine.store.has(&name(*key))).collect();
        for key in gone {
            self.live.remove(&key);
        }
        self.durable.clone_from(&self.live);
    }

    fn step(&mut self, dice: &mut Dice) {
        let class = if dice.below(2) == 0 { "quick" } else { "slow" };
        match dice.below(16) {
            0 => self.lose_power(),
            1 => {
                self.engine = None;
                self.open();
            }
            2 => self.enforce(),
            3 => self.engine().reclaim().unwrap(),
            n => {
                let durability = if n < 10 { Durability::Buffered } else { Durability::Synced };
                let first = dice.below(KEYS);
                let keys: Vec<u64> = (0..1 + dice.below(6)).map(|n| (first + n * 5) % KEYS).collect();
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
fn every_live_key_is_found_at_every_step_of_random_lives() {
    // From a run at nearly every call to none at all.
    for (seed, recent_keys) in (0..SEEDS).zip([2, 6, 40, 100_000].into_iter().cycle()) {
        let mut life = Life::new(recent_keys);
        let mut dice = Dice::new(seed);
        for step in 0..STEPS {
            life.step(&mut dice);
            life.look(&format!("seed {seed}, step {step}"));
        }
        let report = life.engine().check().unwrap();
        assert!(report.is_sound(), "seed {seed}: {:#?}", report.problems);
    }
}

#[test]
fn a_registration_replaced_by_one_that_the_loss_of_power_undid_is_found_again() {
    for others in 1..12 {
        let mut life = Life::new(4);
        let keys: Vec<u64> = (0..12).collect();
        life.register(&keys, "slow", Durability::Synced);
        // Entries of earlier runs are to go with the next one.
        life.register(&keys[..others], "quick", Durability::Buffered);
        life.lose_power();
        life.register(&keys, "slow", Durability::Synced);
        life.look("registered anew");
    }
}

#[test]
fn a_run_that_fails_stops_the_engine_and_after_reopening_every_key_is_found() {
    for outcome in [Outcome::Lost, Outcome::DoneButError] {
        for nth in 0..12 {
            let mut life = Life::new(6);
            life.register(&[0, 1, 2], "slow", Durability::Synced);
            let keys: Vec<Vec<u8>> = (3..12).map(name).collect();
            let items: Vec<Registration<'_>> =
                keys.iter().map(|key| Registration::new("slow", key)).collect();
            life.machine.faults.arm(nth, outcome);
            let answer = life.engine().register(&items, Durability::Synced);
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

#[test]
fn a_folder_of_an_earlier_version_whose_entries_were_put_one_by_one_is_taken_over() {
    let mut life = Life::new(100_000);
    let keys: Vec<u64> = (0..KEYS).collect();
    life.register(&keys, "slow", Durability::Synced);
    life.engine = None;
    let mut image = life.machine.kv.image();
    let notes = image.remove(&Family::Notes).unwrap();
    let entries = notes.values().flat_map(|note| note.chunks(36)).map(|entry| (entry.to_vec(), Vec::new()));
    image.entry(Family::Locator).or_default().extend(entries);
    life.machine.kv.restore(image);
    life.open();
    life.look("after taking it over");
    life.register(&keys, "quick", Durability::Synced);
    assert!(life.engine().check().unwrap().is_sound());
}

#[test]
fn what_was_carried_is_found_where_it_went() {
    let mut life = Life::new(4);
    let keys: Vec<u64> = (0..KEYS).collect();
    life.register(&keys, "quick", Durability::Synced);
    for key in &keys {
        life.machine.store.set_mood(&name(*key), Some(sexton_tests::Mood::Fails));
    }
    life.machine.clock.advance(70_000);
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
    life.machine.clock.advance(HOUR_MS);
    assert!(life.engine().check().unwrap().is_sound());
}

/// What happens while a call looks.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[test]
fn a_key_that_comes_while_another_call_looks_for_it_is_not_missed_even_if_it_is_written_out() {
    for others in [0, 7] {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
        machine.options.shards = Some(1);
        machine.options.recent_keys = 8;
        let meanwhile: Arc<Mutex<Option<Meanwhile>>> = Arc::default();
        let then = Arc::clone(&meanwhile);
        let after = move |family| {
            let then = then.lock().unwrap().take_if(|_| family == Family::Locator);
            then.into_iter().for_each(|then| then());
            Ok(())
        };
        let kv = Hooked { inner: machine.kv.clone(), before: Box::new(|_| Ok(())), after: Box::new(after) };
        let engine = Arc::new(machine.open_on(Arc::new(kv), 7).unwrap());

        let first = Arc::new(Mutex::new(None));
        *meanwhile.lock().unwrap() = Some(Box::new({
            let (engine, first) = (Arc::clone(&engine), Arc::clone(&first));
            move || {
                let names: Vec<Vec<u8>> = (0..=others).map(name).collect();
                let item = |name| Registration { version: b"1", ..Registration::new("slow", name) };
                let items: Vec<_> = names.iter().map(|name| item(name)).collect();
                *first.lock().unwrap() = Some(engine.register(&items, Durability::Buffered).unwrap()[0].id);
            }
        }));
        let again = Registration { version: b"2", ..Registration::new("slow", b"key-0") };
        let second = engine.register(&[again], Durability::Buffered).unwrap().remove(0);
        let first = first.lock().unwrap().unwrap();
        assert_eq!(second.earlier, Earlier::Replaced(first), "with {others} others");
        assert_eq!(engine.find(b"key-0").unwrap(), Some(second.id));
        assert!(engine.check().unwrap().is_sound());
        let in_runs = entries(&machine);
        assert_eq!(in_runs > 0, others > 0, "{in_runs} entries are written out");
    }
}

#[test]
fn nothing_is_written_out_where_there_is_nothing_and_moves_of_what_is_found_by_id_leave_nothing() {
    let mut machine = Machine::new();
    let class = "[class.by-id]\nwithin = \"30d\"\nslot = \"60s\"\nfind = \"none\"\n";
    machine.options.classes = ClassSet::from_toml(class).unwrap();
    machine.options.recent_keys = 1;
    let engine = machine.open().unwrap();
    for n in 0..20 {
        let name = name(n);
        let item = Registration { version: b"1", ..Registration::new("by-id", &name) };
        let id = engine.register(&[item], Durability::Buffered).unwrap()[0].id;
        let released = engine.change(&[Change::Release { of: Which::Id(id) }], Durability::Buffered).unwrap();
        assert!(released[0].is_ok(), "{released:?}");
    }
    assert_eq!(entries(&machine), 0);
    assert!(engine.check().unwrap().is_sound());
}

/// How many entries lie in runs.
fn entries(machine: &Machine) -> usize {
    let mut entries = 0;
    let mut count = |_: &[u8], _: &[u8]| {
        entries += 1;
        ControlFlow::Continue(())
    };
    machine.kv.scan(Family::Locator, &[][..]..&[0xff; 64][..], Order::Ascending, &mut count).unwrap();
    entries
}
