//! Objects without a VersionId of their own: another object may take their place.

use crate::bucket::{Bucket, With, delete_one, object};
use crate::server::{Kind, Server};
use aws_sdk_s3::types::BucketVersioningStatus;
use sexton::store::Answer;
use sexton_s3::{Error, PROBE_PREFIX, S3Store, Version, Versioning};

pub(crate) fn object_is_deleted_while_it_is_the_same(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    for key in ["a", "b", "c"] {
        bucket.put(key);
    }
    let version = |key: &str| bucket.under(key).pop().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(version);
    let store = bucket.open();
    assert!(store.capabilities().unwrap().conditions.unwrap().any());
    assert_eq!(delete_one(&store, "a", &a), Answer::Deleted);
    assert_eq!(delete_one(&store, "a", &a), Answer::Absent);
    bucket.put_content("b", "another");
    assert_eq!(delete_one(&store, "b", &b), Answer::Changed);
    assert_eq!(bucket.under("b").len(), 1);
    // Its ETag under another time.
    let Version::Unversioned { modified_ms, etag } = c else { panic!("{c:?}") };
    let earlier = Version::Unversioned { modified_ms: modified_ms - 5_000, etag };
    assert_eq!(delete_one(&store, "c", &earlier), Answer::Changed);
    assert_eq!(bucket.under("c").len(), 1);
}

pub(crate) fn probe_leaves_nothing_behind(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    let conditions = bucket.open().capabilities().unwrap().conditions.unwrap();
    match bucket.kind {
        Kind::Moto => assert!(conditions.if_match, "{conditions:?}"),
        // It ignores If-Match and deletes.
        Kind::Ceph => assert!(!conditions.if_match && conditions.unmodified_since, "{conditions:?}"),
    }
    if bucket.kind == Kind::Ceph {
        bucket.set_versioning(BucketVersioningStatus::Suspended);
        let mut options = bucket.options();
        options.unsafe_unversioned = true;
        S3Store::open(&options).unwrap();
    }
    let request = bucket.client.list_object_versions().bucket(&bucket.name).prefix(PROBE_PREFIX);
    let left = bucket.wait(request.send());
    assert!(left.versions().is_empty() && left.delete_markers().is_empty(), "{left:?}");
}

/// Objects were registered while versioning was enabled. Then it is suspended, and other objects take the VersionId `null`.
pub(crate) fn suspended_versioning_keeps_later_objects(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let store = bucket.open();
    let versions = [object(bucket.put("a")), object(bucket.put("a"))];
    bucket.set_versioning(BucketVersioningStatus::Suspended);
    assert_eq!(store.versioning(), Ok(Versioning::Suspended));
    bucket.put_content("a", "null");
    let null = bucket.under("a").into_iter().find(|version| !versions.contains(version)).unwrap();
    assert!(matches!(null, Version::Unversioned { .. }), "{null:?}");
    assert_eq!(delete_one(&store, "a", &versions[0]), Answer::Requested);
    assert_eq!(bucket.under("a").len(), 2);
    bucket.put_content("a", "another");
    let other = bucket.under("a").into_iter().find(|version| !versions.contains(version)).unwrap();
    // If the server checks no condition there, the object is refused before it is compared.
    let answer = delete_one(&store, "a", &null);
    assert!(matches!(answer, Answer::Changed | Answer::Refused(_)), "{answer:?}");
    assert_eq!(bucket.under("a").len(), 2, "neither the object nor a version behind it is deleted");
    let answer = delete_one(&store, "a", &other);
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    let opened = S3Store::open(&bucket.options()).map(drop);
    assert!(matches!(opened, Err(Error::Unsafe(_))), "{opened:?}");
}

/// The object was stored before versioning was enabled. Its deletion must not leave a delete marker.
pub(crate) fn null_version_of_a_versioned_bucket_is_deleted(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    bucket.put("a");
    let null = bucket.under("a").pop().unwrap();
    let store = bucket.open();
    bucket.set_versioning(BucketVersioningStatus::Enabled);
    let later = object(bucket.put("a"));
    assert_eq!(delete_one(&store, "a", &null), Answer::Deleted);
    assert_eq!(bucket.under("a"), [later]);
    assert_eq!(delete_one(&store, "a", &null), Answer::Absent);
}

/// The server checks no condition while versioning is suspended.
pub(crate) fn unsafe_option_deletes_null_versions_unproven(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let version = object(bucket.put("a"));
    bucket.set_versioning(BucketVersioningStatus::Suspended);
    bucket.put_content("a", "null");
    bucket.put("b");
    bucket.hide("b");
    let null = bucket.under("a").into_iter().find(|found| *found != version).unwrap();
    let marker = bucket.under("b").pop().unwrap();
    assert!(matches!(marker, Version::NullMarker { .. }), "{marker:?}");
    let mut options = bucket.options();
    options.unsafe_unversioned = true;
    let store = S3Store::open(&options).unwrap();
    assert_eq!(delete_one(&store, "a", &null), Answer::Requested);
    assert_eq!(bucket.under("a"), [version]);
    assert_eq!(delete_one(&store, "b", &marker), Answer::Requested);
    assert_eq!(bucket.under("b"), []);
    assert_eq!(delete_one(&store, "b", &marker), Answer::Absent);
}
