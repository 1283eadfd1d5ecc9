//! A write-ahead log (WAL) that was lost or cut off. Every durable registration is there after opening, or it is refused.
#![expect(clippy::disallowed_methods, reason = "a test damages files; nothing needs to be durable")]

use super::Bench;
use sexton::{Durability, Engine, Error, ErrorKind, Registration};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CLASSES: &str = "[class.quick]\nwithin = \"60s\"\nslot = \"1s\"\nlead = \"1s\"\n";
const SYNCED: u64 = 30;
/// Header of a record of the WAL: checksum (4), length u16, little-endian, type (1).
const RECORD_HEADER: usize = 7;

fn register(engine: &Engine, from: u64, to: u64, durability: Durability) {
    for key in (from..to).map(|n| format!("object-{n}")) {
        engine.register(&[Registration::new("quick", key.as_bytes()).version(b"1")], durability).unwrap();
    }
}

/// Returns a bench with a closed folder, in which the live WAL file has everything that was registered.
fn used(buffered: u64) -> Bench {
    let bench = Bench::new(CLASSES);
    let engine = bench.open().0;
    register(&engine, 0, SYNCED, Durability::Synced);
    register(&engine, SYNCED, SYNCED + buffered, Durability::Buffered);
    bench
}

fn wal(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("index")).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.pop().unwrap()
}

/// Copies a folder and opens the copy, after `change` got its path.
fn open_changed(bench: &Bench, change: impl FnOnce(&Path)) -> Result<u64, Error> {
    let copied = tempfile::tempdir().unwrap();
    super::refusals::copy(bench.folder.path(), copied.path());
    change(copied.path());
    let clock = Arc::clone(&bench.clock) as Arc<dyn sexton::testing::Clock>;
    let engine = Engine::open_with_clock(copied.path(), &bench.options, clock)?;
    assert!(engine.check().unwrap().is_sound());
    Ok(engine.status().unwrap().classes["quick"].live)
}

fn assert_lost(opened: Result<u64, Error>, what: &str) {
    let error = opened.expect_err(what);
    let sentence = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {sentence}");
    assert!(sentence.contains("write-ahead log") && !sentence.contains('\n'), "{what}: {sentence}");
}

#[test]
fn missing_wal_is_refused_until_it_is_put_back() {
    let bench = used(0);
    let result = open_changed(&bench, |folder| {
        let (wal, kept) = (wal(folder), folder.join("kept"));
        fs::rename(&wal, &kept).unwrap();
        for _ in 0..2 {
            let clock = Arc::clone(&bench.clock) as Arc<dyn sexton::testing::Clock>;
            let opened = Engine::open_with_clock(folder, &bench.options, clock);
            assert_lost(opened.map(|_| 0), "missing");
            assert!(!wal.exists(), "opening created a WAL file");
        }
        fs::rename(&kept, &wal).unwrap();
    });
    assert_eq!(result.unwrap(), SYNCED);
}

/// The end of a whole record is where RocksDB notices nothing.
#[test]
fn wal_cut_anywhere_before_the_last_sync_is_refused() {
    let bench = used(0);
    let bytes = fs::read(wal(bench.folder.path())).unwrap();
    let mut ends = vec![0];
    while let Some(header) = bytes[ends[ends.len() - 1]..].first_chunk::<RECORD_HEADER>() {
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        ends.push(ends[ends.len() - 1] + RECORD_HEADER + length);
    }
    assert_eq!(ends.last(), Some(&bytes.len()), "the WAL has records of another form");
    assert!(ends.len() as u64 > SYNCED, "{} records", ends.len());
    let inside = ends.windows(2).step_by(5).map(|record| record[0] + (record[1] - record[0]) / 2);
    let cuts: Vec<usize> =
        ends[..ends.len() - 1].iter().copied().chain(inside).chain([bytes.len() - 1]).collect();
    for cut in cuts {
        let cut_wal = |folder: &Path| {
            let file = fs::File::options().write(true).open(wal(folder)).unwrap();
            file.set_len(cut as u64).unwrap();
        };
        assert_lost(open_changed(&bench, cut_wal), &format!("cut at {cut} of {}", bytes.len()));
    }
    assert_eq!(open_changed(&bench, |_| ()).unwrap(), SYNCED);
}

/// After a power failure the mark can be that of the group before the last. Then only the loss of the last group opens.
#[test]
fn mark_one_group_behind_covers_all_groups_but_the_last() {
    let bench = Bench::new(CLASSES);
    let folder = bench.folder.path();
    let mark = |folder: &Path| folder.join("index/SYNCED");
    let engine = bench.open().0;
    let (mut lengths, mut marks) = (Vec::new(), Vec::new());
    for n in 0..SYNCED {
        register(&engine, n, n + 1, Durability::Synced);
        lengths.push(fs::metadata(wal(folder)).unwrap().len());
        marks.push(fs::read(mark(folder)).unwrap());
    }
    drop(engine);
    let last = lengths.len() - 1;
    let open = |mark_of: usize, cut_to: usize| {
        open_changed(&bench, |folder| {
            fs::File::options().write(true).open(wal(folder)).unwrap().set_len(lengths[cut_to]).unwrap();
            fs::write(mark(folder), &marks[mark_of]).unwrap();
        })
    };
    assert_lost(open(last, last - 1), "the last group, with its mark");
    assert_lost(open(last - 1, last - 2), "the last two groups, with the mark before");
    assert_eq!(open(last - 1, last - 1).unwrap(), SYNCED - 1);
}

#[test]
fn wal_cut_behind_the_last_sync_opens() {
    let bench = used(10);
    let cut_wal = |folder: &Path| {
        let wal = wal(folder);
        let length = fs::metadata(&wal).unwrap().len();
        fs::File::options().write(true).open(wal).unwrap().set_len(length - 20).unwrap();
    };
    assert_eq!(open_changed(&bench, cut_wal).unwrap(), SYNCED + 9);
    assert_eq!(open_changed(&bench, |_| ()).unwrap(), SYNCED + 10);
}

#[test]
fn damaged_mark_is_refused_and_missing_one_made_again() {
    let bench = used(0);
    let mark = |folder: &Path| folder.join("index/SYNCED");
    for damaged in [&b""[..], b"short", &[0; 16], &[7; 17]] {
        let opened = open_changed(&bench, |folder| fs::write(mark(folder), damaged).unwrap());
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("SYNCED"), "{error}");
    }
    let remove = |folder: &Path| fs::remove_file(mark(folder)).unwrap();
    assert_eq!(open_changed(&bench, remove).unwrap(), SYNCED);
}

/// Flushes, runs of the key index, range deletions and dropped files change what RocksDB knows of its last write.
#[test]
fn folder_opens_again_after_every_kind_of_write() {
    let mut bench = Bench::new(CLASSES);
    bench.options.memtable_keys = 20;
    for round in 0..20 {
        let engine = bench.open().0;
        let keys: Vec<String> = (0..50).map(|n| super::long_key(&format!("{round}/{n}"), 900)).collect();
        bench.register(&engine, &keys);
        bench.clock.advance(std::time::Duration::from_secs(40));
        engine.enforce(&*bench.store).unwrap();
        if round % 3 == 0 {
            engine.reclaim().unwrap();
        }
    }
    assert!(bench.open().0.check().unwrap().is_sound());
}
