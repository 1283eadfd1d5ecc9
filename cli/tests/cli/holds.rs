//! `hold`.

use crate::sandbox::{HOUR_MS, Sandbox, WHY};
use serde_json::{Value, json};
use sexton::Registration;

fn place(more: &[&str]) -> Vec<String> {
    let words = ["hold", "place", "DATA", "--name", "case 7", "--review", "2999-12-31"];
    words.iter().chain(&WHY).chain(more).map(ToString::to_string).collect()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn hold_is_placed_listed_and_lifted() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    let hold = place(&["--key", "a"]);
    let (text, value) = sandbox.dry(&words(&hold));
    assert_eq!(
        text.stdout,
        "hold \"case 7\" would be placed on the key \"a\"\n  it covers 1 live object now\n"
    );
    assert_eq!((&value["id"], &value["too_late"]), (&Value::Null, &json!([])));
    let value = sandbox.json(&words(&hold));
    assert_eq!(value["id"].as_str().unwrap().len(), 32);
    assert_eq!(value["live_objects"], 1);
    assert_eq!(value["selector"], json!({ "keys": ["61"] }));
    assert_eq!((&value["event"], &value["review_ms"]), (&false.into(), &32_503_593_600_000_i64.into()));

    let text = sandbox.ok(&["hold", "list", "DATA"]).stdout;
    assert!(
        text.starts_with("case 7 on the key \"a\"\n  placed ") && text.contains("by Ada: because"),
        "{text}"
    );
    let ran = sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(ran.stdout.contains("1 deleted") && ran.stdout.contains("1 kept by legal holds"), "{ran:?}");
    assert!(sandbox.has("a") && !sandbox.has("b"));
    assert_eq!(sandbox.json(&["status", "DATA"])["classes"]["files"]["held"], 1);

    let lift = [&["hold", "lift", "DATA", "case 7"], &WHY[..]].concat();
    let (text, _) = sandbox.dry(&lift);
    let expected = "hold \"case 7\" would be lifted from the key \"a\"\n  objects past their ceiling are deleted in 7 d 0 h\n";
    assert_eq!(text.stdout, expected);
    let value = sandbox.json(&lift);
    assert_eq!(value["lifted"]["grace_ms"], 7 * 24 * HOUR_MS);
    assert_eq!(sandbox.ok(&["hold", "list", "DATA"]).stdout, "no hold stands\n");
    let all = sandbox.json(&["hold", "list", "DATA", "--all"]);
    assert_eq!((all[0]["name"].as_str(), &all[0]["lifted"]["author"]), (Some("case 7"), &"Ada".into()));
    assert!(sandbox.ok(&["hold", "list", "DATA", "--all"]).stdout.contains("\n  lifted "));
}

#[test]
fn hold_covers_prefix_subject_class_or_keys() {
    let sandbox = Sandbox::new();
    let key = b"\xff\x00";
    let subject = Registration::new("slow", key).subject(b"anna");
    sandbox.register(subject);
    let held = |more: &[&str]| {
        let hold = place(more);
        let placed = sandbox.json(&words(&hold));
        let plan = sandbox.json(&["plan", "DATA", "--until", "+1y"]);
        let lift = [&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat();
        sandbox.ok(&lift);
        // The next planning finds the objects that it covered.
        assert!(sandbox.engine().next_batch().unwrap().is_none());
        let covers = placed["live_objects"] == 1;
        assert!(covers || placed["live_objects"] == 0, "{placed}");
        assert_eq!(covers, plan["objects"][0]["action"] == "hold", "{placed}");
        (plan["objects"][0]["action"].clone(), plan["objects"][0]["hold"].clone())
    };
    let yes = (json!("hold"), json!("case 7"));
    let no = (json!("delete"), Value::Null);
    assert_eq!(held(&["--hex", "--prefix", "ff"]), yes);
    assert_eq!(held(&["--prefix", "ff"]), no);
    assert_eq!(held(&["--subject", "anna", "--event"]), yes);
    assert_eq!(held(&["--hex", "--subject", "616e6e61"]), yes);
    assert_eq!(held(&["--class", "slow"]), yes);
    assert_eq!(held(&["--class", "files"]), no);
    assert_eq!(held(&["--hex", "--key", "00", "--key", "ff00"]), yes);
    sandbox.put("lines", b"other\n\xff\x01\n");
    assert_eq!(held(&["--keys", "@lines"]), no);
    sandbox.put("hex", "00\nff00\n");
    assert_eq!(held(&["--hex", "--keys", "@hex"]), yes);
}

#[test]
fn hold_invalid_is_refused_with_reason() {
    let sandbox = Sandbox::new();
    sandbox.hold("taken", &["--class", "slow"]);
    let refused = |hold: &[String], why: &str| sandbox.refused(&words(hold), why);
    refused(&place(&["--key", ""]), "an empty key would select nothing");
    refused(&place(&["--subject", ""]), "an empty subject");
    refused(&place(&["--class", "nothing"]), "unknown class \"nothing\"");
    refused(&place(&["--hex", "--key", "zz"]), "\"zz\" is not hexadecimal");
    let dry = sandbox.ok(&words(&place(&["--hex", "--prefix", "ff", "--dry-run"]))).stdout;
    assert!(
        dry.ends_with(
            "on keys that begin with \"\\xff\"\n  it covers no live object now; check what it names\n"
        ),
        "{dry}"
    );
    refused(&place(&["--subject", &"s".repeat(256)]), "1 to 255 are allowed");
    refused(&place(&[]), "required");
    refused(&place(&["--key", "a", "--class", "slow"]), "cannot be used with");
    let other = |from: &str, to: &str| -> Vec<String> {
        place(&["--key", "a"])
            .iter()
            .map(|word| if word == from { to.into() } else { word.clone() })
            .collect()
    };
    refused(&other("case 7", "taken"), "a hold named \"taken\" stands already");
    refused(&other("2999-12-31", "2020-01-01"), "lies in the past");
    refused(&other("2999-12-31", "2999-02-29"), "expected a day that exists");
    refused(&other("because", ""), "it has 0 bytes");

    let lift = |more: &[&str]| {
        let words = [&["hold", "lift", "DATA"], more, &WHY[..]].concat();
        words.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    refused(&lift(&["case 7"]), "no hold named \"case 7\" stands");
    refused(&lift(&["taken", "--grace", "6mo"]), "6mo is a calendar span; use s, m, h, d or w");
    refused(&lift(&["taken", "--grace", "99999999999d"]), "a span is a number from 1");
    refused(&lift(&["taken", "--grace", "9999d"]), "are allowed");
}

#[test]
fn hold_on_object_in_flight_lists_it_as_too_late() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    let engine = sandbox.engine();
    // The batch is planned, and the process ends before the store answers.
    drop(engine.next_batch().unwrap().unwrap());
    drop(engine);
    let hold = place(&["--key", "a"]);
    let ran = sandbox.run(&words(&hold));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("too late: ") && ran.stdout.contains("already on its way to deletion"),
        "{ran:?}"
    );
    assert!(sandbox.ok(&["hold", "list", "DATA"]).stdout.starts_with("case 7 on the key \"a\"\n"));
}

/// A key with a line feed is not the key with the two characters of its escape.
#[test]
fn hold_on_key_with_line_feed_is_told_from_its_escape() {
    let sandbox = Sandbox::new();
    for key in [&b"a\nb"[..], br"a\nb"] {
        sandbox.register(Registration::new("slow", key));
    }
    sandbox.put("nulls", b"a\nb\0");
    let hold = place(&["--keys", "@nulls", "--null"]);
    sandbox.ok(&words(&hold));
    let plan = sandbox.ok(&["plan", "DATA", "--until", "+1y"]).stdout;
    assert!(plan.contains("  a\\nb  keep, hold \"case 7\" ("), "{plan}");
    assert!(plan.contains("  a\\\\nb  delete ("), "{plan}");
    sandbox.put("lines", b"a\0b\n");
    let hold = place(&["--keys", "@lines"]);
    sandbox.refused(&words(&hold), "line 1 has a NUL byte; if NUL bytes end the keys, add --null");
    sandbox.refused(&words(&place(&["--key", "a", "--null"])), "--null is about the key file");
}
