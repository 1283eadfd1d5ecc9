use super::*;
use crate::id::PageId;
use crate::id::vectors::Vectors;
use proptest::prelude::*;

fn tombstone() -> Tombstone {
    Tombstone {
        page: 0x0102_0304,
        seq: 0x0506_0708,
        commitment: [0xcc; 32],
        time: Timestamp::from_unix_ms(0x1112_1314_1516_1718),
        reason: Reason::Due,
        method: Method::Deleted,
        in_bounds: false,
    }
}

fn carry() -> Carry {
    Carry {
        page: 0x0102_0304,
        seq: 0x0506_0708,
        commitment: [0xcc; 32],
        time: Timestamp::from_unix_ms(-1),
        cause: Cause::Failed,
        to: RegistrationId {
            page: PageId { class: 0x2122_2324, slot: 0x2526_2728_292a_2b2c, shard: 0x2d2e, part: 0x2f30 },
            seq: 0x3132_3334,
        },
    }
}

fn result() -> ResultRecord {
    ResultRecord { page: 0x0102_0304, seq: 0x0506_0708, commitment: [0xcc; 32] }
}

fn header() -> Header {
    Header { kind: FileKind::Tombstones, batch: 1_234_067, n: 17 }
}

fn changed<const N: usize>(bytes: [u8; N], at: usize, value: u8) -> [u8; N] {
    let mut bytes = bytes;
    bytes[at] = value;
    bytes
}

/// Returns every reason with every method.
fn pairs() -> impl Iterator<Item = (Reason, Method)> {
    Reason::ALL.iter().flat_map(|reason| Method::ALL.iter().map(|method| (*reason, *method)))
}

/// Conversely, no other reason goes with released.
#[test]
fn reason_host_goes_with_released_and_replaced_only() {
    let mut accepted = 0;
    for (reason, method) in pairs() {
        let host = reason == Reason::Host;
        let goes = match method {
            Method::Released => host,
            Method::Replaced => true,
            _ => !host,
        };
        let record = Tombstone { reason, method, ..tombstone() };
        let expected = if goes { Ok(record) } else { Err(RecordError::Pair { reason, method }) };
        assert_eq!(Tombstone::from_bytes(&record.to_bytes()), expected, "{reason} {method}");
        accepted += u32::from(goes);
    }
    assert_eq!(accepted, 5 * 6 + 2);
    let error = RecordError::Pair { reason: Reason::Due, method: Method::Released }.to_string();
    assert!(error.starts_with("reason due with method released;"), "{error}");
}

#[test]
fn records_equal_the_vectors() {
    let mut vectors = Vectors::default();
    for (reason, method) in pairs() {
        let kind = if reason.goes_with(method) { "tombstone" } else { "reject.tombstone" };
        let bytes = Tombstone { reason, method, ..tombstone() }.to_bytes();
        vectors.put(format!("{kind}.{reason}.{method}"), bytes);
        if reason.goes_with(method) && method.is_deletion() {
            let bytes = Tombstone { reason, method, in_bounds: true, ..tombstone() }.to_bytes();
            vectors.put(format!("tombstone.{reason}.{method}.in-bounds"), bytes);
        }
    }
    for method in Method::ALL.iter().filter(|method| !method.is_deletion()) {
        let reason = if *method == Method::Released { Reason::Host } else { Reason::Due };
        let bytes = Tombstone { reason, method: *method, in_bounds: true, ..tombstone() }.to_bytes();
        vectors.put(format!("reject.tombstone.in-bounds-{method}"), bytes);
    }
    vectors.put("reject.tombstone.flags-2", changed(tombstone().to_bytes(), 51, 2));
    vectors.put("reject.tombstone.flags-256", changed(tombstone().to_bytes(), 50, 1));
    for cause in Cause::ALL {
        vectors.put(format!("carry.{cause}"), Carry { cause: *cause, ..carry() }.to_bytes());
    }
    vectors.put("result", result().to_bytes());
    for (at, value) in [(40, 1), (47, 1), (48, 1), (49, 6), (63, 1)] {
        vectors.put(format!("reject.result.{at}.{value}"), changed(result().to_bytes(), at, value));
    }
    for kind in FileKind::ALL.iter().filter(|kind| **kind != FileKind::Seal) {
        vectors.put(format!("header.{kind}"), Header { kind: *kind, ..header() }.to_bytes());
    }
    vectors.put("header.largest", Header { batch: u64::MAX, n: u32::MAX, ..header() }.to_bytes());
    for (at, value) in [(48, 0), (48, 7), (49, 0), (49, 8), (52, 1), (63, 1)] {
        vectors.put(format!("reject.tombstone.{at}.{value}"), changed(tombstone().to_bytes(), at, value));
    }
    for (at, value) in [(48, 0), (48, 13), (49, 1), (50, 1), (51, 1), (52, 1), (63, 1), (84, 1), (127, 1)] {
        vectors.put(format!("reject.carry.{at}.{value}"), changed(carry().to_bytes(), at, value));
    }
    for (at, value) in [
        (0, b'S'),
        (7, 1),
        (8, 0),
        (8, 3),
        (8, 6),
        (9, 1),
        (10, 1),
        (15, 1),
        (24, 1),
        (27, 1),
        (32, 1),
        (63, 1),
    ] {
        vectors.put(format!("reject.header.{at}.{value}"), changed(header().to_bytes(), at, value));
    }
    vectors.put("reject.header.batch.0", Header { batch: 0, ..header() }.to_bytes());
    let stored = vectors.check_against("record.txt", "Records of evidence files, docs/format.md section 3.");

    for (name, bytes) in stored.all("tombstone.") {
        let read = Tombstone::from_bytes(bytes.try_into().unwrap()).unwrap();
        let Tombstone { reason, method, in_bounds, .. } = read;
        let end = if in_bounds { ".in-bounds" } else { "" };
        assert_eq!(name, format!("tombstone.{reason}.{method}{end}"));
        assert_eq!(read, Tombstone { reason, method, in_bounds, ..tombstone() });
    }
    for (name, bytes) in stored.all("carry.") {
        let read = Carry::from_bytes(bytes.try_into().unwrap()).unwrap();
        assert_eq!(name, format!("carry.{}", read.cause));
        assert_eq!(read, Carry { cause: read.cause, ..carry() });
    }
    assert_eq!(ResultRecord::from_bytes(stored.get("result").try_into().unwrap()), Ok(result()));
    for (name, bytes) in stored.all("header.") {
        assert!(Header::from_bytes(bytes.try_into().unwrap()).is_ok(), "{name}");
    }
    for (name, bytes) in stored.all("reject.") {
        let accepted = match name.split('.').nth(1) {
            Some("tombstone") => Tombstone::from_bytes(bytes.try_into().unwrap()).is_ok(),
            Some("result") => ResultRecord::from_bytes(bytes.try_into().unwrap()).is_ok(),
            Some("carry") => Carry::from_bytes(bytes.try_into().unwrap()).is_ok(),
            _ => Header::from_bytes(bytes.try_into().unwrap()).is_ok(),
        };
        assert!(!accepted, "{name}");
    }
}

#[test]
fn bytes_of_a_tombstone_are_those_of_the_format() {
    let expected = [
        "01020304 05060708",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
        "1112131415161718 01 01 0000 000000000000000000000000",
    ];
    assert_eq!(hex::encode(tombstone().to_bytes()), expected.concat().replace(' ', ""));
}

/// A missing bound holds.
#[test]
fn deletion_is_in_bounds_from_its_floor_to_its_ceiling() {
    let at = |ms| Some(Timestamp::from_unix_ms(ms));
    for method in Method::ALL {
        let deletes = matches!(method, Method::Deleted | Method::AbsentAfterIntent | Method::Anonymised);
        for (floor, ceiling, is_within) in [
            (None, None, true),
            (at(5), at(5), true),
            (at(6), None, false),
            (None, at(4), false),
            (at(6), at(4), false),
        ] {
            let found = in_bounds(*method, Timestamp::from_unix_ms(5), floor, ceiling);
            assert_eq!(found, deletes && is_within, "{method} {floor:?} {ceiling:?}");
        }
    }
    let error = RecordError::InBounds { method: Method::Absent };
    let bytes = Tombstone { method: Method::Absent, in_bounds: true, ..tombstone() }.to_bytes();
    assert_eq!(bytes[50..52], [0, 1]);
    assert_eq!(Tombstone::from_bytes(&bytes), Err(error));
}

#[test]
fn bytes_of_a_carry_are_those_of_the_format() {
    let expected = [
        "01020304 05060708",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
        "ffffffffffffffff 01 00 0000 000000000000000000000000",
        "21222324 25262728292a2b2c 2d2e 2f30 31323334",
        &"00".repeat(44),
    ];
    assert_eq!(hex::encode(carry().to_bytes()), expected.concat().replace(' ', ""));
}

#[test]
fn bytes_of_a_result_are_those_of_the_format() {
    let expected = ["0102030405060708".to_owned(), "cc".repeat(32), "00".repeat(24)];
    assert_eq!(hex::encode(result().to_bytes()), expected.concat());
    for at in 0..64 {
        let read = ResultRecord::from_bytes(&changed(result().to_bytes(), at, 9));
        assert_eq!(read.err(), (at >= 40).then_some(RecordError::NotZero { at, found: 9 }), "byte {at}");
    }
}

#[test]
fn bytes_of_a_header_are_those_of_the_format() {
    let expected =
        ["736578746f6e0000 01 00 000000000000", "000000000012d493 0000000000000011", &"00".repeat(32)];
    assert_eq!(hex::encode(header().to_bytes()), expected.concat().replace(' ', ""));
}

#[test]
fn codes_and_names_are_those_of_the_format() {
    let reasons = ["due", "erasure", "closed", "lifted", "restored", "host"];
    let methods =
        ["deleted", "absent", "absent-after-intent", "replaced", "released", "anonymised", "requested"];
    let causes = ["failed", "refused", "changed", "floor", "held", "started", "tightened", "loosened"];
    let causes = [causes.as_slice(), &["erasure", "closed", "lifted", "released"]].concat();
    for code in 0..=u8::MAX {
        let at = usize::from(code).wrapping_sub(1);
        assert_eq!(Reason::from_code(code).map(Reason::name), reasons.get(at).copied());
        assert_eq!(Method::from_code(code).map(Method::name), methods.get(at).copied());
        assert_eq!(Cause::from_code(code).map(Cause::name), causes.get(at).copied());
        assert_eq!(FileKind::from_code(code).is_some(), [1, 2, 4, 5, 6].contains(&code));
        assert!(Reason::from_code(code).is_none_or(|reason| reason.code() == code));
        assert!(Method::from_code(code).is_none_or(|method| method.code() == code));
        assert!(Cause::from_code(code).is_none_or(|cause| cause.code() == code));
        assert!(FileKind::from_code(code).is_none_or(|kind| kind.code() == code));
    }
}

#[test]
fn reserved_byte_that_is_not_zero_is_refused() {
    for at in 50..64 {
        let error = Tombstone::from_bytes(&changed(tombstone().to_bytes(), at, 9)).unwrap_err();
        let expected = match at {
            51 => RecordError::Code { field: "flags", found: 9 },
            _ => RecordError::NotZero { at, found: 9 },
        };
        assert_eq!(error, expected);
    }
    for at in (0..128).filter(|at| *at != 48) {
        let read = Carry::from_bytes(&changed(carry().to_bytes(), at, 9));
        let expected = RecordError::NotZero { at, found: 9 };
        let zero_due = (49..64).contains(&at) || at >= 84;
        assert_eq!(read.err(), zero_due.then_some(expected), "byte {at}");
    }
    for at in 0..64 {
        let header = Header::from_bytes(&changed(header().to_bytes(), at, 255));
        let free = (16..24).contains(&at) || (28..32).contains(&at);
        assert_eq!(header.is_ok(), free, "byte {at}");
    }
}

proptest! {
    #[test]
    fn accepted_records_are_written_the_same(
        kind in 0..4,
        front: [u8; 32],
        back in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0u8..14], 32),
        noise in any::<(u8, u8)>(),
    ) {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&front);
        bytes[32..].copy_from_slice(&back);
        bytes[usize::from(noise.0 % 64)] = noise.1;
        match kind {
            0 => bytes[48..].copy_from_slice(&tombstone().to_bytes()[48..]),
            1 => bytes[48..].copy_from_slice(&carry().to_bytes()[48..64]),
            2 => bytes = changed(header().to_bytes(), usize::from(noise.0 % 64), noise.1),
            _ => {}
        }
        if let Ok(read) = Tombstone::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        let mut short = bytes;
        short[40..].fill(0);
        short[usize::from(noise.0 % 64)] = noise.1;
        if let Ok(read) = ResultRecord::from_bytes(&short) {
            prop_assert_eq!(read.to_bytes(), short);
        }
        let mut long = carry().to_bytes();
        long[..64].copy_from_slice(&bytes);
        long[64..84].copy_from_slice(&front[..20]);
        if noise.1 < 64 {
            long[usize::from(noise.0 / 2)] = noise.1;
        }
        if let Ok(read) = Carry::from_bytes(&long) {
            prop_assert_eq!(read.to_bytes(), long);
        }
        if let Ok(read) = Header::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
