//! Counts and totals that may outlive the objects.

use super::Reader;
use crate::error::{Error, Result};
use sexton_proof::id::SIZE_UNKNOWN;

/// How a class's registrations ended so far. Counts and totals, nothing else, so they may outlive the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deleted by the store.
    pub deleted: u64,
    /// Bytes of those whose size was known.
    pub deleted_bytes: u64,
    /// Not there when they were to be deleted.
    pub absent: u64,
    /// Not there, after an attempt of ours that may have deleted them.
    pub absent_after_intent: u64,
    /// Replaced by a newer registration of the key.
    pub replaced: u64,
    /// Deleted by the host itself.
    pub released: u64,
    /// Rewritten by the store so that they concern nobody any more.
    pub anonymised: u64,
    /// Of all that ended: before their floor.
    pub early: u64,
    /// Of all that ended: after their ceiling, and no legal hold had kept them.
    pub late: u64,
    /// Of all that ended: after their ceiling, because a legal hold had kept them.
    pub late_after_hold: u64,
    /// Kept back by a legal hold when their time had come, each time counted.
    pub held: u64,
    /// Carried to another page, each time counted.
    pub carried: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 12] {
        [
            &mut self.deleted,
            &mut self.deleted_bytes,
            &mut self.absent,
            &mut self.absent_after_intent,
            &mut self.replaced,
            &mut self.released,
            &mut self.anonymised,
            &mut self.early,
            &mut self.late,
            &mut self.late_after_hold,
            &mut self.held,
            &mut self.carried,
        ]
    }

    /// Registrations that ended.
    pub fn ended(&self) -> u64 {
        self.deleted
            + self.absent
            + self.absent_after_intent
            + self.replaced
            + self.released
            + self.anonymised
    }

    pub(crate) fn add(&mut self, mut other: Counts) {
        for (mine, theirs) in self.fields().into_iter().zip(other.fields()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    pub(crate) fn encode(mut self) -> Vec<u8> {
        self.fields().iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut counts = Counts::default();
        let mut reader = Reader(bytes);
        for field in counts.fields() {
            *field = reader.u64().ok_or_else(|| Error::corrupt("a record of counts is cut short"))?;
        }
        Ok(counts)
    }
}

/// What was ever registered: objects, and the bytes of those whose size was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// Counts an object of `size_bytes`.
    pub(crate) fn add(&mut self, size_bytes: u64) {
        self.objects += 1;
        let known = if size_bytes == SIZE_UNKNOWN { 0 } else { size_bytes };
        self.bytes = self.bytes.saturating_add(known);
    }

    pub(crate) fn plus(self, more: Tally) -> Tally {
        Tally { objects: self.objects + more.objects, bytes: self.bytes.saturating_add(more.bytes) }
    }

    pub(crate) fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.objects.to_be_bytes());
        out[8..].copy_from_slice(&self.bytes.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| Some(Tally { objects: r.u64()?, bytes: r.u64()? });
        read(&mut reader).ok_or_else(|| Error::corrupt("a tally of registrations is cut short"))
    }
}
