//! Files that appear, change, move, or are found by a scan.

use super::*;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn existing_and_new_files_are_registered_under_the_name() {
    let mut sandbox = Sandbox::new();
    for key in ["a", "sub/b", "sub/deep/c"] {
        sandbox.put(key, "x");
    }
    sandbox.start(&[sandbox.up()]);
    for key in ["up/a", "up/sub/b", "up/sub/deep/c"] {
        sandbox.until_live(key);
    }
    sandbox.put("new", "x");
    sandbox.put("sub/deep/new", "x");
    sandbox.until_live("up/new");
    sandbox.until_live("up/sub/deep/new");
    let report = sandbox.report("up");
    assert_eq!((report.registered, report.watched_folders, report.refused), (5, 3, 0), "{report:?}");
    assert_eq!(sandbox.sources().needs(), Vec::<String>::new());
}

/// Files are written into nested folders at once, before any of the folders can be watched.
#[test]
fn files_of_new_nested_folders_are_found_however_fast() {
    let mut sandbox = Sandbox::new();
    sandbox.start(&[sandbox.up()]);
    for number in 0..100 {
        sandbox.put(&format!("d{number}/x/y/file"), "x");
    }
    for number in 0..100 {
        sandbox.until_live(&format!("up/d{number}/x/y/file"));
    }
    until("each folder is watched", || sandbox.report("up").watched_folders == 301);
}

#[test]
fn renamed_file_is_found_under_its_new_name() {
    let mut sandbox = Sandbox::new();
    sandbox.put("old", "x");
    sandbox.put("folder/in/file", "x");
    sandbox.start(&[sandbox.up()]);
    sandbox.until_live("up/old");
    sandbox.until_live("up/folder/in/file");
    let path = |below: &str| sandbox.path("files").join(below);
    fs::rename(path("old"), path("new")).unwrap();
    fs::rename(path("folder"), path("moved")).unwrap();
    sandbox.until_live("up/new");
    sandbox.until_live("up/moved/in/file");
    // The folders are watched under their new names, also those that were moved with them.
    sandbox.put("moved/in/later", "x");
    sandbox.until_live("up/moved/in/later");
    // A folder that leaves the root is watched no longer.
    fs::rename(path("moved"), sandbox.path("outside")).unwrap();
    until("the watches end", || sandbox.report("up").watched_folders == 1);
}

/// Returns the keys of all objects with the ones that they were registered under.
fn first_keys(sandbox: &Sandbox) -> Vec<(String, Option<String>)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let planned = sandbox.engine().plan(Timestamp::MAX).unwrap().map(Result::unwrap);
    let mut all: Vec<_> = planned
        .filter(|object| object.action == Action::Delete)
        .map(|object| (text(object.key), object.first_key.map(text)))
        .collect();
    all.sort();
    all
}

fn named(names: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    names.iter().map(|(key, first)| ((*key).to_owned(), first.map(str::to_owned))).collect()
}

/// Also of a folder, of files that change places, and of files that were moved while no service ran.
#[test]
fn renamed_file_stays_its_object() {
    let mut sandbox = Sandbox::new();
    for key in ["a", "b", "c", "folder/in/d"] {
        sandbox.put(key, key);
    }
    sandbox.start(&[sandbox.up()]);
    until("all are registered", || sandbox.report("up").registered == 4);
    let rename = |sandbox: &Sandbox, from: &str, to: &str| {
        let path = |below: &str| sandbox.path("files").join(below);
        fs::rename(path(from), path(to)).unwrap();
    };
    rename(&sandbox, "a", "new");
    rename(&sandbox, "folder", "moved");
    until("both are renamed", || sandbox.report("up").renamed == 2);
    let known =
        [("up/b", None), ("up/c", None), ("up/moved/in/d", Some("up/folder/in/d")), ("up/new", Some("up/a"))];
    assert_eq!(first_keys(&sandbox), named(&known));
    sandbox.reopen();
    for (from, to) in [("b", "t"), ("c", "b"), ("t", "c"), ("moved", "again")] {
        rename(&sandbox, from, to);
    }
    sandbox.put("other", "x");
    sandbox.start_with(&[sandbox.up()], SourcesOptions::default());
    sandbox.until_live("up/other");
    sandbox.until_state("up", SourceState::Watching);
    let known = [
        ("up/again/in/d", Some("up/folder/in/d")),
        ("up/b", Some("up/c")),
        ("up/c", Some("up/b")),
        ("up/new", Some("up/a")),
        ("up/other", None),
    ];
    assert_eq!(first_keys(&sandbox), named(&known));
    let report = sandbox.report("up");
    assert_eq!((report.renamed, report.registered, report.replaced), (3, 1, 0), "{report:?}");
}

/// A hold by prefix covers the file under its name, which a rename would take away.
#[test]
fn rename_out_of_a_hold_is_refused_and_the_file_stays_out() {
    let mut sandbox = Sandbox::new();
    sandbox.put("case/a", "x");
    sandbox.start(&[sandbox.up()]);
    sandbox.until_live("up/case/a");
    fs::rename(sandbox.path("files/case/a"), sandbox.path("files/case/b")).unwrap();
    sandbox.until_live("up/case/b");
    let review = sandbox.engine().now().saturating_add(Duration::from_hours(24));
    let hold = sexton::NewHold::new(
        "case 7".parse().unwrap(),
        Selector::Prefix(b"up/case/b".to_vec()),
        sexton::decision::HoldKind::Temporary,
        decision(),
        review,
    );
    sandbox.engine().place_hold(hold).unwrap();
    fs::rename(sandbox.path("files/case/b"), sandbox.path("files/away")).unwrap();
    until("the rename is refused", || sandbox.report("up").refused > 0);
    sandbox.rescan("up");
    assert_eq!((sandbox.live("up/away"), sandbox.report("up").refused), (false, 1));
    assert!(sandbox.sources().needs()[0].contains("case 7"), "{:?}", sandbox.sources().needs());
}

#[test]
fn overwritten_and_appended_files_stay_their_objects() {
    let mut sandbox = Sandbox::new();
    sandbox.put("over", "x");
    sandbox.put("log", "x");
    sandbox.start(&[sandbox.up()]);
    sandbox.until_live("up/over");
    sandbox.until_live("up/log");
    let version = |key: &str| sandbox.engine().live(key.as_bytes()).unwrap().unwrap().version;
    let before = [version("up/over"), version("up/log")];
    sandbox.put("over", "other");
    let mut log = fs::OpenOptions::new().append(true).open(sandbox.path("files/log")).unwrap();
    std::io::Write::write_all(&mut log, b"more").unwrap();
    drop(log);
    until("the new content is stated", || sandbox.report("up").changed >= 2);
    assert_ne!(before, [version("up/over"), version("up/log")]);
    // Another file under the name is a new object. It is a renamed one if its first name was registered before.
    fs::write(sandbox.path("files/temporary"), "third").unwrap();
    fs::rename(sandbox.path("files/temporary"), sandbox.path("files/over")).unwrap();
    until("the file is replaced", || {
        let report = sandbox.report("up");
        report.replaced + report.renamed == 1
    });
    assert!(sandbox.live("up/over"));
}

#[test]
fn include_and_exclude_select_found_and_new_files() {
    let mut sandbox = Sandbox::new();
    let mut up = sandbox.up();
    (up.include, up.exclude) = (vec!["*.jpg".into()], vec!["cache/".into()]);
    for key in ["a.jpg", "a.png", "cache/a.jpg"] {
        sandbox.put(key, "x");
    }
    sandbox.start(&[up]);
    for key in ["b.png", "cache/b.jpg", "sub/b.png", "cache/new/c.jpg", "sub/b.jpg", "b.jpg"] {
        sandbox.put(key, "x");
    }
    sandbox.until_live("up/b.jpg");
    sandbox.until_live("up/sub/b.jpg");
    sandbox.rescan("up");
    assert_eq!(sandbox.keys(), ["up/a.jpg", "up/b.jpg", "up/sub/b.jpg"]);
}

/// Links and folders take each other's place while the service scans, and nothing outside the root is ever registered.
#[test]
fn link_in_the_place_of_a_folder_leads_nowhere() {
    let mut sandbox = Sandbox::new();
    let outside = sandbox.path("outside");
    fs::create_dir_all(outside.join("in")).unwrap();
    for file in ["secret", "in/secret"] {
        fs::write(outside.join(file), "x").unwrap();
    }
    sandbox.start(&[sandbox.up()]);
    let (files, away) = (sandbox.path("files"), sandbox.path("away"));
    fs::create_dir(&away).unwrap();
    for number in 0..300 {
        let at = files.join(format!("s{}", number % 7));
        let _ = fs::remove_file(&at);
        fs::create_dir_all(at.join("in")).unwrap();
        fs::write(at.join("in/own"), "x").unwrap();
        if number % 10 == 0 {
            sandbox.sources().rescan("up").unwrap();
        }
        fs::rename(&at, away.join(number.to_string())).unwrap();
        symlink(&outside, &at).unwrap();
    }
    fs::write(outside.join("later"), "x").unwrap();
    fs::write(outside.join("in/later"), "x").unwrap();
    sandbox.put("last", "x");
    sandbox.until_live("up/last");
    sandbox.rescan("up");
    let keys = sandbox.keys();
    assert!(keys.iter().all(|key| !key.contains("secret") && !key.contains("later")), "{keys:?}");
    until("only the root is watched", || sandbox.report("up").watched_folders == 1);
}

/// The thread stands still while more files appear than its queue of events takes.
#[test]
fn overflow_of_the_event_queue_is_made_good_by_a_scan() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let files = limit.trim().parse::<usize>().unwrap() / 2 + 500;
    if files > 50_000 {
        println!("skipped: the queue of events is too long");
        return;
    }
    let (stands, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut sandbox = Sandbox::new();
    let options = SourcesOptions {
        before_events: Some(Arc::new({
            let (stands, reads) = (Arc::clone(&stands), Arc::clone(&reads));
            move || {
                reads.fetch_add(1, Ordering::SeqCst);
                while stands.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })),
        ..SourcesOptions::default()
    };
    sandbox.put("sub/first", "x");
    sandbox.start_with(&[sandbox.up()], options);
    sandbox.enable("up");
    sandbox.until_live("up/sub/first");
    stands.store(true, Ordering::SeqCst);
    let before = reads.load(Ordering::SeqCst);
    sandbox.sources().rescan("up").unwrap();
    until("the thread stands", || reads.load(Ordering::SeqCst) > before);
    for number in 0..files {
        fs::write(sandbox.path("files/sub").join(number.to_string()), "x").unwrap();
    }
    sandbox.put("lost/in/overflow", "x");
    stands.store(false, Ordering::SeqCst);
    sandbox.until_live("up/lost/in/overflow");
    let all = files as u64 + 2;
    until("all files are registered", || sandbox.report("up").registered == all);
    // The folders are watched again.
    sandbox.until_state("up", SourceState::Watching);
    sandbox.put("lost/in/later", "x");
    sandbox.until_live("up/lost/in/later");
}

#[test]
fn limit_of_watches_is_reported_and_scans_find_the_rest() {
    let mut sandbox = Sandbox::new();
    for key in ["a/x", "b/x", "c/x"] {
        sandbox.put(key, "x");
    }
    sandbox.start_with(&[sandbox.up()], SourcesOptions::default().watches_max(2));
    sandbox.sources().enable("up", OtherRoot::Refuse, &decision(), false).unwrap();
    sandbox.until_state("up", SourceState::Rescanning);
    let needs = sandbox.sources().needs();
    assert!(needs.len() == 1 && needs[0].contains("raise fs.inotify.max_user_watches"), "{needs:?}");
    for key in ["a/new", "b/new", "c/new"] {
        sandbox.put(key, "x");
    }
    sandbox.rescan("up");
    for key in ["up/a/new", "up/b/new", "up/c/new"] {
        assert!(sandbox.live(key), "{key}");
    }
    // The stated interval is enough too.
    let mut often = sandbox.up();
    often.rescan = Length(Duration::from_secs(1));
    sandbox.sources().reload(&of(&[often])).unwrap();
    sandbox.until_state("up", SourceState::Rescanning);
    sandbox.put("c/later", "x");
    sandbox.put("b/later", "x");
    sandbox.until_live("up/c/later");
    sandbox.until_live("up/b/later");
}

/// The events of files that were written last are lost with the process.
#[test]
fn scan_at_the_next_start_takes_in_what_a_kill_left() {
    let (sees, reads) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let mut sandbox = Sandbox::new();
    let options = SourcesOptions {
        before_events: Some(Arc::new({
            let (sees, reads) = (Arc::clone(&sees), Arc::clone(&reads));
            move || {
                while !sees.load(Ordering::SeqCst) {
                    reads.store(true, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })),
        ..SourcesOptions::default()
    };
    sandbox.start_with(&[sandbox.up()], options);
    sandbox.enable("up");
    sees.store(false, Ordering::SeqCst);
    sandbox.sources().rescan("up").unwrap();
    until("the thread stands", || reads.load(Ordering::SeqCst));
    sandbox.put("in/flight", "x");
    let sources = sandbox.sources.take();
    let ends = std::thread::scope(|scope| {
        let ending = scope.spawn(move || drop(sources));
        std::thread::sleep(Duration::from_millis(50));
        sees.store(true, Ordering::SeqCst);
        ending.join()
    });
    ends.unwrap();
    sandbox.reopen();
    sandbox.start_with(&[sandbox.up()], SourcesOptions::default());
    sandbox.until_live("up/in/flight");
}
