//! `hold`.

use crate::yard::{HOUR_MS, WHY, Yard};
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
fn a_hold_is_placed_listed_and_lifted() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    let hold = place(&["--key", "a"]);
    let (text, told) = yard.dry(&words(&hold));
    assert_eq!(text.stdout, "hold \"case 7\" would be placed on the key \"a\"\n");
    assert_eq!((&told["id"], &told["too_late"]), (&Value::Null, &json!([])));
    let told = yard.json(&words(&hold));
    assert_eq!(told["id"].as_str().unwrap().len(), 32);
    assert_eq!(told["selector"], json!({ "keys": ["61"] }));
    assert_eq!((&told["event"], &told["review_ms"]), (&false.into(), &32_503_593_600_000_i64.into()));

    let text = yard.ok(&["hold", "list", "DATA"]).stdout;
    assert!(
        text.starts_with("case 7 on the key \"a\"\n  placed ") && text.contains("by Ada: because"),
        "{text}"
    );
    let ran = yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(ran.stdout.contains("1 deleted") && ran.stdout.contains("1 kept by legal holds"), "{ran:?}");
    assert!(yard.has("a") && !yard.has("b"));
    assert_eq!(yard.json(&["status", "DATA"])["classes"]["files"]["held"], 1);

    let lift = [&["hold", "lift", "DATA", "case 7"], &WHY[..]].concat();
    let (text, _) = yard.dry(&lift);
    let expected = "hold \"case 7\" would be lifted from the key \"a\"\n  what it kept past its ceiling goes in 7 d 0 h\n";
    assert_eq!(text.stdout, expected);
    let told = yard.json(&lift);
    assert_eq!(told["lifted"]["grace_ms"], 7 * 24 * HOUR_MS);
    assert_eq!(yard.ok(&["hold", "list", "DATA"]).stdout, "no hold stands\n");
    let all = yard.json(&["hold", "list", "DATA", "--all"]);
    assert_eq!((all[0]["name"].as_str(), &all[0]["lifted"]["author"]), (Some("case 7"), &"Ada".into()));
    assert!(yard.ok(&["hold", "list", "DATA", "--all"]).stdout.contains("\n  lifted "));
}

#[test]
fn a_hold_covers_a_prefix_a_subject_or_a_class_and_hexadecimal_is_bytes() {
    let yard = Yard::new();
    let key = b"\xff\x00";
    let subject = Registration { subject: b"anna", ..Registration::new("slow", key) };
    yard.register(subject);
    let held = |more: &[&str]| {
        let hold = place(more);
        yard.json(&words(&hold));
        let plan = yard.json(&["plan", "DATA", "--until", "+1y"]);
        let lift = [&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat();
        yard.ok(&lift);
        // The next planning finds out what it had covered.
        assert!(yard.engine().next_batch().unwrap().is_none());
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
}

#[test]
fn what_cannot_be_placed_or_lifted_is_refused_in_one_sentence() {
    let yard = Yard::new();
    yard.hold("taken", &["--class", "slow"]);
    let refused = |hold: &[String], why: &str| yard.refused(&words(hold), why);
    refused(&place(&["--key", ""]), "an empty key would select nothing");
    refused(&place(&["--subject", ""]), "an empty subject");
    refused(&place(&["--class", "nothing"]), "unknown class \"nothing\"");
    refused(&place(&["--hex", "--key", "zz"]), "\"zz\" is not hexadecimal");
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
    refused(&other("2999-12-31", "2999-02-29"), "a day is one that exists");
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
fn what_is_on_its_way_to_deletion_already_is_too_late_and_listed() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    let engine = yard.engine();
    // It was planned, and the process ended before the store had answered.
    drop(engine.next_batch().unwrap().unwrap());
    drop(engine);
    let hold = place(&["--key", "a"]);
    let ran = yard.run(&words(&hold));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("too late: ") && ran.stdout.contains("on its way to deletion already"),
        "{ran:?}"
    );
    assert!(yard.ok(&["hold", "list", "DATA"]).stdout.starts_with("case 7 on the key \"a\"\n"));
}
