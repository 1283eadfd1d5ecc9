use super::*;
use crate::id::vectors::Vectors;
use crate::id::{PageId, RegistrationId};
use crate::record::Cause;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::num::NonZeroU64;

fn page(part: u16) -> PageId {
    PageId { class: 3, slot: 1_700_000_000_000, shard: 2, part }
}

fn id(seq: u32) -> RegistrationId {
    RegistrationId { page: PageId { class: 2, slot: 1_690_000_000_000, shard: 2, part: 9 }, seq }
}

fn continues(seq: u32, cause: Cause, held: Held) -> Option<Continues> {
    Some(Continues { source: id(seq), cause, held })
}

fn entry(number: u8, continues: Option<Continues>, replaces: Option<RegistrationId>) -> Entry {
    Entry { commitment: [number; 32], continues, replaces }
}

/// Entry as it is pushed: page, seq, offset, entry.
type Pushed = (PageId, u32, i64, Entry);

/// Writes a file. The writer's output is drained after each entry for which `drains` holds.
fn write(number: u64, entries: &[Pushed], drains: impl Fn(usize) -> bool) -> (Vec<u8>, SealTotals) {
    let (mut writer, mut file, mut out) = (SealWriter::new(number), Vec::new(), Vec::new());
    for (at, (page, seq, offset, entry)) in entries.iter().enumerate() {
        writer.push(*page, *seq, *offset, entry, &mut out);
        if drains(at) {
            file.append(&mut out);
        }
    }
    let totals = writer.finish(&mut out);
    file.append(&mut out);
    (file, totals)
}

fn file(entries: &[Pushed]) -> Vec<u8> {
    write(1, entries, |_| false).0
}

/// Reads a whole file: header, segments with their entries, totals.
fn read(bytes: &[u8]) -> Result<(u64, Vec<SegmentPart>, SealTotals), SealReadError> {
    let mut reader = SealReader::new(bytes)?;
    let (number, mut parts) = (reader.header().number, Vec::new());
    while let Some(part) = reader.next_part()? {
        parts.push(part);
    }
    Ok((number, parts, reader.finish()?))
}

/// Returns the offset and the rule of a refused file.
fn refusal(bytes: &[u8]) -> (u64, SealError) {
    match read(bytes).expect_err("the file is accepted") {
        SealReadError::Malformed { at, source } => (at, source),
        SealReadError::Read(error) => panic!("{error}"),
    }
}

/// Valid files of the vectors, by name.
fn files() -> Vec<(&'static str, Vec<Pushed>)> {
    let fresh = |number| entry(number, None, None);
    let moved = |number| entry(number, continues(u32::from(number), Cause::Started, Held::No), None);
    let held = entry(6, continues(6, Cause::Held, Held::Standing), None);
    let lifted = entry(7, continues(7, Cause::Erasure, Held::Lifted), None);
    let replacing = |number| entry(number, None, Some(id(40)));
    let both = entry(9, continues(9, Cause::Released, Held::No), Some(id(u32::MAX)));
    vec![
        ("fresh", vec![(page(0), 0, 0, fresh(1)), (page(0), 1, 0, fresh(2))]),
        ("continues", vec![(page(1), 5, -3, moved(3)), (page(1), 6, -3, held), (page(1), 7, -3, lifted)]),
        ("replaces", vec![(page(2), 0, 1, replacing(4))]),
        ("both", vec![(page(2), u32::MAX, NO_CEILING, both)]),
        ("offsets", vec![(page(0), 0, 0, fresh(1)), (page(0), 1, 1, fresh(2)), (page(0), 2, 1, fresh(3))]),
        (
            "mixed",
            vec![
                (page(7), 3, i64::MIN, fresh(1)),
                (page(7), 4, i64::MIN, moved(2)),
                (page(0), 9, 0, both),
                (page(7), 5, i64::MIN, fresh(3)),
                (page(8), 6, i64::MIN, fresh(4)),
                (page(8), 8, i64::MIN, fresh(5)),
            ],
        ),
    ]
}

fn changed(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = value;
    bytes
}

/// Refused files: name of the vector, bytes, offset of the error and the error.
fn refused_files() -> Vec<(String, Vec<u8>, u64, SealError)> {
    let small = file(&files()[0].1);
    let both = file(&[(page(0), 0, 0, entry(9, continues(1, Cause::Failed, Held::No), Some(id(2))))]);
    let mut all = Vec::new();
    let mut put = |name: &str, bytes: Vec<u8>, at, error| all.push((name.to_owned(), bytes, at, error));
    put("magic", changed(&small, 6, 1), 0, SealError::Header { found: *b"sexton\x01\0\x06" });
    put("kind", changed(&small, 8, 1), 0, SealError::Header { found: *b"sexton\0\0\x01" });
    put("version", changed(&small, 9, 1), 0, SealError::Version { found: 1 });
    put("number", changed(&small, 23, 0), 0, SealError::Number);
    for at in [10, 15, 24, 31] {
        put(&format!("header_{at}"), changed(&small, at, 1), 0, SealError::NotZero { at, found: 1 });
    }
    put("form", changed(&small, 32 + 20, 4), 32, SealError::Form { found: 4 });
    put("count", changed(&small, 32 + 23, 0), 32, SealError::Count);
    let last = [&small[..48], &[255; 4], &small[52..]].concat();
    put("seq", last, 32, SealError::Seq { first: u32::MAX, count: 2 });
    // The links of `both` are its second and third part, at 96 and 128.
    for found in [0, 13] {
        put(&format!("cause_{found}"), changed(&both, 96 + 20, found), 64, SealError::Cause { found });
    }
    put("held", changed(&both, 96 + 21, 3), 64, SealError::Held { found: 3 });
    for at in 22..32 {
        put(&format!("source_{at}"), changed(&both, 96 + at, 1), 64, SealError::NotZero { at, found: 1 });
    }
    for at in 20..32 {
        put(&format!("replaced_{at}"), changed(&both, 128 + at, 1), 64, SealError::NotZero { at, found: 1 });
    }
    for parts in 0..both.len() / PART_BYTES {
        let (at, found, expected) = match parts {
            0 | 1 => (32 * parts as u64, 0, 32),
            parts => (64, 32 * (parts - 2), 96),
        };
        let cut = both[..32 * parts].to_vec();
        put(&format!("cut_{parts}"), cut, at, SealError::Truncated { found, expected });
    }
    let surplus = [&small[..], &[0]].concat();
    put("surplus", surplus, small.len() as u64, SealError::Truncated { found: 1, expected: 32 });
    // The second entry is taken for a segment of a form of two parts, and of more entries than are read at once.
    let error = SealError::Truncated { found: 0, expected: SEGMENT_ENTRIES_MAX * 64 };
    put("more_than_counted", changed(&small, 32 + 23, 1), 128, error);
    put(
        "fewer_than_counted",
        changed(&small, 32 + 23, 3),
        64,
        SealError::Truncated { found: 64, expected: 96 },
    );
    all
}

#[test]
fn seal_files_equal_the_vectors() {
    let mut vectors = Vectors::default();
    for (name, entries) in files() {
        let (bytes, totals) = write(17, &entries, |_| false);
        vectors.put(format!("file.{name}"), bytes);
        vectors.put(format!("root.{name}"), totals.root);
    }
    let long: Vec<Pushed> = (0..=1 << 16).map(|seq| (page(0), seq, 0, entry(1, None, None))).collect();
    vectors.put("root.of_65537", write(17, &long, |_| true).1.root);
    for (name, bytes, ..) in refused_files() {
        vectors.put(format!("reject.{name}"), bytes);
    }
    let stored = vectors.check_against("seal.txt", "Seal files and their roots, docs/format.md section 3.");
    for ((name, bytes), (_, entries)) in stored.all("file.").into_iter().zip(files()) {
        let (number, parts, totals) = read(bytes).expect(name);
        assert_eq!((number, totals.entries), (17, entries.len() as u64), "{name}");
        assert_eq!(stored.get(&name.replace("file.", "root.")), totals.root, "{name}");
        assert_eq!(pushed(&parts), entries, "{name}");
    }
    for (name, bytes) in stored.all("reject.") {
        assert!(read(bytes).is_err(), "{name} is accepted");
    }
}

#[test]
fn malformed_seal_file_is_refused_at_its_place() {
    for (name, bytes, at, error) in refused_files() {
        assert_eq!(refusal(&bytes), (at, error), "{name}");
    }
}

/// Returns what was pushed, from what was read.
fn pushed(parts: &[SegmentPart]) -> Vec<Pushed> {
    let all = parts.iter().flat_map(|part| {
        let Segment { page, offset, form, .. } = part.segment;
        assert!(part.entries.iter().all(|entry| entry.form() == form));
        (part.first..=u32::MAX).zip(&part.entries).map(move |(seq, entry)| (page, seq, offset, *entry))
    });
    all.collect()
}

#[test]
fn segments_are_split_at_page_offset_form_seq_and_size() {
    let shapes = |entries: &[Pushed]| -> Vec<(u16, u32, u32)> {
        let parts = read(&file(entries)).unwrap().1;
        parts.iter().map(|part| (part.segment.page.part, part.segment.first, part.segment.count)).collect()
    };
    let mixed = files().pop().unwrap().1;
    assert_eq!(shapes(&mixed), [(7, 3, 1), (7, 4, 1), (0, 9, 1), (7, 5, 1), (8, 6, 1), (8, 8, 1)]);
    assert_eq!(shapes(&files()[4].1), [(0, 0, 1), (0, 1, 2)]);
    let long: Vec<Pushed> = (0..=1 << 16).map(|seq| (page(0), seq, 0, entry(1, None, None))).collect();
    assert_eq!(shapes(&long), [(0, 0, 1 << 16), (0, 1 << 16, 1)]);
}

/// Other writers may make longer segments than ours.
#[test]
fn long_segment_is_read_in_parts() {
    let count = (1 << 17) + 3;
    let segment = Segment { page: page(0), first: 10, count, form: Form::default(), offset: 5 };
    let mut bytes = [SealHeader { number: 4 }.to_bytes(), segment.to_bytes()].concat();
    (0..count).for_each(|at| entry(u8::try_from(at % 251).unwrap(), None, None).write(&mut bytes));
    let (number, parts, totals) = read(&bytes).unwrap();
    assert_eq!((number, totals.entries), (4, u64::from(count)));
    assert_eq!(totals.root, *blake3::hash(&bytes).as_bytes());
    let shape: Vec<_> = parts.iter().map(|part| (part.segment, part.first, part.entries.len())).collect();
    assert_eq!(
        shape,
        [(segment, 10, 1 << 16), (segment, 10 + (1 << 16), 1 << 16), (segment, 10 + (1 << 17), 3)]
    );
    assert_eq!(parts[1].entries[1].commitment, [u8::try_from(((1 << 16) + 1) % 251).unwrap(); 32]);
}

#[test]
fn segment_beyond_its_limits_is_not_read_back() {
    let segment = Segment { page: page(0), first: 0, count: 1, form: Form::default(), offset: 0 };
    let again = |segment: Segment| Segment::from_bytes(&segment.to_bytes());
    let largest = Segment { count: Segment::COUNT_MAX, first: u32::MAX - Segment::COUNT_MAX + 1, ..segment };
    assert_eq!(again(largest), Ok(largest));
    assert_eq!(again(Segment { count: Segment::COUNT_MAX + 1, ..segment }), Err(SealError::Count));
    assert_eq!(again(Segment { count: 0, ..segment }), Err(SealError::Count));
    let beyond = Segment { first: largest.first + 1, ..largest };
    let error = SealError::Seq { first: beyond.first, count: beyond.count };
    assert_eq!(again(beyond), Err(error));
}

#[test]
fn entry_of_another_length_than_its_form_is_refused() {
    let both = entry(1, continues(1, Cause::Failed, Held::No), Some(id(1)));
    let mut bytes = Vec::new();
    both.write(&mut bytes);
    for code in 0..=3 {
        let form = Form::from_code(code).unwrap();
        for length in 0..=bytes.len() {
            let read = Entry::from_bytes(form, &bytes[..length]);
            assert_eq!(read.is_ok(), length == form.entry_bytes() && code != 2, "{code} {length}");
        }
    }
    assert_eq!(Form::from_code(4), None);
}

struct Failing<'a>(&'a [u8]);

impl std::io::Read for Failing<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match std::io::Read::read(&mut self.0, out)? {
            0 => Err(std::io::Error::other("cable pulled")),
            read => Ok(read),
        }
    }
}

/// A source that fails, or bytes that are malformed, must not look like the end of the file.
#[test]
fn failed_reader_never_ends() {
    let small = file(&files()[0].1);
    let mut reader = SealReader::new(Failing(&small)).unwrap();
    assert_eq!(reader.next_part().unwrap().unwrap().entries.len(), 2);
    assert!(reader.next_part().unwrap_err().to_string().contains("cable pulled"));
    assert!(reader.next_part().is_err() && reader.finish().is_err());

    let malformed = [&small[..], &[0; 32]].concat();
    let mut reader = SealReader::new(&malformed[..]).unwrap();
    reader.next_part().unwrap();
    let error = reader.next_part().unwrap_err().to_string();
    assert_eq!(error, "byte 128 of the seal file: a segment without entries, expected at least one");
    assert!(reader.next_part().is_err() && reader.finish().is_err());
}

fn geometry(slot: u64, lead: u64, width: u64) -> Geometry {
    Geometry { slot, lead, width: NonZeroU64::new(width).unwrap() }
}

#[test]
fn offsets_are_those_of_the_format() {
    let hour = geometry(1_000, 10, 100);
    let at = |ms| hour.offset(Some(Timestamp::from_unix_ms(ms)));
    assert_eq!(
        (at(1_011), at(1_110), at(1_111), at(1_010), at(910)),
        (Some(0), Some(0), Some(1), Some(-1), Some(-2))
    );
    assert_eq!(hour.interval(0), (1_010, 1_110));
    assert_eq!(hour.interval(-2), (810, 910));
    assert_eq!(hour.offset(None), Some(NO_CEILING));
    // Without a ceiling nothing is ever overdue, however short the slots are.
    assert_eq!(geometry(0, 0, 1).interval(NO_CEILING).0, i128::from(i64::MAX));
    let largest = geometry(u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(largest.interval(NO_CEILING), (i128::MAX, i128::MAX));
    assert_eq!(largest.offset(Some(Timestamp::MIN)), Some(-3));
    assert_eq!(geometry(u64::MAX, 0, 1).offset(Some(Timestamp::MIN)), None);
    // The offset that stands for no ceiling is that of no ceiling.
    assert_eq!(geometry(0, 0, 1).offset(Some(Timestamp::MAX)), Some(NO_CEILING - 1));
}

/// Numbers that are small, or near a power of two.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3_u64,
        any::<u64>(),
        (0..64_u32, 0..3_u64).prop_map(|(bit, more)| (1 << bit) + more),
        Just(u64::MAX)
    ]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let any_id = any::<[u8; 20]>().prop_map(|bytes| RegistrationId::from_bytes(&bytes));
    let link = (any_id.clone(), 1..=12_u8, 0..=2_u8).prop_map(|(source, cause, held)| Continues {
        source,
        cause: Cause::from_code(cause).unwrap(),
        held: Held::from_code(held).unwrap(),
    });
    (any::<[u8; 32]>(), proptest::option::of(link), proptest::option::of(any_id))
        .prop_map(|(commitment, continues, replaces)| Entry { commitment, continues, replaces })
}

/// Entries whose pages, seqs and offsets often follow each other.
fn any_pushed() -> impl Strategy<Value = Vec<Pushed>> {
    let one =
        (0..2_u16, prop_oneof![4 => Just(None), 1 => any::<u32>().prop_map(Some)], 0..2_i64, any_entry());
    proptest::collection::vec(one, 1..40).prop_map(|all| {
        let mut next = 0_u32;
        let follow = |(part, jump, offset, entry): (u16, Option<u32>, i64, Entry)| {
            let seq = jump.unwrap_or(next);
            next = seq.wrapping_add(1);
            (page(part), seq, offset, entry)
        };
        all.into_iter().map(follow).collect()
    })
}

proptest! {
    #[test]
    fn ceiling_lies_in_the_interval_of_its_offset(
        slot in number(), lead in number(), width in number(), ceiling: i64,
    ) {
        let geometry = geometry(slot, lead, width.max(1));
        match geometry.offset(Some(Timestamp::from_unix_ms(ceiling))) {
            Some(offset) => {
                let (lo, hi) = geometry.interval(offset);
                prop_assert!(lo < i128::from(ceiling) && i128::from(ceiling) <= hi);
                prop_assert_eq!(hi - lo, i128::from(geometry.width.get()));
                if let Some(before) = offset.checked_sub(1) {
                    prop_assert_eq!(geometry.interval(before).1, lo);
                }
            }
            // It lies before all that an offset can state.
            None => prop_assert!(geometry.interval(i64::MIN).0 >= i128::from(ceiling)),
        }
    }

    #[test]
    fn reader_returns_what_the_writer_got(number in 1_u64.., entries in any_pushed(), every in 1_usize..9) {
        let (bytes, totals) = write(number, &entries, |_| false);
        let (again, same) = write(number, &entries, |at| at % every == 0);
        prop_assert_eq!((&again, same), (&bytes, totals));
        let (found, parts, read) = read(&bytes).unwrap();
        prop_assert_eq!((found, read), (number, totals));
        prop_assert_eq!(totals.entries, entries.len() as u64);
        prop_assert_eq!(totals.root, *blake3::hash(&bytes).as_bytes());
        prop_assert_eq!(pushed(&parts), entries);
    }

    /// Each accepted file is the one encoding of what was read.
    #[test]
    fn accepted_seal_file_is_written_the_same(
        entries in any_pushed(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = file(&entries);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(4 * bytes.len()));
        if let Ok((number, parts, totals)) = read(&bytes) {
            let mut again = SealHeader { number }.to_bytes().to_vec();
            for part in parts {
                again.extend(part.segment.to_bytes());
                part.entries.iter().for_each(|entry| entry.write(&mut again));
            }
            prop_assert_eq!(totals.root, *blake3::hash(&again).as_bytes());
            prop_assert_eq!(again, bytes);
        }
    }
}
