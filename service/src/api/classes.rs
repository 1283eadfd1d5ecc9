//! Classes, which hold the promises.

use super::requests::accepted;
use super::{AcceptedRequest, Access, Context, Decision, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::class::Definition;
use sexton::{ClassSet, Engine, Result, Selector, json as engine_json};
use utoipa::ToSchema;

/// Request of `class_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListClasses {}

/// Request of `class_check`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckClasses {
    /// Text of a class file (TOML).
    pub toml: String,
}

/// Request of `class_set`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetClasses {
    /// Text of a class file (TOML). A class that it leaves out stays as it is.
    pub toml: String,
    /// Author and reason, which are kept with each new class version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `class_apply`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyClass {
    /// Name of the class.
    pub name: String,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `class_close`. Exactly one of `name` and `everything`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseClass {
    /// Name of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `true` to close every class.
    #[serde(default)]
    pub everything: bool,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Class: the promise for its objects, and how it is kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Class {
    /// Name of the class.
    pub name: String,
    /// Floor as a span from the start, such as `30d`; `None` without a floor.
    pub keep: Option<String>,
    /// Ceiling as a span from the start; `None` without a ceiling.
    pub within: Option<String>,
    /// Time zone of calendar spans.
    pub zone: String,
    /// Days that are no working days.
    pub holidays: Vec<String>,
    /// Days of a weekend that are working days.
    pub workdays: Vec<String>,
    /// `registered` or `explicit`: the start if the host gives none.
    pub start: String,
    /// Longest time for which a start may stay unknown.
    pub max_open: Option<String>,
    /// Length of a slot, milliseconds.
    pub slot_ms: u64,
    /// Lead before the ceiling, milliseconds.
    pub lead_ms: u64,
    /// `key`, `version` or `none`: the way in which live objects are found.
    pub find: String,
    /// `delete` or `anonymise`.
    pub disposition: String,
    /// `operator` or `ticket`: the keeper of the openings.
    pub openings: String,
    /// Span within which a registration is sealed.
    pub seal_within: String,
    /// Time for which openings are kept after the end; `None` if they are never destroyed.
    pub evidence: Option<String>,
    /// `true` if its deletions go into the feed.
    pub feed: bool,
    /// Time for which ended objects are remembered.
    pub remember: Option<String>,
    /// `true` if the host deletes most objects itself.
    pub host_deletes: bool,
}

/// Class of a data folder.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListedClass {
    /// Definition of the newest version.
    #[serde(flatten)]
    pub class: Class,
    /// Number of the version, from 1.
    pub version: u32,
    /// `true` if it is closed down.
    pub closed: bool,
    /// Decision to define the version; `None` if none was stated.
    pub set: Option<Decided>,
}

/// Decision with its instant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// Instant of the decision, Unix milliseconds.
    pub at_ms: i64,
    /// Reason for it.
    pub reason: String,
    /// Person who decided.
    pub author: String,
    /// Authenticated user of the process; `None` if it is not known.
    pub uid: Option<u32>,
}

impl Decided {
    /// Returns a decision as JSON.
    pub(super) fn json(at_ms: i64, attribution: &sexton::Attribution) -> Value {
        json!({
            "at_ms": at_ms,
            "reason": attribution.reason,
            "author": attribution.author,
            "uid": attribution.uid,
        })
    }
}

/// Answer of `class_list`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassList {
    /// Newest version of each class.
    pub classes: Vec<ListedClass>,
}

/// Answer of `class_check`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckedClasses {
    /// Classes of the file.
    pub classes: Vec<Class>,
}

/// Answer of `class_set`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassChanges {
    /// Change of each class of the file.
    pub classes: Vec<ClassChange>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Change of a class.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassChange {
    /// Name of the class.
    pub name: String,
    /// `new`, `unchanged` or `new version`.
    pub change: String,
    /// Number of the version that results.
    pub version: u32,
}

impl Operation for ListClasses {
    type Answer = ClassList;
    const NAME: &'static str = "class_list";
    const PATH: &'static str = "/v1/classes";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "List the classes with their promises";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let status = context.engine.status()?;
        let is_closed = |name: &str| status.classes.get(name).is_some_and(|class| class.closed);
        let classes = context.engine.classes().into_iter().map(|(class, version)| {
            let decided = context.engine.class_decision(&class.name)?;
            let mut value = engine_json::class(&class);
            value["version"] = version.into();
            value["closed"] = is_closed(&class.name).into();
            let set = decided.map(|decided| Decided::json(decided.at.unix_ms(), &decided.attribution));
            value["set"] = set.into();
            Ok(value)
        });
        Ok(json!({ "classes": classes.collect::<Result<Vec<Value>>>()? }))
    }
}

impl Operation for CheckClasses {
    type Answer = CheckedClasses;
    const NAME: &'static str = "class_check";
    const PATH: &'static str = "/v1/classes/check";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Read a class file, and return its classes or why it is refused";

    fn run(self, _: &Context<'_>) -> Result<Value> {
        let classes: Vec<Value> = parse(&self.toml)?.iter().map(engine_json::class).collect();
        Ok(json!({ "classes": classes }))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

impl Operation for SetClasses {
    type Answer = ClassChanges;
    const NAME: &'static str = "class_set";
    const PATH: &'static str = "/v1/classes/set";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Define classes or new versions of classes";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let classes = parse(&self.toml)?;
        let before = context.engine.classes();
        let target = dry_run::target(context.engine, self.dry_run)?;
        match &self.decision {
            None => target.define_classes(&classes)?,
            Some(decision) => target.set_classes(&classes, &decision.attribution(context))?,
        }
        let change = |class: &Definition| {
            let known = before.iter().find(|(known, _)| known.name == class.name);
            let (change, version) = match known {
                None => ("new", 1),
                Some((known, version)) if known == class => ("unchanged", *version),
                Some((_, version)) => ("new version", version + 1),
            };
            json!({ "name": class.name, "change": change, "version": version })
        };
        let changes: Vec<Value> = classes.iter().map(change).collect();
        Ok(json!({ "dry_run": self.dry_run, "classes": changes }))
    }
}

impl Operation for ApplyClass {
    type Answer = AcceptedRequest;
    const NAME: &'static str = "class_apply";
    const PATH: &'static str = "/v1/classes/apply";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Apply the newest version of a class to objects of earlier ones";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let target = dry_run::target(context.engine, self.dry_run)?;
        let request = target.apply_class(&self.name, self.decision.attribution(context))?;
        Ok(accepted(&request, self.dry_run))
    }
}

impl Operation for CloseClass {
    type Answer = AcceptedRequest;
    const NAME: &'static str = "class_close";
    const PATH: &'static str = "/v1/classes/close";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Close down a class or everything: its objects are deleted";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let selector = match (&self.name, self.everything) {
            (Some(name), false) => Selector::Class(name.clone()),
            (None, true) => Selector::Everything,
            (Some(_), true) => {
                return Err(invalid("both a class and everything are named; name one"));
            }
            (None, false) => return Err(invalid("no class is named; give a name, or everything")),
        };
        let target = dry_run::target(context.engine, self.dry_run)?;
        let request = target.close_down(selector, self.decision.attribution(context))?;
        Ok(accepted(&request, self.dry_run))
    }
}

/// Returns the classes of a class file, of which there is at least one.
fn parse(toml: &str) -> Result<ClassSet> {
    let classes = ClassSet::from_toml(toml)?;
    if classes == ClassSet::empty() {
        return Err(invalid("it defines no class"));
    }
    Ok(classes)
}
