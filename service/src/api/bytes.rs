//! Bytes in requests: keys, prefixes, subjects and versions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Bytes, as padded standard base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, content_encoding = "base64")]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(&text)
            .map(Bytes)
            .map_err(|e| de::Error::custom(format!("{text:?} is not base64: {e}")))
    }
}

/// Returns the bytes of a field that is given as text or as base64; `None` if it is not given.
///
/// # Errors
/// `Invalid` if it is given twice.
pub(super) fn text_or_base64(
    name: &str,
    text: Option<&str>,
    base64: Option<&Bytes>,
) -> sexton::Result<Option<Vec<u8>>> {
    match (text, base64) {
        (Some(_), Some(_)) => {
            Err(super::invalid(format!("both {name} and {name}_base64 are given; give one")))
        }
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(bytes)) => Ok(Some(bytes.0.clone())),
        (None, None) => Ok(None),
    }
}

/// Returns the bytes of a field that is given as hexadecimal or as base64; `None` if it is not given.
///
/// # Errors
/// `Invalid` if it is given twice, or is not hexadecimal.
pub(super) fn hex_or_base64(
    name: &str,
    hex: Option<&str>,
    base64: Option<&Bytes>,
) -> sexton::Result<Option<Vec<u8>>> {
    match (hex, base64) {
        (Some(_), Some(_)) => {
            Err(super::invalid(format!("both {name}_hex and {name}_base64 are given; give one")))
        }
        (Some(text), None) => {
            let bytes = hex::decode(text);
            bytes
                .map(Some)
                .map_err(|e| super::invalid(format!("{name}_hex {text:?} is not hexadecimal: {e}")))
        }
        (None, bytes) => Ok(bytes.map(|bytes| bytes.0.clone())),
    }
}
