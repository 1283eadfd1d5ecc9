//! The feed: deletions in the order of their commits, for telling third parties. Opt-in per class, encrypted at rest,
//! written in the commit that ends the objects, kept until it is acknowledged.

use crate::core::{Core, Ledger};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::evidence::{Evidence, Fate};
use crate::files::{Access, Files};
use crate::keyring::Key;
use crate::kv::{Family, Order, WriteSet};
use crate::schema::{self, Row};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use sexton_proof::record::Method;
use std::ops::ControlFlow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the feed's key lies under the data folder.
const KEY_PATH: &str = "keys/feed.key";
const TITLE: &str = "sexton feed key v0";
const CONTEXT: &str = "sexton v1 feed";
/// Most entries of one call.
pub const FEED_MAX: usize = 10_000;

/// One deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Its number: entries come in this order, from 1, without gaps.
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
    /// How it ended: `deleted`, `absent`, `absent-after-intent`, `released` or `anonymised`.
    pub method: String,
    /// Why it ended.
    pub reason: String,
    /// When that was known, Unix ms.
    pub time_ms: i64,
}

/// The key of the feed, made where the folder is new.
pub(crate) fn load_key(files: &dyn Files, entropy: &dyn Entropy, last: u64) -> Result<Key> {
    let unusable =
        |why: &str| Error::corrupt(format!("the feed's key {KEY_PATH} {why}; restore its own backup"));
    if let Some(bytes) = files.read(KEY_PATH)? {
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| unusable("is not text"))?);
        let mut key = Zeroizing::new([0; 32]);
        let line = text.lines().nth(1).and_then(|line| line.strip_prefix("key "));
        let decoded = line.map(|line| hex::decode_to_slice(line, &mut key[..]));
        if !matches!(decoded, Some(Ok(()))) || *text != *key_text(&key) {
            return Err(unusable("is malformed or does not match its own checksum"));
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
    let body = Zeroizing::new(format!("{TITLE}\nkey {}\n", *Zeroizing::new(hex::encode(key))));
    Zeroizing::new(format!("{}check {}\n", *body, blake3::hash(body.as_bytes()).to_hex()))
}

/// Stages an entry for every object that ended in this batch, behind `last`; gives the new last number.
pub(crate) fn stage(core: &Core, set: &mut WriteSet, evidence: &Evidence, last: u64) -> Result<u64> {
    let batch = &evidence.batch;
    if !batch.class.definition.feed {
        return Ok(last);
    }
    let salt = core.entropy.secret()?;
    let mut number = last;
    for (planned, fate) in batch.rows.iter().zip(&evidence.fates.of) {
        let Fate::Ends { method, time_ms } = *fate else { continue };
        if method == Method::Replaced {
            continue;
        }
        number += 1;
        let entry = entry(batch.class(), &batch.row(planned), method, time_ms);
        let mut bytes = schema::to_json(&entry)?;
        apply_keystream(&core.feed_key, &salt, number, &mut bytes);
        set.put(Family::Feed, &number.to_be_bytes(), &[&salt[..], &bytes].concat());
    }
    set.put(Family::Meta, schema::FEED, &number.to_be_bytes());
    Ok(number)
}

fn entry(class: &str, row: &Row<'_>, method: Method, time_ms: i64) -> FeedEntry {
    FeedEntry {
        number: 0,
        class: class.to_owned(),
        key: row.key.to_vec(),
        version: row.version.to_vec(),
        method: method.name().to_owned(),
        reason: row.reason.name().to_owned(),
        time_ms,
    }
}

/// Each entry has a key of its own, so the nonce may be zero.
fn apply_keystream(key: &[u8; 32], salt: &[u8], number: u64, bytes: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(key).update(salt).update(&number.to_be_bytes());
    let key = Zeroizing::new(*hasher.finalize().as_bytes());
    ChaCha20::new((&*key).into(), &[0; 12].into()).apply_keystream(bytes);
}

/// Up to `max` entries behind `after`, in order.
pub(crate) fn read(core: &Core, after: u64, max: usize) -> Result<Vec<FeedEntry>> {
    let mut sealed: Vec<(u64, Vec<u8>)> = Vec::new();
    if max == 0 {
        return Ok(Vec::new());
    }
    let from = after.saturating_add(1).to_be_bytes();
    core.kv.scan(Family::Feed, &from..&schema::successor(&[]), Order::Ascending, &mut |key, value| {
        sealed.extend(key.try_into().ok().map(|key| (u64::from_be_bytes(key), value.to_vec())));
        if sealed.len() < max.min(FEED_MAX) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let open = |(number, value): (u64, Vec<u8>)| -> Result<FeedEntry> {
        let (salt, bytes) =
            value.split_at_checked(32).ok_or_else(|| Error::corrupt("an entry of the feed is cut short"))?;
        let mut bytes = bytes.to_vec();
        apply_keystream(&core.feed_key, salt, number, &mut bytes);
        let entry: FeedEntry = schema::from_json("an entry of the feed", &bytes)?;
        Ok(FeedEntry { number, ..entry })
    };
    sealed.into_iter().map(open).collect()
}

/// Forgets every entry up to `number`: whoever was to hear of them has.
pub(crate) fn acknowledge(core: &Core, ledger: &Ledger, number: u64) -> Result<()> {
    if number > ledger.feed {
        return Err(Error::invalid(format!(
            "entry {number} was never given; the last one is {}",
            ledger.feed
        )));
    }
    let mut set = WriteSet::default();
    set.delete_range(Family::Feed, &[]..&number.saturating_add(1).to_be_bytes());
    core.writer.write_durably(set)
}
