use super::*;

fn row() -> Row<'static> {
    Row {
        cause: 0,
        attempts: 2,
        flags: Flags::OPEN,
        reason: Reason::Erasure,
        start: Timestamp::from_unix_ms(7),
        floor: None,
        ceiling: Some(Timestamp::from_unix_ms(9)),
        size: Some(3),
        key: b"k",
        first: None,
        version: b"v1",
        digest: b"",
        subject: b"anna",
        origin: None,
        doubt: None,
        era: 0,
        registered: None,
        links: Links::NONE,
    }
}

#[test]
fn row_survives_a_round_trip_with_and_without_its_optional_parts() {
    let origin = |version| Some(Origin { class: 5, start: Timestamp::from_unix_ms(1), version });
    let (wall, expected) = (Timestamp::from_unix_ms(11), Timestamp::from_unix_ms(12));
    let doubt = Doubt { number: 3, wall, expected };
    for origin in [None, origin(row().version), origin(b"v0"), origin(b"")] {
        for doubt in [None, Some(doubt)] {
            for (era, first) in [(0, None), (7, None), (0, Some(&b"first"[..])), (7, Some(&[1; 1_024]))] {
                for registered in [None, Some(wall)] {
                    for links in all_links() {
                        let cause = if links.parked_after_lift { Cause::Held.code() } else { 0 };
                        let row = Row { cause, origin, doubt, era, first, registered, links, ..row() };
                        assert_eq!(Row::decode(&row.encode()).unwrap(), row);
                    }
                }
            }
        }
    }
}

/// Rows of earlier builds had no optional parts, and hid an erasure behind the reason `lifted`.
#[test]
fn row_of_an_earlier_build_reads_as_outlasted() {
    let mut bytes = row().encode();
    bytes[3] = Reason::Lifted.code();
    let read = Row::decode(&bytes).unwrap();
    assert_eq!((read.reason, read.end_reason()), (Reason::Due, Reason::Lifted));
    assert_eq!(read.flags, Flags::OPEN.with(Flags::OUTLASTED));
}

/// A row without the parts of this build has the bytes of the build before, and reads as written by it.
#[test]
fn row_of_the_build_before_with_its_parts_is_readable() {
    let mut bytes = row().encode();
    bytes.truncate(bytes.len() - 1);
    bytes[2] |= Flags::PARTS.0;
    bytes.extend([PART_ORIGIN | PART_ERA, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, b'k']);
    let origin = Origin { class: 5, start: Timestamp::from_unix_ms(1), version: row().version };
    let expected = Row { origin: Some(origin), era: 7, ..row() };
    assert_eq!(Row::decode(&bytes).unwrap(), expected);
    assert_eq!(expected.encode(), bytes);
}

#[test]
fn row_with_an_unknown_part_is_corrupt() {
    let mut bytes = Row { era: 7, ..row() }.encode();
    let parts = bytes.len() - b"k".len() - 4 - 1;
    assert_eq!(bytes[parts], PART_ERA);
    bytes[parts] |= 128;
    assert!(Row::decode(&bytes).is_err());
}

fn id(seq: u32) -> RegistrationId {
    RegistrationId { page: PageId { class: 5, slot: 6, shard: 7, part: 8 }, seq }
}

/// Returns every combination of links.
fn all_links() -> Vec<Links> {
    let mut all = vec![Links::NONE, Links::of_successor(id(2))];
    for replaces in [None, Some(id(2))] {
        for parked_after_lift in [false, true] {
            all.push(Links { continues: Some((Cause::Loosened, id(1))), replaces, parked_after_lift });
        }
    }
    all
}

/// Returns the bytes of a row with links, and the offset of the byte that says which.
fn linked(cause: Cause, links: Links) -> (Vec<u8>, usize) {
    let bytes = Row { cause: cause.code(), links, ..row() }.encode();
    let mut part = Vec::new();
    links.encode_into(&mut part);
    let at = bytes.len() - b"k".len() - part.len();
    (bytes, at)
}

#[test]
fn links_of_no_known_kind_are_corrupt() {
    let both =
        Links { continues: Some((Cause::Held, id(1))), replaces: Some(id(2)), parked_after_lift: true };
    let (bytes, at) = linked(Cause::Held, both);
    assert_eq!((bytes[at], bytes[at + 1]), (7, Cause::Held.code()));
    assert_eq!(Row::decode(&bytes).unwrap().links, both);
    // 4 and 6 have it without a source.
    for what in [0, 4, 6, 8, 15, 255] {
        let mut bytes = bytes.clone();
        bytes[at] = what;
        assert!(Row::decode(&bytes).is_err(), "{what}");
    }
    for cause in [0, 200] {
        let mut bytes = bytes.clone();
        bytes[at + 1] = cause;
        assert!(Row::decode(&bytes).is_err(), "{cause}");
    }
    // The row itself is not parked.
    assert!(Row::decode(&linked(Cause::Erasure, both).0).is_err());
    for cut in at + 1..at + 42 {
        assert!(Row::decode(&bytes[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn moved_row_keeps_its_links_and_its_successor_gets_its_own() {
    let links = Links { continues: Some((Cause::Held, id(1))), replaces: None, parked_after_lift: true };
    let parked = Row { cause: Cause::Held.code(), links, ..row() };
    assert_eq!((parked.held(), row().held()), (2, 0));
    assert_eq!(Row { links: Links::NONE, ..parked }.held(), 1);
    assert_eq!(parked.moved(&[1; 32]).links, links);
    let next = Links::of_move(id(2), &parked, &parked, Cause::Erasure);
    let source = Some((Cause::Erasure, id(2)));
    assert_eq!(next, Links { continues: source, replaces: None, parked_after_lift: true });
    let freed = Links::of_move(id(2), &parked, &row(), Cause::Lifted);
    assert!(!freed.parked_after_lift);
}

#[test]
fn renamed_row_keeps_its_first_key_in_the_opening() {
    let twice = row().renamed(b"l").renamed(b"m");
    assert_eq!((twice.key, twice.first), (&b"m"[..], Some(&b"k"[..])));
    assert_eq!(twice.opening([0; 32]), row().opening([0; 32]));
    assert_eq!(twice.renamed(b"k"), row());
}

#[test]
fn terms_as_registered_stay_through_all_changes() {
    let bounds = |ms| Bounds { floor: None, ceiling: Some(Timestamp::from_unix_ms(ms)) };
    let registered = row();
    let moved = registered.under(4, 5, registered.start, bounds(20));
    let again = moved.under(5, 4, Timestamp::from_unix_ms(15), bounds(30));
    let rewritten = registered.with_version(4, b"v2").with_version(4, b"v3");
    for row in [moved, again, rewritten, again.with_version(4, b"v2").with_version(4, b"v1")] {
        assert_eq!(row.origin(9), Origin { class: 4, start: registered.start, version: b"v1" });
    }
    assert_eq!(registered.under(4, 4, registered.start, bounds(9)).origin, None);
}
