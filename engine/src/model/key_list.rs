//! List of object keys, as a selector names them. Pure.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Keys in ascending order, each once. A clone shares them.
///
/// A list may have millions of keys. It takes the bytes of the keys and eight bytes for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList(Arc<Sorted>);

#[derive(Debug, PartialEq, Eq)]
struct Sorted {
    /// All keys, one after the other.
    bytes: Vec<u8>,
    /// End of each key.
    ends: Vec<usize>,
}

impl KeyList {
    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Returns `true` if the list has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Returns the length of all keys together, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.0.bytes.len()
    }

    /// Returns `true` if the list has this key. Takes a binary search.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle).cmp(key) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }

    /// Returns the keys in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Returns the key at `index`, which is below the length.
    pub(crate) fn at(&self, index: usize) -> &[u8] {
        let begin = index.checked_sub(1).map_or(0, |previous| self.0.ends[previous]);
        &self.0.bytes[begin..self.0.ends[index]]
    }
}

impl<K: AsRef<[u8]>> FromIterator<K> for KeyList {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut unsorted = Unsorted::default();
        keys.into_iter().for_each(|key| unsorted.push(key.as_ref()));
        unsorted.sort()
    }
}

/// Keys in any order.
#[derive(Default)]
struct Unsorted {
    bytes: Vec<u8>,
    /// Place of each key in `bytes`.
    spans: Vec<Range<usize>>,
}

impl Unsorted {
    fn push(&mut self, key: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.spans.push(begin..self.bytes.len());
    }

    fn sort(self) -> KeyList {
        let Unsorted { bytes, mut spans } = self;
        spans.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
        spans.dedup_by(|a, b| bytes[a.clone()] == bytes[b.clone()]);
        let mut sorted = Sorted {
            bytes: Vec::with_capacity(spans.iter().map(ExactSizeIterator::len).sum()),
            ends: Vec::with_capacity(spans.len()),
        };
        for span in spans {
            sorted.bytes.extend_from_slice(&bytes[span]);
            sorted.ends.push(sorted.bytes.len());
        }
        KeyList(Arc::new(sorted))
    }
}

/// Writes a list of hexadecimal texts.
impl Serialize for KeyList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(hex::encode))
    }
}

/// Reads text by text, because a list of all texts takes several times the memory of the keys.
impl<'de> Deserialize<'de> for KeyList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Texts)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = KeyList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys in hexadecimal")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<KeyList, A::Error> {
        let mut unsorted = Unsorted::default();
        while let Some(text) = texts.next_element::<String>()? {
            unsorted.push(&hex::decode(text).map_err(A::Error::custom)?);
        }
        Ok(unsorted.sort())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn list_has_the_keys_of_a_sorted_set(
            keys in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..40),
            other in proptest::collection::vec(0_u8..3, 0..4),
        ) {
            let set: BTreeSet<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let list: KeyList = keys.iter().collect();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(list.contains(&other), set.contains(&other[..]));
            prop_assert_eq!(list.total_bytes(), set.iter().map(|key| key.len()).sum::<usize>());
            let text = serde_json::to_string(&list).unwrap();
            prop_assert_eq!(serde_json::from_str::<KeyList>(&text).unwrap(), list);
        }
    }

    /// Lists of earlier releases are in the order in which the host gave them.
    #[test]
    fn stored_list_in_any_order_finds_every_key() {
        let list: KeyList = serde_json::from_str("[\"63\",\"61\",\"62\",\"61\"]").unwrap();
        assert_eq!(list.len(), 3);
        assert!([b"a", b"b", b"c"].into_iter().all(|key| list.contains(key)));
    }
}
