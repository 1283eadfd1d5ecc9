//! Class versions: what each costs, and what is left of it when its objects have ended.

use super::Bench;
use sexton::Opener;
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use sexton::testing::kv::{ColumnFamily, Kv, WriteSet};
use sexton::{ClassSet, RegistrationId};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Returns the class `quick` with this term.
fn quick(seconds: u64) -> String {
    format!("[class.quick]\nwithin = \"{seconds}s\"\nslot = \"1s\"\nlead = \"1s\"\n")
}

/// Returns the column families of class versions, from the newest options that RocksDB wrote.
fn class_families(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder.join("index")).unwrap().map(|entry| entry.unwrap().path());
    let newest =
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("OPTIONS-")).max();
    let text = fs::read_to_string(newest.unwrap()).unwrap();
    let sections =
        text.lines().filter_map(|line| line.trim().strip_prefix("[CFOptions \"")?.strip_suffix("\"]"));
    sections.filter(|name| name.starts_with("class-")).map(str::to_owned).collect()
}

#[test]
fn class_without_objects_has_no_column_family() {
    let text: String = (0..250).map(|n| format!("[class.c{n}]\nwithin = \"{}d\"\n", n + 2)).collect();
    let bench = Bench::new(&format!("{text}{}", quick(60)));
    let engine = bench.open().0;
    assert_eq!(engine.status().unwrap().classes.len(), 251);
    assert_eq!(class_families(bench.folder.path()), BTreeSet::new());
    bench.register(&engine, &["a".to_owned()]);
    assert_eq!(class_families(bench.folder.path()), BTreeSet::from(["class-251".to_owned()]));
    drop(engine);
    let engine = bench.open().0;
    assert_eq!(engine.status().unwrap().classes["quick"].live, 1);
    assert!(engine.check().unwrap().is_sound());
}

/// Of the old versions only the definitions and the log stay, so that receipts can still be made.
#[test]
fn superseded_class_version_goes_once_its_objects_ended() {
    let mut bench = Bench::new(&quick(60));
    drop(bench.open());
    // From here on the test defines the versions, not the opening.
    bench.options.classes = ClassSet::empty();
    let mut ended: Vec<(RegistrationId, String)> = Vec::new();
    for round in 1..=8_u64 {
        let engine = bench.open().0;
        let keys: Vec<String> = (0..20).map(|n| format!("{round}/{n}")).collect();
        bench.register(&engine, &keys);
        ended.extend(keys.iter().map(|key| (engine.find(key.as_bytes()).unwrap().unwrap(), key.clone())));
        engine.define_classes(&ClassSet::from_toml(&quick(60 + round)).unwrap()).unwrap();
        engine.reclaim().unwrap();
        let own = BTreeSet::from([format!("class-{round}")]);
        assert_eq!(class_families(bench.folder.path()), own, "it has live rows");
        bench.clock.advance(Duration::from_secs(200));
        assert_eq!(engine.enforce(&*bench.store).unwrap().objects, 20);
        engine.reclaim().unwrap();
        assert_eq!(class_families(bench.folder.path()), BTreeSet::new(), "round {round}");
        assert!(engine.check().unwrap().is_sound());
    }
    let engine = bench.open().0;
    assert!(engine.check().unwrap().is_sound());
    for (id, key) in ended {
        engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
    }
}

/// The last writes before the end of the process are those to a column family that goes.
#[test]
fn index_opens_again_after_a_column_family_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ColumnFamily::Rows(7);
    for round in 0..4 {
        let kv = RocksKv::open(folder.path(), &RocksOptions::default()).unwrap();
        assert_eq!(kv.get(rows, b"a").unwrap(), None);
        let mut set = WriteSet::default();
        set.put(rows, b"a", b"1");
        kv.write(set).unwrap();
        kv.sync().unwrap();
        kv.drop_rows_if_empty(7).unwrap();
        assert_eq!(kv.get(rows, b"a").unwrap().as_deref(), Some(&b"1"[..]), "round {round}");
        let mut set = WriteSet::default();
        set.delete_range(rows, &b"a"[..]..&b"b"[..]);
        kv.write(set).unwrap();
        kv.sync().unwrap();
        if round % 2 == 0 {
            kv.purge(rows, &(b"a".to_vec()..b"b".to_vec())).unwrap();
        }
        kv.drop_rows_if_empty(7).unwrap();
        kv.finish_purge().unwrap();
    }
    RocksKv::open(folder.path(), &RocksOptions::default()).unwrap();
}

#[test]
fn row_written_while_its_column_family_goes_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kv = RocksKv::open(folder.path(), &RocksOptions::default()).unwrap();
    let (rows, is_done) = (ColumnFamily::Rows(7), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                kv.drop_rows_if_empty(7).unwrap();
            }
        });
        for round in 0..60_u32 {
            let mut set = WriteSet::default();
            set.put(rows, &round.to_be_bytes(), b"1");
            kv.write(set).unwrap();
            thread::yield_now();
            assert!(kv.get(rows, &round.to_be_bytes()).unwrap().is_some(), "row {round} is lost");
            let mut set = WriteSet::default();
            set.delete(rows, &round.to_be_bytes());
            kv.write(set).unwrap();
        }
        is_done.store(true, Ordering::SeqCst);
    });
}
