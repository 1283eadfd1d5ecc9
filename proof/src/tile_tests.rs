use std::collections::BTreeSet;

use proptest::prelude::*;
use tlog_tiles::{HashReader as _, stored_hash_index, stored_hashes};

use super::*;
use crate::merkle::{self, Frontier};

#[test]
fn index_paths_are_those_of_the_specification() {
    assert_eq!(index_path(0), "000");
    assert_eq!(index_path(999), "999");
    assert_eq!(index_path(1000), "x001/000");
    assert_eq!(index_path(1_234_067), "x001/x234/067");
    assert_eq!(index_path(u64::MAX), "x018/x446/x744/x073/x709/x551/615");
}

#[test]
fn tile_and_bundle_paths_are_those_of_the_specification() {
    let tile = TileId { level: 0, index: 1_234_067, width: 112 };
    assert_eq!(tile.path(), "tile/0/x001/x234/067.p/112");
    assert_eq!(TileId { level: 1, index: 0, width: 256 }.path(), "tile/1/000");
    assert_eq!(BundleId { index: 273, width: 112 }.path(), "tile/entries/273.p/112");
    assert_eq!(BundleId { index: 1_234_067, width: 256 }.path(), "tile/entries/x001/x234/067");
    let longest = TileId { level: 7, index: u64::MAX, width: 255 };
    assert_eq!(longest.path().len(), 46);
    assert_eq!(TileId::parse(&longest.path()), Ok(longest));
}

#[test]
fn every_other_spelling_of_a_path_is_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/X001/000",
        "tile/0/xx001/000",
        "tile/0/+01",
        "tile/data/000",
        "tile/entries/000",
        "tile/8/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/１23",
    ] {
        assert_eq!(TileId::parse(path), Err(TileError::Path { path: path.to_owned() }), "{path}");
    }
    assert!(TileId::parse(&"9".repeat(10_000)).unwrap_err().to_string().len() < 200);
}

#[test]
fn tree_of_70000_leaves_has_277_tiles_as_specified() {
    let tiles = tiles_to_publish(0, 70_000);
    assert_eq!(tiles.len(), 277);
    assert_eq!(bundles_to_publish(0, 70_000).len(), 274);
    for path in ["tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"] {
        assert!(tiles.contains(&TileId::parse(path).unwrap()), "{path}");
    }
    let paths: Vec<String> = tiles_to_publish(0, 256).iter().map(TileId::path).collect();
    assert_eq!(paths, ["tile/0/000", "tile/1/000.p/1"]);
}

/// Returns the tiles of a tree by the definition of the specification: at level l, floor(s / 256^l) hashes in tiles of
/// 256.
fn tiles_of(size: u64) -> BTreeSet<TileId> {
    let mut tiles = BTreeSet::new();
    let mut hashes = size;
    for level in 0.. {
        if hashes == 0 {
            return tiles;
        }
        tiles.extend((0..hashes / 256).map(|index| TileId { level, index, width: 256 }));
        let width = u16::try_from(hashes % 256).unwrap();
        tiles.extend((width > 0).then_some(TileId { level, index: hashes / 256, width }));
        hashes /= 256;
    }
    tiles
}

#[test]
fn published_tiles_are_those_missing_in_the_old_tree() {
    let sizes = [0, 1, 2, 17, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_792, 131_073];
    for new in sizes {
        for old in sizes {
            let published = tiles_to_publish(old, new);
            let expected: Vec<TileId> =
                if old < new { tiles_of(new).difference(&tiles_of(old)).copied().collect() } else { vec![] };
            assert_eq!(published, expected, "{old} to {new}");
            let bundles: Vec<TileId> = bundles_to_publish(old, new)
                .into_iter()
                .map(|BundleId { index, width }| TileId { level: 0, index, width })
                .collect();
            let level_0: Vec<TileId> = expected.into_iter().filter(|tile| tile.level == 0).collect();
            assert_eq!(bundles, level_0, "{old} to {new}");
        }
    }
}

#[test]
fn last_leaf_of_the_largest_tree_changes_a_tile_per_level() {
    let paths: Vec<String> =
        tiles_to_publish(merkle::SIZE_MAX - 1, merkle::SIZE_MAX).iter().map(TileId::path).collect();
    assert_eq!(paths.len(), 8);
    assert_eq!(paths.last().map(String::as_str), Some("tile/7/000.p/128"));
    assert_eq!(tiles_to_publish(u64::MAX - 1, u64::MAX).len(), 1);
}

#[test]
fn tile_bytes_and_paths_equal_those_of_tlog_tiles() {
    struct Stored(Vec<tlog_tiles::Hash>);
    impl tlog_tiles::HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|i| self.0[usize::try_from(*i).unwrap()]).collect())
        }
    }
    let (mut stored, mut frontier) = (Stored(vec![]), Frontier::new());
    let mut nodes = std::collections::HashMap::new();
    for n in 0..600_u64 {
        let entry = n.to_be_bytes();
        stored.0.extend(stored_hashes(n, &entry, &stored).unwrap());
        frontier.push(merkle::leaf_hash(&entry), &mut |level, index, hash| {
            nodes.insert((level, index), hash);
        });
    }
    assert_eq!(stored.read_hashes(&[stored_hash_index(8, 1)]).unwrap()[0].0, nodes[&(8, 1)]);
    for (old, new) in [(0, 1), (0, 600), (1, 2), (255, 257), (256, 257), (300, 512), (511, 600)] {
        let ours = tiles_to_publish(old, new);
        let theirs = tlog_tiles::Tile::new_tiles(8, old, new);
        assert_eq!(ours.len(), theirs.len());
        for (tile, theirs) in ours.iter().zip(theirs) {
            assert_eq!(tile.path().replacen("tile/", "tile/8/", 1), theirs.path());
            let bytes: Vec<u8> = (0..u64::from(tile.width))
                .flat_map(|i| nodes[&(8 * tile.level, tile.index * 256 + i)])
                .collect();
            assert_eq!(bytes, theirs.read_data(&stored).unwrap());
        }
    }
}

fn bundle(entries: &[&[u8]]) -> Vec<u8> {
    let mut bundle = Vec::new();
    entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
    bundle
}

#[test]
fn bundle_is_lengths_and_entries() {
    assert_eq!(bundle(&[b"abc", b"", b"d"]), b"\x00\x03abc\x00\x00\x00\x01d");
    assert_eq!(parse_bundle(b"\x00\x03abc\x00\x00\x00\x01d"), Ok(vec![&b"abc"[..], b"", b"d"]));
}

#[test]
fn entry_beyond_its_limit_leaves_the_bundle_unchanged() {
    let entry = vec![7; ENTRY_BYTES_MAX + 1];
    let mut bytes = bundle(&[&entry[1..]]);
    assert_eq!(parse_bundle(&bytes), Ok(vec![&entry[1..]]));
    let before = bytes.clone();
    assert_eq!(push_entry(&mut bytes, &entry), Err(TileError::EntryTooLong { bytes: 65_536 }));
    assert_eq!(bytes, before);
}

#[test]
fn bundle_has_1_to_256_entries() {
    assert_eq!(parse_bundle(b""), Err(TileError::BundleEmpty));
    assert_eq!(parse_bundle(&bundle(&[&b"x"[..]; 256])).map(|entries| entries.len()), Ok(256));
    assert_eq!(parse_bundle(&bundle(&[&b"x"[..]; 257])), Err(TileError::BundleTooLong { surplus: 3 }));
}

#[test]
fn bundle_cut_anywhere_within_an_entry_is_refused() {
    let bytes = bundle(&[b"abc", b"defg"]);
    assert_eq!(parse_bundle(&bytes[..4]), Err(TileError::BundleCut { entry: 0, expected: 3, found: 2 }));
    assert_eq!(parse_bundle(&bytes[..6]), Err(TileError::BundleCut { entry: 1, expected: 2, found: 1 }));
    for cut in (0..bytes.len()).filter(|cut| *cut != 5) {
        assert!(parse_bundle(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn every_tile_has_one_path(level in 0..=LEVEL_MAX, bits in 0..64_u32, index: u64, width in 1..=WIDTH_FULL) {
        let tile = TileId { level, index: index >> bits, width };
        prop_assert_eq!(TileId::parse(&tile.path()), Ok(tile));
    }

    #[test]
    fn accepted_path_is_written_the_same(path in "(tile/[0-9]{1,2}/)?(x[0-9]{3}/){0,3}[0-9x+]{1,4}(\\.p/[0-9]{1,3})?|.{0,70}") {
        if let Ok(tile) = TileId::parse(&path) {
            prop_assert_eq!(tile.path(), path);
        }
    }

    #[test]
    fn accepted_bundle_is_written_the_same(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop_oneof![9 => Just(0_u8), 1 => 0..9_u8], 0..700),
        ],
    ) {
        if let Ok(entries) = parse_bundle(&bytes) {
            prop_assert!((1..=256).contains(&entries.len()));
            prop_assert_eq!(bundle(&entries), bytes);
        }
    }
}
