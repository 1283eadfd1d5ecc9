//! Serialises a span as its number of milliseconds, for stored JSON.

use serde::{Deserialize as _, Deserializer, Serializer};
use sexton_proof::time::whole_ms;
use std::time::Duration;

pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole_ms(*span))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
