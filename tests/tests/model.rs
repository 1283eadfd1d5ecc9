//! Random histories on the engine and on a naive scheduler a page long, compared step by step: every object's fate,
//! instant and evidence. The same history twice gives the same log, byte for byte.

use proptest::prelude::*;
use sexton::{ClassSet, Durability, Earlier, Engine, Opener, Registration, RegistrationId};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::Method;
use sexton_tests::{HOUR_MS, Machine, Mood};
use std::collections::BTreeMap;

const CLASSES: &str = r#"
[class.short]
within = "20s"
slot = "2s"
lead = "3s"
[class.kept]
keep = "30s"
within = "90s"
slot = "5s"
lead = "2s"
[class.long]
within = "30d"
"#;

/// Name, floor and ceiling as spans in ms, slot and lead.
const SHAPES: [(&str, Option<i64>, i64, i64, i64); 3] = [
    ("short", None, 20_000, 2_000, 3_000),
    ("kept", Some(30_000), 90_000, 5_000, 2_000),
    ("long", None, 720 * HOUR_MS, HOUR_MS, HOUR_MS / 2),
];

#[derive(Clone, Debug)]
enum Step {
    Upload { key: u8, class: usize, age_ms: i64 },
    Retry { key: u8 },
    Overwrite { key: u8 },
    Remove { key: u8 },
    Mood { key: u8, mood: Option<Mood> },
    Advance { ms: i64 },
    Enforce,
    Reopen { power_lost: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Swarm: each history has its own weights, so that some kinds of step are rare or absent in it.
    proptest::array::uniform8(0_u32..8).prop_flat_map(|weights| {
        let key = 0_u8..10;
        let mood = prop_oneof![Just(None), Just(Some(Mood::Fails)), Just(Some(Mood::Refuses))];
        let step = prop_oneof![
            8 + weights[0] => (key.clone(), 0_usize..3, 0_i64..120_000)
                .prop_map(|(key, class, age_ms)| Step::Upload { key, class, age_ms }),
            weights[1] => key.clone().prop_map(|key| Step::Retry { key }),
            weights[2] => key.clone().prop_map(|key| Step::Overwrite { key }),
            weights[3] => key.clone().prop_map(|key| Step::Remove { key }),
            weights[4] => (key, mood).prop_map(|(key, mood)| Step::Mood { key, mood }),
            4 + weights[5] => (0_i64..15_000).prop_map(|ms| Step::Advance { ms }),
            4 + weights[6] => Just(Step::Enforce),
            weights[7] => any::<bool>().prop_map(|power_lost| Step::Reopen { power_lost }),
        ];
        proptest::collection::vec(step, 1..80)
    })
}

#[derive(Clone, Debug)]
struct Item {
    id: RegistrationId,
    key: u8,
    class: usize,
    version: Vec<u8>,
    start_ms: i64,
    slot_ms: i64,
    attempts: u32,
    /// A failed attempt may have deleted it; a refused one, or one that found another object, did not.
    failed: bool,
    replaced: bool,
    end: Option<(Method, i64)>,
}

/// The naive scheduler: a list.
#[derive(Default)]
struct Model {
    items: Vec<Item>,
    objects: BTreeMap<u8, Vec<u8>>,
    moods: BTreeMap<u8, Mood>,
}

fn slot_of(class: usize, start_ms: i64, now_ms: i64) -> i64 {
    let (_, keep, within, slot, lead) = SHAPES[class];
    let due = keep.map_or(start_ms + within - slot - lead, |keep| start_ms + keep);
    let aligned = (due + slot - 1).div_euclid(slot) * slot;
    aligned.max(now_ms / 1_000 * 1_000)
}

impl Model {
    fn live(&mut self, key: u8) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.key == key && item.end.is_none() && !item.replaced)
    }

    fn enforce(&mut self, now_ms: i64) {
        for item in self.items.iter_mut().filter(|item| item.end.is_none() && item.slot_ms <= now_ms) {
            let carry = |item: &mut Item| {
                item.attempts += 1;
                let wait = (1_000_i64 << (item.attempts - 1).min(30)).min(HOUR_MS);
                item.slot_ms = (now_ms + wait + 999) / 1_000 * 1_000;
            };
            if item.replaced {
                item.end = Some((Method::Replaced, now_ms));
            } else if let Some(mood) = self.moods.get(&item.key) {
                item.failed |= *mood == Mood::Fails;
                carry(item);
            } else {
                match self.objects.get(&item.key) {
                    None if item.failed => item.end = Some((Method::AbsentAfterIntent, now_ms)),
                    None => item.end = Some((Method::Absent, now_ms)),
                    Some(version) if *version != item.version => carry(item),
                    Some(_) => {
                        self.objects.remove(&item.key);
                        item.end = Some((Method::Deleted, now_ms));
                    }
                }
            }
        }
    }
}

struct Run {
    machine: Machine,
    engine: Option<Engine>,
    model: Model,
    versions: u32,
}

fn key_bytes(key: u8) -> Vec<u8> {
    format!("object/{key}").into_bytes()
}

impl Run {
    fn new() -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
        machine.options.shards = Some(2);
        let engine = Some(machine.open().unwrap());
        Run { machine, engine, model: Model::default(), versions: 0 }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn put(&mut self, key: u8) -> Vec<u8> {
        self.versions += 1;
        let version = self.versions.to_be_bytes().to_vec();
        self.machine.store.put(&key_bytes(key), &version);
        self.model.objects.insert(key, version.clone());
        version
    }

    fn register(&mut self, key: u8, class: usize, version: Vec<u8>, start_ms: i64) {
        let bytes = key_bytes(key);
        let item = Registration {
            version: &version,
            start_ms: Some(start_ms),
            ..Registration::new(SHAPES[class].0, &bytes)
        };
        let answer = self.engine().register(&[item], Durability::Synced).unwrap().remove(0);
        let now_ms = self.engine().now_ms();
        let same = |live: &Item| live.version == version && live.class == class && live.start_ms == start_ms;
        if let Some(live) = self.model.live(key) {
            if same(live) {
                // Carried, it has another id by now, from which its end is found as well.
                assert!(answer.earlier == Earlier::Same && (answer.id == live.id || live.attempts > 0));
                return;
            }
            live.replaced = true;
        }
        assert!(self.model.items.iter().all(|item| item.id != answer.id), "{} was given twice", answer.id);
        let slot_ms = slot_of(class, start_ms, now_ms);
        let (attempts, failed, replaced, end) = (0, false, false, None);
        self.model.items.push(Item {
            id: answer.id,
            key,
            class,
            version,
            start_ms,
            slot_ms,
            attempts,
            failed,
            replaced,
            end,
        });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Upload { key, class, age_ms } => {
                let version = self.put(key);
                let start_ms = self.engine().now_ms() - age_ms;
                self.register(key, class, version, start_ms);
            }
            Step::Retry { key } => {
                if let Some(live) = self.model.live(key).cloned() {
                    self.register(key, live.class, live.version, live.start_ms);
                }
            }
            Step::Overwrite { key } => {
                self.put(key);
            }
            Step::Remove { key } => {
                self.machine.store.remove(&key_bytes(key));
                self.model.objects.remove(&key);
            }
            Step::Mood { key, mood } => {
                self.machine.store.set_mood(&key_bytes(key), mood);
                match mood {
                    Some(mood) => self.model.moods.insert(key, mood),
                    None => self.model.moods.remove(&key),
                };
            }
            Step::Advance { ms } => self.machine.clock.advance(ms),
            Step::Enforce => self.enforce(),
            Step::Reopen { power_lost } => self.reopen(power_lost),
        }
    }

    fn reopen(&mut self, power_lost: bool) {
        self.engine = None;
        if power_lost {
            self.machine.kv.lose_power();
        }
        self.engine = Some(self.machine.open().unwrap());
    }

    fn enforce(&mut self) {
        self.engine().enforce(&*self.machine.store).unwrap();
        let now_ms = self.engine().now_ms();
        self.model.enforce(now_ms);
        for key in 0..10 {
            let expected = self.model.objects.contains_key(&key);
            assert_eq!(self.machine.store.has(&key_bytes(key)), expected, "object {key} at {now_ms}");
        }
        let classes = self.engine().status().unwrap().classes;
        for (number, (name, ..)) in SHAPES.iter().enumerate() {
            let mine = self.model.items.iter().filter(|item| item.class == number);
            let live = mine.clone().filter(|item| item.end.is_none()).count() as u64;
            let late = mine.filter(|item| self.is_late(item)).count() as u64;
            assert_eq!((classes[*name].live, classes[*name].ended.late), (live, late), "{name} at {now_ms}");
            assert_eq!(classes[*name].ended.early, 0);
        }
    }

    fn is_late(&self, item: &Item) -> bool {
        let ceiling_ms = item.start_ms + SHAPES[item.class].2;
        item.end.is_some_and(|(method, time_ms)| method != Method::Replaced && time_ms > ceiling_ms)
    }

    /// Everything comes to its end, and the evidence says of each object what the model says.
    fn finish(&mut self) {
        for key in 0..10 {
            self.step(&Step::Mood { key, mood: None });
        }
        for _ in 0..3 {
            // What was overwritten behind the engine's back is owed for ever; take it away.
            for item in self.model.items.clone().iter().filter(|item| item.end.is_none() && !item.replaced) {
                if self.model.objects.get(&item.key).is_some_and(|version| *version != item.version) {
                    self.step(&Step::Remove { key: item.key });
                }
            }
            self.machine.clock.advance(800 * HOUR_MS);
            self.enforce();
        }
        self.reopen(true);
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        let policy = Policy::parse(self.engine().policy()).unwrap();
        let mut verifier = receipt::Verifier::new(&policy);
        for item in &self.model.items {
            let text = self.engine().receipt(item.id, Opener::Key(&key_bytes(item.key))).unwrap();
            let verdict = verifier.verify(text.as_bytes()).unwrap();
            assert_eq!(Some((verdict.method, verdict.time_ms)), item.end);
            assert_eq!(verdict.start_ms, item.start_ms);
            let floor_ms = SHAPES[item.class].1.map(|keep| item.start_ms + keep);
            assert!(
                floor_ms
                    .is_none_or(|floor_ms| verdict.time_ms >= floor_ms || verdict.method == Method::Replaced)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_object_meets_the_fate_that_a_naive_scheduler_gives_it(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn the_same_history_gives_the_same_files_byte_for_byte(steps in steps()) {
        let files = || {
            let mut run = Run::new();
            for step in &steps {
                run.step(step);
            }
            run.machine.files.all()
        };
        prop_assert_eq!(files(), files());
    }
}
