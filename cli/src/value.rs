//! What people write on the command line and in small files: instants, days, spans, keys.

use crate::output::Failure;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sexton::{Calendar, Span};
use sexton_proof::window::Window;
use std::fs;
use std::path::Path;

/// An instant, or how it follows from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Now.
    Now,
    /// Unix ms.
    At(i64),
    /// So long from now.
    In(Span),
}

impl When {
    /// The instant, Unix ms. Calendar spans count in UTC.
    pub(crate) fn ms(self, now_ms: i64) -> Result<i64, Failure> {
        match self {
            When::Now => Ok(now_ms),
            When::At(ms) => Ok(ms),
            When::In(span) => Window::new(None, Some(span), "UTC", &Calendar::default())
                .and_then(|window| window.bounds(now_ms))
                .map(|bounds| bounds.ceiling_ms)
                .map_err(|e| Failure::new(format!("+{span} from now: {e}"))),
        }
    }
}

/// An instant as RFC 3339 has it, Unix ms.
pub(crate) fn instant(text: &str) -> Result<i64, String> {
    let parsed: Result<Timestamp, _> = text.parse();
    parsed
        .map(Timestamp::as_millisecond)
        .map_err(|_| "an instant is RFC 3339 with its offset, like 2026-01-31T12:00:00Z".into())
}

/// For `--received`: an instant or `now`.
pub(crate) fn received(text: &str) -> Result<When, String> {
    if text == "now" { Ok(When::Now) } else { instant(text).map(When::At) }
}

/// For `--until`: an instant or `+` and a span.
pub(crate) fn until(text: &str) -> Result<When, String> {
    match text.strip_prefix('+') {
        Some(span) => span.parse().map(When::In).map_err(|e: sexton_proof::window::SpanError| e.to_string()),
        None => instant(text).map(When::At).map_err(|e| format!("{e}, or + and a span, like +30d")),
    }
}

/// A day: the instant at which it begins in UTC, Unix ms.
pub(crate) fn day(text: &str) -> Result<i64, String> {
    let wrong = || "a day is one that exists, as YYYY-MM-DD".to_owned();
    let date: Date = text.parse().map_err(|_| wrong())?;
    // Other forms of a date that are understood as well would be a second way to say the same.
    if date.to_string() != text {
        return Err(wrong());
    }
    date.to_zoned(TimeZone::UTC).map(|day| day.timestamp().as_millisecond()).map_err(|_| wrong())
}

/// An exact span, or `0` for none, ms.
pub(crate) fn exact(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let span: Span = text.parse().map_err(|e: sexton_proof::window::SpanError| e.to_string())?;
    span.exact_ms().ok_or_else(|| format!("{span} is a calendar span; use s, m, h, d or w"))
}

/// Something said for people who ask later, as much as is kept.
pub(crate) fn sentence(text: &str) -> Result<String, String> {
    match text.trim().len() {
        1..=1_000 => Ok(text.to_owned()),
        bytes => Err(format!("it has {bytes} bytes; 1 to 1000 are allowed")),
    }
}

/// The bytes of what is written as text, or in hexadecimal.
pub(crate) fn bytes(text: &str, is_hex: bool) -> Result<Vec<u8>, Failure> {
    if !is_hex {
        return Ok(text.as_bytes().to_vec());
    }
    hex::decode(text).map_err(|e| Failure::new(format!("{text:?} is not hexadecimal: {e}")))
}

/// The bytes of several.
pub(crate) fn all_bytes(texts: &[String], is_hex: bool) -> Result<Vec<Vec<u8>>, Failure> {
    texts.iter().map(|text| bytes(text, is_hex)).collect()
}

/// The keys of a file: one in each line, taken as they stand.
pub(crate) fn keys_of(path: &Path, is_hex: bool) -> Result<Vec<Vec<u8>>, Failure> {
    let content = fs::read(path)
        .map_err(|e| Failure::new(format!("the file of keys {} cannot be read: {e}", path.display())))?;
    keys_in(&content, is_hex).map_err(|why| Failure::new(format!("{} {why}", path.display())))
}

fn keys_in(content: &[u8], is_hex: bool) -> Result<Vec<Vec<u8>>, String> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    if content.is_empty() {
        return Err("has no keys in it".into());
    }
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        // A key that is not the one meant would be looked for in vain, and nobody would notice.
        if line.is_empty() || line.ends_with(b"\r") {
            let what = if line.is_empty() { "is empty" } else { "ends with a carriage return" };
            return Err(format!("line {number} {what}; each line is one key"));
        }
        keys.push(match is_hex {
            false => line.to_vec(),
            true => hex::decode(line).map_err(|e| format!("line {number} is not hexadecimal: {e}"))?,
        });
    }
    Ok(keys)
}

/// A text file that a person wrote.
pub(crate) fn text_of(what: &str, path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("{what} {} cannot be read: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR_MS: i64 = 1_767_225_600_000;

    #[test]
    fn instants_have_an_offset_and_days_exist() {
        assert_eq!(instant("2026-01-01T00:00:00Z"), Ok(NEW_YEAR_MS));
        assert_eq!(instant("2026-01-01T01:00:00.5+01:00"), Ok(NEW_YEAR_MS + 500));
        for text in ["2026-01-01", "2026-01-01T00:00:00", "yesterday", ""] {
            assert!(instant(text).is_err(), "{text}");
        }
        assert_eq!(day("2026-01-01"), Ok(NEW_YEAR_MS));
        for text in ["2026-02-29", "20260101", "2026-01-01T00:00:00", "1.1.2026", ""] {
            assert!(day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_from_now_may_be_of_the_calendar_and_never_overflow() {
        assert_eq!(until("+1d").unwrap().ms(NEW_YEAR_MS).unwrap(), NEW_YEAR_MS + 86_400_000);
        assert_eq!(until("+1mo").unwrap().ms(NEW_YEAR_MS).unwrap(), NEW_YEAR_MS + 31 * 86_400_000);
        assert!(
            until("+1000000d").and_then(|when| when.ms(i64::MAX - 5).map_err(|e| e.to_string())).is_err()
        );
        assert_eq!(exact("0"), Ok(0));
        assert_eq!(exact("15d"), Ok(15 * 86_400_000));
        assert!(exact("6mo").is_err() && exact("15wd").is_err() && exact("99999999999d").is_err());
        assert_eq!(received("now"), Ok(When::Now));
        assert!(until("now").is_err());
    }

    #[test]
    fn a_line_of_a_file_of_keys_is_a_key_as_it_stands() {
        assert_eq!(keys_in(b"a b\n\xff\n", false).unwrap(), [&b"a b"[..], b"\xff"]);
        assert_eq!(keys_in(b"ff00", true).unwrap(), [[0xff, 0]]);
        for content in [&b""[..], b"\n", b"a\n\nb\n", b"a\r\n"] {
            assert!(keys_in(content, false).is_err(), "{}", content.escape_ascii());
        }
        assert!(keys_in(b"a\nzz\n", true).unwrap_err().starts_with("line 1"));
    }
}
