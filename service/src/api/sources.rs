//! Sources of a running service: their states, enabling, and full scans.

use super::{Access, Context, Decision, Method, Operation, invalid, to_json};
use crate::sources::{Enabling, OtherRoot, SourceReport, Sources};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Engine, Result};
use utoipa::ToSchema;

/// Request of `source_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSources {}

/// Request of `source_enable`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableSource {
    /// Name of the source.
    pub name: String,
    /// `true` to take its root from another data folder that has it.
    #[serde(default)]
    pub take_over: bool,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to count only, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `source_rescan`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescanSource {
    /// Name of the source.
    pub name: String,
}

/// Answer of `source_list`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceList {
    /// Sources in the order of the configuration.
    pub sources: Vec<SourceReport>,
    /// Conditions of these that need an operator, one message each.
    pub needs: Vec<String>,
    /// Instant of the list, Unix milliseconds.
    pub as_of_ms: i64,
}

/// Answer of `source_rescan`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rescanning {
    /// Name of the source whose full scan begins.
    pub name: String,
}

impl Operation for ListSources {
    type Answer = SourceList;
    const NAME: &'static str = "source_list";
    const PATH: &'static str = "/v1/sources";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "List the sources of the service, and their states";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let sources = running(context)?.list();
        let needs: Vec<String> = sources.iter().flat_map(SourceReport::needs).collect();
        Ok(json!({ "sources": sources, "needs": needs, "as_of_ms": context.engine.now().unix_ms() }))
    }
}

impl Operation for EnableSource {
    type Answer = Enabling;
    const NAME: &'static str = "source_enable";
    const PATH: &'static str = "/v1/sources/enable";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Accept the root of a source, so that its files are registered and deleted";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let other_root = if self.take_over { OtherRoot::TakeOver } else { OtherRoot::Refuse };
        let attribution = self.decision.attribution(context);
        to_json(running(context)?.enable(&self.name, other_root, &attribution, self.dry_run)?)
    }
}

impl Operation for RescanSource {
    type Answer = Rescanning;
    const NAME: &'static str = "source_rescan";
    const PATH: &'static str = "/v1/sources/rescan";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Begin a full scan of a source";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        running(context)?.rescan(&self.name)?;
        to_json(Rescanning { name: self.name })
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

fn running<'a>(context: &Context<'a>) -> Result<&'a Sources> {
    context.sources.ok_or_else(|| invalid("only a running service has sources; start it with `sexton serve`"))
}
