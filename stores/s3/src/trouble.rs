//! Trouble: the reasons for which a request did not succeed, as far as the store tells them apart.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use sexton::store::Answer;
use std::fmt;
use std::time::Duration;

/// Reason for which a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server does not have the object, version or upload.
    Missing,
    /// The server answered 404 and no code. That is how it answers HEAD for a missing object, and for a missing bucket. To any
    /// other request it is no answer of S3.
    Bare404,
    /// The server does not have the bucket.
    NoBucket,
    /// A condition of the request does not hold.
    Condition,
    /// The method is not allowed, such as HEAD of a delete marker.
    Method,
    /// The server does not have this operation.
    Unsupported,
    /// The bucket or object has no configuration of this kind, such as a lifecycle configuration or Object Lock.
    NoConfiguration,
    /// The request is not allowed: a right is missing, or a lock keeps the object.
    Denied(String),
    /// The server is busy, and may have said for how long.
    Busy {
        /// Span of the header `Retry-After`.
        after: Option<Duration>,
        /// Answer of the server.
        why: String,
    },
    /// No answer came. It is not known if the server carried out the request.
    Unknown(String),
    /// Anything else. Repeating the request does not help.
    Other(String),
}

impl Trouble {
    /// Returns the reason for which a request failed.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(_) | SdkError::ResponseError(_) => {}
            SdkError::TimeoutError(_) => return Self::Unknown("the server did not answer in time".into()),
            SdkError::DispatchFailure(_) if has_credentials_error(error) => {
                return Self::Other(format!("there are no valid credentials: {}", cause(error)));
            }
            SdkError::DispatchFailure(failure) if !failure.is_user() => return Self::Unknown(cause(error)),
            _ => return Self::Other(cause(error)),
        }
        let Some(response) = error.raw_response() else { return Self::Unknown(cause(error)) };
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name);
        if (300..400).contains(&status) {
            return Self::Other(format!(
                "the server redirects to {}, and no redirect is followed; configure the endpoint and region of the bucket",
                header("location").or_else(|| header("x-amz-bucket-region")).unwrap_or("another place")
            ));
        }
        if status < 300 {
            return Self::Unknown(format!(
                "the answer of the server is cut short or not that of S3: {}",
                cause(error)
            ));
        }
        let (code, message) = error.as_service_error().map_or((None, None), |e| (e.code(), e.message()));
        let after = after(header("retry-after"), header("date"));
        Self::of_code(status, code.unwrap_or_default(), message.unwrap_or_default(), after)
    }

    /// Returns the reason that status, code and message of an error state.
    pub(crate) fn of_code(status: u16, code: &str, message: &str, after: Option<Duration>) -> Self {
        let said = || match (code, message) {
            ("", _) => format!("the server answered {status}"),
            (code, "") => format!("the server answered {status} {code}"),
            (code, message) => format!("the server answered {status} {code}: {message}"),
        };
        let with = |what: &str| Self::Other(format!("{}; {what}", said()));
        match (code, status) {
            ("NoSuchBucket", _) => Self::NoBucket,
            (
                "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" | "OperationAborted",
                _,
            )
            | ("Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests", _) => {
                Self::Busy { after, why: said() }
            }
            ("RequestTimeTooSkewed", _) => {
                with("the clocks of this machine and of the server differ; set the one that is wrong")
            }
            ("ExpiredToken" | "TokenRefreshRequired" | "InvalidToken", _) => with("renew the credentials"),
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidClientTokenId", _) => {
                with("configure valid credentials")
            }
            (
                "NoSuchLifecycleConfiguration"
                | "ObjectLockConfigurationNotFoundError"
                | "NoSuchObjectLockConfiguration"
                | "NoSuchTagSet",
                _,
            ) => Self::NoConfiguration,
            ("NoSuchKey" | "NoSuchVersion" | "NoSuchUpload" | "NotFound", 404) => Self::Missing,
            ("", 404) => Self::Bare404,
            ("PreconditionFailed", _) | (_, 412) => Self::Condition,
            // The client sends a newer checksum in a bulk deletion than such a server knows.
            ("NotImplemented" | "MissingContentMD5", _) | (_, 501) => Self::Unsupported,
            ("MethodNotAllowed", _) | (_, 405) => Self::Method,
            ("AccessDenied" | "AllAccessDisabled", _) | ("", 403) => Self::Denied(said()),
            (_, 429 | 500 | 502 | 503 | 504) => Self::Busy { after, why: said() },
            _ => Self::Other(said()),
        }
    }

    /// Returns `true` if the request may succeed when it is sent again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unknown(_))
    }

    /// Returns the answer for an object that met this trouble: never that it is gone.
    pub(crate) fn into_answer(self, what: &str) -> Answer {
        match self {
            Self::Denied(why) => Answer::Refused(format!("{what}: {why}").into()),
            other => Answer::Failed(format!("{what}: {other}").into()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the server has no such object"),
            Self::Bare404 => f.write_str("the server answered 404 and no code of S3; see that the endpoint is right"),
            Self::NoBucket => f.write_str(
                "the bucket does not exist, and nothing is known of its objects; see that bucket and endpoint are the right ones",
            ),
            Self::Condition => f.write_str("a condition of the request does not hold"),
            Self::Method => f.write_str("the server does not allow this method"),
            Self::NoConfiguration => f.write_str("the server has no such configuration"),
            Self::Unsupported => f.write_str("the server does not have this operation"),
            Self::Denied(why) | Self::Other(why) => f.write_str(why),
            Self::Busy { why, .. } => write!(f, "{why}; the engine asks again"),
            Self::Unknown(why) => {
                write!(f, "{why}; it is not known if the request was carried out, and the engine asks again")
            }
        }
    }
}

/// Returns `true` if the request was not sent because no credentials were found.
fn has_credentials_error(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<CredentialsError>())
}

fn cause<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    let mut text = DisplayErrorContext(error).to_string();
    // The debug form of the error follows, which has the whole answer.
    if let Some(at) = text.find(" (") {
        text.truncate(at);
    }
    text
}

/// Returns the span that a `Retry-After` states: seconds, or a date relative to the `Date` of the answer, so that the clock of
/// this machine does not matter.
fn after(retry_after: Option<&str>, date: Option<&str>) -> Option<Duration> {
    use aws_sdk_s3::primitives::{DateTime, DateTimeFormat::HttpDate};
    let text = retry_after?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = |text: &str| DateTime::from_str(text, HttpDate).ok().map(|time| time.secs());
    let seconds = instant(text)?.saturating_sub(instant(date?)?);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::credential_fn::provide_credentials_fn;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        let date = Some("Tue, 01 Dec 2026 10:00:00 GMT");
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(after(Some("7"), None), seconds(7));
        assert_eq!(after(Some("Tue, 01 Dec 2026 10:01:30 GMT"), date), seconds(90));
        assert_eq!(after(Some("Tue, 01 Dec 2026 09:01:30 GMT"), date), seconds(0));
        let later = Some("Tue, 01 Dec 2026 10:01:30 GMT");
        for (text, date) in [(None, date), (Some("soon"), date), (Some("-1"), date), (later, None)] {
            assert_eq!(after(text, date), None, "{text:?}");
        }
    }

    #[test]
    fn broken_connection_is_told_from_missing_credentials() {
        use aws_sdk_s3::config::{BehaviorVersion, Region};
        use aws_sdk_s3::operation::head_bucket::HeadBucketError;
        let of = |error| Trouble::of(&SdkError::<HeadBucketError, HttpResponse>::dispatch_failure(error));
        assert!(matches!(of(ConnectorError::other("closed".into(), None)), Trouble::Unknown(_)));
        assert!(matches!(of(ConnectorError::io("reset".into())), Trouble::Unknown(_)));
        assert!(matches!(of(ConnectorError::user("malformed".into())), Trouble::Other(_)));
        // As the client itself reports them.
        let none = || async { Err(CredentialsError::not_loaded("there are none")) };
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("r"))
            .endpoint_url("http://127.0.0.1:1")
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(provide_credentials_fn(none))
            .build();
        let request = aws_sdk_s3::Client::from_conf(config).head_bucket().bucket("b").send();
        let error = tokio::runtime::Runtime::new().unwrap().block_on(request).unwrap_err();
        let trouble = Trouble::of(&error);
        assert!(
            matches!(&trouble, Trouble::Other(why) if why.contains("no valid credentials")),
            "{trouble:?}"
        );
    }

    #[test]
    fn code_decides_the_answer_before_the_status() {
        let of = |status, code| Trouble::of_code(status, code, "", None);
        assert_eq!(of(404, "NoSuchBucket"), Trouble::NoBucket);
        assert_eq!((of(404, "NoSuchKey"), of(404, "")), (Trouble::Missing, Trouble::Bare404));
        assert!(matches!(of(404, "Unknown"), Trouble::Other(_)), "in doubt it is not absent");
        assert!(matches!(of(403, "AccessDenied").into_answer("x"), Answer::Refused(_)));
        for code in
            ["RequestTimeTooSkewed", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unknown"]
        {
            assert!(matches!(of(403, code).into_answer("x"), Answer::Failed(_)), "{code}");
        }
        for (status, code) in [(503, "SlowDown"), (503, ""), (500, "InternalError"), (429, "")] {
            assert!(of(status, code).is_transient(), "{status} {code}");
        }
        let others = (of(412, ""), of(405, ""), of(501, ""));
        assert_eq!(others, (Trouble::Condition, Trouble::Method, Trouble::Unsupported));
    }
}
