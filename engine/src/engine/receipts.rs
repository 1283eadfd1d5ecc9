//! Receipts: the complete proof for one registration, which a verifier checks offline.

use crate::enforcement::evidence;
use crate::engine::Engine;
use crate::model::class::Class;
use crate::model::hold::HoldKind;
use crate::model::schema::{self, Row};
use crate::platform::error::{Error, Result};
use crate::platform::kv::ColumnFamily;
use crate::registration::resolve::{BatchFiles, End, Location, Resolver};
use crate::state::core::Core;
use crate::state::keyring::{self, Key};
use crate::state::log;
use crate::state::paths::BatchPaths;
use crate::state::publish::{self, CHECKPOINT};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::commitment::{self, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::merkle;
use sexton_proof::note::Note;
use sexton_proof::receipt::{Receipt, ResultProof};

/// Input that opens the commitment of a receipt.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Opener<'a> {
    /// Key of the object, if its class has `openings = "operator"`.
    Key(&'a [u8]),
    /// Ticket that the registration returned, if its class has `openings = "ticket"`.
    Ticket(&'a [u8]),
}

impl Engine {
    /// Returns the receipt of a registration that has ended: the text of a C2SP tlog-proof file. `sexton verify` checks
    /// it offline. Publishes the log first if necessary.
    ///
    /// # Errors
    /// `NotFound` if there is no such registration, it has not ended, or its openings are gone; `Invalid` if `opener` is
    /// of another object; `Forked`, `Poisoned`, `Full` if its log entry cannot be published; `Io`, `Corrupt`.
    ///
    /// ```
    /// use sexton::{Durability, Opener, Registration};
    /// use std::time::Duration;
    /// # use sexton::store::{Answer, Store, SubBatch};
    /// # use sexton::testing::VirtualClock;
    /// # use sexton::{Engine, Options, Timestamp};
    /// # use std::sync::Arc;
    /// # struct Nothing;
    /// # impl Store for Nothing {
    /// #     fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
    /// #         sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    /// #     }
    /// # }
    /// # let folder = tempfile::tempdir()?;
    /// # let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    /// # let options = Options::new("example.com/uploads");
    /// # let engine = Engine::open_with_clock(folder.path(), &options, clock.clone())?;
    ///
    /// let upload = Registration::new("log-73h", b"cat.jpg");
    /// let registered = engine.register(&[upload], Durability::Synced)?;
    /// clock.advance(Duration::from_hours(73));
    /// engine.enforce(&Nothing)?;
    /// let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
    /// assert!(receipt.starts_with("c2sp.org/tlog-proof@v1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
        make(&self.core, &self.resolver, id, opener)
    }
}

/// Returns the receipt of a registration that has ended, as the text of a C2SP tlog-proof file.
fn make(core: &Core, resolver: &Resolver, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
    let end = match resolver.resolve(core, id)? {
        Location::Ended(end) => end,
        Location::Live(at) => return Err(not_ended(core, id, at)?),
    };
    let batch = &*end.batch;
    let proof = batch.tombstones.prove(end.record)?;
    let class = core.classes.get(batch.leaf.class)?;
    let (checkpoint, size) = match core.identity.former_of(batch.leaf_index) {
        Some(former) => (former.checkpoint.clone(), former.entries),
        None => checkpoint(core, batch.leaf_index)?,
    };
    let inclusion =
        |leaf| merkle::inclusion_proof(leaf, size, &mut |level, at| log::node(&*core.kv, level, at));
    let (opening, digest) = open(core, &end, opener)?;
    let receipt = Receipt {
        batch_leaf: batch.leaf_bytes.clone(),
        class_leaf: class.leaf.clone(),
        class_index: class.leaf_index,
        class_hashes: inclusion(class.leaf_index)?,
        proof,
        result: digest.map(|digest| result_proof(&end, digest)).transpose()?,
        opening,
    };
    let hashes = inclusion(batch.leaf_index)?;
    Ok(receipt.to_tlog_proof(batch.leaf_index, &hashes, &checkpoint))
}

/// Returns the proof of the result that replaced an anonymised object.
fn result_proof(end: &End, digest: Vec<u8>) -> Result<ResultProof> {
    let missing = || Error::corrupt(format!("the result of {} is missing from its file", end.id));
    let results = end.batch.results.as_ref().ok_or_else(missing)?;
    let record = results.file.find(end.tombstone.page, end.tombstone.seq).ok_or_else(missing)?;
    let proof = results.prove(record)?;
    Ok(ResultProof { proof, digest })
}

/// Returns the error for a registration that lives at `at`, or does not exist.
fn not_ended(core: &Core, asked: RegistrationId, at: RegistrationId) -> Result<Error> {
    let unknown = || Error::not_found(format!("there is no registration {asked}"));
    if core.classes.get(at.page.class).is_err() {
        return Ok(unknown()); // A class that does not exist has no column family.
    }
    let live = match core.kv.get(ColumnFamily::Rows(at.page.class), &schema::row_key(at))? {
        Some(bytes) => Row::decode(&bytes).map(|_| true)?,
        None => false,
    };
    Ok(match live {
        true => Error::not_found(format!(
            "registration {asked} has not ended: it is due from {} on",
            at.page.slot_start()
        )),
        false => unknown(),
    })
}

/// Returns the opening that fits the tombstone, and the digest of the result if the object was anonymised.
///
/// # Errors
/// `Invalid` if no opening fits.
fn open(core: &Core, end: &End, opener: Opener<'_>) -> Result<(Opening, Option<Vec<u8>>)> {
    let (id, class) = (end.id, core.classes.get(end.batch.leaf.class)?);
    let k = core.secrets.keyring.get(id.page.class, id.page.slot)?;
    let (given, digest) = given_opening(&class, end, opener, k.as_ref())?;
    let former = core.identity.former_of(end.batch.leaf_index);
    let origin = former.map_or(&*core.identity.origin, |former| former.log_key.name());
    for mut opening in possible_openings(core, &class, &given, opener) {
        let descriptor_digest = opening.descriptor(origin, id, end.batch.leaf.class_leaf).digest();
        if let Some(k) = &k {
            // A sealed opening omits `r`. A ticket has the `r` of the first page; in another page the commitment has
            // another `r`.
            opening.r = commitment::blinding(k, &id, &descriptor_digest);
        }
        if end.tombstone.commitment == commitment::commit(&opening.r, &descriptor_digest) {
            return Ok((opening, digest));
        }
    }
    verify_openings(&end.batch)?;
    Err(Error::invalid(format!("the key or ticket belongs to another object than registration {id}")))
}

/// Reports damaged openings, which look like the key of another object.
fn verify_openings(batch: &BatchFiles) -> Result<()> {
    let verified = match &batch.openings {
        None => return Ok(()),
        Some(Ok(file)) => file.verify_check(),
        Some(Err(malformed)) => Err(malformed.clone()),
    };
    verified.map_err(|e| {
        let path = BatchPaths::of(batch.leaf.batch).openings;
        Error::corrupt(format!("{path} is damaged; put back a copy of it: {e}"))
    })
}

/// Returns the openings that a given one may stand for.
///
/// A ticket has the start and the bounds of the registration. The object may have moved to another class version since, or
/// an event hold may have restarted its promise.
fn possible_openings(core: &Core, class: &Class, given: &Opening, opener: Opener<'_>) -> Vec<Opening> {
    let mut possible = vec![given.clone()];
    if matches!(opener, Opener::Ticket(_)) {
        let holds = core.governance.holds.read();
        let event = holds.iter().filter(|hold| hold.terms.kind == HoldKind::Event);
        let restarts = event.filter_map(|hold| hold.lifted.as_ref()).map(|lifted| lifted.at);
        for start in restarts.chain([given.start]) {
            if let Ok(bounds) = class.bounds(start) {
                let (floor, ceiling) = (bounds.floor, bounds.ceiling);
                possible.push(Opening { start, floor, ceiling, ..given.clone() });
            }
        }
    }
    possible
}

/// Reads the ticket, or unseals the opening with the key.
fn given_opening(
    class: &Class,
    end: &End,
    opener: Opener<'_>,
    k: Option<&Key>,
) -> Result<(Opening, Option<Vec<u8>>)> {
    match opener {
        Opener::Ticket(ticket) => Opening::decode(ticket)
            .map(|opening| (opening, None))
            .map_err(|e| Error::invalid(format!("the ticket is malformed: {e}"))),
        Opener::Key(key) => {
            let batch = &end.batch;
            let openings = batch.openings.as_ref().ok_or_else(|| {
                Error::not_found(format!(
                    "no openings are kept for batch {}; use the ticket",
                    batch.leaf.batch
                ))
            })?;
            let sealed = openings.as_ref().ok().and_then(|file| file.get(end.record));
            let Some(sealed) = sealed else {
                verify_openings(batch)?;
                return Err(Error::corrupt(format!(
                    "{} lacks the opening of registration {}",
                    BatchPaths::of(batch.leaf.batch).openings,
                    end.id
                )));
            };
            let k = k.ok_or_else(|| {
                Error::not_found(format!(
                    "the key of class \"{}\" for {} is destroyed, so no receipt can be made for {}",
                    class.definition.name,
                    keyring::month_of(end.id.page.slot),
                    end.id
                ))
            })?;
            if let Some(opened) = evidence::unseal(k, end.id, key, sealed, end.tombstone.method) {
                return Ok(opened);
            }
            verify_openings(batch)?;
            let id = end.id;
            Err(Error::invalid(format!("registration {id} is not that of an object with this key")))
        }
    }
}

/// Returns the published checkpoint and its size. Publishes first if it does not cover the leaf yet.
fn checkpoint(core: &Core, leaf: u64) -> Result<(String, u64)> {
    if let Some(found) = published(core, leaf)? {
        return Ok(found);
    }
    publish::publish(core, &mut core.transparency.published.lock())?;
    published(core, leaf)?.ok_or_else(|| {
        Error::corrupt(format!(
            "{CHECKPOINT} lacks log entry {leaf}; restore it from a copy of the public log"
        ))
    })
}

/// Returns the published checkpoint and its size, if it covers the leaf.
fn published(core: &Core, leaf: u64) -> Result<Option<(String, u64)>> {
    let malformed = |e: String| Error::corrupt(format!("the published checkpoint is malformed: {e}"));
    let Some(bytes) = core.files.read(CHECKPOINT)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
    let note = Note::parse(&text).map_err(|e| malformed(e.to_string()))?;
    let size = Checkpoint::parse(note.text()).map_err(|e| malformed(e.to_string()))?.size;
    Ok((size > leaf).then_some((text, size)))
}
