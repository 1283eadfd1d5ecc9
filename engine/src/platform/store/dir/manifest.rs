//! Manifest of a bay of the quarantine: the original paths of its files.
//!
//! ```text
//! "sexton quarantine 1\n" ‖ count u32 ‖ count × (length u16 ‖ key) ‖ BLAKE3 of everything before (32 bytes)
//! ```
//!
//! Numbers are big-endian. The name of a file in the bay is its index in the manifest, in decimal. The hash guards against
//! damage: a damaged manifest would put a file back under another name, where it would never be deleted.
//! `docs/layout.md` draws it.

use super::path::RelPath;

const MAGIC: &[u8] = b"sexton quarantine 1\n";
const HASH_BYTES: usize = blake3::OUT_LEN;

/// Encodes a manifest of `keys`, which have at most 1,024 bytes each.
pub(super) fn encode<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + keys.len() * 64 + HASH_BYTES);
    out.extend(MAGIC);
    out.extend(u32::try_from(keys.len()).unwrap_or(u32::MAX).to_be_bytes());
    for key in keys {
        out.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(key);
    }
    let hash = blake3::hash(&out);
    out.extend(hash.as_bytes());
    out
}

/// Decodes a manifest; `None` if it is torn or damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    if blake3::hash(body) != <[u8; HASH_BYTES]>::try_from(hash).ok()? {
        return None;
    }
    let (count, mut rest) = body.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let count = u32::from_be_bytes(*count);
    let mut keys = Vec::new();
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (key, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        RelPath::parse(key).ok()?;
        keys.push(key.to_vec());
        rest = tail;
    }
    rest.is_empty().then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn manifest_reads_back() {
        for keys in [vec![], vec![b"a".to_vec()], vec![vec![b'x'; 1024], b"\xff/\n".to_vec()]] {
            let bytes = encode(keys.iter().map(Vec::as_slice));
            assert_eq!(decode(&bytes).unwrap(), keys);
        }
    }

    #[test]
    fn path_out_of_the_root_is_refused_despite_a_right_hash() {
        assert!(decode(&encode([&b"../a"[..]].into_iter())).is_none());
    }

    #[test]
    fn manifest_torn_at_any_length_is_refused() {
        let bytes = encode([&b"a/b"[..], b"c"].into_iter());
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_none(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn flipped_bit_is_detected(at in 0usize..200, bit in 0u8..8) {
            let mut bytes = encode([&b"some/path"[..], b"other"].into_iter());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_none());
        }
    }
}
