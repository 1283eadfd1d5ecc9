//! Feed: deletions in the order of their commits, for the host to pass on to third parties.
//!
//! A class opts in. The entries are encrypted at rest, written in the commit that ends the objects, and stored until they are
//! acknowledged.

use crate::enforcement::evidence::Evidence;
use crate::model::schema::{self, Row};
use crate::platform::entropy::Entropy;
use crate::platform::error::{Error, Result};
use crate::platform::files::{Access, Files};
use crate::platform::kv::{ColumnFamily, Order, WriteSet};
use crate::state::core::{Core, Ledger};
use crate::state::keyring::Key;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use sexton_proof::checked_text::{self, FEED_KEY_TITLE};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Path of the feed's key below the data folder.
pub(crate) const KEY_PATH: &str = "keys/feed.key";
/// Context in which the keys of entries are derived.
const CONTEXT: &str = "sexton v1 feed";
/// Limit on the entries of one call.
pub const FEED_MAX: usize = 10_000;

/// Deletion of an object in the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FeedEntry {
    /// Number of the entry. Entries are numbered from 1 in the order of their commits, without gaps.
    #[serde(skip)]
    pub number: u64,
    /// Name of the class.
    pub class: String,
    /// Key of the object.
    #[serde(with = "hex::serde")]
    pub key: Vec<u8>,
    /// Version of the object.
    #[serde(with = "hex::serde")]
    pub version: Vec<u8>,
    /// Method by which it ended: `deleted`, `absent`, `absent-after-intent`, `released`,
    /// `anonymised` or `requested`. Of a requested one it is not known if the store had it.
    pub method: String,
    /// Reason for which it ended.
    pub reason: String,
    /// Instant at which its end was known.
    #[serde(rename = "time_ms")]
    pub time: Timestamp,
    /// Registration that ended, for its receipt. `None` in an entry of a release that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "id_text")]
    pub id: Option<RegistrationId>,
}

/// Stores a registration id as its text.
mod id_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use sexton_proof::id::RegistrationId;

    pub(super) fn serialize<S: Serializer>(id: &Option<RegistrationId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<RegistrationId>, D::Error> {
        String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
    }
}

/// Loads the key of the feed, or makes it if no entry was ever written. `last` is the number of the last entry.
///
/// # Errors
/// `Full`, `Io`; `Corrupt` if the key is malformed, or missing though entries were written.
pub(crate) fn load_key(files: &dyn Files, entropy: &dyn Entropy, last: u64) -> Result<Key> {
    let unusable =
        |why: &str| Error::corrupt(format!("the feed's key {KEY_PATH} {why}; restore its own backup"));
    if let Some(bytes) = files.read(KEY_PATH)? {
        let bytes = Zeroizing::new(bytes);
        let body = checked_text::parse(&bytes, FEED_KEY_TITLE).map_err(|e| unusable(&e.to_string()))?;
        let mut key = Zeroizing::new([0; 32]);
        let digits = body.strip_prefix("key ").and_then(|line| line.strip_suffix('\n'));
        let decoded = digits.map(|digits| hex::decode_to_slice(digits, &mut key[..]));
        // The key has one valid encoding.
        if !matches!(decoded, Some(Ok(()))) || *bytes != key_text(&key).as_bytes() {
            return Err(unusable("is malformed"));
        }
        return Ok(Arc::new(key));
    }
    if last > 0 {
        return Err(unusable("is missing"));
    }
    let key = Arc::new(Zeroizing::new(entropy.secret()?));
    files.replace(KEY_PATH, key_text(&key).as_bytes(), Access::Private)?;
    Ok(key)
}

fn key_text(key: &[u8; 32]) -> Zeroizing<String> {
    // Growing would leave a copy of the key in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(256));
    // Writing to a String cannot fail.
    let _ = write!(text, "{FEED_KEY_TITLE}\nkey {}\n", *Zeroizing::new(hex::encode(key)));
    checked_text::append_check(&mut text);
    text
}

/// Stages an entry for every object that ends with this batch, numbered from `last` on. Returns the new last number.
pub(crate) fn stage_entries(core: &Core, set: &mut WriteSet, evidence: &Evidence, last: u64) -> Result<u64> {
    let batch = &evidence.batch;
    if !batch.class.definition.feed {
        return Ok(last);
    }
    let salt = core.entropy.secret()?;
    let mut number = last;
    for (planned, method, time) in evidence.ended_objects() {
        number += 1;
        let entry = entry(batch.class(), batch.id(planned), &batch.row(planned), method, time);
        let mut bytes = schema::to_json(&entry)?;
        apply_keystream(&core.secrets.feed, &salt, number, &mut bytes);
        set.put(ColumnFamily::Feed, &schema::feed_key(number), &schema::feed_value(&salt, &bytes));
    }
    set.put(ColumnFamily::Meta, schema::FEED, &schema::encode_number(number));
    Ok(number)
}

fn entry(class: &str, id: RegistrationId, row: &Row<'_>, method: Method, time: Timestamp) -> FeedEntry {
    FeedEntry {
        number: 0,
        class: class.to_owned(),
        key: row.names().first.to_vec(),
        version: row.version.to_vec(),
        method: method.name().to_owned(),
        reason: row.end_reason().name().to_owned(),
        time,
        id: Some(id),
    }
}

/// Encrypts or decrypts an entry. Each entry has a key of its own, so the nonce may be zero.
fn apply_keystream(key: &[u8; 32], salt: &[u8], number: u64, bytes: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(key).update(salt).update(&number.to_be_bytes());
    let key = Zeroizing::new(*hasher.finalize().as_bytes());
    ChaCha20::new((&*key).into(), &[0; 12].into()).apply_keystream(bytes);
}

/// Returns the entries after number `after`, in order: at most `max`, and at most [`FEED_MAX`].
pub(crate) fn read(core: &Core, after: u64, max: usize) -> Result<Vec<FeedEntry>> {
    let mut sealed: Vec<(u64, Vec<u8>)> = Vec::new();
    if max == 0 {
        return Ok(Vec::new());
    }
    let from = schema::feed_key(after.saturating_add(1));
    core.kv.scan(
        ColumnFamily::Feed,
        &from..&schema::successor(&[]),
        Order::Ascending,
        &mut |key, value| {
            sealed.extend(schema::parse_feed_key(key).map(|number| (number, value.to_vec())));
            if sealed.len() < max.min(FEED_MAX) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    )?;
    let open = |(number, value): (u64, Vec<u8>)| -> Result<FeedEntry> {
        let (salt, bytes) = schema::split_feed_value(&value)?;
        let mut bytes = bytes.to_vec();
        apply_keystream(&core.secrets.feed, salt, number, &mut bytes);
        let entry: FeedEntry = schema::from_json("an entry of the feed", &bytes)?;
        Ok(FeedEntry { number, ..entry })
    };
    sealed.into_iter().map(open).collect()
}

/// Forgets every entry up to and including `number`, durably. The host calls it once it has informed all third parties.
///
/// # Errors
/// `Invalid` if no entry has the number yet; `Poisoned`, `Full`, `Io`.
pub(crate) fn acknowledge(core: &Core, ledger: &Ledger, number: u64) -> Result<()> {
    if number > ledger.feed {
        return Err(Error::invalid(format!("the feed has no entry {number}; its last is {}", ledger.feed)));
    }
    let mut set = WriteSet::default();
    let acknowledged = schema::feed_range(number);
    set.delete_range(ColumnFamily::Feed, &acknowledged.start..&acknowledged.end);
    core.writer.write_durably(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_without_registration_is_read() {
        let text = r#"{"class":"c","key":"61","version":"","method":"deleted","reason":"due","time_ms":7}"#;
        let entry: FeedEntry = serde_json::from_str(text).unwrap();
        assert_eq!((entry.id, &entry.key[..]), (None, &b"a"[..]));
        let entry = FeedEntry { id: Some(RegistrationId::from_bytes(&[7; 20])), ..entry };
        let again: FeedEntry = serde_json::from_slice(&schema::to_json(&entry).unwrap()).unwrap();
        assert_eq!(again, entry);
    }
}
