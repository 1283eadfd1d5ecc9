//! Spans of time in a configuration: `0`, or a number and one of s, m, h, d, w.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use sexton::Span;
use std::time::Duration;

pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    match span.as_secs() {
        0 => serializer.serialize_str("0"),
        seconds => serializer.collect_str(&format_args!("{seconds}s")),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span: Span = text.parse().map_err(D::Error::custom)?;
    let calendar =
        || D::Error::custom(format!("{text:?} depends on the calendar; give one of s, m, h, d, w"));
    span.exact().ok_or_else(calendar)
}
