//! Space and traces: after enforcing and one clean-up pass, whether a key of an enforced row is left in a file of the
//! index.
//!
//! The files are searched byte by byte for two pieces of each key, eight bytes each that are as good as random. Rows lie
//! in blocks that LZ4 compressed: it writes what does not repeat as it is, so such bytes can be seen, though a piece
//! is cut where four of its bytes happen to repeat. That the search finds what is there is not assumed but tried: before
//! anything is enforced, the same search must find nearly every key in the same kind of files, or there is no result.

use super::Group;
use super::growth::bytes_below;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::workload::scattered;
use crate::{CALL, CLASSES, Ours, Result, Workload, timed};
use sexton::Find;
use sexton_proof::leaf::Openings;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// What the search has to find of what is there.
const FOUND_LEAST: f64 = 0.999;
const PREFIX_BITS: u32 = 27;
/// How many keys are searched for, evenly spread over all: a search takes a minute for them, and longer for more.
const SOUGHT: usize = 2_000_000;

/// Space and traces.
pub(super) const GROUP: Group = Group {
    pairings: || {
        let mut pairings = Vec::new();
        for find in ["none", "key"] {
            let named = |name: &str| format!("traces/{find}/{name}");
            let ours = |figure| Of(find, figure);
            let cleaning = "seconds of one clean-up pass, beside those of enforcing";
            let space = "bytes of the index after it, beside those before enforcing";
            let control = "keys that the search finds before anything is enforced, beside all that it seeks";
            pairings.extend([
                Pairing::alone(
                    named("left"),
                    "keys",
                    ours("left"),
                    "keys of enforced rows in table and log files, of at most 2 M that are sought, evenly spread",
                )
                .to_reach(Target::Never),
                Pairing::new(named("clean-up"), "s", ours("clean-up"), Of(find, "enforce"), cleaning)
                    .beside("enforcing")
                    .to_reach(Target::RatioBelow(0.25))
                    .unless(ours("left"), "keys are left"),
                Pairing::new(named("space"), "bytes", ours("bytes after"), Of(find, "bytes before"), space)
                    .beside("before"),
                Pairing::new(named("control"), "keys", ours("found"), Of(find, "sought"), control)
                    .beside("all sought"),
            ]);
        }
        pairings
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let work = &Workload::new(setup.scaled(20_000_000, CALL * CLASSES), 100_000);
        let needles = &Needles::new(work.len(), work.len().div_ceil(SOUGHT));
        let one =
            |name, find| Contestant::new(name, move |folder: &Path| traces(folder, work, needles, find));
        Ok(play(setup, vec![one("none", Find::None), one("key", Find::Key)], pairings))
    },
};

fn traces(folder: &Path, work: &Workload, needles: &Needles, find: Find) -> Result<Figures> {
    let index = folder.join("index");
    let ours = Ours::open(folder, find, Openings::Operator)?;
    ours.register(work)?;
    let (found, before) = (needles.found_below(&index)?, bytes_below(&index)?);
    if (found as f64) < FOUND_LEAST * needles.sought as f64 {
        return Err(format!("the search finds {found} of {} keys that are there", needles.sought).into());
    }
    ours.wait_until_due(work);
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

/// The pieces of keys that are searched for.
struct Needles {
    /// Of how many objects.
    sought: usize,
    /// Each piece with the number of its object among those, sorted.
    pieces: Vec<(u64, usize)>,
    /// Whether there is a piece that begins with these bits.
    beginnings: Vec<u64>,
}

impl Needles {
    /// Those of one of `every` of the first `objects` objects of a workload.
    fn new(objects: usize, every: usize) -> Self {
        let of_object = |(at, n): (usize, usize)| [0, 1].map(|word| (scattered(n as u64 * 8 + word), at));
        let sought = (0..objects).step_by(every);
        let mut pieces: Vec<(u64, usize)> = sought.clone().enumerate().flat_map(of_object).collect();
        let sought = sought.len();
        pieces.sort_unstable();
        let mut beginnings = vec![0; 1 << (PREFIX_BITS - 6)];
        for (piece, _) in &pieces {
            let (word, bit) = beginning(*piece);
            beginnings[word] |= bit;
        }
        Needles { sought, pieces, beginnings }
    }

    /// How many objects have a piece of their key in a table or a log of writes below a folder.
    fn found_below(&self, folder: &Path) -> Result<usize> {
        let (mut found, mut searched) = (vec![false; self.sought], BTreeSet::new());
        // What is merged while this looks is in files that were not there before, or not whole.
        loop {
            let mut new = false;
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let holds_rows = path.extension().is_some_and(|ending| ending == "sst" || ending == "log");
                // One that is still being written is searched again when it is longer.
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
                let (word, bit) = beginning(window);
                if self.beginnings[word] & bit != 0
                    && let Ok(at) = self.pieces.binary_search_by_key(&window, |(piece, _)| *piece)
                {
                    found[self.pieces[at].1] = true;
                }
            }
        }
    }
}

/// Where in the list of beginnings the first bits of a piece stand.
fn beginning(piece: u64) -> (usize, u64) {
    let bits = usize::try_from(piece >> (64 - PREFIX_BITS)).unwrap_or(0);
    (bits / 64, 1 << (bits % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::object_bytes;

    #[test]
    fn keys_are_found_wherever_they_stand_and_nothing_else_is() {
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
