//! Content of files of tombstones, carries, results and sealed openings.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::file::{self, EvidenceFile, FileError, OPENINGS_CHECK_BYTES, OpeningsFile};
use sexton_proof::record::{Carry, FileKind, Header, RECORD_BYTES, ResultRecord, Tombstone};

/// Refuses a file whose length does not fit its header. `first` is the beginning of the file.
///
/// A length that fits is checked exactly once the file is read.
pub(super) fn check_length(first: &[u8], found: u64) -> Result<(), Malformed> {
    let header = header(first)?;
    let n = u64::from(header.n);
    let (least, most) = match header.kind.record_bytes() {
        Some(bytes) => (n * bytes as u64, n * bytes as u64),
        // Each opening has a length byte and 1 to 255 bytes.
        None => (2 * n + OPENINGS_CHECK_BYTES as u64, 256 * n + OPENINGS_CHECK_BYTES as u64),
    };
    let expected = RECORD_BYTES as u64 + if found < least { least } else { most };
    if (least..=most).contains(&found.saturating_sub(RECORD_BYTES as u64)) {
        return Ok(());
    }
    Err(Malformed::of(format_of(header.kind))(&FileError::Length { found, expected }))
}

fn header(bytes: &[u8]) -> Result<Header, Malformed> {
    let malformed = Malformed::of("evidence file");
    let first = bytes.first_chunk::<RECORD_BYTES>().ok_or_else(|| malformed(&"it ends within its header"))?;
    Header::from_bytes(first).map_err(|e| malformed(&e))
}

fn format_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Tombstones => "tombstones",
        FileKind::Carries => "carries",
        FileKind::Results => "results",
        FileKind::Openings => "openings",
        FileKind::Seal => "seal",
    }
}

pub(super) fn inspect(bytes: &[u8]) -> Inspected<'_> {
    let header = header(bytes)?;
    let format = format_of(header.kind);
    let parse = |kind| EvidenceFile::parse(bytes, kind).map_err(|e| Malformed::of(format)(&e));
    let n = usize::try_from(header.n).unwrap_or(usize::MAX);
    let summary = || summary(format, header, bytes);
    match header.kind {
        FileKind::Tombstones => {
            let file = parse(header.kind)?;
            let rows =
                Value::rows(n, move |at| file.tombstone(u32::try_from(at).ok()?).map(|t| tombstone(&t)));
            Ok(summary().with("tombstones", rows))
        }
        FileKind::Carries => {
            let file = parse(header.kind)?;
            Ok(summary().with(
                "carries",
                Value::rows(n, move |at| file.carry(u32::try_from(at).ok()?).map(|c| carry(&c))),
            ))
        }
        FileKind::Results => {
            let file = parse(header.kind)?;
            Ok(summary().with(
                "results",
                Value::rows(n, move |at| file.result(u32::try_from(at).ok()?).map(|r| result(&r))),
            ))
        }
        FileKind::Openings => openings(header, bytes),
        // Such a file has another header, and is read elsewhere.
        FileKind::Seal => Err(Malformed::of(format)(&"its header is that of another file")),
    }
}

fn summary<'a>(format: &str, header: Header, bytes: &[u8]) -> Sheet<'a> {
    Sheet::of(format).with("batch", header.batch).with("n", header.n).hex("root", &file::root(bytes))
}

pub(super) fn tombstone<'a>(t: &Tombstone) -> Sheet<'a> {
    Sheet::default()
        .with("page", t.page)
        .with("seq", t.seq)
        .instant("time_ms", t.time)
        .with("method", t.method.name())
        .with("reason", t.reason.name())
        .with("in_bounds", Value::Yes(t.in_bounds))
        .hex("commitment", &t.commitment)
}

fn carry<'a>(c: &Carry) -> Sheet<'a> {
    Sheet::default()
        .with("page", c.page)
        .with("seq", c.seq)
        .instant("time_ms", c.time)
        .with("cause", c.cause.name())
        .with("to", c.to.to_string())
        .with("to_class", c.to.page.class)
        .hex("commitment", &c.commitment)
}

pub(super) fn result<'a>(r: &ResultRecord) -> Sheet<'a> {
    Sheet::default().with("page", r.page).with("seq", r.seq).hex("commitment", &r.commitment)
}

/// Shows the container only. The content is sealed under a key of the engine and the key of the object.
fn openings(header: Header, bytes: &[u8]) -> Inspected<'_> {
    let malformed = Malformed::of("openings");
    let file = OpeningsFile::parse(bytes).map_err(|e| malformed(&e))?;
    file.verify_check().map_err(|e| malformed(&e))?;
    let sizes = || file.iter().map(<[u8]>::len);
    Ok(Sheet::of("openings")
        .with("batch", header.batch)
        .with("n", header.n)
        .with("sealed_bytes", sizes().sum::<usize>())
        .with_some("shortest_bytes", sizes().min())
        .with_some("longest_bytes", sizes().max())
        .with("content", "sealed: only the keyring and the key of the object open it"))
}
