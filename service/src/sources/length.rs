//! Length of time in the settings of sources.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sexton::Span;
use std::fmt;
use std::time::Duration;

/// Length of time in settings: `0`, or a number and one of s, m, h, d, w.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(7 * 86_400, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        match units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
            Some((unit, letter)) => write!(f, "{}{letter}", seconds / unit),
            None => f.write_str("0"),
        }
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "0" {
            return Ok(Length::default());
        }
        let span: Span = text.parse().map_err(D::Error::custom)?;
        span.exact().map(Length).ok_or_else(|| {
            D::Error::custom(format!("{text:?} depends on the calendar; give one of s, m, h, d, w"))
        })
    }
}
