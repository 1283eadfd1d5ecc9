//! The row of one live object.

use super::Reader;
use crate::error::{Error, Result};
use sexton_proof::commitment::Opening;
use sexton_proof::record::Reason;
use sexton_proof::window::Bounds;

/// What else is known of a row, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// None of them.
    pub(crate) const NONE: Flags = Flags(0);
    /// Its start is not known yet: it is parked.
    pub(crate) const OPEN: Flags = Flags(1);
    /// An attempt failed in a way that leaves open whether the store deleted the object.
    pub(crate) const MAYBE_DELETED: Flags = Flags(2);
    /// The host deleted it itself: it ends without the store being asked.
    pub(crate) const RELEASED: Flags = Flags(4);
    /// It lives on elsewhere: all that is left here is its commitment, in the place of its digest.
    pub(crate) const MOVED: Flags = Flags(8);

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn with(self, flag: Flags) -> Flags {
        Flags(self.0 | flag.0)
    }

    pub(crate) fn without(self, flag: Flags) -> Flags {
        Flags(self.0 & !flag.0)
    }
}

/// What is known of one live object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// 0 for a registration; else the code of the cause for which it was carried or moved here.
    pub(crate) cause: u8,
    /// Deletions tried so far.
    pub(crate) attempts: u8,
    pub(crate) flags: Flags,
    /// Why it will end.
    pub(crate) reason: Reason,
    pub(crate) start_ms: i64,
    pub(crate) floor_ms: i64,
    pub(crate) ceiling_ms: i64,
    pub(crate) size_bytes: u64,
    pub(crate) key: &'a [u8],
    pub(crate) version: &'a [u8],
    pub(crate) digest: &'a [u8],
    pub(crate) subject: &'a [u8],
}

impl<'a> Row<'a> {
    #[expect(clippy::cast_possible_truncation, reason = "lengths were checked at registration")]
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.cause, self.attempts, self.flags.0, self.reason.code()]);
        out.extend_from_slice(&self.start_ms.to_be_bytes());
        out.extend_from_slice(&self.floor_ms.to_be_bytes());
        out.extend_from_slice(&self.ceiling_ms.to_be_bytes());
        out.extend_from_slice(&self.size_bytes.to_be_bytes());
        out.push(self.version.len() as u8);
        out.extend_from_slice(self.version);
        out.push(self.digest.len() as u8);
        out.extend_from_slice(self.digest);
        out.push(self.subject.len() as u8);
        out.extend_from_slice(self.subject);
        out.extend_from_slice(self.key);
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        Self::read(&mut reader).ok_or_else(|| {
            Error::corrupt("a row is cut short or too long; see Backups in docs/operations.md")
        })
    }

    /// Whether an earlier attempt of ours may have deleted it.
    pub(crate) fn maybe_deleted(&self) -> bool {
        self.flags.has(Flags::MAYBE_DELETED)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { floor_ms: self.floor_ms, ceiling_ms: self.ceiling_ms }
    }

    /// What opens its commitment.
    pub(crate) fn opening(&self, r: [u8; 32]) -> Opening {
        Opening {
            r,
            key: self.key.to_vec(),
            version: self.version.to_vec(),
            start_ms: self.start_ms,
            floor_ms: self.floor_ms,
            ceiling_ms: self.ceiling_ms,
            digest: self.digest.to_vec(),
            size_bytes: self.size_bytes,
        }
    }

    /// What stays of it where it was, once it lives on elsewhere: what the evidence needs, and nothing of the object.
    pub(crate) fn moved<'b>(&self, commitment: &'b [u8; 32]) -> Row<'b> {
        let flags = self.flags.with(Flags::MOVED);
        Row { flags, size_bytes: 0, key: &[], version: &[], digest: commitment, subject: &[], ..*self }
    }

    /// The commitment that is left of a registration that lives on elsewhere.
    pub(crate) fn moved_commitment(&self) -> Option<[u8; 32]> {
        if self.flags.has(Flags::MOVED) { self.digest.try_into().ok() } else { None }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [cause, attempts, flags, reason] = reader.array()?;
        let row = Row {
            cause,
            attempts,
            flags: Flags(flags),
            reason: Reason::from_code(reason)?,
            start_ms: reader.i64()?,
            floor_ms: reader.i64()?,
            ceiling_ms: reader.i64()?,
            size_bytes: reader.u64()?,
            version: reader.bytes8()?,
            digest: reader.bytes8()?,
            subject: reader.bytes8()?,
            key: reader.0,
        };
        let whole = match row.flags.has(Flags::MOVED) {
            true => row.moved_commitment().is_some(),
            false => !row.key.is_empty(),
        };
        whole.then_some(row)
    }
}
