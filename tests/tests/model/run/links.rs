//! Comparison of the links of all rows with the model.

use super::Run;
use sexton::RegistrationId;
use sexton_proof::record::Cause;
use sexton_tests::simulation::links;
use std::collections::BTreeMap;

/// Links of all rows so far. A row is gone once its page settles, and no later row may name its sources.
#[derive(Default)]
pub(super) struct Seen {
    continued: BTreeMap<RegistrationId, RegistrationId>,
    replaced: BTreeMap<RegistrationId, RegistrationId>,
}

impl Run {
    /// Asserts that the rows of registrations as the host made them continue none and replace what the model says. Every
    /// other row continues one, no two rows name one source, and each live item has one row that has not moved.
    pub(super) fn compare_links(&mut self) {
        let rows = links(&self.machine);
        for (id, row) in &rows {
            match self.model.items.iter().find(|item| item.id == *id) {
                Some(item) => assert_eq!((row.continues, row.replaces), (None, item.replaces), "{item:?}"),
                None => {
                    let (cause, source) = row.continues.unwrap_or_else(|| panic!("{id} continues none"));
                    let known = self.links.continued.entry(source).or_insert(*id);
                    assert_eq!(known, id, "both continue {source}");
                    assert!(rows.get(&source).is_none_or(|row| row.is_moved), "{source} has not moved");
                    assert!(cause != Cause::Held || row.held > 0, "{id} is carried as held and not parked");
                }
            }
            if let Some(replaced) = row.replaces {
                let known = self.links.replaced.entry(replaced).or_insert(*id);
                assert_eq!(known, id, "both replace {replaced}");
            }
        }
        let live = self.model.items.iter().filter(|item| item.end.is_none());
        assert_eq!(rows.values().filter(|row| !row.is_moved).count(), live.clone().count(), "live rows");
        if !self.sweeps_in_parts {
            let parked = rows.values().filter(|row| row.held > 0 && !row.is_moved).count();
            assert_eq!(parked, live.filter(|item| item.is_parked).count(), "parked rows");
        }
    }
}
