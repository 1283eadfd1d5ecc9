//! Every key and value of the index, byte for byte. All integers big-endian, so that byte order is number order.

use crate::class::Find;
use crate::error::{Error, Result};
use sexton_proof::commitment::Opening;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::window::Bounds;
use std::ops::Range;

// --- rows: slot u64 · shard u16 · part u16 · seq u32 -> row -------------------------------------------------------

/// Bytes of a row's key: the registration id without its class, which is the family.
pub(crate) const ROW_KEY_BYTES: usize = 16;

/// In a row's cause: an attempt failed in a way that leaves open whether the store deleted the object.
pub(crate) const MAYBE_DELETED: u8 = 0x80;

/// What is known of one live object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// 0 for a registration; else the code of the cause for which it was carried here, with [`MAYBE_DELETED`].
    pub(crate) cause: u8,
    /// Deletions tried so far.
    pub(crate) attempts: u8,
    pub(crate) start_ms: i64,
    pub(crate) floor_ms: i64,
    pub(crate) ceiling_ms: i64,
    pub(crate) size_bytes: u64,
    pub(crate) key: &'a [u8],
    pub(crate) version: &'a [u8],
    pub(crate) digest: &'a [u8],
    pub(crate) subject: &'a [u8],
}

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
    let from = row_key(RegistrationId { page, seq: 0 }).to_vec();
    from.clone()..successor(&from[..12])
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

impl<'a> Row<'a> {
    #[expect(clippy::cast_possible_truncation, reason = "lengths were checked at registration")]
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.cause, self.attempts]);
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
        Self::read(&mut reader)
            .ok_or_else(|| Error::corrupt("a row is cut short or too long; restore a backup"))
    }

    /// Whether an earlier attempt of ours may have deleted it.
    pub(crate) fn maybe_deleted(&self) -> bool {
        self.cause & MAYBE_DELETED != 0
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

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [cause, attempts] = reader.array()?;
        let row = Row {
            cause,
            attempts,
            start_ms: reader.i64()?,
            floor_ms: reader.i64()?,
            ceiling_ms: reader.i64()?,
            size_bytes: reader.u64()?,
            version: reader.bytes8()?,
            digest: reader.bytes8()?,
            subject: reader.bytes8()?,
            key: reader.0,
        };
        (!row.key.is_empty()).then_some(row)
    }
}

// --- marks and settled pages, by page id --------------------------------------------------------------------------

/// What stands under a registration that a newer one replaced.
pub(crate) const MARK_REPLACED: &[u8] = &[1];

/// The keys of everything that is kept per registration of a page in a family keyed by whole registration ids.
pub(crate) fn page_registrations(page: PageId) -> Range<Vec<u8>> {
    let from = page.to_bytes();
    RegistrationId { page, seq: 0 }.to_bytes().to_vec()..successor(&from)
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

/// Where the end of a page is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Index of the batch leaf.
    pub(crate) leaf: u64,
    /// The batch that ended it.
    pub(crate) batch: u64,
    /// Its place among the batch's `page` lines.
    pub(crate) ordinal: u32,
}

impl Settled {
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut out = [0; 20];
        out[..8].copy_from_slice(&self.leaf.to_be_bytes());
        out[8..16].copy_from_slice(&self.batch.to_be_bytes());
        out[16..].copy_from_slice(&self.ordinal.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| {
            Some(Settled { leaf: r.u64()?, batch: r.u64()?, ordinal: r.u32()? }).filter(|_| r.0.is_empty())
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("a settled record is malformed"))
    }
}

// --- locator: keyed hash of the key (16 bytes) · registration id -> nothing ---------------------------------------

/// Bytes of the keyed hash by which an object's key is found.
pub(crate) const FINGERPRINT_BYTES: usize = 16;

pub(crate) fn locator_key(fingerprint: &[u8; FINGERPRINT_BYTES], id: RegistrationId) -> Vec<u8> {
    let mut key = Vec::with_capacity(FINGERPRINT_BYTES + 20);
    key.extend_from_slice(fingerprint);
    key.extend_from_slice(&id.to_bytes());
    key
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

pub(crate) fn class_key(id: ClassId) -> Vec<u8> {
    [b"class/", &id.to_be_bytes()[..]].concat()
}

pub(crate) fn intent_key(batch: u64) -> Vec<u8> {
    [b"intent/", &batch.to_be_bytes()[..]].concat()
}

pub(crate) fn carried_page_key(page: PageId) -> Vec<u8> {
    [b"carried/", &page.to_bytes()[..]].concat()
}

pub(crate) fn counts_key(class: ClassId) -> Vec<u8> {
    [b"counts/", &class.to_be_bytes()[..]].concat()
}

pub(crate) fn prefix(name: &[u8]) -> Range<Vec<u8>> {
    name.to_vec()..successor(name)
}

/// What is kept of a class version beside its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassRecord {
    /// Index of the leaf that defined it.
    pub(crate) leaf: u64,
    pub(crate) find: Find,
}

impl ClassRecord {
    pub(crate) fn encode(self) -> [u8; 9] {
        let mut out = [0; 9];
        out[..8].copy_from_slice(&self.leaf.to_be_bytes());
        out[8] = u8::from(self.find == Find::Key);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| {
            let leaf = r.u64()?;
            let find = match r.array()? {
                [0] => Find::None,
                [1] => Find::Key,
                _ => return None,
            };
            r.0.is_empty().then_some(ClassRecord { leaf, find })
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
    const FORMAT: u8 = 0;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let shards = self.shards.to_be_bytes();
        [&[Self::FORMAT], &shards[..], &self.secret, self.origin.as_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let format = reader.array::<1>();
        if format.is_some_and(|[found]| found != Self::FORMAT) {
            return Err(Error::invalid(format!(
                "the data folder has format {}; this version reads format {}",
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

/// A page as an intent names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRows {
    pub(crate) page: PageId,
    /// Its rows: seqs 0 to rows − 1.
    pub(crate) rows: u32,
}

/// What is about to be deleted, durable before the store hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) batch: u64,
    pub(crate) class: ClassId,
    pub(crate) started_ms: i64,
    /// The pages, in ascending order; they settle together.
    pub(crate) pages: Vec<PageRows>,
    /// Pages that take what is carried; known once the store has answered.
    pub(crate) to: Vec<PageRows>,
}

impl Intent {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 20 * (self.pages.len() + self.to.len()));
        out.extend_from_slice(&self.batch.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        out.extend_from_slice(&self.started_ms.to_be_bytes());
        for pages in [&self.pages, &self.to] {
            out.extend_from_slice(&u32::try_from(pages.len()).unwrap_or(u32::MAX).to_be_bytes());
            for page in pages {
                out.extend_from_slice(&page.page.to_bytes());
                out.extend_from_slice(&page.rows.to_be_bytes());
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        Self::read(&mut reader).ok_or_else(|| Error::corrupt("an intent is malformed; restore a backup"))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (batch, class, started_ms) = (reader.u64()?, reader.u32()?, reader.i64()?);
        let mut pages = || -> Option<Vec<PageRows>> {
            let n = reader.u32()?;
            (0..n)
                .map(|_| Some(PageRows { page: PageId::from_bytes(&reader.array()?), rows: reader.u32()? }))
                .collect()
        };
        let (pages, to) = (pages()?, pages()?);
        reader.0.is_empty().then_some(Intent { batch, class, started_ms, pages, to })
    }
}

/// How a class's registrations ended so far. Counts and totals, nothing else, so they may outlive the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deleted by the store.
    pub deleted: u64,
    /// Bytes of those whose size was known.
    pub deleted_bytes: u64,
    /// Not there when they were to be deleted.
    pub absent: u64,
    /// Not there, after an attempt of ours that may have deleted them.
    pub absent_after_intent: u64,
    /// Replaced by a newer registration of the key.
    pub replaced: u64,
    /// Of all that ended: before their floor.
    pub early: u64,
    /// Of all that ended: after their ceiling.
    pub late: u64,
    /// Carried to another page, each time counted.
    pub carried: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 8] {
        [
            &mut self.deleted,
            &mut self.deleted_bytes,
            &mut self.absent,
            &mut self.absent_after_intent,
            &mut self.replaced,
            &mut self.early,
            &mut self.late,
            &mut self.carried,
        ]
    }

    /// Registrations that ended.
    pub fn ended(&self) -> u64 {
        self.deleted + self.absent + self.absent_after_intent + self.replaced
    }

    pub(crate) fn add(&mut self, mut other: Counts) {
        for (mine, theirs) in self.fields().into_iter().zip(other.fields()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    pub(crate) fn encode(mut self) -> Vec<u8> {
        self.fields().iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut counts = Counts::default();
        let mut reader = Reader(bytes);
        for field in counts.fields() {
            *field = reader.u64().ok_or_else(|| Error::corrupt("a record of counts is cut short"))?;
        }
        Ok(counts)
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
