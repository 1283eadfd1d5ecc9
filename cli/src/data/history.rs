//! History of keys: the live registration, or how the last object ended.

use super::host::Host;
use crate::format;
use crate::output::{Failure, Output};
use serde_json::{Value, json};
use sexton::RegistrationId;
use sexton_proof::time::Timestamp;
use sexton_service::api::{Bytes, ENDED_KEYS_MAX, KeyHistory, LookUpEnded};

/// Shows the history of keys.
pub(super) fn show(
    host: &Host,
    keys: &[Vec<u8>],
    is_dry: bool,
    is_json: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let histories = of(host, keys)?;
    if is_json {
        let values = histories.into_iter().map(|(mut value, _)| {
            // No folder is given, so no file is found that came back.
            value["came_back"] = false.into();
            value["delete_again"] = false.into();
            value["refused"] = Value::Null;
            value
        });
        output.json(&json!({ "dry_run": is_dry, "keys": values.collect::<Vec<_>>(), "skipped": [] }));
        return Ok(());
    }
    for (_, history) in &histories {
        output.line(line(history));
    }
    Ok(())
}

/// Returns the history of each key, as JSON too.
pub(super) fn of(host: &Host, keys: &[Vec<u8>]) -> Result<Vec<(Value, KeyHistory)>, Failure> {
    let mut all = Vec::with_capacity(keys.len());
    for part in keys.chunks(ENDED_KEYS_MAX) {
        let keys_base64 = part.iter().map(|key| Bytes(key.clone())).collect();
        let request = LookUpEnded { keys_base64, ..LookUpEnded::default() };
        let (mut value, histories) = host.call(request)?.into_parts();
        let values = value["keys"].as_array_mut().map(std::mem::take).unwrap_or_default();
        all.extend(values.into_iter().zip(histories.keys));
    }
    Ok(all)
}

/// Returns instant and registration of an end. The instant of a live object is the last one.
pub(super) fn end(history: &KeyHistory) -> Result<Option<(Timestamp, RegistrationId)>, Failure> {
    let Some(text) = &history.id else { return Ok(None) };
    let time = history.time_ms.map_or(Timestamp::MAX, Timestamp::from_unix_ms);
    Ok(Some((time, id(text)?)))
}

/// Returns the registration id of an answer.
pub(super) fn id(text: &str) -> Result<RegistrationId, Failure> {
    text.parse().map_err(|e| Failure::new(format!("the id {text:?}: {e}")))
}

/// Returns the key of an answer.
pub(super) fn key(text: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(text).map_err(|e| Failure::new(format!("the key {text:?} is not hexadecimal: {e}")))
}

/// Returns the history of a key in a line.
pub(super) fn line(history: &KeyHistory) -> String {
    let key = &history.key;
    let instant = |ms: Option<i64>| Timestamp::from_unix_ms(ms.unwrap_or_default());
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    match &*history.state {
        "live" => format!("live     {key}  registration {}", text(&history.id)),
        "ended" => format!(
            "ended    {key}  {} {}, {}; remembered until {}",
            text(&history.method),
            instant(history.time_ms),
            format::reason_of(&text(&history.reason)),
            instant(history.until_ms)
        ),
        _ => format!("unknown  {key}"),
    }
}
