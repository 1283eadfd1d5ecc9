//! Keys and values of the column family `feed`.

use crate::platform::error::{Error, Result};
use std::ops::Range;

/// Bytes of the salt before the ciphertext.
const SALT_BYTES: usize = 32;

/// Returns the key of entry `number`.
pub(crate) fn feed_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Returns the range of the keys of all entries up to `number`, included.
pub(crate) fn feed_range(number: u64) -> Range<Vec<u8>> {
    Vec::new()..feed_key(number.saturating_add(1)).to_vec()
}

/// Returns the number of the entry that a key names.
pub(crate) fn parse_feed_key(key: &[u8]) -> Option<u64> {
    key.as_array().map(|number| u64::from_be_bytes(*number))
}

/// Returns the value of an entry: its salt and the ciphertext of its JSON.
pub(crate) fn feed_value(salt: &[u8; SALT_BYTES], ciphertext: &[u8]) -> Vec<u8> {
    [salt, ciphertext].concat()
}

/// Splits the value of an entry into salt and ciphertext.
pub(crate) fn split_feed_value(value: &[u8]) -> Result<(&[u8; SALT_BYTES], &[u8])> {
    value.split_first_chunk().ok_or_else(|| Error::corrupt("an entry of the feed is cut short"))
}
