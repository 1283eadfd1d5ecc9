//! Keys and values of the column families of class versions: one row per registration.

use super::{Links, Reader, successor};
use crate::model::selector::Names;
use crate::platform::error::{Error, Result};
use sexton_proof::commitment::Opening;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::record::{Cause, Reason};
use sexton_proof::time::Timestamp;
use sexton_proof::window::Bounds;
use sexton_proof::wire;
use std::ops::Range;

/// Bytes of a row's key: the registration id without its class, which is the column family.
const ROW_KEY_BYTES: usize = 16;

/// Returns the key of a row.
pub(crate) fn row_key(id: RegistrationId) -> [u8; ROW_KEY_BYTES] {
    let mut key = [0; ROW_KEY_BYTES];
    key.copy_from_slice(&id.to_bytes()[4..]);
    key
}

/// Returns the registration whose row has this key in the column family of `class`.
pub(crate) fn parse_row_key(class: ClassId, key: &[u8]) -> Result<RegistrationId> {
    let mut bytes = [0; 20];
    if key.len() != ROW_KEY_BYTES {
        return Err(Error::corrupt(format!("a row key of class {class} has {} bytes, not 16", key.len())));
    }
    bytes[..4].copy_from_slice(&class.to_be_bytes());
    bytes[4..].copy_from_slice(key);
    Ok(RegistrationId::from_bytes(&bytes))
}

/// Returns the seq in a row's key; `None` if the key is too short to have one.
pub(crate) fn row_seq(key: &[u8]) -> Option<u32> {
    key.last_chunk().map(|seq| u32::from_be_bytes(*seq))
}

/// Returns the range of the keys of all rows of a page.
pub(crate) fn page_row_range(page: PageId) -> Range<Vec<u8>> {
    let from = row_key(RegistrationId { page, seq: 0 });
    from.to_vec()..successor(&from[..12])
}

/// Flags of a row, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// No flag.
    pub(crate) const NONE: Flags = Flags(0);
    /// The object was registered without a start, and none is known yet.
    pub(crate) const OPEN: Flags = Flags(1);
    /// A failed attempt may have deleted the object: the store's answer left that open.
    pub(crate) const MAYBE_DELETED: Flags = Flags(2);
    /// The host deleted the object itself. It ends without a call of the store.
    pub(crate) const RELEASED: Flags = Flags(4);
    /// The registration goes on in another page. Only its commitment is left here, in the field `digest`.
    pub(crate) const MOVED: Flags = Flags(8);
    /// A hold kept the object past its ceiling, and was lifted. Its end is late because of the hold.
    pub(crate) const OUTLASTED: Flags = Flags(16);
    /// The start was read from the clock at registration. The host gave none.
    pub(crate) const CLOCKED: Flags = Flags(32);
    /// The stored row has optional parts. Only the stored bytes have this flag.
    const PARTS: Flags = Flags(64);

    /// Returns `true` if `flag` is set.
    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    /// Returns these flags and `flag`.
    pub(crate) fn with(self, flag: Flags) -> Flags {
        Flags(self.0 | flag.0)
    }

    /// Returns these flags except `flag`.
    pub(crate) fn without(self, flag: Flags) -> Flags {
        Flags(self.0 & !flag.0)
    }
}

/// Terms that the host registered an object under, before later decisions and statements gave it other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    /// Class version.
    pub(crate) class: ClassId,
    /// Start.
    pub(crate) start: Timestamp,
    /// Version of the object.
    pub(crate) version: &'a [u8],
}

/// Note that the wall clock was in doubt when the object was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Number of the doubt, from 1.
    pub(crate) number: u32,
    /// Instant of registration if the wall clock was right.
    pub(crate) wall: Timestamp,
    /// Instant of registration if the wall clock was wrong.
    pub(crate) expected: Timestamp,
}

/// Optional parts of a stored row, one bit each.
const PART_ORIGIN: u8 = 1;
const PART_DOUBT: u8 = 2;
const PART_ERA: u8 = 4;
const PART_FIRST: u8 = 8;
const PART_VERSION: u8 = 16;
const PART_REGISTERED: u8 = 32;
const PART_LINKS: u8 = 64;
/// Parts that this build knows.
const PARTS: u8 =
    PART_ORIGIN | PART_DOUBT | PART_ERA | PART_FIRST | PART_VERSION | PART_REGISTERED | PART_LINKS;

/// Row of one registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Code of the [`Cause`](sexton_proof::record::Cause) for which the row was carried or moved here; 0 if the host
    /// registered it here.
    pub(crate) cause: u8,
    /// Deletions attempted so far.
    pub(crate) attempts: u8,
    pub(crate) flags: Flags,
    /// Reason for which the object falls due. [`Row::end_reason`] is the reason of its end.
    pub(crate) reason: Reason,
    /// Instant from which the promise counts.
    pub(crate) start: Timestamp,
    /// Promised bound "not before"; `None` if the class has none.
    pub(crate) floor: Option<Timestamp>,
    /// Promised bound "not after"; `None` if the class has none.
    pub(crate) ceiling: Option<Timestamp>,
    /// Size of the object, bytes; `None` if the host gave none.
    pub(crate) size: Option<u64>,
    /// Key that the object is stored under.
    pub(crate) key: &'a [u8],
    /// Key that the object was registered under, which the commitment binds; `None` if it was not renamed.
    pub(crate) first: Option<&'a [u8]>,
    pub(crate) version: &'a [u8],
    pub(crate) digest: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// Terms as registered; `None` if class, start and version are still those.
    pub(crate) origin: Option<Origin<'a>>,
    /// Doubt about the clock at registration; `None` if there was none.
    pub(crate) doubt: Option<Doubt>,
    /// Number of times that an operator had taken time back before the registration.
    pub(crate) era: u32,
    /// Instant of registration, if neither class nor start tells it and it still matters.
    pub(crate) registered: Option<Timestamp>,
    /// Earlier registrations that the row names. Every write under a new id sets them; no row inherits them.
    pub(crate) links: Links,
}

impl<'a> Row<'a> {
    /// Appends the row's value to `out`.
    #[expect(clippy::cast_possible_truncation, reason = "lengths were checked at registration")]
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let part = |bit: u8, is_there: bool| if is_there { bit } else { 0 };
        let parts = part(PART_ORIGIN, self.origin.is_some())
            | part(PART_DOUBT, self.doubt.is_some())
            | part(PART_ERA, self.era > 0)
            | part(PART_FIRST, self.first.is_some())
            | part(PART_VERSION, self.origin.is_some_and(|origin| origin.version != self.version))
            | part(PART_REGISTERED, self.registered.is_some())
            | part(PART_LINKS, !self.links.is_none());
        let flags = if parts == 0 { self.flags } else { self.flags.with(Flags::PARTS) };
        out.extend_from_slice(&[self.cause, self.attempts, flags.0, self.reason.code()]);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&wire::encode_floor(self.floor).to_be_bytes());
        out.extend_from_slice(&wire::encode_ceiling(self.ceiling).to_be_bytes());
        out.extend_from_slice(&wire::encode_size(self.size).to_be_bytes());
        out.extend_from_slice(&(self.version.len() as u16).to_be_bytes());
        out.extend_from_slice(self.version);
        out.push(self.digest.len() as u8);
        out.extend_from_slice(self.digest);
        out.push(self.subject.len() as u8);
        out.extend_from_slice(self.subject);
        if parts != 0 {
            out.push(parts);
        }
        if let Some(Origin { class, start, .. }) = self.origin {
            out.extend_from_slice(&class.to_be_bytes());
            out.extend_from_slice(&start.to_be_bytes());
        }
        if let Some(Doubt { number, wall, expected }) = self.doubt {
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&wall.to_be_bytes());
            out.extend_from_slice(&expected.to_be_bytes());
        }
        if self.era > 0 {
            out.extend_from_slice(&self.era.to_be_bytes());
        }
        if let Some(first) = self.first {
            out.extend_from_slice(&(first.len() as u16).to_be_bytes());
            out.extend_from_slice(first);
        }
        if let Some(Origin { version, .. }) = self.origin.filter(|origin| origin.version != self.version) {
            out.extend_from_slice(&(version.len() as u16).to_be_bytes());
            out.extend_from_slice(version);
        }
        if let Some(registered) = self.registered {
            out.extend_from_slice(&registered.to_be_bytes());
        }
        if !self.links.is_none() {
            self.links.encode_into(out);
        }
        out.extend_from_slice(self.key);
    }

    /// Returns the row's value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Decodes a row's value.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        Self::read(&mut reader).ok_or_else(|| Error::corrupt_index("a row is cut short or too long"))
    }

    /// Returns the reason that the evidence gives for the end of the object.
    pub(crate) fn end_reason(&self) -> Reason {
        if self.flags.has(Flags::OUTLASTED) { Reason::Lifted } else { self.reason }
    }

    /// Returns `true` if a hold kept the object when its slot came, and the row lies in a page of such rows.
    pub(crate) fn is_parked(&self) -> bool {
        self.cause == Cause::Held.code()
    }

    /// Returns how holds kept the row: 1 if it is parked and a hold stood when it was parked, 2 if it is parked and only
    /// lifted holds covered it, otherwise 0.
    pub(crate) fn held(&self) -> u8 {
        match (self.is_parked(), self.links.parked_after_lift) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }

    /// Returns the names of the object.
    pub(crate) fn names(&self) -> Names<'a> {
        Names { current: self.key, first: self.first.unwrap_or(self.key) }
    }

    /// Returns the row of the object after it was renamed.
    pub(crate) fn renamed(self, to: &'a [u8]) -> Row<'a> {
        let first = self.names().first;
        Row { key: to, first: (first != to).then_some(first), ..self }
    }

    /// Returns the terms as registered, of a row in the class version `class`.
    pub(crate) fn origin(&self, class: ClassId) -> Origin<'a> {
        self.origin.unwrap_or(Origin { class, start: self.start, version: self.version })
    }

    /// Returns `true` if the object of a row in the class version `class` has this version, or had it at its registration and
    /// has other content since.
    pub(crate) fn has_version(&self, class: ClassId, version: &[u8]) -> bool {
        [self.version, self.origin(class).version].contains(&version)
    }

    /// Returns the row, which is in the class version `class`, with another version of the object.
    pub(crate) fn with_version(self, class: ClassId, version: &'a [u8]) -> Row<'a> {
        let origin = if version == self.version { self.origin } else { Some(self.origin(class)) };
        Row { version, origin, ..self }
    }

    /// Returns the row under other terms. `from` is the class version that it leaves, `to` the one that it falls under.
    pub(crate) fn under(self, from: ClassId, to: ClassId, start: Timestamp, bounds: Bounds) -> Row<'a> {
        let is_as_registered = to == from && start == self.start;
        let origin = if is_as_registered { self.origin } else { Some(self.origin(from)) };
        Row { start, floor: bounds.floor, ceiling: bounds.ceiling, origin, ..self }
    }

    /// Returns `true` if an earlier attempt of this engine may have deleted the object.
    pub(crate) fn maybe_deleted(&self) -> bool {
        self.flags.has(Flags::MAYBE_DELETED)
    }

    /// Returns the promised bounds.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { floor: self.floor, ceiling: self.ceiling }
    }

    /// Returns the opening of the registration's commitment, with the blinding value `r`.
    pub(crate) fn opening(&self, r: [u8; 32]) -> Opening {
        Opening {
            r,
            key: self.names().first.to_vec(),
            version: self.version.to_vec(),
            start: self.start,
            floor: self.floor,
            ceiling: self.ceiling,
            digest: self.digest.to_vec(),
            size: self.size,
        }
    }

    /// Returns the row that stays in the page when the registration moves to another page. It has only what its
    /// evidence needs, and nothing about the object.
    pub(crate) fn moved<'b>(&self, commitment: &'b [u8; 32]) -> Row<'b> {
        let flags = self.flags.with(Flags::MOVED);
        let (key, version, subject) = (&[][..], &[][..], &[][..]);
        Row {
            flags,
            size: Some(0),
            key,
            first: None,
            version,
            digest: commitment,
            subject,
            origin: None,
            doubt: None,
            registered: None,
            ..*self
        }
    }

    /// Returns the commitment that is left of a registration that moved; `None` if it did not move.
    pub(crate) fn moved_commitment(&self) -> Option<[u8; 32]> {
        if self.flags.has(Flags::MOVED) { self.digest.try_into().ok() } else { None }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [cause, attempts, flags, reason] = reader.array()?;
        let stored = Flags(flags);
        // Earlier builds stored no other reason beside this one.
        let (flags, reason) = match Reason::from_code(reason)? {
            Reason::Lifted => (stored.with(Flags::OUTLASTED), Reason::Due),
            reason => (stored, reason),
        };
        let mut row = Row {
            cause,
            attempts,
            flags: flags.without(Flags::PARTS),
            reason,
            start: reader.timestamp()?,
            floor: wire::decode_floor(reader.i64()?),
            ceiling: wire::decode_ceiling(reader.i64()?),
            size: wire::decode_size(reader.u64()?),
            version: reader.bytes16()?,
            digest: reader.bytes8()?,
            subject: reader.bytes8()?,
            origin: None,
            doubt: None,
            era: 0,
            registered: None,
            links: Links::NONE,
            key: &[],
            first: None,
        };
        let parts = if stored.has(Flags::PARTS) { reader.array::<1>()?[0] } else { 0 };
        // A part of a later build would be read as the beginning of the key.
        if parts & !PARTS != 0 {
            return None;
        }
        if parts & PART_ORIGIN != 0 {
            let (class, start) = (reader.u32()?, reader.timestamp()?);
            row.origin = Some(Origin { class, start, version: row.version });
        }
        if parts & PART_DOUBT != 0 {
            row.doubt = Some(read_doubt(reader)?);
        }
        if parts & PART_ERA != 0 {
            row.era = reader.u32()?;
        }
        if parts & PART_FIRST != 0 {
            row.first = Some(reader.bytes16()?);
        }
        if parts & PART_VERSION != 0 {
            row.origin.as_mut()?.version = reader.bytes16()?;
        }
        if parts & PART_REGISTERED != 0 {
            row.registered = Some(reader.timestamp()?);
        }
        if parts & PART_LINKS != 0 {
            row.links = Links::read(reader, row.is_parked())?;
        }
        row.key = reader.0;
        let whole = match row.flags.has(Flags::MOVED) {
            true => row.moved_commitment().is_some(),
            false => !row.key.is_empty(),
        };
        whole.then_some(row)
    }
}

fn read_doubt(reader: &mut Reader<'_>) -> Option<Doubt> {
    let (number, wall, expected) = (reader.u32()?, reader.timestamp()?, reader.timestamp()?);
    Some(Doubt { number, wall, expected })
}

impl Links {
    /// Returns the links of the row `new`, as which the registration `from` lives on. Its row was `old`.
    pub(crate) fn of_move(from: RegistrationId, old: &Row<'_>, new: &Row<'_>, cause: Cause) -> Links {
        let parked_after_lift = old.links.parked_after_lift && new.is_parked();
        Links { continues: Some((cause, from)), replaces: None, parked_after_lift }
    }
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
