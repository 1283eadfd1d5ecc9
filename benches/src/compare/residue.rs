//! Residue: keys of ended objects that are left in files of the index after enforcing and one clean-up pass.
//!
//! The files are searched byte by byte for two pieces of each key, each of eight pseudo-random bytes. Rows lie in
//! blocks compressed by LZ4, which copies bytes that do not repeat. A piece is lost to the search if four of its bytes
//! repeat by chance. A control tests the search: before enforcing, it has to find nearly every key in the same kind of
//! files, or the comparison fails.

use super::Group;
use super::growth::bytes_below;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::statistics::Target;
use crate::workload::split_mix;
use crate::{CALL, CLASSES, Ours, Result, Workload, timed};
use sexton::class::Find;
use sexton_proof::leaf::Openings;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Least fraction of the keys that the control has to find.
const FOUND_LEAST: f64 = 0.999;
/// Bits of a piece that the filter of the search compares.
const PREFIX_BITS: u32 = 27;
/// Number of keys that are sought, evenly spread over all. A search for them takes a minute.
const SOUGHT: usize = 2_000_000;

/// Comparisons of residue, of the clean-up pass and of the space that it frees.
pub(super) const GROUP: Group = Group {
    comparisons: || {
        let mut comparisons = Vec::new();
        for find in ["none", "key"] {
            let named = |name: &str| format!("residue/{find}/{name}");
            let ours = |figure| FigureOf(find, figure);
            let cleaning = "time of one clean-up pass, beside the time of enforcing";
            let space = "bytes of the index after the clean-up pass, beside those before enforcing";
            let control = "keys that the search finds before enforcing, beside all sought keys";
            comparisons.extend([
                Comparison::alone(
                    named("left"),
                    "keys",
                    ours("left"),
                    "keys of ended objects in table and log files, of at most 2 M sought keys, evenly spread",
                )
                .with_target(Target::Never),
                Comparison::new(
                    named("clean-up"),
                    "s",
                    ours("clean-up"),
                    FigureOf(find, "enforce"),
                    cleaning,
                )
                .labelled("enforcing")
                .with_target(Target::RatioBelow(0.25))
                .requires_zero(ours("left"), "keys are left"),
                Comparison::new(
                    named("space"),
                    "bytes",
                    ours("bytes after"),
                    FigureOf(find, "bytes before"),
                    space,
                )
                .labelled("before"),
                Comparison::new(named("control"), "keys", ours("found"), FigureOf(find, "sought"), control)
                    .labelled("all sought"),
            ]);
        }
        comparisons
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let work = &Workload::new(setup.scaled(20_000_000, CALL * CLASSES), 100_000);
        let needles = &Needles::new(work.len(), work.len().div_ceil(SOUGHT));
        let engine =
            |name, find| Contestant::new(name, move |folder: &Path| measure(folder, work, needles, find));
        Ok(run_contest(setup, vec![engine("none", Find::None), engine("key", Find::Key)], comparisons))
    },
};

fn measure(folder: &Path, work: &Workload, needles: &Needles, find: Find) -> Result<Figures> {
    let index = folder.join("index");
    let ours = Ours::open(folder, find, Openings::Operator)?;
    ours.register(work)?;
    let (found, before) = (needles.found_below(&index)?, bytes_below(&index)?);
    if (found as f64) < FOUND_LEAST * needles.sought as f64 {
        return Err(format!("the control finds {found} of {} keys, 99.9 % needed", needles.sought).into());
    }
    ours.advance_until_due(work);
    let enforce = timed(|| ours.enforce(work))?;
    let clean_up = timed(|| Ok(ours.engine.reclaim()?))?;
    let (left, after) = (needles.found_below(&index)?, bytes_below(&index)?);
    Ok(Figures::from([
        ("sought", needles.sought as f64),
        ("found", found as f64),
        ("left", left as f64),
        ("enforce", enforce.wall.as_secs_f64()),
        ("clean-up", clean_up.wall.as_secs_f64()),
        ("bytes before", before as f64),
        ("bytes after", after as f64),
    ]))
}

/// Pieces of keys to search for.
struct Needles {
    /// Number of objects.
    sought: usize,
    /// Each piece with the index of its object, sorted.
    pieces: Vec<(u64, usize)>,
    /// Filter: a set bit means that some piece begins with the bits of its position.
    prefixes: Vec<u64>,
}

impl Needles {
    /// Collects the pieces of every `every`-th of the first `objects` objects of a workload.
    fn new(objects: usize, every: usize) -> Self {
        let of_object =
            |(index, n): (usize, usize)| [0, 1].map(|word| (split_mix(n as u64 * 8 + word), index));
        let sought = (0..objects).step_by(every);
        let mut pieces: Vec<(u64, usize)> = sought.clone().enumerate().flat_map(of_object).collect();
        let sought = sought.len();
        pieces.sort_unstable();
        let mut prefixes = vec![0; 1 << (PREFIX_BITS - 6)];
        for (piece, _) in &pieces {
            let (word, bit) = prefix(*piece);
            prefixes[word] |= bit;
        }
        Needles { sought, pieces, prefixes }
    }

    /// Counts the objects with a piece of their key in a table or a write-ahead log in a folder.
    fn found_below(&self, folder: &Path) -> Result<usize> {
        let (mut found, mut searched) = (vec![false; self.sought], BTreeSet::new());
        // A concurrent compaction moves rows into new or growing files. Repeat until no file is new or longer.
        loop {
            let mut new = false;
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let holds_rows =
                    path.extension().is_some_and(|extension| extension == "sst" || extension == "log");
                let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
                if !holds_rows || !searched.insert((path.clone(), length)) {
                    continue;
                }
                new = true;
                match File::open(&path) {
                    Ok(file) => self.search(file, &mut found)?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if !new {
                return Ok(found.into_iter().filter(|found| *found).count());
            }
        }
    }

    fn search(&self, mut bytes: impl Read, found: &mut [bool]) -> Result<()> {
        let (mut buffer, mut window) = (vec![0; 1 << 20], 0_u64);
        loop {
            let read = bytes.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            for byte in &buffer[..read] {
                window = window << 8 | u64::from(*byte);
                let (word, bit) = prefix(window);
                if self.prefixes[word] & bit != 0
                    && let Ok(index) = self.pieces.binary_search_by_key(&window, |(piece, _)| *piece)
                {
                    found[self.pieces[index].1] = true;
                }
            }
        }
    }
}

/// Word and bit of the filter that belong to the first bits of a piece.
fn prefix(piece: u64) -> (usize, u64) {
    let bits = usize::try_from(piece >> (64 - PREFIX_BITS)).unwrap_or(0);
    (bits / 64, 1 << (bits % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::object_bytes;

    #[test]
    fn keys_are_found_at_any_offset_in_tables_and_logs_only() {
        let folder = tempfile::tempdir().unwrap();
        let (needles, of_every_third) = (Needles::new(1_000, 1), Needles::new(1_000, 3));
        let put = |name: &str, objects: &[u64]| {
            let bytes: Vec<u8> =
                objects.iter().flat_map(|n| [&b"xyz"[..], &object_bytes(*n)].concat()).collect();
            std::io::Write::write_all(&mut File::create(folder.path().join(name)).unwrap(), &bytes).unwrap();
        };
        put("1.sst", &[5, 6, 7]);
        put("2.log", &[7, 999, 1_000, 2_000]);
        put("LOG", &[8]);
        assert_eq!(needles.found_below(folder.path()).unwrap(), 4);
        // Of 5, 6, 7 and 999.
        assert_eq!(of_every_third.found_below(folder.path()).unwrap(), 2);
    }
}
