//! `erase` and `request`.

use crate::run::sexton;
use crate::sandbox::{DAY_MS, HOUR_MS, Sandbox, WHY, instant, now_ms};
use serde_json::{Value, json};
use sexton::Registration;
use std::fs;

fn request<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["erase", "request", "DATA"], more, &WHY[..]].concat()
}

#[test]
fn erasure_by_keys_finds_and_deletes_objects() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a", "b", "c"]);
    sandbox.put("keys.txt", "a\nb\nno-one\n");
    let words = request(&["--keys", "@keys.txt"]);
    let (text, value) = sandbox.dry(&words);
    assert_eq!(text.stdout, "would erase 3 keys\n  it covers 2 live objects now\n");
    assert_eq!((&value["number"], &value["state"]), (&Value::Null, &"waiting".into()));
    assert_eq!(value["live_objects"], 2);
    let value = sandbox.json(&words);
    assert_eq!((&value["number"], &value["kind"]), (&1.into(), &"erase".into()));
    assert_eq!((&value["immediate"], &value["answer_by_ms"]), (&false.into(), &Value::Null));
    let listed = sandbox.ok(&["request", "list", "DATA"]).stdout;
    assert!(listed.contains("waiting, the next enforcement looks for its objects"), "{listed}");
    assert_eq!(sandbox.json(&["status", "DATA"])["oldest_erasure"]["number"], 1);

    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a") && !sandbox.has("b") && sandbox.has("c"));
    let value = sandbox.json(&["request", "list", "DATA", "--objects", "1"]);
    assert_eq!((&value["state"], &value["objects"]), (&"finished".into(), &2.into()));
    let objects = value["object_list"].as_array().unwrap();
    let is_deleted = |object: &Value| object["progress"] == "ended" && object["method"] == "deleted";
    assert!(objects.iter().all(is_deleted), "{value}");
    assert_eq!(sandbox.json(&["status", "DATA"])["oldest_erasure"], Value::Null);
    // The third object was not requested, and is live.
    assert_eq!(sandbox.json(&["status", "DATA"])["classes"]["slow"]["live"], 1);
}

#[test]
fn key_file_of_any_length_makes_one_decision() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["key-00007", "key-24999", "other"]);
    let keys: String = (0..25_000).map(|number| format!("key-{number:05}\n")).collect();
    sandbox.put("keys.txt", &keys);
    let hold = ["hold", "place", "DATA", "--name", "case 7", "--review", "2999-12-31", "--keys", "@keys.txt"];
    let hold = [&hold[..], &WHY].concat();
    let erase = request(&["--keys", "@keys.txt"]);
    for (words, of) in [(&hold, "on"), (&erase, "of")] {
        let (text, _) = sandbox.dry(words);
        let is_said = text.stdout.contains("25000 keys\n  it covers 2 live objects now\n");
        assert!(is_said, "{}", text.stdout);
        let value = sandbox.json(words);
        assert_eq!((&value[of], &value["live_objects"]), (&"25000 keys".into(), &2.into()));
        let shown = value["selector"]["keys"].as_array().unwrap();
        assert_eq!((shown.len(), &value["selector"]["more"]), (10_000, &15_000.into()));
        assert_eq!(shown[0], hex::encode("key-00000"));
    }
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(sandbox.has("key-00007") && sandbox.has("key-24999"), "the hold covers both");
    sandbox.ok(&[&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("key-00007") && !sandbox.has("key-24999") && sandbox.has("other"));

    let overlong = format!("{keys}{}\nlast\n", "x".repeat(2_049));
    sandbox.put("keys.txt", overlong);
    for words in [&hold, &erase] {
        sandbox.refused(words, "keys.txt line 25001 has a key of more than 2048 bytes");
    }
}

#[test]
fn erasure_by_subject_finds_it_and_unknown_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.register(Registration::new("slow", b"1").subject(b"anna"));
    sandbox.register(Registration::new("slow", b"2").subject(b"ben"));
    sandbox.file("1", 0);
    sandbox.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    assert!(sandbox.ok(&request(&["--subject", "anna"])).stdout.contains("erase the subject \"anna\""));
    let none = sandbox.ok(&request(&["--key", "no-one"])).stdout;
    assert!(none.contains("it covers no live object now; check what it names"), "{none}");
    sandbox.refused(&request(&["--subject", "no-one"]), "no live object has the subject \"no-one\"");
    sandbox.run(&["enforce", "DATA", "--dir", "FILES"]);
    let value = sandbox.json(&["request", "list", "DATA"]);
    assert_eq!(value[0]["objects"], 1, "{value}");
    assert_eq!(value.as_array().unwrap().len(), 2, "{value}");
}

#[test]
fn request_list_shows_why_an_object_is_pending() {
    let sandbox = Sandbox::new();
    sandbox.put("floor.toml", "[class.floor]\nkeep = '10d'\nwithin = '20d'\nstart = 'explicit'\n");
    sandbox.ok(&["class", "set", "DATA", "@floor.toml"]);
    sandbox.registered("floor", HOUR_MS, &["floored"]);
    sandbox.registered("slow", 0, &["held"]);
    sandbox.hold("case 7", &["--key", "held"]);
    sandbox.ok(&request(&["--key", "floored", "--key", "held"]));
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let value = sandbox.json(&["request", "list", "DATA", "--objects", "1"]);
    assert_eq!(value["state"], "found");
    let of = |key: &str| value["object_list"].as_array().unwrap().iter().find(|of| of["key"] == key).unwrap();
    assert_eq!(of("held")["held"], true);
    let floor_ms = of("floored")["floor_ms"].as_i64().unwrap();
    assert!((floor_ms - now_ms() - 10 * DAY_MS + HOUR_MS).abs() < 60_000);
    let text = sandbox.ok(&["request", "list", "DATA", "--objects", "1"]).stdout;
    assert!(text.contains("held  kept by a legal hold"), "{text}");
    assert!(text.contains("floored  waits for its floor, "), "{text}");
}

#[test]
fn erasure_is_cancelled_within_its_time_only() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a"]);
    let received = instant(now_ms() - DAY_MS);
    let words = request(&["--key", "a", "--received", &received, "--cancellable", "15d", "--within", "30d"]);
    let value = sandbox.json(&words);
    let received_ms = value["received_ms"].as_i64().unwrap();
    assert_eq!(value["cancellable_until_ms"], received_ms + 15 * DAY_MS);
    assert_eq!(value["answer_by_ms"], received_ms + 30 * DAY_MS);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(sandbox.has("a"));
    let (text, _) = sandbox.dry(&["erase", "cancel", "DATA", "1"]);
    assert_eq!(text.stdout, "request 1 would be cancelled: erasure of the key \"a\"\n");
    sandbox.refused(
        &["erase", "forget", "DATA", "1"],
        "request 1 is still open; once it is finished or cancelled, `sexton erase forget` forgets it",
    );
    assert_eq!(sandbox.json(&["erase", "cancel", "DATA", "1"])["state"], "cancelled");
    sandbox.ok(&["erase", "cancel", "DATA", "1"]);

    sandbox.ok(&request(&["--key", "a"]));
    sandbox.refused(&["erase", "cancel", "DATA", "2"], "erasure 2 is final: it could never be cancelled");
    sandbox.refused(&["erase", "cancel", "DATA", "3"], "there is no request 3");
    sandbox.ok(&request(&["--key", "a", "--received", &received, "--cancellable", "1h"]));
    let until = instant(received_ms + HOUR_MS);
    let until = until.strip_suffix("Z").unwrap();
    sandbox.refused(
        &["erase", "cancel", "DATA", "3"],
        &format!("erasure 3 is final: it could be cancelled until {until}"),
    );

    sandbox.dry(&["erase", "forget", "DATA", "1"]);
    assert_eq!(sandbox.ok(&["erase", "forget", "DATA", "1"]).stdout, "request 1 is forgotten\n");
    let left = sandbox.json(&["request", "list", "DATA"]);
    assert_eq!(left.as_array().unwrap().len(), 2);
}

#[test]
fn working_days_exclude_weekends_and_holidays() {
    let sandbox = Sandbox::new();
    // 2026-02-13 is a Friday. The 16th to the 20th are holidays. The 28th, a Saturday, is a working day.
    let holidays = "# spring\n2026-02-16\n2026-02-17\n2026-02-18\n2026-02-19\n2026-02-20\n+2026-02-28\n";
    sandbox.put("cn.txt", holidays);
    let words = request(&[
        "--key",
        "a",
        "--received",
        "2026-02-13T09:00:00Z",
        "--within",
        "15wd",
        "--holidays",
        "@cn.txt",
    ]);
    let (text, value) = sandbox.dry(&words);
    assert!(text.stdout.contains("it is to be answered by 2026-03-12T09:00:00.000Z"), "{text:?}");
    assert_eq!(sandbox.json(&words)["answer_by_ms"], value["answer_by_ms"]);
    sandbox.put("bad.txt", "2026-02-16\n2026-02-30\n");
    let bad = request(&["--key", "a", "--within", "15wd", "--holidays", "@bad.txt"]);
    sandbox.refused(&bad, "line 2 of the holidays: expected a date that exists");
    sandbox.refused(&request(&["--key", "a", "--within", "15wd", "--holidays", "@none"]), "cannot be read");
    sandbox.refused(&request(&["--key", "a", "--holidays", "@cn.txt"]), "required");
}

#[test]
fn immediate_erasure_is_due_in_a_second_and_final() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a"]);
    let (text, value) = sandbox.dry(&request(&["--key", "a", "--immediate"]));
    let expected = "  immediate, as it is to be answered within a second: it cannot be cancelled, and its objects are deleted at the next enforcement, \
                    unless a floor or a hold keeps them\n";
    assert!(text.stdout.ends_with(expected), "{text:?}");
    assert_eq!(value["immediate"], true);
    let value = sandbox.json(&request(&["--key", "a", "--immediate"]));
    assert_eq!(value["answer_by_ms"].as_i64().unwrap() - value["received_ms"].as_i64().unwrap(), 1_000);
    assert!(sandbox.ok(&["request", "list", "DATA"]).stdout.contains(", immediate"));
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a"));
    sandbox.registered("slow", 0, &["b"]);
    let (within, value) = sandbox.dry(&request(&["--key", "b", "--within", "1s"]));
    assert_eq!((within.stdout.contains("  immediate, as it is"), &value["immediate"]), (true, &true.into()));
    for more in [["--cancellable", "15d"], ["--within", "3d"]] {
        let words = [&["--key", "a", "--immediate"], &more[..]].concat();
        sandbox.refused(&request(&words), "cannot be used with");
    }
}

#[test]
fn erasure_invalid_is_refused_with_reason() {
    let sandbox = Sandbox::new();
    let ahead = instant(now_ms() + HOUR_MS);
    sandbox.put("empty.txt", "");
    sandbox.put("gap.txt", "a\n\nb\n");
    sandbox.put("windows.txt", "a\r\n");
    let cases: [(&[&str], &str); 13] = [
        (&["--key", "a", "--received", &ahead], "lies in the future"),
        (&["--key", "a", "--received", "yesterday"], "expected RFC 3339"),
        (&["--key", "a", "--within", "99999999999d"], "a span is a number from 1"),
        (&["--key", "a", "--within", "1000000y"], "within 1000000y"),
        (&["--key", "a", "--cancellable", "6mo"], "is a calendar span"),
        (&["--key", "a", "--cancellable", "400d"], "are allowed"),
        (&["--key", "a", "--cancellable", "15d", "--within", "3d"], "cancelled for longer than it may take"),
        (&["--key", ""], "an empty key would select nothing"),
        (&["--subject", ""], "an empty subject would select nothing"),
        (&["--keys", "@empty.txt"], "has no keys"),
        (&["--keys", "@gap.txt"], "line 2 is empty"),
        (&["--keys", "@windows.txt"], "line 1 ends with a carriage return"),
        (&[], "required"),
    ];
    for (more, why) in cases {
        sandbox.refused(&request(more), why);
    }
}

#[test]
fn erase_receipts_are_valid_and_skip_tickets() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.registered("tickets", HOUR_MS, &["t"]);
    sandbox.registered("slow", 0, &["kept"]);
    sandbox.hold("case 7", &["--key", "kept"]);
    sandbox.ok(&request(&["--key", "a", "--key", "b", "--key", "t", "--key", "kept"]));
    let words = ["erase", "receipts", "DATA", "1", "--out", "@receipts"];
    assert!(sandbox.ok(&words).stdout.starts_with("no receipts yet: its objects are not found yet"));
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("2 receipts in ") && ran.stdout.contains("objects still pending: 1"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("no receipt: t: ") && ran.stdout.contains("use the ticket"), "{ran:?}");
    let value = sandbox.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!((value["written"].as_array().unwrap().len(), &value["pending"]), (2, &1.into()));
    assert_eq!(value["refused"][0]["key"], "t");
    let receipts = sandbox.path("receipts");
    assert_eq!(fs::read_dir(&receipts).unwrap().count(), 3);
    let policy = receipts.join("trust.policy");
    let verified = sexton(["verify".as_ref(), receipts.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    sandbox
        .run(&["erase", "receipts", "DATA", "9", "--out", "@other"])
        .assert_refused("there is no request 9");
    assert!(!sandbox.path("other").exists());
}

#[test]
fn request_list_has_all_kinds_or_erasures_only() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[&["class", "close", "DATA", "short"], &WHY[..]].concat());
    sandbox.refused(&["erase", "cancel", "DATA", "1"], "request 1 is no erasure");
    sandbox
        .run(&["request", "list", "DATA", "--objects", "1"])
        .assert_refused("request 1 has no list of objects: it is a close of the class \"short\"");
    sandbox
        .run(&["erase", "receipts", "DATA", "1", "--out", "@receipts"])
        .assert_refused("request 1 has no list of objects: it is a close of the class \"short\"");
    assert!(!sandbox.path("receipts").exists());
    assert_eq!(sandbox.json(&["request", "list", "DATA", "--erasures"]), json!([]));
    assert_eq!(sandbox.ok(&["request", "list", "DATA", "--erasures"]).stdout, "there are no requests\n");
    let all = sandbox.json(&["request", "list", "DATA"]);
    assert_eq!((&all[0]["kind"], &all[0]["of"]), (&"close".into(), &"the class \"short\"".into()));
    assert!(sandbox.ok(&["request", "list", "DATA"]).stdout.contains("closing of the class \"short\""));
}
