//! Looking at objects without touching them: is the registered one there?

use crate::call::Caller;
use crate::key;
use crate::trouble::Trouble;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType};

/// Most pages that are read to find one delete marker of a key. Each has up to 1,000 versions.
const MARKER_PAGES_MAX: usize = 100;

impl Caller {
    /// Asks for the metadata of an object. [`Trouble::Missing`] says that object or bucket are missing.
    pub(crate) async fn head(&self, key: &str, version: Option<&str>) -> Result<HeadObjectOutput, Trouble> {
        let request = |client: &aws_sdk_s3::Client| {
            let request = client.head_object().bucket(&self.bucket).key(key);
            request.set_version_id(version.map(str::to_owned)).send()
        };
        match self.send(request).await {
            // HEAD has no body, so no code.
            Err(Trouble::Bare404) => Err(Trouble::Missing),
            other => other,
        }
    }

    /// Finds a delete marker. Not by HEAD: Ceph answers 404 for a marker that is there.
    pub(crate) async fn marker(&self, key: &str, id: &str) -> Result<Option<DeleteMarkerEntry>, Trouble> {
        let (mut key_marker, mut id_marker) = (None, None);
        for _ in 0..MARKER_PAGES_MAX {
            let page = self.send(|client| {
                let request = client.list_object_versions().bucket(&self.bucket).prefix(key);
                let request =
                    request.set_key_marker(key_marker.clone()).set_version_id_marker(id_marker.clone());
                request.encoding_type(EncodingType::Url).send()
            });
            let page = page.await?;
            let is_url = page.encoding_type.is_some();
            let is_of_key = |listed: Option<&str>| {
                let listed = listed.unwrap_or_default();
                if is_url { key::from_url(listed).is_ok_and(|listed| listed == key) } else { listed == key }
            };
            let is_it =
                |m: &DeleteMarkerEntry| m.version_id.as_deref() == Some(id) && is_of_key(m.key.as_deref());
            if let Some(found) = page.delete_markers.unwrap_or_default().into_iter().find(is_it) {
                return Ok(Some(found));
            }
            // With the key as prefix, its own versions come first.
            let is_over = page.versions.unwrap_or_default().iter().any(|v| !is_of_key(v.key.as_deref()));
            if is_over || page.is_truncated != Some(true) {
                return Ok(None);
            }
            if page.next_version_id_marker.is_none() {
                return Err(Trouble::Other(
                    "the server cut a listing short and did not say where it goes on".into(),
                ));
            }
            (key_marker, id_marker) = (Some(key.to_owned()), page.next_version_id_marker);
        }
        Err(Trouble::Other(format!("the key has more than {MARKER_PAGES_MAX} pages of versions")))
    }

    /// Asks if a multipart upload is there.
    pub(crate) async fn has_upload(&self, key: &str, id: &str) -> Result<bool, Trouble> {
        let request = |client: &aws_sdk_s3::Client| {
            client.list_parts().bucket(&self.bucket).key(key).upload_id(id).max_parts(1).send()
        };
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(Trouble::Missing) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }
}
