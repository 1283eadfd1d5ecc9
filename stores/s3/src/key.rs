//! Keys of objects: as S3 names them, in XML, and in listings.

/// Returns the key as S3 names it.
///
/// # Errors
/// The key is not UTF-8. Every key of S3 is.
pub(crate) fn text(key: &[u8]) -> Result<&str, Box<str>> {
    std::str::from_utf8(key).map_err(|error| {
        let at = error.valid_up_to();
        format!("the key is not UTF-8 at byte {at}, and so is no key of S3; release the registration").into()
    })
}

/// Returns `true` if every server reads the key out of an XML document as it was written.
///
/// XML 1.0 cannot carry most control characters, U+FFFE and U+FFFF. Parsers may change line ends and strip spaces around a
/// text. Such a key would name another object, so it goes by a request of its own, which has the key in its URL.
pub(crate) fn fits_xml(key: &str) -> bool {
    let changes = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{fffe}' | '\u{ffff}');
    key.trim() == key && !key.chars().any(changes)
}

/// Decodes a key of a listing with `encoding-type=url`: `+` is a space.
///
/// # Errors
/// The text has an incomplete escape, or is not UTF-8 afterwards.
pub(crate) fn from_url(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut byte = [0];
                let digits = tail.get(..2).filter(|digits| hex::decode_to_slice(digits, &mut byte).is_ok());
                digits
                    .ok_or_else(|| format!("the server listed the key {text:?}, which has a bad escape"))?;
                bytes.extend(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("the server listed the key {text:?}, which is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_a_parser_may_change_does_not_fit_xml() {
        for key in ["a", "a b", "ä/ö", "a&<>\"'", "\u{10ffff}", "~"] {
            assert!(fits_xml(key), "{key:?}");
        }
        for code in (0..0x20).chain(0x7f..0xa0).chain([0x2028, 0xfffe, 0xffff]) {
            let key = format!("a{}b", char::from_u32(code).unwrap());
            assert!(!fits_xml(&key), "{key:?}");
        }
        for key in [" a", "a ", "\u{a0}a", "a\u{3000}"] {
            assert!(!fits_xml(key), "{key:?}");
        }
    }

    #[test]
    fn key_of_a_listing_is_decoded() {
        assert_eq!(from_url("a%2Fb+c%20d%2b%00%C3%A4").unwrap(), "a/b c d+\0ä");
        for text in ["%", "%2", "%zz", "a%+1", "%ff"] {
            assert!(from_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn key_that_is_not_utf_8_is_refused() {
        assert_eq!(text(b"a\xc3\xa4").unwrap(), "aä");
        assert!(text(b"a\xff").unwrap_err().contains("byte 1"));
    }
}
