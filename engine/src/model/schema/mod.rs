//! Layout of every key and value in the index, byte for byte.
//!
//! All integers are big-endian, so that byte order is number order. `docs/layout.md` draws each layout.

mod counts;
mod ended;
mod feed;
mod former;
mod intent;
mod key_index;
mod links;
mod log;
mod meta;
mod page;
mod root;
mod row;
mod shape;
mod stored_links;

pub use self::counts::Counts;
pub(crate) use self::counts::RegisteredTotals;
pub use self::ended::Ended;
pub(crate) use self::ended::{ended_bucket, ended_key, ended_key_at, ended_range, ended_range_from};
pub(crate) use self::feed::{feed_key, feed_range, feed_value, parse_feed_key, split_feed_value};
pub(crate) use self::former::{FORMERS, FormerLog};
pub(crate) use self::intent::{Intent, PageRows};
pub(crate) use self::key_index::{
    FINGERPRINT_BYTES, FIRST_ID, LOCATOR_KEY_BYTES, PENDING_PREFIX, locator_key, parse_locator_key,
    parse_pending_key, pending_key, pending_range,
};
pub(crate) use self::links::Links;
pub(crate) use self::log::{decode_log_head, encode_log_head, entry_key, node_key};
pub(crate) use self::meta::{
    ABSENCE_ACCEPTED, ALARMS, BATCH, CLASSES, CLOCK, CLOSED, DISOWNED, DOUBT, DOUBT_ENDED, EPOCH, ERA, FEED,
    HOLDS, INTENTS, JUMPS, LIMITS, LOG, REQUEST, REQUESTS, ROOTS, SHAPE, absence_accepted_class,
    absence_accepted_key, alarm_key, class_decision_key, class_key, closed_key, closed_name, counts_key,
    decode_instant, decode_number, encode_instant, encode_number, event_key, event_value, hold_key,
    intent_key, page_key, parse_request_object_key, registered_totals_key, request_key, request_object_key,
    request_object_range, request_objects_after, split_event_value,
};
pub(crate) use self::page::{
    Arrivals, Mark, PageRecord, Settled, class_page_range, mark_key, page_registration_range, parse_mark_key,
    settled_key, settled_page, settled_part_range,
};
pub use self::root::{AcceptedRoot, RootSource};
pub(crate) use self::root::{decode_root, encode_root, root_key};
pub(crate) use self::row::{Doubt, Flags, Origin, Row, page_row_range, parse_row_key, row_key, row_seq};
pub(crate) use self::shape::{ClassRecord, Shape};
pub use self::stored_links::StoredLinks;

use crate::platform::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sexton_proof::time::Timestamp;
use std::ops::Range;

/// Returns the first key behind every key that begins with `prefix`.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < 0xff {
            next.push(last + 1);
            return next;
        }
    }
    // Only 0xff, or empty: a key longer than any key of the index.
    vec![0xff; 64]
}

/// Returns the range of all keys that begin with `prefix`; of all keys if it is empty.
pub(crate) fn prefix_range(prefix: &[u8]) -> Range<Vec<u8>> {
    prefix.to_vec()..successor(prefix)
}

/// Encodes a hold, a request, an alarm or a feed entry as JSON.
pub(crate) fn to_json<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|e| Error::internal(format!("a record cannot be written: {e}")))
}

/// Decodes a JSON record; `what` names it in the error.
pub(crate) fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::corrupt_index(format!("the record of {what} is malformed ({e})")))
}

/// Takes typed values off the front of bytes. Each method returns `None` if the bytes run out.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// Takes a big-endian `u16`.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian `u32`.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a big-endian `u64`.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes a big-endian `i64`.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Takes an instant: a big-endian `i64` of Unix ms.
    pub(crate) fn timestamp(&mut self) -> Option<Timestamp> {
        self.array().map(Timestamp::from_be_bytes)
    }

    /// Takes `n` bytes.
    pub(crate) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    /// Takes a *bytes8*: a length of one byte, and that many bytes.
    pub(crate) fn bytes8(&mut self) -> Option<&'a [u8]> {
        let [n] = self.array()?;
        self.bytes(n.into())
    }

    /// Takes a *bytes16*: a length of two bytes, and that many bytes.
    pub(crate) fn bytes16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.bytes(n.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_of_prefix_is_the_next_key_of_that_length() {
        assert_eq!(successor(b"ab"), b"ac");
        assert_eq!(successor(&[1, 0xff, 0xff]), [2]);
    }

    #[test]
    fn successor_of_empty_or_all_ff_is_behind_every_key() {
        for prefix in [&[][..], &[0xff, 0xff]] {
            assert!(successor(prefix)[..] > [0xff; 24][..]);
        }
    }
}
