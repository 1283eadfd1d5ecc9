//! Record of a root of a directory store: when it was accepted, the path by which it was named, and its source.

use super::Reader;
use super::meta::ROOTS;
use super::to_json;
use crate::model::text::Decided;
use crate::platform::error::{Error, Result};
use crate::platform::store::dir::RootId;
use sexton_proof::time::Timestamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Longest name of a source, bytes.
const NAME_MAX_BYTES: usize = 32;

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
    /// Source that it serves; `None` if it serves none, or serves one no longer.
    pub source: Option<RootSource>,
    /// Newest decision to have it serve a source; `None` if there was none, or a release before this record made it.
    pub decided: Option<Decided>,
}

/// Source of objects that a root serves.
///
/// ```
/// use sexton::decision::RootSource;
/// assert_eq!(RootSource::new("uploads")?.prefix(), "uploads/");
/// assert_eq!(RootSource::new("uploads")?.without_prefix().prefix(), "");
/// assert!(RootSource::new("Uploads").is_err());
/// # Ok::<(), sexton::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSource {
    name: String,
    prefix: String,
}

impl RootSource {
    /// Creates a source whose name and a slash begin the keys of its objects.
    ///
    /// # Errors
    /// `Invalid` unless the name has 1 to 32 of the characters `a` to `z`, `0` to `9` and `-`.
    pub fn new(name: &str) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=NAME_MAX_BYTES).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(Error::invalid(format!(
                "the name {name:?} of a source; give 1 to {NAME_MAX_BYTES} of the characters a to z, 0 to 9 and -"
            )));
        }
        Ok(RootSource { name: name.into(), prefix: format!("{name}/") })
    }

    /// Returns the source with keys that are the paths below its root.
    #[must_use]
    pub fn without_prefix(self) -> Self {
        RootSource { prefix: String::new(), ..self }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the beginning of the keys of all its objects.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn decode(name: &[u8], prefix: &[u8]) -> Option<Self> {
        let source = Self::new(std::str::from_utf8(name).ok()?).ok()?;
        let source = if prefix.is_empty() { source.without_prefix() } else { source };
        (source.prefix.as_bytes() == prefix).then_some(source)
    }
}

/// Returns the key of a root.
pub(crate) fn root_key(id: RootId) -> Vec<u8> {
    [ROOTS, &id.to_bytes()].concat()
}

/// Encodes the record of a root. Its parts have no NUL, so it stands between them. A root with a decision and without a
/// source has an empty name and an empty prefix.
pub(crate) fn encode_root(root: &AcceptedRoot) -> Result<Vec<u8>> {
    let mut out = [&root.accepted.to_be_bytes()[..], root.path.as_os_str().as_bytes()].concat();
    if root.source.is_some() || root.decided.is_some() {
        let (name, prefix) = root.source.as_ref().map_or(("", ""), |source| (&source.name, &source.prefix));
        out.extend([b"\0", name.as_bytes(), b"\0", prefix.as_bytes()].concat());
    }
    if let Some(decided) = &root.decided {
        out.push(0);
        out.extend(to_json(decided)?);
    }
    Ok(out)
}

/// Decodes the record of a root from its key and value.
pub(crate) fn decode_root(key: &[u8], value: &[u8]) -> Result<AcceptedRoot> {
    let decode = || {
        let id: [u8; 16] = key.strip_prefix(ROOTS)?.try_into().ok()?;
        let mut reader = Reader(value);
        let accepted = reader.timestamp()?;
        let parts: Vec<&[u8]> = reader.0.split(|&byte| byte == 0).collect();
        let (path, source, decided) = match parts[..] {
            [path] => (path, None, None),
            [path, name, prefix] => (path, Some((name, prefix)), None),
            [path, b"", b"", decided] => (path, None, Some(decided)),
            [path, name, prefix, decided] => (path, Some((name, prefix)), Some(decided)),
            _ => return None,
        };
        let path = PathBuf::from(OsStr::from_bytes(path));
        let source = match source {
            Some((name, prefix)) => Some(RootSource::decode(name, prefix)?),
            None => None,
        };
        let decided = decided.map(serde_json::from_slice).transpose().ok()?;
        Some(AcceptedRoot { id: RootId::from_bytes(id), path, accepted, source, decided })
    };
    decode().ok_or_else(|| Error::corrupt_index("the record of a root is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::text::Attribution;

    fn root(source: Option<RootSource>, decided: Option<Decided>) -> AcceptedRoot {
        AcceptedRoot {
            id: RootId::from_bytes([7; 16]),
            path: PathBuf::from(OsStr::from_bytes(b"/srv/\xff")),
            accepted: Timestamp::from_unix_ms(0x0102),
            source,
            decided,
        }
    }

    #[test]
    fn root_is_stored_in_the_recorded_bytes() {
        let source = || RootSource::new("up-2").unwrap();
        let decided =
            || Some(Decided { at: Timestamp::from_unix_ms(3), attribution: Attribution::new("a\0", "r") });
        let json = r#"{"at_ms":3,"reason":"r","author":"a\u0000"}"#;
        for (source, decided, end) in [
            (None, None, String::new()),
            (Some(source()), None, "\0up-2\0up-2/".into()),
            (Some(source().without_prefix()), None, "\0up-2\0".into()),
            (Some(source()), decided(), format!("\0up-2\0up-2/\0{json}")),
            (Some(source().without_prefix()), decided(), format!("\0up-2\0\0{json}")),
            (None, decided(), format!("\0\0\0{json}")),
        ] {
            let root = root(source, decided);
            let (key, value) = (root_key(root.id), encode_root(&root).unwrap());
            assert_eq!(key, [&b"root/"[..], &[7; 16]].concat());
            assert_eq!(value, [&b"\0\0\0\0\0\0\x01\x02/srv/\xff"[..], end.as_bytes()].concat());
            assert_eq!(decode_root(&key, &value).unwrap(), root);
        }
    }

    #[test]
    fn malformed_root_is_refused() {
        let (key, value) = (root_key(RootId::from_bytes([7; 16])), encode_root(&root(None, None)).unwrap());
        let with = |end: &[u8]| [&value, end].concat();
        for (key, value) in [
            (&key[..20], value.clone()),
            (&key, value[..7].to_vec()),
            (&key, with(b"\0")),
            (&key, with(b"\0up")),
            (&key, with(b"\0Up\0Up/")),
            (&key, with(b"\0up\0other/")),
            (&key, with(b"\0up\0up/\0")),
            (&key, with(b"\0up\0up/\0{}")),
            (&key, with(b"\0\0")),
            (&key, with(b"\0up\0up/\0{\"at_ms\":3,\"reason\":\"r\",\"author\":\"a\"}\0")),
        ] {
            assert!(decode_root(key, &value).unwrap_err().to_string().contains("malformed"));
        }
    }
}
