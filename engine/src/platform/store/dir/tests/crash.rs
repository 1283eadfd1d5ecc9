//! Crashes at every step, and disks that fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Returns a hook that ends the process when `step` is reached for the `nth` time.
fn dies_at(step: Step, nth: usize) -> impl Fn(Step, &[u8]) -> HookAction + Send + Sync {
    let seen = AtomicUsize::new(0);
    move |now, _| {
        if now == step && seen.fetch_add(1, Ordering::Relaxed) == nth {
            HookAction::Crash
        } else {
            HookAction::Go
        }
    }
}

#[test]
fn intent_repeated_after_a_crash_at_any_step_ends_right() {
    let steps = [Step::Inspected, Step::Manifested, Step::Moving, Step::Moved, Step::Unlinked, Step::Durable];
    for step in steps {
        for nth in 0..4 {
            let mut sandbox = Sandbox::new();
            let mut objects = Vec::new();
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                objects.push((key.as_bytes().to_vec(), sandbox.register(key, key.as_bytes())));
            }
            let version = sandbox.register("x/changed", b"old");
            sandbox.put("x/changed", b"newer");
            objects.push((b"x/changed".to_vec(), version));
            sandbox.put("x/neighbour", b"kept");
            sandbox.hook(dies_at(step, nth));
            let answers = delete_all(sandbox.store(), &objects);
            assert!(answers.is_empty() || nth > 0, "a dead process answers nothing");

            sandbox.reopen();
            assert!(sandbox.quarantined().is_empty(), "{step:?} {nth}: everything is back or gone");
            assert!(sandbox.store().leftovers().is_empty());
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                assert!(
                    sandbox.read(key).is_none_or(|content| content == key.as_bytes()),
                    "{step:?} {nth} {key}"
                );
            }
            let answers = delete_all(sandbox.store(), &objects);
            for answer in &answers[..4] {
                assert!(matches!(answer, Answer::Deleted | Answer::Absent), "{step:?} {nth}: {answer:?}");
            }
            assert_eq!(answers[4], Answer::Changed);
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                assert_eq!(sandbox.read(key), None);
            }
            assert_eq!(sandbox.read("x/changed").unwrap(), b"newer");
            assert_eq!(sandbox.read("x/neighbour").unwrap(), b"kept");
        }
    }
}

#[test]
fn opening_puts_a_file_back_as_it_was() {
    let mut sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"content");
    sandbox.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(sandbox.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    assert_eq!(sandbox.read("x/a"), None);
    sandbox.reopen();
    assert_eq!(sandbox.read("x/a").unwrap(), b"content");
    assert_eq!(sandbox.version("x/a", Identity::Exact), version, "its identity survives both moves");
}

/// A sandbox whose registered file is in the quarantine while a newer file is at its path.
fn with_leftover() -> (Sandbox, Vec<u8>) {
    let mut sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    sandbox.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(sandbox.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    sandbox.put("x/a", b"newer");
    sandbox.reopen();
    (sandbox, version)
}

#[test]
fn leftover_that_is_registered_is_deleted_newer_file_is_kept() {
    let (sandbox, version) = with_leftover();
    let left = sandbox.store().leftovers();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key.as_deref(), Some(&b"x/a"[..]));
    assert!(left[0].why.contains("exists"), "{}", left[0].why);
    assert_eq!(sandbox.delete("x/a", &version), Answer::Deleted);
    assert_eq!(sandbox.read("x/a").unwrap(), b"newer");
    assert!(sandbox.store().leftovers().is_empty() && sandbox.quarantined().is_empty());
    assert_eq!(
        sandbox.delete("x/a", &version),
        Answer::Changed,
        "the second time only the newer file is there"
    );
}

#[test]
fn leftover_that_is_another_object_stays() {
    let (mut sandbox, version) = with_leftover();
    let newer = sandbox.version("x/a", Identity::Exact);
    assert_eq!(sandbox.delete("x/a", &newer), Answer::Deleted);
    assert_eq!(sandbox.store().leftovers().len(), 1);
    sandbox.reopen();
    assert_eq!(sandbox.read("x/a").unwrap(), b"old", "its place was free");
    assert_eq!(sandbox.delete("x/a", &version), Answer::Deleted);
}

#[test]
fn failed_deletion_of_a_leftover_ends_at_the_next_opening() {
    let (mut sandbox, version) = with_leftover();
    // 0 to 2: the folder, the bay and the quarantine, after the store has tried to put the leftover back. 3: the bay.
    let seen = AtomicUsize::new(0);
    sandbox.hook(move |step, _| {
        let fails = step == Step::Syncing && seen.fetch_add(1, Ordering::Relaxed) >= 3;
        if fails { HookAction::Fail } else { HookAction::Go }
    });
    assert_failed(&sandbox.delete("x/a", &version), &["check the disk"]);
    sandbox.reopen();
    assert!(sandbox.quarantined().is_empty());
    assert_eq!(sandbox.delete("x/a", &version), Answer::Changed);
}

#[test]
fn leftover_whose_folder_is_gone_can_be_deleted() {
    let mut sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    sandbox.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(sandbox.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    fs::remove_dir(sandbox.root().join("x")).unwrap();
    sandbox.reopen();
    assert_eq!(sandbox.store().leftovers().len(), 1);
    assert_eq!(sandbox.delete("x/a", &version), Answer::Deleted);
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn bay_with_torn_manifest_is_removed_only_if_empty() {
    let mut sandbox = Sandbox::new();
    let quarantine = sandbox.root().join(".sexton-quarantine");
    fs::create_dir(quarantine.join("7-99")).unwrap();
    fs::write(quarantine.join("7-99/manifest"), b"sexton quar").unwrap();
    fs::create_dir(quarantine.join("7-100")).unwrap();
    fs::write(quarantine.join("7-100/manifest"), b"sexton quar").unwrap();
    fs::write(quarantine.join("7-100/0"), b"whose?").unwrap();
    sandbox.reopen();
    let left = sandbox.store().leftovers();
    assert_eq!((left.len(), left[0].key.as_ref()), (1, None));
    assert!(left[0].why.contains("damaged"), "{}", left[0].why);
    assert_eq!(fs::read(sandbox.root().join(&left[0].held_at)).unwrap(), b"whose?");
    assert!(!quarantine.join("7-99").exists());
}

#[test]
fn file_whose_folder_became_a_link_stays_in_quarantine() {
    let mut sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    sandbox.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(sandbox.store(), &[(b"x/a".to_vec(), version)]).is_empty());
    let outside = tempfile::tempdir().unwrap();
    fs::remove_dir(sandbox.root().join("x")).unwrap();
    std::os::unix::fs::symlink(outside.path(), sandbox.root().join("x")).unwrap();
    sandbox.reopen();
    assert_eq!(sandbox.store().leftovers().len(), 1);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn failed_fsync_is_not_answered_deleted_and_stops_the_store() {
    // 0 to 2: the manifest, the bay, the quarantine. 3: the bay. From 4: the folders `x` and `y`.
    for (nth, deleted) in [(0, 0), (1, 0), (2, 0), (3, 2), (4, 2), (5, 2)] {
        let mut sandbox = Sandbox::new();
        let (x, y) = (sandbox.register("x/a", b"x"), sandbox.register("y/a", b"y"));
        let seen = AtomicUsize::new(0);
        sandbox.hook(move |step, _| {
            let fails = step == Step::Syncing && seen.fetch_add(1, Ordering::Relaxed) == nth;
            if fails { HookAction::Fail } else { HookAction::Go }
        });
        let objects = [(b"x/a".to_vec(), x.clone()), (b"y/a".to_vec(), y)];
        let answers = delete_all(sandbox.store(), &objects);
        let failed = answers.iter().filter(|answer| matches!(answer, Answer::Failed(_))).count();
        assert_eq!(failed, if nth < 4 { 2 } else { 1 }, "{nth}: {answers:?}");
        assert_eq!(
            usize::from(sandbox.read("x/a").is_none()) + usize::from(sandbox.read("y/a").is_none()),
            deleted
        );

        let other = sandbox.register("z", b"z");
        assert_failed(&sandbox.delete("z", &other), &["out of use", "making durable", "reopen"]);
        sandbox.reopen();
        assert_eq!(sandbox.delete("z", &other), Answer::Deleted);
        assert_eq!(sandbox.delete("x/a", &x), if deleted == 0 { Answer::Deleted } else { Answer::Absent });
        assert!(sandbox.quarantined().is_empty());
    }
}

#[test]
fn absent_is_answered_only_if_durable() {
    let sandbox = Sandbox::new();
    for key in ["x/a", "x/y/a"] {
        let version = sandbox.register(key, b"x");
        fs::remove_dir_all(sandbox.root().join("x")).unwrap();
        if key == "x/a" {
            fs::create_dir(sandbox.root().join("x")).unwrap();
        }
        assert_eq!(sandbox.delete(key, &version), Answer::Absent);
    }
    let version = sandbox.register("x/a", b"x");
    fs::remove_file(sandbox.root().join("x/a")).unwrap();
    sandbox.hook(
        |step, what| if step == Step::Syncing && what == b"x" { HookAction::Fail } else { HookAction::Go },
    );
    assert_failed(&sandbox.delete("x/a", &version), &["making durable `x`"]);
}
