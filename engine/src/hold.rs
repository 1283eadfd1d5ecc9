//! Legal holds as predicates on objects: which of them stand, and which cover an object. Pure.

use crate::error::{Error, ErrorKind, Result};
use crate::selector::Selector;
use serde::{Deserialize, Serialize};
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
    /// Whether everything that it had kept back was found again. Until then it still covers the rest.
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

/// The holds of an engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldSet {
    all: BTreeMap<[u8; 16], Hold>,
    standing: Standing,
}

/// Those that stand, by what they are found by.
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
        for hold in self.all.values().filter(|hold| hold.lifted.as_ref().is_none_or(|lifted| !lifted.done)) {
            self.standing.insert(hold);
        }
    }

    /// The hold of that name that stands.
    pub(crate) fn named(&self, name: &str) -> Option<&Hold> {
        self.all.values().find(|hold| hold.lifted.is_none() && hold.terms.name == name)
    }

    pub(crate) fn get(&self, id: &[u8; 16]) -> Option<&Hold> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.all.values()
    }

    /// One that covers the object. `let_go`: the object was found again when a hold was lifted, so only those that
    /// still stand count.
    pub(crate) fn covering(&self, class: &str, key: &[u8], subject: &[u8], let_go: bool) -> Option<&Hold> {
        self.covering_where(class, key, subject, &|hold| !let_go || hold.lifted.is_none())
    }

    /// One that covers the object, of those that count.
    pub(crate) fn covering_where(
        &self,
        class: &str,
        key: &[u8],
        subject: &[u8],
        counts: &dyn Fn(&Hold) -> bool,
    ) -> Option<&Hold> {
        let counts = |id: &&[u8; 16]| self.all.get(*id).is_some_and(counts);
        self.all.get(self.standing.covering(class, key, subject, &counts)?)
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
    fn covering(
        &self,
        class: &str,
        key: &[u8],
        subject: &[u8],
        counts: &dyn Fn(&&[u8; 16]) -> bool,
    ) -> Option<&[u8; 16]> {
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
                let found = set.covering(class, &key, &subject, false);
                prop_assert_eq!(found.is_some(), naive);
                prop_assert!(found.is_none_or(|h| h.terms.selector.covers(class, &key, &subject)));
            }
        }
    }
}
