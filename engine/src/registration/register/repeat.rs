//! Registrations of keys that are registered already: repeated calls, and the holds and erasures that such a call must not
//! leave.

use super::types::{Identity, RegisterCall, Registration};
use crate::model::class::Class;
use crate::model::hold::{self, HoldFacts};
use crate::model::schema::{Flags, Links, Row};
use crate::model::selector::Names;
use crate::platform::error::{Error, Result};
use crate::state::core::Core;
use crate::state::locator::Candidates;
use crate::state::shard::Shard;
use sexton_proof::id::ClassId;
use sexton_proof::leaf::Find;
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

/// Live registration of a key that is registered again.
pub(super) struct Earlier<'a> {
    /// Class version that it is in.
    pub(super) class: ClassId,
    /// Slot that it is in.
    pub(super) slot: u64,
    pub(super) row: Row<'a>,
}

/// Registration of a key as an earlier member of the same call leaves it.
pub(super) enum InCall {
    /// The member at this index registers the key. Its row has these links.
    Registered(usize, Links),
    /// The key keeps the registration that it had, in this slot and with the row in these bytes.
    Kept { class: ClassId, slot: u64, row: Vec<u8> },
}

impl InCall {
    /// Returns the registration.
    pub(super) fn earlier<'a>(&'a self, call: &RegisterCall<'_, 'a>) -> Result<Earlier<'a>> {
        match self {
            InCall::Registered(index, links) => {
                let validated = &call.validated[*index];
                let row = Row { links: *links, ..validated.row(&call.registrations[*index]) };
                Ok(Earlier { class: validated.class.id, slot: validated.slot, row })
            }
            InCall::Kept { class, slot, row } => {
                Ok(Earlier { class: *class, slot: *slot, row: Row::decode(row)? })
            }
        }
    }
}

impl<'a> Earlier<'a> {
    /// Checks a registration of the same key against holds and erasures. Returns the registration as the call leaves it, if
    /// it stays.
    fn check(
        &self,
        core: &Core,
        call: &RegisterCall<'_, '_>,
        registration: &Registration<'_>,
        by_key: bool,
    ) -> Result<Checked> {
        let is_repeated = by_key && self.is_repeated_by(core, registration)?;
        let is_kept = call.mode.only_missing && by_key && !self.row.flags.has(Flags::RELEASED);
        if !is_repeated && is_kept {
            return Ok(Checked::Kept);
        }
        let class = core.classes.get(self.class)?;
        let (to, names, subject) = match is_repeated {
            true => (class.definition.name.as_str(), self.row.names(), self.subject_after(registration)),
            false => (registration.class, Names::one(registration.key), registration.subject),
        };
        if self.may_be_same(registration.version) {
            self.check_holds(core, &class, (to, names, subject))?;
            if by_key {
                let requests = core.governance.requests.lock();
                requests.check_subject("the object is registered", self.row.subject, subject)?;
            }
        }
        if !is_repeated {
            return Ok(Checked::Replaced);
        }
        Ok(Checked::Repeated(InCall::Kept {
            class: self.class,
            slot: self.slot,
            row: Row { subject, ..self.row }.encode(),
        }))
    }

    /// Returns `true` if `registration` repeats the call that made this one, so that a host may repeat a call whose answer
    /// it did not get.
    ///
    /// Decisions and statements that were made since then do not count: another class, a corrected start, other content, a
    /// lifted hold. Without a version, a repeated call looks like an overwritten object. An overwritten object must not be
    /// deleted at its predecessor's time.
    pub(super) fn is_repeated_by(&self, core: &Core, registration: &Registration<'_>) -> Result<bool> {
        let origin = self.row.origin(self.class);
        let is_same_start = |start: Timestamp| start == origin.start;
        Ok(!self.row.flags.has(Flags::RELEASED)
            && !registration.version.is_empty()
            && self.row.has_version(self.class, registration.version)
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

    /// Returns `true` if a registration of `version` may be of this very object. Without a version on both sides, another
    /// object under the same key looks identical.
    fn may_be_same(&self, version: &[u8]) -> bool {
        let is_unknown = version.is_empty() || self.row.version.is_empty();
        !self.row.flags.has(Flags::RELEASED) && (is_unknown || self.row.has_version(self.class, version))
    }

    /// Refuses to take the object out of a hold: into a class, to names or to a subject without it.
    fn check_holds(
        &self,
        core: &Core,
        class: &Class,
        (to, names, subject): (&str, Names<'_>, &[u8]),
    ) -> Result<()> {
        let holds = core.governance.holds.read();
        let facts = HoldFacts::of(&class.definition.name, self.slot, &self.row);
        match holds.lost_by_move(facts, to, names, subject) {
            Some(hold) => Err(hold::held("the object is registered", hold)),
            None => Ok(()),
        }
    }
}

/// Result of the check of one registration whose key is registered.
enum Checked {
    /// The call leaves the key alone.
    Kept,
    /// It repeats the earlier registration, which stays like this.
    Repeated(InCall),
    /// It takes the place of the earlier registration.
    Replaced,
}

/// Returns `true` if a hold or an erasure can lose an object that is registered again.
pub(super) fn any_to_lose(core: &Core) -> bool {
    core.governance.requests.lock().any_to_lose() || core.governance.holds.read().any_to_lose()
}

/// Refuses the call if one of its registrations would take an object out of a hold or of a waiting erasure. The caller holds
/// the shard's lock.
///
/// A class that does not find by key counts as well: the object of a key is the same, whatever class names it.
pub(super) fn check_decisions(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
    candidates: &Candidates,
) -> Result<()> {
    if !any_to_lose(core) {
        return Ok(());
    }
    let mut staged: BTreeMap<Identity<'_>, InCall> = BTreeMap::new();
    for &index in members {
        let (registration, validated) = (&call.registrations[index], &call.validated[index]);
        let (by_key, identity) = (validated.class.finds_by_key(), call.identity(index));
        let by_version = validated.class.finds_by_version();
        let check = |earlier: &Earlier<'_>| earlier.check(core, call, registration, by_key);
        let mut checked = None;
        // A class that does not find by key may name any version of the key.
        let of_key = staged.range((registration.key, &[][..])..);
        for (found, in_call) in of_key.take_while(|((key, _), _)| *key == registration.key) {
            if !by_version || *found == identity {
                checked = Some(check(&in_call.earlier(call)?)?);
            }
        }
        candidates.each_of_key(core, shard, &validated.fingerprint, registration.key, |id, row| {
            let of_version = core.classes.get(id.page.class)?.finds_by_version();
            let found = (registration.key, if of_version { row.version } else { &[] });
            // The call leaves it behind.
            if !staged.contains_key(&found) && (!by_version || row.version == registration.version) {
                checked = Some(check(&Earlier { class: id.page.class, slot: id.page.slot, row: *row })?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match checked {
            Some(Checked::Kept) => {}
            Some(Checked::Repeated(kept)) => _ = staged.insert(identity, kept),
            Some(Checked::Replaced) | None if by_key => {
                _ = staged.insert(identity, InCall::Registered(index, Links::NONE));
            }
            Some(Checked::Replaced) | None => {}
        }
    }
    Ok(())
}

/// Returns `true` if there are classes that find by key alone, and classes that find by version.
pub(super) fn finds_differ(core: &Core) -> bool {
    let classes = core.classes.read();
    let has = |find: Find| classes.iter().any(|class| class.definition.find == find);
    has(Find::Key) && has(Find::Version)
}

/// Refuses the call if a key would be found by key alone and by version at the same time: the two could not tell if they have
/// the same object. The caller holds the shard's lock.
pub(super) fn check_finds(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
    candidates: &Candidates,
) -> Result<()> {
    if !finds_differ(core) {
        return Ok(());
    }
    let mut in_call: HashMap<&[u8], &Class> = HashMap::new();
    for &index in members {
        let (key, validated) = (call.registrations[index].key, &call.validated[index]);
        let class = validated.class;
        if !class.finds_by_key() {
            continue;
        }
        check_alike(in_call.entry(key).or_insert(class), class)?;
        // All live registrations of a key are alike, so one shows them all.
        let live = candidates
            .live(core, shard, &validated.fingerprint, key, |id, _| core.classes.get(id.page.class))?;
        if let Some(there) = live {
            check_alike(&there, class)?;
        }
    }
    Ok(())
}

fn check_alike(there: &Class, class: &Class) -> Result<()> {
    let (there, here) = (&there.definition, &class.definition);
    if there.find == here.find {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the key is live in class \"{}\" with find = \"{}\", and class \"{}\" has find = \"{}\"; register it in a class with the \
         same find, or once it has ended",
        there.name,
        there.find.name(),
        here.name,
        here.find.name()
    )))
}
