//! Legal holds as predicates on objects: which of them stand, and which cover an object. Pure.

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Flags, Row};
use crate::selector::Selector;
use serde::{Deserialize, Serialize};
use sexton_proof::record::{Cause, Reason};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longest name, reason or author, in bytes.
pub(crate) const TEXT_MAX_BYTES: usize = 1_000;

/// What a hold does to the clock of the objects it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldKind {
    /// It lets it run: lifted, the object goes as soon as it may.
    Temporary,
    /// It restarts it: what it covers when it is lifted counts from that instant on.
    Event,
}

/// A legal hold to be placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHold {
    /// By which it is lifted: 1 to 1,000 bytes, not that of a hold that stands.
    pub name: String,
    /// What it covers.
    pub selector: Selector,
    /// What it does to the clock.
    pub kind: HoldKind,
    /// Why it is placed.
    pub reason: String,
    /// Who places it.
    pub author: String,
    /// When somebody is to look whether it is still needed, Unix ms. It does not end then by itself.
    pub review_ms: i64,
}

/// How a hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// When, Unix ms.
    pub at_ms: i64,
    /// Why.
    pub reason: String,
    /// By whom.
    pub author: String,
    /// How long what it kept past its ceiling is still left alone, ms.
    pub grace_ms: i64,
    /// Whether everything that it had kept back was found again.
    pub done: bool,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its random id, which the log's leaf names.
    #[serde(with = "hex::serde")]
    pub id: [u8; 16],
    /// When it was placed, Unix ms.
    pub placed_ms: i64,
    /// What was placed.
    #[serde(flatten)]
    pub terms: NewHold,
    /// How it ended, where it did.
    pub lifted: Option<Lifted>,
}

impl Hold {
    /// Whether it was not lifted.
    pub fn stands(&self) -> bool {
        self.lifted.is_none()
    }

    /// Whether it has some effect on what it covers. A hold that was lifted keeps what it had kept or restarts until
    /// the sweep has found it, or it could go without its grace, or on its earlier time.
    fn has_effect(&self) -> bool {
        self.lifted.as_ref().is_none_or(|lifted| !lifted.done)
    }

    fn still_covers(&self, object: Covered<'_>) -> bool {
        self.lifted.as_ref().is_none_or(|lifted| match self.terms.kind {
            _ if lifted.done => false,
            HoldKind::Temporary => object.parked || object.outlasted(lifted.at_ms),
            HoldKind::Event => object.parked || object.start_ms < lifted.at_ms,
        })
    }
}

/// What of an object decides whether a hold covers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covered<'a> {
    pub(crate) class: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) subject: &'a [u8],
    pub(crate) start_ms: i64,
    pub(crate) ceiling_ms: i64,
    /// Whether a hold kept it when its time had come, and nobody has let it go since.
    pub(crate) parked: bool,
    /// Whether it was let go by a hold that had kept it past its ceiling, or deleted by its host.
    pub(crate) let_go: bool,
}

impl<'a> Covered<'a> {
    /// An object of the class named `class`.
    pub(crate) fn of(class: &'a str, row: &Row<'a>) -> Self {
        let parked = row.cause == Cause::Held.code();
        let let_go = row.flags.has(Flags::RELEASED) || row.reason == Reason::Lifted;
        let Row { key, subject, start_ms, ceiling_ms, .. } = *row;
        Covered { class, key, subject, start_ms, ceiling_ms, parked, let_go }
    }

    /// Whether its ceiling had passed when a hold on it was lifted at `lifted_ms`, though nobody planned it meanwhile,
    /// because the engine was off or stopped: the hold kept it all the same.
    pub(crate) fn outlasted(&self, lifted_ms: i64) -> bool {
        !self.let_go && self.ceiling_ms < lifted_ms
    }
}

/// The holds of an engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldSet {
    all: BTreeMap<[u8; 16], Hold>,
    standing: Standing,
}

/// Those that have an effect, by what they are found by.
#[derive(Clone, Debug, Default)]
struct Standing {
    keys: HashMap<Vec<u8>, Vec<[u8; 16]>>,
    prefixes: HashMap<Vec<u8>, Vec<[u8; 16]>>,
    prefix_lengths: BTreeSet<usize>,
    subjects: HashMap<Vec<u8>, Vec<[u8; 16]>>,
    classes: HashMap<String, Vec<[u8; 16]>>,
    everything: Vec<[u8; 16]>,
}

impl HoldSet {
    /// Takes a hold in, or its new state.
    pub(crate) fn insert(&mut self, hold: Hold) {
        self.all.insert(hold.id, hold);
        self.standing = Standing::default();
        for hold in self.all.values().filter(|hold| hold.has_effect()) {
            self.standing.insert(hold);
        }
    }

    /// The hold of that name that stands.
    pub(crate) fn named(&self, name: &str) -> Option<&Hold> {
        self.all.values().find(|hold| hold.stands() && hold.terms.name == name)
    }

    pub(crate) fn get(&self, id: &[u8; 16]) -> Option<&Hold> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.all.values()
    }

    /// One that covers the object.
    pub(crate) fn covering(&self, object: Covered<'_>) -> Option<&Hold> {
        if self.all.is_empty() {
            return None;
        }
        let counts = |id: &&[u8; 16]| self.all.get(*id).is_some_and(|hold| hold.still_covers(object));
        self.all.get(self.standing.covering(object, &counts)?)
    }

    /// Whether another one than `than` covers the object, which no longer counts as kept.
    pub(crate) fn is_covered_by_another(&self, object: Covered<'_>, than: &[u8; 16]) -> bool {
        let object = Covered { parked: false, let_go: true, ..object };
        let counts =
            |id: &&[u8; 16]| *id != than && self.all.get(*id).is_some_and(|hold| hold.still_covers(object));
        self.standing.covering(object, &counts).is_some()
    }

    /// Whether any hold is on a class, which an object could leave.
    pub(crate) fn any_on_class(&self) -> bool {
        !self.standing.classes.is_empty()
    }

    /// The hold on its class that an object would leave by going to another, whatever covers it there: that may be lifted
    /// first.
    pub(crate) fn left_by(&self, row: &Row<'_>, from: &str, to: &str) -> Option<&Hold> {
        if !self.any_on_class() || from == to {
            return None;
        }
        let on_class = self.standing.classes.get(from)?.iter().filter_map(|id| self.all.get(id));
        on_class.into_iter().find(|hold| hold.still_covers(Covered::of(from, row)))
    }

    /// Until when what the lifted holds on an object had kept is left alone: the longest grace counts.
    pub(crate) fn grace_until_ms(&self, object: Covered<'_>) -> i64 {
        let covers = |hold: &&Hold| hold.terms.selector.covers(object.class, object.key, object.subject);
        let lifted = self.all.values().filter(covers).filter_map(|hold| hold.lifted.as_ref());
        lifted.map(|lifted| lifted.at_ms.saturating_add(lifted.grace_ms)).max().unwrap_or(i64::MIN)
    }

    /// Refuses what cannot be placed.
    pub(crate) fn check(&self, new: &NewHold) -> Result<()> {
        new.selector.check()?;
        for (what, text) in [("name", &new.name), ("reason", &new.reason), ("author", &new.author)] {
            check_text(what, text)?;
        }
        match self.named(&new.name) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!(
                "a hold named {:?} stands already; lift it, or give this one another name",
                new.name
            ))),
        }
    }
}

/// Refuses an empty or overlong text.
pub(crate) fn check_text(what: &str, text: &str) -> Result<()> {
    if (1..=TEXT_MAX_BYTES).contains(&text.trim().len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} of {} bytes; 1 to {TEXT_MAX_BYTES} are allowed", text.trim().len())))
}

/// That a hold stands in the way of `what`.
pub(crate) fn held(what: &str, hold: &Hold) -> Error {
    Error::new(
        ErrorKind::Held,
        format!("{what}: the legal hold {:?} covers it; lift it first", hold.terms.name),
    )
}

impl Standing {
    fn insert(&mut self, hold: &Hold) {
        let list = match &hold.terms.selector {
            Selector::Keys(keys) => {
                for key in keys {
                    self.keys.entry(key.clone()).or_default().push(hold.id);
                }
                return;
            }
            Selector::Prefix(prefix) => {
                self.prefix_lengths.insert(prefix.len());
                self.prefixes.entry(prefix.clone()).or_default()
            }
            Selector::Subject(subject) => self.subjects.entry(subject.clone()).or_default(),
            Selector::Class(class) => self.classes.entry(class.clone()).or_default(),
            Selector::Everything => &mut self.everything,
        };
        list.push(hold.id);
    }

    /// The first that covers the object and counts.
    fn covering(&self, object: Covered<'_>, counts: &dyn Fn(&&[u8; 16]) -> bool) -> Option<&[u8; 16]> {
        let Covered { class, key, subject, .. } = object;
        let lists =
            [Some(&self.everything), self.keys.get(key), self.subjects.get(subject), self.classes.get(class)];
        let prefixes = self
            .prefix_lengths
            .iter()
            .take_while(|length| **length <= key.len())
            .filter_map(|length| self.prefixes.get(&key[..*length]));
        lists.into_iter().flatten().chain(prefixes).flatten().find(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hold(number: u8, selector: Selector) -> Hold {
        let terms = NewHold {
            name: number.to_string(),
            selector,
            kind: HoldKind::Temporary,
            reason: "r".into(),
            author: "a".into(),
            review_ms: 0,
        };
        Hold { id: [number; 16], placed_ms: 0, terms, lifted: None }
    }

    fn selectors() -> impl Strategy<Value = Selector> {
        let short = || proptest::collection::vec(0_u8..3, 1..4);
        prop_oneof![
            proptest::collection::vec(short(), 1..3).prop_map(Selector::Keys),
            short().prop_map(Selector::Prefix),
            short().prop_map(Selector::Subject),
            prop_oneof![Just("a"), Just("b")].prop_map(|name| Selector::Class(name.into())),
        ]
    }

    proptest! {
        #[test]
        fn the_set_covers_exactly_what_one_of_its_standing_holds_covers(
            holds in proptest::collection::vec((selectors(), any::<bool>()), 0..6),
            key in proptest::collection::vec(0_u8..3, 1..5),
            subject in proptest::collection::vec(0_u8..3, 0..4),
        ) {
            let mut set = HoldSet::default();
            for (number, (selector, lifted)) in (0_u8..).zip(&holds) {
                let mut hold = hold(number, selector.clone());
                set.insert(hold.clone());
                if *lifted {
                    let (at_ms, grace_ms, done) = (0, 0, true);
                    hold.lifted = Some(Lifted { at_ms, reason: "r".into(), author: "a".into(), grace_ms, done });
                    set.insert(hold);
                }
            }
            for class in ["a", "c"] {
                let naive = holds.iter().any(|(s, lifted)| !lifted && s.covers(class, &key, &subject));
                let object = Covered {
                    class,
                    key: &key,
                    subject: &subject,
                    start_ms: 0,
                    ceiling_ms: 0,
                    parked: false,
                    let_go: false,
                };
                let found = set.covering(object);
                prop_assert_eq!(found.is_some(), naive);
                prop_assert!(found.is_none_or(|h| h.terms.selector.covers(class, &key, &subject)));
            }
        }
    }
}
