use super::*;
use crate::id::vectors::Vectors;
use crate::time::tests::at as ms;
use crate::window::{Calendar, Span};
use proptest::prelude::*;
use std::time::Duration;

pub(crate) fn class() -> ClassLeaf {
    ClassLeaf {
        logged: ms(1_700_000_000_000),
        name: "upload-3h".into(),
        id: 1,
        version: 1,
        keep: None,
        within: Some("3h".parse().unwrap()),
        zone: "UTC".into(),
        calendar: Calendar::default(),
        start: StartRule::Explicit,
        max_open: Some("24h".parse().unwrap()),
        slot: Duration::from_secs(60),
        lead: Duration::from_secs(30),
        disposition: Disposition::Delete,
        openings: Openings::Operator,
        find: Find::Key,
        seal_within: "10m".parse().unwrap(),
        evidence: None,
    }
}

fn log_class() -> ClassLeaf {
    ClassLeaf {
        name: "log-6mo".into(),
        id: 2,
        keep: Some("6mo".parse().unwrap()),
        within: Some("7mo".parse().unwrap()),
        zone: "Europe/Berlin".into(),
        start: StartRule::Registered,
        max_open: None,
        disposition: Disposition::Anonymise,
        openings: Openings::Ticket,
        find: Find::Version,
        seal_within: "1d".parse().unwrap(),
        evidence: Some("2y".parse().unwrap()),
        ..class()
    }
}

/// Class of requests in China: fifteen working days, with the holidays of October 2026.
fn request_class() -> ClassLeaf {
    let calendar = "2026-10-01\n2026-10-02\n2026-10-05\n2026-10-06\n2026-10-07\n+2026-09-20\n+2026-10-10";
    ClassLeaf {
        name: "requests".into(),
        id: 3,
        within: Some("15wd".parse().unwrap()),
        zone: "Asia/Shanghai".into(),
        calendar: Calendar::parse(calendar).unwrap(),
        ..class()
    }
}

fn batch() -> BatchLeaf {
    BatchLeaf {
        logged: ms(1_700_010_000_300),
        batch: 17,
        class: 2,
        class_leaf: [0xab; 32],
        pages: vec![
            PageLine { slot: 1_700_010_000_000, shard: 0, part: 0, seqs: 5, tombstones: 3, carries: 2 },
            PageLine { slot: 1_700_010_000_000, shard: 1, part: 0, seqs: 4, tombstones: 4, carries: 0 },
        ],
        tombstones: FileRef { n: 7, root: [0x70; 32] },
        carries: Some(FileRef { n: 2, root: [0xca; 32] }),
        results: Some(FileRef { n: 4, root: [0x4e; 32] }),
        floor_max: Some(ms(1_700_009_999_999)),
        ceiling_min: Some(ms(1_700_020_000_000)),
        started: ms(1_700_010_000_100),
        finished: ms(1_700_010_000_200),
        tool: "sexton/0.1.0".into(),
    }
}

fn small_batch() -> BatchLeaf {
    let page = PageLine { slot: 0, shard: 0, part: 0, seqs: 1, tombstones: 1, carries: 0 };
    BatchLeaf {
        pages: vec![page],
        tombstones: FileRef { n: 1, root: [0; 32] },
        carries: None,
        results: None,
        floor_max: None,
        ceiling_min: None,
        ..batch()
    }
}

/// Class leaf with the largest number in every line.
fn largest_class() -> ClassLeaf {
    ClassLeaf {
        logged: Timestamp::MAX,
        name: "n".repeat(64),
        id: u32::MAX,
        version: u32::MAX,
        keep: Some("1000000w".parse().unwrap()),
        within: Some("1000000y".parse().unwrap()),
        zone: "Z".repeat(64),
        max_open: Some("1000000w".parse().unwrap()),
        slot: Duration::from_millis(u64::MAX),
        lead: Duration::from_millis(u64::MAX),
        seal_within: "1000000w".parse().unwrap(),
        evidence: Some("1000000y".parse().unwrap()),
        ..class()
    }
}

/// Batch leaf with the largest number in every line. Bounds have the values that mean none for the other bound.
fn largest_batch() -> BatchLeaf {
    let page = PageLine {
        slot: u64::MAX,
        shard: u16::MAX,
        part: u16::MAX,
        seqs: u32::MAX,
        tombstones: u32::MAX,
        carries: 0,
    };
    BatchLeaf {
        logged: Timestamp::MAX,
        batch: u64::MAX,
        class: u32::MAX,
        pages: vec![page],
        tombstones: FileRef { n: u32::MAX, root: [0; 32] },
        carries: None,
        results: Some(FileRef { n: u32::MAX, root: [0; 32] }),
        floor_max: Some(Timestamp::MAX),
        ceiling_min: Some(Timestamp::MIN),
        started: Timestamp::MIN,
        finished: Timestamp::MAX,
        tool: "t".repeat(64),
        ..batch()
    }
}

/// Batch leaf of a page whose registrations all live on.
fn carrying_batch() -> BatchLeaf {
    let page = PageLine { slot: 5, shard: 0, part: 0, seqs: 2, tombstones: 0, carries: 2 };
    BatchLeaf {
        pages: vec![page],
        tombstones: FileRef { n: 0, root: [0; 32] },
        results: None,
        floor_max: None,
        ceiling_min: None,
        ..batch()
    }
}

fn hold() -> EventLeaf {
    EventLeaf { logged: ms(1_700_000_000_000), kind: EventKind::Hold, id: [0x1d; 16], commitment: [0xc0; 32] }
}

pub(super) const CLASS_TEXT: &str = "\
sexton/v0 class
logged 1700000000000
class upload-3h
id 1
version 1
within 3h
zone UTC
start explicit
max_open 24h
slot 60000
lead 30000
disposition delete
openings operator
seal_within 10m
";

const REQUEST_TEXT: &str = "\
sexton/v0 class
logged 1700000000000
class requests
id 3
version 1
within 15wd
zone Asia/Shanghai
holiday 2026-10-01
holiday 2026-10-02
holiday 2026-10-05
holiday 2026-10-06
holiday 2026-10-07
workday 2026-09-20
workday 2026-10-10
start explicit
max_open 24h
slot 60000
lead 30000
disposition delete
openings operator
seal_within 10m
";

const HOLD_TEXT: &str = "\
sexton/v0 hold
logged 1700000000000
id 1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d
commitment c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0
";

const BATCH_TEXT: &str = "\
sexton/v0 batch
logged 1700010000300
batch 17
class 2
class_leaf abababababababababababababababababababababababababababababababab
page 1700010000000 0 0 5 3 2
page 1700010000000 1 0 4 4 0
tombstones 7 7070707070707070707070707070707070707070707070707070707070707070
carries 2 cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca
results 4 4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e
floor_max 1700009999999
ceiling_min 1700020000000
started 1700010000100
finished 1700010000200
tool sexton/0.1.0
";

#[test]
fn logged_at_changes_only_the_instant_of_logging() {
    let leaf = batch();
    for logged in [leaf.logged, ms(leaf.logged.unix_ms() + 1), ms(9_999_999_999_999)] {
        let text = Leaf::Batch(leaf.clone()).to_text();
        let expected = Leaf::Batch(BatchLeaf { logged, ..leaf.clone() }).to_text();
        assert_eq!(Leaf::logged_at(&text, logged), expected);
    }
}

#[test]
fn leaf_text_is_that_of_the_format() {
    assert_eq!(Leaf::Class(class()).to_text(), CLASS_TEXT);
    assert_eq!(Leaf::parse(CLASS_TEXT.as_bytes()), Ok(Leaf::Class(class())));
    assert_eq!(Leaf::Class(request_class()).to_text(), REQUEST_TEXT);
    assert_eq!(Leaf::parse(REQUEST_TEXT.as_bytes()), Ok(Leaf::Class(request_class())));
    assert_eq!(Leaf::Batch(batch()).to_text(), BATCH_TEXT);
    assert_eq!(Leaf::parse(BATCH_TEXT.as_bytes()), Ok(Leaf::Batch(batch())));
    assert_eq!(Leaf::Event(hold()).to_text(), HOLD_TEXT);
    assert_eq!(Leaf::Event(hold()).logged(), ms(1_700_000_000_000));
    for kind in [EventKind::Hold, EventKind::Lift, EventKind::Alarm, EventKind::Resume] {
        let text = HOLD_TEXT.replace("hold", kind.name());
        assert_eq!(Leaf::parse(text.as_bytes()), Ok(Leaf::Event(EventLeaf { kind, ..hold() })));
    }
    assert_eq!(Leaf::Batch(batch()).logged(), ms(1_700_010_000_300));
    assert_eq!(batch().page_id(1).map(|page| (page.class, page.shard)), Some((2, 1)));
    assert_eq!(batch().page_id(2), None);
}

#[test]
fn every_optional_line_may_be_missing() {
    for leaf in [
        Leaf::Class(log_class()),
        Leaf::Batch(small_batch()),
        Leaf::Class(ClassLeaf { max_open: None, ..class() }),
    ] {
        assert_eq!(Leaf::parse(leaf.encode().unwrap().as_bytes()), Ok(leaf));
    }
}

/// Texts that are refused: name of the vector and text.
fn refused_texts() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (kind, text) in [("class", CLASS_TEXT), ("batch", BATCH_TEXT), ("hold", HOLD_TEXT)] {
        let mut put = |name: &str, text: String| all.push((format!("{kind}.{name}"), text));
        put("no_last_lf", text[..text.len() - 1].into());
        put("surplus_line", format!("{text}\n"));
        put("surplus_text", format!("{text}x"));
        put("other_version", text.replace("v0", "v1"));
        put("crlf", text.replace('\n', "\r\n"));
        put("capital_name", text.replace("logged", "Logged"));
        put("two_spaces", text.replace("logged ", "logged  "));
        put("tab", text.replace("logged ", "logged\t"));
        put("plus", text.replace("logged ", "logged +"));
        put("leading_zero", text.replace("logged ", "logged 0"));
        put("value_missing", text.replace("logged 1", "logged \n1"));
        put("space_behind", text.replace("00\n", "00 \n"));
        let lines: Vec<&str> = text.lines().collect();
        for at in 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            put(&format!("swapped_{at}"), swapped.join("\n") + "\n");
        }
    }
    all.extend(refused_values());
    all
}

/// Texts that are refused for a single value: name of the vector and text. Each comes from replacing a part of a valid
/// text.
fn refused_values() -> Vec<(String, String)> {
    [refused_class_values(), refused_batch_and_event_values(), values_beyond_their_range()].concat()
}

fn values_beyond_their_range() -> Vec<(String, String)> {
    let carrying = |name: &str, line: &str| {
        let text = Leaf::Batch(carrying_batch()).to_text().replace("started", &format!("{line}\nstarted"));
        (name.to_owned(), text)
    };
    let mut all = replaced(&[
        ("class_name_long", "class upload-3h", &format!("class {}", "n".repeat(65))),
        ("class_version_u32", "version 1", "version 4294967296"),
        ("class_span_zero", "within 3h", "within 0h"),
        ("class_span_number", "within 3h", "within 1000001h"),
        ("class_span_leading_zero", "within 3h", "within 03h"),
        ("class_zone_digit_first", "zone UTC", "zone 1TC"),
        ("class_zone_sign_first", "zone UTC", "zone +01"),
        ("class_zone_long", "zone UTC", &format!("zone {}", "Z".repeat(65))),
        ("class_holiday_year", "holiday 2026-10-07", "holiday 10000-01-01"),
        ("class_slot_u64", "slot 60000", "slot 18446744073709551616"),
        ("class_lead_u64", "lead 30000", "lead 18446744073709551616"),
        ("class_lead_negative", "lead 30000", "lead -1"),
        ("class_logged_i64", "logged 1700000000000", "logged 9223372036854775808"),
        ("class_logged_below_i64", "logged 1700000000000", "logged -9223372036854775809"),
        ("batch_u64", "batch 17", "batch 18446744073709551616"),
        ("batch_slot_u64", "page 1700010000000 1", "page 18446744073709551616 1"),
        ("batch_slot_negative", "page 1700010000000 0", "page -1 0"),
        ("batch_part_u16", "1 0 4 4 0", "1 65536 4 4 0"),
        ("batch_seqs_u32", "1 0 4 4 0", "1 0 4294967300 4 4294967296"),
        ("batch_tombstones_u32", "tombstones 7", "tombstones 4294967303"),
    ]);
    all.push(carrying("batch_floor_without_tombstones", "floor_max 0"));
    all.push(carrying("batch_ceiling_without_tombstones", "ceiling_min 0"));
    all
}

fn replaced(changes: &[(&str, &str, &str)]) -> Vec<(String, String)> {
    let valid = [CLASS_TEXT, BATCH_TEXT, HOLD_TEXT, REQUEST_TEXT];
    let replaced = |&(name, from, to): &(&str, &str, &str)| {
        let text = valid.into_iter().find(|text| text.contains(from)).expect(name);
        (name.to_owned(), text.replace(from, to))
    };
    changes.iter().map(replaced).collect()
}

fn refused_class_values() -> Vec<(String, String)> {
    replaced(&[
        ("class_name_empty", "class upload-3h", "class "),
        ("class_name_capital", "class upload-3h", "class Upload"),
        ("class_name_digit_first", "class upload-3h", "class 3h"),
        ("class_id_zero", "id 1", "id 0"),
        ("class_id_u32", "id 1", "id 4294967296"),
        ("class_version_zero", "version 1", "version 0"),
        ("class_no_promise", "within 3h\n", ""),
        ("class_span_unit", "within 3h", "within 3dw"),
        ("class_zone", "zone UTC", "zone U TC"),
        ("class_zone_unicode", "zone UTC", "zone ÜTC"),
        ("class_start", "start explicit", "start implied"),
        ("class_max_open_registered", "start explicit", "start registered"),
        ("class_max_open_calendar", "max_open 24h", "max_open 1mo"),
        ("class_max_open_working", "max_open 24h", "max_open 1wd"),
        ("class_keep_working", "within 3h", "keep 3wd"),
        ("class_working_beside_keep", "within 15wd", "keep 1s\nwithin 15wd"),
        ("class_working_too_long", "within 15wd", "within 10001wd"),
        ("class_dates_without_working", "within 15wd", "within 15d"),
        ("class_dates_without_within", "within 15wd", "keep 15d"),
        ("class_holiday_order", "holiday 2026-10-02", "holiday 2026-09-30"),
        ("class_holiday_twice", "holiday 2026-10-02", "holiday 2026-10-01"),
        ("class_holiday_no_date", "holiday 2026-10-02", "holiday 2026-02-29"),
        ("class_holiday_spelling", "holiday 2026-10-02", "holiday 2026-10-2"),
        ("class_holiday_is_workday", "holiday 2026-10-07", "holiday 2026-10-10"),
        ("class_workday_order", "workday 2026-10-10", "workday 2026-09-19"),
        ("class_workday_no_weekend", "workday 2026-10-10", "workday 2026-10-09"),
        ("class_workday_first", "holiday 2026-10-01", "workday 2026-10-11\nholiday 2026-10-01"),
        ("class_dates_behind_start", "start explicit", "start explicit\nworkday 2026-10-11"),
        ("class_slot_zero", "slot 60000", "slot 0"),
        ("class_disposition", "disposition delete", "disposition shred"),
        ("class_openings", "openings operator", "openings none"),
    ])
}

fn refused_batch_and_event_values() -> Vec<(String, String)> {
    replaced(&[
        ("batch_zero", "batch 17", "batch 0"),
        ("batch_class_zero", "class 2\n", "class 0\n"),
        ("batch_hash_capital", "class_leaf ab", "class_leaf AB"),
        ("batch_hash_short", "class_leaf ab", "class_leaf "),
        ("batch_no_page", "page 1700010000000 0 0 5 3 2\npage 1700010000000 1 0 4 4 0\n", ""),
        ("batch_page_twice", "page 1700010000000 1 0 4 4 0", "page 1700010000000 0 0 4 4 0"),
        ("batch_page_order", "page 1700010000000 1 0 4 4 0", "page 1700000000000 1 0 4 4 0"),
        ("batch_page_sum", "page 1700010000000 1 0 4 4 0", "page 1700010000000 1 0 5 4 0"),
        ("batch_page_empty", "tombstones 7", "page 1700010000000 2 0 0 0 0\ntombstones 7"),
        ("batch_page_words", "page 1700010000000 1 0 4 4 0", "page 1700010000000 1 0 4 4"),
        ("batch_page_more_words", "page 1700010000000 1 0 4 4 0", "page 1700010000000 1 0 4 4 0 0"),
        ("batch_shard_u16", "page 1700010000000 1 0 4 4 0", "page 1700010000000 65536 0 4 4 0"),
        ("batch_tombstones_sum", "tombstones 7", "tombstones 8"),
        ("batch_carries_sum", "carries 2", "carries 1"),
        ("batch_started_late", "started 1700010000100", "started 1700010000201"),
        ("batch_finished_late", "finished 1700010000200", "finished 1700010000301"),
        ("batch_floor_none", "floor_max 1700009999999", "floor_max -9223372036854775808"),
        ("batch_ceiling_none", "ceiling_min 1700020000000", "ceiling_min 9223372036854775807"),
        ("batch_minus_zero", "started 1700010000100", "started -0"),
        ("batch_tool_empty", "tool sexton/0.1.0", "tool "),
        ("batch_tool_space", "tool sexton/0.1.0", "tool sexton 0.1.0"),
        ("batch_tool_long", "tool sexton/0.1.0", &format!("tool {}", "t".repeat(65))),
        ("batch_to", "tombstones 7", "to 1700010060000 0 3 2\ntombstones 7"),
        ("event_kind", "v0 hold", "v0 heartbeat"),
        ("event_id_zero", &"1d".repeat(16), &"00".repeat(16)),
        ("event_id_capital", &"1d".repeat(16), &"1D".repeat(16)),
        ("event_id_short", &"1d".repeat(16), &"1d".repeat(15)),
        ("event_commitment_long", &"c0".repeat(32), &"c0".repeat(33)),
        ("batch_results_zero", "results 4", "results 0"),
        ("batch_results_above_tombstones", "results 4", "results 8"),
        ("batch_results_twice", "results 4", &format!("results 4 {}\nresults 4", "4e".repeat(32))),
        ("batch_carries_missing", &format!("carries 2 {}\n", "ca".repeat(32)), ""),
    ])
}

#[test]
fn leaves_equal_the_vectors() {
    let event = |kind| Leaf::Event(EventLeaf { kind, ..hold() });
    let leaves = [
        Leaf::Class(class()),
        Leaf::Class(log_class()),
        Leaf::Class(request_class()),
        Leaf::Batch(batch()),
        Leaf::Batch(small_batch()),
        Leaf::Class(largest_class()),
        Leaf::Batch(largest_batch()),
        Leaf::Batch(carrying_batch()),
        event(EventKind::Hold),
        event(EventKind::Lift),
        event(EventKind::Alarm),
        event(EventKind::Resume),
    ];
    let seals = super::seal_tests::leaves();
    let names = [
        "class.upload",
        "class.log",
        "class.requests",
        "batch.full",
        "batch.small",
        "class.largest",
        "batch.largest",
        "batch.carrying",
        "hold",
        "lift",
        "alarm",
        "resume",
    ];
    let mut vectors = Vectors::default();
    let (names, leaves): (Vec<_>, Vec<_>) = names.into_iter().zip(leaves).chain(seals).unzip();
    for (name, leaf) in names.into_iter().zip(&leaves) {
        vectors.put(format!("leaf.{name}"), leaf.to_text());
        vectors.put(format!("hash.{name}"), crate::merkle::leaf_hash(leaf.to_text().as_bytes()));
    }
    for (name, text) in refused_texts().into_iter().chain(super::seal_tests::refused()) {
        vectors.put(format!("reject.{name}"), text);
    }
    let stored = vectors.check_against("leaf.txt", "Leaves and their hashes, docs/format.md section 4.");
    for ((name, text), leaf) in stored.all("leaf.").into_iter().zip(leaves) {
        assert_eq!(Leaf::parse(text), Ok(leaf), "{name}");
        assert_eq!(stored.get(&name.replace("leaf.", "hash.")), crate::merkle::leaf_hash(text));
    }
    for (name, text) in stored.all("reject.") {
        let error = Leaf::parse(text).expect_err(name);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn error_names_line_expected_and_found() {
    let error = |text: &str| Leaf::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error(""),
        "line 1 of the leaf: expected `sexton/v0 class|batch|seal|hold|lift|alarm|resume`, found \"\""
    );
    assert_eq!(
        error(&CLASS_TEXT.replace("slot 60000", "slot 6x")),
        "line 10 of the leaf: expected `slot <ms>`, found \"slot 6x\""
    );
    assert_eq!(
        error(&BATCH_TEXT.replace("tombstones 7", "tombstones 8")),
        "`tombstones` line of the leaf: expected 7, as the pages say, found 8"
    );
    assert_eq!(
        error(&BATCH_TEXT.replace("0 5 3 2", "0 6 3 2")),
        "`page 0` line of the leaf: expected 5 in seqs, tombstones and carries, found 6"
    );
    assert_eq!(
        error("sexton/v0 heartbeat\n"),
        "line 1 of the leaf: expected `sexton/v0 class|batch|seal|hold|lift|alarm|resume`, found \"sexton/v0 heartbeat\""
    );
    assert_eq!(
        error(&CLASS_TEXT.replace("start explicit", "start x")),
        "line 8 of the leaf: expected `start explicit|registered`, found \"start x\""
    );
}

/// The text has whole milliseconds only, so it would state another span.
#[test]
fn slot_or_lead_with_part_of_a_millisecond_is_refused() {
    let error =
        |slot, lead| Leaf::Class(ClassLeaf { slot, lead, ..class() }).check().map_err(|e| e.to_string());
    let (part, minute) = (Duration::from_micros(1_500), Duration::from_secs(60));
    let expected = |name: &str, found: &str| {
        Err(format!(
            "`{name}` line of the leaf: expected whole milliseconds, at most 2^64 − 1, found {found}"
        ))
    };
    assert_eq!(error(part, minute), expected("slot", "1.5ms"));
    assert_eq!(error(minute, part), expected("lead", "1.5ms"));
    assert_eq!(error(minute, Duration::MAX), expected("lead", &format!("{:?}", Duration::MAX)));
    assert_eq!(error(minute, Duration::from_millis(u64::MAX)), Ok(()));
    let zero = Err("`slot` line of the leaf: expected at least 1, found 0".to_owned());
    assert_eq!(error(Duration::ZERO, minute), zero);
}

/// Instants are shown as a reader knows them; the leaf has their numbers.
#[test]
fn error_of_times_out_of_order_shows_both_instants() {
    let error = Leaf::Batch(BatchLeaf { finished: ms(0), ..batch() }).check().unwrap_err().to_string();
    assert_eq!(
        error,
        "`finished` line of the leaf: expected at least 2023-11-15T01:00:00.100Z, when it started, found \
         1970-01-01T00:00:00.000Z"
    );
}

#[test]
fn leaf_beyond_its_limit_of_bytes_is_refused() {
    let page = |part: u16| PageLine {
        slot: 10_000_000_000,
        shard: 10_000,
        part,
        seqs: 1,
        tombstones: 1,
        carries: 0,
    };
    let with = |pages: u16, tool: usize| {
        let pages: Vec<PageLine> = (10_000..10_000 + pages).map(page).collect();
        let tombstones = FileRef { n: u32::try_from(pages.len()).unwrap(), root: [0; 32] };
        let tool = "t".repeat(tool);
        Leaf::Batch(BatchLeaf { pages, tombstones, tool, ..small_batch() })
    };
    let line = "page 10000000000 10000 10000 1 1 0\n".len();
    let fits = u16::try_from((LEAF_MAX_BYTES - with(0, 1).to_text().len()) / line).unwrap();
    let rest = LEAF_MAX_BYTES - with(fits, 1).to_text().len();
    // A tool name of 1 to 64 characters reaches the limit exactly; the number of tombstones has grown by a digit.
    let full = with(fits, 1 + rest);
    assert_eq!(full.to_text().len(), LEAF_MAX_BYTES);
    assert_eq!(Leaf::parse(full.encode().unwrap().as_bytes()), Ok(full));
    let beyond = with(fits, 2 + rest);
    assert_eq!(beyond.encode(), Err(LeafError::Length { found: LEAF_MAX_BYTES + 1 }));
    assert_eq!(
        Leaf::parse(beyond.to_text().as_bytes()),
        Err(LeafError::Length { found: LEAF_MAX_BYTES + 1 })
    );
    assert_eq!(Leaf::parse(b"sexton/v0 class\nlogged 1\nclass \xff\n"), Err(LeafError::Utf8 { at: 31 }));
}

#[test]
fn class_leaf_holds_the_largest_calendar() {
    let every = |step: i64, offset: i64| {
        let dates = (0..1_000).map(|at| crate::window::tests::date(offset + at * step));
        dates.collect::<Vec<_>>()
    };
    // From Saturday 2000-01-01 every Saturday is a workday, and every Monday a holiday.
    let calendar = Calendar::new(every(7, 10_959), every(7, 10_957)).unwrap();
    let leaf = Leaf::Class(ClassLeaf { calendar, ..request_class() });
    let text = leaf.encode().unwrap();
    assert!(text.len() < LEAF_MAX_BYTES, "{}", text.len());
    assert_eq!(Leaf::parse(text.as_bytes()), Ok(leaf));
    let more = text.replace("holiday 2000-01-03\n", "holiday 1999-12-31\nholiday 2000-01-03\n");
    let error = Leaf::parse(more.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "dates of the class leaf: 1001 holidays, at most 1000 are allowed");
}

#[test]
fn sums_of_pages_do_not_overflow() {
    let page = |part| PageLine { slot: 0, shard: 0, part, seqs: u32::MAX, tombstones: u32::MAX, carries: 0 };
    let leaf = BatchLeaf {
        pages: (0..1000).map(page).collect(),
        tombstones: FileRef { n: u32::MAX, root: [0; 32] },
        ..small_batch()
    };
    let error = Leaf::Batch(leaf).check().unwrap_err().to_string();
    assert_eq!(
        error,
        "`tombstones` line of the leaf: expected 4294967295000, as the pages say, found 4294967295"
    );
    let page =
        PageLine { slot: 0, shard: 0, part: 0, seqs: u32::MAX, tombstones: u32::MAX, carries: u32::MAX };
    assert!(Leaf::Batch(BatchLeaf { pages: vec![page], ..small_batch() }).check().is_err());
}

#[test]
fn batch_without_tombstones_has_no_bounds() {
    let leaf = carrying_batch();
    assert_eq!(Leaf::Batch(leaf.clone()).check(), Ok(()));
    assert!(Leaf::Batch(BatchLeaf { floor_max: Some(ms(0)), ..leaf.clone() }).check().is_err());
    assert!(Leaf::Batch(BatchLeaf { ceiling_min: Some(ms(0)), ..leaf }).check().is_err());
}

proptest! {
    #[test]
    fn accepted_leaf_is_written_the_same(
        base in prop_oneof![Just(CLASS_TEXT), Just(BATCH_TEXT), Just(HOLD_TEXT), Just(REQUEST_TEXT)],
        changes in proptest::collection::vec((any::<prop::sample::Index>(), "[ -~\n]"), 0..3),
        drop_line in any::<prop::sample::Index>(),
        dropped: bool,
        noise in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut text = base.to_owned();
        for (at, value) in changes {
            let at = at.index(text.len());
            text.replace_range(at..=at, &value);
        }
        if dropped {
            let lines = text.split_inclusive('\n').count();
            let skip = drop_line.index(lines);
            text = text.split_inclusive('\n').enumerate().filter(|(at, _)| *at != skip).map(|(_, line)| line).collect();
        }
        for bytes in [text.into_bytes(), noise] {
            if let Ok(leaf) = Leaf::parse(&bytes) {
                prop_assert_eq!(leaf.to_text().into_bytes(), bytes);
                prop_assert_eq!(leaf.check(), Ok(()));
            }
        }
    }

    #[test]
    fn class_leaf_is_accepted_if_and_only_if_it_checks(
        name in "[a-z][a-z0-9._-]{0,10}|.{0,10}",
        id in 0u32..3,
        keep in proptest::option::of(0u32..4),
        within in proptest::option::of(0u32..4),
        zone in "[A-Za-z]{1,10}/[A-Za-z_]{1,10}|.{0,10}",
        registered: bool,
        logged: i64,
        slot in 0u64..3,
        lead: u64,
    ) {
        let span = |count| Span { count, unit: crate::window::Unit::Years };
        let leaf = Leaf::Class(ClassLeaf {
            logged: ms(logged),
            name,
            id,
            keep: keep.map(span),
            within: within.map(span),
            zone,
            start: if registered { StartRule::Registered } else { StartRule::Explicit },
            slot: Duration::from_millis(slot),
            lead: Duration::from_millis(lead),
            ..class()
        });
        let read = Leaf::parse(leaf.to_text().as_bytes());
        prop_assert_eq!(read.is_ok(), leaf.check().is_ok());
        prop_assert!(read.is_err() || read == Ok(leaf));
    }

    #[test]
    fn batch_leaf_is_accepted_if_and_only_if_it_checks(
        lines in proptest::collection::vec((0u64..3, 0u16..2, 0u32..3, 0u32..3), 0..4),
        off in prop_oneof![4 => Just(0u32), 1 => 1u32..3],
        times in (0i64..4, 0i64..4, 0i64..4),
        floor_max in proptest::option::of(prop_oneof![Just(i64::MIN), any::<i64>()]),
        tool in "[a-zA-Z0-9/._-]{1,12}|.{0,12}",
        results in proptest::option::of(0u32..5),
    ) {
        let pages: Vec<PageLine> = lines.into_iter().map(|(slot, shard, tombstones, carries)| {
            PageLine { slot, shard, part: 0, seqs: tombstones + carries + off, tombstones, carries }
        }).collect();
        let ended = pages.iter().map(|page| page.tombstones).sum();
        let carried = pages.iter().map(|page| page.carries).sum();
        let leaf = Leaf::Batch(BatchLeaf {
            tombstones: FileRef { n: ended, root: [1; 32] },
            carries: (carried > 0).then_some(FileRef { n: carried, root: [2; 32] }),
            results: results.map(|n| FileRef { n, root: [3; 32] }),
            pages,
            floor_max: floor_max.map(ms),
            ceiling_min: None,
            started: ms(times.0),
            finished: ms(times.1),
            logged: ms(times.2),
            tool,
            ..batch()
        });
        let read = Leaf::parse(leaf.to_text().as_bytes());
        prop_assert_eq!(read.is_ok(), leaf.check().is_ok());
        prop_assert!(read.is_err() || read == Ok(leaf));
    }
}

/// Texts that add lines, end lines, or are no text of their line.
const HOSTILE: [&str; 9] = [
    "UTC\nholiday 2026-10-01",
    "UTC\nstart registered\nslot 1\nlead 0\ndisposition delete\nopenings ticket\n",
    "x\n",
    "\n",
    "a\u{1b}[2Kb",
    "a\rb",
    "a\u{9b}2Jb",
    "a\u{202e}b",
    "a\u{200b}b",
];

#[test]
fn hostile_text_in_any_field_is_not_encoded() {
    for text in HOSTILE {
        let text = || text.to_owned();
        for leaf in [
            Leaf::Class(ClassLeaf { name: text(), ..class() }),
            Leaf::Class(ClassLeaf { zone: text(), ..class() }),
            Leaf::Batch(BatchLeaf { tool: text(), ..batch() }),
        ] {
            let error = leaf.encode().expect_err("a hostile text is encoded");
            assert!(!error.to_string().contains(crate::visible::is_hidden), "{error:?}");
            let read = Leaf::parse(leaf.to_text().as_bytes());
            assert!(read.is_err() || read.is_ok_and(|read| read != leaf), "{leaf:?}");
        }
    }
}

#[test]
fn hostile_line_is_refused_with_a_visible_error() {
    let texts = [CLASS_TEXT, REQUEST_TEXT, BATCH_TEXT, HOLD_TEXT];
    for (text, hostile) in texts.into_iter().flat_map(|text| HOSTILE.map(|hostile| (text, hostile))) {
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            let (name, _) = lines[at].split_once(' ').unwrap();
            for line in [format!("{name} {hostile}"), hostile.to_owned()] {
                let mut changed = lines.clone();
                changed[at] = &line;
                if let Err(error) = Leaf::parse((changed.join("\n") + "\n").as_bytes()) {
                    assert!(!error.to_string().contains(crate::visible::is_hidden), "{error:?}");
                }
            }
        }
    }
}
