//! Values that count registrations.

use super::Reader;
use crate::platform::error::{Error, Result};
use sexton_proof::wire;

/// Numbers of the registrations of a class that ended so far.
///
/// They hold totals only, so they may outlive the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Registrations that the store deleted.
    pub deleted: u64,
    /// Bytes of the deleted objects whose size was known.
    pub deleted_bytes: u64,
    /// Registrations whose object was absent when it was to be deleted.
    pub absent: u64,
    /// Registrations whose object was absent after an earlier attempt that may have deleted it.
    pub absent_after_intent: u64,
    /// Registrations that a newer registration of the key replaced.
    pub replaced: u64,
    /// Registrations whose object the host deleted itself.
    pub released: u64,
    /// Registrations whose object the store rewrote without personal data.
    pub anonymised: u64,
    /// Registrations that ended before their floor.
    pub early: u64,
    /// Registrations that ended after their ceiling without a legal hold having kept them.
    pub late: u64,
    /// Registrations that ended after their ceiling because a legal hold had kept them.
    pub late_after_hold: u64,
    /// Times that a legal hold kept a registration past its due slot.
    pub held: u64,
    /// Times that a registration was carried to another page.
    pub carried: u64,
    /// Registrations whose object the store was asked to delete. It did not refuse, and it did not say if it had the object.
    pub requested: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 13] {
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
            &mut self.requested,
        ]
    }

    /// Returns the number of registrations that ended, by any method.
    pub fn ended(&self) -> u64 {
        self.deleted
            + self.absent
            + self.absent_after_intent
            + self.replaced
            + self.released
            + self.anonymised
            + self.requested
    }

    /// Adds `other`.
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

/// Totals of everything ever registered in a class version and shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegisteredTotals {
    pub(crate) objects: u64,
    /// Bytes of the objects whose size was known.
    pub(crate) bytes: u64,
}

impl RegisteredTotals {
    /// Adds an object of `size` bytes; `None` if its size is not known. The stored form of an unknown size counts as none.
    pub(crate) fn add(&mut self, size: Option<u64>) {
        let known = wire::decode_size(wire::encode_size(size));
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(known.unwrap_or(0));
    }

    /// Returns the sum of both.
    pub(crate) fn plus(self, more: RegisteredTotals) -> RegisteredTotals {
        RegisteredTotals {
            objects: self.objects + more.objects,
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }

    pub(crate) fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.objects.to_be_bytes());
        out[8..].copy_from_slice(&self.bytes.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| Some(RegisteredTotals { objects: r.u64()?, bytes: r.u64()? });
        read(&mut reader).ok_or_else(|| Error::corrupt("a record of registered totals is cut short"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back_and_a_shorter_record_is_refused() {
        let counts = Counts { deleted: 1, carried: 12, requested: 13, ..Counts::default() };
        let bytes = counts.encode();
        assert_eq!(Counts::decode(&bytes).unwrap(), counts);
        for length in 0..bytes.len() {
            assert!(Counts::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn totals_count_no_bytes_of_an_unknown_size() {
        let mut totals = RegisteredTotals::default();
        [Some(7), None, Some(wire::SIZE_UNKNOWN)].into_iter().for_each(|size| totals.add(size));
        assert_eq!(totals, RegisteredTotals { objects: 3, bytes: 7 });
    }
}
