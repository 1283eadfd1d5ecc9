//! `receipt`, `policy` and `enforce --receipts`.

use crate::run::sexton;
use crate::sandbox::{HOUR_MS, Sandbox, WHY, instant, now, now_ms};
use sexton::store::{Answer, Store, SubBatch};
use sexton::{Durability, Registration};
use std::fs;
use std::path::Path;

/// Store that has deleted everything.
struct Deleting;

impl Store for Deleting {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        part.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

/// Verifies all receipts in a folder and returns their number.
fn verified(folder: &Path) -> usize {
    let policy = folder.join("trust.policy");
    let ran = sexton(["verify".as_ref(), folder.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::read_dir(folder).unwrap().count() - 1
}

/// Returns a sandbox in which `a` and `b` of the class `files` and `short` of the class `short` ended. Only `files`
/// remembers them and has a feed. `live` is live.
fn ended() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.registered("short", 2 * HOUR_MS, &["short"]);
    sandbox.registered("slow", 0, &["live"]);
    // `short` was past its ceiling when it was registered.
    assert_eq!(sandbox.run(&["enforce", "DATA", "--dir", "FILES"]).code, 3);
    sandbox
}

#[test]
fn receipt_by_key_is_written_with_its_policy() {
    let sandbox = ended();
    let ran = sandbox.ok(&["receipt", "DATA", "a", "b", "--out", "@receipts"]);
    assert!(ran.stdout.starts_with("2 receipts in "), "{ran:?}");
    assert_eq!(verified(&sandbox.path("receipts")), 2);
    sandbox.put("keys", "61\n");
    let value = sandbox.json(&["receipt", "DATA", "--keys", "@keys", "--hex", "--out", "@one"]);
    assert_eq!((&value["written"][0]["key"], &value["refused"]), (&"a".into(), &serde_json::json!([])));
    assert_eq!(verified(&sandbox.path("one")), 1);
    let policy = sandbox.ok(&["policy", "DATA"]).stdout;
    assert_eq!(policy, fs::read_to_string(sandbox.path("one/trust.policy")).unwrap());
    assert_eq!(sandbox.json(&["policy", "DATA"])["policy"], policy);
}

#[test]
fn receipt_of_live_or_forgotten_key_says_why_not() {
    let sandbox = ended();
    let words = ["receipt", "DATA", "live", "short", "a", "--out", "@receipts"];
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("1 receipt in "), "{ran:?}");
    assert!(
        ran.stdout.contains("no receipt: live: ") && ran.stdout.contains("has not ended: it is due"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("no receipt: short: its end is not remembered")
            && ran.stdout.contains("name the registration that ended (--id)"),
        "{ran:?}"
    );
    let value = sandbox.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!(value["refused"].as_array().unwrap().len(), 2, "{value}");
    sandbox.run(&["receipt", "DATA", "--out", "@receipts"]).assert_refused("required");
    sandbox
        .run(&["receipt", "DATA", "a", "b", "--id", &"0".repeat(40), "--out", "@receipts"])
        .assert_refused("--id names one registration, not those of 2 keys");
}

#[test]
fn receipt_by_registration_or_ticket_needs_no_memory() {
    let sandbox = Sandbox::new();
    let (short, ticket) = {
        let engine = sandbox.engine();
        let start = now().saturating_sub(std::time::Duration::from_hours(2));
        let register = |registration: Registration<'_>| {
            let registered = engine.register(&[registration.start(start)], Durability::Synced);
            registered.unwrap().remove(0)
        };
        let registered =
            (register(Registration::new("short", b"s")), register(Registration::new("tickets", b"t")));
        engine.enforce(&Deleting).unwrap();
        registered
    };
    let id = short.id.to_string();
    let receipt = |more: &[&str]| sandbox.run(&[&["receipt", "DATA", "--out", "@receipts"], more].concat());
    assert_eq!(receipt(&["s"]).code, 1);
    assert_eq!(receipt(&["s", "--id", &id]).code, 0);
    assert_eq!(receipt(&["other", "--id", &id]).code, 1);
    let (id, hex) = (ticket.id.to_string(), hex::encode(ticket.ticket.unwrap()));
    assert_eq!(receipt(&["t", "--id", &id]).code, 1);
    let ran = receipt(&["--ticket", &hex, "--id", &id, "--json"]);
    assert_eq!((ran.code, &ran.json()["written"][0]["key"]), (0, &serde_json::Value::Null), "{ran:?}");
    receipt(&["--ticket", &hex]).assert_refused("required");
    let receipts = fs::read_dir(sandbox.path("receipts")).unwrap().count() - 1;
    assert_eq!(receipts, 2);
}

#[test]
fn receipts_since_come_from_feed_and_erasures() {
    let sandbox = ended();
    sandbox.registered("slow", 0, &["erased"]);
    sandbox.ok(&[&["erase", "request", "DATA", "--key", "erased"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let keys = |since: &str| -> Vec<String> {
        let value = sandbox.json(&["receipt", "DATA", "--since", since, "--out", "@receipts"]);
        let mut keys: Vec<String> = value["written"]
            .as_array()
            .unwrap()
            .iter()
            .map(|written| written["key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("-1h"), ["a", "b", "erased"]);
    assert_eq!(verified(&sandbox.path("receipts")), 3);
    assert_eq!(keys(&instant(now_ms() + HOUR_MS)), [""; 0]);
    // With keys it leaves out live objects and earlier ends.
    let value = sandbox.json(&["receipt", "DATA", "a", "live", "--since", "-1h", "--out", "@receipts"]);
    assert_eq!((value["written"].as_array().unwrap().len(), &value["pending"]), (1, &1.into()), "{value}");
    // The feed alone has the registration of an end that its class does not remember.
    let entry = &sandbox.json(&["feed", "read", "DATA"])["entries"][0];
    assert_eq!(entry["id"].as_str().unwrap().len(), 40, "{entry}");
}

#[test]
fn enforce_with_receipts_writes_one_for_each_end() {
    let sandbox = Sandbox::new();
    sandbox.registered("short", 2 * HOUR_MS, &["a", "b", "gone", "changed"]);
    fs::remove_file(sandbox.path("files/gone")).unwrap();
    sandbox.put("files/changed", "overwritten");
    let ran = sandbox.run(&["enforce", "DATA", "--dir", "FILES", "--receipts", "@receipts", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!((&ran.json()["receipts"]["written"], &ran.json()["problems_found"]), (&3.into(), &1.into()));
    assert_eq!(fs::read_dir(sandbox.path("receipts")).unwrap().count(), 4);
}
