//! What is remembered of ended objects, so that a copy which comes back from a backup is recognised: for as long as
//! their class says (`remember`), under a keyed hash of the key, without the key.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::evidence::{Evidence, Fate};
use crate::kv::{Family, WriteSet};
use crate::locator::SoughtKey;
use crate::schema::{FINGERPRINT_BYTES, Reader};
use sexton_proof::id::{ClassId, RegistrationId};
use sexton_proof::record::{Method, Reason};

/// Width of the spans in which memories are kept and forgotten, ms: 32 days.
const BUCKET_MS: i64 = 32 * 86_400_000;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// An object under this key lives.
    Live(RegistrationId),
    /// The last object under this key came to its end.
    Ended(Ended),
    /// Nothing is known of it, or not any more.
    Unknown,
}

/// What is remembered of an ended object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its last registration.
    pub id: RegistrationId,
    /// How it ended.
    pub method: Method,
    /// Why it ended.
    pub reason: Reason,
    /// The instant from which its promise counted, Unix ms.
    pub start_ms: i64,
    /// When its end was known, Unix ms.
    pub time_ms: i64,
    /// Until when this is remembered, Unix ms.
    pub until_ms: i64,
}

impl Ended {
    fn encode(&self) -> Vec<u8> {
        let mut out = self.id.to_bytes().to_vec();
        out.extend_from_slice(&[self.method.code(), self.reason.code()]);
        for ms in [self.start_ms, self.time_ms, self.until_ms] {
            out.extend_from_slice(&ms.to_be_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let read = |r: &mut Reader<'_>| {
            let id = RegistrationId::from_bytes(&r.array()?);
            let [method, reason] = r.array()?;
            let (method, reason) = (Method::from_code(method)?, Reason::from_code(reason)?);
            let (start_ms, time_ms, until_ms) = (r.i64()?, r.i64()?, r.i64()?);
            r.0.is_empty().then_some(Ended { id, method, reason, start_ms, time_ms, until_ms })
        };
        read(&mut Reader(bytes)).ok_or_else(|| Error::corrupt("what is remembered of an object is malformed"))
    }

    /// The class it ended in.
    pub(crate) fn class(&self) -> ClassId {
        self.id.page.class
    }
}

/// Which bucket an instant lies in. What is remembered lies in the bucket of the instant until which it is.
fn bucket(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(BUCKET_MS)).unwrap_or(0)
}

fn key(bucket: u32, fingerprint: &[u8; FINGERPRINT_BYTES]) -> Vec<u8> {
    [&bucket.to_be_bytes()[..], fingerprint].concat()
}

/// Stages what is remembered of the objects that ended in this batch.
pub(crate) fn stage(core: &Core, set: &mut WriteSet, evidence: &Evidence) {
    let batch = &evidence.batch;
    let Some(remember_ms) = batch.class.definition.remember.and_then(|span| span.exact_ms()) else { return };
    for (planned, fate) in batch.rows.iter().zip(&evidence.fates.of) {
        let Fate::Ends { method, time_ms } = *fate else { continue };
        if method == Method::Replaced {
            continue;
        }
        let row = batch.row(planned);
        let until_ms = time_ms.saturating_add(remember_ms);
        let (id, reason, start_ms) = (batch.id(planned), row.reason, row.start_ms);
        let ended = Ended { id, method, reason, start_ms, time_ms, until_ms };
        let (_, fingerprint) = core.index.locate(row.key);
        set.put(Family::Ended, &key(bucket(until_ms), &fingerprint), &ended.encode());
    }
}

/// How long any class remembers, ms.
fn longest_ms(core: &Core) -> i64 {
    let classes = core.classes.read();
    classes.iter().filter_map(|class| class.definition.remember?.exact_ms()).max().unwrap_or(0)
}

/// What is known of `object_key`.
pub(crate) fn look_up(core: &Core, object_key: &[u8], now_ms: i64) -> Result<Screened> {
    let sought = SoughtKey::of(core, object_key)?;
    let fingerprint = *sought.fingerprint();
    // To the end, so that it does not end between the one question and the other.
    let mut shard = sought.lock(core);
    if let Some(id) = sought.live(core, &mut shard, |id, _| Ok(id))? {
        return Ok(Screened::Live(id));
    }
    let mut last: Option<Ended> = None;
    for bucket in bucket(now_ms)..=bucket(now_ms.saturating_add(longest_ms(core))) {
        if let Some(bytes) = core.kv.get(Family::Ended, &key(bucket, &fingerprint))? {
            let ended = Ended::decode(&bytes)?;
            if ended.until_ms > now_ms && last.is_none_or(|last| last.time_ms < ended.time_ms) {
                last = Some(ended);
            }
        }
    }
    Ok(last.map_or(Screened::Unknown, Screened::Ended))
}

/// Forgets what need not be remembered any more.
pub(crate) fn forget(core: &Core, now_ms: i64) -> Result<()> {
    let end = bucket(now_ms).to_be_bytes();
    let mut set = WriteSet::default();
    set.delete_range(Family::Ended, &[]..&end);
    core.writer.write(set).map(|_| ())
}
