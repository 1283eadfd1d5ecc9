//! Errors as problem documents (RFC 9457), and the one table from kinds to statuses.

#[cfg(feature = "serve")]
use axum::body::Body;
use http::StatusCode;
#[cfg(feature = "serve")]
use http::{HeaderValue, Response, header};
use serde::{Deserialize, Serialize};
use sexton::{Error, ErrorKind};
use utoipa::ToSchema;

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// Seconds after which a request that was refused for lack of room may be sent again.
#[cfg(feature = "serve")]
const RETRY_AFTER_S: &str = "1";

/// Problem document: why a request was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// HTTP reason phrase.
    pub title: String,
    /// Kind of the error, as in `not-found`. A client decides by it.
    pub kind: String,
    /// One sentence: what failed, the value and the bound, what to do.
    pub detail: String,
}

impl Problem {
    /// Returns a problem of a request that never reached the engine.
    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            kind: kind.to_owned(),
            detail: detail.into(),
        }
    }
}

#[cfg(feature = "serve")]
impl Problem {
    /// Returns the refusal of a request for lack of room. Nothing of it was done.
    pub(crate) fn too_many(detail: &str) -> Self {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
    }

    /// Returns `true` if the request certainly changed nothing.
    pub(super) fn changed_nothing(&self) -> bool {
        self.status < 500 || matches!(self.kind.as_str(), "busy" | "forked" | "closed")
    }

    /// Returns the response with this problem.
    pub(crate) fn response(&self) -> Response<Body> {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, kind) = status_of(error.kind());
        Problem::new(status, kind, error.to_string())
    }
}

/// Returns status and name of a kind. A client may send the request again after 429, 503 and 507.
fn status_of(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        ErrorKind::Held => (StatusCode::CONFLICT, "held"),
        ErrorKind::TooLate => (StatusCode::CONFLICT, "too-late"),
        ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        ErrorKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "full"),
        ErrorKind::Io => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
        ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt"),
        ErrorKind::Forked => (StatusCode::SERVICE_UNAVAILABLE, "forked"),
        ErrorKind::Poisoned => (StatusCode::SERVICE_UNAVAILABLE, "poisoned"),
        ErrorKind::Closed => (StatusCode::SERVICE_UNAVAILABLE, "closed"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/api.md");

    #[test]
    fn every_kind_is_in_the_table_of_the_page() {
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::NotFound,
            ErrorKind::Held,
            ErrorKind::TooLate,
            ErrorKind::Busy,
            ErrorKind::Full,
            ErrorKind::Io,
            ErrorKind::Corrupt,
            ErrorKind::Forked,
            ErrorKind::Poisoned,
            ErrorKind::Closed,
            ErrorKind::Internal,
        ] {
            let (status, name) = status_of(kind);
            let has = |line: &&str| line.contains(&format!("`{name}`")) && line.contains(status.as_str());
            assert!(PAGE.lines().any(|line| has(&line) && line.starts_with("| ")), "{name} {status}");
        }
    }
}
