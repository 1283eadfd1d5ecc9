//! Content of receipts, checkpoints and trust policies. Nothing is verified here.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed, evidence, leaves};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::commitment::Opening;
use sexton_proof::file::ChunkProof;
use sexton_proof::id::printable;
use sexton_proof::note::{Note, Signature};
use sexton_proof::policy::{Group, Log, Policy, Witness};
use sexton_proof::receipt::{Receipt, ResultProof};
use sexton_proof::record::{RECORD_BYTES, ResultRecord, Tombstone};
use sexton_proof::tlog_proof::TlogProof;

pub(super) const PROOF_MARK: &[u8] = b"c2sp.org/tlog-proof@";
const UNVERIFIED: &str = "nothing here is verified; `sexton verify` verifies it";

/// Shows a receipt, or a tlog-proof of another program.
pub(super) fn proof<'a>(bytes: &[u8]) -> Inspected<'a> {
    let proof = TlogProof::parse(bytes).map_err(|e| Malformed::of("receipt")(&e))?;
    let format = if proof.extra.is_some() { "receipt" } else { "tlog-proof without extra data" };
    let mut sheet = Sheet::of(format).with("note", UNVERIFIED).with("leaf_index", proof.index);
    if let Some(extra) = &proof.extra {
        let receipt = Receipt::decode_extra(extra).map_err(|e| Malformed::of("receipt")(&e))?;
        let (batch, class) = (leaves::leaf(&receipt.batch_leaf)?, leaves::leaf(&receipt.class_leaf)?);
        sheet = sheet
            .with("object", Value::Sheet(opening(&receipt.opening)))
            .with_some("tombstone", tombstone(&receipt).map(Value::Sheet))
            .with("class_leaf", Value::Sheet(class))
            .with("batch_leaf", Value::Sheet(batch))
            .with("record", receipt.proof.record)
            .with("chunk_bytes", receipt.proof.chunk.len())
            .with("chaining_values", Value::Texts(receipt.proof.siblings.iter().map(hex::encode).collect()))
            .with_some("result", receipt.result.as_ref().map(|r| Value::Sheet(result(r))));
    }
    let hashes = proof.hashes.iter().map(hex::encode).collect();
    Ok(sheet
        .with("inclusion_hashes", Value::Texts(hashes))
        .with("checkpoint", Value::Sheet(checkpoint(proof.checkpoint.as_bytes())?)))
}

fn opening<'a>(o: &Opening) -> Sheet<'a> {
    Sheet::default()
        .with("key", printable(&o.key))
        .hex("version", &o.version)
        .hex("digest", &o.digest)
        .with_some("size_bytes", o.size)
        .instant("start_ms", o.start)
        .with("floor_ms", Value::Instant(o.floor))
        .with("ceiling_ms", Value::Instant(o.ceiling))
        .hex("blinding", &o.r)
}

/// Returns the tombstone of a receipt, at its position in the chunk.
fn tombstone<'a>(receipt: &Receipt) -> Option<Sheet<'a>> {
    Tombstone::from_bytes(record(&receipt.proof)?).ok().map(|t| evidence::tombstone(&t))
}

/// Shows the proof of the content that an anonymised object was rewritten to.
fn result<'a>(result: &ResultProof) -> Sheet<'a> {
    let shown = record(&result.proof).and_then(|bytes| ResultRecord::from_bytes(bytes).ok());
    Sheet::default()
        .hex("digest", &result.digest)
        .with("record", result.proof.record)
        .with_some("result", shown.map(|r| Value::Sheet(evidence::result(&r))))
        .with("chunk_bytes", result.proof.chunk.len())
        .with("chaining_values", Value::Texts(result.proof.siblings.iter().map(hex::encode).collect()))
}

/// Returns the record of a proof, at its position in the chunk.
fn record(proof: &ChunkProof) -> Option<&[u8; RECORD_BYTES]> {
    let (records, _) = proof.chunk.as_chunks();
    records.get(usize::try_from((u64::from(proof.record) + 1) % 16).ok()?)
}

/// Shows a checkpoint or a trust policy. Returns `None` for any other text.
pub(super) fn text<'a>(bytes: &[u8]) -> Option<Inspected<'a>> {
    if let Ok(note) = Note::parse(bytes) {
        // A note of another program may be no checkpoint.
        return Checkpoint::parse(note.text()).ok().map(|_| checkpoint(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if is_policy_like(text) { Some(policy(bytes)) } else { None }
}

fn checkpoint<'a>(bytes: &[u8]) -> Inspected<'a> {
    let malformed = Malformed::of("checkpoint");
    let note = Note::parse(bytes).map_err(|e| malformed(&e))?;
    let head = Checkpoint::parse(note.text()).map_err(|e| malformed(&e))?;
    let signature =
        |s: &Signature| Sheet::default().with("name", s.name()).with("key_id", format!("{:08x}", s.id()));
    let signatures = Value::rows_of(note.signatures().to_vec(), signature);
    Ok(Sheet::of("checkpoint")
        .with("origin", head.origin)
        .with("size", head.size)
        .hex("root", &head.root)
        .with("signatures", signatures))
}

/// Returns `true` if the first line that is no comment has the form of a policy line.
fn is_policy_like(text: &str) -> bool {
    let mut lines = text.lines().map(|line| line.split([' ', '\t']).filter(|word| !word.is_empty()));
    lines.find_map(|mut words| {
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        Some(matches!(first, "log" | "witness" | "group" | "quorum") && words.next().is_some())
    }) == Some(true)
}

fn policy<'a>(bytes: &[u8]) -> Inspected<'a> {
    let policy = Policy::parse(bytes).map_err(|e| Malformed::of("trust policy")(&e))?;
    let log = |log: &Log| {
        Sheet::default()
            .with("origin", log.verifier.name())
            .with("key", log.verifier.to_string())
            .with_some("url", log.url.as_deref())
    };
    let witness = |witness: &Witness| {
        Sheet::default()
            .with("name", witness.name.as_str())
            .with("key", witness.verifier.to_string())
            .with_some("url", witness.url.as_deref())
    };
    let group = |group: &Group| {
        Sheet::default()
            .with("name", group.name.as_str())
            .with("threshold", group.threshold)
            .with("members", Value::Texts(group.members.clone()))
    };
    Ok(Sheet::of("trust policy")
        .with("logs", Value::rows_of(policy.logs().to_vec(), log))
        .with("witnesses", Value::rows_of(policy.witnesses().to_vec(), witness))
        .with("groups", Value::rows_of(policy.groups().to_vec(), group))
        .with("quorum", policy.quorum().unwrap_or("none"))
        .with("witnessed", Value::Yes(policy.quorum().is_some())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_is_recognised_by_first_line_without_comment() {
        assert!(is_policy_like("# ours\n\n  log k u\n"));
        assert!(is_policy_like("quorum none\n"));
        for text in ["", "# only a comment\n", "log\n", "logs of 2026\n", "hello\nquorum none\n"] {
            assert!(!is_policy_like(text), "{text:?}");
        }
    }
}
