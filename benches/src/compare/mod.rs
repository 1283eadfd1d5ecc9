//! The comparisons, in groups: each group says what it compares, and measures whom that needs.

mod enforced;
mod files;
pub mod growth;
mod lateness;
mod objects;
mod proofs;
mod structures;
mod traces;

use crate::Result;
use crate::bout::{Comparison, Pairing, Setup, say};

/// Which comparisons to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Ourselves beside ceilings and sketches on the same libraries: needs nothing installed.
    Ours,
    /// Ourselves beside what others wrote.
    Peers,
    /// Ourselves at a million, ten and a hundred million objects.
    Scale,
}

impl Set {
    /// Its name, which its files have too.
    pub fn name(self) -> &'static str {
        match self {
            Set::Ours => "ours",
            Set::Peers => "peers",
            Set::Scale => "scale",
        }
    }

    fn groups(self) -> &'static [Group] {
        match self {
            Set::Ours => &[
                objects::FULL,
                objects::THOUSAND,
                objects::TEN,
                objects::SPREAD,
                objects::AGAIN,
                objects::AGAIN_MANY,
                proofs::HASHING,
                proofs::VERIFYING,
                proofs::MAKING,
                lateness::GROUP,
                traces::GROUP,
            ],
            Set::Peers => &[enforced::GROUP, files::GROUP, structures::WHEEL, structures::LOG],
            Set::Scale => &[growth::GROUP],
        }
    }
}

/// Comparisons whose contestants are measured in turn.
struct Group {
    /// What it compares.
    pairings: fn() -> Vec<Pairing>,
    /// Measures those that are wanted.
    play: fn(&Setup, &[Pairing]) -> Result<Vec<Comparison>>,
}

/// Runs the comparisons of a set that are wanted.
pub fn run(setup: &Setup, set: Set) -> Vec<Comparison> {
    let mut results = Vec::new();
    for group in set.groups() {
        let pairings = setup.wanted((group.pairings)());
        let Some(first) = pairings.first() else { continue };
        say(&format!("{} …", first.name));
        match (group.play)(setup, &pairings) {
            Ok(compared) => results.extend(compared),
            Err(error) => {
                let failed = |pairing| Comparison::not_run(pairing, error.to_string(), true);
                results.extend(pairings.iter().map(failed));
            }
        }
    }
    results
}

/// All comparisons of a set.
pub fn pairings(set: Set) -> Vec<Pairing> {
    set.groups().iter().flat_map(|group| (group.pairings)()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_given_once() {
        let all = [Set::Ours, Set::Peers, Set::Scale].into_iter().flat_map(pairings).map(|one| one.name);
        let all: Vec<String> = all.collect();
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|name| name.contains('/')));
    }
}
