//! Listing a bucket, and taking its objects in.

use crate::bucket::{Bucket, With, delete, listed, object};
use crate::server::{Kind, Server};
use sexton::{ClassSet, Durability, Engine, Registration, Timestamp};
use sexton_s3::{Error, ListedObject, Position, S3Store, Version};
use std::collections::BTreeSet;

type Identity = (String, Version);

fn identities(objects: impl IntoIterator<Item = ListedObject>) -> Vec<Identity> {
    let mut all: Vec<Identity> = objects.into_iter().map(|object| (object.key, object.version)).collect();
    all.sort_by_key(|(key, version)| (key.clone(), version.encode().unwrap()));
    all
}

/// Versions, markers and uploads below several folders.
fn filled(server: &'static Server) -> (Bucket, Vec<Identity>) {
    let bucket = Bucket::new(server, With::Versioning);
    let mut all = bucket.put_all(["a/1", "a/2", "b/1", "b/", "c", "d/x/1", "d/x y+z", "e"].map(Into::into));
    for _ in 0..4 {
        all.push(("b/1".into(), object(bucket.put("b/1"))));
    }
    all.push(("a/2".into(), Version::Marker(bucket.hide("a/2").unwrap())));
    for key in ["a", "a-b", "d/x"] {
        let request = bucket.client.create_multipart_upload().bucket(&bucket.name).key(key);
        all.push((key.into(), Version::Upload(bucket.wait(request.send()).upload_id.unwrap())));
    }
    all.sort_by_key(|(key, version)| (key.clone(), version.encode().unwrap()));
    (bucket, all)
}

fn open_with_pages(bucket: &Bucket, objects: u16) -> S3Store {
    let mut options = bucket.options();
    options.page_objects = objects;
    S3Store::open(&options).unwrap()
}

pub(crate) fn pages_give_each_object_once(server: &'static Server) {
    let (bucket, all) = filled(server);
    for objects in [2, 3, 1_000] {
        let store = open_with_pages(&bucket, objects);
        // The mock does not cut listings of uploads, and its markers within a key lose versions.
        if bucket.kind == Kind::Moto && objects < 1_000 {
            continue;
        }
        assert_eq!(identities(listed(&store, Position::start(""))), all, "pages of {objects}");
        let below: Vec<Identity> = all.iter().filter(|(key, _)| key.starts_with("d/")).cloned().collect();
        assert_eq!(identities(listed(&store, Position::start("d/"))), below);
    }
    let first = bucket.everything().into_iter().find(|object| object.key == "c").unwrap();
    assert_eq!((first.size, first.is_latest), (Some(1), true));
    assert!(first.modified_ms > 1_700_000_000_000, "{first:?}");
}

pub(crate) fn parts_give_each_object_once(server: &'static Server) {
    let (bucket, all) = filled(server);
    let store = open_with_pages(&bucket, 1_000);
    for count in [1, 2, 3, 9] {
        // The mock loses an object if there is none at the marker.
        if bucket.kind == Kind::Moto && count > 1 {
            continue;
        }
        let mut parts: Vec<_> = store.split("", count).unwrap().into_iter().map(Some).collect();
        assert!(parts.len() <= count + 1, "{parts:?}");
        let mut found = Vec::new();
        let take = |_: &[Option<Position>], page: sexton_s3::Page| {
            found.extend(page.objects);
            Ok::<(), Error>(())
        };
        store.list_parts(&mut parts, take).unwrap();
        assert_eq!(identities(found), all, "{count} parts");
        assert!(parts.iter().all(Option::is_none));
    }
}

/// The host stores the position of each page, stops, and lists on after objects around the position were deleted.
pub(crate) fn resumed_listing_survives_deletions(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let all = bucket.put_all((0..40).map(|number| format!("{number:02}")));
    let mut parts = vec![Some(Position::start(""))];
    let mut found = BTreeSet::new();
    let mut rounds = 0;
    while parts.iter().any(Option::is_some) {
        rounds += 1;
        let store = open_with_pages(&bucket, 7);
        let mut pages = 0;
        let stopped = store.list_parts(&mut parts, |_, page| {
            if pages == 1 {
                return Err(Error::Failed("the host stops".into()));
            }
            pages += 1;
            found.extend(page.objects.into_iter().map(|object| object.key));
            Ok(())
        });
        assert_eq!(stopped.is_err(), parts.iter().any(Option::is_some));
        let token = serde_json::to_string(&parts).unwrap();
        parts = serde_json::from_str(&token).unwrap();
        // The mock loses an object if the one at its marker is gone.
        if bucket.kind == Kind::Ceph {
            let gone: Vec<_> = all.iter().filter(|(key, _)| found.contains(key)).cloned().collect();
            delete(&store, &gone);
        }
    }
    assert_eq!(found.len(), all.len());
    assert!(rounds > 3, "{rounds}");
}

/// From the listing to the records: the engine takes objects in, deletes them when they are due.
pub(crate) fn engine_deletes_what_was_listed(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    bucket.put_all((0..120).map(|number| format!("{number:03}")));
    let folder = tempfile::tempdir().unwrap();
    let objects = bucket.everything();
    let newest = objects.iter().map(|object| object.modified_ms).max().unwrap();
    let clock =
        std::sync::Arc::new(sexton::testing::VirtualClock::new(Timestamp::from_unix_ms(newest + 1_000)));
    let classes = "[class.upload]\nwithin = \"3h\"\nfind = \"version\"\nstart = \"explicit\"\n";
    let mut options = sexton::Options::new("sexton.test/s3");
    options.classes = ClassSet::from_toml(classes).unwrap();
    let engine = Engine::open_with_clock(folder.path(), &options, clock.clone()).unwrap();
    for object in &objects {
        let version = object.version.encode().unwrap();
        let registration = Registration::new("upload", object.key.as_bytes()).version(&version);
        let start = Timestamp::from_unix_ms(object.modified_ms);
        engine.register(&[registration.start(start)], Durability::Buffered).unwrap();
    }
    let later = object(bucket.put("007"));
    clock.advance(std::time::Duration::from_hours(4));
    let store = bucket.open();
    engine.enforce(&store).unwrap();
    let status = engine.status().unwrap();
    let class = status.classes.iter().find(|class| class.0 == "upload").unwrap().1;
    assert_eq!((class.live, class.ended.requested), (0, 120));
    assert_eq!(identities(bucket.everything()), [("007".to_owned(), later)]);
}
