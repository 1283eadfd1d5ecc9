//! Feed: the deletions that third parties are to be told of.

use super::page::{Limit, check_limit};
use super::{Access, Context, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Engine, Result, json as engine_json};
use std::time::Duration;
use utoipa::ToSchema;

/// Most entries of one page.
const PAGE_MAX: u32 = 1_000;
/// Longest time to wait for an entry.
const WAIT_MAX_MS: u32 = 30_000;

/// Request of `feed_read`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadFeed {
    /// Cursor: `next_after` of the answer before. Only entries with larger numbers are returned.
    #[serde(default)]
    pub after: u64,
    /// Most entries to return.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1000, default = 1000)]
    pub limit: Limit<1000>,
    /// Longest time to wait for an entry if there is none, milliseconds. Only a service waits.
    #[serde(default)]
    #[schema(maximum = 30000)]
    pub wait_ms: u32,
}

/// Request of `feed_acknowledge`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeFeed {
    /// Number of the last entry to forget.
    pub through: u64,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer of `feed_read`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Deletions in the order of their commits.
    pub entries: Vec<FeedEntry>,
    /// Cursor of the next entries.
    pub next_after: u64,
}

/// Deletion of an object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedEntry {
    /// Number of the entry, from 1 and without gaps.
    pub number: u64,
    /// Name of the class.
    pub class: String,
    /// Key as printable text.
    pub key: String,
    /// Key, hexadecimal.
    pub key_hex: String,
    /// Version of the object, hexadecimal.
    pub version_hex: String,
    /// Registration that ended; `None` in an entry of a release that did not record it.
    pub id: Option<String>,
    /// Method by which it ended.
    pub method: String,
    /// Reason for which it ended.
    pub reason: String,
    /// Instant at which its end was known, Unix milliseconds.
    pub time_ms: i64,
}

/// Answer of `feed_acknowledge`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// Number of the last entry that is forgotten.
    pub acknowledged: u64,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

impl Operation for ReadFeed {
    type Answer = Feed;
    const NAME: &'static str = "feed_read";
    const PATH: &'static str = "/v1/feed";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Read the deletions that third parties are to be told of";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let limit = check_limit(self.limit.0, PAGE_MAX)?;
        if self.wait_ms > WAIT_MAX_MS {
            let wait = self.wait_ms;
            return Err(invalid(format!("a wait of {wait} ms; 0 to {WAIT_MAX_MS} are allowed")));
        }
        let entries = context.engine.feed(self.after, limit)?;
        let next = entries.last().map_or(self.after, |entry| entry.number);
        let entries: Vec<Value> = entries.iter().map(engine_json::feed_entry).collect();
        Ok(json!({ "entries": entries, "next_after": next }))
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.wait_ms.into())
    }

    fn is_worth_waiting(answer: &Value) -> bool {
        answer["entries"].as_array().is_some_and(Vec::is_empty)
    }
}

impl Operation for AcknowledgeFeed {
    type Answer = Acknowledged;
    const NAME: &'static str = "feed_acknowledge";
    const PATH: &'static str = "/v1/feed/acknowledge";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Forget entries of the feed that all third parties know";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        dry_run::check_if(self.dry_run, context.engine)?;
        let (through, last) = (self.through, context.engine.feed_end());
        // The engine checks again. This check gives the dry run the same message.
        if through > last {
            return Err(invalid(format!("entry {through} was not given yet; the last one is {last}")));
        }
        if !self.dry_run {
            context.engine.acknowledge_feed(through)?;
        }
        Ok(json!({ "acknowledged": through, "dry_run": self.dry_run }))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}
