//! Registration of objects.

use super::bytes::{Bytes, hex_or_base64, text_or_base64};
use super::{Access, Context, Method, Operation, dry_run, invalid, to_json, to_text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sexton::class::Find;
use sexton::proof::leaf::Openings;
use sexton::{Engine, Previous, RegisterOptions, Registered, Registration, Result, Timestamp};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Most objects of one request.
pub const REGISTER_OBJECTS_MAX: usize = 1_000;

/// Request of `object_register`. All objects are registered, or none if one is invalid.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Objects, at most 1,000.
    #[schema(max_items = 1000)]
    pub objects: Vec<NewObject>,
    /// `true` to leave keys alone that have a live registration. Only classes that find by key can tell.
    #[serde(default)]
    pub only_missing: bool,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Object to be registered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewObject {
    /// Key of the object: 1 to 2,048 bytes. Either this or `key_base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Key of the object, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<Bytes>,
    /// Name of the class that the object falls under.
    pub class: String,
    /// Version by which the store recognises the object: at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version by which the store recognises the object, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_base64: Option<Bytes>,
    /// Instant from which the promise counts, Unix milliseconds. Without it the class decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// Digest of the content, hexadecimal: at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_hex: Option<String>,
    /// Digest of the content, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_base64: Option<Bytes>,
    /// Size of the object in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Person or account that the data belong to: at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Person or account that the data belong to, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_base64: Option<Bytes>,
}

/// Answer of `object_register`. After it the registrations survive a power failure.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisteredObjects {
    /// Answer to each object, in the order of the request.
    pub objects: Vec<RegisteredObject>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Answer to one object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisteredObject {
    /// Registration id. The host keeps it to ask for a receipt. `None` in a dry run.
    pub id: Option<String>,
    /// Fate of the previous live registration of the key: `none`, `replaced`, `too-late`, `identical` or `kept`. A dry run
    /// does not look for it and says `none`.
    pub previous: Cow<'static, str>,
    /// Previous registration, if it was replaced or came too late.
    pub previous_id: Option<String>,
    /// Ticket, hexadecimal, if the class has `openings = "ticket"`. The engine keeps no copy.
    pub ticket_hex: Option<String>,
}

/// Bytes of an object to be registered.
struct Fields<'a> {
    object: &'a NewObject,
    key: &'a [u8],
    version: &'a [u8],
    digest: Cow<'a, [u8]>,
    subject: &'a [u8],
}

impl Operation for Register {
    type Answer = RegisteredObjects;
    const NAME: &'static str = "object_register";
    const PATH: &'static str = "/v1/objects/register";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Register up to 1,000 objects, durably";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        to_json(self.register(context.engine)?)
    }

    fn run_to_text(self, context: &Context<'_>) -> Result<String> {
        to_text(&self.register(context.engine)?)
    }

    /// Returns `true` if the engine recognises every object that was registered before: by its key and its version.
    fn is_repeatable(&self, engine: &Engine) -> bool {
        let classes = engine.classes();
        let is_found = |name: &str| {
            let mut found = classes.iter().filter(|(class, _)| class.name == name);
            found.any(|(class, _)| class.find != Find::None && class.openings == Openings::Operator)
        };
        self.objects.iter().all(|object| {
            let has_version = object.version.as_ref().is_some_and(|version| !version.is_empty())
                || object.version_base64.as_ref().is_some_and(|version| !version.0.is_empty());
            has_version && is_found(&object.class)
        })
    }
}

impl Register {
    fn register(&self, engine: &Engine) -> Result<RegisteredObjects> {
        if !(1..=REGISTER_OBJECTS_MAX).contains(&self.objects.len()) {
            return Err(invalid(format!(
                "{} objects; 1 to {REGISTER_OBJECTS_MAX} are allowed in one request",
                self.objects.len()
            )));
        }
        let fields = self.objects.iter().enumerate().map(|(index, object)| {
            NewObject::fields(object).map_err(|e| invalid(format!("object {index}: {e}")))
        });
        let fields: Vec<Fields<'_>> = fields.collect::<Result<_>>()?;
        let registrations: Vec<Registration<'_>> = fields.iter().map(Fields::registration).collect();
        let all = RegisterOptions::new();
        let options = if self.only_missing { all.only_missing() } else { all };
        let answers = dry_run::target(engine, self.dry_run)?.register(&registrations, options)?;
        let objects = answers.into_iter().map(|answer| RegisteredObject::new(answer, self.dry_run)).collect();
        Ok(RegisteredObjects { objects, dry_run: self.dry_run })
    }
}

impl NewObject {
    fn fields(&self) -> Result<Fields<'_>> {
        let key = text_or_base64("key", self.key.as_deref(), self.key_base64.as_ref())?;
        let version = text_or_base64("version", self.version.as_deref(), self.version_base64.as_ref())?;
        let digest = hex_or_base64("digest", self.digest_hex.as_deref(), self.digest_base64.as_ref())?;
        let subject = text_or_base64("subject", self.subject.as_deref(), self.subject_base64.as_ref())?;
        Ok(Fields {
            object: self,
            key: key.ok_or_else(|| invalid("no key is given; give key or key_base64"))?,
            version: version.unwrap_or_default(),
            digest: digest.unwrap_or_default(),
            subject: subject.unwrap_or_default(),
        })
    }
}

impl Fields<'_> {
    fn registration(&self) -> Registration<'_> {
        Registration::new(&self.object.class, self.key)
            .version(self.version)
            .start(self.object.start_ms.map(Timestamp::from_unix_ms))
            .digest(&self.digest)
            .size(self.object.size)
            .subject(self.subject)
    }
}

impl RegisteredObject {
    fn new(registered: Registered, is_dry: bool) -> Self {
        let (word, id) = match registered.previous {
            Previous::None => ("none", None),
            Previous::Replaced(id) => ("replaced", Some(id)),
            Previous::TooLate(id) => ("too-late", Some(id)),
            Previous::Identical => ("identical", None),
            Previous::Kept => ("kept", None),
            // A later version of the engine may add fates.
            _ => ("other", None),
        };
        RegisteredObject {
            id: (!is_dry).then(|| registered.id.to_string()),
            previous: if is_dry { "none" } else { word }.into(),
            previous_id: id.filter(|_| !is_dry).map(|id| id.to_string()),
            ticket_hex: registered.ticket.filter(|_| !is_dry).map(hex::encode),
        }
    }
}
