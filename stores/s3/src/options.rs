//! Options of a store.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Most objects of one bulk deletion. Several small ones in parallel are much faster than a large one.
pub const BULK_OBJECTS: usize = 50;

/// Options of an [`S3Store`](crate::S3Store). Begin with [`new`](Self::new).
///
/// In a configuration all but `bucket` may be left out. Credentials have no place there: they come from the credential chain.
///
/// ```
/// let options: sexton_s3::Options = serde_json::from_str(
///     r#"{"bucket": "uploads", "endpoint": "https://s3.example.com", "path_style": true, "request_timeout": "10s"}"#,
/// )?;
/// assert_eq!((options.region.as_str(), options.requests_in_flight), ("us-east-1", 16));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Name of the bucket.
    pub bucket: String,
    /// Region that signatures name. Servers other than AWS mostly accept any.
    #[serde(default = "region")]
    pub region: String,
    /// URL of the server, such as `https://s3.example.com`. `None`: AWS, at the endpoint of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the certificates (PEM) of the authorities that may vouch for the server. `None`: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// `true`: the bucket is in the path of URLs, as most servers other than AWS need it.
    #[serde(default)]
    pub path_style: bool,
    /// Profile of the shared configuration files. `None`: the default of the credential chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Credentials. `None`: those that the credential chain finds, which also renews them.
    #[serde(skip)]
    pub credentials: Option<Credentials>,
    /// `true`: asks for each object before its deletion if it is there, so that answers tell deleted from absent objects. It
    /// costs one request per object. `false`: objects with a VersionId are answered
    /// [`Requested`](sexton::store::Answer::Requested).
    #[serde(default)]
    pub confirm: bool,
    /// `true`: deletes objects without a VersionId also if the server does not check conditions of a deletion. Another object
    /// that takes the place of the registered one at that moment is then deleted instead. The answers say only `Requested`.
    #[serde(default)]
    pub unsafe_unversioned: bool,
    /// `true`: the host mirrors its holds with [`S3Store::mirror_hold`](crate::S3Store::mirror_hold). Opening then requires
    /// Object Lock.
    #[serde(default)]
    pub mirror_holds: bool,
    /// Objects of one page of a listing, 2 to 1,000. A page is in memory at a time.
    #[serde(default = "page_objects")]
    pub page_objects: u16,
    /// Most requests that wait for the server at a time, 1 to 1,000.
    #[serde(default = "requests_in_flight")]
    pub requests_in_flight: usize,
    /// Longest time of one request, at least 1 s.
    #[serde(default = "request_timeout", with = "crate::span")]
    pub request_timeout: Duration,
    /// Longest time for which one request is repeated while the server is busy or does not answer. A request that was sent
    /// is awaited beyond it.
    #[serde(default = "retry_for", with = "crate::span")]
    pub retry_for: Duration,
}

fn region() -> String {
    "us-east-1".into()
}

fn page_objects() -> u16 {
    1_000
}

fn requests_in_flight() -> usize {
    16
}

fn request_timeout() -> Duration {
    Duration::from_secs(30)
}

fn retry_for() -> Duration {
    Duration::from_secs(20)
}

/// Credentials given by the host. The secret parts are not printed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

impl Credentials {
    /// Returns credentials without a session token.
    #[must_use]
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), session_token: None }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Options {
    /// Returns the options of a bucket of AWS: answers are not confirmed, 16 requests in flight, 30 s per request, and 20 s of
    /// retries.
    #[must_use]
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: region.into(),
            endpoint: None,
            ca_file: None,
            path_style: false,
            profile: None,
            credentials: None,
            confirm: false,
            unsafe_unversioned: false,
            mirror_holds: false,
            page_objects: page_objects(),
            requests_in_flight: requests_in_flight(),
            request_timeout: request_timeout(),
            retry_for: retry_for(),
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the option, its value and its bound.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |why: String| Err(Error::Invalid(why.into()));
        if self.bucket.is_empty() || self.bucket.contains(['/', '?', '#', ':']) {
            return invalid(format!("the bucket {:?} has no valid name", self.bucket));
        }
        if self.region.is_empty() {
            return invalid("the region is empty; servers other than AWS mostly accept us-east-1".into());
        }
        if let Some(endpoint) = &self.endpoint {
            let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
            if !host.is_some_and(|host| !host.is_empty() && !host.contains(['?', '#', '@'])) {
                return invalid(format!("the endpoint {endpoint:?} is not like https://s3.example.com"));
            }
        }
        if !(1..=1_000).contains(&self.requests_in_flight) {
            return invalid(format!(
                "requests_in_flight is {}; 1 to 1,000 are allowed",
                self.requests_in_flight
            ));
        }
        if !(2..=1_000).contains(&self.page_objects) {
            return invalid(format!("page_objects is {}; 2 to 1,000 are allowed", self.page_objects));
        }
        if self.request_timeout < Duration::from_secs(1) {
            return invalid(format!("request_timeout is {:?}; at least 1 s is needed", self.request_timeout));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_bounds_are_refused() {
        let valid = || Options::new("bucket", "us-east-1");
        assert!(valid().check().is_ok());
        let refused = |options: Options| matches!(options.check(), Err(Error::Invalid(_)));
        for bucket in ["", "a/b", "a?b"] {
            assert!(refused(Options::new(bucket, "us-east-1")), "{bucket}");
        }
        assert!(refused(Options::new("bucket", "")));
        for endpoint in ["", "s3.example.com", "ftp://x", "https://", "https://u@h", "http://h/?q"] {
            assert!(refused(Options { endpoint: Some(endpoint.into()), ..valid() }), "{endpoint}");
        }
        for requests_in_flight in [0, 1_001] {
            assert!(refused(Options { requests_in_flight, ..valid() }));
        }
        for page_objects in [1, 1_001] {
            assert!(refused(Options { page_objects, ..valid() }));
        }
        assert!(refused(Options { request_timeout: Duration::from_millis(999), ..valid() }));
    }

    #[test]
    fn options_of_a_configuration_are_read_with_defaults() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        let options = read(r#"{"bucket": "b", "retry_for": "2m"}"#).unwrap();
        assert_eq!(
            (options.retry_for, options.request_timeout),
            (Duration::from_mins(2), Duration::from_secs(30))
        );
        let again = read(&serde_json::to_string(&options).unwrap()).unwrap();
        assert_eq!(format!("{options:?}"), format!("{again:?}"));
        for wrong in ["retry_for\": \"1mo", "colour\": \"red", "credentials\": \"x"] {
            assert!(read(&format!("{{\"bucket\": \"b\", \"{wrong}\"}}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut credentials = Credentials::new("AK", "hidden");
        credentials.session_token = Some("hidden".into());
        let text = format!("{:?}", Options { credentials: Some(credentials), ..Options::new("b", "r") });
        assert!(text.contains("AK") && !text.contains("hidden"), "{text}");
    }
}
