//! Every key and value of the index, byte for byte. All integers big-endian, so that byte order is number order.

mod counts;
mod intent;
mod page;
mod row;

pub use self::counts::Counts;
pub(crate) use self::counts::Tally;
pub(crate) use self::intent::{Intent, PageRows};
pub(crate) use self::page::{Arrivals, Mark, PageRecord, Settled};
pub(crate) use self::row::{Flags, Row};

use crate::class::{Find, Local};
use crate::error::{Error, Result};
use crate::kv::LOCATOR_PREFIX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use std::ops::Range;

// --- rows: slot u64 · shard u16 · part u16 · seq u32 -> row -------------------------------------------------------

/// Bytes of a row's key: the registration id without its class, which is the family.
pub(crate) const ROW_KEY_BYTES: usize = 16;

pub(crate) fn row_key(id: RegistrationId) -> [u8; ROW_KEY_BYTES] {
    let mut key = [0; ROW_KEY_BYTES];
    key.copy_from_slice(&id.to_bytes()[4..]);
    key
}

pub(crate) fn row_id(class: ClassId, key: &[u8]) -> Result<RegistrationId> {
    let mut bytes = [0; 20];
    if key.len() != ROW_KEY_BYTES {
        return Err(Error::corrupt(format!("a row key of class {class} has {} bytes, not 16", key.len())));
    }
    bytes[..4].copy_from_slice(&class.to_be_bytes());
    bytes[4..].copy_from_slice(key);
    Ok(RegistrationId::from_bytes(&bytes))
}

/// The keys of all rows of a page.
pub(crate) fn page_rows(page: PageId) -> Range<Vec<u8>> {
    let from = row_key(RegistrationId { page, seq: 0 });
    from.to_vec()..successor(&from[..12])
}

/// The first key behind every key that begins with `prefix`.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < 0xff {
            next.push(last + 1);
            return next;
        }
    }
    // Nothing but 0xff: a key longer than any of ours.
    vec![0xff; 64]
}

// --- marks and settled pages, by page id --------------------------------------------------------------------------

/// The keys of everything that is kept per registration of a page in a family keyed by whole registration ids.
pub(crate) fn page_registrations(page: PageId) -> Range<Vec<u8>> {
    let from = page.to_bytes();
    RegistrationId { page, seq: 0 }.to_bytes().to_vec()..successor(&from)
}

/// The registration that a mark stands under.
pub(crate) fn mark_id(key: &[u8]) -> Result<RegistrationId> {
    let id = key.as_array().map(RegistrationId::from_bytes);
    id.ok_or_else(|| Error::corrupt("the mark of a registration is malformed"))
}

/// The keys of all settled pages of a class that share slot and shard.
pub(crate) fn settled_parts(page: PageId) -> Range<Vec<u8>> {
    let from = page.to_bytes();
    from[..14].to_vec()..successor(&from[..14])
}

/// The keys of all pages of a class in a family keyed by page ids.
pub(crate) fn class_pages(class: ClassId) -> Range<Vec<u8>> {
    class.to_be_bytes().to_vec()..successor(&class.to_be_bytes())
}

// --- locator: keyed hash of the key (16 bytes) · registration id -> nothing ---------------------------------------

/// Bytes of the keyed hash by which an object's key is found.
pub(crate) const FINGERPRINT_BYTES: usize = LOCATOR_PREFIX;

/// Bytes of an entry's key.
pub(crate) const LOCATOR_KEY_BYTES: usize = FINGERPRINT_BYTES + 20;

pub(crate) fn locator_key(
    fingerprint: &[u8; FINGERPRINT_BYTES],
    id: RegistrationId,
) -> [u8; LOCATOR_KEY_BYTES] {
    let mut key = [0; LOCATOR_KEY_BYTES];
    key[..FINGERPRINT_BYTES].copy_from_slice(fingerprint);
    key[FINGERPRINT_BYTES..].copy_from_slice(&id.to_bytes());
    key
}

/// The fingerprint and the registration of an entry.
pub(crate) fn locator_entry(key: &[u8]) -> Result<([u8; FINGERPRINT_BYTES], RegistrationId)> {
    let entry = key.split_first_chunk().and_then(|(fingerprint, id)| Some((*fingerprint, id.as_array()?)));
    entry.map(|(fingerprint, id)| (fingerprint, RegistrationId::from_bytes(id))).ok_or_else(|| {
        Error::corrupt("an entry by which a key is found is malformed; see Backups in docs/operations.md")
    })
}

/// The first registration id of all.
pub(crate) const FIRST_ID: RegistrationId =
    RegistrationId { page: PageId { class: 0, slot: 0, shard: 0, part: 0 }, seq: 0 };

// --- notes: shard u16 · generation u64 · first registration id -> locator keys that are in no run yet -------------

/// Bytes of a note's key that all entries of a write share.
pub(crate) const NOTE_PREFIX: usize = 10;

/// `id` makes the key another one than that of every other write: no id is given twice.
pub(crate) fn note_key(shard: u16, generation: u64, id: RegistrationId) -> [u8; NOTE_PREFIX + 20] {
    let mut key = [0; NOTE_PREFIX + 20];
    key[..2].copy_from_slice(&shard.to_be_bytes());
    key[2..NOTE_PREFIX].copy_from_slice(&generation.to_be_bytes());
    key[NOTE_PREFIX..].copy_from_slice(&id.to_bytes());
    key
}

/// The keys of a shard's notes up to a generation.
pub(crate) fn notes(shard: u16, generation: u64) -> Range<Vec<u8>> {
    let last = note_key(shard, generation, FIRST_ID);
    shard.to_be_bytes().to_vec()..successor(&last[..NOTE_PREFIX])
}

/// Shard and generation of a note.
pub(crate) fn note_of(key: &[u8]) -> Result<(u16, u64)> {
    let mut reader = Reader(key);
    let read = |r: &mut Reader<'_>| Some((r.u16()?, r.u64()?)).filter(|_| r.0.len() == 20);
    read(&mut reader).ok_or_else(|| {
        Error::corrupt("a note of what finds a key is malformed; see Backups in docs/operations.md")
    })
}

// --- log ----------------------------------------------------------------------------------------------------------

pub(crate) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The hash of the complete subtree (level, index) of the log.
pub(crate) fn node_key(level: u8, index: u64) -> [u8; 10] {
    let mut key = [1; 10];
    key[1] = level;
    key[2..].copy_from_slice(&index.to_be_bytes());
    key
}

// --- meta ---------------------------------------------------------------------------------------------------------

pub(crate) const SHAPE: &[u8] = b"shape";
pub(crate) const EPOCH: &[u8] = b"epoch";
pub(crate) const LOG: &[u8] = b"log";
pub(crate) const BATCH: &[u8] = b"batch";
/// The number of the last entry of the feed.
pub(crate) const FEED: &[u8] = b"feed";
/// The number of the last request.
pub(crate) const REQUEST: &[u8] = b"request";
/// The last trusted wall time, to know after a restart how long the engine was off.
pub(crate) const CLOCK: &[u8] = b"clock";

pub(crate) fn class_key(id: ClassId) -> Vec<u8> {
    [b"class/", &id.to_be_bytes()[..]].concat()
}

pub(crate) fn intent_key(batch: u64) -> Vec<u8> {
    [b"intent/", &batch.to_be_bytes()[..]].concat()
}

pub(crate) fn page_key(page: PageId) -> Vec<u8> {
    [b"page/", &page.to_bytes()[..]].concat()
}

pub(crate) fn counts_key(class: ClassId) -> Vec<u8> {
    [b"counts/", &class.to_be_bytes()[..]].concat()
}

/// What was ever registered in a class and shard.
pub(crate) fn tally_key(class: ClassId, shard: u16) -> Vec<u8> {
    [b"tally/", &class.to_be_bytes()[..], &shard.to_be_bytes()].concat()
}

pub(crate) fn hold_key(id: &[u8; 16]) -> Vec<u8> {
    [b"hold/", &id[..]].concat()
}

pub(crate) fn request_key(number: u32) -> Vec<u8> {
    [b"request/", &number.to_be_bytes()[..]].concat()
}

pub(crate) fn closed_key(class: &str) -> Vec<u8> {
    [b"closed/", class.as_bytes()].concat()
}

/// What opens the commitment of an event in the log.
pub(crate) fn event_key(leaf: u64) -> Vec<u8> {
    [b"event/", &leaf.to_be_bytes()[..]].concat()
}

pub(crate) fn alarm_key(id: &[u8; 16]) -> Vec<u8> {
    [b"alarm/", &id[..]].concat()
}

// --- requests: request u32 · registration id -> key ---------------------------------------------------------------

pub(crate) fn item_key(request: u32, id: RegistrationId) -> Vec<u8> {
    [&request.to_be_bytes()[..], &id.to_bytes()].concat()
}

/// The keys of all items of a request.
pub(crate) fn items(request: u32) -> Range<Vec<u8>> {
    prefix(&request.to_be_bytes())
}

/// The registration of an item.
pub(crate) fn item_id(key: &[u8]) -> Result<RegistrationId> {
    let id = key.last_chunk().filter(|_| key.len() == 24).map(RegistrationId::from_bytes);
    id.ok_or_else(|| Error::corrupt("an item of a request is malformed"))
}

// --- what operators said, as JSON ---------------------------------------------------------------------------------

pub(crate) fn to_json<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|e| Error::internal(format!("a record cannot be written: {e}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::corrupt(format!("the record of {what} is malformed ({e}); see Backups in docs/operations.md"))
    })
}

pub(crate) fn prefix(name: &[u8]) -> Range<Vec<u8>> {
    name.to_vec()..successor(name)
}

/// What is kept of a class version beside its leaf: what is nobody's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassRecord {
    /// Index of the leaf that defined it.
    pub(crate) leaf: u64,
    pub(crate) local: Local,
}

impl ClassRecord {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = self.leaf.to_be_bytes().to_vec();
        out.extend_from_slice(&[u8::from(self.local.find == Find::Key), u8::from(self.local.feed)]);
        out.extend(self.local.remember.iter().flat_map(|span| span.to_string().into_bytes()));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| {
            let leaf = r.u64()?;
            let [find @ (0 | 1), feed @ (0 | 1)] = r.array()? else { return None };
            let find = if find == 1 { Find::Key } else { Find::None };
            let remember = match r.0 {
                [] => None,
                text => Some(std::str::from_utf8(text).ok()?.parse().ok()?),
            };
            Some(ClassRecord { leaf, local: Local { find, feed: feed == 1, remember } })
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("the record of a class is malformed"))
    }
}

/// What shapes the data and can never change afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) shards: u16,
    /// Under which keys are hashed to shards and fingerprints.
    pub(crate) secret: [u8; 32],
    pub(crate) origin: String,
}

impl Shape {
    /// 0 was that of builds whose commitments were made otherwise.
    const FORMAT: u8 = 1;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let shards = self.shards.to_be_bytes();
        [&[Self::FORMAT], &shards[..], &self.secret, self.origin.as_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let format = reader.array::<1>();
        if format.is_some_and(|[found]| found != Self::FORMAT) {
            return Err(Error::invalid(format!(
                "the data folder has format {}; this version reads format {}: open it with the release that made it",
                bytes.first().copied().unwrap_or_default(),
                Self::FORMAT
            )));
        }
        let read = |r: &mut Reader<'_>| {
            let (shards, secret) = (r.u16()?, r.array()?);
            Some(Shape { shards, secret, origin: String::from_utf8(r.0.to_vec()).ok()? })
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("the record of the data's shape is malformed"))
    }
}

/// Takes typed values off the front of bytes; `None` where they run out.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn bytes8(&mut self) -> Option<&'a [u8]> {
        let [n] = self.array()?;
        self.bytes(n.into())
    }
}
