//! What a hold, an erasure or a closing down is about. Pure.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::id::KEY_MAX_BYTES;

/// Longest subject, in bytes.
pub const SUBJECT_MAX_BYTES: usize = 255;
/// Most keys in one selector.
pub const SELECTOR_KEYS_MAX: usize = 10_000;

/// A predicate on objects. What is registered later is covered as well, as long as the predicate stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// These keys, 1 to 10,000.
    Keys(#[serde(with = "hex_list")] Vec<Vec<u8>>),
    /// Every key that begins so; 1 to 1024 bytes.
    Prefix(#[serde(with = "hex::serde")] Vec<u8>),
    /// Everything of this subject; 1 to 255 bytes.
    Subject(#[serde(with = "hex::serde")] Vec<u8>),
    /// Everything in this class, whatever its version.
    Class(String),
    /// Everything.
    Everything,
}

impl Selector {
    /// Refuses what could not match anything, or would match everything by mistake.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Selector::Keys(keys) => {
                bounded("list of keys", keys.len(), SELECTOR_KEYS_MAX)?;
                keys.iter().try_for_each(|key| bounded("key", key.len(), KEY_MAX_BYTES))
            }
            Selector::Prefix(prefix) => bounded("key prefix", prefix.len(), KEY_MAX_BYTES),
            Selector::Subject(subject) => bounded("subject", subject.len(), SUBJECT_MAX_BYTES),
            Selector::Class(class) => bounded("class name", class.len(), 64),
            Selector::Everything => Ok(()),
        }
    }

    /// Whether it covers an object of the class named `class`.
    pub(crate) fn covers(&self, class: &str, key: &[u8], subject: &[u8]) -> bool {
        match self {
            Selector::Keys(keys) => keys.iter().any(|one| one == key),
            Selector::Prefix(prefix) => key.starts_with(prefix),
            Selector::Subject(one) => one == subject,
            Selector::Class(name) => name == class,
            Selector::Everything => true,
        }
    }

    /// In words, for people.
    pub fn describe(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Selector::Keys(keys) => match &keys[..] {
                [one] => format!("the key {:?}", text(one)),
                many => format!("{} keys", many.len()),
            },
            Selector::Prefix(prefix) => format!("keys that begin with {:?}", text(prefix)),
            Selector::Subject(subject) => format!("the subject {:?}", text(subject)),
            Selector::Class(name) => format!("the class \"{name}\""),
            Selector::Everything => "everything".into(),
        }
    }
}

fn bounded(what: &str, found: usize, max: usize) -> Result<()> {
    match found {
        0 => Err(Error::invalid(format!("an empty {what} would select nothing, or everything by mistake"))),
        _ if found > max => Err(Error::invalid(format!("{what} of length {found}; 1 to {max} are allowed"))),
        _ => Ok(()),
    }
}

/// A list of byte strings as hexadecimal texts.
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
    fn a_selector_covers_what_it_says_and_nothing_else() {
        let covers = |selector: Selector| selector.covers("logs", b"a/1", b"anna");
        assert!(covers(Selector::Keys(vec![b"x".into(), b"a/1".into()])));
        assert!(!covers(Selector::Keys(vec![b"a/".into()])));
        assert!(covers(Selector::Prefix(b"a/".into())) && !covers(Selector::Prefix(b"b".into())));
        assert!(covers(Selector::Subject(b"anna".into())) && !covers(Selector::Subject(b"ann".into())));
        assert!(covers(Selector::Class("logs".into())) && !covers(Selector::Class("log".into())));
        assert!(covers(Selector::Everything));
    }

    #[test]
    fn an_empty_selector_is_refused() {
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
    fn a_selector_survives_being_written_down() {
        for one in [
            Selector::Keys(vec![b"a".into(), vec![0xff]]),
            Selector::Prefix(b"p".into()),
            Selector::Subject(b"s".into()),
            Selector::Class("c".into()),
            Selector::Everything,
        ] {
            let text = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<Selector>(&text).unwrap(), one);
        }
    }
}
