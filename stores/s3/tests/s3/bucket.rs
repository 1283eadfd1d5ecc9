//! Bucket of a test, with a client of its own beside the store.

use crate::proxy::Proxy;
use crate::server::{Kind, Server};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
};
use aws_sdk_s3::types::{
    BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus, VersioningConfiguration,
};
use sexton::store::{Answer, Disposition, Store, StoredObject, SubBatch};
use sexton_s3::{Credentials, ListedObject, Options, Position, S3Store, Version};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Bucket of a test.
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) kind: Kind,
    server: &'static Server,
    runtime: Runtime,
}

/// Versioning of a bucket.
#[derive(Clone, Copy)]
pub(crate) enum With {
    Nothing,
    Versioning,
    ObjectLock,
}

impl Bucket {
    /// Creates a bucket with a name of its own.
    pub(crate) fn new(server: &'static Server, with: With) -> Bucket {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bucket-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SdkCredentials::new("AK", "SK", None, None, "test"))
            .endpoint_url(server.endpoint())
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let runtime = Runtime::new().unwrap();
        let bucket = Bucket { name, client: Client::from_conf(config), kind: server.kind, server, runtime };
        let create = bucket.client.create_bucket().bucket(&bucket.name);
        let has_lock = matches!(with, With::ObjectLock).then_some(true);
        bucket.wait(create.set_object_lock_enabled_for_bucket(has_lock).send());
        if matches!(with, With::Versioning) {
            bucket.set_versioning(BucketVersioningStatus::Enabled);
        }
        bucket
    }

    /// Waits for a request that succeeds.
    pub(crate) fn wait<T, E: std::fmt::Debug>(&self, request: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(request).unwrap()
    }

    /// Waits for a request that may fail.
    pub(crate) fn attempt<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Option<T> {
        self.runtime.block_on(request).ok()
    }

    pub(crate) fn set_versioning(&self, status: BucketVersioningStatus) {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(&self.name);
        self.wait(request.versioning_configuration(configuration).send());
    }

    /// Stores an object with the key as content. Returns the VersionId, if it got one.
    pub(crate) fn put(&self, key: &str) -> Option<String> {
        self.put_content(key, key)
    }

    pub(crate) fn put_content(&self, key: &str, content: &str) -> Option<String> {
        let body = content.as_bytes().to_vec().into();
        self.wait(self.client.put_object().bucket(&self.name).key(key).body(body).send()).version_id
    }

    /// Stores objects at the same time. Returns each key with its VersionId.
    pub(crate) fn put_all(&self, keys: impl IntoIterator<Item = String>) -> Vec<(String, Version)> {
        let keys: Vec<String> = keys.into_iter().collect();
        let mut stored = Vec::new();
        for chunk in keys.chunks(16) {
            let tasks: Vec<_> = chunk
                .iter()
                .map(|key| {
                    let request =
                        self.client.put_object().bucket(&self.name).key(key).body(b"x".to_vec().into());
                    (key.clone(), self.runtime.spawn(request.send()))
                })
                .collect();
            for (key, task) in tasks {
                let id = self.runtime.block_on(task).unwrap().unwrap().version_id.unwrap();
                stored.push((key, Version::Object(id)));
            }
        }
        stored
    }

    /// Deletes without a VersionId, which leaves a delete marker in a versioned bucket. Returns the marker's id.
    pub(crate) fn hide(&self, key: &str) -> Option<String> {
        self.wait(self.client.delete_object().bucket(&self.name).key(key).send()).version_id
    }

    pub(crate) fn hold(&self, key: &str, id: &str, status: ObjectLockLegalHoldStatus) {
        let hold = ObjectLockLegalHold::builder().status(status).build();
        let request = self.client.put_object_legal_hold().bucket(&self.name).key(key).version_id(id);
        self.wait(request.legal_hold(hold).send());
    }

    /// Returns options for the bucket, with short waits.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(&self.name, "us-east-1");
        options.endpoint = Some(self.server.endpoint());
        options.path_style = true;
        options.credentials = Some(Credentials::new("AK", "SK"));
        options.retry_for = Duration::from_secs(6);
        options
    }

    pub(crate) fn open(&self) -> S3Store {
        S3Store::open(&self.options()).unwrap()
    }

    /// Opens a store that confirms its answers.
    pub(crate) fn open_confirming(&self) -> S3Store {
        let mut options = self.options();
        options.confirm = true;
        S3Store::open(&options).unwrap()
    }

    /// Opens the bucket through a proxy.
    pub(crate) fn open_through(&self, change: impl FnOnce(&mut Options)) -> (S3Store, Proxy) {
        let proxy = Proxy::new(&self.server.address);
        let mut options = self.options();
        options.endpoint = Some(proxy.endpoint.clone());
        change(&mut options);
        (S3Store::open(&options).unwrap(), proxy)
    }

    /// Returns everything in the bucket, by the store's own listing.
    pub(crate) fn everything(&self) -> Vec<ListedObject> {
        let mut options = self.options();
        options.unsafe_unversioned = true;
        listed(&S3Store::open(&options).unwrap(), Position::start(""))
    }

    /// Returns what the bucket has under a key.
    pub(crate) fn under(&self, key: &str) -> Vec<Version> {
        self.everything()
            .into_iter()
            .filter(|object| object.key == key)
            .map(|object| object.version)
            .collect()
    }
}

/// Returns all objects from a position on.
pub(crate) fn listed(store: &S3Store, start: Position) -> Vec<ListedObject> {
    let mut found = Vec::new();
    let mut position = Some(start);
    while let Some(at) = position {
        let page = store.list(&at).unwrap();
        assert_eq!(page.unusable, Vec::<Box<str>>::new());
        found.extend(page.objects);
        position = page.next;
    }
    found
}

/// Deletes objects in one call.
pub(crate) fn delete(store: &S3Store, objects: &[(String, Version)]) -> Vec<Answer> {
    let encoded: Vec<Vec<u8>> = objects.iter().map(|(_, version)| version.encode().unwrap()).collect();
    let stored: Vec<StoredObject<'_>> = objects
        .iter()
        .zip(&encoded)
        .map(|((key, _), version)| StoredObject { key: key.as_bytes(), version, digest: b"", size: None })
        .collect();
    store.delete(&SubBatch {
        batch: 1,
        class: "class",
        disposition: Disposition::Delete,
        attempt: 1,
        epoch: 1,
        objects: &stored,
    })
}

/// Deletes one object.
pub(crate) fn delete_one(store: &S3Store, key: &str, version: &Version) -> Answer {
    delete(store, &[(key.to_owned(), version.clone())]).pop().unwrap()
}

pub(crate) fn object(id: Option<String>) -> Version {
    Version::Object(id.unwrap())
}
