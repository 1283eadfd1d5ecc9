use super::*;
use sexton::{Durability, Registration};

/// A key of `bytes` bytes that no compression makes smaller, so that files fill up quickly.
fn long_key(name: &str, bytes: usize) -> String {
    use sha2::Digest;
    let mut key = format!("{name}/");
    let mut part = 0_u32;
    while key.len() < bytes {
        key += &hex::encode(sha2::Sha256::digest(format!("{name}/{part}")));
        part += 1;
    }
    key.truncate(bytes);
    key
}

#[test]
fn reclaiming_up_to_a_live_page_never_takes_its_first_row_along() {
    // Pages of a single row each: every file ends with the first row of a page, and once its turn has come, of the
    // first page that lives. Dropping files "from here to there" must not take "there" along.
    let mut bench = Bench::new("[class.quick]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\n");
    bench.options.shards = Some(1);
    bench.options.rocks.write_buffer_bytes = 64 << 10;
    bench.options.rocks.file_bytes = 16 << 10;
    let (engine, _) = bench.open();
    let start_ms = engine.now_ms();
    let keys: Vec<String> = (0..400).map(|n| long_key(&n.to_string(), 1_000)).collect();
    for (second, key) in (0_i64..).zip(&keys) {
        bench.store.put(key.as_bytes(), b"1");
        let start_ms = Some(start_ms + second * 1_000);
        let item = Registration { version: b"1", start_ms, ..Registration::new("quick", key.as_bytes()) };
        engine.register(&[item], Durability::Buffered).unwrap();
    }
    for (at, key) in keys.iter().enumerate() {
        bench.clock.set(engine.next_due_ms().unwrap());
        engine.reclaim().unwrap();
        assert!(
            engine.find(key.as_bytes()).unwrap().is_some(),
            "{at} slots ended, and the next lost its first row"
        );
        engine.enforce(&*bench.store).unwrap();
        assert!(!bench.store.has(key.as_bytes()));
    }
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}
