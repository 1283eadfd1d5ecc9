//! Check 9: the quorum, and the dates of cosignatures.

use super::*;
use crate::window::Span;

/// Time of the deletion of record 0, in Unix seconds, rounded down.
const DELETED_S: u64 = 1_717_200_000;

impl World {
    /// Creates a world whose witness cosigned at this date, in Unix seconds.
    pub(super) fn cosigned_at(date: u64) -> Self {
        let mut world = Self::new();
        world.cosigned_s = Some(date);
        world
    }
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

/// Returns the standing of the only cosignature, which counts if and only if the receipt passes.
fn standing(world: &World, within: Option<&str>, now: Timestamp) -> CosignatureDate {
    let policy = policy();
    let mut verifier = Verifier::new(&policy);
    if let Some(within) = within {
        verifier = verifier.witnessed_within(span(within)).unwrap();
    }
    let receipt = world.receipt(0);
    let (verdict, passes) = match verifier.verify(receipt.as_bytes(), now) {
        Ok(verdict) => (verdict, true),
        Err(VerifyError::Quorum(unwitnessed)) => {
            assert_eq!((unwitnessed.now, unwitnessed.within), (now, within.map(span)));
            (unwitnessed.verdict, false)
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(verdict.quorum_met, passes);
    assert_eq!(verdict.key, world.openings[0].key);
    let [cosignature] = verdict.cosignatures.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(cosignature.date == CosignatureDate::Counts, passes, "{cosignature:?}");
    cosignature.date
}

#[test]
fn cosignature_counts_from_deletion_to_the_verifiers_time() {
    use CosignatureDate::{BeforeDeletion, Counts, InFuture, TooLate};
    // Record 0 ended 10 ms after `DELETED_S`.
    for (date, within, expected) in [
        (0, None, BeforeDeletion),
        (DELETED_S - 365 * 86_400, None, BeforeDeletion),
        (DELETED_S - 300, None, BeforeDeletion),
        (DELETED_S - 299, None, Counts),
        (DELETED_S, None, Counts),
        (NOW_S, None, Counts),
        (NOW_S + 300, None, Counts),
        (NOW_S + 301, None, InFuture),
        (NOW_S + 10 * 365 * 86_400, None, InFuture),
        (u64::MAX >> 1, None, InFuture),
        (DELETED_S - 300, Some("59s"), BeforeDeletion),
        (DELETED_S + 59, Some("59s"), Counts),
        (DELETED_S + 60, Some("59s"), TooLate),
        (NOW_S + 301, Some("2h"), InFuture),
    ] {
        assert_eq!(standing(&World::cosigned_at(date), within, NOW), expected, "{date} {within:?}");
    }
}

/// A verifier whose clock is behind takes no cosignature. A verifier with any later time takes all of them.
#[test]
fn verifiers_time_bounds_cosignatures_alone() {
    let world = World::new();
    let receipt = world.receipt(0);
    let at = |s: u64| standing(&world, None, Timestamp::from_unix_s(s));
    assert_eq!(at(0), CosignatureDate::InFuture);
    assert_eq!(at(COSIGNED_S - 301), CosignatureDate::InFuture);
    assert_eq!(at(COSIGNED_S - 300), CosignatureDate::Counts);
    assert_eq!(at(u64::MAX), CosignatureDate::Counts);
    let none = Policy::parse(format!("log {}\nquorum none\n", signer(ORIGIN).verifier())).unwrap();
    for now in [Timestamp::MIN, Timestamp::MAX] {
        assert!(verify(receipt.as_bytes(), &none, now).is_ok(), "only the operator vouches for times");
    }
}

/// A date that does not count never hides one that does, and a second date of a witness makes no second witness.
#[test]
fn one_date_that_counts_suffices_for_its_witness() {
    let receipt = |dates: &[u64]| {
        let mut world = World::new();
        world.cosigned_s = None;
        let mut proof = TlogProof::parse(world.receipt(0).as_bytes()).unwrap();
        let text = crate::note::Note::parse(&proof.checkpoint).unwrap().text().to_owned();
        for date in dates {
            proof.checkpoint += &witness().cosign(*date, &text);
        }
        proof.to_text()
    };
    let passes = |dates: &[u64]| verify(receipt(dates).as_bytes(), &policy(), NOW).is_ok();
    assert!(passes(&[1, COSIGNED_S]) && passes(&[COSIGNED_S, NOW_S + 301]));
    assert!(!passes(&[1, NOW_S + 301]));
}

#[test]
fn unwitnessed_receipt_says_why_each_date_does_not_count() {
    let text = |world: &World| world.verify(0).unwrap_err().to_string();
    let mut world = World::new();
    world.cosigned_s = None;
    assert_eq!(
        text(&world),
        "the quorum \"w1\" is not met: no witness of this policy cosigned the checkpoint"
    );
    assert_eq!(
        text(&World::cosigned_at(DELETED_S - 86_400)),
        "the quorum \"w1\" is not met: cosigned by \"w1\" at 2024-05-31T00:00:00.000Z (before the deletion at \
         2024-06-01T00:00:00.010Z)"
    );
    assert_eq!(
        text(&World::cosigned_at(NOW_S + 86_400)),
        "the quorum \"w1\" is not met: cosigned by \"w1\" at 2024-06-02T01:00:00.000Z (after the verifier's time, \
         2024-06-01T01:00:00.000Z)"
    );
}

#[test]
fn limit_on_dates_needs_a_quorum_and_an_exact_span() {
    let policy = policy();
    let limited = |policy: &Policy, within: &str| Verifier::new(policy).witnessed_within(span(within)).err();
    assert_eq!(limited(&policy, "24h"), None);
    assert_eq!(limited(&policy, "6mo"), Some(WithinError::Calendar { span: span("6mo") }));
    let none = Policy::parse(format!("log {}\nquorum none\n", signer(ORIGIN).verifier())).unwrap();
    assert_eq!(limited(&none, "24h"), Some(WithinError::NoQuorum));
    let mut world = World::new();
    world.cosigned_s = None;
    let verdict = verify(world.receipt(0).as_bytes(), &none, NOW).unwrap();
    assert!(verdict.quorum_met && !verdict.quorum_required && verdict.cosignatures.is_empty());
}
