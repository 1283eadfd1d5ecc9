use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use signed_note::{Signer as _, StandardSigner, StandardVerifier, VerifierList};

use super::*;

/// Example of the C2SP signed-note specification.
const SPEC_VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// Example of Go's golang.org/x/mod/sumdb/note.
const GO_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const GO_LINE: &str = "— PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

const TEXT: &str = "example.com/log\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn signer() -> Signer {
    Signer::generate("example.com/log", [1; 32]).unwrap()
}

fn witness() -> Cosigner {
    Cosigner::generate("witness.example/w1", [2; 32]).unwrap()
}

/// Returns a vkey, written without the code under test.
fn vkey(name: &str, kind: u8, key: &[u8]) -> String {
    let typed = [&[kind], key].concat();
    let id = Sha256::digest([name.as_bytes(), b"\n", &typed].concat());
    format!("{name}+{}+{}", hex::encode(&id[..4]), STANDARD.encode(typed))
}

#[test]
fn specification_key_and_note_verify_and_round_trip() {
    let key = Verifier::parse(SPEC_VKEY).unwrap();
    assert_eq!((key.name(), key.id(), key.key_type()), ("example.com/foo", 0x530d_903a, KeyType::Ed25519));
    assert_eq!(key.to_string(), SPEC_VKEY);
    let note = Note::parse(SPEC_NOTE).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(&[&key]), Ok(vec![Verified { verifier: &key, time: None }]));
    assert_eq!(note.to_string(), SPEC_NOTE);
}

#[test]
fn go_example_signs_to_the_same_bytes() {
    let signer = Signer::from_private(GO_PRIVATE).unwrap();
    assert_eq!(signer.to_private(), GO_PRIVATE);
    assert_eq!(signer.verifier().to_string(), GO_VKEY);
    assert_eq!(signer.sign(GO_TEXT), GO_LINE);
}

#[test]
fn signed_note_crate_accepts_our_signatures() {
    let signer = signer();
    let note = format!("{TEXT}\n{}", signer.sign(TEXT));
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let key = StandardVerifier::new(&signer.verifier().to_string()).unwrap();
    let (verified, unverified) = theirs.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    assert_eq!(StandardSigner::new(&signer.to_private()).unwrap().key_id(), signer.verifier().id());
}

#[test]
fn signatures_of_the_signed_note_crate_are_accepted() {
    let theirs = StandardSigner::new(&signer().to_private()).unwrap();
    let mut note = signed_note::Note::new("a\n\nb\n".as_bytes(), &[]).unwrap();
    note.add_sigs(&[&theirs]).unwrap();
    let note = Note::parse(note.to_bytes()).unwrap();
    assert_eq!(note.text(), "a\n\nb\n");
    assert_eq!(note.verify(&[&signer().verifier()]).map(|v| v.len()), Ok(1));
}

#[test]
fn cosignature_signs_time_and_text_of_the_specification() {
    let (witness, key) = (witness(), witness().verifier());
    assert_eq!(key.to_string(), vkey("witness.example/w1", 4, key.public_key()));
    let line = witness.cosign(1_679_315_147, TEXT);
    let note = Note::parse(format!("{TEXT}\n{line}")).unwrap();
    let time = Some(1_679_315_147);
    assert_eq!(note.verify(&[&key]), Ok(vec![Verified { verifier: &key, time }]));
    // The expected payload, built by hand: id, big-endian time, Ed25519 over the message of the specification.
    let payload = STANDARD.decode(line.trim_end().rsplit_once(' ').unwrap().1).unwrap();
    assert_eq!(payload[..4], key.id().to_be_bytes());
    assert_eq!(payload[4..12], 1_679_315_147_u64.to_be_bytes());
    let message = format!("cosignature/v1\ntime 1679315147\n{TEXT}");
    let plain = ed25519_dalek::VerifyingKey::from_bytes(key.public_key()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&payload[12..]).unwrap();
    assert!(plain.verify_strict(message.as_bytes(), &signature).is_ok());
}

#[test]
fn cosignature_time_beyond_the_bound_is_bad() {
    let key = witness().verifier();
    let at = |time| {
        Note::parse(format!("{TEXT}\n{}", witness().cosign(time, TEXT))).unwrap().verify(&[&key]).map(|_| ())
    };
    assert_eq!(at(i64::MAX.unsigned_abs()), Ok(()));
    let bad = NoteError::BadSignature { name: "witness.example/w1".into(), id: key.id() };
    assert_eq!(at(i64::MAX.unsigned_abs() + 1), Err(bad));
}

#[test]
fn signature_and_cosignature_do_not_replace_each_other() {
    let seed = [3; 32];
    let (log, cosigner) = (Signer::generate("n", seed).unwrap(), Cosigner::generate("n", seed).unwrap());
    let (log_key, cosigner_key) = (log.verifier(), cosigner.verifier());
    assert_eq!(log_key.public_key(), cosigner_key.public_key());
    assert_ne!(log_key.id(), cosigner_key.id());
    let signed = Note::parse(format!("{TEXT}\n{}", log.sign(TEXT))).unwrap();
    let cosigned = Note::parse(format!("{TEXT}\n{}", cosigner.cosign(5, TEXT))).unwrap();
    assert_eq!(signed.verify(&[&cosigner_key]), Err(NoteError::Unverified { signatures: 1 }));
    assert_eq!(cosigned.verify(&[&log_key]), Err(NoteError::Unverified { signatures: 1 }));
}

/// An unknown key may share its name, or its id, with a known key.
#[test]
fn unknown_signatures_are_ignored() {
    let key = signer().verifier();
    let garbage = [9; 64];
    let same_name = signature_line(key.name(), key.id() ^ 1, &garbage);
    let same_id = signature_line("other", key.id(), &garbage);
    let good = signer().sign(TEXT);
    let note = Note::parse(format!("{TEXT}\n{same_name}{good}{same_id}")).unwrap();
    assert_eq!(note.signatures().len(), 3);
    assert_eq!(note.verify(&[&key]).map(|v| v.len()), Ok(1));
    let unknown = Note::parse(format!("{TEXT}\n{same_name}{same_id}")).unwrap();
    assert_eq!(unknown.verify(&[&key]), Err(NoteError::Unverified { signatures: 2 }));
    assert_eq!(note.verify(&[]), Err(NoteError::Unverified { signatures: 3 }));
}

/// Good signatures of other known keys do not help.
#[test]
fn bad_signature_of_a_known_key_refuses_the_note() {
    let (key, witness_key) = (signer().verifier(), witness().verifier());
    let good = witness().cosign(5, TEXT);
    for bad in [
        signer().sign("another text\n"),
        signature_line(key.name(), key.id(), &[0; 64]),
        signature_line(key.name(), key.id(), &[0; 63]),
        signature_line(key.name(), key.id(), &[0; 72]),
    ] {
        let error = NoteError::BadSignature { name: key.name().to_owned(), id: key.id() };
        for note in [format!("{TEXT}\n{good}{bad}"), format!("{TEXT}\n{}{good}{bad}", signer().sign(TEXT))] {
            assert_eq!(
                Note::parse(&note).unwrap().verify(&[&witness_key, &key]),
                Err(error.clone()),
                "{note}"
            );
        }
    }
}

#[test]
fn malleable_signature_is_bad() {
    // S + L for the group order L satisfies the same equation with other bytes.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let note = Note::parse(format!("{TEXT}\n{}", signer().sign(TEXT))).unwrap();
    let mut signature = note.signatures[0].bytes.clone();
    let mut carry = 0_u16;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    let key = signer().verifier();
    let note = Note::parse(format!("{TEXT}\n{}", signature_line(key.name(), key.id(), &signature))).unwrap();
    assert!(matches!(note.verify(&[&key]), Err(NoteError::BadSignature { .. })));
}

#[test]
fn two_keys_of_the_same_name_and_id_are_ambiguous() {
    let key = signer().verifier();
    let mut twin = Verifier::parse(&vkey(key.name(), 1, witness().verifier().public_key())).unwrap();
    twin.set_id_for_test(key.id());
    let note = Note::parse(format!("{TEXT}\n{}", signer().sign(TEXT))).unwrap();
    let ambiguous = NoteError::AmbiguousKey { name: key.name().to_owned(), id: key.id() };
    assert_eq!(note.verify(&[&key, &twin]), Err(ambiguous));
    assert_eq!(note.verify(&[&key, &key]).map(|v| v.len()), Ok(1));
}

#[test]
fn any_flipped_bit_of_a_signed_note_is_refused() {
    let (log, cosigner) = (signer().verifier(), witness().verifier());
    let note = format!("{TEXT}\n{}{}", signer().sign(TEXT), witness().cosign(5, TEXT)).into_bytes();
    let both =
        |note: &[u8]| Note::parse(note).and_then(|n| n.verify(&[&log, &cosigner]).map(|v| v.len())) == Ok(2);
    assert!(both(&note));
    for byte in 0..note.len() {
        for bit in 0..8 {
            let mut flipped = note.clone();
            flipped[byte] ^= 1 << bit;
            assert!(!both(&flipped), "bit {bit} of byte {byte}");
        }
        assert!(!both(&note[..byte]), "cut at {byte}");
    }
}

#[test]
fn text_ends_at_the_last_blank_line() {
    let line = signature_line("n", 1, &[1]);
    for text in ["\n", "a\n", "a\n\nb\n", "\n\n", "a\n\n\n", "— n AAAAAQE=\n\na\n"] {
        assert_eq!(Note::parse(format!("{text}\n{line}")).map(|n| n.text), Ok(text.to_owned()), "{text:?}");
    }
}

#[test]
fn malformed_notes_are_refused_and_named() {
    let line = signature_line("n", 1, &[1]);
    assert_eq!(line, "— n AAAAAQE=\n");
    let parse = |note: &str| Note::parse(note).unwrap_err();
    for note in ["", "\n", "a\n", "a", "a\n— n AAAAAQE=\n", "\n— n AAAAAQE=\n", "a\n\n— n AAAAAQE="] {
        assert_eq!(parse(note), NoteError::Shape, "{note:?}");
    }
    for bad in [
        "\n",
        "— n AAAAAQE= \n",
        "—  n AAAAAQE=\n",
        "- n AAAAAQE=\n",
        "—n AAAAAQE=\n",
        "— n\n",
        "— n \n",
        "— AAAAAQE=\n",
        "— n AAAAAQE\n",
        "— n AAAAAQF=\n",
        "— n AAAAAQE==\n",
        "— n AAAAAA==\n",
        "— n AAAA\n",
        "— n+m AAAAAQE=\n",
        "— n AAAAAQ_=\n",
        "— n m AAAAAQE=\n",
        "— n\u{a0}m AAAAAQE=\n",
        " — n AAAAAQE=\n",
        "—\u{a0}n AAAAAQE=\n",
    ] {
        // An additional line makes the note malformed at any position; an empty line moves the blank line.
        let note = format!("a\n\n{line}{bad}");
        let expected = if bad == "\n" { NoteError::Shape } else { NoteError::SignatureLine { line: 2 } };
        assert_eq!(parse(&note), expected, "{bad:?}");
    }
    assert_eq!(parse("a\tb\n\n— n AAAAAQE=\n"), NoteError::ControlCharacter { byte: 9, offset: 1 });
    assert_eq!(parse("a\r\n\r\n— n AAAAAQE=\r\n"), NoteError::ControlCharacter { byte: 13, offset: 1 });
    assert_eq!(parse("a\n\n— n AAAAAQE=\n\0"), NoteError::ControlCharacter { byte: 0, offset: 18 });
    assert_eq!(Note::parse(b"ab\xff\n\n"), Err(NoteError::NotUtf8 { offset: 2 }));
}

#[test]
fn notes_have_limits_in_bytes_and_signatures() {
    let line = signature_line("n", 1, &[1]);
    let with = |n| Note::parse(format!("a\n\n{}", line.repeat(n)));
    assert_eq!(with(SIGNATURES_MAX).map(|note| note.signatures.len()), Ok(64));
    assert_eq!(with(SIGNATURES_MAX + 1), Err(NoteError::TooManySignatures));
    let of_length =
        |n: usize| Note::parse(format!("{}\n\n{line}", "a".repeat(n - 2 - line.len()))).map(|_| ());
    assert_eq!(of_length(NOTE_BYTES_MAX), Ok(()));
    assert_eq!(of_length(NOTE_BYTES_MAX + 1), Err(NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1 }));
}

/// Names have at most 255 bytes, and no spaces, pluses or control characters.
#[test]
fn names_outside_charset_or_length_are_refused() {
    for good in ["a", "example.com/log", "büro", "-", &"x".repeat(255)] {
        assert_eq!(check_name(good), Ok(()));
    }
    for bad in [
        "",
        " ",
        "a b",
        "a+b",
        "a\n",
        "a\u{a0}b",
        "a\u{3000}",
        "a\u{7f}",
        "\u{85}",
        &"x".repeat(256),
        &"é".repeat(128),
    ] {
        assert!(matches!(check_name(bad), Err(NoteError::Name { .. })), "{bad:?}");
        assert!(Signer::generate(bad, [0; 32]).is_err());
        assert!(Cosigner::generate(bad, [0; 32]).is_err());
    }
}

#[test]
fn malformed_public_keys_are_refused() {
    let key = signer().verifier();
    let good = vkey("n", 1, key.public_key());
    assert!(Verifier::parse(&good).is_ok());
    let (head, encoded) = good.rsplit_once('+').unwrap();
    let (_, id) = head.split_once('+').unwrap();
    for bad in [
        String::new(),
        "n".into(),
        head.into(),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("n+{}+{encoded}", id.to_uppercase()),
        format!("n+0{id}+{encoded}"),
        format!("n+{}+{encoded}", &id[1..]),
        format!("m+{id}+{encoded}"),
        format!("+{id}+{encoded}"),
        format!("n+00000000+{encoded}"),
        format!("n+{id}+{encoded}="),
        format!("n+{id}+{}", &encoded[1..]),
        vkey("n", 1, &key.public_key()[1..]),
        vkey("n", 1, &[&key.public_key()[..], &[0]].concat()),
        vkey("n", 1, &[]),
        vkey("n+", 1, key.public_key()),
    ] {
        assert!(Verifier::parse(&bad).is_err(), "{bad:?}");
    }
    for kind in [0, 2, 3, 5, 6, 0xff] {
        let error = Verifier::parse(&vkey("n", kind, key.public_key())).unwrap_err();
        assert_eq!(error, NoteError::KeyType { found: kind });
    }
}

#[test]
fn weak_and_non_canonical_public_keys_are_refused() {
    let encoded = |low: u8, high: u8, fill: u8| {
        let mut key = [fill; 32];
        (key[0], key[31]) = (low, high);
        key
    };
    // The identity, the point of order 2, a point of order 4, and the identity encoded as y = p + 1.
    for key in [encoded(1, 0, 0), encoded(0xec, 0x7f, 0xff), encoded(0, 0, 0), encoded(0xee, 0x7f, 0xff)] {
        assert!(matches!(Verifier::parse(&vkey("n", 1, &key)), Err(NoteError::Key { .. })), "{key:?}");
        assert!(matches!(Verifier::parse(&vkey("n", 4, &key)), Err(NoteError::Key { .. })), "{key:?}");
    }
    // y = p + 3 is y = 3, on the curve and of large order; only its encoding is not canonical.
    let (three, alias) = (encoded(3, 0, 0), encoded(0xf0, 0x7f, 0xff));
    assert!(Verifier::parse(&vkey("n", 1, &three)).is_ok());
    assert!(ed25519_dalek::VerifyingKey::from_bytes(&alias).is_ok());
    assert!(Verifier::parse(&vkey("n", 1, &alias)).is_err());
}

#[test]
fn malformed_private_keys_are_refused_and_never_quoted() {
    let good = signer().to_private();
    let secret = good.rsplit_once('+').unwrap().1.to_owned();
    let public = signer().verifier().to_string();
    for bad in [
        good.replace("PRIVATE", "private"),
        good.replace("example.com", "example.org"),
        good.replace("+KEY+", "+KEY++"),
        format!("{good}\n"),
        public.clone(),
        format!("PRIVATE+KEY+{public}"),
        good.replace(&secret, &STANDARD.encode([[4; 1].as_slice(), &[1; 32]].concat())),
        good.replace(&secret, &secret[..40]),
        format!("PRIVATE+KEY+{secret} +00000000+"),
    ] {
        let error = Signer::from_private(&bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..8]), "{error:?}");
    }
    assert!(!format!("{:?} {:?}", signer(), witness()).contains("AQEB"));
}

#[test]
fn numbers_have_one_spelling() {
    assert_eq!(parse_decimal("0", 9), Some(0));
    assert_eq!(parse_decimal("18446744073709551615", u64::MAX), Some(u64::MAX));
    for bad in ["", "+1", "-0", "00", "01", " 1", "1 ", "10", "18446744073709551616", "１"] {
        assert_eq!(parse_decimal(bad, 9), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_printed_the_same(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[a— \n+]{0,20}\n\n(— [a-c]{1,2} [A-D]{6}[AE]={1,2}\n){0,3}".prop_map(String::into_bytes),
        ],
    ) {
        let key = signer().verifier();
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
            prop_assert!(note.verify(&[&key]).is_err());
        }
    }

    #[test]
    fn arbitrary_text_never_panics_as_a_key(text in ".{0,80}|(PRIVATE\\+KEY\\+)?n\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{43}[A-Za-z0-9=]") {
        if let Ok(key) = Verifier::parse(&text) {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        if let Ok(key) = Signer::from_private(&text) {
            prop_assert_eq!(key.to_private(), text);
        }
    }

    #[test]
    fn base64_decodes_alike_with_and_without_vectors(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        change in prop::option::of(any::<(prop::sample::Index, char)>()),
        tail in "[=A-D]{0,2}",
    ) {
        let mut text: Vec<char> = (STANDARD.encode(bytes) + &tail).chars().collect();
        if let Some((at, to)) = change && !text.is_empty() {
            *at.get_mut(&mut text) = to;
        }
        let text: String = text.into_iter().collect();
        let expected = STANDARD.decode(&text).ok();
        prop_assert_eq!(decode_hash(&text), expected.clone().and_then(|bytes| bytes.try_into().ok()));
        prop_assert_eq!(decode_base64(&text), expected);
    }

    #[test]
    fn keys_and_signatures_of_any_seed_round_trip(seed: [u8; 32], text in "([a-z ]{0,9}\n){1,4}", time in 0..=i64::MAX.unsigned_abs()) {
        let (signer, cosigner) = (Signer::generate("l", seed).unwrap(), Cosigner::generate("w", seed).unwrap());
        let again = Signer::from_private(&signer.to_private()).unwrap();
        prop_assert_eq!(again.sign(&text), signer.sign(&text));
        let note = format!("{text}\n{}{}", signer.sign(&text), cosigner.cosign(time, &text));
        let note = Note::parse(note).unwrap();
        prop_assert_eq!(note.text(), text);
        let keys = [signer.verifier(), Verifier::parse(&cosigner.verifier().to_string()).unwrap()];
        let times: Vec<_> = note.verify(&[&keys[0], &keys[1]]).unwrap().iter().map(|v| v.time).collect();
        prop_assert_eq!(times, [None, Some(time)]);
    }
}
