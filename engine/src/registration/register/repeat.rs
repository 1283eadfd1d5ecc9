//! Registrations of keys that are registered already: repeated calls, and the holds that such a call must not leave.

use super::types::{RegisterCall, Registration};
use crate::model::hold::{self, HoldFacts};
use crate::model::schema::{Flags, Row};
use crate::platform::error::Result;
use crate::state::core::Core;
use crate::state::locator::Candidates;
use crate::state::shard::Shard;
use sexton_proof::id::ClassId;
use sexton_proof::time::Timestamp;
use std::collections::HashMap;

/// Live registration of a key that is registered again.
pub(super) struct Earlier<'a> {
    /// Class version that it is in.
    pub(super) class: ClassId,
    pub(super) row: Row<'a>,
}

impl<'a> Earlier<'a> {
    /// Returns the registration at `index` of a call, as it is staged.
    pub(super) fn of_call(call: &RegisterCall<'_, 'a>, index: usize) -> Earlier<'a> {
        let validated = &call.validated[index];
        Earlier { class: validated.class.id, row: validated.row(&call.registrations[index]) }
    }

    /// Returns `true` if `registration` repeats the call that made this one, so that a host may repeat a call whose answer
    /// it did not get.
    ///
    /// Decisions that were made since then do not count: another class, a corrected start, a lifted hold. Without a version,
    /// a repeated call looks like an overwritten object. An overwritten object must not be deleted at its predecessor's
    /// time.
    pub(super) fn is_repeated_by(&self, core: &Core, registration: &Registration<'_>) -> Result<bool> {
        let origin = self.row.origin(self.class);
        let is_same_start = |start: Timestamp| start == origin.start;
        Ok(!self.row.flags.has(Flags::RELEASED)
            && !registration.version.is_empty()
            && self.row.version == registration.version
            && registration.start.is_none_or(is_same_start)
            && core.classes.get(origin.class)?.definition.name == registration.class)
    }

    /// Returns the subject that the registration has after a repeated call. A call that states none leaves it as it is.
    pub(super) fn subject_after<'s>(&self, registration: &Registration<'s>) -> &'s [u8]
    where
        'a: 's,
    {
        if registration.subject.is_empty() { self.row.subject } else { registration.subject }
    }

    /// Refuses a registration that would take the object out of a hold: into a class or to a subject without it.
    fn check_holds(&self, core: &Core, registration: &Registration<'_>) -> Result<()> {
        // Without a version on both sides, another object under the same key looks identical. The hold then applies.
        let versions = [self.row.version, registration.version];
        let may_be_same = versions.iter().any(|version| version.is_empty()) || versions[0] == versions[1];
        if self.row.flags.has(Flags::RELEASED) || !may_be_same {
            return Ok(());
        }
        let class = core.classes.get(self.class)?;
        let from = &class.definition.name;
        let (to, subject) = match self.is_repeated_by(core, registration)? {
            true => (from.as_str(), self.subject_after(registration)),
            false => (registration.class, registration.subject),
        };
        let holds = core.governance.holds.read();
        match holds.lost_by_move(HoldFacts::of(from, &self.row), to, subject) {
            Some(hold) => Err(hold::held("the object is registered", hold)),
            None => Ok(()),
        }
    }
}

/// Refuses the call if one of its registrations would take an object out of a hold. The caller holds the shard's lock.
///
/// A class that does not find by key counts as well: the object of a key is the same, whatever class names it.
pub(super) fn check_holds(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
    candidates: &Candidates,
) -> Result<()> {
    if !core.governance.holds.read().any_to_lose() {
        return Ok(());
    }
    let mut staged: HashMap<&[u8], usize> = HashMap::new();
    for &index in members {
        let (registration, validated) = (&call.registrations[index], &call.validated[index]);
        let by_key = validated.class.finds_by_key();
        let is_kept = call.mode.only_missing && by_key;
        if let Some(&first) = staged.get(registration.key) {
            if is_kept {
                continue;
            }
            Earlier::of_call(call, first).check_holds(core, registration)?;
        } else {
            let key = registration.key;
            let checked = candidates.live(core, shard, &validated.fingerprint, key, |id, row| {
                let earlier = Earlier { class: id.page.class, row: *row };
                if is_kept { Ok(()) } else { earlier.check_holds(core, registration) }
            })?;
            if is_kept && checked.is_some() {
                continue;
            }
        }
        if by_key {
            staged.insert(registration.key, index);
        }
    }
    Ok(())
}
