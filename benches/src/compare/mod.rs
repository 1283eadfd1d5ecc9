//! Comparisons, in groups. A group lists its comparisons and measures the contestants that they need.

mod databases;
mod erasing;
mod files;
pub mod growth;
mod lateness;
mod objects;
mod proofs;
mod residue;
mod service;
mod structures;

use crate::Result;
use crate::comparison::{Comparison, ComparisonResult};
use crate::contest::{Setup, print_progress};

/// Set of comparisons that run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Engine beside the baseline and naive layouts, which need no other software.
    Ours,
    /// Engine beside software of others.
    Peers,
    /// Engine with 1, 10 and 100 million live objects.
    Scale,
}

impl Set {
    /// Name of the set and of its report files.
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
                erasing::GROUP,
                proofs::HASHING,
                proofs::VERIFYING,
                proofs::MAKING,
                lateness::GROUP,
                residue::GROUP,
                service::GROUP,
            ],
            Set::Peers => &[databases::GROUP, files::GROUP, structures::WHEEL, structures::LOG],
            Set::Scale => &[growth::GROUP],
        }
    }
}

/// Comparisons whose contestants are measured in turn.
struct Group {
    /// All comparisons of the group.
    comparisons: fn() -> Vec<Comparison>,
    /// Measures the selected ones.
    run: fn(&Setup, &[Comparison]) -> Result<Vec<ComparisonResult>>,
}

/// Runs the selected comparisons of a set. A group that fails does not stop the others.
pub fn run(setup: &Setup, set: Set) -> Vec<ComparisonResult> {
    let mut results = Vec::new();
    for group in set.groups() {
        let comparisons = setup.selected((group.comparisons)());
        let Some(first) = comparisons.first() else { continue };
        print_progress(&format!("{} …", first.name));
        match (group.run)(setup, &comparisons) {
            Ok(compared) => results.extend(compared),
            Err(error) => {
                let failed = |comparison| ComparisonResult::failed(comparison, error.to_string());
                results.extend(comparisons.iter().map(failed));
            }
        }
    }
    results
}

/// All comparisons of a set.
pub fn comparisons(set: Set) -> Vec<Comparison> {
    set.groups().iter().flat_map(|group| (group.comparisons)()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn comparison_names_are_unique_and_have_a_group() {
        let all = [Set::Ours, Set::Peers, Set::Scale].into_iter().flat_map(comparisons);
        let all: Vec<String> = all.map(|comparison| comparison.name).collect();
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|name| name.contains('/')));
    }
}
