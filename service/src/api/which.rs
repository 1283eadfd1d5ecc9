//! References to registered objects in requests.

use super::bytes::{Bytes, text_or_base64};
use serde::{Deserialize, Serialize};
use sexton::{RegistrationId, Result};
use utoipa::ToSchema;

/// Reference to a registered object. Exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Key of the live registration. Its class finds by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Key of the live registration, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<Bytes>,
    /// Registration id, or an earlier id of the same registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Registered object that a request names.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Key(Vec<u8>),
    Id(RegistrationId),
}

impl Named {
    /// Returns the reference that the engine takes.
    pub(super) fn which(&self) -> sexton::Which<'_> {
        match self {
            Named::Key(key) => sexton::Which::Key(key),
            Named::Id(id) => sexton::Which::Id(*id),
        }
    }
}

impl Which {
    /// Returns a reference by key.
    #[must_use]
    pub fn key(key: &[u8]) -> Self {
        Which { key_base64: Some(Bytes(key.to_vec())), ..Which::default() }
    }

    /// Returns a reference by registration id.
    #[must_use]
    pub fn id(id: RegistrationId) -> Self {
        Which { id: Some(id.to_string()), ..Which::default() }
    }

    /// Returns `true` if the reference never leads to another object. A key does once it is registered again.
    pub(super) fn is_by_id(&self) -> bool {
        self.id.is_some()
    }

    /// Returns the object.
    ///
    /// # Errors
    /// `Invalid` if no object is named, if it is named twice, or if the id is malformed.
    pub(super) fn named(&self) -> Result<Named> {
        let key = text_or_base64("key", self.key.as_deref(), self.key_base64.as_ref())?;
        match (key, self.id.as_deref()) {
            (Some(key), None) => Ok(Named::Key(key.to_vec())),
            (None, Some(id)) => Ok(Named::Id(registration(id)?)),
            (None, None) => Err(super::invalid("no object is named; give a key or an id")),
            (Some(_), Some(_)) => Err(super::invalid("both a key and an id are given; give one")),
        }
    }
}

/// Returns the registration id of a text.
///
/// # Errors
/// `Invalid` if the text is malformed.
pub(super) fn registration(text: &str) -> Result<RegistrationId> {
    text.parse().map_err(|e| super::invalid(format!("the id {text:?}: {e}")))
}
