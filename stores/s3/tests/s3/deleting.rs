//! Deleting objects that have a VersionId, delete markers and uploads.

use crate::bucket::{Bucket, With, delete, delete_one, object};
use crate::server::{Kind, Server};
use sexton::store::Answer;
use sexton_s3::Version;
use std::sync::Arc;

pub(crate) fn version_is_deleted_and_no_other(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let versions: Vec<Version> =
        (0..3).map(|number| object(bucket.put_content("a", &number.to_string()))).collect();
    let other = object(bucket.put("a/b"));
    let store = bucket.open();
    assert_eq!(delete_one(&store, "a", &versions[1]), Answer::Requested);
    assert_eq!(bucket.under("a"), [versions[2].clone(), versions[0].clone()], "no delete marker is left");
    assert_eq!(delete_one(&store, "a", &versions[2]), Answer::Requested);
    assert_eq!(bucket.under("a"), [versions[0].clone()]);
    assert_eq!(bucket.under("a/b"), [other]);
}

pub(crate) fn confirmed_answers_tell_deleted_from_absent(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let (a, b) = (object(bucket.put("a")), object(bucket.put("b")));
    let store = bucket.open_confirming();
    assert_eq!(delete_one(&store, "a", &a), Answer::Deleted);
    let both = [("a".to_owned(), a), ("b".to_owned(), b)];
    assert_eq!(delete(&store, &both), [Answer::Absent, Answer::Deleted]);
    assert_eq!(bucket.everything(), []);
}

pub(crate) fn delete_marker_is_an_object(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let version = object(bucket.put("a"));
    let marker = Version::Marker(bucket.hide("a").unwrap());
    assert_eq!(bucket.under("a"), [version.clone(), marker.clone()]);
    let store = bucket.open_confirming();
    assert_eq!(delete_one(&store, "a", &marker), Answer::Deleted);
    assert_eq!(bucket.under("a"), [version], "the object is the current one again");
    assert_eq!(delete_one(&store, "a", &marker), Answer::Absent);
}

pub(crate) fn upload_is_an_object(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    let request = bucket.client.create_multipart_upload().bucket(&bucket.name).key("a");
    let id = bucket.wait(request.send()).upload_id.unwrap();
    let part = bucket.client.upload_part().bucket(&bucket.name).key("a").upload_id(&id).part_number(1);
    bucket.wait(part.body(b"content".to_vec().into()).send());
    let upload = Version::Upload(id);
    assert_eq!(bucket.under("a"), std::slice::from_ref(&upload));
    let store = bucket.open_confirming();
    assert_eq!(delete_one(&store, "a", &upload), Answer::Deleted);
    assert_eq!(bucket.under("a"), []);
    assert_eq!(delete_one(&store, "a", &upload), Answer::Absent);
}

pub(crate) fn many_sub_batches_are_deleted_at_once(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let objects = bucket.put_all((0..480).map(|number| format!("{number:03}")));
    let kept = bucket.put_all(["kept".to_owned()]);
    let store = Arc::new(bucket.open());
    std::thread::scope(|scope| {
        for part in objects.chunks(120) {
            let store = &store;
            scope.spawn(move || {
                assert!(delete(store, part).iter().all(|answer| *answer == Answer::Requested));
            });
        }
    });
    let left: Vec<_> = bucket.everything().into_iter().map(|object| (object.key, object.version)).collect();
    assert_eq!(left, kept);
}

/// A host may be asynchronous, and may drop the store there.
pub(crate) fn store_works_inside_another_runtime(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let version = object(bucket.put("a"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async {
        let store = bucket.open_confirming();
        delete_one(&store, "a", &version)
    });
    assert_eq!(answer, Answer::Deleted);
}

/// Each character that XML 1.0 forbids or that its parsers change, beside a key that would be met instead.
pub(crate) fn key_with_bytes_forbidden_in_xml_is_deleted(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let codes = (1..0x20).chain([0x7f, 0x80, 0x85, 0x9f, 0x2028, 0xfffe, 0xffff]);
    let mut keys: Vec<String> = codes.map(|code| format!("a{}b", char::from_u32(code).unwrap())).collect();
    keys.extend([" a", "a ", "\ta\n", "a&amp;b", "a<b>", "a%00b", "a+b", "ä"].map(Into::into));
    // The server may refuse such a key, and then the bucket has none.
    let put = |key: &String| {
        let body = b"x".to_vec().into();
        let request = bucket.client.put_object().bucket(&bucket.name).key(key).body(body);
        Some((key.clone(), object(bucket.attempt(request.send())?.version_id)))
    };
    let objects: Vec<(String, Version)> = keys.iter().filter_map(put).collect();
    assert!(objects.len() > keys.len() / 2, "the server took {} of {} keys", objects.len(), keys.len());
    let kept = bucket.put_all(["ab", "a", "a b", "a\u{fffd}b", "a?b"].map(Into::into));
    let store = bucket.open_confirming();
    let answers = delete(&store, &objects);
    for ((key, _), answer) in objects.iter().zip(&answers) {
        assert_eq!(*answer, Answer::Deleted, "{key:?}");
    }
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Absent));
    let mut left: Vec<_> =
        bucket.everything().into_iter().map(|object| (object.key, object.version)).collect();
    left.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = kept;
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(left, expected);
}

pub(crate) fn object_of_another_kind_fails(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let store = bucket.open();
    let version = object(bucket.put("a"));
    // The VersionId of another key, or none that the server gives.
    for wrong in [object(bucket.put("b")), Version::Object("no-such-version".into())] {
        let answer = delete_one(&store, "a", &wrong);
        assert!(!matches!(answer, Answer::Deleted | Answer::Changed), "{answer:?}");
    }
    assert_eq!(bucket.under("a"), [version]);
    assert_eq!(bucket.under("b").len(), 1);
}

pub(crate) fn object_of_a_deleted_bucket_is_not_absent(server: &'static Server) {
    for (with, is_confirming) in [(With::Versioning, false), (With::Versioning, true), (With::Nothing, false)]
    {
        let bucket = Bucket::new(server, with);
        bucket.put("a");
        let listed: Vec<_> =
            bucket.everything().into_iter().map(|object| (object.key, object.version)).collect();
        let store = if is_confirming { bucket.open_confirming() } else { bucket.open() };
        let answers = delete(&store, &listed);
        assert!(matches!(answers[..], [Answer::Deleted | Answer::Requested]), "{answers:?}");
        bucket.wait(bucket.client.delete_bucket().bucket(&bucket.name).send());
        let answers = delete(&store, &listed);
        assert!(matches!(&answers[..], [Answer::Failed(why)] if why.contains("bucket")), "{answers:?}");
        assert!(
            matches!(store.versioning(), Err(sexton_s3::Error::NoBucket(_))),
            "{:?}",
            bucket.kind == Kind::Moto
        );
    }
}
