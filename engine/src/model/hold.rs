//! Legal holds as predicates on objects: the set of all holds, and the holds that cover an object. Pure.

use crate::model::class::floor_to_second;
use crate::model::hex_id::hex_id;
use crate::model::key_list::KeyList;
use crate::model::schema::Row;
use crate::model::selector::{Names, Selector};
use crate::model::span_ms;
use crate::model::text::{Attribution, check_text};
use crate::platform::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

hex_id! {
    /// Random id of a legal hold, which the hold's leaf in the log names.
    HoldId, "hold id"
}

/// Name of a legal hold: 1 to 1,000 bytes, white space around it not counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HoldName(String);

impl HoldName {
    /// Creates a name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the name is empty or too long.
    pub fn new(name: impl Into<String>) -> Result<HoldName> {
        let name = name.into();
        check_text("name", &name)?;
        Ok(HoldName(name))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for HoldName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        HoldName::new(name)
    }
}

impl TryFrom<String> for HoldName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        HoldName::new(name)
    }
}

impl From<HoldName> for String {
    fn from(name: HoldName) -> String {
        name.0
    }
}

/// Effect of a hold on the time of the objects that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HoldKind {
    /// Time goes on. When the hold is lifted, an object that is past its time is deleted after the grace.
    Temporary,
    /// Time starts again. When the hold is lifted, the promise counts from that instant.
    Event,
}

/// Legal hold to be placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewHold {
    /// Name by which the hold is lifted. No standing hold may have it.
    pub name: HoldName,
    /// Objects that the hold covers.
    pub selector: Selector,
    /// Effect on the time of the objects.
    pub kind: HoldKind,
    /// Person who places the hold, and the reason for it.
    #[serde(flatten)]
    pub attribution: Attribution,
    /// Instant at which the operator is to review the hold. The hold stands until it is lifted, also after this
    /// instant.
    #[serde(rename = "review_ms")]
    pub review: Timestamp,
}

impl NewHold {
    /// Creates the terms of a hold.
    #[must_use]
    pub fn new(
        name: HoldName,
        selector: Selector,
        kind: HoldKind,
        attribution: Attribution,
        review: Timestamp,
    ) -> Self {
        NewHold { name, selector, kind, attribution, review }
    }
}

/// End of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lifted {
    /// Instant at which the hold was lifted.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Person who lifted the hold, and the reason for it.
    #[serde(flatten)]
    pub attribution: Attribution,
    /// Grace: time until objects that fell due before the lift are deleted, unless a ceiling that is still to come is
    /// sooner; at most 3,660 days.
    #[serde(rename = "grace_ms", with = "span_ms")]
    pub grace: Duration,
    /// `true` once a sweep has found everything that the hold had kept.
    pub done: bool,
}

/// Legal hold, standing or lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// Random id, which the hold's leaf in the log names.
    pub id: HoldId,
    /// Instant at which the hold was placed.
    #[serde(rename = "placed_ms")]
    pub placed: Timestamp,
    /// Terms of the hold.
    #[serde(flatten)]
    pub terms: NewHold,
    /// End of the hold; `None` while it stands.
    pub lifted: Option<Lifted>,
}

impl Hold {
    /// Returns `true` if the hold was not lifted.
    pub fn stands(&self) -> bool {
        self.lifted.is_none()
    }

    /// Returns `true` if the hold still has an effect on the objects that it covers.
    ///
    /// A lifted hold still keeps what it had kept, or is to restart, until a sweep has found it. Otherwise an object could
    /// be deleted without its grace, or at its earlier time.
    fn has_effect(&self) -> bool {
        self.lifted.as_ref().is_none_or(|lifted| !lifted.done)
    }

    /// Returns `true` if the hold keeps an object that its selector covers.
    fn still_covers(&self, object: HoldFacts<'_>) -> bool {
        self.lifted.as_ref().is_none_or(|lifted| match self.terms.kind {
            _ if lifted.done => false,
            HoldKind::Temporary => object.parked || object.came_up_before(lifted.at),
            HoldKind::Event => object.parked || object.start < lifted.at,
        })
    }
}

/// Facts of an object by which a hold covers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldFacts<'a> {
    pub(crate) class: &'a str,
    pub(crate) names: Names<'a>,
    pub(crate) subject: &'a [u8],
    pub(crate) start: Timestamp,
    /// Slot that the object is in.
    pub(crate) slot: u64,
    /// `true` if a hold kept the object past its due slot and no lifted hold has released it since.
    pub(crate) parked: bool,
}

impl<'a> HoldFacts<'a> {
    /// Reads the facts from the row of an object in the class named `class` and in `slot`.
    pub(crate) fn of(class: &'a str, slot: u64, row: &Row<'a>) -> Self {
        let Row { subject, start, .. } = *row;
        HoldFacts { class, names: row.names(), subject, start, slot, parked: row.is_parked() }
    }

    /// Returns `true` if the object's slot had come when a hold on it was lifted at `lifted`.
    ///
    /// Such a hold kept the object even if no batch was planned meanwhile, because the engine was off or stopped. The sweep
    /// for the lifted hold moves the object to a later slot.
    pub(crate) fn came_up_before(&self, lifted: Timestamp) -> bool {
        self.slot < floor_to_second(lifted)
    }
}

/// Most keys of a list whose keys are indexed one by one. A longer list is shared and searched by itself: there are few of
/// them, and a copy of a million keys takes hundreds of megabytes.
const KEYS_COPIED_MAX: usize = 1_000;

/// All holds of an engine, standing and lifted.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldSet {
    all: BTreeMap<HoldId, Hold>,
    standing: Standing,
}

/// Ids of the holds that have an effect, indexed by what their selectors name.
#[derive(Clone, Debug, Default)]
struct Standing {
    keys: HashMap<Vec<u8>, Vec<HoldId>>,
    /// Lists of more than [`KEYS_COPIED_MAX`] keys.
    lists: Vec<(HoldId, KeyList)>,
    prefixes: HashMap<Vec<u8>, Vec<HoldId>>,
    prefix_lengths: BTreeSet<usize>,
    subjects: HashMap<Vec<u8>, Vec<HoldId>>,
    classes: HashMap<String, Vec<HoldId>>,
    everything: Vec<HoldId>,
}

impl HoldSet {
    /// Adds a hold, or replaces it by its new state.
    pub(crate) fn insert(&mut self, hold: Hold) {
        self.all.insert(hold.id, hold);
        self.standing = Standing::default();
        for hold in self.all.values().filter(|hold| hold.has_effect()) {
            self.standing.insert(hold);
        }
    }

    /// Returns the standing hold of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Hold> {
        self.all.values().find(|hold| hold.stands() && hold.terms.name.as_str() == name)
    }

    /// Returns the hold with this id.
    pub(crate) fn get(&self, id: &HoldId) -> Option<&Hold> {
        self.all.get(id)
    }

    /// Returns all holds, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.all.values()
    }

    /// Returns a hold that covers the object.
    pub(crate) fn covering(&self, object: HoldFacts<'_>) -> Option<&Hold> {
        if self.all.is_empty() {
            return None;
        }
        let counts = |id: &&HoldId| self.all.get(*id).is_some_and(|hold| hold.still_covers(object));
        self.all.get(self.standing.covering(object, &counts)?)
    }

    /// Returns `true` if another hold covers the object after the hold `released` has released it.
    pub(crate) fn is_covered_by_another(&self, object: HoldFacts<'_>, released: &HoldId) -> bool {
        let object = HoldFacts { parked: false, slot: u64::MAX, ..object };
        let counts =
            |id: &&HoldId| *id != released && self.all.get(*id).is_some_and(|hold| hold.still_covers(object));
        self.standing.covering(object, &counts).is_some()
    }

    /// Returns `true` if the selector of a hold names objects. Only such a hold can lose an object that is registered
    /// again, renamed, or put into another class.
    pub(crate) fn any_to_lose(&self) -> bool {
        let Standing { keys, lists, prefixes, subjects, classes, .. } = &self.standing;
        let on_keys = !(keys.is_empty() && lists.is_empty() && prefixes.is_empty());
        on_keys || !(subjects.is_empty() && classes.is_empty())
    }

    /// Returns a hold on an object that would no longer cover it in the class `class`, with the subject `subject`, and
    /// under `names`.
    ///
    /// Another hold that covers the object then does not count, because it may be lifted first.
    pub(crate) fn lost_by_move(
        &self,
        object: HoldFacts<'_>,
        class: &str,
        names: Names<'_>,
        subject: &[u8],
    ) -> Option<&Hold> {
        let on_class = self.standing.classes.get(object.class).filter(|_| object.class != class);
        let on_subject = self.standing.subjects.get(object.subject).filter(|_| object.subject != subject);
        let on_names = (object.names != names).then(|| self.standing.on_names(object.names));
        let on_all = on_class.into_iter().chain(on_subject).flatten().chain(on_names.into_iter().flatten());
        let holds = on_all.filter_map(|id| self.all.get(id));
        holds
            .into_iter()
            .find(|hold| hold.still_covers(object) && !hold.terms.selector.covers(class, names, subject))
    }

    /// Returns the lifts of holds on the object of a row that came after `instant`.
    pub(crate) fn lifts_after(
        &self,
        instant: Timestamp,
        class: &str,
        row: &Row<'_>,
    ) -> impl Iterator<Item = &Lifted> {
        self.all.values().filter_map(move |hold| {
            let lifted = hold.lifted.as_ref().filter(|lifted| lifted.at > instant)?;
            hold.terms.selector.covers(class, row.names(), row.subject).then_some(lifted)
        })
    }

    /// Returns `true` if a lifted hold whose objects were found gives a grace that lasts at `now`.
    pub(crate) fn any_in_grace(&self, now: Timestamp) -> bool {
        let mut lifted = self.all.values().filter_map(|hold| hold.lifted.as_ref());
        lifted.any(|lifted| lifted.done && lifted.at.saturating_add(lifted.grace) > now)
    }

    /// Refuses a hold that cannot be placed: with an invalid selector or text, or the name of a standing hold.
    pub(crate) fn check(&self, new: &NewHold) -> Result<()> {
        new.selector.check()?;
        new.attribution.check()?;
        match self.named(new.name.as_str()) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!(
                "a hold named {:?} stands already; lift it, or give this one another name",
                new.name.as_str()
            ))),
        }
    }
}

/// Creates the error that `hold` forbids a call; `what` names the failed call.
pub(crate) fn held(what: &str, hold: &Hold) -> Error {
    Error::new(
        ErrorKind::Held,
        format!("{what}: the legal hold {:?} covers it; lift it first", hold.terms.name.as_str()),
    )
}

impl Standing {
    fn insert(&mut self, hold: &Hold) {
        let list = match &hold.terms.selector {
            Selector::Keys(keys) if keys.len() > KEYS_COPIED_MAX => {
                return self.lists.push((hold.id, keys.clone()));
            }
            Selector::Keys(keys) => {
                for key in keys.iter() {
                    self.keys.entry(key.to_vec()).or_default().push(hold.id);
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

    /// Returns the first hold whose selector covers the object and for which `counts` returns `true`.
    fn covering(&self, object: HoldFacts<'_>, counts: &dyn Fn(&&HoldId) -> bool) -> Option<&HoldId> {
        let HoldFacts { class, names, subject, .. } = object;
        let lists = [Some(&self.everything), self.subjects.get(subject), self.classes.get(class)];
        lists.into_iter().flatten().flatten().chain(self.on_names(names)).find(counts)
    }

    /// Iterates over the holds whose selectors name one of the keys. A hold that names both may come twice.
    fn on_names<'s, 'n>(&'s self, names: Names<'n>) -> impl Iterator<Item = &'s HoldId> + use<'s, 'n> {
        names.iter().flat_map(move |name| {
            let prefixes = self
                .prefix_lengths
                .iter()
                .take_while(move |length| **length <= name.len())
                .filter_map(move |length| self.prefixes.get(&name[..*length]));
            let long = self.lists.iter().filter(move |(_, keys)| keys.contains(name)).map(|(id, _)| id);
            self.keys.get(name).into_iter().chain(prefixes).flatten().chain(long)
        })
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
