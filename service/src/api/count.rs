//! Number of live objects that a selector covers.

use super::{Access, Context, Covers, Method, Operation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Engine, Result, Selector};
use utoipa::ToSchema;

/// Request of `object_count`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountLive {
    /// Selector of the objects. Without it, all live objects are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Covers>,
}

/// Number of objects.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Live objects that the selector covers now.
    pub live_objects: u64,
}

impl Operation for CountLive {
    type Answer = Count;
    const NAME: &'static str = "object_count";
    const PATH: &'static str = "/v1/objects/count";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Count the live objects that a selector covers";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let selector = self.on.as_ref().map_or(Ok(Selector::Everything), Covers::selector)?;
        Ok(json!({ "live_objects": context.engine.count_live(&selector)? }))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}
