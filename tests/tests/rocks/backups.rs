//! Copies of an open data folder: they are consistent whatever goes on meanwhile, open for reading only, and go on under a
//! new origin once the original is lost.

use sexton::backup::Backup;
use sexton::decision::{AlarmCause, HoldKind};
use sexton::report::{Action, EngineState, KeyHistory};
use sexton::store::dir::RootId;
use sexton::testing::{Clock, VirtualClock};
use sexton::{
    Attribution, ClassSet, Durability, Engine, ErrorKind, HoldName, NewHold, Opener, Options, Registration,
    RegistrationId, Selector,
};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::merkle::{self, Frontier, Hash};
use sexton_proof::note::{Note, Verifier};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_tests::{DAY, HOUR, MINUTE, MapStore, NEW_YEAR, ORIGIN};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use tempfile::TempDir;

const CLASSES: &str = "
[class.quick]
within = \"10m\"
slot = \"1m\"
lead = \"1m\"
remember = \"30d\"
feed = true

[class.slow]
within = \"90d\"
remember = \"30d\"
";
const NEW_ORIGIN: &str = "sexton.test/log-2";

/// Data folder and its copies, with a clock and a store that outlive them.
struct Site {
    folder: TempDir,
    clock: Arc<VirtualClock>,
    store: Arc<MapStore>,
    options: Options,
}

impl Site {
    fn new() -> Self {
        let mut options = Options::new(ORIGIN).shards(2).memtable_keys(500).threads(1);
        options.classes = ClassSet::from_toml(CLASSES).unwrap();
        options.rocks.write_buffer_bytes = 256 << 10;
        options.rocks.file_bytes = 64 << 10;
        let clock = Arc::new(VirtualClock::new(NEW_YEAR));
        Site { folder: tempfile::tempdir().unwrap(), clock, store: Arc::default(), options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, name: &str) -> sexton::Result<Engine> {
        Engine::open_with_clock(&self.path(name), &self.options, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn back_up(&self, engine: &Engine, name: &str) -> Backup {
        engine.back_up(&self.path(name)).unwrap()
    }

    fn restore(&self, name: &str, origin: &str) -> sexton::Result<Engine> {
        let mut options = self.options.clone();
        options.origin = Some(origin.into());
        Engine::restore_with_clock(
            &self.path(name),
            &options,
            &why(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        )
    }

    fn register(&self, engine: &Engine, class: &str, keys: &[&str]) -> Vec<RegistrationId> {
        let registrations: Vec<_> = keys
            .iter()
            .map(|key| {
                self.store.put(key.as_bytes(), b"1");
                Registration::new(class, key.as_bytes()).version(b"1")
            })
            .collect();
        let registered = engine.register(&registrations, Durability::Synced).unwrap();
        registered.into_iter().map(|one| one.id).collect()
    }

    /// Lets this time pass and enforces.
    fn pass(&self, engine: &Engine, time: std::time::Duration) {
        self.clock.advance(time);
        engine.enforce(&*self.store).unwrap();
    }
}

fn why() -> Attribution {
    Attribution::new("Ada", "the disk is lost")
}

fn hold(engine: &Engine, name: &str, key: &str) {
    let review = engine.now().saturating_add(90 * DAY);
    let keys = Selector::Keys([key].into_iter().collect());
    let hold = NewHold::new(HoldName::new(name).unwrap(), keys, HoldKind::Temporary, why(), review);
    engine.place_hold(hold).unwrap();
}

fn assert_sound(engine: &Engine, what: &str) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
}

/// Returns every file of a folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn copy_made_under_load_has_all_that_was_acknowledged() {
    const THREADS: usize = 2;
    let site = Site::new();
    let engine = site.open("data").unwrap();
    let acknowledged: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let is_over = AtomicBool::new(false);
    let key = |thread: usize, call: u64, n: u64| format!("{thread}/{call}/{n}");
    let mut copies = Vec::new();
    thread::scope(|scope| {
        for (thread, count) in acknowledged.iter().enumerate() {
            let (site, engine, is_over) = (&site, &engine, &is_over);
            scope.spawn(move || {
                for call in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    let keys: Vec<String> = (0..20).map(|n| key(thread, call, n)).collect();
                    let class = if call % 3 == 0 { "slow" } else { "quick" };
                    site.register(engine, class, &keys.iter().map(String::as_str).collect::<Vec<_>>());
                    count.store(call + 1, Ordering::SeqCst);
                }
            });
        }
        let (site, engine, over) = (&site, &engine, &is_over);
        scope.spawn(move || {
            for round in 0_u64.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                site.pass(engine, MINUTE);
                if round % 4 == 0 {
                    // A copy under way refuses it.
                    let refused = engine.reclaim().err().map(|error| error.kind());
                    assert!(matches!(refused, None | Some(ErrorKind::Busy)), "{refused:?}");
                }
            }
        });
        for number in 0..5 {
            while acknowledged.iter().any(|count| count.load(Ordering::SeqCst) < 8 * (number + 1)) {
                thread::yield_now();
            }
            let before: Vec<u64> = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let name = format!("copy-{number}");
            let backup = site.back_up(engine, &name);
            assert!(backup.linked_files > 0 && backup.copied_files == 0, "{backup:?}");
            copies.push((name, before));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_sound(&engine, "the original");
    for (name, before) in &copies {
        let copy = site.open(name).unwrap();
        assert_sound(&copy, name);
        for (thread, calls) in before.iter().enumerate() {
            for (call, n) in (0..*calls).flat_map(|call| (0..20).map(move |n| (call, n))) {
                let history = copy.ended(key(thread, call, n).as_bytes()).unwrap();
                assert!(!matches!(history, KeyHistory::Unknown), "{name}: {thread}/{call}/{n}");
            }
        }
    }
    // The copies go on from any moment, with the batches that were on their way.
    for (name, _) in copies {
        let restored = site.restore(&name, NEW_ORIGIN).unwrap();
        assert_sound(&restored, &name);
        let alarm = restored.status().unwrap().alarms.remove(0);
        restored.resume(alarm.id, why()).unwrap();
        site.pass(&restored, HOUR);
        assert_sound(&restored, &name);
    }
}

#[test]
fn copy_takes_no_change_and_no_file_of_it_changes() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    let ids = site.register(&engine, "quick", &["a", "b"]);
    site.pass(&engine, HOUR);
    site.register(&engine, "quick", &["c"]);
    site.back_up(&engine, "copy");
    drop(engine);
    site.clock.advance(HOUR);
    fs::File::create(site.path("copy/lock")).unwrap();
    let before = files(&site.path("copy"));
    let copy = site.open("copy").unwrap();

    let Err(refused) = copy.register(&[Registration::new("slow", b"x")], Durability::Synced) else {
        panic!()
    };
    assert_eq!(refused.kind(), ErrorKind::Forked);
    assert!(refused.to_string().contains("sexton restore"), "{refused}");
    for refused in [
        copy.enforce(&*site.store).unwrap_err(),
        copy.next_batch().map(|_| ()).unwrap_err(),
        copy.reclaim().unwrap_err(),
        copy.publish().unwrap_err(),
        copy.close_down(Selector::Everything, why()).unwrap_err(),
        copy.pause(HOUR, &why()).unwrap_err(),
        copy.apply_class("quick", why()).unwrap_err(),
        copy.set_limits(None, why()).unwrap_err(),
        copy.back_up(&site.path("another")).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Forked, "{refused}");
    }
    assert!(site.store.has(b"c"));

    assert!(matches!(copy.state(), EngineState::Copy(_)));
    assert_eq!(copy.plan(copy.now()).unwrap().count(), 1);
    let policy = Policy::parse(copy.policy()).unwrap();
    let receipt = copy.receipt(ids[0], Opener::Key(b"a")).unwrap();
    receipt::verify(receipt.as_bytes(), &policy, copy.now()).unwrap();
    assert_sound(&copy, "the copy");
    drop(copy);
    assert_eq!(files(&site.path("copy")), before);
}

#[test]
fn copy_has_no_key_that_signs() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    site.back_up(&engine, "copy");
    let key = fs::read(site.path("data/keys/log.key")).unwrap();
    let key = key.trim_ascii_end();
    for (path, content) in files(&site.path("copy")) {
        assert!(!content.windows(key.len()).any(|part| part == key), "{}", path.display());
    }
    // Without its mark the copy does not open.
    fs::remove_file(site.path("copy/copy")).unwrap();
    let refused = site.open("copy").err().unwrap();
    assert!(refused.to_string().contains("keys/log.key cannot be used: it is missing"), "{refused}");
}

#[test]
fn place_that_cannot_take_a_copy_is_refused() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    fs::create_dir(site.path("taken")).unwrap();
    fs::create_dir(site.path(".tmp-foreign")).unwrap();
    fs::File::create(site.path(".tmp-foreign/file")).unwrap();
    std::os::unix::fs::symlink("taken", site.path("link")).unwrap();
    fs::create_dir(site.path("root")).unwrap();
    engine.accept_root(RootId::from_bytes([7; 16]), &site.path("root")).unwrap();
    let cases = [
        ("data/copy", "lies in"),
        ("root/copy", "lies in"),
        ("data", "exists already"),
        ("taken", "exists already"),
        ("link", "exists already"),
        ("foreign", "is no unfinished copy"),
        ("none/copy", "cannot find the folder"),
        ("..", "names no new folder"),
    ];
    let before = files(site.folder.path());
    for (name, message) in cases {
        let refused = engine.back_up(&site.path(name)).unwrap_err();
        assert!(refused.to_string().contains(message), "{name}: {refused}");
    }
    assert_eq!(files(site.folder.path()), before);
    assert!(!site.path("data/index.copy").exists());
}

#[test]
fn copy_that_another_engine_makes_is_left_to_it() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    fs::create_dir(site.path(".tmp-copy")).unwrap();
    let mut mark = "sexton copy v0\nunfinished\n".to_owned();
    sexton_proof::checked_text::append_check(&mut mark);
    super::refusals::write(&site.path(".tmp-copy/copy"), mark.as_bytes());
    let lock = fs::File::create(site.path(".tmp-copy/lock")).unwrap();
    lock.lock().unwrap();
    let refused = engine.back_up(&site.path("copy")).unwrap_err();
    assert!(refused.to_string().contains("is being made"), "{refused}");
    assert!(site.path(".tmp-copy/copy").exists());
    drop(lock);
    site.back_up(&engine, "copy");
}

/// Leaves what a crash at each step of making a copy leaves, and what another program may have under the same name.
#[test]
fn folder_of_a_killed_copy_is_replaced_at_every_step() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    site.register(&engine, "slow", &["a"]);
    site.back_up(&engine, "whole");
    let whole = fs::read(site.path("whole/copy")).unwrap();
    let mut unfinished = "sexton copy v0\nunfinished\n".to_owned();
    sexton_proof::checked_text::append_check(&mut unfinished);
    let unfinished = unfinished.as_bytes();
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Files<'_>, bool); 11] = [
        (&[], true),
        (&[("lock", b"")], true),
        (&[("lock", b""), (".tmp-copy", b"")], true),
        (&[("lock", b""), (".tmp-copy", unfinished)], true),
        (&[("lock", b""), ("copy", unfinished)], true),
        (&[("lock", b""), ("copy", unfinished), ("index", b"")], true),
        (&[("lock", b""), ("copy", unfinished), (".tmp-copy", &whole)], true),
        (&[("lock", b""), ("copy", &whole), ("index", b"")], true),
        (&[("lock", b""), ("file", b"of another program")], false),
        (&[("file", b"of another program")], false),
        (&[("lock", b""), ("copy", b"of another program")], false),
    ];
    for (left, is_replaced) in cases {
        fs::create_dir(site.path(".tmp-copy")).unwrap();
        for (name, content) in left {
            super::refusals::write(&site.path(".tmp-copy").join(name), content);
        }
        let before = files(site.folder.path());
        match is_replaced {
            true => {
                site.back_up(&engine, "copy");
                assert!(!site.path(".tmp-copy").exists(), "{left:?}");
                assert_sound(&site.open("copy").unwrap(), "the copy after a crash");
                fs::remove_dir_all(site.path("copy")).unwrap();
            }
            false => {
                let refused = engine.back_up(&site.path("copy")).unwrap_err();
                assert!(refused.to_string().contains("is no unfinished copy"), "{left:?}: {refused}");
                assert_eq!(files(site.folder.path()), before, "{left:?}");
                fs::remove_dir_all(site.path(".tmp-copy")).unwrap();
            }
        }
    }
}

#[test]
fn feed_of_a_restored_copy_repeats_no_number() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    site.register(&engine, "quick", &["before"]);
    site.pass(&engine, HOUR);
    site.back_up(&engine, "copy");
    site.register(&engine, "quick", &["between"]);
    site.pass(&engine, HOUR);
    let read = engine.feed(0, 10).unwrap().last().unwrap().number;
    drop(engine);

    let restored = site.restore("copy", NEW_ORIGIN).unwrap();
    let alarm = restored.status().unwrap().alarms.remove(0);
    restored.resume(alarm.id, why()).unwrap();
    site.register(&restored, "quick", &["after"]);
    site.pass(&restored, HOUR);
    restored.acknowledge_feed(read).unwrap();
    let left: Vec<Vec<u8>> = restored.feed(read, 10).unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(left, [b"after"]);
    assert_sound(&restored, "the restored folder");
}

#[test]
fn unfinished_copy_is_never_taken_for_a_whole_one() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    site.register(&engine, "slow", &["a"]);
    site.back_up(&engine, "whole");
    // What a crash leaves: the temporary folder with the mark of its beginning, and the staged index.
    let leave = || {
        fs::create_dir_all(site.path(".tmp-copy/index")).unwrap();
        fs::create_dir_all(site.path("data/index.copy")).unwrap();
        fs::copy(site.path("whole/index/CURRENT"), site.path(".tmp-copy/index/CURRENT")).unwrap();
    };
    leave();
    let mut mark = "sexton copy v0\nunfinished\n".to_owned();
    sexton_proof::checked_text::append_check(&mut mark);
    super::refusals::write(&site.path(".tmp-copy/copy"), mark.as_bytes());
    let refused = site.open(".tmp-copy").err().unwrap();
    assert!(refused.to_string().contains("is not whole"), "{refused}");
    assert!(site.restore(".tmp-copy", NEW_ORIGIN).is_err());
    site.back_up(&engine, "copy");
    assert!(!site.path(".tmp-copy").exists() && !site.path("data/index.copy").exists());
    assert_sound(&site.open("copy").unwrap(), "the second attempt");
    fs::create_dir_all(site.path("data/index.copy")).unwrap();
    drop(engine);
    site.open("data").unwrap();
    assert!(!site.path("data/index.copy").exists());
}

#[test]
fn copy_on_another_file_system_has_the_same_content() {
    use std::os::unix::fs::MetadataExt;
    let site = Site::new();
    let engine = site.open("data").unwrap();
    // More than 256 entries, so that the log has full tiles.
    (0..300).for_each(|n| hold(&engine, &format!("hold {n}"), "a"));
    site.register(&engine, "quick", &["b"]);
    site.pass(&engine, HOUR);
    let here = site.back_up(&engine, "here");
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    let [tile, checkpoint] = ["log/tile/0/000", "log/checkpoint"];
    assert_eq!(inode(site.path("here").join(tile)), inode(site.path("data").join(tile)));
    assert_ne!(inode(site.path("here").join(checkpoint)), inode(site.path("data").join(checkpoint)));
    assert_sound(&site.open("here").unwrap(), "the copy on the same file system");

    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
    if memory.path().metadata().unwrap().dev() == site.folder.path().metadata().unwrap().dev() {
        return;
    }
    let there = engine.back_up(&memory.path().join("copy")).unwrap();
    assert!(there.copied_files > 0 && there.copied_bytes > 0 && there.linked_files == 0, "{there:?}");
    assert_eq!(there.log_entries, here.log_entries);
    let clock = Arc::clone(&site.clock) as Arc<dyn Clock>;
    let copy = Engine::open_with_clock(&memory.path().join("copy"), &site.options, clock).unwrap();
    assert_sound(&copy, "the copy on another file system");
}

/// Returns the entries of a published log, as a mirror has them, with its checkpoint.
fn published(folder: &Path, key: &Verifier) -> (Vec<Vec<u8>>, Checkpoint) {
    let note = fs::read_to_string(folder.join("log/checkpoint")).unwrap();
    let note = Note::parse(&note).unwrap();
    note.verify(&[key]).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let mut entries = Vec::new();
    for id in sexton_proof::tile::bundles_to_publish(0, checkpoint.size) {
        let bytes = fs::read(folder.join("log").join(id.path())).unwrap();
        entries.extend(sexton_proof::tile::parse_bundle(&bytes).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    (entries, checkpoint)
}

/// Asserts that a log extends an earlier one, by a consistency proof between their signed checkpoints.
fn assert_extends(new: &(Vec<Vec<u8>>, Checkpoint), old: &Checkpoint) {
    let mut nodes = BTreeMap::new();
    let mut frontier = Frontier::new();
    for entry in &new.0 {
        let mut emit = |level, index, hash| {
            nodes.insert((level, index), hash);
        };
        frontier.push(merkle::leaf_hash(entry), &mut emit);
    }
    assert_eq!(frontier.root(), new.1.root);
    let mut read = |level, index| Ok::<Hash, ()>(nodes[&(level, index)]);
    let proof = merkle::consistency_proof(old.size, new.1.size, &mut read).unwrap();
    merkle::verify_consistency(old.size, new.1.size, &old.root, &new.1.root, &proof).unwrap();
}

#[test]
fn restored_copy_deletes_nothing_until_an_operator_resumes() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    let ended = site.register(&engine, "quick", &["early"]);
    site.pass(&engine, HOUR);
    let (_, first) = published(&site.path("data"), &engine.log_key());
    site.register(&engine, "quick", &["a", "b"]);
    site.back_up(&engine, "copy");
    // After the copy: a hold, an object, and an end.
    hold(&engine, "later", "a");
    site.register(&engine, "quick", &["later"]);
    site.pass(&engine, HOUR);
    assert!(site.store.has(b"a") && !site.store.has(b"b"));
    let (_, last) = published(&site.path("data"), &engine.log_key());
    let old_key = engine.log_key();
    drop(engine);

    let refused = site.restore("copy", ORIGIN).err().unwrap();
    assert!(refused.to_string().contains("choose a new origin"), "{refused}");
    let restored = site.restore("copy", NEW_ORIGIN).unwrap();
    site.pass(&restored, DAY);
    assert!(site.store.has(b"a"), "the hold came after the copy");
    let status = restored.status().unwrap();
    let EngineState::Paused(message) = &status.state else { panic!("{:?}", status.state) };
    for part in ["sexton.test/log", "by Ada: the disk is lost", "Place later holds", "reconcile every root"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(restored.needs(&status).unwrap().iter().any(|need| need.contains(message)));
    for object in restored.plan(restored.now()).unwrap() {
        assert!(matches!(object.unwrap().action, Action::Stopped(AlarmCause::Restored { .. })));
    }
    drop(restored);

    // It stays so over a reopening. The operator places the hold again, then resumes.
    let mut options = site.options.clone();
    options.origin = None;
    let clock = Arc::clone(&site.clock) as Arc<dyn Clock>;
    let restored = Engine::open_with_clock(&site.path("copy"), &options, clock).unwrap();
    site.pass(&restored, HOUR);
    assert!(site.store.has(b"a"));
    hold(&restored, "later", "a");
    let fresh = site.register(&restored, "quick", &["new"]);
    let alarm = restored.status().unwrap().alarms.remove(0);
    restored.resume(alarm.id, why()).unwrap();
    site.pass(&restored, HOUR);
    assert!(site.store.has(b"a") && !site.store.has(b"new"));
    assert_sound(&restored, "the restored folder");

    // The log has the same beginning, another name and another key.
    let new = published(&site.path("copy"), &restored.log_key());
    assert_eq!((restored.log_key().name(), new.1.origin.as_str()), (NEW_ORIGIN, NEW_ORIGIN));
    assert_ne!(restored.log_key().public_key(), old_key.public_key());
    assert_extends(&new, &first);
    // The original went on after the copy. Its checkpoints stay its own.
    assert!(last.size > first.size && last.origin == ORIGIN);
    let policy = Policy::parse(restored.policy()).unwrap();
    let old_policy = Policy::parse(format!("log {old_key}\nquorum none\n")).unwrap();
    let of_old = restored.receipt(ended[0], Opener::Key(b"early")).unwrap();
    let of_new = restored.receipt(fresh[0], Opener::Key(b"new")).unwrap();
    for (receipt, policy) in [(&of_old, &policy), (&of_old, &old_policy), (&of_new, &policy)] {
        receipt::verify(receipt.as_bytes(), policy, restored.now()).unwrap();
    }
    assert!(receipt::verify(of_new.as_bytes(), &old_policy, restored.now()).is_err());
}

#[test]
fn interrupted_restoring_goes_on_with_the_same_origin() {
    let site = Site::new();
    let engine = site.open("data").unwrap();
    site.register(&engine, "slow", &["a"]);
    site.back_up(&engine, "copy");
    drop(engine);
    let mark = fs::read(site.path("copy/copy")).unwrap();
    // A key of another attempt, which has signed nothing, gives way. The original's key does not.
    fs::copy(site.path("data/keys/log.key"), site.path("copy/keys/log.key")).unwrap();
    let refused = site.restore("copy", NEW_ORIGIN).err().unwrap();
    assert!(refused.to_string().contains("take it out of the copy"), "{refused}");
    site.back_up(&site.open("data").unwrap(), "other");
    drop(site.restore("other", "sexton.test/other").unwrap());
    fs::copy(site.path("other/keys/log.key"), site.path("copy/keys/log.key")).unwrap();

    // The mark goes last. While it is there, the folder opens as nothing else.
    drop(site.restore("copy", NEW_ORIGIN).unwrap());
    super::refusals::write(&site.path("copy/copy"), &mark);
    let refused = site.open("copy").err().unwrap();
    assert!(refused.to_string().contains("was interrupted: run `sexton restore` again"), "{refused}");
    assert!(site.restore("copy", "sexton.test/log-3").is_err());
    let restored = site.restore("copy", NEW_ORIGIN).unwrap();
    assert_eq!(restored.status().unwrap().alarms.len(), 1);
    assert_sound(&restored, "the restored folder");
    assert!(!site.path("copy/copy").exists());

    // A copy of it can be restored in turn, under a name that none of the logs had.
    site.back_up(&restored, "second");
    for origin in [ORIGIN, NEW_ORIGIN] {
        assert!(site.restore("second", origin).is_err(), "{origin}");
    }
    let second = site.restore("second", "sexton.test/log-3").unwrap();
    assert_eq!(second.status().unwrap().alarms.len(), 2);
    assert_sound(&second, "the second copy");
    let logs = second.policy().lines().filter(|line| line.starts_with("log ")).count();
    assert_eq!(logs, 3);
}
