//! `erase`.

use crate::run::sexton;
use crate::yard::{DAY_MS, HOUR_MS, WHY, Yard, instant, now_ms};
use serde_json::{Value, json};
use sexton::Registration;
use std::fs;

fn request<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["erase", "request", "DATA"], more, &WHY[..]].concat()
}

#[test]
fn an_erasure_by_keys_is_taken_found_and_done() {
    let yard = Yard::new();
    yard.registered("slow", 0, &["a", "b", "c"]);
    yard.put("keys.txt", "a\nb\nnobody\n");
    let words = request(&["--keys", "@keys.txt"]);
    let (text, told) = yard.dry(&words);
    assert_eq!(text.stdout, "would erase 3 keys, of which 2 live\n");
    assert_eq!((&told["number"], &told["state"]), (&Value::Null, &"waiting".into()));
    let told = yard.json(&words);
    assert_eq!((&told["number"], &told["kind"]), (&1.into(), &"erase".into()));
    assert_eq!((&told["immediate"], &told["due_ms"]), (&false.into(), &Value::Null));
    let listed = yard.ok(&["erase", "list", "DATA"]).stdout;
    assert!(listed.contains("waiting, its objects are looked for at the next enforcement"), "{listed}");
    assert_eq!(yard.json(&["status", "DATA"])["oldest_erasure"]["number"], 1);

    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("a") && !yard.has("b") && yard.has("c"));
    let told = yard.json(&["erase", "list", "DATA", "--items", "1"]);
    assert_eq!((&told["state"], &told["objects"]), (&"finished".into(), &2.into()));
    let items = told["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["progress"] == "ended" && item["method"] == "deleted"), "{told}");
    assert_eq!(yard.json(&["status", "DATA"])["oldest_erasure"], Value::Null);
    // The third lives, and nobody asked for it.
    assert_eq!(yard.json(&["status", "DATA"])["classes"]["slow"]["live"], 1);
}

#[test]
fn a_subject_is_erased_whatever_its_keys_are_and_an_unknown_one_is_refused() {
    let yard = Yard::new();
    yard.register(Registration { subject: b"anna", ..Registration::new("slow", b"1") });
    yard.register(Registration { subject: b"ben", ..Registration::new("slow", b"2") });
    yard.file("1", 0);
    yard.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    assert!(yard.ok(&request(&["--subject", "anna"])).stdout.contains("erase the subject \"anna\""));
    yard.refused(&request(&["--subject", "nobody"]), "nothing that lives belongs to the subject \"nobody\"");
    yard.run(&["enforce", "DATA", "--dir", "FILES"]);
    let told = yard.json(&["erase", "list", "DATA"]);
    assert_eq!(told[0]["objects"], 1, "{told}");
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn what_an_object_of_an_erasure_waits_for_is_shown() {
    let yard = Yard::new();
    yard.put("floor.toml", "[class.floor]\nkeep = '10d'\nwithin = '20d'\nstart = 'explicit'\n");
    yard.ok(&["class", "set", "DATA", "@floor.toml"]);
    yard.registered("floor", HOUR_MS, &["floored"]);
    yard.registered("slow", 0, &["held"]);
    yard.hold("case 7", &["--key", "held"]);
    yard.ok(&request(&["--key", "floored", "--key", "held"]));
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let told = yard.json(&["erase", "list", "DATA", "--items", "1"]);
    assert_eq!(told["state"], "found");
    let item = |key: &str| told["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap();
    assert_eq!(item("held")["held"], true);
    let floor_ms = item("floored")["floor_ms"].as_i64().unwrap();
    assert!((floor_ms - now_ms() - 10 * DAY_MS + HOUR_MS).abs() < 60_000);
    let text = yard.ok(&["erase", "list", "DATA", "--items", "1"]).stdout;
    assert!(text.contains("held  waits: a legal hold keeps it"), "{text}");
    assert!(text.contains("floored  waits for its floor, "), "{text}");
}

#[test]
fn an_erasure_can_be_cancelled_while_it_says_so() {
    let yard = Yard::new();
    yard.registered("slow", 0, &["a"]);
    let received = instant(now_ms() - DAY_MS);
    let words = request(&["--key", "a", "--received", &received, "--cancellable", "15d", "--within", "30d"]);
    let told = yard.json(&words);
    let received_ms = told["received_ms"].as_i64().unwrap();
    assert_eq!(told["cancellable_until_ms"], received_ms + 15 * DAY_MS);
    assert_eq!(told["due_ms"], received_ms + 30 * DAY_MS);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(yard.has("a"));
    let (text, _) = yard.dry(&["erase", "cancel", "DATA", "1"]);
    assert_eq!(text.stdout, "request 1 would be cancelled: the erasure of the key \"a\"\n");
    yard.refused(&["erase", "forget", "DATA", "1"], "is still open");
    assert_eq!(yard.json(&["erase", "cancel", "DATA", "1"])["state"], "cancelled");
    yard.ok(&["erase", "cancel", "DATA", "1"]);

    yard.ok(&request(&["--key", "a"]));
    yard.run(&["erase", "cancel", "DATA", "2"]).assert_refused("it is final");
    yard.run(&["erase", "cancel", "DATA", "2", "--dry-run"])
        .assert_refused("can not, or no longer, be cancelled");
    yard.refused(&["erase", "cancel", "DATA", "3"], "there is no request 3");

    yard.dry(&["erase", "forget", "DATA", "1"]);
    assert_eq!(yard.ok(&["erase", "forget", "DATA", "1"]).stdout, "request 1 is forgotten\n");
    let left = yard.json(&["erase", "list", "DATA"]);
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[test]
fn working_days_count_without_weekends_and_holidays() {
    let yard = Yard::new();
    // 2026-02-13 is a Friday. The 16th to the 20th are holidays, on the 28th, a Saturday, people work.
    let holidays = "# spring\n2026-02-16\n2026-02-17\n2026-02-18\n2026-02-19\n2026-02-20\n+2026-02-28\n";
    yard.put("cn.txt", holidays);
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
    let (text, told) = yard.dry(&words);
    assert!(text.stdout.contains("it is to be answered by 2026-03-12T09:00:00.000Z"), "{text:?}");
    assert_eq!(yard.json(&words)["due_ms"], told["due_ms"]);
    yard.put("bad.txt", "2026-02-16\n2026-02-30\n");
    let bad = request(&["--key", "a", "--within", "15wd", "--holidays", "@bad.txt"]);
    yard.refused(&bad, "line 2 of the holidays: expected a date that exists");
    yard.refused(&request(&["--key", "a", "--within", "15wd", "--holidays", "@none"]), "cannot be read");
    yard.refused(&request(&["--key", "a", "--holidays", "@cn.txt"]), "required");
}

#[test]
fn an_erasure_at_once_is_answered_within_a_second_and_cannot_be_cancelled() {
    let yard = Yard::new();
    yard.registered("slow", 0, &["a"]);
    let (text, told) = yard.dry(&request(&["--key", "a", "--immediate"]));
    assert!(text.stdout.contains("at once: it cannot be cancelled"), "{text:?}");
    assert_eq!(told["immediate"], true);
    let told = yard.json(&request(&["--key", "a", "--immediate"]));
    assert_eq!(told["due_ms"].as_i64().unwrap() - told["received_ms"].as_i64().unwrap(), 1_000);
    assert!(yard.ok(&["erase", "list", "DATA"]).stdout.contains(", at once"));
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("a"));
    for more in [["--cancellable", "15d"], ["--within", "3d"]] {
        let words = [&["--key", "a", "--immediate"], &more[..]].concat();
        yard.refused(&request(&words), "cannot be used with");
    }
}

#[test]
fn what_cannot_be_erased_is_refused_in_one_sentence() {
    let yard = Yard::new();
    let ahead = instant(now_ms() + HOUR_MS);
    yard.put("empty.txt", "");
    yard.put("gap.txt", "a\n\nb\n");
    yard.put("windows.txt", "a\r\n");
    let cases: [(&[&str], &str); 13] = [
        (&["--key", "a", "--received", &ahead], "lies in the future"),
        (&["--key", "a", "--received", "yesterday"], "an instant is RFC 3339"),
        (&["--key", "a", "--within", "99999999999d"], "a span is a number from 1"),
        (&["--key", "a", "--within", "1000000y"], "within 1000000y"),
        (&["--key", "a", "--cancellable", "6mo"], "is a calendar span"),
        (&["--key", "a", "--cancellable", "400d"], "are allowed"),
        (&["--key", "a", "--cancellable", "15d", "--within", "3d"], "cancelled for longer than it may take"),
        (&["--key", ""], "an empty key would select nothing"),
        (&["--subject", ""], "an empty subject would select nothing"),
        (&["--keys", "@empty.txt"], "has no keys in it"),
        (&["--keys", "@gap.txt"], "line 2 is empty"),
        (&["--keys", "@windows.txt"], "line 1 ends with a carriage return"),
        (&[], "required"),
    ];
    for (more, why) in cases {
        yard.refused(&request(more), why);
    }
}

#[test]
fn receipts_of_an_erasure_are_valid_and_those_of_ticket_holders_are_theirs() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    yard.file("t", HOUR_MS);
    yard.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "tickets"]);
    yard.registered("slow", 0, &["kept"]);
    yard.hold("case 7", &["--key", "kept"]);
    yard.ok(&request(&["--key", "a", "--key", "b", "--key", "t", "--key", "kept"]));
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let words = ["erase", "receipts", "DATA", "1", "--out", "@receipts"];
    let ran = yard.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("2 receipts in ") && ran.stdout.contains("1 not ended yet"), "{ran:?}");
    assert!(ran.stdout.contains("no receipt: t: ") && ran.stdout.contains("use the ticket"), "{ran:?}");
    let told = yard.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!((told["written"].as_array().unwrap().len(), &told["waiting"]), (2, &1.into()));
    assert_eq!(told["refused"][0]["key"], "t");
    let receipts = yard.path("receipts");
    assert_eq!(fs::read_dir(&receipts).unwrap().count(), 3);
    let policy = receipts.join("trust.policy");
    let verified = sexton(["verify".as_ref(), receipts.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    yard.run(&["erase", "receipts", "DATA", "9", "--out", "@other"]).assert_refused("there is no request 9");
    assert!(!yard.path("other").exists());
}

#[test]
fn other_requests_are_listed_where_they_are_asked_for() {
    let yard = Yard::new();
    yard.ok(&[&["class", "close", "DATA", "short"], &WHY[..]].concat());
    assert_eq!(yard.json(&["erase", "list", "DATA"]), json!([]));
    assert_eq!(yard.ok(&["erase", "list", "DATA"]).stdout, "nothing was requested\n");
    let all = yard.json(&["erase", "list", "DATA", "--all"]);
    assert_eq!((&all[0]["kind"], &all[0]["of"]), (&"close".into(), &"the class \"short\"".into()));
    assert!(
        yard.ok(&["erase", "list", "DATA", "--all"]).stdout.contains("closing down of the class \"short\"")
    );
}
