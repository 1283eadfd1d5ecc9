//! Objects by key: the live registration, and how the last one ended.

use super::bytes::{Bytes, text_or_base64};
use super::page::{Limit, check_limit};
use super::which::registration;
use super::{Access, Context, Method, Operation, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Engine, Result, json as engine_json};
use utoipa::ToSchema;

/// Most keys of one request.
pub const ENDED_KEYS_MAX: usize = 1_000;

/// Most live registrations of one page of `object_find`.
pub const FOUND_OBJECTS_MAX: u32 = 1_000;

/// Request of `object_find`: a key, and a version if only that is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindObject {
    /// Key of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Key of the object, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<Bytes>,
    /// Version of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the object, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_base64: Option<Bytes>,
    /// Most registrations to list.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
    pub limit: Limit<100>,
    /// Cursor: `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Answer of `object_find`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundObject {
    /// Live registrations of the key in the order of their ids. None if its class does not find by key; several only if
    /// it finds by version.
    pub live: Vec<LiveObject>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
}

/// Live registration of a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveObject {
    /// Present registration id.
    pub id: String,
    /// Name of its class.
    pub class: String,
    /// Version by which the store recognises the object, hexadecimal; empty if it has none.
    pub version_hex: String,
}

/// Request of `object_ended`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookUpEnded {
    /// Keys to look up, at most 1,000 with those in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub keys: Vec<String>,
    /// Keys to look up, as base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub keys_base64: Vec<Bytes>,
}

/// Answer of `object_ended`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyHistories {
    /// History of each key: first of `keys`, then of `keys_base64`, in their order.
    pub keys: Vec<KeyHistory>,
}

/// History of a key, as far as its class remembers ended objects. A field that another state has is left out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyHistory {
    /// Key as printable text.
    pub key: String,
    /// Key, hexadecimal.
    pub key_hex: String,
    /// `live`, `ended` or `unknown`.
    pub state: String,
    /// Live and ended: the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Ended: method by which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Ended: reason for which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Ended: instant from which its promise counted, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// Ended: instant at which its end was known, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<i64>,
    /// Ended: instant until which it is remembered, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

impl Operation for FindObject {
    type Answer = FoundObject;
    const NAME: &'static str = "object_find";
    const PATH: &'static str = "/v1/objects/find";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Find the live registrations of a key";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let key = text_or_base64("key", self.key.as_deref(), self.key_base64.as_ref())?;
        let key = key.ok_or_else(|| invalid("no key is given; give key or key_base64"))?;
        let version = text_or_base64("version", self.version.as_deref(), self.version_base64.as_ref())?;
        let limit = check_limit(self.limit.0, FOUND_OBJECTS_MAX)?;
        let after = self.after.as_deref().map(registration).transpose()?;
        let mut found = context.engine.versions(key)?;
        found.retain(|live| {
            version.is_none_or(|version| live.version == version) && after.is_none_or(|after| live.id > after)
        });
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|live| live.id.to_string());
        let live: Vec<Value> = found
            .into_iter()
            .map(|live| {
                json!({
                    "id": live.id.to_string(),
                    "class": live.class,
                    "version_hex": hex::encode(&live.version),
                })
            })
            .collect();
        Ok(json!({ "live": live, "next": next }))
    }
}

impl Operation for LookUpEnded {
    type Answer = KeyHistories;
    const NAME: &'static str = "object_ended";
    const PATH: &'static str = "/v1/objects/ended";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Tell if keys are live, or how the last object under them ended";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let count = self.keys.len() + self.keys_base64.len();
        if !(1..=ENDED_KEYS_MAX).contains(&count) {
            return Err(invalid(format!("{count} keys; 1 to {ENDED_KEYS_MAX} are allowed in one request")));
        }
        let texts = self.keys.iter().map(String::as_bytes);
        let keys = texts.chain(self.keys_base64.iter().map(|key| &*key.0)).map(|key| {
            let history = context.engine.ended(key)?;
            Ok(engine_json::key_history(key, &history))
        });
        Ok(json!({ "keys": keys.collect::<Result<Vec<Value>>>()? }))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}
