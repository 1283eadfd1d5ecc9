//! Visible form of text that a third party chose: object keys, names in files, refused values.
//!
//! A terminal obeys control characters, bidirectional controls reorder the text around them, and some characters have no
//! width. In the visible form each of these is an escape such as `\x1b`, `\n` or `\u{202e}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the visible form of a text.
///
/// A backslash stays as it is, so that text which quotes an escape can be passed again. [`printable`](crate::id::printable) is unambiguous.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    match text.find(is_hidden) {
        None => Cow::Borrowed(text),
        Some(at) => {
            let (clean, rest) = text.split_at(at);
            let mut out = clean.to_owned();
            rest.chars().for_each(|c| push(&mut out, c));
            Cow::Owned(out)
        }
    }
}

/// Appends a character, escaped if it is hidden.
pub(crate) fn push(out: &mut String, c: char) {
    match u8::try_from(c) {
        _ if !is_hidden(c) => out.push(c),
        // Writing to a String cannot fail.
        Ok(byte) if byte.is_ascii() => drop(write!(out, "{}", byte.escape_ascii())),
        _ => drop(write!(out, "{}", c.escape_unicode())),
    }
}

/// Returns `true` for a character that a terminal obeys, that reorders text or ends a line, or that has no width.
///
/// Controls are the category Cc, C1 included. The other ranges are the Unicode property `Default_Ignorable_Code_Point`,
/// which has all bidirectional controls, and the line, paragraph and annotation separators.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controls_and_hidden_characters_are_escaped() {
        for (text, shown) in [
            ("kätzchen.jpg", "kätzchen.jpg"),
            ("猫 🐈 e\u{301}", "猫 🐈 e\u{301}"),
            ("a\x1b[2Jb", r"a\x1b[2Jb"),
            ("a\nb\tc\r\0\x7f", r"a\nb\tc\r\x00\x7f"),
            ("\u{9b}2J\u{85}", r"\u{9b}2J\u{85}"),
            ("\u{202e}gpj\u{2066}\u{200b}\u{200d}\u{feff}", r"\u{202e}gpj\u{2066}\u{200b}\u{200d}\u{feff}"),
            ("\u{2028}\u{ad}\u{e0041}\u{3164}", r"\u{2028}\u{ad}\u{e0041}\u{3164}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible(r"a\nb"), r"a\nb");
    }

    proptest! {
        #[test]
        fn visible_text_has_nothing_hidden_and_stays_the_same(text in "\\PC{0,20}|(\\PC|[\\x00-\\xa0\u{200b}-\u{2069}]){0,20}") {
            let shown = visible(&text);
            prop_assert!(!shown.contains(is_hidden));
            prop_assert_eq!(visible(&shown), shown.as_ref());
        }
    }
}
