//! Record of a root of a directory store: when it was accepted, and the path by which it was named.

use super::Reader;
use super::meta::ROOTS;
use crate::platform::error::{Error, Result};
use crate::platform::store::dir::RootId;
use sexton_proof::time::Timestamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Root of a directory store that was accepted for an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedRoot {
    /// Id of the root, which its label holds.
    pub id: RootId,
    /// Path by which it was named. The root may have moved since.
    pub path: PathBuf,
    /// Instant at which it was accepted.
    pub accepted: Timestamp,
}

/// Returns the key of a root.
pub(crate) fn root_key(id: RootId) -> Vec<u8> {
    [ROOTS, &id.to_bytes()].concat()
}

/// Encodes the record of a root.
pub(crate) fn encode_root(root: &AcceptedRoot) -> Vec<u8> {
    [&root.accepted.to_be_bytes()[..], root.path.as_os_str().as_bytes()].concat()
}

/// Decodes the record of a root from its key and value.
pub(crate) fn decode_root(key: &[u8], value: &[u8]) -> Result<AcceptedRoot> {
    let decode = || {
        let id: [u8; 16] = key.strip_prefix(ROOTS)?.try_into().ok()?;
        let mut reader = Reader(value);
        let accepted = reader.timestamp()?;
        Some(AcceptedRoot {
            id: RootId::from_bytes(id),
            path: PathBuf::from(OsStr::from_bytes(reader.0)),
            accepted,
        })
    };
    decode().ok_or_else(|| Error::corrupt_index("the record of a root is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_stored_in_the_recorded_bytes() {
        let root = AcceptedRoot {
            id: RootId::from_bytes([7; 16]),
            path: PathBuf::from(OsStr::from_bytes(b"/srv/\xff")),
            accepted: Timestamp::from_unix_ms(0x0102),
        };
        let (key, value) = (root_key(root.id), encode_root(&root));
        assert_eq!(key, [&b"root/"[..], &[7; 16]].concat());
        assert_eq!(value, b"\0\0\0\0\0\0\x01\x02/srv/\xff");
        assert_eq!(decode_root(&key, &value).unwrap(), root);
        for (key, value) in [(&key[..20], &value[..]), (&key, &value[..7])] {
            assert!(decode_root(key, value).unwrap_err().to_string().contains("malformed"));
        }
    }
}
