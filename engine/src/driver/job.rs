//! Jobs: queued calls that own their arguments, to be applied later in another thread.

use crate::engine::Engine;
use crate::platform::error::Result;
use crate::registration::change::{Change, Changed, Which};
use crate::registration::register::{Durability, RegisterOptions, Registered, Registration};
use sexton_proof::id::RegistrationId;
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Answers of a submission, in the order of its registrations or changes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answers {
    /// Answers to registrations.
    Registered(Vec<Registered>),
    /// Answers to changes.
    Changed(Vec<Result<Changed>>),
}

/// Call to be applied.
#[derive(Debug)]
pub(crate) struct Job(Arguments);

#[derive(Debug)]
enum Arguments {
    Register { registrations: OwnedRegistrations, options: RegisterOptions },
    Change(Vec<OwnedChange>),
}

impl Job {
    /// Copies the arguments of a registration.
    pub(crate) fn register(registrations: &[Registration<'_>], options: RegisterOptions) -> Self {
        let registrations = OwnedRegistrations::new(registrations);
        Job(Arguments::Register { registrations, options: options.buffered() })
    }

    /// Copies the arguments of a change.
    pub(crate) fn change(changes: &[Change<'_>]) -> Self {
        Job(Arguments::Change(changes.iter().map(OwnedChange::new).collect()))
    }

    /// Applies the call without an fsync, which the caller does for many jobs at once.
    pub(crate) fn apply(&self, engine: &Engine) -> Result<Answers> {
        match &self.0 {
            Arguments::Register { registrations, options } => {
                engine.register(&registrations.borrowed(), *options).map(Answers::Registered)
            }
            Arguments::Change(changes) => {
                let changes: Vec<Change<'_>> = changes.iter().map(OwnedChange::borrowed).collect();
                engine.change(&changes, Durability::Buffered).map(Answers::Changed)
            }
        }
    }
}

/// Registrations that own their bytes.
#[derive(Debug)]
struct OwnedRegistrations {
    /// Key, version, digest and subject of all registrations, one after the other.
    bytes: Vec<u8>,
    registrations: Vec<OwnedRegistration>,
}

#[derive(Debug)]
struct OwnedRegistration {
    class: Arc<str>,
    /// Ends of key, version, digest and subject in the bytes.
    ends: [usize; 4],
    start: Option<Timestamp>,
    size: Option<u64>,
}

impl OwnedRegistrations {
    fn new(registrations: &[Registration<'_>]) -> Self {
        let mut bytes = Vec::new();
        let mut owned: Vec<OwnedRegistration> = Vec::with_capacity(registrations.len());
        for registration in registrations {
            // Adjacent registrations mostly have the same class, so they share its name.
            let class = match owned.last() {
                Some(last) if *last.class == *registration.class => Arc::clone(&last.class),
                _ => Arc::from(registration.class),
            };
            let Registration { key, version, digest, subject, .. } = *registration;
            let ends = [key, version, digest, subject].map(|part| {
                bytes.extend_from_slice(part);
                bytes.len()
            });
            let (start, size) = (registration.start, registration.size);
            owned.push(OwnedRegistration { class, ends, start, size });
        }
        OwnedRegistrations { bytes, registrations: owned }
    }

    fn borrowed(&self) -> Vec<Registration<'_>> {
        let mut from = 0;
        let mut registrations = Vec::with_capacity(self.registrations.len());
        for owned in &self.registrations {
            let [key, version, digest, subject] =
                owned.ends.map(|end| &self.bytes[std::mem::replace(&mut from, end)..end]);
            let OwnedRegistration { ref class, start, size, .. } = *owned;
            registrations.push(Registration { key, class, version, start, digest, size, subject });
        }
        registrations
    }
}

/// Change that owns its bytes.
#[derive(Debug)]
enum OwnedChange {
    Start { of: OwnedWhich, start: Timestamp },
    Reschedule { of: OwnedWhich, class: Option<String>, start: Option<Timestamp> },
    Content { of: OwnedWhich, version: Vec<u8>, size: Option<u64>, start: Option<Timestamp> },
    Rename { of: OwnedWhich, to: Vec<u8> },
    Release { of: OwnedWhich },
}

#[derive(Debug)]
enum OwnedWhich {
    Key(Vec<u8>),
    Version { key: Vec<u8>, version: Vec<u8> },
    Id(RegistrationId),
}

impl OwnedWhich {
    fn new(of: Which<'_>) -> Self {
        match of {
            Which::Key(key) => OwnedWhich::Key(key.to_vec()),
            Which::Version { key, version } => {
                OwnedWhich::Version { key: key.to_vec(), version: version.to_vec() }
            }
            Which::Id(id) => OwnedWhich::Id(id),
        }
    }

    fn borrowed(&self) -> Which<'_> {
        match self {
            OwnedWhich::Key(key) => Which::Key(key),
            OwnedWhich::Version { key, version } => Which::Version { key, version },
            OwnedWhich::Id(id) => Which::Id(*id),
        }
    }
}

impl OwnedChange {
    fn new(change: &Change<'_>) -> Self {
        match *change {
            Change::Start { of, start } => OwnedChange::Start { of: OwnedWhich::new(of), start },
            Change::Reschedule { of, class, start } => {
                let class = class.map(str::to_owned);
                OwnedChange::Reschedule { of: OwnedWhich::new(of), class, start }
            }
            Change::Content { of, version, size, start } => {
                OwnedChange::Content { of: OwnedWhich::new(of), version: version.to_vec(), size, start }
            }
            Change::Rename { of, to } => OwnedChange::Rename { of: OwnedWhich::new(of), to: to.to_vec() },
            Change::Release { of } => OwnedChange::Release { of: OwnedWhich::new(of) },
        }
    }

    fn borrowed(&self) -> Change<'_> {
        match self {
            OwnedChange::Start { of, start } => Change::Start { of: of.borrowed(), start: *start },
            OwnedChange::Reschedule { of, class, start } => {
                Change::Reschedule { of: of.borrowed(), class: class.as_deref(), start: *start }
            }
            OwnedChange::Content { of, version, size, start } => {
                Change::Content { of: of.borrowed(), version, size: *size, start: *start }
            }
            OwnedChange::Rename { of, to } => Change::Rename { of: of.borrowed(), to },
            OwnedChange::Release { of } => Change::Release { of: of.borrowed() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_registrations_borrow_as_their_originals() {
        let registrations = [
            Registration::new("a", b"one").version(b"v").start(Timestamp::from_unix_ms(7)),
            Registration::new("a", b"two").digest(b"d").size(3).subject(b"s"),
            Registration::new("b", b""),
        ];
        let owned = OwnedRegistrations::new(&registrations);
        assert_eq!(format!("{:?}", owned.borrowed()), format!("{registrations:?}"));
    }
}
