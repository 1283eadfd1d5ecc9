//! Residue of ended objects. A search of the index's files finds none after one `reclaim`.

use super::Bench;
use sexton::{Attribution, Durability, Engine, Erasure, Registration, Selector};
use sexton_tests::host::Rng;
use std::collections::HashSet;
use std::fs;
use std::time::Duration;

const CLASSES: &str = "
[class.quick]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"

[class.unfound]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"
find = \"none\"

[class.slow]
within = \"30d\"
";
/// Pieces of eight random bytes at the end of each key. Compression leaves a piece unchanged unless four of its bytes
/// repeat.
const PIECES: usize = 3;

fn keys(name: &str, n: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(name.bytes().fold(7, |n, b| n.rotate_left(9) ^ u64::from(b)));
    let mut key =
        || [name.as_bytes(), &[(); PIECES].map(|()| rng.next_u64().to_be_bytes()).concat()].concat();
    (0..n).map(|_| key()).collect()
}

/// Returns the number of keys with a piece in a table or in the write-ahead log.
fn found(bench: &Bench, keys: &[Vec<u8>]) -> usize {
    let mut windows = HashSet::new();
    for entry in fs::read_dir(bench.folder.path().join("index")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "sst" || ending == "log") {
            windows.extend(fs::read(path).unwrap().windows(8).map(<[u8]>::to_vec));
        }
    }
    let is_there = |key: &&Vec<u8>| {
        let pieces = key[key.len().saturating_sub(8 * PIECES)..].chunks_exact(8);
        pieces.into_iter().any(|piece| windows.contains(piece))
    };
    keys.iter().filter(is_there).count()
}

fn register(bench: &Bench, engine: &Engine, class: &str, subject: &[u8], keys: &[Vec<u8>]) {
    for keys in keys.chunks(50) {
        keys.iter().for_each(|key| bench.store.put(key, b"1"));
        let registration = |key| Registration::new(class, key).version(b"1").subject(subject);
        let registrations: Vec<_> = keys.iter().map(|key| registration(key)).collect();
        engine.register(&registrations, Durability::Synced).unwrap();
    }
}

#[test]
fn reclaim_leaves_no_key_of_an_ended_object_in_the_index() {
    let bench = Bench::new(CLASSES);
    let (engine, _kv) = bench.open();
    let (quick, unfound, slow) = (keys("quick", 400), keys("unfound", 400), keys("slow", 400));
    for part in 0..4 {
        let range = part * 100..part * 100 + 100;
        register(&bench, &engine, "quick", b"", &quick[range.clone()]);
        register(&bench, &engine, "slow", b"", &slow[range.clone()]);
        register(&bench, &engine, "unfound", b"", &unfound[range]);
        bench.clock.advance(Duration::from_secs(2));
    }
    for keys in [&quick, &unfound, &slow] {
        assert!(found(&bench, keys) >= 398, "the search misses live keys: {}", found(&bench, keys));
    }

    bench.clock.advance(Duration::from_secs(50));
    // Half of the slots of each class, so that ended and live rows share files.
    let ended = usize::try_from(engine.enforce(&*bench.store).unwrap().objects).unwrap() / 2;
    assert!((100..300).contains(&ended), "{ended}");
    engine.reclaim().unwrap();
    for keys in [&quick, &unfound] {
        assert_eq!(found(&bench, &keys[..ended]), 0, "keys of ended objects");
        assert!(found(&bench, &keys[ended..]) >= 398 - ended, "keys of live objects");
    }
    assert!(found(&bench, &slow) >= 398);

    bench.clock.advance(Duration::from_secs(60));
    engine.enforce(&*bench.store).unwrap();
    engine.reclaim().unwrap();
    assert_eq!(found(&bench, &quick) + found(&bench, &unfound), 0);
    assert_eq!(engine.status().unwrap().classes["slow"].live, 400);
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn forgotten_erasure_leaves_no_key_in_the_index() {
    let bench = Bench::new(CLASSES);
    let (engine, kv) = bench.open();
    let (gone, slow) = (keys("gone", 50), keys("slow", 200));
    register(&bench, &engine, "slow", b"anna", &gone);
    register(&bench, &engine, "slow", b"bob", &slow);
    let attribution = Attribution::new("privacy officer", "letter-17");
    let erasure = Erasure::new(Selector::Subject(b"anna".to_vec()), engine.now(), attribution);
    let number = engine.erase(erasure).unwrap().number;
    bench.clock.advance(Duration::from_secs(120));
    engine.enforce(&*bench.store).unwrap();
    assert_eq!(engine.status().unwrap().classes["slow"].live, 200);
    drop((engine, kv));

    let (engine, _kv) = bench.open();
    engine.reclaim().unwrap();
    // The pages that the objects left are still live, but their rows there were overwritten.
    let reason = &[b"letter-17".to_vec()];
    assert!(found(&bench, &gone) >= 48, "the request keeps the keys of its objects");
    assert_eq!(found(&bench, reason), 1, "the request keeps its reason");
    engine.forget_request(number).unwrap();
    engine.reclaim().unwrap();
    assert_eq!(found(&bench, &gone) + found(&bench, reason), 0);
    assert!(found(&bench, &slow) >= 198);
    assert!(engine.check().unwrap().is_sound());
}
