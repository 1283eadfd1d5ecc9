//! Receipts: for one registration, everything that somebody needs who trusts nobody.

use crate::class::Class;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::evidence;
use crate::hold::HoldKind;
use crate::keyring::Key;
use crate::kv::Family;
use crate::log;
use crate::publish::{self, CHECKPOINT};
use crate::schema::{self, Row};
use crate::trail::{BatchFiles, End, Trail, Whereabouts};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::commitment::{self, Opening};
use sexton_proof::file::{ChunkTree, EvidenceFile, OpeningsFile};
use sexton_proof::id::RegistrationId;
use sexton_proof::merkle;
use sexton_proof::note::Note;
use sexton_proof::receipt::{Receipt, ResultProof};
use sexton_proof::record::FileKind;

/// How the maker of a receipt opens the commitment.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// By the object's key, where the class says `openings = "operator"`.
    Key(&'a [u8]),
    /// By the ticket that registration gave, where the class says `openings = "ticket"`.
    Ticket(&'a [u8]),
}

/// The receipt for a registration that has ended, as the text of a C2SP tlog-proof file.
pub(crate) fn make(core: &Core, trail: &Trail, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
    let end = match trail.follow(core, id)? {
        Whereabouts::Ended(end) => end,
        Whereabouts::Unsettled(at) => return Err(not_ended(core, id, at)?),
    };
    let batch = &*end.batch;
    let proof = batch.tree.prove(&batch.tombstones, end.record).map_err(|e| Error::corrupt(e.to_string()))?;
    let class = core.class(batch.leaf.class)?;
    let (checkpoint, size) = checkpoint(core, batch.leaf_index)?;
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

/// The proof of what the store wrote in the place of an anonymised object.
fn result_proof(end: &End, digest: Vec<u8>) -> Result<ResultProof> {
    let missing = || Error::corrupt(format!("the result of {} is missing from its file", end.id));
    let bytes = end.batch.results.as_deref().ok_or_else(missing)?;
    let file = EvidenceFile::parse(bytes, FileKind::Results).map_err(|e| Error::corrupt(e.to_string()))?;
    let record = file.find(end.tombstone.page, end.tombstone.seq).ok_or_else(missing)?;
    let tree = ChunkTree::new(bytes).map_err(|e| Error::corrupt(e.to_string()))?;
    let proof = tree.prove(bytes, record).map_err(|e| Error::corrupt(e.to_string()))?;
    Ok(ResultProof { proof, digest })
}

fn not_ended(core: &Core, asked: RegistrationId, at: RegistrationId) -> Result<Error> {
    let live = match core.kv.get(Family::Rows(at.page.class), &schema::row_key(at)) {
        Ok(Some(bytes)) => Row::decode(&bytes).map(|_| true)?,
        _ => false,
    };
    Ok(match live {
        true => Error::not_found(format!(
            "registration {asked} has not ended: it is due from {} ms on",
            at.page.slot
        )),
        false => Error::not_found(format!("there is no registration {asked}")),
    })
}

/// The opening of a registration's commitment, which fits the tombstone or is refused; and the digest of the result,
/// where the object was anonymised.
fn open(core: &Core, end: &End, opener: Opener<'_>) -> Result<(Opening, Option<Vec<u8>>)> {
    let (id, class) = (end.id, core.class(end.batch.leaf.class)?);
    let k = core.keyring.get(id.page.class, id.page.slot)?;
    let (given, digest) = unopened(&end.batch, end, opener, k.as_ref())?;
    for mut opening in readings(core, &class, &given, opener) {
        let digest_of_it = opening.descriptor(&core.origin, id, end.batch.leaf.class_leaf).digest();
        if let Some(k) = &k {
            // What is sealed goes without it. A ticket is of the page that the object was registered in; carried, it is
            // blinded anew.
            opening.r = commitment::blinding(k, &id, &digest_of_it);
        }
        if end.tombstone.commitment == commitment::commit(&opening.r, &digest_of_it) {
            return Ok((opening, digest));
        }
    }
    Err(Error::invalid(format!("what was given does not open registration {id}: it is of another object")))
}

/// What an opening may have become since it was given. A ticket is of the class version that the object was registered
/// under, and knows nothing of the hold that restarted its clock.
fn readings(core: &Core, class: &Class, given: &Opening, opener: Opener<'_>) -> Vec<Opening> {
    let mut readings = vec![given.clone()];
    if matches!(opener, Opener::Ticket(_)) {
        let holds = core.holds.read();
        let event = holds.iter().filter(|hold| hold.terms.kind == HoldKind::Event);
        let restarts = event.filter_map(|hold| hold.lifted.as_ref()).map(|lifted| lifted.at_ms);
        for start_ms in restarts.chain([given.start_ms]) {
            if let Ok(bounds) = class.bounds(start_ms) {
                let (floor_ms, ceiling_ms) = (bounds.floor_ms, bounds.ceiling_ms);
                readings.push(Opening { start_ms, floor_ms, ceiling_ms, ..given.clone() });
            }
        }
    }
    readings
}

fn unopened(
    batch: &BatchFiles,
    end: &End,
    opener: Opener<'_>,
    k: Option<&Key>,
) -> Result<(Opening, Option<Vec<u8>>)> {
    match opener {
        Opener::Ticket(ticket) => Opening::decode(ticket)
            .map(|opening| (opening, None))
            .map_err(|e| Error::invalid(format!("the ticket is malformed: {e}"))),
        Opener::Key(key) => {
            let bytes = batch.openings.as_deref().ok_or_else(|| {
                Error::not_found(format!(
                    "no openings are kept for batch {}; use the ticket",
                    batch.leaf.batch
                ))
            })?;
            let file = OpeningsFile::parse(bytes).map_err(|e| Error::corrupt(e.to_string()))?;
            let sealed = file.get(end.record).ok_or_else(|| Error::corrupt("the openings lack a record"))?;
            let k = k.ok_or_else(|| {
                Error::not_found("the key of that month is destroyed: no receipt can be made any more")
            })?;
            evidence::unseal(k, end.id, key, sealed, end.tombstone.method).ok_or_else(|| {
                Error::invalid(format!("registration {} is not that of an object with this key", end.id))
            })
        }
    }
}

/// The published checkpoint and its size, which covers the leaf.
fn checkpoint(core: &Core, leaf: u64) -> Result<(String, u64)> {
    if let Some(found) = published(core, leaf)? {
        return Ok(found);
    }
    // Its batch left that to later.
    publish::publish(core, &mut core.published.lock())?;
    published(core, leaf)?.ok_or_else(|| {
        Error::corrupt(format!(
            "{CHECKPOINT} lacks log entry {leaf}; restore it from a copy of the public log"
        ))
    })
}

/// The published checkpoint and its size, if it covers the leaf.
fn published(core: &Core, leaf: u64) -> Result<Option<(String, u64)>> {
    let malformed = |e: String| Error::corrupt(format!("the published checkpoint is malformed: {e}"));
    let Some(bytes) = core.files.read(CHECKPOINT)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
    let note = Note::parse(&text).map_err(|e| malformed(e.to_string()))?;
    let size = Checkpoint::parse(note.text()).map_err(|e| malformed(e.to_string()))?.size;
    Ok((size > leaf).then_some((text, size)))
}
