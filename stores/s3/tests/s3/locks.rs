//! Object Lock, legal holds, and the bucket's own lifecycle rules.

use crate::bucket::{Bucket, With, delete, delete_one, object};
use crate::server::Server;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode,
};
use sexton::store::Answer;
use sexton_s3::{Error, Promise, S3Store, Version, contradictions};
use std::time::Duration;

pub(crate) fn one_locked_object_of_a_thousand_is_refused(server: &'static Server) {
    let bucket = Bucket::new(server, With::ObjectLock);
    let objects = bucket.put_all((0..1_000).map(|number| format!("{number:04}")));
    let (key, Version::Object(id)) = &objects[617] else { panic!() };
    bucket.hold(key, id, ObjectLockLegalHoldStatus::On);
    let answers = delete(&bucket.open(), &objects);
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Requested).count(), 999);
    let Answer::Refused(why) = &answers[617] else { panic!("{:?}", answers[617]) };
    assert!(why.contains("legal hold"), "{why}");
    let left: Vec<_> = bucket.everything().into_iter().map(|object| (object.key, object.version)).collect();
    assert_eq!(left, objects[617..618]);
    bucket.hold(key, id, ObjectLockLegalHoldStatus::Off);
    assert_eq!(delete_one(&bucket.open_confirming(), key, &objects[617].1), Answer::Deleted);
}

pub(crate) fn hold_is_mirrored_and_lifted(server: &'static Server) {
    let bucket = Bucket::new(server, With::ObjectLock);
    let version = object(bucket.put("a"));
    let refused = bucket.open().mirror_hold("a", &version, true);
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let mut options = bucket.options();
    options.mirror_holds = true;
    let store = S3Store::open(&options).unwrap();
    assert_eq!(store.capabilities().unwrap().has_object_lock, Some(true));
    assert_eq!(store.mirror_hold("a", &version, true), Ok(true));
    assert_eq!(store.mirror_hold("a", &version, true), Ok(false), "it was set before");
    assert!(matches!(delete_one(&store, "a", &version), Answer::Refused(_)));
    assert_eq!(store.mirror_hold("a", &version, false), Ok(true));
    assert_eq!(delete_one(&store, "a", &version), Answer::Requested);
    let gone = store.mirror_hold("a", &version, true);
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");

    let plain = Bucket::new(server, With::Versioning);
    let mut options = plain.options();
    options.mirror_holds = true;
    let opened = S3Store::open(&options).map(drop);
    assert!(matches!(&opened, Err(Error::Invalid(why)) if why.contains("Object Lock")), "{opened:?}");
}

/// Governance mode, which the test may end early.
pub(crate) fn retention_is_refused_with_its_date(server: &'static Server) {
    let bucket = Bucket::new(server, With::ObjectLock);
    let version = object(bucket.put("a"));
    let Version::Object(id) = &version else { panic!() };
    let modified_ms = bucket.everything()[0].modified_ms;
    let until = DateTime::from_secs(modified_ms / 1_000 + 86_400);
    let retention =
        ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Governance).retain_until_date(until);
    let request = bucket.client.put_object_retention().bucket(&bucket.name).key("a").version_id(id);
    bucket.wait(request.retention(retention.build()).send());
    let date = until.fmt(DateTimeFormat::DateTime).unwrap();
    for store in [bucket.open(), bucket.open_confirming()] {
        let answer = delete_one(&store, "a", &version);
        let Answer::Refused(why) = &answer else { panic!("{answer:?}") };
        assert!(why.contains(&date) && why.contains("GOVERNANCE"), "{why} has not {date}");
    }
    assert_eq!(bucket.under("a"), std::slice::from_ref(&version));
}

pub(crate) fn tags_of_a_version_are_read(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let put = |tags: &str| {
        let request = bucket.client.put_object().bucket(&bucket.name).key("a").tagging(tags);
        object(bucket.wait(request.body(b"x".to_vec().into()).send()).version_id)
    };
    let (first, second) = (put("kind=photo&b=1"), put("kind=text"));
    let store = bucket.open();
    let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(store.tags("a", &first), Ok(vec![tag("b", "1"), tag("kind", "photo")]));
    assert_eq!(store.tags("a", &second), Ok(vec![tag("kind", "text")]));
    let plain = Bucket::new(server, With::Nothing);
    plain.put("a");
    let version = plain.under("a").pop().unwrap();
    assert_eq!(plain.open().tags("a", &version), Ok(Vec::new()));
}

pub(crate) fn lifecycle_rules_are_read(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let store = bucket.open();
    assert_eq!(store.lifecycle(), Ok(Vec::new()));
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("uploads/").build())
        .expiration(LifecycleExpiration::builder().days(7).build())
        .build();
    let configuration = BucketLifecycleConfiguration::builder().rules(rule.unwrap()).build().unwrap();
    let request = bucket.client.put_bucket_lifecycle_configuration().bucket(&bucket.name);
    bucket.wait(request.lifecycle_configuration(configuration).send());
    let rules = store.lifecycle().unwrap();
    assert_eq!((rules.len(), rules[0].expire_days, rules[0].prefix.as_str()), (1, Some(7), "uploads/"));
    let promise = |prefix: &str| Promise::new("month", prefix, Some(Duration::from_hours(30 * 24)));
    let found = contradictions(&rules, &[promise("uploads/a/"), promise("logs/")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("before the floor"), "{found:?}");
}
