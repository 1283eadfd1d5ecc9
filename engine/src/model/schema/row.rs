//! Keys and values of the column families of class versions: one row per registration.

use super::{Reader, successor};
use crate::platform::error::{Error, Result};
use sexton_proof::commitment::Opening;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::record::Reason;
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

/// Row of one registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Code of the [`Cause`](sexton_proof::record::Cause) for which the row was carried or moved here; 0 if the host
    /// registered it here.
    pub(crate) cause: u8,
    /// Deletions attempted so far.
    pub(crate) attempts: u8,
    pub(crate) flags: Flags,
    /// Reason for which the object will end.
    pub(crate) reason: Reason,
    /// Instant from which the promise counts.
    pub(crate) start: Timestamp,
    /// Promised bound "not before"; `None` if the class has none.
    pub(crate) floor: Option<Timestamp>,
    /// Promised bound "not after"; `None` if the class has none.
    pub(crate) ceiling: Option<Timestamp>,
    /// Size of the object, bytes; `None` if the host gave none.
    pub(crate) size: Option<u64>,
    pub(crate) key: &'a [u8],
    pub(crate) version: &'a [u8],
    pub(crate) digest: &'a [u8],
    pub(crate) subject: &'a [u8],
}

impl<'a> Row<'a> {
    /// Appends the row's value to `out`.
    #[expect(clippy::cast_possible_truncation, reason = "lengths were checked at registration")]
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.cause, self.attempts, self.flags.0, self.reason.code()]);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&wire::encode_floor(self.floor).to_be_bytes());
        out.extend_from_slice(&wire::encode_ceiling(self.ceiling).to_be_bytes());
        out.extend_from_slice(&wire::encode_size(self.size).to_be_bytes());
        out.push(self.version.len() as u8);
        out.extend_from_slice(self.version);
        out.push(self.digest.len() as u8);
        out.extend_from_slice(self.digest);
        out.push(self.subject.len() as u8);
        out.extend_from_slice(self.subject);
        out.extend_from_slice(self.key);
    }

    /// Decodes a row's value.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        Self::read(&mut reader).ok_or_else(|| Error::corrupt_index("a row is cut short or too long"))
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
            key: self.key.to_vec(),
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
        Row { flags, size: Some(0), key: &[], version: &[], digest: commitment, subject: &[], ..*self }
    }

    /// Returns the commitment that is left of a registration that moved; `None` if it did not move.
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
            start: reader.timestamp()?,
            floor: wire::decode_floor(reader.i64()?),
            ceiling: wire::decode_ceiling(reader.i64()?),
            size: wire::decode_size(reader.u64()?),
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
