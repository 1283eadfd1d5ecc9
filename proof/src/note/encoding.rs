//! Base64 and numbers of all C2SP formats.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

use base64::Engine as _;

use crate::id::decimal;

/// Decoder and encoder of canonical base64, which makes up most of a receipt. It uses the vectors of the processor if
/// there are any.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(base64::engine::general_purpose::PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Decodes canonical base64 (RFC 4648 section 4, padded, no stray bits), as all C2SP formats use it.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Decodes a hash from canonical base64.
pub(crate) fn decode_hash(text: &str) -> Option<[u8; 32]> {
    // The library asks for room for whole groups of three bytes.
    let mut bytes = [0; 33];
    let decoded = BASE64.decode_slice(text, &mut bytes).ok()?;
    bytes[..decoded].try_into().ok()
}

/// Encodes bytes as canonical base64.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Reads a decimal number without sign and leading zeros, at most `max`.
pub(crate) fn parse_decimal(text: &str, max: u64) -> Option<u64> {
    decimal(text).filter(|number| *number <= max)
}
