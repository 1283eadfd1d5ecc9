//! Requests: erasures, closings, applied classes, lifted holds, and the progress of their objects.

use super::covers::Selected;
use super::page::{Limit, check_limit};
use super::which::registration;
use super::{Access, Context, Method, Operation, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::decision::RequestKind;
use sexton::{Result, json as engine_json};
use utoipa::ToSchema;

/// Most requests or objects of one page.
const PAGE_MAX: u32 = 1_000;

/// Request of `request_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequests {
    /// Cursor: `next` of the answer before. Only requests with larger numbers are listed.
    #[serde(default)]
    pub after: u32,
    /// Most requests to look at.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
    pub limit: Limit<100>,
    /// `true` to list erasures only. A page may then have fewer requests than its limit.
    #[serde(default)]
    pub erasures: bool,
}

/// Request of `request_objects`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequestObjects {
    /// Number of the request.
    pub number: u32,
    /// Cursor: `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most objects to list.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
    pub limit: Limit<100>,
}

/// Request of a person that concerns many objects.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Number of the request; `None` in a dry run.
    pub number: Option<u32>,
    /// `erase`, `close`, `apply`, `lift`, `doubt` or `back`.
    pub kind: String,
    /// Selector in words.
    pub of: String,
    /// Selector of its objects.
    pub selector: Selected,
    /// Reason for the request.
    pub reason: String,
    /// Person who made it.
    pub author: String,
    /// Authenticated user of the process; `None` if it is not known.
    pub uid: Option<u32>,
    /// Instant of its receipt, Unix milliseconds.
    pub received_ms: i64,
    /// Instant until which it can be cancelled, Unix milliseconds; `None` if it never can.
    pub cancellable_until_ms: Option<i64>,
    /// Instant by which it is to be answered, Unix milliseconds; `None` if nothing was promised.
    pub answer_by_ms: Option<i64>,
    /// `true` for an erasure that is to be answered at once.
    pub immediate: bool,
    /// `waiting`, `found`, `finished` or `cancelled`.
    pub state: String,
    /// Instant of the last change of the state, Unix milliseconds.
    pub changed_ms: i64,
    /// Objects found so far.
    pub objects: u64,
}

/// Answer of an operation that makes or changes a request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcceptedRequest {
    /// Request as it stands.
    #[serde(flatten)]
    pub request: Request,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Answer of `request_list`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestList {
    /// Requests in the order of their numbers.
    pub requests: Vec<Request>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<u32>,
    /// Instant of the list, Unix milliseconds.
    pub as_of_ms: i64,
}

/// Object of a request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestObject {
    /// Key as printable text.
    pub key: String,
    /// Key, hexadecimal.
    pub key_hex: String,
    /// Present registration id.
    pub id: String,
    /// `pending` or `ended`.
    pub progress: String,
    /// Pending: instant at which it comes up, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Pending: floor that has not passed, Unix milliseconds; `None` if there is none.
    // An inner `None` is a floor that has passed, an outer one an object that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    pub floor_ms: Option<Option<i64>>,
    /// Pending: `true` if a legal hold keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Ended: method by which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Ended: instant at which its end was known, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<i64>,
}

/// Answer of `request_objects`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestObjectList {
    /// Request with its progress.
    pub request: Request,
    /// Objects found so far, in the order of the ids under which they were found. An object that moved meanwhile may be
    /// listed twice, with its present id.
    pub objects: Vec<RequestObject>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
    /// Instant of the list, Unix milliseconds.
    pub as_of_ms: i64,
}

impl Operation for ListRequests {
    type Answer = RequestList;
    const NAME: &'static str = "request_list";
    const PATH: &'static str = "/v1/requests";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "List erasures, closings, applied classes and lifted holds";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let limit = check_limit(self.limit.0, PAGE_MAX)?;
        let requests = context.engine.requests_after(self.after, limit)?;
        let next = requests.last().filter(|_| requests.len() == limit).map(|request| request.number);
        let wanted = requests.iter().filter(|request| !self.erasures || request.kind == RequestKind::Erase);
        Ok(json!({
            "requests": wanted.map(engine_json::request).collect::<Vec<Value>>(),
            "next": next,
            "as_of_ms": context.engine.now().unix_ms(),
        }))
    }
}

impl Operation for ListRequestObjects {
    type Answer = RequestObjectList;
    const NAME: &'static str = "request_objects";
    const PATH: &'static str = "/v1/requests/objects";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str =
        "List the objects of an erasure, each with its end or the reason for its delay";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let limit = check_limit(self.limit.0, PAGE_MAX)?;
        let after = self.after.as_deref().map(registration).transpose()?;
        let request = find(context, self.number)?;
        if !request.lists_objects() {
            return Err(invalid(format!(
                "request {} has no list of objects: it is a {} of {}",
                self.number,
                engine_json::request_kind(&request),
                request.selector.describe()
            )));
        }
        let part = context.engine.erasure_objects_after(self.number, after, limit)?;
        Ok(json!({
            "request": engine_json::request(&request),
            "objects": part.objects.iter().map(engine_json::erasure_object).collect::<Vec<Value>>(),
            "next": part.next.map(|next| next.to_string()),
            "as_of_ms": context.engine.now().unix_ms(),
        }))
    }
}

/// Returns the request with this number.
///
/// # Errors
/// `NotFound` if there is none.
pub(super) fn find(context: &Context<'_>, number: u32) -> Result<sexton::decision::Request> {
    context.engine.request(number).map_err(|e| match e.kind() {
        sexton::ErrorKind::NotFound => sexton::Error::new(
            e.kind(),
            format!("there is no request {number}; `sexton request list` shows all requests"),
        ),
        _ => e,
    })
}

/// Returns a request that was made or changed as JSON.
pub(super) fn changed(request: &sexton::decision::Request, is_dry: bool) -> Value {
    let mut value = engine_json::request(request);
    value["dry_run"] = is_dry.into();
    value
}

/// Returns a request that was accepted as JSON. In a dry run it has no number.
pub(super) fn accepted(request: &sexton::decision::Request, is_dry: bool) -> Value {
    let mut value = changed(request, is_dry);
    if is_dry {
        value["number"] = Value::Null;
    }
    value
}

/// Deserialises a field that is stated, as `null` too.
fn stated<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
