//! Steps of a history, and random histories of them.

use proptest::prelude::*;
use proptest::strategy::Union;
use sexton_tests::FailureMode;

/// Number of keys. The constants below count subjects, prefixes, hold names and classes.
pub(crate) const KEYS: u8 = 2 * SEEN;
/// Number of keys whose objects are found by key. The objects of the other keys are found by id only.
const SEEN: u8 = 10;
const SUBJECTS: u8 = 4;
const PREFIXES: u8 = 3;
const NAMES: u8 = 3;
const CLASSES: usize = 7;

/// Objects that a hold or an erasure covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Key(u8),
    Prefix(u8),
    Subject(u8),
    Class(usize),
}

/// Start that a host gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    Unsaid,
    Ago(i64),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Upload {
        key: u8,
        class: usize,
        begin: Begin,
    },
    Retry {
        key: u8,
    },
    /// The stored object is registered again, in this class and with this subject; `None` states the same as before.
    Again {
        key: u8,
        class: Option<usize>,
        subject: Option<Option<u8>>,
    },
    Overwrite {
        key: u8,
    },
    Remove {
        key: u8,
    },
    FailureMode {
        key: u8,
        mode: Option<FailureMode>,
    },
    Start {
        key: u8,
        by_id: bool,
        ago_ms: i64,
    },
    Reschedule {
        key: u8,
        by_id: bool,
        class: Option<usize>,
        ago_ms: Option<i64>,
    },
    /// The stored object has other content, or only a later start if `is_new` is `false`.
    Content {
        key: u8,
        by_id: bool,
        is_new: bool,
        ago_ms: Option<i64>,
    },
    Rename {
        key: u8,
        by_id: bool,
        to: u8,
    },
    Release {
        key: u8,
        by_id: bool,
    },
    Hold {
        name: u8,
        of: Target,
        is_event: bool,
    },
    Lift {
        name: u8,
        grace_ms: i64,
    },
    Erase {
        of: Target,
        cancellable_ms: i64,
    },
    Cancel {
        nth: u32,
    },
    Close {
        class: usize,
    },
    Define {
        class: usize,
    },
    Apply {
        class: usize,
    },
    Feed {
        acknowledge: bool,
    },
    ClockForward,
    /// The wall clock goes back, by more than it can have jumped if `far`.
    ClockBack {
        far: bool,
    },
    ClockUndo,
    /// `back` accepts a clock that is behind; otherwise it is corrected first.
    Resume {
        back: bool,
    },
    Advance {
        ms: i64,
    },
    Enforce,
    Reopen {
        power_lost: bool,
    },
}

/// Returns the key of a number, which also decides prefix and subject.
pub(crate) fn key_bytes(key: u8) -> Vec<u8> {
    [prefix_bytes(key % PREFIXES), format!("object/{key}").into_bytes()].concat()
}

pub(crate) fn prefix_bytes(prefix: u8) -> Vec<u8> {
    format!("room-{prefix}/").into_bytes()
}

pub(crate) fn subject_bytes(subject: u8) -> Vec<u8> {
    format!("person {subject}").into_bytes()
}

pub(crate) fn subject_of(key: u8) -> u8 {
    key % SUBJECTS
}

/// Returns the number of the key under which an object is stored. Objects found by id only have keys of their own.
pub(crate) fn key_in(key: u8, is_found_by_key: bool) -> u8 {
    key % SEEN + if is_found_by_key { 0 } else { SEEN }
}

impl Target {
    /// Returns `true` if it covers an object of the key and the subject in a class.
    pub(crate) fn covers(self, key: u8, of: Option<u8>, class: usize) -> bool {
        match self {
            Target::Key(covered) => covered == key,
            Target::Prefix(prefix) => key % PREFIXES == prefix,
            Target::Subject(subject) => of == Some(subject),
            Target::Class(covered) => covered == class,
        }
    }
}

fn people() -> impl Strategy<Value = Target> {
    prop_oneof![(0..KEYS).prop_map(Target::Key), (0..SUBJECTS).prop_map(Target::Subject)]
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        (0..KEYS).prop_map(Target::Key),
        (0..PREFIXES).prop_map(Target::Prefix),
        (0..SUBJECTS).prop_map(Target::Subject),
        (0..CLASSES).prop_map(Target::Class),
    ]
}

fn begins() -> impl Strategy<Value = Begin> {
    prop_oneof![2 => (-5_000_i64..120_000).prop_map(Begin::Ago), 1 => Just(Begin::Unsaid)]
}

/// Steps of hosts and stores.
fn of_hosts(keys: u8) -> Vec<BoxedStrategy<Step>> {
    let key = || prop_oneof![4 => 0..keys, 1 => SEEN..SEEN + keys];
    let mode = prop_oneof![
        Just(None),
        Just(Some(FailureMode::Fails)),
        Just(Some(FailureMode::Refuses)),
        Just(Some(FailureMode::Acknowledges)),
    ];
    let class = proptest::option::of(0..CLASSES);
    let ago = || -20_000_i64..120_000;
    vec![
        (key(), 0..CLASSES, begins())
            .prop_map(|(key, class, begin)| Step::Upload { key, class, begin })
            .boxed(),
        key().prop_map(|key| Step::Retry { key }).boxed(),
        (key(), class.clone(), proptest::option::of(proptest::option::of(0..SUBJECTS)))
            .prop_map(|(key, class, subject)| Step::Again { key, class, subject })
            .boxed(),
        key().prop_map(|key| Step::Overwrite { key }).boxed(),
        key().prop_map(|key| Step::Remove { key }).boxed(),
        (key(), mode).prop_map(|(key, mode)| Step::FailureMode { key, mode }).boxed(),
        (key(), any::<bool>(), -60_000_i64..60_000)
            .prop_map(|(key, by_id, ago_ms)| Step::Start { key, by_id, ago_ms })
            .boxed(),
        (key(), any::<bool>(), class, proptest::option::of(ago()))
            .prop_map(|(key, by_id, class, ago_ms)| Step::Reschedule { key, by_id, class, ago_ms })
            .boxed(),
        (key(), any::<bool>(), any::<bool>(), proptest::option::of(ago()))
            .prop_map(|(key, by_id, is_new, ago_ms)| Step::Content { key, by_id, is_new, ago_ms })
            .boxed(),
        (key(), any::<bool>(), key()).prop_map(|(key, by_id, to)| Step::Rename { key, by_id, to }).boxed(),
        (key(), any::<bool>()).prop_map(|(key, by_id)| Step::Release { key, by_id }).boxed(),
    ]
}

/// Steps of operators.
fn of_people() -> Vec<BoxedStrategy<Step>> {
    let grace = prop_oneof![Just(0), 0_i64..40_000];
    let cancellable = prop_oneof![Just(0), 0_i64..30_000];
    vec![
        (0..NAMES, targets(), any::<bool>())
            .prop_map(|(name, of, is_event)| Step::Hold { name, of, is_event })
            .boxed(),
        (0..NAMES, grace).prop_map(|(name, grace_ms)| Step::Lift { name, grace_ms }).boxed(),
        (people(), cancellable).prop_map(|(of, cancellable_ms)| Step::Erase { of, cancellable_ms }).boxed(),
        (1_u32..12).prop_map(|nth| Step::Cancel { nth }).boxed(),
        (0..CLASSES).prop_map(|class| Step::Close { class }).boxed(),
        (0..CLASSES).prop_map(|class| Step::Define { class }).boxed(),
        (0..CLASSES).prop_map(|class| Step::Apply { class }).boxed(),
        any::<bool>().prop_map(|acknowledge| Step::Feed { acknowledge }).boxed(),
        any::<bool>().prop_map(|back| Step::Resume { back }).boxed(),
    ]
}

/// Steps of clocks and machines.
fn of_machines() -> Vec<BoxedStrategy<Step>> {
    let clock = prop_oneof![
        1 => Just(Step::ClockForward),
        1 => any::<bool>().prop_map(|far| Step::ClockBack { far }),
        3 => Just(Step::ClockUndo),
    ];
    vec![
        clock.boxed(),
        prop_oneof![6 => 0_i64..15_000, 1 => 0_i64..100_000, 1 => 0..11 * 24 * 3_600_000_i64]
            .prop_map(|ms| Step::Advance { ms })
            .boxed(),
        any::<bool>().prop_map(|power_lost| Step::Reopen { power_lost }).boxed(),
    ]
}

/// Generates histories by swarm testing. Each history has its own weights and number of keys, so some kinds of step are
/// rare in it and others frequent.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop_oneof![Just(0_u32), 0_u32..3, 0_u32..9];
    (proptest::collection::vec(weight, 23), 1..=SEEN).prop_flat_map(|(weights, keys)| {
        let all = of_hosts(keys).into_iter().chain(of_people()).chain(of_machines());
        let mut steps: Vec<(u32, BoxedStrategy<Step>)> =
            weights.into_iter().zip(all).filter(|(weight, _)| *weight > 0).collect();
        let upload = (0..keys, 0..CLASSES, begins());
        steps.push((6, upload.prop_map(|(key, class, begin)| Step::Upload { key, class, begin }).boxed()));
        steps.push((4, (0_i64..15_000).prop_map(|ms| Step::Advance { ms }).boxed()));
        steps.push((5, Just(Step::Enforce).boxed()));
        proptest::collection::vec(Union::new_weighted(steps), 1..100)
    })
}
