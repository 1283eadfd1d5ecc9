//! One request of the API and its response, without a socket: for hosts that have an HTTP server of their own.

use crate::api::{self, Context, Method, Operation, Visitor};
use crate::problem::{MEDIA_TYPE, Problem};
use http::StatusCode;

/// Longest body of a request, bytes. A batch of 1,000 registrations with the longest fields fits, if they are base64.
pub const BODY_MAX_BYTES: usize = 8 << 20;

/// Request as it came over HTTP, unchecked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Method, as in `GET`.
    pub method: &'a [u8],
    /// Path and query, as in `/v1/plan?until_ms=0`.
    pub target: &'a [u8],
    /// Value of the header `Content-Type`.
    pub media_type: Option<&'a [u8]>,
    /// Value of the header `Idempotency-Key`. Such a request is refused, since no answers are kept.
    pub idempotency_key: Option<&'a [u8]>,
    /// Body, or at least the first [`BODY_MAX_BYTES`] + 1 bytes of a longer one.
    pub body: &'a [u8],
}

/// Response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status: 200, or that of a problem.
    pub status: u16,
    /// JSON: the answer of the operation, or a problem document.
    pub body: String,
}

impl Response {
    /// Returns the media type of the body.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        if self.status == 200 { "application/json" } else { MEDIA_TYPE }
    }
}

/// Runs the operation that a request to the control socket names, once, and returns the response.
///
/// A reader of the feed gets its answer at once, whatever time it would wait.
#[must_use]
pub fn respond(request: &Request<'_>, context: &Context<'_>) -> Response {
    match run(request, context) {
        Ok(answer) => Response { status: 200, body: answer },
        Err(problem) => {
            Response { status: problem.status, body: serde_json::to_string(&problem).unwrap_or_default() }
        }
    }
}

fn run(request: &Request<'_>, context: &Context<'_>) -> Result<String, Problem> {
    let target = str::from_utf8(request.target)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "invalid", "path and query are not UTF-8"))?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut dispatch = Dispatch { request, context, path, query, path_is_known: false, result: None };
    api::visit(&mut dispatch);
    match dispatch.result {
        Some(result) => result,
        None if dispatch.path_is_known => {
            let why = "this path has another method";
            Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", why))
        }
        None => {
            let why = format!("no operation has the path {path:?}");
            Err(Problem::new(StatusCode::NOT_FOUND, "no-such-path", why))
        }
    }
}

/// Search for the operation of a request, which runs it.
struct Dispatch<'a> {
    request: &'a Request<'a>,
    context: &'a Context<'a>,
    path: &'a str,
    query: &'a str,
    path_is_known: bool,
    result: Option<Result<String, Problem>>,
}

impl Visitor for Dispatch<'_> {
    fn operation<O: Operation>(&mut self) {
        if O::PATH != self.path {
            return;
        }
        self.path_is_known = true;
        let operation = match (O::METHOD, self.request.method) {
            (Method::Get, b"GET" | b"HEAD") => of_query::<O>(self.query),
            (Method::Post, b"POST") => self.posted::<O>(),
            _ => return,
        };
        let run = |operation: O| operation.run_to_text(self.context).map_err(|error| Problem::from(&error));
        self.result = Some(operation.and_then(run));
    }
}

impl Dispatch<'_> {
    /// Returns the operation of a POST.
    fn posted<O: Operation>(&self) -> Result<O, Problem> {
        check_media_type(self.request.media_type.map(|value| str::from_utf8(value).unwrap_or_default()))?;
        if self.request.idempotency_key.is_some() {
            let why = "this host keeps no answers to repeated requests; send it without Idempotency-Key";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", why));
        }
        if self.request.body.len() > BODY_MAX_BYTES {
            return Err(too_long());
        }
        of_body(self.request.body)
    }
}

/// Returns the operation of a GET: the query is the request.
pub(crate) fn of_query<O: Operation>(query: &str) -> Result<O, Problem> {
    serde_html_form::from_str(query)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", format!("the query: {error}")))
}

/// Returns the operation of a POST: the body is the request.
pub(crate) fn of_body<O: Operation>(body: &[u8]) -> Result<O, Problem> {
    let invalid = |why: String| Problem::new(StatusCode::BAD_REQUEST, "invalid", format!("the body: {why}"));
    // An array would be taken as the fields in their order.
    if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        return Err(invalid("an array; send an object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

/// Refuses a body that is declared to be something else than JSON.
pub(crate) fn check_media_type(media_type: Option<&str>) -> Result<(), Problem> {
    let essence = media_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    match essence {
        None => Ok(()),
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(_) => {
            let why = "the body has another media type; send application/json";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no-json", why))
        }
    }
}

/// Returns the refusal of a body above [`BODY_MAX_BYTES`].
pub(crate) fn too_long() -> Problem {
    let why = format!("the body is longer than {BODY_MAX_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", why)
}
