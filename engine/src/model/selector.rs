//! Selectors: predicates on objects, for holds, erasures and closing down. Pure.

use crate::model::text::check_selects;
use crate::platform::error::Result;
use serde::{Deserialize, Serialize};
use sexton_proof::id::KEY_MAX_BYTES;

/// Longest subject, in bytes.
pub const SUBJECT_MAX_BYTES: usize = 255;
/// Most keys in one selector.
pub const SELECTOR_KEYS_MAX: usize = 10_000;

/// Predicate on objects. While the hold or request stands, it also covers objects registered later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Selector {
    /// Objects with one of these keys; 1 to 10,000 keys.
    Keys(#[serde(with = "hex_list")] Vec<Vec<u8>>),
    /// Objects whose key begins with these bytes; 1 to 1,024 bytes.
    Prefix(#[serde(with = "hex::serde")] Vec<u8>),
    /// Objects of this subject; 1 to 255 bytes.
    Subject(#[serde(with = "hex::serde")] Vec<u8>),
    /// Objects of all versions of the class with this name.
    Class(String),
    /// All objects.
    Everything,
}

impl Selector {
    /// Refuses a selector that could match nothing, or would match everything by mistake.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Selector::Keys(keys) => {
                check_selects("list of keys", keys.len(), SELECTOR_KEYS_MAX)?;
                keys.iter().try_for_each(|key| check_selects("key", key.len(), KEY_MAX_BYTES))
            }
            Selector::Prefix(prefix) => check_selects("key prefix", prefix.len(), KEY_MAX_BYTES),
            Selector::Subject(subject) => check_selects("subject", subject.len(), SUBJECT_MAX_BYTES),
            Selector::Class(class) => check_selects("class name", class.len(), 64),
            Selector::Everything => Ok(()),
        }
    }

    /// Returns `true` if the selector covers an object of the class named `class`.
    pub(crate) fn covers(&self, class: &str, key: &[u8], subject: &[u8]) -> bool {
        match self {
            Selector::Keys(keys) => keys.iter().any(|listed| listed == key),
            Selector::Prefix(prefix) => key.starts_with(prefix),
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
            Selector::Keys(keys) => match &keys[..] {
                [key] => format!("the key {}", quoted(key)),
                keys => format!("{} keys", keys.len()),
            },
            Selector::Prefix(prefix) => format!("keys that begin with {}", quoted(prefix)),
            Selector::Subject(subject) => format!("the subject {}", quoted(subject)),
            Selector::Class(name) => format!("the class \"{name}\""),
            Selector::Everything => "everything".into(),
        }
    }
}

/// Serialises a list of byte strings as hexadecimal texts.
mod hex_list {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(hex::encode))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| hex::decode(text).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_covers_what_it_names_and_nothing_else() {
        let covers = |selector: Selector| selector.covers("logs", b"a/1", b"anna");
        assert!(covers(Selector::Keys(vec![b"x".into(), b"a/1".into()])));
        assert!(!covers(Selector::Keys(vec![b"a/".into()])));
        assert!(covers(Selector::Prefix(b"a/".into())) && !covers(Selector::Prefix(b"b".into())));
        assert!(covers(Selector::Subject(b"anna".into())) && !covers(Selector::Subject(b"ann".into())));
        assert!(covers(Selector::Class("logs".into())) && !covers(Selector::Class("log".into())));
        assert!(covers(Selector::Everything));
    }

    #[test]
    fn empty_or_overlong_selector_is_refused() {
        for empty in [
            Selector::Keys(vec![]),
            Selector::Keys(vec![vec![]]),
            Selector::Prefix(vec![]),
            Selector::Subject(vec![]),
            Selector::Class(String::new()),
        ] {
            assert!(empty.check().is_err(), "{empty:?}");
        }
        assert!(Selector::Prefix(vec![0; 1025]).check().is_err());
        assert!(Selector::Subject(vec![0; 256]).check().is_err());
        assert!(Selector::Keys(vec![vec![1]; SELECTOR_KEYS_MAX + 1]).check().is_err());
    }

    #[test]
    fn selector_survives_a_round_trip_through_json() {
        for selector in [
            Selector::Keys(vec![b"a".into(), vec![0xff]]),
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
