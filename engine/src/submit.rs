//! Registering and changing without waiting: calls are queued with a token, worked off by whoever drives the engine, and
//! their completions wait to be taken. Many small calls so share one fsync.

use crate::change::{Change, Changed, Which};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::register::{Durability, REGISTER_MAX, Registered, Registration};
use crate::signal::Signal;
use parking_lot::Mutex;
use sexton_proof::id::RegistrationId;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most calls that are worked off together.
const GROUP_CALLS_MAX: usize = 1_000;

/// Registrations that own their bytes.
#[derive(Debug)]
struct OwnedRegistrations {
    bytes: Vec<u8>,
    items: Vec<OwnedRegistration>,
}

#[derive(Debug)]
struct OwnedRegistration {
    class: Arc<str>,
    /// Key, version, digest and subject, one after the other.
    ends: [usize; 4],
    start_ms: Option<i64>,
    size_bytes: u64,
}

impl OwnedRegistrations {
    fn new(items: &[Registration<'_>]) -> Self {
        let mut owned = OwnedRegistrations { bytes: Vec::new(), items: Vec::with_capacity(items.len()) };
        for item in items {
            // Neighbours mostly fall under the same class.
            let class = match owned.items.last() {
                Some(last) if *last.class == *item.class => Arc::clone(&last.class),
                _ => Arc::from(item.class),
            };
            let ends = [item.key, item.version, item.digest, item.subject].map(|part| {
                owned.bytes.extend_from_slice(part);
                owned.bytes.len()
            });
            let (start_ms, size_bytes) = (item.start_ms, item.size_bytes);
            owned.items.push(OwnedRegistration { class, ends, start_ms, size_bytes });
        }
        owned
    }

    fn borrowed(&self) -> Vec<Registration<'_>> {
        let mut from = 0;
        let mut items = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let [key, version, digest, subject] =
                item.ends.map(|end| &self.bytes[std::mem::replace(&mut from, end)..end]);
            let OwnedRegistration { start_ms, size_bytes, .. } = *item;
            items.push(Registration {
                key,
                class: &item.class,
                version,
                start_ms,
                digest,
                size_bytes,
                subject,
            });
        }
        items
    }
}

/// A change that owns its bytes.
#[derive(Debug)]
enum OwnedChange {
    Start { of: OwnedWhich, start_ms: i64 },
    Reschedule { of: OwnedWhich, class: Option<String>, start_ms: Option<i64> },
    Release { of: OwnedWhich },
}

#[derive(Debug)]
enum OwnedWhich {
    Key(Vec<u8>),
    Id(RegistrationId),
}

impl OwnedWhich {
    fn new(of: Which<'_>) -> Self {
        match of {
            Which::Key(key) => OwnedWhich::Key(key.to_vec()),
            Which::Id(id) => OwnedWhich::Id(id),
        }
    }

    fn borrowed(&self) -> Which<'_> {
        match self {
            OwnedWhich::Key(key) => Which::Key(key),
            OwnedWhich::Id(id) => Which::Id(*id),
        }
    }
}

impl OwnedChange {
    fn new(change: &Change<'_>) -> Self {
        match *change {
            Change::Start { of, start_ms } => OwnedChange::Start { of: OwnedWhich::new(of), start_ms },
            Change::Reschedule { of, class, start_ms } => {
                let class = class.map(str::to_owned);
                OwnedChange::Reschedule { of: OwnedWhich::new(of), class, start_ms }
            }
            Change::Release { of } => OwnedChange::Release { of: OwnedWhich::new(of) },
        }
    }

    fn borrowed(&self) -> Change<'_> {
        match self {
            OwnedChange::Start { of, start_ms } => Change::Start { of: of.borrowed(), start_ms: *start_ms },
            OwnedChange::Reschedule { of, class, start_ms } => {
                Change::Reschedule { of: of.borrowed(), class: class.as_deref(), start_ms: *start_ms }
            }
            OwnedChange::Release { of } => Change::Release { of: of.borrowed() },
        }
    }
}

/// What is to be done.
#[derive(Debug)]
enum Work {
    Register { items: OwnedRegistrations, only_missing: bool },
    Change(Vec<OwnedChange>),
}

/// A call that waits to be worked off.
#[derive(Debug)]
struct Call {
    token: u64,
    objects: usize,
    durability: Durability,
    work: Work,
}

/// The answers of a call, an answer for each of its items, in their order.
#[derive(Debug)]
pub enum Answers {
    /// To registrations.
    Registered(Vec<Registered>),
    /// To changes.
    Changed(Vec<Result<Changed>>),
}

/// What became of a submitted call.
#[derive(Debug)]
pub struct Completion {
    /// The token it was submitted with.
    pub token: u64,
    /// Its answers. After `Ok` they are as durable as was asked for; after `Err` it is as if the blocking call had given
    /// that error.
    pub result: Result<Answers>,
    objects: usize,
}

/// Calls that wait, and completions that nobody has taken yet.
pub(crate) struct Submissions {
    state: Mutex<Queues>,
    /// Most objects in both together.
    objects_max: usize,
    signal: Arc<Signal>,
    /// Held from taking calls to their completion, so that they are applied in the order of submitting, however many
    /// drive: a later registration of a key must not be replaced by an earlier one.
    working: Mutex<()>,
}

#[derive(Default)]
struct Queues {
    calls: VecDeque<Call>,
    completions: VecDeque<Completion>,
    /// Objects of the calls that wait, are worked at, or were completed and not taken.
    objects: usize,
}

impl Submissions {
    pub(crate) fn new(objects_max: usize, signal: Arc<Signal>) -> Self {
        Submissions { state: Mutex::default(), objects_max, signal, working: Mutex::default() }
    }

    /// Queues registrations.
    pub(crate) fn register(
        &self,
        token: u64,
        items: &[Registration<'_>],
        durability: Durability,
        only_missing: bool,
    ) -> Result<()> {
        let work = || Work::Register { items: OwnedRegistrations::new(items), only_missing };
        self.push(token, items.len(), durability, work)
    }

    /// Queues changes.
    pub(crate) fn change(&self, token: u64, changes: &[Change<'_>], durability: Durability) -> Result<()> {
        let work = || Work::Change(changes.iter().map(OwnedChange::new).collect());
        self.push(token, changes.len(), durability, work)
    }

    fn push(
        &self,
        token: u64,
        objects: usize,
        durability: Durability,
        work: impl FnOnce() -> Work,
    ) -> Result<()> {
        if objects > REGISTER_MAX.min(self.objects_max) {
            return Err(Error::invalid(format!(
                "{objects} objects in one call; {} is the limit",
                REGISTER_MAX.min(self.objects_max)
            )));
        }
        let work = work();
        // A call of nothing takes room as well.
        let objects = objects.max(1);
        let mut state = self.state.lock();
        if state.objects.saturating_add(objects) > self.objects_max {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{} objects are queued or completed and not taken; {} is the limit: take completions, then try again",
                    state.objects, self.objects_max
                ),
            ));
        }
        state.objects += objects;
        state.calls.push_back(Call { token, objects, durability, work });
        Ok(())
    }

    /// The next completion; `None` where none waits. Never waits.
    pub(crate) fn take(&self) -> Option<Completion> {
        let mut state = self.state.lock();
        let completion = state.completions.pop_front()?;
        state.objects -= completion.objects;
        self.signal.took();
        Some(completion)
    }

    /// Completes all calls that wait with an error: nobody will work them off.
    pub(crate) fn fail_all(&self, error: &Error) {
        let mut state = self.state.lock();
        let calls = std::mem::take(&mut state.calls);
        for Call { token, objects, .. } in calls {
            state.completions.push_back(Completion { token, result: Err(error.again()), objects });
            self.signal.put();
        }
    }

    /// Whether a call waits.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state.lock().calls.is_empty()
    }

    /// Works off what waits, with one fsync for all; whether there was anything.
    pub(crate) fn work_off(&self, engine: &Engine) -> bool {
        let _working = self.working.lock();
        let calls: Vec<Call> = {
            let mut state = self.state.lock();
            let group = state.calls.len().min(GROUP_CALLS_MAX);
            state.calls.drain(..group).collect()
        };
        if calls.is_empty() {
            return false;
        }
        let must_sync = calls.iter().any(|call| call.durability == Durability::Synced);
        let mut at_work = AtWork { submissions: self, calls, results: Vec::new() };
        let applied: Vec<_> = at_work.calls.iter().map(|call| call.work.apply(engine)).collect();
        // Everything is written by now, and one fsync makes all of it durable. A crash before it loses calls that
        // nobody was told of.
        let synced = if must_sync { engine.sync() } else { Ok(()) };
        let result = |(call, applied): (&Call, Result<Answers>)| match &synced {
            Err(error) if call.durability == Durability::Synced => applied.and(Err(error.again())),
            _ => applied,
        };
        at_work.results = at_work.calls.iter().zip(applied).map(result).collect();
        true
    }
}

/// Calls that are worked at, and their results once all of them are known. Letting go of it completes each of them, also
/// where whoever worked at them panicked.
struct AtWork<'a> {
    submissions: &'a Submissions,
    calls: Vec<Call>,
    results: Vec<Result<Answers>>,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut results = std::mem::take(&mut self.results).into_iter();
        let lost = || {
            let why =
                "a panic, and whether the call was applied is unknown; close the engine and open it again";
            Err(Error::internal(why))
        };
        let mut state = self.submissions.state.lock();
        for Call { token, objects, .. } in std::mem::take(&mut self.calls) {
            let result = results.next().unwrap_or_else(lost);
            state.completions.push_back(Completion { token, result, objects });
            self.submissions.signal.put();
        }
    }
}

impl Work {
    fn apply(&self, engine: &Engine) -> Result<Answers> {
        match self {
            Work::Register { items, only_missing: false } => {
                engine.register(&items.borrowed(), Durability::Buffered).map(Answers::Registered)
            }
            Work::Register { items, only_missing: true } => {
                engine.register_missing(&items.borrowed(), Durability::Buffered).map(Answers::Registered)
            }
            Work::Change(changes) => {
                let changes: Vec<Change<'_>> = changes.iter().map(OwnedChange::borrowed).collect();
                engine.change(&changes, Durability::Buffered).map(Answers::Changed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_registrations_are_those_they_were_made_from() {
        let items = [
            Registration { version: b"v", start_ms: Some(7), ..Registration::new("a", b"one") },
            Registration { digest: b"d", size_bytes: 3, subject: b"s", ..Registration::new("a", b"two") },
            Registration::new("b", b""),
        ];
        let owned = OwnedRegistrations::new(&items);
        assert_eq!(format!("{:?}", owned.borrowed()), format!("{items:?}"));
    }
}
