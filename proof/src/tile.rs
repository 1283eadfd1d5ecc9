//! C2SP tlog-tiles: which tiles and entry bundles a log publishes, their paths, and the bytes of a bundle.
//!
//! A tile of level L holds up to 256 hashes of complete subtrees of level 8·L, an entry bundle the up to 256
//! entries below the tile of level 0 with the same index. A *full* one (256 wide) never changes; a partial
//! one belongs to one tree size.

use std::fmt::Write as _;

use thiserror::Error;

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH_FULL: u16 = 256;

/// The highest level of a tile: a tree of 2^63 leaves has no higher one.
pub const LEVEL_MAX: u8 = 7;

/// The longest entry, in bytes: its length is written as a u16.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// The longest path that is looked at, in bytes; the longest valid one has 46.
const PATH_BYTES_MAX: usize = 64;

/// What is wrong with a tile's path or a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not the path of a tile.
    #[error(
        "tile path {path:?}: expected tile/<level 0 to 7>/<index in groups of three digits>[.p/<width 1 to 255>]"
    )]
    Path {
        /// The path given, cut to 64 characters.
        path: String,
    },
    /// An entry that no bundle can hold.
    #[error("entry of {bytes} bytes is beyond the limit of {ENTRY_BYTES_MAX}")]
    EntryTooLong {
        /// The entry's length in bytes.
        bytes: usize,
    },
    /// A bundle ends within an entry or its length.
    #[error("bundle ends within entry {entry}: expected {expected} more bytes, found {found}")]
    BundleCut {
        /// The entry's number within the bundle, from 0.
        entry: usize,
        /// How many bytes should follow.
        expected: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// A bundle without entries: such a file must not exist.
    #[error("bundle is empty: expected 1 to 256 entries")]
    BundleEmpty,
    /// A bundle goes on after 256 entries.
    #[error("bundle has {surplus} bytes after its entry 255: expected at most 256 entries")]
    BundleTooLong {
        /// How many bytes are left.
        surplus: usize,
    },
}

/// The number in groups of three digits, all but the last with an `x` before it: 1234067 is `x001/x234/067`.
#[must_use]
pub fn index_path(n: u64) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// A tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// The level, 0 to [`LEVEL_MAX`]: the tile's hashes cover 256^level leaves each.
    pub level: u8,
    /// The tile's number within its level, from 0.
    pub index: u64,
    /// How many hashes it holds: 1 to 256, 256 for a full tile.
    pub width: u16,
}

impl TileId {
    /// The tile's path below the log's prefix: `tile/0/x001/x234/067.p/112`, a full tile's without the `.p/`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = format!("tile/{}/{}", self.level, index_path(self.index));
        push_width(&mut path, self.width);
        path
    }

    /// The tile with this path; exactly what [`TileId::path`] writes is accepted.
    ///
    /// # Errors
    /// Anything else: a level above [`LEVEL_MAX`], a width outside 1 to 255, surplus or missing zeros or
    /// groups.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let refuse = || TileError::Path { path: path.chars().take(PATH_BYTES_MAX).collect() };
        let tile = parse_loosely(path).ok_or_else(refuse)?;
        // Comparing with the one right spelling settles zeros, signs and groups at once.
        if tile.path() == path { Ok(tile) } else { Err(refuse()) }
    }
}

fn parse_loosely(path: &str) -> Option<TileId> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let level = level.parse().ok().filter(|level| *level <= LEVEL_MAX)?;
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, width.parse().ok().filter(|w| (1..WIDTH_FULL).contains(w))?),
        None => (rest, WIDTH_FULL),
    };
    let mut index = 0_u64;
    for group in groups.split('/') {
        let group: u16 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(u64::from(group))?;
    }
    Some(TileId { level, index, width })
}

/// A bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    /// The bundle's number, from 0: it begins with entry `index * 256`.
    pub index: u64,
    /// How many entries it holds: 1 to 256, 256 for a full bundle.
    pub width: u16,
}

impl BundleId {
    /// The bundle's path below the log's prefix: `tile/entries/x001/x234/067.p/112`, a full bundle's without
    /// the `.p/`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = format!("tile/entries/{}", index_path(self.index));
        push_width(&mut path, self.width);
        path
    }
}

fn push_width(path: &mut String, width: u16) {
    if width != WIDTH_FULL {
        // Writing to a String cannot fail.
        let _ = write!(path, ".p/{width}");
    }
}

/// The tiles of the tree of `new_size` leaves that the tree of `old_size` leaves does not have, or has
/// narrower: level by level from 0, ascending, the full ones that were passed on the way included. None where
/// the tree has not grown.
///
/// One per 256 new leaves and a few more, so keep the two sizes near each other.
#[must_use]
pub fn tiles_to_publish(old_size: u64, new_size: u64) -> Vec<TileId> {
    (0..=LEVEL_MAX)
        .flat_map(|level| {
            let hashes = |size: u64| size >> (8 * u32::from(level));
            spans(hashes(old_size), hashes(new_size)).map(move |(index, width)| TileId {
                level,
                index,
                width,
            })
        })
        .collect()
}

/// The entry bundles of the log of `new_size` entries that the log of `old_size` entries does not have, or
/// has narrower: ascending. None where the log has not grown. One per 256 new entries and one more, so keep
/// the two sizes near each other.
#[must_use]
pub fn bundles_to_publish(old_size: u64, new_size: u64) -> Vec<BundleId> {
    spans(old_size, new_size).map(|(index, width)| BundleId { index, width }).collect()
}

/// Index and width of the spans of 256 in which `old..new` lies, the last as wide as `new` makes it.
fn spans(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let full = u64::from(WIDTH_FULL);
    let end = if old < new { new.div_ceil(full) } else { 0 };
    (old / full..end).map(move |index| {
        let width = (new - index * full).min(full);
        (index, u16::try_from(width).unwrap_or(WIDTH_FULL))
    })
}

/// Appends an entry to a bundle: its length as a big-endian u16, then its bytes. How many entries a bundle
/// has is the caller's to count.
///
/// # Errors
/// An entry longer than [`ENTRY_BYTES_MAX`]; the bundle is then unchanged.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, 1 to 256; every byte belongs to one.
///
/// # Errors
/// An empty bundle, one that ends within an entry, one that goes on after 256 entries.
pub fn parse_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    if bundle.is_empty() {
        return Err(TileError::BundleEmpty);
    }
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        if entries.len() == usize::from(WIDTH_FULL) {
            return Err(TileError::BundleTooLong { surplus: rest.len() });
        }
        let cut = |expected, found| TileError::BundleCut { entry: entries.len(), expected, found };
        let (length, after) = rest.split_first_chunk().ok_or_else(|| cut(2, rest.len()))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or_else(|| cut(length, after.len()))?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "tile_tests.rs"]
mod tests;
