use super::*;
use sexton::kv::{Family, Kv, Order};
use sexton::{Durability, Registration};
use std::ops::ControlFlow;

fn row_key(slot: i64) -> Vec<u8> {
    let mut k = u64::try_from(slot).unwrap().to_be_bytes().to_vec();
    k.extend([0; 8]);
    k
}

fn raw_rows(kv: &RocksKv, to: &[u8]) -> u64 {
    let mut n = 0;
    kv.scan(Family::Rows(FIRST_CLASS), &[0][..]..to, Order::Ascending, &mut |_, _| {
        n += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    n
}

#[test]
fn explore() {
    let var = |n: &str, d: i64| std::env::var(n).map_or(d, |v| v.parse().unwrap());
    let (per_slot, step, total, flush, busy) =
        (var("PER", 200), var("STEP", 5), var("TOTAL", 300), var("FLUSH", 5), var("BUSY", 2000));
    let mut bench = Bench::new(
        "[class.quick]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\n[class.ubusy]\nwithin=\"10d\"\nfind=\"none\"\n",
    );
    bench.options.rocks.wal_bytes = 1 << 20;
    bench.options.rocks.write_buffer_bytes = var("WB", 256) as usize * 1024;
    bench.options.rocks.file_bytes = var("FB", 64) as u64 * 1024;
    let (engine, kv) = bench.open();
    let start = engine.now_ms();
    let t0 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for second in 0..total {
        let keys: Vec<String> = (0..per_slot)
            .map(|n| {
                let h = sha2_hex(&format!("{second}/{n}"));
                format!("{second}/{n}/{h}{h}")
            })
            .collect();
        let items: Vec<_> = keys
            .iter()
            .map(|k| Registration {
                version: b"1",
                start_ms: Some(start + second * 1000),
                ..Registration::new("quick", k.as_bytes())
            })
            .collect();
        engine.register(&items, Durability::Buffered).unwrap();
        for k in &keys {
            bench.store.put(k.as_bytes(), b"1");
        }
    }
    println!("registered {:?}", std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - t0);
    bench.clock.advance(3_600_000 - 2_000);
    for second in 0..total {
        engine.enforce(&*bench.store).unwrap();
        bench.clock.advance(1_000);
        if second % flush == flush - 1 {
            let keys: Vec<String> =
                (0..busy).map(|n| sha2_hex(&format!("b{second}/{n}")).repeat(5)).collect();
            let items: Vec<_> = keys.iter().map(|k| Registration::new("ubusy", k.as_bytes())).collect();
            engine.register(&items, Durability::Synced).unwrap();
        }
        if second % step == step - 1
            && let Some(next) = engine.next_due_ms()
        {
            let to = row_key(next);
            let before = raw_rows(&kv, &to);
            kv.reclaim(Family::Rows(FIRST_CLASS), &[(row_key(0), to.clone())]).unwrap();
            let after = raw_rows(&kv, &to);
            if after > 0 || second == total - 1 || second % 50 == 49 {
                println!(
                    "{second}: {before} -> {after} live {}",
                    engine.status().unwrap().classes["quick"].live
                );
            }
        }
    }
    println!("done {:?}", std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - t0);
    let _ = std::process::Command::new("grep")
        .arg("-E")
        .arg("compacted to|lsm_state")
        .arg(bench.folder.path().join("index/LOG"))
        .stdout(std::fs::File::create("/tmp/lsm.txt").unwrap())
        .status();
}

fn sha2_hex(t: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(t))
}
