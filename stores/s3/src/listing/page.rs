//! Pages of a listing: what the server listed, and the position after it.

use super::position::Position;
use crate::key;
use crate::label::LABEL_KEY;
use crate::probe::PROBE_PREFIX;
use crate::trouble::Trouble;
use crate::version::{Version, VersionError};
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::DateTime;

/// Object of a listing: a version of an object, a delete marker, or a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ListedObject {
    /// Key of the object.
    pub key: String,
    /// Identity beside the key. Its [encoding](Version::encode) is the `version` of a registration.
    pub version: Version,
    /// Last modification, or initiation of an upload, Unix milliseconds: the start of the object's life.
    pub modified_ms: i64,
    /// Size, bytes. `None` for delete markers and uploads.
    pub size: Option<u64>,
    /// `true` if the version is the current one of its key.
    pub is_latest: bool,
}

/// Page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Objects, sorted by key.
    pub objects: Vec<ListedObject>,
    /// Objects that cannot be registered, with the reason, for the operator. They stay in the bucket.
    pub unusable: Vec<Box<str>>,
    /// Position after this page. `None`: the listing is complete.
    pub next: Option<Position>,
}

/// Object as the server lists it, before its parts are checked.
struct Entry {
    key: Option<String>,
    version: Result<Version, &'static str>,
    modified: Option<DateTime>,
    size: Option<i64>,
    is_latest: bool,
}

/// Page before its end is known.
#[derive(Default)]
struct Found {
    objects: Vec<ListedObject>,
    unusable: Vec<Box<str>>,
}

impl Page {
    /// Returns the page of a listing of versions.
    ///
    /// If the page is cut short, the versions of its last key may be incomplete, so the next page begins with that key. In this
    /// way a position names a key only. It stays valid after the versions around it are deleted.
    ///
    /// # Errors
    /// The page is cut short, and the server does not say where the listing goes on.
    pub(crate) fn of_versions(
        position: &Position,
        output: ListObjectVersionsOutput,
    ) -> Result<Self, Trouble> {
        let is_url = output.encoding_type.is_some();
        let versions = output.versions.unwrap_or_default().into_iter().map(|version| {
            let modified = version.last_modified.as_ref();
            let identity = match (&version.e_tag, modified.and_then(|time| time.to_millis().ok())) {
                (Some(etag), Some(ms)) => Ok(Version::of_object(version.version_id.as_deref(), ms, etag)),
                _ => Err("the server listed it without its ETag or last modification"),
            };
            let is_latest = version.is_latest.unwrap_or(false);
            Entry {
                key: version.key,
                version: identity,
                modified: version.last_modified,
                size: version.size,
                is_latest,
            }
        });
        let markers = output.delete_markers.unwrap_or_default().into_iter().map(|marker| {
            let ms = marker.last_modified.as_ref().and_then(|time| time.to_millis().ok());
            let identity = match (&marker.version_id, ms) {
                (Some(id), Some(ms)) => Ok(Version::of_marker(id, ms)),
                _ => Err("the server listed it without its VersionId or last modification"),
            };
            let is_latest = marker.is_latest.unwrap_or(false);
            Entry {
                key: marker.key,
                version: identity,
                modified: marker.last_modified,
                size: None,
                is_latest,
            }
        });
        let is_cut = output.is_truncated == Some(true);
        let found = Found::of(versions.chain(markers), is_url);
        found.page(position, is_cut, output.next_version_id_marker)
    }

    /// Returns the page of a listing of current objects, on a server that has no versions.
    ///
    /// # Errors
    /// The page is cut short and has no object.
    pub(crate) fn of_objects(position: &Position, output: ListObjectsV2Output) -> Result<Self, Trouble> {
        let is_url = output.encoding_type.is_some();
        let entries = output.contents.unwrap_or_default().into_iter().map(|object| {
            let ms = object.last_modified.as_ref().and_then(|time| time.to_millis().ok());
            let version = match (&object.e_tag, ms) {
                (Some(etag), Some(ms)) => Ok(Version::of_object(None, ms, etag)),
                _ => Err("the server listed it without its ETag or last modification"),
            };
            Entry {
                key: object.key,
                version,
                modified: object.last_modified,
                size: object.size,
                is_latest: true,
            }
        });
        let found = Found::of(entries, is_url);
        found.page(position, output.is_truncated == Some(true), None)
    }

    /// Returns the page of a listing of multipart uploads. The server's own markers lead to the next one: Ceph does not sort
    /// uploads by key.
    ///
    /// # Errors
    /// The page is cut short, and the server does not say where the listing goes on.
    pub(crate) fn of_uploads(
        position: &Position,
        output: ListMultipartUploadsOutput,
    ) -> Result<Self, Trouble> {
        let is_url = output.encoding_type.is_some();
        let entries = output.uploads.unwrap_or_default().into_iter().map(|upload| Entry {
            key: upload.key,
            version: upload.upload_id.map(Version::Upload).ok_or("the server listed it without its UploadId"),
            modified: upload.initiated,
            size: None,
            is_latest: false,
        });
        let mut found = Found::of(entries, is_url);
        found.objects.retain(|object| !is_own(&object.key));
        let next = if output.is_truncated == Some(true) {
            let marker = output.next_key_marker.map(|key| if is_url { key::from_url(&key) } else { Ok(key) });
            let marker = marker.transpose().map_err(Trouble::Other)?.ok_or_else(cut_short)?;
            let within = output.next_upload_id_marker.filter(|id| !id.is_empty());
            Some(position.at(marker, within))
                .filter(|next| next != position)
                .ok_or_else(cut_short)
                .map(Some)?
        } else {
            position.following()
        };
        Ok(Self { objects: found.objects, unusable: found.unusable, next })
    }
}

impl Found {
    fn of(entries: impl Iterator<Item = Entry>, is_url: bool) -> Self {
        let mut found = Self::default();
        for entry in entries {
            match entry.object(is_url) {
                Ok(object) => found.objects.push(object),
                Err(why) => found.unusable.push(why),
            }
        }
        // Versions and markers come in two lists. Sorting keeps the order within a key.
        found.objects.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// Returns the page of a listing that is sorted by key.
    fn page(mut self, position: &Position, is_cut: bool, within: Option<String>) -> Result<Page, Trouble> {
        let last = self.objects.last().map(|object| object.key.clone());
        self.objects.retain(|object| position.is_ahead(&object.key));
        let next = match last {
            Some(last) if position.is_past_the_end(&last) => position.following(),
            _ if !is_cut => position.following(),
            None => return Err(cut_short()),
            Some(last) => Some(self.cut(position, last, within)?),
        };
        self.objects.retain(|object| !position.is_past_the_end(&object.key));
        self.objects.retain(|object| !is_own(&object.key));
        Ok(Page { objects: self.objects, unusable: self.unusable, next })
    }

    /// Leaves the last key to the next page, unless it fills this one. Returns the position of the next page.
    fn cut(
        &mut self,
        position: &Position,
        last: String,
        within: Option<String>,
    ) -> Result<Position, Trouble> {
        let kept = self.objects.partition_point(|object| object.key < last);
        if let Some(before) = kept.checked_sub(1).and_then(|index| self.objects.get(index)) {
            let next = position.at(before.key.clone(), None);
            self.objects.truncate(kept);
            return Ok(next);
        }
        let within = within.filter(|id| !id.is_empty()).ok_or_else(cut_short)?;
        Some(position.at(last, Some(within))).filter(|next| next != position).ok_or_else(cut_short)
    }
}

impl Entry {
    fn object(self, is_url: bool) -> Result<ListedObject, Box<str>> {
        let listed = self.key.unwrap_or_default();
        let key = if is_url { key::from_url(&listed)? } else { listed };
        let unusable =
            |why: &str| -> Box<str> { format!("the object {key:?} cannot be registered: {why}").into() };
        let version = self.version.map_err(unusable)?;
        version.encode().map_err(|error: VersionError| unusable(&error.to_string()))?;
        let modified_ms = self.modified.and_then(|time| time.to_millis().ok());
        let modified_ms =
            modified_ms.ok_or_else(|| unusable("the server listed it without its last modification"))?;
        if key.is_empty() {
            return Err("the server listed an object without a key".into());
        }
        let size = self.size.and_then(|size| u64::try_from(size).ok());
        Ok(ListedObject { key, version, modified_ms, size, is_latest: self.is_latest })
    }
}

fn cut_short() -> Trouble {
    Trouble::Other("the server cut a listing short and did not say where it goes on".into())
}

/// Returns `true` if the store itself keeps an object under the key.
fn is_own(key: &str) -> bool {
    key == LABEL_KEY || key.starts_with(PROBE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType, ObjectVersion};

    fn version(key: &str, id: &str) -> ObjectVersion {
        let time = DateTime::from_millis(1_500);
        ObjectVersion::builder().key(key).version_id(id).e_tag("\"e\"").size(3).last_modified(time).build()
    }

    fn listed(position: &Position, output: ListObjectVersionsOutput) -> (Vec<String>, Option<Position>) {
        let page = Page::of_versions(position, output).unwrap();
        (page.objects.iter().map(|o| format!("{} {}", o.key, o.version)).collect(), page.next)
    }

    #[test]
    fn last_key_of_a_cut_page_begins_the_next_one() {
        let start = Position::start("");
        let output = || {
            let output = ListObjectVersionsOutput::builder().is_truncated(true);
            output.versions(version("a", "1")).versions(version("b", "2")).versions(version("b", "1"))
        };
        let (objects, next) = listed(&start, output().build());
        assert_eq!((objects, next), (vec!["a version 1".to_owned()], Some(start.at("a".into(), None))));
        let end = Position { through: Some("a".into()), then_uploads: false, ..start };
        assert_eq!(listed(&end, output().build()), (vec!["a version 1".to_owned()], None));
    }

    #[test]
    fn key_that_fills_a_page_goes_on_within_its_versions() {
        let start = Position::start("");
        let output = ListObjectVersionsOutput::builder().is_truncated(true);
        let output = output.versions(version("b", "2")).versions(version("b", "1"));
        assert!(
            Page::of_versions(&start, output.clone().build()).is_err(),
            "the server does not say where it goes on"
        );
        let (objects, next) = listed(&start, output.next_key_marker("b").next_version_id_marker("1").build());
        assert_eq!((objects.len(), next.as_ref()), (2, Some(&start.at("b".into(), Some("1".into())))));
        let rest = ListObjectVersionsOutput::builder().versions(version("b", "0")).build();
        assert_eq!(listed(&next.unwrap(), rest).0, ["b version 0"]);
    }

    #[test]
    fn markers_and_versions_of_a_key_stay_together() {
        let time = DateTime::from_secs(1);
        let marker = DeleteMarkerEntry::builder().key("a+b").version_id("m").last_modified(time).build();
        let output =
            ListObjectVersionsOutput::builder().encoding_type(EncodingType::Url).delete_markers(marker);
        let output = output.versions(version("z%00", "1")).versions(version("a+b", "null"));
        let (objects, next) = listed(&Position::start(""), output.build());
        assert_eq!(objects, ["a b ETag e of 1500 ms", "a b delete marker m", "z\0 version 1"]);
        assert_eq!(next, Position::start("").following());
    }

    #[test]
    fn object_that_cannot_be_registered_is_reported() {
        let time = DateTime::from_secs(1);
        let output = ListObjectVersionsOutput::builder()
            .encoding_type(EncodingType::Url)
            .versions(ObjectVersion::builder().key("a").last_modified(time).build())
            .versions(ObjectVersion::builder().key("b").e_tag("e").build())
            .versions(version("%ff", "1"))
            .versions(version("c", "bad id"))
            .versions(version("d", "1"))
            .versions(version(".sexton-probe/1", "1"));
        let page = Page::of_versions(&Position::start(""), output.build()).unwrap();
        assert_eq!((page.objects.len(), page.unusable.len()), (1, 4), "{:?}", page.unusable);
    }
}
