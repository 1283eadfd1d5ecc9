//! Deletion from several roots, limits, and emptied folders.

use super::*;
use sexton::store::StoredObject;
use sexton::store::dir::{DirStore, Identity};
use sexton::testing::VirtualClock;
use std::num::NonZeroU32;

/// Two enabled sources, with files whose keys and versions are returned.
fn two_sources(sandbox: &mut Sandbox, limit: Option<u32>, options: SourcesOptions) -> Vec<(String, Vec<u8>)> {
    fs::create_dir(sandbox.path("other")).unwrap();
    let mut up = sandbox.up();
    up.max_deletes_per_second = limit.and_then(NonZeroU32::new);
    up.prune_empty = true;
    let other = Directory::new("other", sandbox.path("other"), "slow");
    for number in 0..40 {
        sandbox.put(&format!("sub/{number:02}"), "x");
    }
    fs::write(sandbox.path("other/file"), "x").unwrap();
    sandbox.start_with(&[up, other], options);
    sandbox.enable("up");
    sandbox.enable("other");
    let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, root) in [("up", "files"), ("other", "other")] {
        until("all files are registered", || {
            sandbox.report(name).registered == if name == "up" { 40 } else { 1 }
        });
        let store = DirStore::reopen(&sandbox.path(root)).unwrap();
        store
            .root()
            .unwrap()
            .walk(&sexton::store::dir::Filter::default(), |found| {
                if let sexton::store::dir::Found::File(path) = found {
                    let file = store.identify(path, Identity::Exact).unwrap().unwrap();
                    objects.push((format!("{name}/{}", std::str::from_utf8(path).unwrap()), file.version));
                }
            })
            .unwrap();
    }
    objects.sort();
    objects
}

/// Time flows on if a test fails, so that no thread waits for it.
struct Flowing<'c>(&'c VirtualClock);

impl Drop for Flowing<'_> {
    fn drop(&mut self) {
        for _ in 0..if std::thread::panicking() { 100 } else { 0 } {
            self.0.advance(Duration::from_secs(1));
            std::thread::sleep(Duration::from_millis(60));
        }
    }
}

fn sub_batch<'a>(objects: &'a [StoredObject<'a>]) -> SubBatch<'a> {
    SubBatch {
        batch: 1,
        class: "slow",
        disposition: sexton::store::Disposition::Delete,
        attempt: 1,
        epoch: 1,
        objects,
    }
}

fn stored(objects: &[(String, Vec<u8>)]) -> Vec<StoredObject<'_>> {
    objects
        .iter()
        .map(|(key, version)| StoredObject { key: key.as_bytes(), version, digest: b"", size: None })
        .collect()
}

#[test]
fn sub_batch_is_deleted_from_the_root_of_each_source() {
    let mut sandbox = Sandbox::new();
    let mut objects = two_sources(&mut sandbox, None, SourcesOptions::default());
    objects.push(("nowhere/file".into(), objects[0].1.clone()));
    objects.push(("up".into(), objects[0].1.clone()));
    let answers = sandbox.sources().delete(&sub_batch(&stored(&objects)));
    assert_eq!(answers.len(), 43);
    assert!(answers[..41].iter().all(|answer| *answer == Answer::Deleted), "{answers:?}");
    for answer in &answers[41..] {
        assert!(
            matches!(answer, Answer::Failed(why) if why.contains("no source of the configuration")),
            "{answer:?}"
        );
    }
    assert!(!sandbox.path("other/file").exists());
    // The folder of `up` that became empty is removed, and the roots stay.
    assert!(!sandbox.path("files/sub").exists() && sandbox.path("files").exists());
}

/// While the virtual clock stands still, only what the limit allows is deleted. The other source does not wait for it.
#[test]
fn limit_holds_back_its_own_source_only() {
    let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    let mut sandbox = Sandbox::new();
    let options = SourcesOptions::default().clock(clock.clone()).deleting_threads(2);
    let objects = two_sources(&mut sandbox, Some(10), options);
    let left = |sandbox: &Sandbox| match fs::read_dir(sandbox.path("files/sub")) {
        Ok(entries) => entries.count(),
        Err(_) => 0,
    };
    let sources = Arc::clone(sandbox.sources());
    let answers = std::thread::scope(|scope| {
        let deleting = scope.spawn(|| sources.delete(&sub_batch(&stored(&objects))));
        until("the other source is done", || !sandbox.path("other/file").exists());
        let _flowing = Flowing(&clock);
        // A quarter of a second is worth a call.
        for (allowed, pass) in [(10, 250), (12, 1_000), (22, 1_000)] {
            until("the limit is used", || 40 - left(&sandbox) == allowed);
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(40 - left(&sandbox), allowed);
            assert!(!deleting.is_finished());
            clock.advance(Duration::from_millis(pass));
        }
        until("the rest is deleted", || {
            clock.advance(Duration::from_secs(1));
            deleting.is_finished()
        });
        deleting.join().unwrap()
    });
    assert!(answers.iter().all(|answer| *answer == Answer::Deleted), "{answers:?}");
}

/// One of two threads may wait. A second call takes what there is, and the engine asks again for the rest.
#[test]
fn call_beyond_the_patience_fails_instead_of_waiting() {
    let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    let mut sandbox = Sandbox::new();
    let options = SourcesOptions::default().clock(clock.clone()).deleting_threads(2);
    let objects = two_sources(&mut sandbox, Some(10), options);
    let up: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with("up/")).cloned().collect();
    let sources = Arc::clone(sandbox.sources());
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| sources.delete(&sub_batch(&stored(&up[..20]))));
        let _flowing = Flowing(&clock);
        until("the first call waits", || sources.patience.waiting() == 1);
        until("the second call does not wait", || {
            let answers = sources.delete(&sub_batch(&stored(&up[20..])));
            answers
                .iter()
                .all(|answer| matches!(answer, Answer::Failed(why) if why.contains("limit of deletions")))
        });
        until("the first call is done", || {
            clock.advance(Duration::from_secs(1));
            deleting.is_finished()
        });
        assert!(deleting.join().unwrap().iter().all(|answer| *answer == Answer::Deleted));
    });
}
