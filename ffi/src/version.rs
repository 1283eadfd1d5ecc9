//! Version of the library.

use std::ffi::{CStr, c_char};

/// Major version of this header.
pub const SEXTON_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const SEXTON_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const SEXTON_VERSION_PATCH: u32 = 0;
/// Version of this header: major * 1,000,000 + minor * 1,000 + patch. Compare it with sexton_version_number().
pub const SEXTON_VERSION_NUMBER: u32 = 1_000;

/// Version of the library as text.
const TEXT: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => c"",
};

/// Returns the version of the loaded library, packed like SEXTON_VERSION_NUMBER.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_version_number() -> u32 {
    SEXTON_VERSION_NUMBER
}

/// Returns the version of the loaded library, like "0.1.0". Static and NUL-terminated.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_version() -> *const c_char {
    TEXT.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_version_is_that_of_the_crate() {
        let parts = [SEXTON_VERSION_MAJOR, SEXTON_VERSION_MINOR, SEXTON_VERSION_PATCH];
        let text = parts.map(|part| part.to_string()).join(".");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        assert_eq!(TEXT.to_str().unwrap(), text);
        let [major, minor, patch] = parts;
        assert_eq!(SEXTON_VERSION_NUMBER, major * 1_000_000 + minor * 1_000 + patch);
    }
}
