//! C2SP tlog-tiles: the tiles and entry bundles that a log publishes, their paths, and the bytes of a bundle.
//!
//! A tile of level L holds up to 256 hashes of complete subtrees of level 8·L. An entry bundle holds the up to 256
//! entries below the tile of level 0 with the same index. A *full* tile or bundle (256 wide) never changes. A partial
//! tile or bundle belongs to a single tree size.

use std::fmt::Write as _;

use thiserror::Error;

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH_FULL: u16 = 256;

/// Highest level of a tile, reached by a tree of 2^63 leaves.
pub const LEVEL_MAX: u8 = 7;

/// Longest entry in bytes. The length is written as a u16.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Longest path that is parsed, in bytes. The longest valid path has 46.
const PATH_BYTES_MAX: usize = 64;

/// Error of a tile path or of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TileError {
    /// The path is not that of a tile.
    #[error(
        "tile path {path:?}: expected tile/<level 0 to 7>/<index in groups of three digits>[.p/<width 1 to 255>]"
    )]
    Path {
        /// Path given, cut to 64 characters.
        path: String,
    },
    /// The entry is too long for a bundle.
    #[error("entry of {bytes} bytes is beyond the limit of {ENTRY_BYTES_MAX}")]
    EntryTooLong {
        /// Length of the entry in bytes.
        bytes: usize,
    },
    /// The bundle ends within an entry or its length.
    #[error("bundle ends within entry {entry}: expected {expected} more bytes, found {found}")]
    BundleCut {
        /// Number of the entry within the bundle, from 0.
        entry: usize,
        /// Bytes that the entry still needs.
        expected: usize,
        /// Bytes that follow.
        found: usize,
    },
    /// The bundle has no entries. A log does not publish such a file.
    #[error("bundle is empty: expected 1 to 256 entries")]
    BundleEmpty,
    /// The bundle continues after 256 entries.
    #[error("bundle has {surplus} bytes after its entry 255: expected at most 256 entries")]
    BundleTooLong {
        /// Number of surplus bytes.
        surplus: usize,
    },
}

/// Returns the number in groups of three digits, all but the last after an `x`: 1234067 is `x001/x234/067`.
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

/// Id of a tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level, 0 to [`LEVEL_MAX`]. Each hash of the tile covers 256^level leaves.
    pub level: u8,
    /// Number of the tile within its level, from 0.
    pub index: u64,
    /// Number of hashes in the tile: 1 to 256, 256 for a full tile.
    pub width: u16,
}

impl TileId {
    /// Returns the path below the prefix of the log: `tile/0/x001/x234/067.p/112`, or without `.p/112` for a full tile.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = format!("tile/{}/{}", self.level, index_path(self.index));
        push_width(&mut path, self.width);
        path
    }

    /// Parses a path. It accepts only the text that [`TileId::path`] writes.
    ///
    /// # Errors
    /// Any other text: a level above [`LEVEL_MAX`], a width outside 1 to 255, surplus or missing zeros or groups.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let refuse = || TileError::Path { path: path.chars().take(PATH_BYTES_MAX).collect() };
        let tile = parse_loosely(path).ok_or_else(refuse)?;
        // The comparison with the canonical spelling checks zeros, signs and groups.
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

/// Id of a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    /// Number of the bundle, from 0. The bundle begins with entry `index * 256`.
    pub index: u64,
    /// Number of entries in the bundle: 1 to 256, 256 for a full bundle.
    pub width: u16,
}

impl BundleId {
    /// Returns the path below the prefix of the log: `tile/entries/x001/x234/067.p/112`, or without `.p/112` for a full
    /// bundle.
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

/// Returns the tiles of the tree of `new_size` leaves that the tree of `old_size` leaves does not have, or has
/// narrower.
///
/// They ascend by level, then by index. Full tiles completed between the two sizes are included. If the tree has not
/// grown there are none. The result has a tile per 256 new leaves and a few more, so keep the two sizes near each
/// other.
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

/// Returns the entry bundles of the log of `new_size` entries that the log of `old_size` entries does not have, or has
/// narrower.
///
/// They ascend by index. If the log has not grown there are none. The result has a bundle per 256 new entries and
/// another, so keep the two sizes near each other.
#[must_use]
pub fn bundles_to_publish(old_size: u64, new_size: u64) -> Vec<BundleId> {
    spans(old_size, new_size).map(|(index, width)| BundleId { index, width }).collect()
}

/// Returns index and width of the spans of 256 in which `old..new` lies. `new` determines the width of the last span.
fn spans(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let full = u64::from(WIDTH_FULL);
    let end = if old < new { new.div_ceil(full) } else { 0 };
    (old / full..end).map(move |index| {
        let width = (new - index * full).min(full);
        (index, u16::try_from(width).unwrap_or(WIDTH_FULL))
    })
}

/// Appends an entry to a bundle: its length as a big-endian u16, then its bytes. The caller counts the entries of the
/// bundle.
///
/// # Errors
/// An entry longer than [`ENTRY_BYTES_MAX`]. The bundle is then unchanged.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Returns the entries of a bundle, 1 to 256. Every byte belongs to an entry.
///
/// # Errors
/// An empty bundle; a bundle that ends within an entry; a bundle that continues after 256 entries.
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
