//! Requests of operators, with an index of the erasures that wait.

use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::selector::Selector;
use crate::platform::error::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

/// All requests by their numbers.
#[derive(Default)]
pub(crate) struct Requests {
    all: BTreeMap<u32, Request>,
    /// Numbers of the erasures of a subject that have not found all their objects.
    waiting: HashMap<Vec<u8>, BTreeSet<u32>>,
}

impl Requests {
    /// Adds a request, or replaces it by its new state.
    pub(crate) fn insert(&mut self, number: u32, request: Request) {
        self.remove(&number);
        if let Some(subject) = waits_for(&request) {
            self.waiting.entry(subject.clone()).or_default().insert(number);
        }
        self.all.insert(number, request);
    }

    /// Removes a request.
    pub(crate) fn remove(&mut self, number: &u32) {
        let Some(removed) = self.all.remove(number) else { return };
        let Some(subject) = waits_for(&removed) else { return };
        if let Some(numbers) = self.waiting.get_mut(subject) {
            numbers.remove(number);
            if numbers.is_empty() {
                self.waiting.remove(subject);
            }
        }
    }

    /// Returns `true` if an erasure of a subject waits. Only such an erasure can lose an object that is registered again.
    pub(crate) fn any_to_lose(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Refuses to take an object out of an erasure that waits: from the subject `from` to another one. `what` names the
    /// failed call.
    pub(crate) fn check_subject(&self, what: &str, from: &[u8], to: &[u8]) -> Result<()> {
        if from == to {
            return Ok(());
        }
        match self.waiting.get(from).and_then(BTreeSet::first) {
            None => Ok(()),
            Some(number) => Err(Error::new(
                ErrorKind::Held,
                format!(
                    "{what}, and erasure {number} of its subject waits: give the same subject until the erasure has \
                     found its objects, or cancel it first"
                ),
            )),
        }
    }
}

impl Deref for Requests {
    type Target = BTreeMap<u32, Request>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

/// Returns the subject whose objects a request still waits to find.
fn waits_for(request: &Request) -> Option<&Vec<u8>> {
    match (&request.kind, request.state, &request.selector) {
        (RequestKind::Erase, RequestState::Waiting, Selector::Subject(subject)) => Some(subject),
        _ => None,
    }
}
