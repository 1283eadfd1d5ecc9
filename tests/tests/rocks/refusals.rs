//! Data folders that the engine must refuse, with one clear error and without a change.

use super::{Bench, long_key};
use sexton::report::EngineState;
use sexton::testing::Clock;
use sexton::testing::kv::rocks::RocksKv;
use sexton::{Engine, Error, ErrorKind, Options};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const CLASSES: &str = "[class.quick]\nwithin = \"60s\"\nslot = \"1s\"\nlead = \"1s\"\n";
const LIVE: u64 = 300;
const ENDED: u64 = 300;

/// Returns a bench with a used folder. Half of its objects have ended, half live.
fn used() -> Bench {
    let mut bench = Bench::new(CLASSES);
    bench.options.rocks.write_buffer_bytes = 64 << 10;
    let engine = open(&bench, bench.folder.path()).unwrap();
    for (half, count) in [("first", ENDED), ("second", LIVE)] {
        let keys: Vec<String> = (0..count).map(|n| long_key(&format!("{half}-{n}"), 700)).collect();
        for part in keys.chunks(25) {
            bench.register(&engine, part);
            if half == "second" {
                bench.clock.advance(Duration::from_secs(1));
            }
        }
        if half == "first" {
            bench.clock.advance(Duration::from_secs(60));
            assert_eq!(engine.enforce(&*bench.store).unwrap().objects, ENDED);
        }
    }
    bench
}

fn open_with(bench: &Bench, folder: &Path, options: &Options) -> Result<Engine, Error> {
    Engine::open_with_clock(folder, options, Arc::clone(&bench.clock) as Arc<dyn Clock>)
}

fn open(bench: &Bench, folder: &Path) -> Result<Engine, Error> {
    open_with(bench, folder, &bench.options)
}

/// Asserts that opening fails with this kind, and that the message has these words.
fn refused(opened: Result<Engine, Error>, kind: ErrorKind, names: &str) {
    let error = opened.err().expect("it was opened");
    let sentence = error.to_string();
    assert_eq!(error.kind(), kind, "{sentence}");
    assert!(sentence.contains(names) && !sentence.contains('\n'), "{sentence}");
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

/// Returns all files outside the index: keys, head and published files.
fn evidence(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = files(folder);
    all.retain(|path, _| !path.starts_with("index"));
    all
}

pub(super) fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        write(&target, &bytes);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test damages files; nothing needs to be durable")]
pub(super) fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Asserts that all objects are as they were.
fn assert_whole(engine: &Engine) {
    let status = engine.status().unwrap();
    assert_eq!(status.state, EngineState::Running);
    let quick = status.classes["quick"];
    assert_eq!((quick.live, quick.ended.deleted), (LIVE, ENDED));
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// The engine that has the folder open is not disturbed.
#[test]
fn open_folder_is_busy_for_a_second_engine() {
    let bench = used();
    let folder = bench.folder.path();
    let engine = open(&bench, folder).unwrap();
    refused(open(&bench, folder), ErrorKind::Busy, "is open in another process");
    let index = RocksKv::open(&folder.join("index"), &bench.options.rocks);
    assert_eq!(index.err().map(|e| e.kind()), Some(ErrorKind::Busy));
    assert_whole(&engine);
    drop(engine);
    assert_whole(&open(&bench, folder).unwrap());
}

#[test]
fn other_shard_count_or_origin_is_refused_without_a_change() {
    let bench = used();
    let folder = bench.folder.path();
    let before = evidence(folder);
    let shards = bench.options.clone().shards(3);
    refused(open_with(&bench, folder, &shards), ErrorKind::Invalid, "has 2 shards, not 3");
    let mut other = bench.options.clone();
    other.origin = Some("another.example/log".into());
    refused(open_with(&bench, folder, &other), ErrorKind::Invalid, "another.example/log");
    assert_eq!(evidence(folder), before);
    assert_whole(&open(&bench, folder).unwrap());
}

#[test]
fn unwritable_folder_is_refused_and_left_empty() {
    let bench = Bench::new(CLASSES);
    let file = bench.folder.path().join("file");
    write(&file, b"here");
    refused(open(&bench, &file), ErrorKind::Io, "file");
    refused(open(&bench, &file.join("below")), ErrorKind::Io, "below");
    for name in ["index", "keys", "lock"] {
        let folder = bench.folder.path().join(format!("with-{name}"));
        fs::create_dir_all(&folder).unwrap();
        // A file in the place of a folder, and a folder in the place of a file.
        if name == "lock" {
            fs::create_dir(folder.join(name)).unwrap();
        } else {
            write(&folder.join(name), b"in the way");
        }
        refused(open(&bench, &folder), ErrorKind::Io, name);
        assert!(!folder.join("head").exists() && !folder.join("log").exists());
    }
    let closed = bench.folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Permissions do not stop the superuser.
    if fs::File::create(closed.join("probe")).is_err() {
        refused(open(&bench, &closed), ErrorKind::Io, "closed");
        assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
    }
}

#[test]
fn engine_without_its_keys_opens_once_they_are_back() {
    let bench = used();
    let folder = bench.folder.path();
    for name in ["keys/keyring", "keys/log.key"] {
        let path = folder.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let before = evidence(folder);
        refused(open(&bench, folder), ErrorKind::Corrupt, name);
        assert_eq!(evidence(folder), before, "opening created {name}");
        let mut changed = bytes.clone();
        changed[60] ^= 1;
        write(&path, &changed);
        refused(open(&bench, folder), ErrorKind::Corrupt, name);
        write(&path, &bytes);
        assert_whole(&open(&bench, folder).unwrap());
    }
}

/// The recorded head is missing. The published checkpoint alone is enough to notice an older index that was restored.
#[test]
fn lost_head_still_binds_to_the_published_checkpoint() {
    let bench = used();
    let folder = bench.folder.path();
    let old = bench.folder.path().with_extension("old");
    copy(folder, &old);
    let engine = open(&bench, folder).unwrap();
    bench.clock.advance(Duration::from_secs(60));
    engine.enforce(&*bench.store).unwrap();
    drop(engine);
    fs::remove_file(folder.join("head")).unwrap();
    let engine = open(&bench, folder).unwrap();
    assert_eq!(engine.status().unwrap().state, EngineState::Running);
    assert!(engine.check().unwrap().is_sound());
    drop(engine);

    fs::remove_dir_all(folder.join("index")).unwrap();
    copy(&old.join("index"), &folder.join("index"));
    fs::remove_dir_all(&old).unwrap();
    let _ = fs::remove_file(folder.join("head"));
    let engine = open(&bench, folder).unwrap();
    assert!(matches!(engine.status().unwrap().state, EngineState::Forked(_)));
    assert_eq!(engine.enforce(&*bench.store).unwrap_err().kind(), ErrorKind::Forked);
}

#[test]
fn foreign_checkpoint_or_head_is_refused() {
    let (bench, other) = (used(), used());
    let folder = bench.folder.path();
    for name in ["log/checkpoint", "head"] {
        let path = folder.join(name);
        let ours = fs::read(&path).unwrap();
        let mut changed = ours.clone();
        let last = changed.len() - 20;
        changed[last] = if changed[last] == b'a' { b'b' } else { b'a' };
        write(&path, &changed);
        refused(open(&bench, folder), ErrorKind::Corrupt, name);
        write(&path, &ours);
    }
    // A checkpoint signed by another key under the same name.
    let theirs = fs::read(other.folder.path().join("log/checkpoint")).unwrap();
    let ours = fs::read(folder.join("log/checkpoint")).unwrap();
    write(&folder.join("log/checkpoint"), &theirs);
    refused(open(&bench, folder), ErrorKind::Corrupt, "log/checkpoint");
    write(&folder.join("log/checkpoint"), &ours);
    assert_whole(&open(&bench, folder).unwrap());
}

#[test]
fn lost_index_is_not_created_again_beside_a_published_log() {
    let bench = used();
    let folder = bench.folder.path();
    let before = evidence(folder);
    let kept = bench.folder.path().with_extension("kept");
    copy(&folder.join("index"), &kept);
    fs::remove_dir_all(folder.join("index")).unwrap();
    refused(open(&bench, folder), ErrorKind::Corrupt, "bring the index back");
    assert_eq!(evidence(folder), before);
    fs::remove_dir_all(folder.join("index")).unwrap();
    copy(&kept, &folder.join("index"));
    fs::remove_dir_all(&kept).unwrap();
    assert_whole(&open(&bench, folder).unwrap());
}

/// RocksDB takes a folder without this file for a new one and deletes the files in it. An operator who restored all
/// files but this one must still have them after the refusal.
#[test]
fn index_without_its_file_current_is_refused_unchanged() {
    let bench = used();
    let folder = bench.folder.path();
    let current = folder.join("index/CURRENT");
    let bytes = fs::read(&current).unwrap();
    fs::remove_file(&current).unwrap();
    // RocksDB writes its own trace into LOG.
    let data = || files(folder).into_iter().filter(|(path, _)| !path.starts_with("index/LOG"));
    let before: BTreeMap<_, _> = data().collect();
    refused(open(&bench, folder), ErrorKind::Corrupt, "CURRENT");
    assert_eq!(data().collect::<BTreeMap<_, _>>(), before);
    write(&current, &bytes);
    assert_whole(&open(&bench, folder).unwrap());
}

/// Function that damages the bytes of a file.
type Damage = fn(&mut Vec<u8>);

/// Result of opening a damaged index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Refused,
    Forked,
    /// It opened, and the full check or enforcing noticed the damage.
    Later,
    Harmless,
    /// It opened in an earlier state, which is sound but lacks the latest registrations.
    Earlier,
}

fn find_out(bench: &Bench, folder: &Path, what: &str) -> Found {
    let before = evidence(folder);
    let engine = match open(bench, folder) {
        Ok(engine) => engine,
        Err(error) => {
            let clear = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Invalid);
            assert!(clear, "{what}: {:?}: {error}", error.kind());
            assert_eq!(evidence(folder), before, "{what}");
            return Found::Refused;
        }
    };
    let Ok(status) = engine.status() else { return Found::Later };
    if let EngineState::Forked(_) = status.state {
        assert_eq!(engine.enforce(&*bench.store).unwrap_err().kind(), ErrorKind::Forked, "{what}");
        assert_eq!(evidence(folder), before, "{what}");
        return Found::Forked;
    }
    match engine.check() {
        Ok(report) if report.is_sound() => {}
        _ => return Found::Later,
    }
    let counts = status.classes.get("quick").map(|quick| (quick.live, quick.ended.deleted));
    if counts == Some((LIVE, ENDED)) { Found::Harmless } else { Found::Earlier }
}

#[test]
fn damaged_index_is_refused_or_reported_without_a_panic() {
    let bench = used();
    let folder = bench.folder.path();
    let damages: [(&str, Damage); 7] = [
        ("flipped early", |bytes| flip(bytes, 5)),
        ("flipped in the middle", |bytes| flip(bytes, 2)),
        ("flipped late", |bytes| flip(bytes, 1)),
        ("cut by a little", |bytes| bytes.truncate(bytes.len().saturating_sub(30))),
        ("cut to half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("emptied", Vec::clear),
        ("filled with zeros", |bytes| bytes.fill(0)),
    ];
    let mut found: BTreeMap<(&str, Found), Vec<String>> = BTreeMap::new();
    for (path, bytes) in files(&folder.join("index")) {
        let name = path.to_string_lossy().into_owned();
        let kind = match () {
            () if name.ends_with(".sst") => "table",
            () if name.ends_with(".log") => "write-ahead log",
            () if name.starts_with("MANIFEST") => "manifest",
            () if name == "CURRENT" => "current",
            () => continue,
        };
        for (how, damage) in
            damages.iter().map(|(how, damage)| (*how, Some(damage))).chain([("missing", None)])
        {
            let copied = tempfile::tempdir().unwrap();
            copy(folder, copied.path());
            let target = copied.path().join("index").join(&path);
            match damage {
                Some(damage) => {
                    let mut bytes = bytes.clone();
                    damage(&mut bytes);
                    write(&target, &bytes);
                }
                None => fs::remove_file(&target).unwrap(),
            }
            let what = format!("{name} ({} bytes) {how}", bytes.len());
            let end = find_out(&bench, copied.path(), &what);
            found.entry((kind, end)).or_default().push(what);
        }
    }
    for ((kind, end), cases) in &found {
        println!("{kind}: {end:?}: {} e.g. {}", cases.len(), cases[0]);
    }
    assert_eq!(bench.store.len() as u64, LIVE, "a damaged index deleted objects");
    // RocksDB accepts a WAL or manifest that is truncated or zeroed, because a power loss can leave such a file. The mark of
    // the last fsync shows that durable writes are missing.
    assert!(!found.keys().any(|(_, end)| *end == Found::Earlier), "durable writes were lost in silence");
    assert!(
        found.contains_key(&("write-ahead log", Found::Refused)),
        "no write-ahead log was damaged in the middle"
    );
}

/// Flips a bit, `part` sixths of the file before its end.
fn flip(bytes: &mut [u8], part: usize) {
    let at = (bytes.len() - bytes.len() / 6 * part.min(5)).min(bytes.len().saturating_sub(3));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
}
