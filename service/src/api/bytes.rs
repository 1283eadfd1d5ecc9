//! Bytes in requests: keys, prefixes, subjects and versions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
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
        deserializer.deserialize_str(Decoder)
    }
}

/// Decoder of base64, which makes no copy of the text.
struct Decoder;

impl de::Visitor<'_> for Decoder {
    type Value = Bytes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string of base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        let bytes = STANDARD.decode(text);
        bytes.map(Bytes).map_err(|e| E::custom(format!("{text:?} is not base64: {e}")))
    }
}

/// Returns the bytes of a field that is given as text or as base64; `None` if it is not given.
///
/// # Errors
/// `Invalid` if it is given twice.
pub(super) fn text_or_base64<'a>(
    name: &str,
    text: Option<&'a str>,
    base64: Option<&'a Bytes>,
) -> sexton::Result<Option<&'a [u8]>> {
    match (text, base64) {
        (Some(_), Some(_)) => {
            Err(super::invalid(format!("both {name} and {name}_base64 are given; give one")))
        }
        (Some(text), None) => Ok(Some(text.as_bytes())),
        (None, bytes) => Ok(bytes.map(|bytes| bytes.0.as_slice())),
    }
}

/// Returns the bytes of a field that is given as hexadecimal or as base64; `None` if it is not given.
///
/// # Errors
/// `Invalid` if it is given twice, or is not hexadecimal.
pub(super) fn hex_or_base64<'a>(
    name: &str,
    hex: Option<&str>,
    base64: Option<&'a Bytes>,
) -> sexton::Result<Option<Cow<'a, [u8]>>> {
    match (hex, base64) {
        (Some(_), Some(_)) => {
            Err(super::invalid(format!("both {name}_hex and {name}_base64 are given; give one")))
        }
        (Some(text), None) => {
            let bytes = hex::decode(text);
            bytes
                .map(|bytes| Some(Cow::Owned(bytes)))
                .map_err(|e| super::invalid(format!("{name}_hex {text:?} is not hexadecimal: {e}")))
        }
        (None, bytes) => Ok(bytes.map(|bytes| Cow::Borrowed(bytes.0.as_slice()))),
    }
}
