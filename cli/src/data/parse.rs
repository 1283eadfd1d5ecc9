//! Parsing of instants, days, spans and keys, from the command line and from small files.

use crate::output::Failure;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sexton::Span;
use sexton::class::Calendar;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Window;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// An instant, absolute or relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Now.
    Now,
    /// At this instant.
    At(Timestamp),
    /// At this span from now.
    In(Span),
    /// At this span before now.
    Ago(Duration),
}

impl When {
    /// Returns the instant. Calendar spans count in UTC.
    pub(super) fn resolve(self, now: Timestamp) -> Result<Timestamp, Failure> {
        match self {
            When::Now => Ok(now),
            When::At(at) => Ok(at),
            When::Ago(span) => Ok(now.saturating_sub(span)),
            When::In(span) => Window::new(None, Some(span), "UTC", &Calendar::default())
                .and_then(|window| window.bounds(now))
                .map(|bounds| bounds.ceiling.unwrap_or(Timestamp::MAX))
                .map_err(|e| Failure::new(format!("+{span} from now: {e}"))),
        }
    }
}

/// Parses an RFC 3339 instant.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp::from_unix_ms(at.as_millisecond()))
        .map_err(|_| "expected RFC 3339 with an offset, like 2026-01-31T12:00:00Z".into())
}

/// Parses the value of `--received`: an instant or `now`.
pub(super) fn received(text: &str) -> Result<When, String> {
    if text == "now" { Ok(When::Now) } else { instant(text).map(When::At) }
}

/// Parses the value of `--until`: an instant, or `+` and a span.
pub(super) fn until(text: &str) -> Result<When, String> {
    match text.strip_prefix('+') {
        Some(span) => span.parse().map(When::In).map_err(|e: sexton_proof::window::SpanError| e.to_string()),
        None => instant(text).map(When::At).map_err(|e| format!("{e}, or + and a span, like +30d")),
    }
}

/// Parses the value of `--since`: an instant, or `-` and an exact span.
pub(super) fn since(text: &str) -> Result<When, String> {
    match text.strip_prefix('-') {
        Some(span) => exact(span).map(When::Ago),
        None => instant(text).map(When::At).map_err(|e| format!("{e}, or - and a span, like -7d")),
    }
}

/// Parses a day and returns its first instant in UTC.
pub(super) fn day(text: &str) -> Result<Timestamp, String> {
    let wrong = || "expected a day that exists, as YYYY-MM-DD".to_owned();
    let date: Date = text.parse().map_err(|_| wrong())?;
    // The parser also takes other forms of a date. One form is enough.
    if date.to_string() != text {
        return Err(wrong());
    }
    let day = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(Timestamp::from_unix_ms(day.timestamp().as_millisecond()))
}

/// Parses an exact span, or `0`.
pub(super) fn exact(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span: Span = text.parse().map_err(|e: sexton_proof::window::SpanError| e.to_string())?;
    span.exact().ok_or_else(|| format!("{span} is a calendar span; use s, m, h, d or w"))
}

/// Checks a text that is kept with a decision: 1 to 1000 bytes.
pub(super) fn short_text(text: &str) -> Result<String, String> {
    match text.trim().len() {
        1..=1_000 => Ok(text.to_owned()),
        bytes => Err(format!("it has {bytes} bytes; 1 to 1000 are allowed")),
    }
}

/// Returns the bytes of a text, or of a hexadecimal number.
pub(super) fn bytes(text: &str, is_hex: bool) -> Result<Vec<u8>, Failure> {
    if !is_hex {
        return Ok(text.as_bytes().to_vec());
    }
    hex::decode(text).map_err(|e| Failure::new(format!("{text:?} is not hexadecimal: {e}")))
}

/// Reads a text file.
pub(super) fn text_of(what: &str, path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("{what} {} cannot be read: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn instant_without_offset_and_day_that_is_none_are_refused() {
        assert_eq!(instant("2026-01-01T00:00:00Z"), Ok(NEW_YEAR));
        assert_eq!(
            instant("2026-01-01T01:00:00.5+01:00"),
            Ok(NEW_YEAR.saturating_add(Duration::from_millis(500)))
        );
        for text in ["2026-01-01", "2026-01-01T00:00:00", "yesterday", ""] {
            assert!(instant(text).is_err(), "{text}");
        }
        assert_eq!(day("2026-01-01"), Ok(NEW_YEAR));
        for text in ["2026-02-29", "20260101", "2026-01-01T00:00:00", "1.1.2026", ""] {
            assert!(day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn until_calendar_span_is_taken_and_overflow_refused() {
        assert_eq!(until("+1d").unwrap().resolve(NEW_YEAR).unwrap(), NEW_YEAR.saturating_add(DAY));
        assert_eq!(until("+1mo").unwrap().resolve(NEW_YEAR).unwrap(), NEW_YEAR.saturating_add(31 * DAY));
        let last = Timestamp::from_unix_ms(i64::MAX - 5);
        assert!(until("+1000000d").and_then(|when| when.resolve(last).map_err(|e| e.to_string())).is_err());
        assert_eq!(exact("0"), Ok(Duration::ZERO));
        assert_eq!(exact("15d"), Ok(15 * DAY));
        assert!(exact("6mo").is_err() && exact("15wd").is_err() && exact("99999999999d").is_err());
        assert_eq!(received("now"), Ok(When::Now));
        assert!(until("now").is_err());
        assert_eq!(since("-2d").unwrap().resolve(NEW_YEAR).unwrap(), NEW_YEAR.saturating_sub(2 * DAY));
        assert_eq!(since("2026-01-01T00:00:00Z"), Ok(When::At(NEW_YEAR)));
        assert!(since("-1mo").is_err() && since("2d").is_err() && since("-").is_err());
    }
}
