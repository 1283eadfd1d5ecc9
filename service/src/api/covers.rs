//! Selectors in requests.

use super::bytes::{Bytes, text_or_base64};
use serde::{Deserialize, Serialize};
use sexton::{Result, Selector};
use utoipa::ToSchema;

/// Selector of a decision. Exactly one of the fields, or `keys` and `keys_base64` together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// Objects with these keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Objects with these keys, as base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys_base64: Vec<Bytes>,
    /// Objects whose key begins with this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Objects whose key begins with these bytes, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_base64: Option<Bytes>,
    /// Objects of this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Objects of this subject, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_base64: Option<Bytes>,
    /// Objects of all versions of the class with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// Selector of a decision on record, with its bytes as hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Selected {
    /// Objects with one of these keys.
    Keys {
        /// Keys in ascending order; of a longer list the first 10,000.
        keys: Vec<String>,
        /// Number of further keys; `None` if there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<u64>,
    },
    /// Other objects.
    Other(SelectedOther),
}

/// Selector of a decision on record that does not list keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SelectedOther {
    /// Objects whose key begins with these bytes.
    Prefix(String),
    /// Objects of this subject.
    Subject(String),
    /// Objects of all versions of the class with this name.
    Class(String),
    /// All objects.
    Everything,
}

impl Covers {
    /// Returns the selector.
    ///
    /// # Errors
    /// `Invalid` if no selector or several are given.
    pub fn selector(&self) -> Result<Selector> {
        let texts = self.keys.iter().map(|key| key.as_bytes().to_vec());
        let keys: Vec<Vec<u8>> = texts.chain(self.keys_base64.iter().map(|key| key.0.clone())).collect();
        let prefix = text_or_base64("prefix", self.prefix.as_deref(), self.prefix_base64.as_ref())?;
        let subject = text_or_base64("subject", self.subject.as_deref(), self.subject_base64.as_ref())?;
        let given = [
            (!keys.is_empty()).then(|| Selector::keys(keys)),
            prefix.map(|prefix| Selector::Prefix(prefix.to_vec())),
            subject.map(|subject| Selector::Subject(subject.to_vec())),
            self.class.clone().map(Selector::Class),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(selector), None) => Ok(selector),
            (None, _) => {
                Err(super::invalid("no selector is given; give keys, a prefix, a subject or a class"))
            }
            (Some(_), Some(_)) => Err(super::invalid("several selectors are given; give one")),
        }
    }
}

impl From<&Selector> for Covers {
    fn from(selector: &Selector) -> Self {
        let bytes = |bytes: &Vec<u8>| Bytes(bytes.clone());
        match selector {
            Selector::Keys(keys) => Covers {
                keys_base64: keys.iter().map(|key| Bytes(key.to_vec())).collect(),
                ..Covers::default()
            },
            Selector::Prefix(prefix) => Covers { prefix_base64: Some(bytes(prefix)), ..Covers::default() },
            Selector::Subject(subject) => {
                Covers { subject_base64: Some(bytes(subject)), ..Covers::default() }
            }
            Selector::Class(class) => Covers { class: Some(class.clone()), ..Covers::default() },
            // No request names everything, and a selector without fields is refused.
            _ => Covers::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selector_on_record_survives_a_round_trip_through_json() {
        for value in [
            json!({"keys": ["61", "62"]}),
            json!({"keys": ["61"], "more": 7}),
            json!({"prefix": "61"}),
            json!({"subject": "61"}),
            json!({"class": "logs"}),
            json!("everything"),
        ] {
            let selected: Selected = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&selected).unwrap(), value);
        }
    }
}
