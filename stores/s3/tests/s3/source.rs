//! Buckets as sources of the service.

use crate::bucket::{Bucket, With, object};
use crate::server::{Kind, Server};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    Tag, Tagging,
};
use sexton::store::{Answer, Disposition, Store, StoredObject, SubBatch};
use sexton::{Attribution, ClassSet, Engine, Opener, RegistrationId};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Compliance, Verifier};
use sexton_proof::record::Method;
use sexton_s3::{LABEL_KEY, Rule, S3Store};
use sexton_service::sources::{
    Bucket as Settings, Length, OtherRoot, SourceReport, SourceSettings, SourceState, Sources, SourcesOptions,
};
use std::sync::Arc;
use std::time::Duration;

const CLASSES: &str = r#"
[class.quick]
within = "2s"
slot = "1s"
lead = "1s"
start = "explicit"
max_open = "24h"
find = "version"
remember = "90d"

[class.month]
keep = "30d"
within = "31d"
start = "explicit"
max_open = "24h"
find = "version"

[class.files]
within = "3h"
"#;

/// Data folder with sources at work.
struct Service {
    _folder: tempfile::TempDir,
    engine: Arc<Engine>,
    sources: Arc<Sources>,
}

/// Waits until a condition holds. The bound is generous, because machines can be slow.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: this did not happen in a minute");
}

/// Returns the settings of the source `up` on a bucket. The credentials are those of the environment.
fn settings(bucket: &Bucket, class: &str) -> Settings {
    assert!(std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|id| id == "AK"), "run the tests with make test-s3");
    let mut settings = Settings::new("up", &bucket.name, class);
    settings.endpoint = bucket.options().endpoint;
    settings.path_style = true;
    settings
}

fn decision() -> Attribution {
    Attribution::new("anna", "a test")
}

impl Service {
    fn start(settings: Settings) -> Service {
        let folder = tempfile::tempdir().unwrap();
        let options = sexton::Options::new("sexton.test/s3").classes(ClassSet::from_toml(CLASSES).unwrap());
        let data = folder.path().join("data");
        let engine = Arc::new(Engine::open(&data, &options).unwrap());
        let settings = SourceSettings::default().buckets(vec![settings]);
        let sources = Sources::start(&engine, &data, &settings, SourcesOptions::default()).unwrap();
        Service { _folder: folder, engine, sources: Arc::new(sources) }
    }

    fn report(&self) -> SourceReport {
        self.sources.list().remove(0)
    }

    fn until_state(&self, state: SourceState) {
        until(&format!("the source is {state:?}"), || self.report().state == state);
    }

    fn enable(&self) {
        self.sources.enable("up", OtherRoot::Refuse, &decision(), false).unwrap();
        self.until_listed(None);
    }

    /// Waits for the end of a listing that began after the last one.
    fn until_listed(&self, before: Option<i64>) {
        until("a listing", || {
            let report = self.report();
            report.last_scan_ms > before && !report.scanning
        });
    }

    fn list_again(&self) {
        let before = self.report().last_scan_ms;
        std::thread::sleep(Duration::from_millis(2));
        self.sources.rescan("up").unwrap();
        self.until_listed(before);
    }

    fn ids(&self, key: &str) -> Vec<RegistrationId> {
        self.engine.versions(key.as_bytes()).unwrap().into_iter().map(|live| live.id).collect()
    }

    fn class_of(&self, key: &str) -> Option<String> {
        self.engine.versions(key.as_bytes()).unwrap().pop().map(|live| live.class)
    }

    /// Enforces until no object lives.
    fn end_all(&self, class: &str) {
        until("all objects end", || {
            self.engine.enforce(&*self.sources).unwrap();
            self.engine.status().unwrap().classes[class].live == 0
        });
    }
}

pub(crate) fn bucket_is_taken_in_and_emptied_after_it_is_enabled(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    bucket.put("a");
    bucket.put("a");
    bucket.put("b");
    bucket.hide("b").unwrap();
    let service = Service::start(settings(&bucket, "quick"));
    service.until_state(SourceState::NotEnabled);
    assert!(service.report().needs()[0].contains("is not enabled"));

    std::thread::sleep(Duration::from_secs(3));
    let dry = service.sources.enable("up", OtherRoot::Refuse, &decision(), true).unwrap();
    assert_eq!((dry.files, dry.known, dry.at_once, dry.has_more), (4, 0, 4, false), "{dry:?}");
    assert_eq!((bucket.everything().len(), service.ids("up/a").len()), (4, 0));
    service.enable();
    service.until_state(SourceState::Listing);
    assert_eq!(
        (service.report().registered, service.ids("up/a").len(), service.ids("up/b").len()),
        (4, 2, 2)
    );
    let ids = service.ids("up/a");
    service.end_all("quick");
    assert_eq!(bucket.everything(), []);
    let policy = Policy::parse(service.engine.policy()).unwrap();
    for id in ids {
        let receipt = service.engine.receipt(id, Opener::Key(b"up/a")).unwrap();
        let verdict = Verifier::new(&policy).verify(receipt.as_bytes(), service.engine.now()).unwrap();
        assert_eq!(verdict.method, Method::Deleted);
        assert!(matches!(verdict.compliance(), Compliance::Kept | Compliance::Late { .. }));
    }
    service.list_again();
    assert_eq!(service.report().registered, 4);
}

/// Listings and deletions at the same time: no object is registered after its deletion.
pub(crate) fn object_deleted_during_a_listing_is_not_registered_again(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let mut settings = settings(&bucket, "quick");
    settings.rescan = Length(Duration::from_secs(1));
    let service = Service::start(settings);
    service.enable();
    // With folders the bucket is listed in parts. The mock loses an object at each boundary.
    let separator = if bucket.kind == Kind::Moto { '-' } else { '/' };
    for round in 0..6 {
        bucket.put_all((0..40).map(|number| format!("{round}{separator}{number}")));
        for _ in 0..4 {
            service.sources.rescan("up").unwrap();
            service.engine.enforce(&*service.sources).unwrap();
        }
    }
    // A listing under way has passed some of the objects already.
    service.list_again();
    service.list_again();
    service.end_all("quick");
    service.list_again();
    service.end_all("quick");
    let ended = service.engine.status().unwrap().classes["quick"].ended;
    assert_eq!((ended.deleted, ended.ended()), (240, 240), "{ended:?}");
    assert_eq!(bucket.everything(), []);
}

pub(crate) fn bucket_without_its_label_keeps_its_objects(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let id = bucket.put("a").unwrap();
    let service = Service::start(settings(&bucket, "month"));
    service.enable();
    let delete = || {
        let version = object(Some(id.clone())).encode().unwrap();
        let stored = [StoredObject { key: b"up/a", version: &version, digest: b"", size: None }];
        let part = SubBatch {
            batch: 1,
            class: "month",
            disposition: Disposition::Delete,
            attempt: 1,
            epoch: 1,
            objects: &stored,
        };
        service.sources.delete(&part).remove(0)
    };
    // As if the name led to another bucket.
    bucket.hide(LABEL_KEY);
    let answer = delete();
    assert!(matches!(&answer, Answer::Failed(why) if why.contains("no label of its own")), "{answer:?}");
    service.until_state(SourceState::RootLost);
    let other = S3Store::open(&bucket.options()).unwrap();
    other.write_label(sexton::store::dir::RootId::from_bytes([9; 16])).unwrap();
    let answer = delete();
    assert!(matches!(&answer, Answer::Failed(why) if why.contains("label of another bucket")), "{answer:?}");
    assert_eq!(bucket.everything().len(), 1);
    let refused = service.sources.enable("up", OtherRoot::Refuse, &decision(), false).unwrap_err();
    assert!(refused.to_string().contains("belongs to another data folder"), "{refused}");
    service.sources.enable("up", OtherRoot::TakeOver, &decision(), false).unwrap();
    service.until_state(SourceState::Listing);
    assert_eq!(delete(), Answer::Deleted);
}

pub(crate) fn rules_give_classes_and_contradictions_are_told(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    bucket.put("logs/a");
    bucket.put("tagged");
    bucket.put("rest");
    let tag = Tag::builder().key("kind").value("raw").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    bucket
        .wait(bucket.client.put_object_tagging().bucket(&bucket.name).key("tagged").tagging(tagging).send());
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("logs/").build())
        .expiration(LifecycleExpiration::builder().days(7).build());
    let configuration = BucketLifecycleConfiguration::builder().rules(rule.build().unwrap()).build().unwrap();
    let request = bucket.client.put_bucket_lifecycle_configuration().bucket(&bucket.name);
    bucket.wait(request.lifecycle_configuration(configuration).send());

    let mut settings = settings(&bucket, "quick");
    settings.class = None;
    let mut logs = Rule::new("month");
    logs.prefix = "logs/".into();
    let mut tagged = Rule::new("quick");
    tagged.tags = [("kind".to_owned(), "raw".to_owned())].into();
    settings.rules = vec![logs, tagged];
    let service = Service::start(settings);
    service.enable();
    let classes = ["up/logs/a", "up/tagged", "up/rest"].map(|key| service.class_of(key));
    assert_eq!(classes, [Some("month".to_owned()), Some("quick".to_owned()), None]);
    let report = service.report();
    // The rule with the tag has no prefix, so it may have objects below `logs/` as well.
    let [early, unasked, rescan] = &*report.warnings else { panic!("{report:?}") };
    assert!(early.contains("before the floor") && early.contains("class month"), "{early}");
    assert!(unasked.contains("asks no hold") && unasked.contains("class quick"), "{unasked}");
    assert!(rescan.contains("found up to 1h after they were stored"), "{rescan}");
    assert_eq!(report.needs().len(), 3);
}

pub(crate) fn class_that_cannot_take_versions_stops_the_source(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let service = Service::start(settings(&bucket, "files"));
    let refused = service.sources.enable("up", OtherRoot::Refuse, &decision(), true).unwrap_err();
    assert!(refused.to_string().contains("find = \"version\""), "{refused}");
    bucket.put("a");
    drop(service);
    let service = Service::start(settings(&bucket, "unknown"));
    let refused = service.sources.enable("up", OtherRoot::Refuse, &decision(), true).unwrap_err();
    assert!(refused.to_string().contains("unknown class"), "{refused}");
}
