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
    let per_slot: u32 = std::env::var("PER").map_or(500, |v| v.parse().unwrap());
    let step: u32 = std::env::var("STEP").map_or(20, |v| v.parse().unwrap());
    let total: u32 = std::env::var("TOTAL").map_or(300, |v| v.parse().unwrap());
    let bench = Bench::new(QUICK);
    let (engine, kv) = bench.open();
    for second in 0..total {
        let keys: Vec<String> = (0..per_slot).map(|n| {
            let h = sha2_hex(&format!("{second}/{n}"));
            format!("{second}/{n}/{h}{h}")
        }).collect();
        let items: Vec<_> = keys.iter().map(|k| Registration { version: b"1", start_ms: Some(engine.now_ms()), ..Registration::new("quick", k.as_bytes()) }).collect();
        engine.register(&items, Durability::Synced).unwrap();
        for k in &keys { bench.store.put(k.as_bytes(), b"1"); }
        bench.clock.advance(1_000);
        engine.enforce(&*bench.store).unwrap();
        if second % step == step - 1 {
            let to = row_key(engine.next_due_ms().unwrap());
            let before = raw_rows(&kv, &to);
            kv.reclaim(Family::Rows(FIRST_CLASS), &[(row_key(0), to.clone())]).unwrap();
            let after = raw_rows(&kv, &to);
            println!("{second}: {before} -> {after} live {}", engine.status().unwrap().classes["quick"].live);
        }
    }
}

fn sha2_hex(t: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(t))
}
