//! A process that dies at every step, and disks that fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Lets the process die when `step` is reached for the `nth` time.
fn dies_at(step: Step, nth: usize) -> impl Fn(Step, &[u8]) -> Signal + Send + Sync {
    let seen = AtomicUsize::new(0);
    move |now, _| {
        if now == step && seen.fetch_add(1, Ordering::Relaxed) == nth { Signal::Crash } else { Signal::Go }
    }
}

#[test]
fn after_a_crash_at_any_step_the_same_intent_ends_right() {
    let steps = [Step::Inspected, Step::Manifested, Step::Moving, Step::Moved, Step::Unlinked, Step::Durable];
    for step in steps {
        for nth in 0..4 {
            let mut yard = Yard::new();
            let mut objects = Vec::new();
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                objects.push((key.as_bytes().to_vec(), yard.register(key, key.as_bytes())));
            }
            let version = yard.register("x/changed", b"old");
            yard.put("x/changed", b"newer");
            objects.push((b"x/changed".to_vec(), version));
            yard.put("x/neighbour", b"kept");
            yard.hook(dies_at(step, nth));
            let answers = delete_all(yard.store(), &objects);
            assert!(answers.is_empty() || nth > 0, "a dead process answers nothing");

            yard.reopen();
            assert!(yard.quarantined().is_empty(), "{step:?} {nth}: everything is back or gone");
            assert!(yard.store().leftovers().is_empty());
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                assert!(
                    yard.read(key).is_none_or(|content| content == key.as_bytes()),
                    "{step:?} {nth} {key}"
                );
            }
            let answers = delete_all(yard.store(), &objects);
            for answer in &answers[..4] {
                assert!(matches!(answer, Answer::Deleted | Answer::Absent), "{step:?} {nth}: {answer:?}");
            }
            assert_eq!(answers[4], Answer::Changed);
            for key in ["a", "x/b", "x/c", "y/z/d"] {
                assert_eq!(yard.read(key), None);
            }
            assert_eq!(yard.read("x/changed").unwrap(), b"newer");
            assert_eq!(yard.read("x/neighbour").unwrap(), b"kept");
        }
    }
}

#[test]
fn opening_puts_a_file_back_as_it_was() {
    let mut yard = Yard::new();
    let version = yard.register("x/a", b"content");
    yard.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(yard.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    assert_eq!(yard.read("x/a"), None);
    yard.reopen();
    assert_eq!(yard.read("x/a").unwrap(), b"content");
    assert_eq!(yard.version("x/a", Identity::Exact), version, "its identity survives the way there and back");
}

/// A yard whose registered file stands in the quarantine while something newer stands in its place.
fn with_leftover() -> (Yard, Vec<u8>) {
    let mut yard = Yard::new();
    let version = yard.register("x/a", b"old");
    yard.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(yard.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    yard.put("x/a", b"newer");
    yard.reopen();
    (yard, version)
}

#[test]
fn a_leftover_that_is_the_object_registered_is_deleted_and_the_newer_file_kept() {
    let (yard, version) = with_leftover();
    let left = yard.store().leftovers();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key.as_deref(), Some(&b"x/a"[..]));
    assert!(left[0].why.contains("exists"), "{}", left[0].why);
    assert_eq!(yard.delete("x/a", &version), Answer::Deleted);
    assert_eq!(yard.read("x/a").unwrap(), b"newer");
    assert!(yard.store().leftovers().is_empty() && yard.quarantined().is_empty());
    assert_eq!(yard.delete("x/a", &version), Answer::Changed, "the second time only the newer file is there");
}

#[test]
fn a_leftover_that_is_another_object_stays_when_its_place_is_deleted() {
    let (mut yard, version) = with_leftover();
    let newer = yard.version("x/a", Identity::Exact);
    assert_eq!(yard.delete("x/a", &newer), Answer::Deleted);
    assert_eq!(yard.store().leftovers().len(), 1);
    yard.reopen();
    assert_eq!(yard.read("x/a").unwrap(), b"old", "its place was free");
    assert_eq!(yard.delete("x/a", &version), Answer::Deleted);
}

#[test]
fn a_crash_while_a_leftover_goes_is_one_more_opening() {
    let (mut yard, version) = with_leftover();
    yard.hook(|step, _| if step == Step::Syncing { Signal::Fail } else { Signal::Go });
    assert_failed(&yard.delete("x/a", &version), &["check the disk"]);
    yard.reopen();
    assert!(yard.quarantined().is_empty());
    assert_eq!(yard.delete("x/a", &version), Answer::Changed);
}

#[test]
fn a_leftover_whose_folder_is_gone_can_still_be_deleted() {
    let mut yard = Yard::new();
    let version = yard.register("x/a", b"old");
    yard.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(yard.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    fs::remove_dir(yard.root().join("x")).unwrap();
    yard.reopen();
    assert_eq!(yard.store().leftovers().len(), 1);
    assert_eq!(yard.delete("x/a", &version), Answer::Deleted);
    assert!(yard.quarantined().is_empty());
}

#[test]
fn a_torn_list_without_files_is_removed_and_one_with_files_keeps_them() {
    let mut yard = Yard::new();
    let quarantine = yard.root().join(".sexton-quarantine");
    fs::create_dir(quarantine.join("7-99")).unwrap();
    fs::write(quarantine.join("7-99/manifest"), b"sexton quar").unwrap();
    fs::create_dir(quarantine.join("7-100")).unwrap();
    fs::write(quarantine.join("7-100/manifest"), b"sexton quar").unwrap();
    fs::write(quarantine.join("7-100/0"), b"whose?").unwrap();
    yard.reopen();
    let left = yard.store().leftovers();
    assert_eq!((left.len(), left[0].key.as_ref()), (1, None));
    assert!(left[0].why.contains("damaged"), "{}", left[0].why);
    assert_eq!(fs::read(yard.root().join(&left[0].held_at)).unwrap(), b"whose?");
    assert!(!quarantine.join("7-99").exists());
}

#[test]
fn a_file_whose_way_home_has_become_a_link_stays() {
    let mut yard = Yard::new();
    let version = yard.register("x/a", b"old");
    yard.hook(dies_at(Step::Moved, 0));
    assert!(delete_all(yard.store(), &[(b"x/a".to_vec(), version)]).is_empty());
    let outside = tempfile::tempdir().unwrap();
    fs::remove_dir(yard.root().join("x")).unwrap();
    std::os::unix::fs::symlink(outside.path(), yard.root().join("x")).unwrap();
    yard.reopen();
    assert_eq!(yard.store().leftovers().len(), 1);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_made_durable_is_not_called_deleted_and_stops_the_store() {
    // 0 to 2: the list, the bay, the quarantine. 3: the bay. From 4: the folders `x` and `y`.
    for (nth, deleted) in [(0, 0), (1, 0), (2, 0), (3, 2), (4, 2), (5, 2)] {
        let mut yard = Yard::new();
        let (x, y) = (yard.register("x/a", b"x"), yard.register("y/a", b"y"));
        let seen = AtomicUsize::new(0);
        yard.hook(move |step, _| {
            let fails = step == Step::Syncing && seen.fetch_add(1, Ordering::Relaxed) == nth;
            if fails { Signal::Fail } else { Signal::Go }
        });
        let objects = [(b"x/a".to_vec(), x.clone()), (b"y/a".to_vec(), y)];
        let answers = delete_all(yard.store(), &objects);
        let failed = answers.iter().filter(|answer| matches!(answer, Answer::Failed(_))).count();
        assert_eq!(failed, if nth < 4 { 2 } else { 1 }, "{nth}: {answers:?}");
        assert_eq!(
            usize::from(yard.read("x/a").is_none()) + usize::from(yard.read("y/a").is_none()),
            deleted
        );

        let other = yard.register("z", b"z");
        assert_failed(&yard.delete("z", &other), &["out of use", "making durable", "reopen"]);
        yard.reopen();
        assert_eq!(yard.delete("z", &other), Answer::Deleted);
        assert_eq!(yard.delete("x/a", &x), if deleted == 0 { Answer::Deleted } else { Answer::Absent });
        assert!(yard.quarantined().is_empty());
    }
}

#[test]
fn absent_is_only_said_when_it_is_durable() {
    let yard = Yard::new();
    for key in ["x/a", "x/y/a"] {
        let version = yard.register(key, b"x");
        fs::remove_dir_all(yard.root().join("x")).unwrap();
        if key == "x/a" {
            fs::create_dir(yard.root().join("x")).unwrap();
        }
        assert_eq!(yard.delete(key, &version), Answer::Absent);
    }
    let version = yard.register("x/a", b"x");
    fs::remove_file(yard.root().join("x/a")).unwrap();
    yard.hook(|step, what| if step == Step::Syncing && what == b"x" { Signal::Fail } else { Signal::Go });
    assert_failed(&yard.delete("x/a", &version), &["making durable `x`"]);
}
