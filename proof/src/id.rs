//! Names and limits: class, page and registration ids, and the sizes that no object may exceed.
//!
//! Byte layouts are those of `docs/format.md` §1. Every id is big-endian, so the order of the bytes is the order of
//! the fields, in memory as in the index.

use std::fmt;
use std::str::FromStr;

/// Number of a class version, given in the order of class leaves, from 1, never given twice.
pub type ClassId = u32;

/// Floor of an object whose class promises none, in Unix milliseconds.
pub const NO_FLOOR: i64 = i64::MIN;
/// Ceiling of an object whose class promises none, in Unix milliseconds.
pub const NO_CEILING: i64 = i64::MAX;
/// Size of an object whose size the host did not give, in bytes.
pub const SIZE_UNKNOWN: u64 = u64::MAX;

/// Longest key of an object, in bytes; the shortest has one.
pub const KEY_MAX_BYTES: usize = 1024;
/// Longest version of an object, in bytes; it may be empty.
pub const VERSION_MAX_BYTES: usize = 64;
/// Longest digest of an object, in bytes; it may be empty.
pub const DIGEST_MAX_BYTES: usize = 64;
/// Longest origin line of a log, in bytes; the shortest has one.
pub const ORIGIN_MAX_BYTES: usize = 255;

/// A page: the registrations of one (class version, slot, shard, part).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// The class version.
    pub class: ClassId,
    /// The instant at which the slot begins, Unix milliseconds.
    pub slot: u64,
    /// The shard, a fixed fraction of all keys.
    pub shard: u16,
    /// Which part of the slot in that shard, from 0.
    pub part: u16,
}

impl PageId {
    /// Length of [`PageId::to_bytes`].
    pub const BYTES: usize = 16;

    /// class u32 ‖ slot u64 ‖ shard u16 ‖ part u16.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0..4].copy_from_slice(&self.class.to_be_bytes());
        out[4..12].copy_from_slice(&self.slot.to_be_bytes());
        out[12..14].copy_from_slice(&self.shard.to_be_bytes());
        out[14..16].copy_from_slice(&self.part.to_be_bytes());
        out
    }

    /// The page of these bytes; every 16 bytes name one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [c0, c1, c2, c3, s0, s1, s2, s3, s4, s5, s6, s7, h0, h1, p0, p1] = *bytes;
        Self {
            class: u32::from_be_bytes([c0, c1, c2, c3]),
            slot: u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            shard: u16::from_be_bytes([h0, h1]),
            part: u16::from_be_bytes([p0, p1]),
        }
    }
}

impl std::fmt::Display for PageId {
    /// For people: `class/slot/shard/part`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.class, self.slot, self.shard, self.part)
    }
}

/// A registration: a page and the number of the registration in it, from 0. As text its 20 bytes in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId {
    /// The page that the registration was appended to.
    pub page: PageId,
    /// Its number in the page.
    pub seq: u32,
}

impl RegistrationId {
    /// Length of [`RegistrationId::to_bytes`].
    pub const BYTES: usize = PageId::BYTES + 4;

    /// page id ‖ seq u32.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..PageId::BYTES].copy_from_slice(&self.page.to_bytes());
        out[PageId::BYTES..].copy_from_slice(&self.seq.to_be_bytes());
        out
    }

    /// The registration of these bytes; every 20 bytes name one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut page = [0; PageId::BYTES];
        page.copy_from_slice(&bytes[..PageId::BYTES]);
        let mut seq = [0; 4];
        seq.copy_from_slice(&bytes[PageId::BYTES..]);
        Self { page: PageId::from_bytes(&page), seq: u32::from_be_bytes(seq) }
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for RegistrationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match parse_hex(text) {
            Some(bytes) => Ok(Self::from_bytes(&bytes)),
            None => Err(IdError { found: excerpt(text) }),
        }
    }
}

/// A text that is not a registration id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a registration id is 40 digits of lower-case hex, found {found:?}")]
pub struct IdError {
    /// The text, cut short.
    pub found: String,
}

/// A field longer or shorter than the format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} has {length} bytes, allowed are {min} to {max}")]
pub struct LimitError {
    /// Name of the field.
    pub field: &'static str,
    /// Its length in bytes.
    pub length: usize,
    /// The least length allowed, in bytes.
    pub min: usize,
    /// The greatest length allowed, in bytes.
    pub max: usize,
}

/// Refuses a field outside `min` to `max` bytes.
pub(crate) fn limit(field: &'static str, length: usize, min: usize, max: usize) -> Result<(), LimitError> {
    if length < min || length > max {
        return Err(LimitError { field, length, min, max });
    }
    Ok(())
}

/// Folder path of a batch's files: the number in groups of three digits as in C2SP tlog-tiles, `x001/x234/067`.
#[must_use]
pub fn batch_path(number: u64) -> String {
    crate::tile::index_path(number)
}

/// Exactly `N` bytes in lower-case hex, or nothing.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// At most 64 characters of a refused text, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Bytes that somebody chose, such as an object's key, as text for people. Nothing in it can move a terminal's cursor.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
#[path = "vectors.rs"]
pub(crate) mod vectors;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_have_the_bytes_of_the_format() {
        let page = PageId { class: 0x0102_0304, slot: 0x0506_0708_090a_0b0c, shard: 0x0d0e, part: 0x0f10 };
        let bytes: Vec<u8> = (1..=16).collect();
        assert_eq!(page.to_bytes().as_slice(), bytes);
        let id = RegistrationId { page, seq: 0x1112_1314 };
        assert_eq!(id.to_string(), "0102030405060708090a0b0c0d0e0f1011121314");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn only_forty_lower_case_hex_digits_are_a_registration_id() {
        let good = "0102030405060708090a0b0c0d0e0f1011121314";
        assert!(good.parse::<RegistrationId>().is_ok());
        for bad in [
            "",
            " 0102030405060708090a0b0c0d0e0f1011121314",
            "0102030405060708090A0b0c0d0e0f1011121314",
            "0102030405060708090a0b0c0d0e0f101112131",
            "0102030405060708090a0b0c0d0e0f10111213140",
            "0102030405060708090a0b0c0d0e0f101112131400",
            "0102030405060708090a0b0c0d0e0f101112131g",
            "0102030405060708090a0b0c0d0e0f10111213é",
        ] {
            assert!(bad.parse::<RegistrationId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_batch_path_is_that_of_the_format() {
        assert_eq!(batch_path(1_234_067), "x001/x234/067");
        assert_eq!(batch_path(1), "001");
    }

    proptest! {
        #[test]
        fn the_order_of_ids_is_the_order_of_their_bytes(a: [u8; 20], b: [u8; 20]) {
            let (x, y) = (RegistrationId::from_bytes(&a), RegistrationId::from_bytes(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_bytes(), a);
            prop_assert_eq!(x.page.cmp(&y.page), a[..16].cmp(&b[..16]));
        }

        #[test]
        fn accepted_id_text_is_the_text_written_again(text in "[0-9a-fA-F ]{38,42}|.{0,60}") {
            if let Ok(id) = text.parse::<RegistrationId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn a_key_cannot_write_to_the_terminal() {
        assert_eq!(printable("kätzchen.jpg".as_bytes()), "kätzchen.jpg");
        assert_eq!(printable(b"a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(printable(b"\xff\n"), "\\xff\\n");
    }
}
