//! Outlook: the earliest objects of a plan in the order of time, and counts of all its objects.

use sexton::proof::record::Reason;
use sexton::report::{Action, PlannedObject};
use sexton::{Engine, RegistrationId, Result, Timestamp, json};
use std::collections::{BTreeMap, BinaryHeap};

/// Objects that fall due up to an instant.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outlook {
    /// Earliest objects, in the order of time.
    pub first: Vec<PlannedObject>,
    /// Counts of all objects, by class and action.
    pub groups: BTreeMap<(String, String), Group>,
    /// Number of objects that an alarm stops.
    pub stopped: u64,
    /// Position of the last of `first`, if there are more objects.
    pub next: Option<Position>,
}

/// Objects of one class with the same action.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Group {
    /// Number of the objects.
    pub objects: u64,
    /// Number of these objects that will end after their ceiling, and that no lifted hold had kept.
    pub late: u64,
    /// Instant at which the first one comes up.
    pub first: Timestamp,
    /// Instant at which the last one comes up.
    pub last: Timestamp,
}

/// Position of an object in the order of an outlook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Instant at which it comes up.
    pub at: Timestamp,
    /// Name of its class.
    pub class: String,
    /// Key of the object.
    pub key: Vec<u8>,
    /// Its registration.
    pub id: RegistrationId,
}

impl Position {
    fn of(object: &PlannedObject) -> Self {
        Position { at: object.at, class: object.class.clone(), key: object.key.clone(), id: object.id }
    }

    fn order(&self) -> Order<'_> {
        (self.at, &self.class, &self.key, self.id)
    }
}

type Order<'a> = (Timestamp, &'a str, &'a [u8], RegistrationId);

/// Object of the plan, ordered by time.
struct ByTime(PlannedObject);

impl ByTime {
    fn order(&self) -> Order<'_> {
        (self.0.at, &self.0.class, &self.0.key, self.0.id)
    }
}

impl Ord for ByTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for ByTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByTime {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for ByTime {}

impl Outlook {
    /// Returns the outlook up to `until`, with the `limit` earliest objects after a position. Memory grows with the limit
    /// only. The counts are those of all objects.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn of(engine: &Engine, until: Timestamp, after: Option<&Position>, limit: usize) -> Result<Outlook> {
        let now = engine.now();
        let mut outlook = Outlook { first: Vec::new(), groups: BTreeMap::new(), stopped: 0, next: None };
        let mut first: BinaryHeap<ByTime> = BinaryHeap::new();
        let mut has_more = false;
        for object in engine.plan(until)? {
            let object = object?;
            outlook.count(&object, now);
            let object = ByTime(object);
            if after.is_some_and(|after| object.order() <= after.order()) {
                continue;
            }
            first.push(object);
            if first.len() > limit {
                first.pop();
                has_more = true;
            }
        }
        outlook.first = first.into_sorted_vec().into_iter().map(|by_time| by_time.0).collect();
        outlook.next = outlook.first.last().filter(|_| has_more).map(Position::of);
        Ok(outlook)
    }

    fn count(&mut self, object: &PlannedObject, now: Timestamp) {
        let at = object.at;
        self.stopped += u64::from(matches!(object.action, Action::Stopped(_)));
        let group = self.groups.entry((object.class.clone(), action(&object.action)));
        let group = group.or_insert(Group { objects: 0, late: 0, first: at, last: at });
        group.objects += 1;
        group.late += u64::from(is_late(object, now));
        group.first = group.first.min(at);
        group.last = group.last.max(at);
    }

    /// Returns the number of all objects.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.groups.values().map(|group| group.objects).sum()
    }
}

/// Returns `true` if the object will be deleted after its ceiling, and no lifted hold had kept it.
fn is_late(object: &PlannedObject, now: Timestamp) -> bool {
    matches!(object.action, Action::Delete | Action::Anonymise)
        && object.reason != Reason::Lifted
        && object.ceiling.is_some_and(|ceiling| ceiling < object.at.max(now))
}

/// Returns an action in words.
#[must_use]
pub fn action(action: &Action) -> String {
    match action {
        Action::Delete => "delete".into(),
        Action::Anonymise => "anonymise".into(),
        Action::EndReplaced => "end, replaced".into(),
        Action::EndReleased => "end, released".into(),
        Action::Hold(name) => format!("keep, hold {:?}", name.as_str()),
        Action::WaitForFloor => "wait for the floor".into(),
        Action::Stopped(cause) => format!("stopped, alarm: {}", json::cause(cause)),
        // A later version of the engine may add actions.
        other => json::action(other).into(),
    }
}
