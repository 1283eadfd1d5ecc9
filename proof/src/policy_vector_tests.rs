//! Vectors of signed checkpoints under a policy, and of policies.

use super::*;
use crate::id::vectors::Vectors;
use crate::note::{NAME_BYTES_MAX, SIGNATURES_MAX, encode_base64};

const OTHER_ORIGIN: &str = "example.com/other";

/// Returns a policy of two logs, six witnesses and a quorum of two levels.
fn two_logs() -> String {
    let other = log_key(OTHER_ORIGIN, 2).verifier();
    let groups = "group inner 1 w1 w2\ngroup outer all inner w3\nquorum outer\n";
    format!("log {other}\n{}", policy_text(groups))
}

/// Returns a signature line of a key that no policy knows.
fn unknown(name: &str, payload: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", encode_base64(payload))
}

/// Returns a note with this text, signed by the log.
fn note(text: &str) -> String {
    format!("{text}\n{}", log_key(ORIGIN, 1).sign(text))
}

/// Checkpoints that the policy of [`two_logs`] accepts.
fn accepted() -> Vec<(&'static str, String)> {
    let stranger = unknown("stranger.example", &[9; 68]);
    let of_known_name = unknown(ORIGIN, &[9; 68]);
    let (text, lines) = (text(), signed(&[3]).rsplit_once("\n\n").unwrap().1.to_owned());
    let reordered: Vec<&str> = lines.split_inclusive('\n').rev().collect();
    vec![
        ("log_alone", signed(&[])),
        ("quorum", signed(&[1, 3])),
        ("no_quorum", signed(&[1, 2, 4])),
        ("witness_twice", signed(&[1, 3]) + &cosigner(1).cosign(7, &text)),
        ("cosigned_at_the_last_second", signed(&[]) + &cosigner(1).cosign(i64::MAX.unsigned_abs(), &text)),
        ("reordered", format!("{text}\n{}", reordered.concat())),
        ("also_signed_by_the_other_log", signed(&[]) + &log_key(OTHER_ORIGIN, 2).sign(&text)),
        ("unknown_key", signed(&[]) + &stranger),
        ("unknown_key_of_a_known_name", signed(&[]) + &of_known_name),
        ("unknown_name_longest", signed(&[]) + &unknown(&"n".repeat(NAME_BYTES_MAX), &[9; 68])),
        ("unknown_name_no_space", signed(&[]) + &unknown("a\u{200b}\u{feff}b", &[9; 68])),
        ("unknown_payload_shortest", signed(&[]) + &unknown("stranger.example", &[9; 5])),
        ("signatures_most", signed(&[]) + &stranger.repeat(SIGNATURES_MAX - 1)),
        ("size_largest", note(&text.replace("\n3\n", "\n9223372036854775808\n"))),
    ]
}

/// Checkpoints that the policy of [`two_logs`] refuses.
fn refused() -> Vec<(String, String)> {
    let (text, other) = (text(), "another\n1\ntext\n");
    let stranger = unknown("stranger.example", &[9; 68]);
    let late = cosigner(1).cosign(i64::MAX.unsigned_abs() + 1, &text);
    let empty = Checkpoint { origin: ORIGIN.into(), size: 0, root: [5; 32] }.to_text();
    let mut all: Vec<(String, String)> = [
        ("signed_by_the_other_log", format!("{text}\n{}", log_key(OTHER_ORIGIN, 2).sign(&text))),
        ("signed_by_a_witness", format!("{text}\n{}", cosigner(1).cosign(1, &text))),
        ("signed_by_a_stranger", format!("{text}\n{stranger}")),
        ("origin_unknown", note(&text.replace(ORIGIN, "example.com/third"))),
        ("bad_signature", signed(&[1, 3]) + &log_key(ORIGIN, 1).sign(other)),
        ("bad_signature_of_the_other_log", signed(&[1, 3]) + &log_key(OTHER_ORIGIN, 2).sign(other)),
        ("bad_cosignature", signed(&[1, 3]) + &cosigner(6).cosign(1, other)),
        ("cosigned_too_late", signed(&[]) + &late),
        ("unknown_payload_short", signed(&[]) + &unknown("stranger.example", &[9; 4])),
        ("unknown_payload_spelling", signed(&[]) + &stranger.replace("=\n", "\n")),
        ("signatures_too_many", signed(&[]) + &stranger.repeat(SIGNATURES_MAX)),
        ("last_line_feed_missing", signed(&[]).trim_end().to_owned()),
        ("signatures_missing", format!("{text}\n")),
        ("extension_line", note(&(text.clone() + "extension\n"))),
        ("size_too_large", note(&text.replace("\n3\n", "\n9223372036854775809\n"))),
        ("size_spelling", note(&text.replace("\n3\n", "\n03\n"))),
        ("root_spelling", note(&text.replace("=\n", "\n"))),
        ("root_of_the_empty_tree", note(&empty)),
        ("tab", note(&text.replace(ORIGIN, "example.com\tlog"))),
    ]
    .map(|(name, note)| (name.to_owned(), note))
    .into();
    // A tab is refused as a control character of the note, so it is not among the spaces.
    let spaces = [
        "\u{a0}", "\u{1680}", "\u{2000}", "\u{200a}", "\u{2028}", "\u{2029}", "\u{202f}", "\u{205f}",
        "\u{3000}",
    ];
    for bad in spaces.into_iter().chain(["+", "\u{7f}", "\u{80}", "\u{85}", "\u{9f}"]) {
        let code = u32::from(bad.chars().next().unwrap());
        let name = format!("a{bad}b");
        all.push((format!("unknown_name_{code:04x}"), signed(&[]) + &unknown(&name, &[9; 68])));
    }
    all.push(("unknown_name_empty".into(), signed(&[]) + &unknown("", &[9; 68])));
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    all.push(("unknown_name_long".into(), signed(&[]) + &unknown(&long, &[9; 68])));
    all
}

/// Returns a checkpoint's verified cosignatures as lines of name and time.
fn cosigned(verified: &VerifiedCheckpoint) -> String {
    verified.cosignatures.iter().map(|(name, time)| format!("{name} {time}\n")).collect()
}

#[test]
fn signed_checkpoints_equal_the_vectors() {
    let mut vectors = Vectors::default();
    let policy = Policy::parse(two_logs()).unwrap();
    vectors.put("policy", two_logs());
    for (name, note) in accepted() {
        let verified = policy.verify(&note).expect(name);
        vectors.put(format!("checkpoint.{name}"), note);
        vectors.put(format!("cosigned.{name}"), cosigned(&verified));
        vectors.put(format!("quorum.{name}"), [u8::from(verified.quorum_met)]);
    }
    for (name, note) in refused() {
        vectors.put(format!("reject.{name}"), note);
    }
    let about = "Signed checkpoints under a policy, docs/format.md section 5. cosigned.* has a line for each verified \
                 cosignature: name in the policy and time. quorum.* is 01 if all of them together meet the quorum.";
    let stored = vectors.check_against("checkpoint.txt", about);

    let policy = Policy::parse(stored.get("policy")).unwrap();
    let verify = |note: &[u8]| policy.verify(std::str::from_utf8(note).unwrap());
    for (name, note) in stored.all("checkpoint.") {
        let verified = verify(note).expect(name);
        let get = |field: &str| stored.get(&name.replace("checkpoint", field));
        assert_eq!(cosigned(&verified).as_bytes(), get("cosigned"), "{name}");
        assert_eq!([u8::from(verified.quorum_met)], get("quorum"), "{name}");
    }
    for (name, note) in stored.all("reject.") {
        assert!(verify(note).is_err(), "{name}");
    }
}
