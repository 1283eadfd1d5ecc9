//! Selectors: predicates on objects, for holds, erasures and closing down. Pure.

use crate::model::key_list::KeyList;
use crate::model::text::check_selects;
use crate::platform::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::id::KEY_MAX_BYTES;

/// Longest subject, in bytes.
pub const SUBJECT_MAX_BYTES: usize = 255;
/// Most bytes that the keys of one selector have together: 256 MiB. The number of keys has no limit of its own.
pub const SELECTOR_KEYS_MAX_BYTES: usize = 256 << 20;

/// Predicate on objects. While the hold or request stands, it also covers objects registered later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Selector {
    /// Objects with one of these keys; together 1 to 268,435,456 bytes. See [`Selector::keys`].
    Keys(KeyList),
    /// Objects whose key begins with these bytes; 1 to 2,048 bytes.
    Prefix(#[serde(with = "hex::serde")] Vec<u8>),
    /// Objects of this subject; 1 to 255 bytes.
    Subject(#[serde(with = "hex::serde")] Vec<u8>),
    /// Objects of all versions of the class with this name.
    Class(String),
    /// All objects.
    Everything,
}

/// Keys of one object, by which a selector covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// Key that the object is stored under.
    pub(crate) current: &'a [u8],
    /// Key that it was registered under. It differs from the current one if the object was renamed.
    pub(crate) first: &'a [u8],
}

impl<'a> Names<'a> {
    /// Returns the names of an object that was not renamed.
    pub(crate) fn one(key: &'a [u8]) -> Self {
        Names { current: key, first: key }
    }

    /// Iterates over the distinct names.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        [self.current].into_iter().chain((self.first != self.current).then_some(self.first))
    }
}

impl Selector {
    /// Returns the selector of objects with one of these keys, in any order.
    pub fn keys<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        Selector::Keys(keys.into_iter().collect())
    }

    /// Refuses a selector that could match nothing, or would match everything by mistake.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Selector::Keys(keys) => {
                check_selects("list of keys", keys.len(), usize::MAX)?;
                keys.iter().try_for_each(|key| check_selects("key", key.len(), KEY_MAX_BYTES))?;
                check_keys_bytes(keys.total_bytes())
            }
            Selector::Prefix(prefix) => check_selects("key prefix", prefix.len(), KEY_MAX_BYTES),
            Selector::Subject(subject) => check_selects("subject", subject.len(), SUBJECT_MAX_BYTES),
            Selector::Class(class) => check_selects("class name", class.len(), 64),
            Selector::Everything => Ok(()),
        }
    }

    /// Returns `true` if the selector covers an object of the class named `class`. One of its names is enough.
    pub(crate) fn covers(&self, class: &str, names: Names<'_>, subject: &[u8]) -> bool {
        match self {
            Selector::Keys(keys) => names.iter().any(|name| keys.contains(name)),
            Selector::Prefix(prefix) => names.iter().any(|name| name.starts_with(prefix)),
            Selector::Subject(wanted) => wanted == subject,
            Selector::Class(name) => name == class,
            Selector::Everything => true,
        }
    }

    /// Describes the selector in words, for operators.
    pub fn describe(&self) -> String {
        let quoted = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => format!("{text:?}"),
            Err(_) => format!("\"{}\"", bytes.escape_ascii()),
        };
        match self {
            Selector::Keys(keys) if keys.len() == 1 => format!("the key {}", quoted(keys.at(0))),
            Selector::Keys(keys) => format!("{} keys", keys.len()),
            Selector::Prefix(prefix) => format!("keys that begin with {}", quoted(prefix)),
            Selector::Subject(subject) => format!("the subject {}", quoted(subject)),
            Selector::Class(name) => format!("the class \"{name}\""),
            Selector::Everything => "everything".into(),
        }
    }
}

/// Refuses keys that have too many bytes together for one record.
fn check_keys_bytes(bytes: usize) -> Result<()> {
    if bytes <= SELECTOR_KEYS_MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "keys of {bytes} bytes together; at most {SELECTOR_KEYS_MAX_BYTES} are allowed: use several lists"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_covers_what_it_names_and_nothing_else() {
        let covers = |selector: Selector| selector.covers("logs", Names::one(b"a/1"), b"anna");
        assert!(covers(Selector::keys([&b"x"[..], b"a/1"])));
        assert!(!covers(Selector::keys([b"a/"])));
        assert!(covers(Selector::Prefix(b"a/".into())) && !covers(Selector::Prefix(b"b".into())));
        assert!(covers(Selector::Subject(b"anna".into())) && !covers(Selector::Subject(b"ann".into())));
        assert!(covers(Selector::Class("logs".into())) && !covers(Selector::Class("log".into())));
        assert!(covers(Selector::Everything));
    }

    #[test]
    fn selector_covers_a_renamed_object_by_either_name() {
        let names = Names { current: b"b/2", first: b"a/1" };
        for name in [&b"a/1"[..], b"b/2"] {
            assert!(Selector::keys([name]).covers("logs", names, b""));
            assert!(Selector::Prefix(name[..2].into()).covers("logs", names, b""));
        }
        assert!(!Selector::Prefix(b"c".into()).covers("logs", names, b""));
    }

    #[test]
    fn empty_or_overlong_selector_is_refused() {
        for empty in [
            Selector::keys([b""; 0]),
            Selector::keys([b""]),
            Selector::Prefix(vec![]),
            Selector::Subject(vec![]),
            Selector::Class(String::new()),
        ] {
            assert!(empty.check().is_err(), "{empty:?}");
        }
        assert!(Selector::Prefix(vec![0; 2049]).check().is_err());
        assert!(Selector::Subject(vec![0; 256]).check().is_err());
        assert!(check_keys_bytes(SELECTOR_KEYS_MAX_BYTES).is_ok());
        let error = check_keys_bytes(SELECTOR_KEYS_MAX_BYTES + 1).unwrap_err();
        assert!(error.message().contains("268435457 bytes together; at most 268435456"), "{error}");
    }

    #[test]
    fn selector_survives_a_round_trip_through_json() {
        for selector in [
            Selector::keys([b"a", &[0xff]]),
            Selector::Prefix(b"p".into()),
            Selector::Subject(b"s".into()),
            Selector::Class("c".into()),
            Selector::Everything,
        ] {
            let text = serde_json::to_string(&selector).unwrap();
            assert_eq!(serde_json::from_str::<Selector>(&text).unwrap(), selector);
        }
    }
}
