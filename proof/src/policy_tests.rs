use proptest::prelude::*;

use super::*;
use crate::checkpoint::CheckpointError;
use crate::merkle;
use crate::note::{Cosigner, NoteError, Signer};

#[path = "policy_vector_tests.rs"]
mod vectors;

const ORIGIN: &str = "example.com/log";

fn log_key(origin: &str, seed: u8) -> Signer {
    Signer::generate(origin, [seed; 32]).unwrap()
}

/// Returns witness number `n`. The name of its key differs from its name in the policy.
fn cosigner(n: u8) -> Cosigner {
    Cosigner::generate(&format!("witness.example/{n}"), [100 + n; 32]).unwrap()
}

fn log_line() -> String {
    format!("log {}\n", log_key(ORIGIN, 1).verifier())
}

/// Returns the lines of the witnesses `w1` to `w<n>`.
fn witness_lines(n: u8) -> String {
    (1..=n).map(|n| format!("witness w{n} {}\n", cosigner(n).verifier())).collect()
}

fn text() -> String {
    Checkpoint { origin: ORIGIN.into(), size: 3, root: [5; 32] }.to_text()
}

/// Returns the checkpoint signed by the log and cosigned by these witnesses at time 1000 + n.
fn signed(witnesses: &[u8]) -> String {
    let text = text();
    let mut note = format!("{text}\n{}", log_key(ORIGIN, 1).sign(&text));
    for n in witnesses {
        note += &cosigner(*n).cosign(1000 + u64::from(*n), &text);
    }
    note
}

fn policy(rest: &str) -> Policy {
    Policy::parse(log_line() + &witness_lines(6) + rest).unwrap()
}

/// Returns the rule that line `line` of this policy breaks.
fn problem(policy: &str, line: usize) -> LineError {
    match Policy::parse(policy) {
        Err(PolicyError::Line { line: found, problem }) if found == line => problem,
        other => panic!("expected a problem in line {line}, got {other:?}"),
    }
}

#[test]
fn specification_quorum_of_two_levels_is_evaluated() {
    let policy = policy(
        "group X-witnesses 2 w1 w2 w3\ngroup Y-witnesses any w4 w5 w6\n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
    );
    assert_eq!((policy.logs().len(), policy.witnesses().len(), policy.groups().len()), (1, 6, 3));
    assert_eq!(policy.quorum(), Some("X-and-Y"));
    for mask in 0..64_u8 {
        let witnesses: Vec<u8> = (1..=6).filter(|n| mask >> (n - 1) & 1 == 1).collect();
        let verified = policy.verify(&signed(&witnesses)).unwrap();
        let expected = (mask & 0b111).count_ones() >= 2 && mask >> 3 != 0;
        assert_eq!(verified.quorum_met, expected, "{witnesses:?}");
        assert!(verified.quorum_required);
        let cosignatures: Vec<_> =
            witnesses.iter().map(|n| (format!("w{n}"), 1000 + u64::from(*n))).collect();
        assert_eq!(verified.cosignatures, cosignatures);
        assert_eq!(verified.checkpoint.to_text(), text());
    }
}

#[test]
fn thresholds_are_all_any_or_a_number() {
    for (threshold, needed) in [("any", 1), ("1", 1), ("2", 2), ("3", 3), ("all", 3)] {
        let policy = policy(&format!("group g {threshold} w1 w2 w3\nquorum g\n"));
        assert_eq!(policy.groups()[0].threshold, needed);
        for n in 0..=3 {
            let witnesses: Vec<u8> = (1..=n).collect();
            assert_eq!(policy.verify(&signed(&witnesses)).unwrap().quorum_met, usize::from(n) >= needed);
        }
    }
    let group = |threshold: &str| format!("{}group g {threshold} w1 w2 w3\nquorum g\n", witness_lines(3));
    for text in ["0", "4", "02", "+2", "-1", "ALL", "none", "1.5", "99999999999999999999"] {
        let expected = LineError::Threshold { text: text.into(), members: 3 };
        assert_eq!(problem(&group(text), 4), expected);
    }
}

#[test]
fn quorum_none_is_met_and_reported_as_not_required() {
    for witnesses in [&[][..], &[1]] {
        let verified = policy("quorum none\n").verify(&signed(witnesses)).unwrap();
        assert_eq!((verified.quorum_met, verified.quorum_required), (true, false));
        assert_eq!(verified.cosignatures.len(), witnesses.len());
    }
    assert_eq!(policy("quorum none\n").quorum(), None);
}

#[test]
fn single_witness_can_be_the_quorum() {
    let policy = policy("quorum w2\n");
    assert!(policy.verify(&signed(&[2])).unwrap().quorum_met);
    assert!(!policy.verify(&signed(&[1, 3])).unwrap().quorum_met);
}

#[test]
fn witness_that_cosigned_twice_counts_once() {
    let policy = policy("group g 2 w1 w2\nquorum g\n");
    let note = signed(&[1]) + &cosigner(1).cosign(7, &text());
    let verified = policy.verify(&note).unwrap();
    assert_eq!(verified.cosignatures, [("w1".to_owned(), 1001), ("w1".to_owned(), 7)]);
    assert!(!verified.quorum_met);
}

#[test]
fn caller_may_count_early_cosignatures_only() {
    let policy = policy("group g 2 w1 w2 w3\nquorum g\n");
    let mut cosignatures = policy.verify(&signed(&[1, 2, 3])).unwrap().cosignatures;
    assert!(policy.quorum_met_by(&cosignatures));
    cosignatures.retain(|(_, time)| *time <= 1002);
    assert!(policy.quorum_met_by(&cosignatures));
    cosignatures.retain(|(_, time)| *time <= 1001);
    assert!(!policy.quorum_met_by(&cosignatures));
}

#[test]
fn names_of_groups_and_strangers_count_for_nothing() {
    let policy = policy("group g 2 w1 w2\nquorum g\n");
    let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 0)).collect::<Vec<_>>();
    assert!(!policy.quorum_met_by(&named(&["g", "w1", "stranger"])));
    assert!(policy.quorum_met_by(&named(&["w1", "w2"])));
}

/// The quorum makes no difference.
#[test]
fn bad_signature_of_a_known_key_refuses_the_checkpoint() {
    let bad_witness = signed(&[1]) + &cosigner(2).cosign(1, "another\n1\ntext\n");
    let bad_log = signed(&[1]) + &log_key(ORIGIN, 1).sign("another\n");
    for quorum in ["quorum none\n", "quorum w1\n"] {
        for note in [&bad_witness, &bad_log] {
            let error = policy(quorum).verify(note).unwrap_err();
            assert!(matches!(error, PolicyError::Note(NoteError::BadSignature { .. })), "{error}");
        }
    }
    // The bad signature is ignored if the policy does not know the witness.
    let few = Policy::parse(log_line() + &witness_lines(1) + "quorum w1\n").unwrap();
    assert!(few.verify(&bad_witness).unwrap().quorum_met);
}

/// Signatures of other logs and of witnesses do not help.
#[test]
fn checkpoint_without_a_signature_of_its_log_is_refused() {
    let text = text();
    let two_logs = format!("log {}\n{}", log_key("other", 2).verifier(), policy_text("quorum none\n"));
    let two_logs = Policy::parse(two_logs).unwrap();
    let by_other = format!("{text}\n{}", log_key("other", 2).sign(&text));
    let by_witness = format!("{text}\n{}", cosigner(1).cosign(1, &text));
    for note in [&by_other, &by_witness] {
        assert_eq!(two_logs.verify(note), Err(PolicyError::NotSignedByLog { origin: ORIGIN.into() }));
    }
    let by_stranger = format!("{text}\n{}", log_key(ORIGIN, 9).sign(&text));
    let unverified = PolicyError::Note(NoteError::Unverified { signatures: 1 });
    assert_eq!(two_logs.verify(&by_stranger), Err(unverified));
    assert!(two_logs.verify(&signed(&[])).is_ok());
}

fn policy_text(rest: &str) -> String {
    log_line() + &witness_lines(6) + rest
}

#[test]
fn witness_with_the_name_of_the_log_does_not_sign_for_it() {
    let namesake = Cosigner::generate(ORIGIN, [7; 32]).unwrap();
    let policy =
        Policy::parse(format!("{}witness w {}\nquorum w\n", log_line(), namesake.verifier())).unwrap();
    let text = text();
    let cosigned = format!("{text}\n{}", namesake.cosign(1, &text));
    assert_eq!(policy.verify(&cosigned), Err(PolicyError::NotSignedByLog { origin: ORIGIN.into() }));
    let both = cosigned + &log_key(ORIGIN, 1).sign(&text);
    assert!(policy.verify(&both).unwrap().quorum_met);
}

#[test]
fn origin_of_no_log_of_the_policy_is_unknown() {
    let other = format!("log {}\nquorum none\n", log_key("other", 1).verifier());
    let unknown = PolicyError::UnknownLog { origin: ORIGIN.into() };
    assert_eq!(Policy::parse(other).unwrap().verify(&signed(&[])), Err(unknown.clone()));
    assert_eq!(Policy::parse("quorum none\n").unwrap().verify(&signed(&[])), Err(unknown));
}

#[test]
fn log_may_have_several_keys_of_which_any_suffices() {
    let keys = [log_key(ORIGIN, 1), log_key(ORIGIN, 2)];
    let lines: String = keys.iter().map(|key| format!("log {}\n", key.verifier())).collect();
    let policy = Policy::parse(lines + "quorum none\n").unwrap();
    for key in keys {
        let text = text();
        assert!(policy.verify(&format!("{text}\n{}", key.sign(&text))).is_ok());
    }
}

#[test]
fn signed_text_that_is_no_checkpoint_is_refused() {
    let text = text() + "extension\n";
    let note = format!("{text}\n{}", log_key(ORIGIN, 1).sign(&text));
    let error = policy("quorum none\n").verify(&note);
    assert_eq!(error, Err(PolicyError::Checkpoint(CheckpointError::Lines)));
    assert!(matches!(policy("quorum none\n").verify("nothing"), Err(PolicyError::Note(NoteError::Shape))));
}

#[test]
fn comments_blank_lines_tabs_and_urls_are_allowed() {
    let vkey = log_key(ORIGIN, 1).verifier();
    let witness = cosigner(1).verifier();
    let text = format!(
        "# comment\n\n \t\n\t # another\n  log\t{vkey}  https://log.example/ \nwitness Zeugin-ä {witness}\thttps://w/\n\
         group #g 1 Zeugin-ä\nquorum\t#g\t\n# quorum none\n"
    );
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log.example/"));
    assert_eq!(policy.witnesses()[0].url.as_deref(), Some("https://w/"));
    assert_eq!(policy.witnesses()[0].name, "Zeugin-ä");
    assert_eq!(policy.quorum(), Some("#g"));
}

#[test]
fn unicode_spaces_are_part_of_names() {
    let policy = format!("witness a\u{a0}b {}\nquorum a\u{a0}b\n", cosigner(1).verifier());
    assert_eq!(Policy::parse(policy).unwrap().quorum(), Some("a\u{a0}b"));
}

#[test]
fn other_lines_and_wrong_numbers_of_words_are_refused() {
    let (log, witness) = (log_key(ORIGIN, 1).verifier(), cosigner(1).verifier());
    for line in [
        "unknown",
        "log",
        &format!("log {log} url more"),
        "witness w1",
        "witness",
        &format!("Log {log}"),
        &format!("witness w1 {witness} url more"),
        "group g",
        "group g all",
        "quorum",
        "quorum none none",
        "none",
        &format!("log {log} url # comment"),
    ] {
        assert!(matches!(problem(&format!("{line}\nquorum none\n"), 1), LineError::Form { .. }), "{line}");
    }
}

#[test]
fn control_characters_and_other_encodings_are_refused() {
    for byte in [0, 1, 11, 13, 31, 127] {
        let text = format!("# comment{}\nquorum none\n", char::from(byte));
        assert_eq!(problem(&text, 1), LineError::ControlCharacter { byte });
    }
    assert_eq!(Policy::parse(b"#\xff\nquorum none\n"), Err(PolicyError::NotUtf8 { offset: 1 }));
}

/// A last line without line feed is refused, too.
#[test]
fn missing_or_second_quorum_line_is_refused() {
    assert_eq!(Policy::parse(log_line()), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse("\n"), Err(PolicyError::NoQuorum));
    assert_eq!(problem("quorum none\nquorum none\n", 2), LineError::SecondQuorum);
    assert_eq!(Policy::parse("quorum none"), Err(PolicyError::Cut));
    assert_eq!(Policy::parse(""), Err(PolicyError::Cut));
}

#[test]
fn names_are_defined_once_before_they_are_used_and_never_none() {
    let witnesses = witness_lines(2);
    let undefined = |name: &str| LineError::Undefined { name: name.into() };
    let taken = |name: &str| LineError::NameTaken { name: name.into() };
    assert_eq!(problem("quorum w1\n", 1), undefined("w1"));
    assert_eq!(problem(&format!("quorum w1\n{witnesses}"), 1), undefined("w1"));
    assert_eq!(problem(&format!("{witnesses}group g all w1 w3\nquorum g\n"), 3), undefined("w3"));
    assert_eq!(problem(&format!("{witnesses}group g all g\nquorum g\n"), 3), undefined("g"));
    assert_eq!(problem(&format!("{witnesses}group g all h\ngroup h all w1\nquorum g\n"), 3), undefined("h"));
    assert_eq!(problem(&format!("{witnesses}group g all none\nquorum g\n"), 3), undefined("none"));
    assert_eq!(problem(&format!("{witnesses}group w1 all w2\nquorum w1\n"), 3), taken("w1"));
    assert_eq!(problem(&format!("{witnesses}group none all w2\nquorum none\n"), 3), taken("none"));
    let again = format!("{witnesses}witness w1 {}\n", cosigner(3).verifier());
    assert_eq!(problem(&again, 3), taken("w1"));
    assert_eq!(problem(&format!("witness none {}\n", cosigner(3).verifier()), 1), taken("none"));
}

#[test]
fn name_is_a_member_once() {
    let twice = LineError::MemberTwice { name: "w1".into() };
    let witnesses = witness_lines(2);
    assert_eq!(problem(&format!("{witnesses}group g 2 w1 w1\nquorum g\n"), 3), twice);
    assert_eq!(problem(&format!("{witnesses}group g all w1\ngroup h all w2 w1\nquorum h\n"), 4), twice);
}

/// Another name for the same key does not help. A log and a witness may share a key.
#[test]
fn public_key_is_a_single_log_or_a_single_witness() {
    let renamed = Signer::generate("renamed", [1; 32]).unwrap().verifier();
    let duplicate = LineError::DuplicateKey { name: "renamed".into() };
    assert_eq!(problem(&format!("{}log {renamed}\n", log_line()), 2), duplicate);
    let renamed = Cosigner::generate("renamed", [101; 32]).unwrap().verifier();
    assert_eq!(problem(&format!("{}witness w2 {renamed}\n", witness_lines(1)), 2), duplicate);
    let both = Cosigner::generate(ORIGIN, [1; 32]).unwrap().verifier();
    assert!(Policy::parse(format!("{}witness w {both}\nquorum w\n", log_line())).is_ok());
}

#[test]
fn logs_and_witnesses_have_keys_of_their_types() {
    let (log, witness) = (log_key(ORIGIN, 1).verifier(), cosigner(1).verifier());
    assert!(matches!(problem(&format!("log {witness}\n"), 1), LineError::WrongKeyType { .. }));
    assert!(matches!(problem(&format!("witness w {log}\n"), 1), LineError::WrongKeyType { .. }));
    assert!(matches!(problem("log nonsense\n", 1), LineError::Key(NoteError::Key { .. })));
    let broken = log.to_string().replace("example.com", "example.org");
    assert!(matches!(problem(&format!("log {broken}\n"), 1), LineError::Key(NoteError::KeyId { .. })));
}

#[test]
fn policy_beyond_its_limits_is_refused() {
    let many = |n: u16| -> String {
        let seed = |n: u16| std::array::from_fn(|i| n.to_be_bytes()[i % 2]);
        let key = |n| Cosigner::generate("w", seed(n)).unwrap().verifier();
        (0..n).map(|n| format!("witness w{n} {}\n", key(n))).collect()
    };
    assert!(Policy::parse(many(256) + "quorum none\n").is_ok());
    assert_eq!(problem(&many(257), 257), LineError::TooMany { kind: "witnesses" });
    let chain = |n| -> String {
        let names = (1..n).map(|n| format!("group g{n} all g{}\n", n - 1));
        witness_lines(1) + "group g0 all w1\n" + &names.collect::<String>()
    };
    let policy = Policy::parse(log_line() + &chain(256) + "quorum g255\n").unwrap();
    assert!(policy.verify(&signed(&[1])).unwrap().quorum_met);
    assert_eq!(problem(&chain(257), 258), LineError::TooMany { kind: "groups" });
    let bytes = POLICY_BYTES_MAX + 1;
    assert_eq!(Policy::parse(vec![b'\n'; bytes]), Err(PolicyError::TooLong { bytes }));
}

#[test]
fn any_flipped_bit_of_a_checkpoint_breaks_log_or_quorum() {
    let policy = policy("group g all w1 w2\nquorum g\n");
    let note = signed(&[1, 2]);
    assert!(policy.verify(&note).unwrap().quorum_met);
    for byte in 0..note.len() {
        for bit in 0..8 {
            let mut flipped = note.clone().into_bytes();
            flipped[byte] ^= 1 << bit;
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            let met = policy.verify(&flipped).is_ok_and(|verified| verified.quorum_met);
            assert!(!met, "bit {bit} of byte {byte}");
        }
    }
}

#[test]
fn checkpoint_of_the_empty_tree_verifies() {
    let text = Checkpoint { origin: ORIGIN.into(), size: 0, root: merkle::empty_root() }.to_text();
    let note = format!("{text}\n{}", log_key(ORIGIN, 1).sign(&text));
    assert_eq!(policy("quorum none\n").verify(&note).map(|v| v.checkpoint.size), Ok(0));
}

proptest! {
    #[test]
    fn arbitrary_policies_never_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "((log|witness|group|quorum|#)?[ \t]?[a-c]?[ \t]?(none|all|any|[0-9])?( [a-c]){0,3}\n){0,6}".prop_map(String::into_bytes),
        ],
    ) {
        let _ = Policy::parse(bytes);
    }

    /// A changed policy never panics either.
    #[test]
    fn changed_policy_never_trusts_another_log(at: prop::sample::Index, byte: u8) {
        let mut text = policy_text("group g 2 w1 w2\nquorum g\n").into_bytes();
        *at.get_mut(&mut text[..]) = byte;
        if let Ok(policy) = Policy::parse(text) {
            let text = text_of_stranger();
            prop_assert!(policy.verify(&text).is_err());
        }
    }

    #[test]
    fn arbitrary_checkpoints_never_panic(note in ".{0,100}|example.com/log\n[0-9]{1,3}\n[A-Z]{42}[A-Z]=\n\n(— [a-z]{1,3} [A-D]{8}\n){1,3}") {
        prop_assert!(policy("quorum none\n").verify(&note).is_err());
    }
}

fn text_of_stranger() -> String {
    let text = text();
    format!("{text}\n{}", log_key(ORIGIN, 77).sign(&text))
}
