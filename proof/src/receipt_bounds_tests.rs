//! Ends within and outside the bounds of their objects, and classes with all kinds of bounds.

use super::*;

impl World {
    /// Creates a world in which tombstone 3 is an end outside the bounds of its object.
    pub(super) fn with_end_outside(change: impl FnOnce(&mut Tombstone, &mut Opening)) -> Self {
        let mut world = World::new();
        change(&mut world.tombstones[3], &mut world.openings[3]);
        world.promise();
        world.seal();
        world
    }

    /// Creates a world in which object 3 was deleted too late for a reason.
    pub(super) fn late(reason: Reason) -> Self {
        Self::with_end_outside(|tombstone, opening| {
            tombstone.reason = reason;
            opening.start = shifted(opening.start, -60 * 86_400_000);
        })
    }

    /// Creates a world in which the registration of object 3 was replaced before its floor.
    pub(super) fn replaced() -> Self {
        Self::with_end_outside(|tombstone, opening| {
            tombstone.method = Method::Replaced;
            opening.start = shifted(opening.start, 60 * 86_400_000);
            tombstone.reason = Reason::Erasure;
        })
    }
}

#[test]
fn compliance_follows_from_time_bounds_and_reason() {
    let mut verdict = World::new().verify(0).unwrap();
    let (floor, ceiling) = (verdict.floor.unwrap(), verdict.ceiling.unwrap());
    for (time, expected) in [
        (floor, Compliance::Kept),
        (ceiling, Compliance::Kept),
        (shifted(floor, -1), Compliance::Early { by: Duration::from_millis(1) }),
        (shifted(ceiling, 5), Compliance::Late { by: Duration::from_millis(5) }),
        (Timestamp::MIN, Compliance::Early { by: Duration::from_millis(floor.unix_ms().abs_diff(i64::MIN)) }),
    ] {
        verdict.time = time;
        for method in [Method::Deleted, Method::AbsentAfterIntent, Method::Anonymised] {
            verdict.method = method;
            assert_eq!(verdict.compliance(), expected);
            verdict.reason = Reason::Lifted;
            let after_hold = |outcome| match outcome {
                Compliance::Late { by } => Compliance::AfterHold { by },
                other => other,
            };
            assert_eq!(
                verdict.compliance(),
                after_hold(expected),
                "a hold explains lateness and nothing else"
            );
            verdict.reason = Reason::Due;
        }
        for method in [Method::Absent, Method::Replaced, Method::Released] {
            verdict.method = method;
            assert_eq!(verdict.compliance(), Compliance::NotADeletion(method));
        }
    }
    (verdict.floor, verdict.ceiling, verdict.method) = (None, None, Method::Deleted);
    for time in [Timestamp::MIN, ms(0), Timestamp::MAX] {
        verdict.time = time;
        assert_eq!(verdict.compliance(), Compliance::Kept);
    }
}

/// Their bounds do not lie within those of the leaf, which are those of the ends in bounds.
#[test]
fn ends_out_of_bounds_are_authentic_outside_the_lines() {
    let lines = |world: &World| (world.batch.floor_max, world.batch.ceiling_min);
    let usual = lines(&World::new());
    for reason in [Reason::Due, Reason::Lifted] {
        let world = World::late(reason);
        assert_eq!(lines(&world), usual);
        let verdict = world.verify(3).unwrap();
        assert!(verdict.ceiling < world.batch.ceiling_min);
        let is_after_hold = matches!(verdict.compliance(), Compliance::AfterHold { .. });
        assert_eq!(is_after_hold, reason == Reason::Lifted);
        assert_eq!(world.verify(4).unwrap().compliance(), Compliance::Kept);
    }
    let world = World::replaced();
    assert_eq!(lines(&world), usual);
    let verdict = world.verify(3).unwrap();
    assert!(verdict.floor > world.batch.floor_max);
    assert_eq!(verdict.compliance(), Compliance::NotADeletion(Method::Replaced));
}

#[test]
fn classes_with_a_single_bound_or_exact_spans_are_verified() {
    for (keep, within) in [(None, Some("3h")), (Some("30d"), None), (Some("1s"), Some("2y"))] {
        let mut world = World::new();
        world.class.keep = keep.map(|span| span.parse().unwrap());
        world.class.within = within.map(|span| span.parse().unwrap());
        world.promise();
        world.seal();
        let verdict = world.verify(7).unwrap();
        assert_eq!(verdict.floor.is_none(), keep.is_none());
        assert_eq!(verdict.ceiling.is_none(), within.is_none());
        let late = matches!(verdict.compliance(), Compliance::Late { .. });
        assert_eq!(late, within == Some("3h"));
    }
}

#[test]
fn working_days_are_verified_by_the_dates_in_the_class_leaf() {
    let mut world = World::new();
    world.class.keep = None;
    world.class.within = Some("126wd".parse().unwrap());
    world.promise();
    let by_weekends = world.openings[7].ceiling;
    // From Thursday 2023-11-30. With four holidays the 126th working day is no longer Friday 2024-05-24.
    world.class.calendar = Calendar::parse("2023-12-25\n2023-12-26\n2024-01-01\n2024-03-29\n").unwrap();
    world.promise();
    world.seal();
    let verdict = world.verify(7).unwrap();
    assert_eq!(verdict.ceiling, world.openings[7].ceiling);
    // Four working days later, across a weekend.
    let later = verdict.ceiling.unwrap().since(by_weekends.unwrap());
    assert_eq!(later, Duration::from_secs(6 * 86_400));
    world.openings[7].ceiling = by_weekends;
    world.seal();
    let expected = verdict.ceiling;
    assert_eq!(world.verify(7), Err(VerifyError::Ceiling { expected, found: by_weekends }));
}
