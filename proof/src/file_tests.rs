use super::*;
use crate::id::vectors::Vectors;
use crate::id::{PageId, RegistrationId};
use crate::record::{Carry, Cause, FileKind, Header, Method, Reason, ResultRecord, Tombstone};
use crate::time::Timestamp;
use blake3::hazmat::HasherExt as _;
use proptest::prelude::*;

fn tombstone(page: u32, seq: u32) -> Tombstone {
    let commitment = *blake3::hash(&[page.to_be_bytes(), seq.to_be_bytes()].concat()).as_bytes();
    Tombstone {
        page,
        seq,
        commitment,
        time: Timestamp::from_unix_ms(1_700_000_000_000),
        reason: Reason::Due,
        method: Method::Deleted,
        in_bounds: true,
    }
}

/// Returns a file of `n` tombstones, a hundred per page.
fn tombstones(n: u32) -> Vec<u8> {
    let mut file = Header { kind: FileKind::Tombstones, batch: 7, n }.to_bytes().to_vec();
    for i in 0..n {
        file.extend_from_slice(&tombstone(i / 100, i % 100).to_bytes());
    }
    file
}

fn carries(n: u32) -> Vec<u8> {
    let mut file = Header { kind: FileKind::Carries, batch: 7, n }.to_bytes().to_vec();
    for seq in 0..n {
        let Tombstone { commitment, time, .. } = tombstone(0, seq);
        let page = PageId { class: 2, slot: 1_700_000_000_000, shard: 3, part: 1 };
        let to = RegistrationId { page, seq: seq + 10 };
        let carry = Carry { page: 0, seq, commitment, time, cause: Cause::Refused, to };
        file.extend_from_slice(&carry.to_bytes());
    }
    file
}

fn results(n: u32) -> Vec<u8> {
    let mut file = Header { kind: FileKind::Results, batch: 7, n }.to_bytes().to_vec();
    for seq in 0..n {
        let Tombstone { commitment, .. } = tombstone(0, seq);
        file.extend_from_slice(&ResultRecord { page: 1, seq: seq * 2, commitment }.to_bytes());
    }
    file
}

/// Returns the sibling chaining values of chunk `chunk`, by recursion from the root as in the BLAKE3 paper.
///
/// The left subtree holds the largest power of two of chunks below the whole. `from` is the number of the first chunk.
fn naive_siblings(file: &[u8], from: u64, chunk: u64) -> Vec<[u8; 32]> {
    let chunks = (file.len() as u64).div_ceil(1024);
    if chunks <= 1 {
        return Vec::new();
    }
    let mut left = 1;
    while left * 2 < chunks {
        left *= 2;
    }
    let (left_bytes, right_bytes) = file.split_at(usize::try_from(left * 1024).unwrap());
    let value = |bytes: &[u8], first: u64| {
        blake3::Hasher::new().set_input_offset(first * 1024).update(bytes).finalize_non_root()
    };
    if chunk < from + left {
        let mut siblings = naive_siblings(left_bytes, from, chunk);
        siblings.push(value(right_bytes, from + left));
        siblings
    } else {
        let mut siblings = naive_siblings(right_bytes, from + left, chunk);
        siblings.push(value(left_bytes, from));
        siblings
    }
}

fn check(n: u32, records: impl Iterator<Item = u32>) {
    let file = tombstones(n);
    let tree = ChunkTree::new(&file).unwrap();
    assert_eq!(tree.root(), *blake3::hash(&file).as_bytes(), "n = {n}");
    for record in records {
        let proof = tree.prove(&file, record).unwrap();
        let chunk = (u64::from(record) + 1) / 16;
        let start = usize::try_from(chunk * 1024).unwrap();
        assert_eq!(proof.chunk, file[start..file.len().min(start + 1024)]);
        assert_eq!(proof.siblings, naive_siblings(&file, 0, chunk), "n = {n}, record {record}");
        assert!(proof.siblings.len() <= SIBLINGS_MAX);
        let expected = tombstone(record / 100, record % 100).to_bytes();
        assert_eq!(proof.verify(n, &tree.root()), Ok(expected), "n = {n}, record {record}");
    }
    assert_eq!(tree.prove(&file, n), Err(ProofError::Record { record: n, n }));
}

#[test]
fn every_record_of_small_files_is_proved_with_naive_siblings() {
    for n in 0..=200 {
        check(n, 0..n);
    }
}

#[test]
fn records_of_large_files_are_proved_at_every_tree_edge() {
    for n in [1_000, 4_095, 16_383, 16_384, 65_519, 65_536, 100_000] {
        let edges = (0..32).flat_map(|bit| [(1u32 << bit).saturating_sub(2), (1 << bit) - 1, 1 << bit]);
        check(n, edges.chain([n / 3, n - 17, n - 16, n - 1]).filter(|record| *record < n));
    }
}

#[test]
fn any_other_chunk_sibling_record_or_root_is_refused() {
    for n in [1, 15, 16, 40, 100] {
        let file = tombstones(n);
        let tree = ChunkTree::new(&file).unwrap();
        for record in [0, n / 2, n - 1] {
            let good = tree.prove(&file, record).unwrap();
            for at in 0..good.chunk.len() {
                let mut proof = good.clone();
                proof.chunk[at] ^= 1;
                assert!(matches!(proof.verify(n, &tree.root()), Err(ProofError::Root { .. })));
            }
            for at in 0..good.siblings.len() {
                for byte in 0..32 {
                    let mut proof = good.clone();
                    proof.siblings[at][byte] ^= 0x80;
                    assert!(matches!(proof.verify(n, &tree.root()), Err(ProofError::Root { .. })));
                }
                let mut proof = good.clone();
                proof.siblings.remove(at);
                assert!(matches!(proof.verify(n, &tree.root()), Err(ProofError::Siblings { .. })));
            }
            let mut proof = good.clone();
            proof.siblings.push([0; 32]);
            assert!(matches!(proof.verify(n, &tree.root()), Err(ProofError::Siblings { .. })));
            for length in (0..2048).filter(|length| *length != good.chunk.len()) {
                let mut proof = good.clone();
                proof.chunk.resize(length, 0);
                assert!(matches!(proof.verify(n, &tree.root()), Err(ProofError::Chunk { .. })));
            }
            for other in (0..n).filter(|other| (other + 1) / 16 != (record + 1) / 16) {
                assert!(ChunkProof { record: other, ..good.clone() }.verify(n, &tree.root()).is_err());
            }
            assert!(good.verify(n, &[0; 32]).is_err());
            assert_eq!(good.verify(record, &tree.root()), Err(ProofError::Record { record, n: record }));
        }
    }
}

/// None of the lengths and indexes may panic either.
#[test]
fn proof_of_zeros_with_any_length_or_index_is_refused() {
    for n in [0, 1, 15, 16, 17, u32::MAX - 1, u32::MAX] {
        for record in [0, 1, 14, 15, 16, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
            for length in [0, 1, 63, 64, 1023, 1024, 1025, 4096] {
                for siblings in [0, 1, 27, 28, 29, 300] {
                    let proof =
                        ChunkProof { record, chunk: vec![0; length], siblings: vec![[0; 32]; siblings] };
                    assert!(proof.verify(n, &[0; 32]).is_err());
                }
            }
        }
    }
}

#[test]
fn largest_file_needs_siblings_max_chaining_values() {
    let proof = ChunkProof { record: 0, chunk: vec![0; CHUNK_BYTES], siblings: Vec::new() };
    let error = proof.verify(u32::MAX, &[0; 32]).unwrap_err();
    assert_eq!(error, ProofError::Siblings { found: 0, expected: SIBLINGS_MAX });
}

#[test]
fn tree_refuses_another_file() {
    let file = tombstones(20);
    let tree = ChunkTree::new(&file).unwrap();
    assert!(tree.prove(&file[..file.len() - 64], 0).is_err());
    for length in [0, 1, 63, 65, 1023, 1025] {
        assert_eq!(ChunkTree::new(&vec![0; length]).unwrap_err(), ProofError::File { found: length });
    }
}

#[test]
fn file_is_read_and_searched_as_written() {
    for n in [0, 1, 2, 99, 100, 101, 350] {
        let file = tombstones(n);
        let read = EvidenceFile::parse(&file, FileKind::Tombstones).unwrap();
        assert_eq!((read.header().n, read.header().batch), (n, 7));
        assert!(read.tombstones().eq((0..n).map(|i| tombstone(i / 100, i % 100))));
        assert_eq!(read.carries().count(), 0);
        for i in 0..n {
            assert_eq!(read.find(i / 100, i % 100), Some(i));
            assert_eq!(read.tombstone(i), Some(tombstone(i / 100, i % 100)));
            assert_eq!(read.carry(i), None);
        }
        assert_eq!(read.find(0, 100), None);
        assert_eq!(read.find(n / 100, n % 100), None);
        assert_eq!(read.tombstone(n), None);
    }
    let file = carries(5);
    let read = EvidenceFile::parse(&file, FileKind::Carries).unwrap();
    assert_eq!(file.len(), 64 + 5 * 128);
    assert_eq!(read.carries().map(|carry| carry.to.seq).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    assert_eq!((read.find(0, 3), read.find(0, 5), read.find(1, 0)), (Some(3), None, None));
    assert_eq!(read.carry(4).map(|carry| (carry.seq, carry.to.page.class)), Some((4, 2)));
    assert_eq!((read.carry(5), read.tombstone(0)), (None, None));
    assert_eq!(read.tombstones().count(), 0);
}

#[test]
fn results_are_read_searched_and_proved_as_written() {
    for n in [0, 1, 15, 16, 40] {
        let file = results(n);
        let read = EvidenceFile::parse(&file, FileKind::Results).unwrap();
        assert!(read.results().map(|result| (result.page, result.seq)).eq((0..n).map(|i| (1, 2 * i))));
        assert_eq!((read.tombstones().count(), read.carries().count(), read.result(n)), (0, 0, None));
        let tree = ChunkTree::new(&file).unwrap();
        for i in 0..n {
            assert_eq!((read.find(1, 2 * i), read.find(1, 2 * i + 1)), (Some(i), None));
            let record = tree.prove(&file, i).unwrap().verify(n, &root(&file)).unwrap();
            assert_eq!(ResultRecord::from_bytes(&record).ok(), read.result(i));
        }
    }
    let mut bad = results(2);
    bad[64 + 48] = 1;
    let error = EvidenceFile::parse(&bad, FileKind::Results).unwrap_err();
    assert!(matches!(error, FileError::Record { record: 0, .. }));
    let mut swapped = results(2);
    swapped[64..].rotate_left(64);
    let error = EvidenceFile::parse(&swapped, FileKind::Results).unwrap_err();
    assert!(matches!(error, FileError::Order { record: 1, .. }));
    assert!(EvidenceFile::parse(&tombstones(2), FileKind::Results).is_err());
    assert!(EvidenceFile::parse(&results(2), FileKind::Tombstones).is_err());
}

#[test]
fn file_of_another_kind_length_or_order_is_refused() {
    let file = tombstones(3);
    let parse = |file: &[u8]| EvidenceFile::parse(file, FileKind::Tombstones).map(drop);
    assert_eq!(
        EvidenceFile::parse(&file, FileKind::Carries).unwrap_err().to_string(),
        "the file holds tombstones, expected carries"
    );
    let openings = EvidenceFile::parse(&file, FileKind::Openings).unwrap_err();
    assert_eq!(openings, FileError::NotRecords { kind: FileKind::Openings });
    for length in 0..file.len() {
        assert!(matches!(parse(&file[..length]), Err(FileError::Length { .. })), "{length}");
    }
    assert_eq!(
        parse(&[file.as_slice(), &[0; 64]].concat()),
        Err(FileError::Length { found: 320, expected: 256 })
    );
    let mut swapped = file.clone();
    swapped[64..192].rotate_left(64);
    assert!(matches!(parse(&swapped), Err(FileError::Order { record: 1, .. })));
    let mut twice = file.clone();
    twice.copy_within(64..128, 128);
    assert!(matches!(parse(&twice), Err(FileError::Order { record: 1, .. })));
    let mut bad = file;
    bad[64 + 50] = 1;
    let carries = carries(2);
    let parse_carries = |file: &[u8]| EvidenceFile::parse(file, FileKind::Carries).map(drop);
    for length in 0..carries.len() {
        assert!(matches!(parse_carries(&carries[..length]), Err(FileError::Length { .. })), "{length}");
    }
    let mut swapped = carries.clone();
    swapped[64..].rotate_left(128);
    assert!(matches!(parse_carries(&swapped), Err(FileError::Order { record: 1, .. })));
    assert_eq!(
        ChunkTree::new(&carries).unwrap_err().to_string(),
        "single records of a file of carries have no proof, expected records of 64 bytes"
    );
    assert!(matches!(parse(&bad), Err(FileError::Record { record: 0, .. })));
}

#[test]
fn every_changed_byte_of_a_file_changes_its_root() {
    let file = tombstones(40);
    for at in 0..file.len() {
        let mut other = file.clone();
        other[at] ^= 1;
        assert_ne!(root(&other), root(&file));
        assert_eq!(root_of_parts([&file[..at], &[], &file[at..]]), root(&file));
    }
}

fn openings_of(batch: u64, sealed: &[Vec<u8>]) -> Vec<u8> {
    let before = [openings_head(batch, sealed.iter().map(Vec::len)), sealed.concat()].concat();
    let check = openings_check([before.as_slice()]);
    [before.as_slice(), &check].concat()
}

#[test]
fn sealed_openings_round_trip() {
    for n in [0, 1, 2, 50] {
        let sealed: Vec<Vec<u8>> = (0..n).map(|i| vec![u8::try_from(i).unwrap(); 82 + i]).collect();
        let file = openings_of(9, &sealed);
        let read = OpeningsFile::parse(&file).unwrap();
        assert_eq!(
            read.header(),
            Header { kind: FileKind::Openings, batch: 9, n: u32::try_from(n).unwrap() }
        );
        for (i, opening) in (0..).zip(&sealed) {
            assert_eq!(read.get(i), Some(opening.as_slice()));
        }
        assert_eq!(read.verify_check(), Ok(()));
        for beyond in [u32::try_from(n).unwrap(), u32::MAX] {
            assert_eq!(read.get(beyond), None);
        }
        for length in 0..file.len() {
            assert!(OpeningsFile::parse(&file[..length]).is_err(), "cut to {length}");
        }
        assert!(OpeningsFile::parse(&[file.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn lengths_of_openings_that_do_not_fit_are_refused() {
    let file = openings_of(9, &[vec![1; 10], vec![2; 20]]);
    assert_eq!(file.len(), 64 + 4 + 30 + 32);
    let with = |entry: usize, length: u16| {
        let mut file = file.clone();
        file[64 + 2 * entry..][..2].copy_from_slice(&length.to_be_bytes());
        OpeningsFile::parse(&file).map(drop)
    };
    assert_eq!(with(0, 0), Err(FileError::EmptyOpening { record: 0 }));
    assert_eq!(with(1, 19), Err(FileError::Length { found: 130, expected: 129 }));
    assert_eq!(with(1, 65_535), Err(FileError::Length { found: 130, expected: 65_645 }));
    assert_eq!(with(1, 20), Ok(()));
    let mut empty = openings_of(9, &[Vec::new()]);
    assert!(OpeningsFile::parse(&empty).is_err(), "a sealed opening is never empty");
    empty[31] = 0;
    assert!(OpeningsFile::parse(&empty).is_err());
    let long = openings_of(9, &[vec![1; 65_536]]);
    assert!(OpeningsFile::parse(&long).is_err(), "one that is too long is not read as a shorter one");
}

#[test]
fn flipped_bit_of_openings_is_seen() {
    let file = openings_of(9, &[vec![1; 10], vec![2; 20]]);
    for bit in 0..8 * file.len() {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let seen = OpeningsFile::parse(&flipped).and_then(|read| read.verify_check());
        assert!(seen.is_err(), "bit {bit}");
    }
}

#[test]
fn chunk_proofs_are_those_of_the_vectors() {
    let mut vectors = Vectors::default();
    for (n, records) in
        [(1, vec![0]), (15, vec![14]), (16, vec![0, 15]), (40, vec![0, 20, 39]), (200, vec![199])]
    {
        let file = tombstones(n);
        vectors.put(format!("file.{n}.root"), root(&file));
        for record in records {
            let proof = ChunkTree::new(&file).unwrap().prove(&file, record).unwrap();
            let name = format!("proof.{n}.{record}");
            vectors.put(format!("{name}.chunk"), &proof.chunk);
            vectors.put(format!("{name}.siblings"), proof.siblings.as_flattened());
            vectors.put(format!("{name}.record"), proof.verify(n, &root(&file)).unwrap());
        }
    }
    vectors.put("tombstones.3", tombstones(3));
    vectors.put("carries.3", carries(3));
    vectors.put("results.3", results(3));
    vectors.put("openings.2", openings_of(9, &[vec![1; 82], vec![2; 90]]));
    let stored =
        vectors.check_against("file.txt", "Files, roots and chunk proofs, docs/format.md sections 3 and 6.");

    for (name, chunk) in stored.all("proof.").into_iter().filter(|(name, _)| name.ends_with(".chunk")) {
        let name = name.strip_suffix(".chunk").unwrap();
        let mut numbers = name.split('.').skip(1).map(|number| number.parse::<u32>().unwrap());
        let (n, record) = (numbers.next().unwrap(), numbers.next().unwrap());
        let (siblings, _) = stored.get(&format!("{name}.siblings")).as_chunks::<32>();
        let root = stored.get(&format!("file.{n}.root")).try_into().unwrap();
        let proof = ChunkProof { record, chunk: chunk.to_vec(), siblings: siblings.to_vec() };
        assert_eq!(proof.verify(n, root).unwrap(), stored.get(&format!("{name}.record")));
    }
    assert_eq!(stored.get("file.200.root"), blake3::hash(&tombstones(200)).as_bytes());
    assert!(EvidenceFile::parse(stored.get("tombstones.3"), FileKind::Tombstones).is_ok());
    assert!(EvidenceFile::parse(stored.get("carries.3"), FileKind::Carries).is_ok());
    assert!(EvidenceFile::parse(stored.get("results.3"), FileKind::Results).is_ok());
    assert_eq!(OpeningsFile::parse(stored.get("openings.2")).unwrap().get(1), Some([2; 90].as_slice()));
}

proptest! {
    #[test]
    fn accepted_file_is_written_the_same(
        n in 0u32..6,
        of in 0..3usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut file = [tombstones, carries, results][of](n);
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.index(4 * file.len()));
        for file in [file, noise] {
            if let Ok(read) = EvidenceFile::parse(&file, FileKind::Tombstones) {
                let mut again = read.header().to_bytes().to_vec();
                again.extend(read.tombstones().flat_map(|record| record.to_bytes()));
                prop_assert_eq!(&again, &file);
            }
            if let Ok(read) = EvidenceFile::parse(&file, FileKind::Carries) {
                let mut again = read.header().to_bytes().to_vec();
                again.extend(read.carries().flat_map(|record| record.to_bytes()));
                prop_assert_eq!(&again, &file);
            }
            if let Ok(read) = EvidenceFile::parse(&file, FileKind::Results) {
                let mut again = read.header().to_bytes().to_vec();
                again.extend(read.results().flat_map(|record| record.to_bytes()));
                prop_assert_eq!(&again, &file);
            }
        }
    }

    #[test]
    fn accepted_openings_are_written_the_same(
        sealed in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..5),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = openings_of(1, &sealed);
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.index(4 * file.len()));
        if let Ok(read) = OpeningsFile::parse(&file) && read.verify_check().is_ok() {
            let header = read.header();
            let sealed: Vec<_> = (0..header.n).map(|i| read.get(i).unwrap().to_vec()).collect();
            prop_assert_eq!(openings_of(header.batch, &sealed), file);
        }
    }

    #[test]
    fn arbitrary_proofs_never_panic(
        record: u32,
        n: u32,
        small: bool,
        chunk in proptest::collection::vec(any::<u8>(), 0..1100),
        siblings in proptest::collection::vec(any::<[u8; 32]>(), 0..30),
    ) {
        let (record, n) = if small { (record % 50, n % 50) } else { (record, n) };
        let proof = ChunkProof { record, chunk, siblings };
        prop_assert!(proof.verify(n, &[0; 32]).is_err());
    }
}
