//! Other processes and threads that work on the same files at the same time.

use std::sync::{Arc, Barrier};

use super::*;

#[test]
fn file_swapped_after_inspection_is_put_back() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    let path = sandbox.root().join("x/a");
    sandbox.hook(move |step, _| {
        if step == Step::Moving {
            fs::write(path.with_extension("new"), b"newer").unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
        HookAction::Go
    });
    assert_eq!(sandbox.delete("x/a", &version), Answer::Changed);
    assert_eq!(sandbox.read("x/a").unwrap(), b"newer");
    assert!(sandbox.quarantined().is_empty() && sandbox.store().leftovers().is_empty());
}

#[test]
fn file_that_does_not_match_is_never_moved() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    sandbox.put("a", b"newer");
    sandbox.hook(|step, _| {
        assert!(!matches!(step, Step::Manifested | Step::Moving), "{step:?}");
        HookAction::Go
    });
    assert_eq!(sandbox.delete("a", &version), Answer::Changed);
}

#[test]
fn folder_or_link_swapped_in_is_put_back() {
    let sandbox = Sandbox::new();
    for link in [false, true] {
        let version = sandbox.register("a", b"old");
        let path = sandbox.root().join("a");
        sandbox.hook(move |step, _| {
            if step == Step::Moving {
                fs::remove_file(&path).unwrap();
                if link {
                    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
                } else {
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("inside"), b"kept").unwrap();
                }
            }
            HookAction::Go
        });
        assert_eq!(sandbox.delete("a", &version), Answer::Changed);
        if link {
            assert!(sandbox.root().join("a").is_symlink());
        } else {
            assert_eq!(sandbox.read("a/inside").unwrap(), b"kept");
            fs::remove_dir_all(sandbox.root().join("a")).unwrap();
        }
    }
}

#[test]
fn file_written_to_in_the_bay_is_put_back() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    let open =
        parking_lot::Mutex::new(fs::File::options().append(true).open(sandbox.root().join("a")).unwrap());
    sandbox.hook(move |step, _| {
        if step == Step::Moved {
            std::io::Write::write_all(&mut *open.lock(), b" and more").unwrap();
        }
        HookAction::Go
    });
    assert_eq!(sandbox.delete("a", &version), Answer::Changed);
    assert_eq!(sandbox.read("a").unwrap(), b"old and more");
}

#[test]
fn file_that_vanishes_after_inspection_is_absent() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    let path = sandbox.root().join("a");
    sandbox.hook(move |step, _| {
        if step == Step::Moving {
            fs::remove_file(&path).unwrap();
        }
        HookAction::Go
    });
    assert_eq!(sandbox.delete("a", &version), Answer::Absent);
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn wrong_file_stays_in_quarantine_until_its_path_is_free() {
    let mut sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    let path = sandbox.root().join("a");
    sandbox.hook(move |step, _| {
        match step {
            Step::Moving => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, b"second").unwrap();
            }
            Step::Moved => fs::write(&path, b"third!").unwrap(),
            _ => {}
        }
        HookAction::Go
    });
    assert_eq!(sandbox.delete("a", &version), Answer::Changed);
    assert_eq!(sandbox.read("a").unwrap(), b"third!");
    let left = sandbox.store().leftovers();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key.as_deref(), Some(&b"a"[..]));
    assert_eq!(fs::read(sandbox.root().join(&left[0].held_at)).unwrap(), b"second");

    sandbox.reopen();
    assert_eq!(sandbox.store().leftovers().len(), 1, "the path is still taken");
    fs::remove_file(sandbox.root().join("a")).unwrap();
    sandbox.reopen();
    assert!(sandbox.store().leftovers().is_empty() && sandbox.quarantined().is_empty());
    assert_eq!(sandbox.read("a").unwrap(), b"second");
}

#[test]
fn folder_moved_away_does_not_redirect_the_deletion() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    sandbox.put("y/a", b"not registered");
    let root = sandbox.root().to_path_buf();
    sandbox.hook(move |step, _| {
        if step == Step::Inspected {
            fs::rename(root.join("x"), root.join("moved")).unwrap();
            std::os::unix::fs::symlink("y", root.join("x")).unwrap();
        }
        HookAction::Go
    });
    assert_eq!(
        sandbox.delete("x/a", &version),
        Answer::Deleted,
        "the store works in the folder that it opened"
    );
    assert_eq!(sandbox.read("y/a").unwrap(), b"not registered");
}

#[test]
fn key_claimed_by_another_call_fails_and_is_not_absent() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    let (moved, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (moved_too, go_on_too) = (Arc::clone(&moved), Arc::clone(&go_on));
    let first = std::sync::atomic::AtomicBool::new(true);
    sandbox.hook(move |step, _| {
        if step == Step::Moved && first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            moved_too.wait();
            go_on_too.wait();
        }
        HookAction::Go
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sandbox.delete("a", &version));
        moved.wait();
        let second = sandbox.delete("a", &version);
        go_on.wait();
        assert_failed(&second, &["`a`", "another call"]);
        assert_eq!(first.join().unwrap(), Answer::Deleted);
    });
    assert_eq!(sandbox.delete("a", &version), Answer::Absent, "the key is free again");
}

#[test]
fn two_threads_delete_two_thousand_files_at_once() {
    let sandbox = Sandbox::new();
    let objects: Vec<(Vec<u8>, Vec<u8>)> = (0..2000)
        .map(|n| {
            // 300 folders, more than one round holds open.
            let key = format!("{}/{n}", n % 300);
            let version = sandbox.register(&key, b"content");
            (key.into_bytes(), version)
        })
        .collect();
    sandbox.put("0/kept", b"kept");
    std::thread::scope(|scope| {
        let halves = objects.chunks(1000).map(|half| {
            let store = sandbox.store();
            scope.spawn(move || {
                half.chunks(400).flat_map(|objects| delete_all(store, objects)).collect::<Vec<_>>()
            })
        });
        for half in halves.collect::<Vec<_>>() {
            let answers = half.join().unwrap();
            assert_eq!(answers.len(), 1000);
            assert!(answers.iter().all(|answer| *answer == Answer::Deleted));
        }
    });
    assert_eq!(sandbox.walk(), (vec!["0/kept".to_owned()], vec![]));
    assert!(sandbox.quarantined().is_empty());
}

/// Between its calls a store holds nothing, so another may work in the root. What the first left is put back by then.
#[test]
fn second_store_works_in_a_root_only_while_the_first_rests() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"old");
    let other = DirStore::open(sandbox.root()).unwrap();
    let (moved, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (moved_too, go_on_too) = (Arc::clone(&moved), Arc::clone(&go_on));
    sandbox.hook(move |step, _| {
        if step == Step::Moved {
            moved_too.wait();
            go_on_too.wait();
        }
        HookAction::Go
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sandbox.delete("a", &version));
        moved.wait();
        let opened = DirStore::open(sandbox.root()).map(|_| ());
        let answers = delete_all(&other, &[(b"a".to_vec(), version.clone())]);
        go_on.wait();
        assert!(matches!(opened, Err(DirError::Locked(why)) if why.contains("try again")));
        assert_failed(&answers[0], &["another store", "works in this root"]);
        assert_eq!(first.join().unwrap(), Answer::Deleted);
    });
    assert_eq!(delete_all(&other, &[(b"a".to_vec(), version)]), [Answer::Absent]);
}

/// The file is in the quarantine, where a crash of the other store left it. It is not absent.
#[test]
fn file_that_another_store_left_in_quarantine_is_deleted() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"old");
    let other = DirStore::open(sandbox.root()).unwrap();
    sandbox.hook(|step, _| if step == Step::Moved { HookAction::Crash } else { HookAction::Go });
    assert!(delete_all(sandbox.store(), &[(b"x/a".to_vec(), version.clone())]).is_empty());
    assert_eq!((sandbox.read("x/a"), sandbox.quarantined().len()), (None, 2));
    assert_eq!(delete_all(&other, &[(b"x/a".to_vec(), version)]), [Answer::Deleted]);
    assert!(sandbox.quarantined().is_empty());
}
