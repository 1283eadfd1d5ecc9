//! Ids of classes, pages and registrations, and the limits of an object's fields.
//!
//! Byte layouts are those of `docs/format.md` §1. Every id is big-endian, so its bytes sort as its fields do.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::time::Timestamp;
use crate::visible;

/// Number of a class version, from 1 in the order of class leaves. No number is used twice.
pub type ClassId = u32;

/// Longest key of an object in bytes. The shortest key has one byte.
pub const KEY_MAX_BYTES: usize = 2048;
/// Longest version of an object in bytes. A version may be empty.
pub const VERSION_MAX_BYTES: usize = 1024;
/// Longest digest of an object in bytes. A digest may be empty.
pub const DIGEST_MAX_BYTES: usize = 64;
/// Longest origin line of a log in bytes. The shortest line has one byte.
pub const ORIGIN_MAX_BYTES: usize = 255;

/// Id of a page: the registrations of one (class version, slot, shard, part).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// Class version.
    pub class: ClassId,
    /// Beginning of the slot, Unix milliseconds. [`PageId::slot_start`] returns it as an instant.
    pub slot: u64,
    /// Shard, a fixed fraction of all keys.
    pub shard: u16,
    /// Part of the slot in that shard, from 0.
    pub part: u16,
}

impl PageId {
    /// Length of [`PageId::to_bytes`].
    pub const BYTES: usize = 16;

    /// Returns the beginning of the slot, at most [`Timestamp::MAX`].
    #[inline]
    #[must_use]
    pub fn slot_start(&self) -> Timestamp {
        Timestamp::from_unix_ms(i64::try_from(self.slot).unwrap_or(i64::MAX))
    }

    /// Returns class u32 ‖ slot u64 ‖ shard u16 ‖ part u16.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0..4].copy_from_slice(&self.class.to_be_bytes());
        out[4..12].copy_from_slice(&self.slot.to_be_bytes());
        out[12..14].copy_from_slice(&self.shard.to_be_bytes());
        out[14..16].copy_from_slice(&self.part.to_be_bytes());
        out
    }

    /// Returns the page of these bytes. Every 16 bytes name a page.
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
    /// Writes `class/slot/shard/part`, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.class, self.slot, self.shard, self.part)
    }
}

/// Id of a registration: a page, and a number in it. As text it is its 20 bytes in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId {
    /// Page to which the registration was appended.
    pub page: PageId,
    /// Number of the registration in the page, from 0.
    pub seq: u32,
}

impl RegistrationId {
    /// Length of [`RegistrationId::to_bytes`].
    pub const BYTES: usize = PageId::BYTES + 4;

    /// Returns page id ‖ seq u32.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..PageId::BYTES].copy_from_slice(&self.page.to_bytes());
        out[PageId::BYTES..].copy_from_slice(&self.seq.to_be_bytes());
        out
    }

    /// Returns the registration of these bytes. Every 20 bytes name a registration.
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

/// Error of a text that is not a registration id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a registration id is 40 digits of lower-case hex, found {found:?}")]
pub struct IdError {
    /// Refused text, cut to 64 characters.
    pub found: String,
}

/// Error of a field that is longer or shorter than the format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} has {length} bytes, allowed are {min} to {max}")]
pub struct LimitError {
    /// Name of the field.
    pub field: &'static str,
    /// Length of the field in bytes.
    pub length: usize,
    /// Least length allowed, in bytes.
    pub min: usize,
    /// Greatest length allowed, in bytes.
    pub max: usize,
}

/// Refuses a field outside `min` to `max` bytes.
pub(crate) fn limit(field: &'static str, length: usize, min: usize, max: usize) -> Result<(), LimitError> {
    if length < min || length > max {
        return Err(LimitError { field, length, min, max });
    }
    Ok(())
}

/// Returns the folder path of a batch's files: the number in groups of three digits, such as `x001/x234/067` (C2SP
/// tlog-tiles).
#[must_use]
pub fn batch_path(number: u64) -> String {
    crate::tile::index_path(number)
}

/// Returns the `N` bytes of a text in lower-case hex, or `None` for any other text.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// Returns the number of a text in decimal digits without leading zeros, or `None` for any other text.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Returns at most 64 characters of a refused text, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Returns the visible form of bytes, such as an object's key. Different bytes have different forms: a backslash is
/// doubled, and a byte that is not UTF-8 is `\xff`.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str(r"\\"),
                c => visible::push(&mut out, c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
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
    fn slot_start_beyond_all_instants_is_the_latest_instant() {
        let page = PageId { class: 1, slot: 1_700_000_000_000, shard: 0, part: 0 };
        assert_eq!(page.slot_start(), Timestamp::from_unix_ms(1_700_000_000_000));
        assert_eq!(PageId { slot: u64::MAX, ..page }.slot_start(), Timestamp::MAX);
    }

    #[test]
    fn registration_id_text_is_forty_lower_case_hex_digits() {
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
    fn batch_path_is_that_of_the_format() {
        assert_eq!(batch_path(1_234_067), "x001/x234/067");
        assert_eq!(batch_path(1), "001");
    }

    proptest! {
        #[test]
        fn ids_sort_as_their_bytes_do(a: [u8; 20], b: [u8; 20]) {
            let (x, y) = (RegistrationId::from_bytes(&a), RegistrationId::from_bytes(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_bytes(), a);
            prop_assert_eq!(x.page.cmp(&y.page), a[..16].cmp(&b[..16]));
        }

        #[test]
        fn accepted_id_text_is_written_the_same(text in "[0-9a-fA-F ]{38,42}|.{0,60}") {
            if let Ok(id) = text.parse::<RegistrationId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn printable_key_has_no_hidden_characters() {
        assert_eq!(printable("kätzchen.jpg".as_bytes()), "kätzchen.jpg");
        assert_eq!(printable(b"a\x1b[2Jb\n\x00"), r"a\x1b[2Jb\n\x00");
        assert_eq!(printable("\u{202e}gpj\u{9b}\u{200b}".as_bytes()), r"\u{202e}gpj\u{9b}\u{200b}");
        assert_eq!(printable(b"\xffa\xc3\n\xe4"), r"\xffa\xc3\n\xe4");
        assert_eq!(printable(br"a\nb"), r"a\\nb");
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(b'\\'), Just(b'n'), Just(b'\n'), Just(b'x'), Just(b'0')];
        proptest::collection::vec(byte, 0..6)
    }

    proptest! {
        #[test]
        fn different_bytes_have_different_printable_forms(a in bytes(), b in bytes()) {
            prop_assert_eq!(a == b, printable(&a) == printable(&b));
            prop_assert!(!printable(&a).contains(visible::is_hidden));
        }
    }

    #[test]
    fn printable_keys_that_differ_look_different() {
        let keys =
            [&b"a\nb"[..], br"a\nb", br"a\\nb", b"a\\\nb", b"\xff", br"\xff", b"it's", b"it's\n", b"it\\'s"];
        let texts: std::collections::BTreeSet<String> = keys.iter().map(|key| printable(key)).collect();
        assert_eq!(texts.len(), keys.len(), "{texts:?}");
        assert_eq!((printable(b"a\nb"), printable(br"a\nb")), (r"a\nb".into(), r"a\\nb".into()));
    }

    proptest! {
        #[test]
        fn printable_is_injective(a in "[a\\\\\n\u{e4}x']{0,6}", b in "[a\\\\\n\u{e4}x']{0,6}") {
            prop_assert_eq!(printable(a.as_bytes()) == printable(b.as_bytes()), a == b);
        }
    }
}
