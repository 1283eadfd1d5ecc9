//! Content of tiles and entry bundles of a log (C2SP tlog-tiles).

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed, leaves};
use sexton_proof::tile::{self, TileId};
use std::path::Path;

const HASH_BYTES: usize = 32;

/// Shows an entry bundle, which is recognised by its content if its first entry is a leaf, and otherwise by its path.
pub(super) fn bundle<'a>(path: &Path, bytes: &[u8]) -> Option<Inspected<'a>> {
    let by_content = bytes.get(2..).is_some_and(|rest| rest.starts_with(leaves::MARK));
    let by_path = below_tile(path).is_some_and(|path| path.starts_with("tile/entries/"));
    (by_content || by_path).then(|| entries(bytes))
}

fn entries<'a>(bytes: &[u8]) -> Inspected<'a> {
    let entries = tile::parse_bundle(bytes).map_err(|e| Malformed::of("entry bundle")(&e))?;
    let leaves: Vec<Sheet<'_>> = entries.iter().map(|entry| leaves::leaf(entry)).collect::<Result<_, _>>()?;
    Ok(Sheet::of("entry bundle").with("entries", leaves.len()).with("entry", Value::Sheets(leaves)))
}

/// Shows a tile of hashes, which only its path tells from any other bytes.
pub(super) fn tile<'a>(path: &Path, bytes: &[u8]) -> Option<Inspected<'a>> {
    let tile = TileId::parse(&below_tile(path)?).ok()?;
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() || hashes.len() != usize::from(tile.width) {
        let expected = usize::from(tile.width) * HASH_BYTES;
        let why = format!("it has {} bytes, its path says {expected}", bytes.len());
        return Some(Err(Malformed::of("tile of hashes")(&why)));
    }
    Some(Ok(Sheet::of("tile of hashes")
        .with("level", u32::from(tile.level))
        .with("index", tile.index)
        .with("width", u32::from(tile.width))
        .with("hashes", Value::Texts(hashes.iter().map(hex::encode).collect()))))
}

/// Returns the path from its last folder `tile` on. A relative path from below that folder is resolved first.
fn below_tile(path: &Path) -> Option<String> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let from = parts.iter().rposition(|part| *part == "tile")?;
    Some(parts.get(from..)?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_is_recognised_by_path_and_has_its_width() {
        let at = |path: &str, bytes: usize| tile(Path::new(path), &vec![7; bytes]).map(|i| i.is_ok());
        assert_eq!(at("nowhere/log/tile/0/000.p/2", 64), Some(true));
        assert_eq!(at("nowhere/log/tile/1/x001/x234/067", 8192), Some(true));
        assert_eq!(at("nowhere/log/tile/0/000.p/2", 96), Some(false));
        assert_eq!(at("nowhere/log/tile/9/000.p/2", 64), None);
        assert_eq!(at("nowhere/else", 64), None);
    }
}
