use super::tests::{CLASS_TEXT, class};
use super::*;
use crate::time::tests::at as ms;
use proptest::prelude::*;

/// First seal of a log.
fn seal() -> SealLeaf {
    SealLeaf {
        logged: ms(1_700_000_000_000),
        number: 1,
        shards: Some(16),
        entries: Some(SealFile { n: 3, root: [0x5e; 32] }),
        classes: vec![
            ClassTally { class: 1, live: 2, due: 0, overdue: 0, oldest: None },
            ClassTally { class: 4, live: 9, due: 3, overdue: 1, oldest: Some(1_699_999_980_000) },
        ],
        tool: "sexton/0.1.0".into(),
    }
}

/// Seal without new registrations.
fn later() -> SealLeaf {
    SealLeaf { number: 2, shards: None, entries: None, ..seal() }
}

const SEAL_TEXT: &str = "\
sexton/v0 seal
logged 1700000000000
seal 1
shards 16
entries 3 5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
class 1 2 0 0 -
class 4 9 3 1 1699999980000
tool sexton/0.1.0
";

const LATER_TEXT: &str = "\
sexton/v0 seal
logged 1700000000000
seal 2
class 1 2 0 0 -
class 4 9 3 1 1699999980000
tool sexton/0.1.0
";

fn largest() -> SealLeaf {
    let tally = |class| ClassTally {
        class: u32::MAX - 499 + class,
        live: u64::MAX,
        due: u64::MAX,
        overdue: u64::MAX,
        oldest: Some(u64::MAX),
    };
    SealLeaf {
        logged: Timestamp::MIN,
        number: u64::MAX,
        shards: None,
        entries: Some(SealFile { n: u64::MAX, root: [0xff; 32] }),
        classes: (0..500).map(tally).collect(),
        tool: "t".repeat(64),
    }
}

/// Leaves of the vectors.
pub(super) fn leaves() -> Vec<(&'static str, Leaf)> {
    vec![
        ("seal.first", Leaf::Seal(seal())),
        ("seal.later", Leaf::Seal(later())),
        ("seal.no_class", Leaf::Seal(SealLeaf { classes: Vec::new(), ..later() })),
        ("seal.largest_shards", Leaf::Seal(SealLeaf { shards: Some(u16::MAX), ..seal() })),
        ("seal.largest", Leaf::Seal(largest())),
        ("class.found_by_id", Leaf::Class(ClassLeaf { find: Find::None, ..class() })),
        ("class.evidence_31d", Leaf::Class(ClassLeaf { evidence: Some("31d".parse().unwrap()), ..class() })),
    ]
}

/// Refused texts of the vectors.
pub(super) fn refused() -> Vec<(String, String)> {
    let line = |from: &str, to: &str| {
        let valid = [SEAL_TEXT, CLASS_TEXT].into_iter().find(|text| text.contains(from)).expect(from);
        valid.replace(from, to)
    };
    let (oldest, tool) = ("class 4 9 3 1 1699999980000\n", "tool sexton/0.1.0");
    let many: String = (1..=501).map(|class| format!("class {class} 1 0 0 -\n")).collect();
    let entries = format!("entries 3 {}\n", "5e".repeat(32));
    let within = "seal_within 10m\n";
    let all = [
        ("seal.number_zero", line("seal 1\nshards 16", "seal 0")),
        ("seal.number_u64", line("seal 1\nshards 16", "seal 18446744073709551616")),
        ("seal.number_missing", line("seal 1\n", "")),
        ("seal.shards_zero", line("shards 16", "shards 0")),
        ("seal.shards_u16", line("shards 16", "shards 65536")),
        ("seal.shards_missing", line("shards 16\n", "")),
        ("seal.shards_later", line("seal 1\n", "seal 2\n")),
        ("seal.entries_zero", line("entries 3", "entries 0")),
        ("seal.entries_u64", line("entries 3", "entries 18446744073709551616")),
        ("seal.entries_root_short", line("entries 3 5e", "entries 3 ")),
        ("seal.entries_twice", line(&entries, &format!("{entries}{entries}"))),
        (
            "seal.entries_before_shards",
            line(&format!("shards 16\n{entries}"), &format!("{entries}shards 16\n")),
        ),
        ("seal.class_zero", line("class 1 2", "class 0 2")),
        ("seal.class_u32", line("class 4 9", "class 4294967296 9")),
        ("seal.class_twice", line("class 4 9", "class 1 9")),
        ("seal.class_order", line("class 1 2", "class 5 2")),
        ("seal.class_many", line(&format!("class 1 2 0 0 -\n{oldest}"), &many)),
        ("seal.class_words", line("class 1 2 0 0 -", "class 1 2 0 0")),
        ("seal.class_more_words", line("class 1 2 0 0 -", "class 1 2 0 0 - -")),
        ("seal.live_zero", line("class 1 2 0 0 -", "class 1 0 0 0 -")),
        ("seal.live_u64", line("class 1 2", "class 1 18446744073709551616")),
        ("seal.due_above_live", line(oldest, "class 4 9 10 1 5\n")),
        ("seal.overdue_above_due", line(oldest, "class 4 9 3 4 5\n")),
        ("seal.oldest_missing", line(oldest, "class 4 9 3 1 -\n")),
        ("seal.oldest_without_due", line("class 1 2 0 0 -", "class 1 2 0 0 5")),
        ("seal.oldest_u64", line(oldest, "class 4 9 3 1 18446744073709551616\n")),
        ("seal.oldest_negative", line(oldest, "class 4 9 3 1 -5\n")),
        ("seal.leading_zero", line("class 4 9", "class 4 09")),
        ("seal.tool_missing", line(&format!("{tool}\n"), "")),
        ("seal.tool_empty", line(tool, "tool ")),
        ("seal.tool_long", line(tool, &format!("tool {}", "t".repeat(65)))),
        ("seal.no_last_lf", SEAL_TEXT[..SEAL_TEXT.len() - 1].into()),
        ("seal.surplus_line", format!("{SEAL_TEXT}\n")),
        ("seal.surplus_text", format!("{SEAL_TEXT}through 5\n")),
        ("seal.other_version", SEAL_TEXT.replace("v0", "v1")),
        ("class_find_key", line(within, &format!("find key\n{within}"))),
        ("class_find_unknown", line(within, &format!("find digest\n{within}"))),
        ("class_find_twice", line(within, &format!("find none\nfind none\n{within}"))),
        ("class_find_last", line(within, &format!("{within}find none\n"))),
        ("class_seal_within_missing", line(within, "")),
        ("class_seal_within_zero", line(within, "seal_within 0m\n")),
        ("class_seal_within_calendar", line(within, "seal_within 1mo\n")),
        ("class_seal_within_working", line(within, "seal_within 1wd\n")),
        ("class_evidence_30d", line(within, &format!("{within}evidence 30d\n"))),
        ("class_evidence_743h", line(within, &format!("{within}evidence 743h\n"))),
        ("class_evidence_5wd", line(within, &format!("{within}evidence 5wd\n"))),
        ("class_evidence_zero", line(within, &format!("{within}evidence 0y\n"))),
        ("class_evidence_twice", line(within, &format!("{within}evidence 2y\nevidence 2y\n"))),
        ("class_evidence_before_seal_within", line(within, &format!("evidence 2y\n{within}"))),
    ];
    all.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

#[test]
fn seal_leaf_text_is_that_of_the_format() {
    for (leaf, text) in [(seal(), SEAL_TEXT), (later(), LATER_TEXT)] {
        assert_eq!(Leaf::Seal(leaf.clone()).to_text(), text);
        assert_eq!(Leaf::parse(text.as_bytes()), Ok(Leaf::Seal(leaf)));
    }
    assert_eq!(Leaf::Seal(seal()).logged(), ms(1_700_000_000_000));
    let again = Leaf::Seal(SealLeaf { logged: ms(5), ..seal() }).to_text();
    assert_eq!(Leaf::logged_at(SEAL_TEXT, ms(5)), again);
}

#[test]
fn largest_seal_leaf_fits_a_leaf() {
    let text = Leaf::Seal(largest()).encode().unwrap();
    assert_eq!(Leaf::parse(text.as_bytes()), Ok(Leaf::Seal(largest())));
}

#[test]
fn error_of_a_seal_leaf_names_its_line() {
    let error =
        |from: &str, to: &str| Leaf::parse(SEAL_TEXT.replace(from, to).as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error("class 4 9 3 1", "class 4 9 10 1"),
        "`class 4` line of the leaf: expected at most 9 due, the live ones, found 10"
    );
    assert_eq!(
        error("shards 16\n", ""),
        "`shards` line of the leaf: expected the number of shards in the first seal, found none"
    );
    assert_eq!(error("class 1 2", "class 4 2"), "`class` line of the leaf: expected an id above 4, found 4");
}

/// A reader learns from the leaf what tells two objects apart.
#[test]
fn class_leaf_states_find_unless_it_is_key() {
    for (find, line) in [(Find::Key, ""), (Find::Version, "find version\n"), (Find::None, "find none\n")] {
        let leaf = Leaf::Class(ClassLeaf { find, ..class() });
        assert_eq!(leaf.to_text(), CLASS_TEXT.replace("seal_within", &format!("{line}seal_within")));
        assert_eq!(Leaf::parse(leaf.to_text().as_bytes()), Ok(leaf));
    }
}

#[test]
fn evidence_is_a_month_or_longer() {
    for (span, fits) in [
        ("31d", true),
        ("744h", true),
        ("5w", true),
        ("1mo", true),
        ("1y", true),
        ("30d", false),
        ("4w", false),
        ("743h", false),
        ("100wd", false),
    ] {
        let leaf = Leaf::Class(ClassLeaf { evidence: Some(span.parse().unwrap()), ..class() });
        assert_eq!(leaf.check().is_ok(), fits, "{span}");
    }
}

proptest! {
    #[test]
    fn seal_leaf_is_accepted_if_and_only_if_it_checks(
        logged: i64,
        number in 0_u64..3,
        shards in proptest::option::of(0_u16..2),
        entries in proptest::option::of(0_u64..2),
        classes in proptest::collection::vec(
            (0_u32..4, 0_u64..3, 0_u64..3, 0_u64..3, proptest::option::of(0_u64..2)), 0..3),
        tool in "[a-zA-Z0-9/._-]{1,12}|.{0,12}",
    ) {
        let leaf = Leaf::Seal(SealLeaf {
            logged: ms(logged),
            number,
            shards,
            entries: entries.map(|n| SealFile { n, root: [4; 32] }),
            classes: classes
                .into_iter()
                .map(|(class, live, due, overdue, oldest)| ClassTally { class, live, due, overdue, oldest })
                .collect(),
            tool,
        });
        let read = Leaf::parse(leaf.to_text().as_bytes());
        prop_assert_eq!(read.is_ok(), leaf.check().is_ok());
        prop_assert!(read.is_err() || read == Ok(leaf));
    }
}
