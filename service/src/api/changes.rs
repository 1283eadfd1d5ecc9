//! Changes of one registered object.

use super::bytes::{Bytes, text_or_base64};
use super::which::{Named, Which};
use super::{Access, Context, Method, Operation, dry_run};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::report::{Action, PlannedObject};
use sexton::{Change, Changed, Durability, Engine, Error, ErrorKind, Registration, Result, Timestamp};
use utoipa::ToSchema;

/// Request of `object_start`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartObject {
    /// Object that was registered without a start.
    pub object: Which,
    /// Instant from which its promise counts, Unix milliseconds.
    pub start_ms: i64,
    /// `true` to validate and report, and to change nothing. It does not check if the object has a start already.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `object_content`: the object has other content, such as a file that was written again. It stays the object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceContent {
    /// Object whose content is another.
    pub object: Which,
    /// Version by which the store recognises the object from now on: at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version by which the store recognises the object from now on, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_base64: Option<Bytes>,
    /// Size from now on, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Start from now on, Unix milliseconds. A start that is not later than the present one changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `object_reschedule`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescheduleObject {
    /// Object to put under other terms.
    pub object: Which,
    /// Name of the class whose window applies. Without it the class stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Instant from which the window counts, Unix milliseconds. Without it the start stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `object_release`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseObject {
    /// Object that the host deleted by itself.
    pub object: Which,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer to a change of an object. After it the change survives a power failure.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedObject {
    /// Registration id from now on. Earlier ids lead to it.
    pub id: String,
    /// Floor, Unix milliseconds; `None` if there is none, or if a dry run cannot tell.
    pub floor_ms: Option<i64>,
    /// Ceiling, Unix milliseconds; `None` if there is none, or if a dry run cannot tell.
    pub ceiling_ms: Option<i64>,
    /// New ticket, hexadecimal, of which there is no other copy. It replaces the earlier one.
    pub ticket_hex: Option<String>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Change to an object that is named apart from it.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Start(Timestamp),
    Content { version: &'a [u8], size: Option<u64>, start: Option<Timestamp> },
    Reschedule { class: Option<&'a str>, start: Option<Timestamp> },
    Release,
}

impl<'a> Edit<'a> {
    /// Returns the change to this object.
    fn to(self, of: sexton::Which<'a>) -> Change<'a> {
        match self {
            Edit::Start(start) => Change::Start { of, start },
            Edit::Content { version, size, start } => Change::Content { of, version, size, start },
            Edit::Reschedule { class, start } => Change::Reschedule { of, class, start },
            Edit::Release => Change::Release { of },
        }
    }
}

impl Operation for StartObject {
    type Answer = ChangedObject;
    const NAME: &'static str = "object_start";
    const PATH: &'static str = "/v1/objects/start";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Set the start of an object that was registered without one";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let edit = Edit::Start(Timestamp::from_unix_ms(self.start_ms));
        change(context.engine, &self.object, edit, self.dry_run)
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        self.object.is_by_id()
    }
}

impl Operation for ReplaceContent {
    type Answer = ChangedObject;
    const NAME: &'static str = "object_content";
    const PATH: &'static str = "/v1/objects/content";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "State that an object has other content and stays the object";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let version = text_or_base64("version", self.version.as_deref(), self.version_base64.as_ref())?;
        let start = self.start_ms.map(Timestamp::from_unix_ms);
        let edit = Edit::Content { version: version.unwrap_or_default(), size: self.size, start };
        change(context.engine, &self.object, edit, self.dry_run)
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        self.object.is_by_id()
    }
}

impl Operation for RescheduleObject {
    type Answer = ChangedObject;
    const NAME: &'static str = "object_reschedule";
    const PATH: &'static str = "/v1/objects/reschedule";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Put an object under another class or another start";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        if self.class.is_none() && self.start_ms.is_none() {
            return Err(super::invalid("neither a class nor a start is given; give one or both"));
        }
        let start = self.start_ms.map(Timestamp::from_unix_ms);
        let edit = Edit::Reschedule { class: self.class.as_deref(), start };
        change(context.engine, &self.object, edit, self.dry_run)
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        self.object.is_by_id()
    }
}

impl Operation for ReleaseObject {
    type Answer = ChangedObject;
    const NAME: &'static str = "object_release";
    const PATH: &'static str = "/v1/objects/release";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Record that the host deleted an object by itself";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        change(context.engine, &self.object, Edit::Release, self.dry_run)
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        self.object.is_by_id()
    }
}

fn change(engine: &Engine, object: &Which, edit: Edit<'_>, is_dry: bool) -> Result<Value> {
    let named = object.named()?;
    dry_run::check_if(is_dry, engine)?;
    let changed = if is_dry {
        apply_dry(engine, &find(engine, &named)?, edit)?
    } else {
        apply(engine, edit.to(named.which()))?
    };
    Ok(json!({
        "id": changed.id.to_string(),
        "floor_ms": changed.floor.map(Timestamp::unix_ms),
        "ceiling_ms": changed.ceiling.map(Timestamp::unix_ms),
        "ticket_hex": changed.ticket.map(hex::encode),
        "dry_run": is_dry,
    }))
}

fn apply(engine: &Engine, change: Change<'_>) -> Result<Changed> {
    let mut answers = engine.change(&[change], Durability::Synced)?;
    answers.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "the engine did not answer the change"))?
}

/// Applies a change to a stand-in of the object, in an engine in memory.
///
/// Only the index knows if the object has a start, and which. So a dry run does not check the start. It returns no bounds
/// if they follow from the present start.
fn apply_dry(engine: &Engine, object: &PlannedObject, edit: Edit<'_>) -> Result<Changed> {
    if let (Edit::Release, Action::Hold(name)) = (edit, &object.action) {
        let why = format!("the legal hold {:?} covers it; lift it first", name.as_str());
        return Err(Error::new(ErrorKind::Held, why));
    }
    let dry = dry_run::with_open_classes(engine)?;
    let start = match edit {
        Edit::Start(_) => None,
        _ => Some(engine.now()),
    };
    let stand_in = Registration::new(&object.class, &object.key).version(&object.version).start(start);
    let registered = dry.register(&[stand_in], Durability::Synced)?;
    dry_run::close_classes(&dry, engine)?;
    let id = registered.first().map_or(object.id, |registered| registered.id);
    let mut changed = apply(&dry, edit.to(sexton::Which::Id(id)))?;
    (changed.floor, changed.ceiling) = match edit {
        Edit::Start(_) | Edit::Reschedule { start: Some(_), .. } => (changed.floor, changed.ceiling),
        Edit::Reschedule { start: None, .. } | Edit::Content { start: Some(_), .. } => (None, None),
        Edit::Release | Edit::Content { start: None, .. } => (object.floor, object.ceiling),
    };
    (changed.id, changed.ticket) = (object.id, None);
    Ok(changed)
}

/// Returns the object as the plan shows it.
fn find(engine: &Engine, named: &Named) -> Result<PlannedObject> {
    let not_found = |why: String| Error::new(ErrorKind::NotFound, why);
    let id = match named {
        Named::Id(id) => *id,
        Named::Key(key) => {
            engine.find(key)?.ok_or_else(|| not_found("no live registration has this key".into()))?
        }
        Named::Version { key, version } => {
            let found = engine.find_version(key, version)?;
            found.ok_or_else(|| not_found("no live registration has this key and version".into()))?
        }
    };
    for object in engine.plan(Timestamp::MAX)? {
        let object = object?;
        if object.id == id {
            return Ok(object);
        }
    }
    Err(not_found(format!(
        "registration {id} is not live under this id: it ended, moved, or is on its way to deletion"
    )))
}
