//! References to registered objects in requests.

use super::bytes::{Bytes, text_or_base64};
use serde::{Deserialize, Serialize};
use sexton::{RegistrationId, Result};
use utoipa::ToSchema;

/// Reference to a registered object: by its key, by its key and version, or by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Key of the live registration. Its class finds by key, or one version of the key lives alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Key of the live registration, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<Bytes>,
    /// With a key: version of the live registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// With a key: version of the live registration, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_base64: Option<Bytes>,
    /// Registration id, or an earlier id of the same registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Registered object that a request names.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Key(Vec<u8>),
    Version { key: Vec<u8>, version: Vec<u8> },
    Id(RegistrationId),
}

impl Named {
    /// Returns the reference that the engine takes.
    pub(super) fn which(&self) -> sexton::Which<'_> {
        match self {
            Named::Key(key) => sexton::Which::Key(key),
            Named::Version { key, version } => sexton::Which::Version { key, version },
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

    /// Returns a reference by key and version.
    #[must_use]
    pub fn version(key: &[u8], version: &[u8]) -> Self {
        Which { version_base64: Some(Bytes(version.to_vec())), ..Which::key(key) }
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
    /// `Invalid` if no object is named, if it is named twice, if a version has no key, or if the id is malformed.
    pub(super) fn named(&self) -> Result<Named> {
        let key = text_or_base64("key", self.key.as_deref(), self.key_base64.as_ref())?;
        let version = text_or_base64("version", self.version.as_deref(), self.version_base64.as_ref())?;
        match (key, version, self.id.as_deref()) {
            (Some(key), None, None) => Ok(Named::Key(key.to_vec())),
            (Some(key), Some(version), None) => {
                Ok(Named::Version { key: key.to_vec(), version: version.to_vec() })
            }
            (None, None, Some(id)) => Ok(Named::Id(registration(id)?)),
            (None, None, None) => Err(super::invalid("no object is named; give a key or an id")),
            (None, Some(_), _) => {
                Err(super::invalid("a version is given without its key; give both, or an id"))
            }
            (Some(_), _, Some(_)) => Err(super::invalid("both a key and an id are given; give one")),
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
