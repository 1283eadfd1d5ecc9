//! Identity of an object of a bucket, as it is registered in the engine: the `version` of a registration.
//!
//! # Encoding
//!
//! Each identity has one encoding, and each encoding decodes to one identity:
//!
//! | first byte | identity | what follows |
//! |---|---|---|
//! | 0x21 or above | version of an object | the byte belongs to the VersionId, which is the whole encoding |
//! | 0x01 | delete marker | VersionId |
//! | 0x02 | object without a VersionId of its own | last modification, Unix ms i64 big-endian (8 bytes) ‖ ETag without quotes |
//! | 0x03 | delete marker without a VersionId of its own | last modification, as above |
//! | 0x04 | incomplete multipart upload | UploadId |
//!
//! A VersionId, an ETag and an UploadId are not empty and have no spaces and no control characters. S3 promises that a VersionId
//! is fit for a URL and has at most 1,024 bytes. So a VersionId needs no byte in front of it, and the longest one still fits into
//! the engine's limit. The VersionId `null` is that of every object stored while versioning is off or suspended. It does not
//! identify one of them, so codes 2 and 3 take its place.

use std::fmt;

/// Limit of the engine on a version, bytes.
pub const VERSION_MAX_BYTES: usize = sexton_proof::id::VERSION_MAX_BYTES;
/// VersionId that servers give to every object stored without versioning.
pub(crate) const NULL: &str = "null";

const MARKER: u8 = 1;
const UNVERSIONED: u8 = 2;
const NULL_MARKER: u8 = 3;
const UPLOAD: u8 = 4;

/// Identity of an object of a bucket beside its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// Version of an object, by its VersionId. The server never changes what it means.
    Object(String),
    /// Delete marker, by its VersionId.
    Marker(String),
    /// Object stored while versioning was off or suspended. Another object may take its place under the key.
    Unversioned {
        /// Last modification, Unix milliseconds. Answers to HEAD give whole seconds only.
        modified_ms: i64,
        /// ETag without its quotes.
        etag: String,
    },
    /// Delete marker made while versioning was suspended.
    NullMarker {
        /// Last modification, Unix milliseconds.
        modified_ms: i64,
    },
    /// Multipart upload that is neither complete nor aborted, by its UploadId.
    Upload(String),
}

/// Encoding that is none of a [`Version`], or identity that has no encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VersionError(String);

impl Version {
    /// Returns the encoding.
    ///
    /// # Errors
    /// A part is empty, has a space or a control character, is the VersionId `null`, or the encoding would be longer than
    /// [`VERSION_MAX_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, VersionError> {
        let out = match self {
            Self::Object(id) => checked_id(id)?.as_bytes().to_vec(),
            Self::Marker(id) => [&[MARKER], checked_id(id)?.as_bytes()].concat(),
            Self::Unversioned { modified_ms, etag } => {
                let etag = checked("ETag", etag)?;
                [&[UNVERSIONED], &modified_ms.to_be_bytes()[..], etag.as_bytes()].concat()
            }
            Self::NullMarker { modified_ms } => [&[NULL_MARKER], &modified_ms.to_be_bytes()[..]].concat(),
            Self::Upload(id) => [&[UPLOAD], checked("UploadId", id)?.as_bytes()].concat(),
        };
        if out.len() > VERSION_MAX_BYTES {
            return Err(error(format!("a version of {} bytes; at most {VERSION_MAX_BYTES} fit", out.len())));
        }
        Ok(out)
    }

    /// Returns the identity of an encoding.
    ///
    /// # Errors
    /// The bytes are not what [`encode`](Self::encode) gives for an identity.
    pub fn decode(bytes: &[u8]) -> Result<Self, VersionError> {
        let (first, rest) = bytes.split_first().ok_or_else(|| error("an empty version".into()))?;
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(error("a version that is not UTF-8".into())),
        };
        let instant = || {
            let (ms, rest) = rest.split_first_chunk().ok_or_else(|| error("a version cut short".into()))?;
            Ok((i64::from_be_bytes(*ms), rest))
        };
        let version = match *first {
            MARKER => Self::Marker(text(rest)?),
            UNVERSIONED => {
                let (modified_ms, etag) = instant()?;
                Self::Unversioned { modified_ms, etag: text(etag)? }
            }
            NULL_MARKER => {
                let (modified_ms, rest) = instant()?;
                if !rest.is_empty() {
                    return Err(error("a version with bytes after its end".into()));
                }
                Self::NullMarker { modified_ms }
            }
            UPLOAD => Self::Upload(text(rest)?),
            0..0x21 => return Err(error(format!("a version of the unknown kind {first}"))),
            _ => Self::Object(text(bytes)?),
        };
        version.encode()?;
        Ok(version)
    }

    /// Returns the identity of an object that a listing gives with this VersionId, ETag and last modification.
    pub(crate) fn of_object(id: Option<&str>, modified_ms: i64, etag: &str) -> Self {
        match id {
            Some(id) if id != NULL => Self::Object(id.to_owned()),
            _ => Self::Unversioned { modified_ms, etag: unquoted(etag).to_owned() },
        }
    }

    /// Returns the identity of a delete marker that a listing gives with this VersionId and last modification.
    pub(crate) fn of_marker(id: &str, modified_ms: i64) -> Self {
        if id == NULL { Self::NullMarker { modified_ms } } else { Self::Marker(id.to_owned()) }
    }
}

/// Returns an ETag without the quotes around it.
pub(crate) fn unquoted(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => write!(f, "version {id}"),
            Self::Marker(id) => write!(f, "delete marker {id}"),
            Self::Unversioned { modified_ms, etag } => write!(f, "ETag {etag} of {modified_ms} ms"),
            Self::NullMarker { modified_ms } => write!(f, "delete marker of {modified_ms} ms"),
            Self::Upload(id) => write!(f, "upload {id}"),
        }
    }
}

fn error(why: String) -> VersionError {
    VersionError(why)
}

fn checked_id(id: &str) -> Result<&str, VersionError> {
    if id == NULL {
        return Err(error("the VersionId null; it does not identify one object".into()));
    }
    checked("VersionId", id)
}

fn checked<'a>(what: &str, text: &'a str) -> Result<&'a str, VersionError> {
    if text.is_empty() {
        return Err(error(format!("an empty {what}")));
    }
    if let Some(char) = text.chars().find(|char| char.is_whitespace() || char.is_control()) {
        return Err(error(format!(
            "a {what} with the character {char:?}; spaces and controls are not allowed"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<(Version, Vec<u8>)> {
        let (etag, modified_ms) = ("9b2cf535f27731c974343645a3985328-2", 0x0102_0304_0506);
        vec![
            (Version::Object("3/L4kqtJlcpXroDTDmJ".into()), b"3/L4kqtJlcpXroDTDmJ".to_vec()),
            (Version::Object("é".repeat(512)), "é".repeat(512).into_bytes()),
            (Version::Marker("v1".into()), b"\x01v1".to_vec()),
            (
                Version::Unversioned { modified_ms, etag: etag.into() },
                [&b"\x02\0\0\x01\x02\x03\x04\x05\x06"[..], etag.as_bytes()].concat(),
            ),
            (Version::NullMarker { modified_ms: -1 }, b"\x03\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
            (Version::Upload("2~abc".into()), b"\x042~abc".to_vec()),
        ]
    }

    #[test]
    fn version_has_one_encoding() {
        for (version, bytes) in samples() {
            assert_eq!(version.encode().unwrap(), bytes, "{version}");
            assert_eq!(Version::decode(&bytes).unwrap(), version);
        }
    }

    /// Every text of up to three bytes of an alphabet: what decodes encodes to the same bytes.
    #[test]
    fn bytes_decode_only_if_they_are_an_encoding() {
        let alphabet = [0, 1, 2, 3, 4, 5, 9, 0x20, 0x21, b'a', b'n', 0x7f, 0x80, 0xc3, 0xff];
        let mut decoded = 0;
        let mut texts = vec![Vec::new()];
        for _ in 0..3 {
            texts =
                texts.iter().flat_map(|text| alphabet.map(|byte| [&text[..], &[byte]].concat())).collect();
            for bytes in &texts {
                if let Ok(version) = Version::decode(bytes) {
                    assert_eq!(&version.encode().unwrap(), bytes);
                    decoded += 1;
                }
            }
        }
        assert!(decoded > 30, "{decoded}");
    }

    #[test]
    fn malformed_version_is_refused() {
        let long = "v".repeat(1_025);
        let nine = |tail: &[u8]| [&b"\x02\0\0\0\0\0\0\0\0"[..], tail].concat();
        let short = [&b""[..], b"null", b"\x01null", b"\x01", b"\x04", b"a b", b"a\n", b"\x05a", b"\x02abc"];
        for bytes in short.into_iter().chain([long.as_bytes()]) {
            assert!(Version::decode(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [nine(b""), nine(b"a b"), nine(b"\xff"), [&b"\x03"[..], &[0; 9]].concat()] {
            assert!(Version::decode(&bytes).is_err(), "{bytes:?}");
        }
        assert!(Version::Marker("v".repeat(1_024)).encode().is_err());
        assert!(Version::Object("v".repeat(1_024)).encode().is_ok());
    }

    #[test]
    fn null_version_is_known_by_etag_and_time() {
        let expected = Version::Unversioned { modified_ms: 5, etag: "abc".into() };
        assert_eq!(Version::of_object(Some("null"), 5, "\"abc\""), expected);
        assert_eq!(Version::of_object(None, 5, "abc"), expected);
        assert_eq!(Version::of_object(Some("v1"), 5, "abc"), Version::Object("v1".into()));
        assert_eq!(Version::of_marker("null", 5), Version::NullMarker { modified_ms: 5 });
    }
}
