//! Probe of the conditions of a deletion, on throwaway objects.
//!
//! Some servers ignore a condition and delete the object all the same. So a condition counts only after this server refused a
//! wrong one in this bucket, left the object, and then obeyed a right one.

use crate::call::Caller;
use crate::error::Error;
use crate::state::Versioning;
use crate::trouble::Trouble;
use crate::version::{NULL, unquoted};
use aws_sdk_s3::operation::delete_object::DeleteObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use std::time::Duration;

/// First part of the keys of throwaway objects. Listings leave such keys out.
pub const PROBE_PREFIX: &str = ".sexton-probe/";
/// Header by which Ceph deletes only an object that is not newer.
const UNMODIFIED_SINCE: &str = "x-amz-delete-if-unmodified-since";
/// ETag that no object has: the MD5 of nothing with its last digit changed.
const WRONG_ETAG: &str = "d41d8cd98f00b204e9800998ecf8427f";

/// Conditions of a deletion that the server checks in a bucket with this versioning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// `If-Match` with the ETag.
    pub if_match: bool,
    /// `x-amz-delete-if-unmodified-since` with the last modification, in whole seconds.
    pub unmodified_since: bool,
}

impl Conditions {
    /// Returns `true` if a deletion can be bound to the registered object.
    #[must_use]
    pub fn any(self) -> bool {
        self.if_match || self.unmodified_since
    }
}

/// Deletion of the object without a VersionId of its own under a key.
pub(crate) struct NullDeletion<'a> {
    pub(crate) key: &'a str,
    /// Versioning of the bucket. Unless it is off, the deletion names the VersionId `null`, so that it leaves no marker.
    pub(crate) versioning: Versioning,
    /// ETag that the object must have, without quotes.
    pub(crate) etag: Option<&'a str>,
    /// Last modification that the object must not be newer than, Unix seconds.
    pub(crate) modified_s: Option<i64>,
}

#[derive(Clone, Copy)]
enum Condition {
    IfMatch,
    UnmodifiedSince,
}

impl Caller {
    /// Sends the deletion of an object without a VersionId of its own.
    pub(crate) async fn delete_null(
        &self,
        deletion: &NullDeletion<'_>,
    ) -> Result<DeleteObjectOutput, Trouble> {
        let since = deletion.modified_s.map(date_time);
        let version = (deletion.versioning != Versioning::Off).then_some(NULL);
        // A second attempt without a condition could meet the next object under the key.
        let is_bound = deletion.etag.is_some() || since.is_some();
        self.send_for(if is_bound { self.retry_for } else { Duration::ZERO }, |client| {
            let since = since.clone();
            let request = client.delete_object().bucket(&self.bucket).key(deletion.key);
            let request = request.set_version_id(version.map(str::to_owned));
            let request = request.set_if_match(deletion.etag.map(|etag| format!("\"{etag}\"")));
            let add = move |request: &mut aws_sdk_s3::config::http::HttpRequest| {
                if let Some(since) = &since {
                    request.headers_mut().insert(UNMODIFIED_SINCE, since.clone());
                }
            };
            request.customize().mutate_request(add).send()
        })
        .await
    }

    /// Finds the conditions that the server checks in this bucket, on a throwaway object, which is gone afterwards.
    ///
    /// # Errors
    /// The throwaway object cannot be stored, seen or removed.
    pub(crate) async fn probe(&self, versioning: Versioning, tag: &str) -> Result<Conditions, Error> {
        let key = format!("{PROBE_PREFIX}{tag}");
        let if_match = self.checks(&key, versioning, Condition::IfMatch).await;
        let unmodified_since = self.checks(&key, versioning, Condition::UnmodifiedSince).await;
        let removal = NullDeletion { key: &key, versioning, etag: None, modified_s: None };
        let removed = self.delete_null(&removal).await;
        let conditions = Conditions { if_match: if_match?, unmodified_since: unmodified_since? };
        match removed {
            Ok(_) | Err(Trouble::Missing) => Ok(conditions),
            Err(trouble) => Err(Error::of(&format!("the throwaway object {key} cannot be removed"), trouble)),
        }
    }

    /// Returns `true` if the server refuses a wrong condition, leaves the object, and obeys a right one.
    async fn checks(&self, key: &str, versioning: Versioning, condition: Condition) -> Result<bool, Error> {
        let failed =
            |trouble| Error::of(&format!("the throwaway object {key} cannot be stored or seen"), trouble);
        let body = || ByteStream::from_static(b"A throwaway object of Sexton. It may be deleted.\n");
        let put = |client: &aws_sdk_s3::Client| {
            client.put_object().bucket(&self.bucket).key(key).body(body()).send()
        };
        self.send(put).await.map_err(failed)?;
        let stored = self.null_object(key, versioning).await.map_err(failed)?;
        let (etag, modified_s) = stored.ok_or_else(|| failed(Trouble::Missing))?;
        let deletion = |is_right: bool| match condition {
            Condition::IfMatch => {
                let etag = if is_right { &etag } else { WRONG_ETAG };
                NullDeletion { key, versioning, etag: Some(etag), modified_s: None }
            }
            Condition::UnmodifiedSince => {
                let modified_s = if is_right { modified_s } else { modified_s - 86_400 };
                NullDeletion { key, versioning, etag: None, modified_s: Some(modified_s) }
            }
        };
        match self.delete_null(&deletion(false)).await {
            Err(Trouble::Condition) => {}
            // It ignored the condition, or refuses requests that have one.
            Ok(_) | Err(Trouble::Other(_) | Trouble::Unsupported | Trouble::Denied(_)) => return Ok(false),
            Err(trouble) => return Err(failed(trouble)),
        }
        if self.null_object(key, versioning).await.map_err(failed)?.is_none() {
            return Ok(false);
        }
        let is_obeyed = self.delete_null(&deletion(true)).await.is_ok();
        let is_gone = self.null_object(key, versioning).await.map_err(failed)?.is_none();
        Ok(is_obeyed && is_gone)
    }

    /// Returns ETag and last modification, Unix seconds, of the object without a VersionId of its own; `None` if there is none.
    pub(crate) async fn null_object(
        &self,
        key: &str,
        versioning: Versioning,
    ) -> Result<Option<(String, i64)>, Trouble> {
        let version = (versioning != Versioning::Off).then_some(NULL);
        let found = match self.head(key, version).await {
            Ok(found) => found,
            Err(Trouble::Missing) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        match found.version_id.as_deref() {
            Some(NULL) => {}
            None if versioning == Versioning::Off => {}
            Some(id) => {
                return Err(Trouble::Other(format!(
                    "the object has the VersionId {id}: versioning was enabled meanwhile, or the server does not know null"
                )));
            }
            None => {
                return Err(Trouble::Other(
                    "the bucket has versioning, and the server names no VersionId".into(),
                ));
            }
        }
        let (Some(etag), Some(modified)) = (found.e_tag, found.last_modified) else {
            return Err(Trouble::Other(
                "the server gave no ETag or no last modification of the object".into(),
            ));
        };
        Ok(Some((unquoted(&etag).to_owned(), modified.secs())))
    }
}

/// Returns a time as Ceph reads it in its header, to which an HTTP date is a bad request.
fn date_time(seconds: i64) -> String {
    let text = DateTime::from_secs(seconds).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    text.chars().take(19).map(|char| if char == 'T' { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_the_format_that_ceph_reads() {
        assert_eq!(date_time(1_796_119_397), "2026-12-01 10:03:17");
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
    }
}
