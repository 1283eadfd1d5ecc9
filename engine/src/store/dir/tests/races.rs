//! Others who work on the same files at the same time.

use std::sync::{Arc, Barrier};

use super::*;

#[test]
fn a_file_swapped_between_the_look_and_the_rename_is_put_back() {
    let yard = Yard::new();
    let version = yard.register("x/a", b"old");
    let path = yard.root().join("x/a");
    yard.hook(move |step, _| {
        if step == Step::Moving {
            fs::write(path.with_extension("new"), b"newer").unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
        Signal::Go
    });
    assert_eq!(yard.delete("x/a", &version), Answer::Changed);
    assert_eq!(yard.read("x/a").unwrap(), b"newer");
    assert!(yard.quarantined().is_empty() && yard.store().leftovers().is_empty());
}

#[test]
fn what_is_plainly_another_file_is_never_moved_at_all() {
    let yard = Yard::new();
    let version = yard.register("a", b"old");
    yard.put("a", b"newer");
    yard.hook(|step, _| {
        assert!(!matches!(step, Step::Manifested | Step::Moving), "{step:?}");
        Signal::Go
    });
    assert_eq!(yard.delete("a", &version), Answer::Changed);
}

#[test]
fn a_folder_or_a_link_swapped_in_is_put_back_as_well() {
    let yard = Yard::new();
    for link in [false, true] {
        let version = yard.register("a", b"old");
        let path = yard.root().join("a");
        yard.hook(move |step, _| {
            if step == Step::Moving {
                fs::remove_file(&path).unwrap();
                if link {
                    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
                } else {
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("inside"), b"kept").unwrap();
                }
            }
            Signal::Go
        });
        assert_eq!(yard.delete("a", &version), Answer::Changed);
        if link {
            assert!(yard.root().join("a").is_symlink());
        } else {
            assert_eq!(yard.read("a/inside").unwrap(), b"kept");
            fs::remove_dir_all(yard.root().join("a")).unwrap();
        }
    }
}

#[test]
fn a_file_written_to_in_the_bay_is_put_back() {
    let yard = Yard::new();
    let version = yard.register("a", b"old");
    let open = parking_lot::Mutex::new(fs::File::options().append(true).open(yard.root().join("a")).unwrap());
    yard.hook(move |step, _| {
        if step == Step::Moved {
            std::io::Write::write_all(&mut *open.lock(), b" and more").unwrap();
        }
        Signal::Go
    });
    assert_eq!(yard.delete("a", &version), Answer::Changed);
    assert_eq!(yard.read("a").unwrap(), b"old and more");
}

#[test]
fn a_file_that_vanishes_between_the_look_and_the_rename_is_absent() {
    let yard = Yard::new();
    let version = yard.register("a", b"old");
    let path = yard.root().join("a");
    yard.hook(move |step, _| {
        if step == Step::Moving {
            fs::remove_file(&path).unwrap();
        }
        Signal::Go
    });
    assert_eq!(yard.delete("a", &version), Answer::Absent);
    assert!(yard.quarantined().is_empty());
}

#[test]
fn a_wrong_file_whose_place_is_taken_stays_in_the_quarantine_until_it_is_free() {
    let mut yard = Yard::new();
    let version = yard.register("a", b"old");
    let path = yard.root().join("a");
    yard.hook(move |step, _| {
        match step {
            Step::Moving => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, b"second").unwrap();
            }
            Step::Moved => fs::write(&path, b"third!").unwrap(),
            _ => {}
        }
        Signal::Go
    });
    assert_eq!(yard.delete("a", &version), Answer::Changed);
    assert_eq!(yard.read("a").unwrap(), b"third!");
    let left = yard.store().leftovers();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key.as_deref(), Some(&b"a"[..]));
    assert_eq!(fs::read(yard.root().join(&left[0].held_at)).unwrap(), b"second");

    yard.reopen();
    assert_eq!(yard.store().leftovers().len(), 1, "the place is still taken");
    fs::remove_file(yard.root().join("a")).unwrap();
    yard.reopen();
    assert!(yard.store().leftovers().is_empty() && yard.quarantined().is_empty());
    assert_eq!(yard.read("a").unwrap(), b"second");
}

#[test]
fn a_folder_moved_away_meanwhile_takes_the_file_nowhere_else() {
    let yard = Yard::new();
    let version = yard.register("x/a", b"old");
    yard.put("y/a", b"not registered");
    let root = yard.root().to_path_buf();
    yard.hook(move |step, _| {
        if step == Step::Inspected {
            fs::rename(root.join("x"), root.join("moved")).unwrap();
            std::os::unix::fs::symlink("y", root.join("x")).unwrap();
        }
        Signal::Go
    });
    assert_eq!(
        yard.delete("x/a", &version),
        Answer::Deleted,
        "the folder that was opened is the one worked in"
    );
    assert_eq!(yard.read("y/a").unwrap(), b"not registered");
}

#[test]
fn a_key_in_the_hand_of_another_call_is_tried_again_and_not_called_absent() {
    let yard = Yard::new();
    let version = yard.register("a", b"old");
    let (moved, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (moved_too, go_on_too) = (Arc::clone(&moved), Arc::clone(&go_on));
    let first = std::sync::atomic::AtomicBool::new(true);
    yard.hook(move |step, _| {
        if step == Step::Moved && first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            moved_too.wait();
            go_on_too.wait();
        }
        Signal::Go
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| yard.delete("a", &version));
        moved.wait();
        let second = yard.delete("a", &version);
        go_on.wait();
        assert_failed(&second, &["`a`", "another call"]);
        assert_eq!(first.join().unwrap(), Answer::Deleted);
    });
    assert_eq!(yard.delete("a", &version), Answer::Absent, "the key is free again");
}

#[test]
fn two_threads_delete_two_thousand_files_beside_each_other() {
    let yard = Yard::new();
    let objects: Vec<(Vec<u8>, Vec<u8>)> = (0..2000)
        .map(|n| {
            // 300 folders, more than one round holds open.
            let key = format!("{}/{n}", n % 300);
            let version = yard.register(&key, b"content");
            (key.into_bytes(), version)
        })
        .collect();
    yard.put("0/kept", b"kept");
    std::thread::scope(|scope| {
        let halves = objects.chunks(1000).map(|half| {
            let store = yard.store();
            scope.spawn(move || half.chunks(400).flat_map(|part| delete_all(store, part)).collect::<Vec<_>>())
        });
        for half in halves.collect::<Vec<_>>() {
            let answers = half.join().unwrap();
            assert_eq!(answers.len(), 1000);
            assert!(answers.iter().all(|answer| *answer == Answer::Deleted));
        }
    });
    let mut left = Vec::new();
    yard.store().walk(|path| left.push(path.to_vec())).unwrap();
    assert_eq!(left, [b"0/kept".to_vec()]);
    assert!(yard.quarantined().is_empty());
}

#[test]
fn one_root_has_one_store() {
    let mut yard = Yard::new();
    let error = DirStore::open(yard.root()).unwrap_err();
    assert!(matches!(&error, DirError::Locked(why) if why.contains("close it first")), "{error}");
    yard.reopen();
}
