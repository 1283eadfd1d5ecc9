//! Content of files of tombstones, carries, results and sealed openings.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::file::{self, EvidenceFile, OpeningsFile};
use sexton_proof::record::{Carry, FileKind, Header, RECORD_BYTES, ResultRecord, Tombstone};

pub(super) fn inspect(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("evidence file");
    let first = bytes.first_chunk::<RECORD_BYTES>().ok_or_else(|| malformed(&"it ends within its header"))?;
    let header = Header::from_bytes(first).map_err(|e| malformed(&e))?;
    match header.kind {
        FileKind::Tombstones => {
            let file =
                EvidenceFile::parse(bytes, header.kind).map_err(|e| Malformed::of("tombstones")(&e))?;
            let rows = file.tombstones().map(|t| tombstone(&t)).collect();
            Ok(summary("tombstones", header, bytes).with("tombstones", Value::Rows(rows)))
        }
        FileKind::Carries => {
            let file = EvidenceFile::parse(bytes, header.kind).map_err(|e| Malformed::of("carries")(&e))?;
            let rows = file.carries().map(|c| carry(&c)).collect();
            Ok(summary("carries", header, bytes).with("carries", Value::Rows(rows)))
        }
        FileKind::Results => {
            let file = EvidenceFile::parse(bytes, header.kind).map_err(|e| Malformed::of("results")(&e))?;
            let rows = file.results().map(|r| result(&r)).collect();
            Ok(summary("results", header, bytes).with("results", Value::Rows(rows)))
        }
        FileKind::Openings => openings(header, bytes),
    }
}

fn summary(format: &str, header: Header, bytes: &[u8]) -> Sheet {
    Sheet::of(format).with("batch", header.batch).with("n", header.n).hex("root", &file::root(bytes))
}

pub(super) fn tombstone(t: &Tombstone) -> Sheet {
    Sheet::default()
        .with("page", t.page)
        .with("seq", t.seq)
        .instant("time_ms", t.time)
        .with("method", t.method.name())
        .with("reason", t.reason.name())
        .hex("commitment", &t.commitment)
}

fn carry(c: &Carry) -> Sheet {
    Sheet::default()
        .with("page", c.page)
        .with("seq", c.seq)
        .instant("time_ms", c.time)
        .with("cause", c.cause.name())
        .with("to", c.to.to_string())
        .with("to_class", c.to.page.class)
        .hex("commitment", &c.commitment)
}

pub(super) fn result(r: &ResultRecord) -> Sheet {
    Sheet::default().with("page", r.page).with("seq", r.seq).hex("commitment", &r.commitment)
}

/// Shows the container only. The content is sealed under a key of the engine and the key of the object.
fn openings(header: Header, bytes: &[u8]) -> Inspected {
    let file = OpeningsFile::parse(bytes).map_err(|e| Malformed::of("openings")(&e))?;
    let sizes = || (0..header.n).filter_map(|i| file.get(i)).map(<[u8]>::len);
    Ok(Sheet::of("openings")
        .with("batch", header.batch)
        .with("n", header.n)
        .with("sealed_bytes", sizes().sum::<usize>())
        .with_some("shortest_bytes", sizes().min())
        .with_some("longest_bytes", sizes().max())
        .with("content", "sealed: only the keyring and the key of the object open it"))
}
