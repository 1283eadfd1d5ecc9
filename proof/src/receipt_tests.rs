use super::*;
use crate::checkpoint::Checkpoint;
use crate::commitment::{Opening, commit};
use crate::file::{ChunkProof, ChunkTree, SIBLINGS_MAX, root};
use crate::id::RegistrationId;
use crate::id::vectors::Vectors;
use crate::leaf::{BatchLeaf, ClassLeaf, Disposition, FileRef, LEAF_MAX_BYTES, Leaf, PageLine, rounding};
use crate::merkle::{Hash, leaf_hash};
use crate::note::{Cosigner, Signer};
use crate::policy::Policy;
use crate::record::{FileKind, Header, Method, Reason, RecordError, ResultRecord, Tombstone, in_bounds};
use crate::time::Timestamp;
use crate::time::tests::at as ms;
use crate::tlog_proof::TlogProof;
use crate::window::{Calendar, Window};
use crate::wire::{encode_ceiling, encode_floor};
use proptest::prelude::*;
use std::time::Duration;

#[path = "receipt_bounds_tests.rs"]
mod bounds;
#[path = "receipt_result_tests.rs"]
mod results;
#[path = "receipt_witnessed_tests.rs"]
mod witnessed;

const ORIGIN: &str = "sexton.example/log";
const STARTED_MS: i64 = 1_717_200_000_000;
/// Slot of the class, to whose multiples the bounds in the batch leaf are rounded.
const SLOT_MS: i64 = 21_600_000;
/// Date of the witness's cosignature, in Unix seconds.
const COSIGNED_S: u64 = 1_717_200_100;
/// Verifier's time in Unix seconds, an hour after the deletions.
const NOW_S: u64 = 1_717_203_600;
const NOW: Timestamp = Timestamp::from_unix_ms(STARTED_MS + 3_600_000);

/// Returns the instant `by_ms` milliseconds later.
fn shifted(instant: Timestamp, by_ms: i64) -> Timestamp {
    ms(instant.unix_ms() + by_ms)
}

/// Log of a class leaf, a batch leaf and others. Tests change parts of it before they make a receipt.
#[derive(Clone)]
struct World {
    origin: String,
    class: ClassLeaf,
    batch: BatchLeaf,
    tombstones: Vec<Tombstone>,
    openings: Vec<Opening>,
    /// Leaf that is logged instead of the batch leaf.
    logged: Option<Vec<u8>>,
    /// Leaf in the receipt instead of the class leaf.
    class_given: Option<Vec<u8>>,
    /// Leaf that is logged instead of the class leaf.
    class_logged: Option<Vec<u8>>,
    /// Index of the class leaf in the log. That of the batch leaf is 4.
    class_at: u8,
    /// Record in the file instead of tombstone 0.
    record: Option<[u8; 64]>,
    /// Date of the witness's cosignature in Unix seconds, if there is one.
    cosigned_s: Option<u64>,
    /// Results, ascending.
    results: Vec<ResultRecord>,
    /// Offset and new value of a byte in the file of results.
    result_patch: Option<(usize, u8)>,
    /// Tombstone whose result is in the receipt instead of the right result; `Some(None)` for no result.
    result_of: Option<Option<u32>>,
    /// `true` if the batch leaf has a line of results.
    results_listed: bool,
}

impl World {
    fn class() -> ClassLeaf {
        ClassLeaf {
            name: "log-6mo".into(),
            id: 3,
            version: 2,
            keep: Some("6mo".parse().unwrap()),
            within: Some("7mo".parse().unwrap()),
            zone: "Europe/Berlin".into(),
            max_open: None,
            slot: Duration::from_millis(SLOT_MS.unsigned_abs()),
            lead: Duration::from_secs(10_800),
            ..crate::leaf::tests::class()
        }
    }

    fn batch() -> BatchLeaf {
        let page = |shard, n| PageLine {
            slot: 1_717_200_000_000,
            shard,
            part: 0,
            seqs: n,
            tombstones: n,
            carries: 0,
        };
        BatchLeaf {
            logged: ms(STARTED_MS + 1000),
            batch: 99,
            class: 3,
            class_leaf: [0; 32],
            pages: vec![page(0, 20), page(4, 30)],
            tombstones: FileRef { n: 50, root: [0; 32] },
            carries: None,
            results: None,
            floor_max: None,
            ceiling_min: None,
            started: ms(STARTED_MS),
            finished: ms(STARTED_MS + 500),
            tool: "sexton/0.1.0".into(),
        }
    }

    /// Creates a world of 50 objects in two pages, all deleted on 1 June 2024, at an age of six months.
    fn new() -> Self {
        let tombstone = |i: u32| Tombstone {
            page: u32::from(i >= 20),
            seq: if i < 20 { i } else { i - 20 },
            commitment: [0; 32],
            time: ms(STARTED_MS + 10 + i64::from(i)),
            reason: Reason::Due,
            method: Method::Deleted,
            in_bounds: true,
        };
        let opening = |i: u8| Opening {
            r: [i; 32],
            key: format!("logs/2023-11-30/{i}.log").into_bytes(),
            version: vec![i],
            start: ms(1_701_365_000_000 + i64::from(i) * 1000),
            floor: None,
            ceiling: None,
            digest: vec![0xd0; 32],
            size: Some(1000),
        };
        let mut world = Self {
            origin: ORIGIN.into(),
            class: Self::class(),
            batch: Self::batch(),
            tombstones: (0..50).map(tombstone).collect(),
            openings: (0..50).map(opening).collect(),
            logged: None,
            class_given: None,
            class_logged: None,
            class_at: 1,
            record: None,
            cosigned_s: Some(COSIGNED_S),
            results: Vec::new(),
            result_patch: None,
            result_of: None,
            results_listed: true,
        };
        world.promise();
        world.seal();
        world
    }

    /// Computes the bounds of all openings by the promise of the class.
    fn promise(&mut self) {
        let window =
            Window::new(self.class.keep, self.class.within, &self.class.zone, &self.class.calendar).unwrap();
        for opening in &mut self.openings {
            let bounds = window.bounds(opening.start).unwrap();
            (opening.floor, opening.ceiling) = (bounds.floor, bounds.ceiling);
        }
        self.mark();
        let all = self.tombstones.iter().zip(&self.openings);
        let inside = || all.clone().filter(|(tombstone, _)| tombstone.in_bounds).map(|(_, opening)| opening);
        let unit = rounding::unit(self.class.slot);
        let most = inside().filter_map(|opening| opening.floor).max();
        let least = inside().filter_map(|opening| opening.ceiling).min();
        self.batch.floor_max = most.map(|most| rounding::floor_max(most, unit).unwrap());
        self.batch.ceiling_min = least.map(|least| rounding::ceiling_min(least, unit).unwrap());
    }

    /// Marks the tombstones of the ends in bounds.
    fn mark(&mut self) {
        for (tombstone, opening) in self.tombstones.iter_mut().zip(&self.openings) {
            let Tombstone { method, time, .. } = *tombstone;
            tombstone.in_bounds = in_bounds(method, time, opening.floor, opening.ceiling);
        }
    }

    fn class_text(&self) -> Vec<u8> {
        Leaf::Class(self.class.clone()).to_text().into_bytes()
    }

    /// Computes all commitments from the openings and the hash of the class leaf.
    fn seal(&mut self) {
        self.batch.class_leaf = leaf_hash(&self.class_text());
        for (tombstone, opening) in self.tombstones.iter_mut().zip(&self.openings) {
            let page = self.batch.page_id(tombstone.page).unwrap();
            let id = RegistrationId { page, seq: tombstone.seq };
            let descriptor = opening.descriptor(&self.origin, id, self.batch.class_leaf);
            tombstone.commitment = commit(&opening.r, &descriptor.digest());
        }
    }

    fn file(&self) -> Vec<u8> {
        let n = u32::try_from(self.tombstones.len()).unwrap();
        let mut file = Header { kind: FileKind::Tombstones, batch: self.batch.batch, n }.to_bytes().to_vec();
        file.extend(self.tombstones.iter().flat_map(Tombstone::to_bytes));
        if let Some(record) = self.record {
            file[64..128].copy_from_slice(&record);
        }
        file
    }

    fn receipt(&self, record: u32) -> String {
        let file = self.file();
        let results = self.results_file();
        let n = u32::try_from(self.results.len()).unwrap();
        let listed = n > 0 && self.results_listed;
        let batch = BatchLeaf {
            tombstones: FileRef { n: self.batch.tombstones.n, root: root(&file) },
            results: listed.then(|| FileRef { n, root: root(&results) }),
            ..self.batch.clone()
        };
        let batch_leaf = self.logged.clone().unwrap_or_else(|| Leaf::Batch(batch).to_text().into_bytes());
        let class_leaf = self.class_given.clone().unwrap_or_else(|| self.class_text());
        let class_logged = self.class_logged.clone().unwrap_or_else(|| class_leaf.clone());
        let leaf = |at: u8| match at {
            4 => batch_leaf.clone(),
            at if at == self.class_at => class_logged.clone(),
            at => vec![at],
        };
        let leaves: Vec<Vec<u8>> = (0..7u8).map(leaf).collect();
        let (root, hashes) = naive_tree(&leaves, 4);
        let (_, class_hashes) = naive_tree(&leaves, self.class_at.into());
        let text = Checkpoint { origin: self.origin.clone(), size: 7, root }.to_text();
        let mut checkpoint = format!("{text}\n{}", signer(&self.origin).sign(&text));
        if let Some(date) = self.cosigned_s {
            checkpoint += &witness().cosign(date, &text);
        }
        let proof = ChunkTree::new(&file).unwrap().prove(&file, record).unwrap();
        let opening = self.openings[usize::try_from(record).unwrap()].clone();
        let class_index = self.class_at.into();
        let result = self.result(&results, record);
        Receipt { batch_leaf, class_leaf, class_index, class_hashes, proof, result, opening }.to_tlog_proof(
            4,
            &hashes,
            &checkpoint,
        )
    }

    fn verify(&self, record: u32) -> Result<Verdict, VerifyError> {
        verify(self.receipt(record).as_bytes(), &policy(), NOW)
    }
}

fn signer(origin: &str) -> Signer {
    Signer::generate(origin, [1; 32]).unwrap()
}

fn witness() -> Cosigner {
    Cosigner::generate("witness.example/w1", [2; 32]).unwrap()
}

fn policy_text() -> String {
    format!("log {}\nwitness w1 {}\nquorum w1\n", signer(ORIGIN).verifier(), witness().verifier())
}

fn policy() -> Policy {
    Policy::parse(policy_text()).unwrap()
}

/// Returns root and inclusion proof by the recursive definitions of RFC 6962 §2.1.
fn naive_tree(leaves: &[Vec<u8>], index: usize) -> (Hash, Vec<Hash>) {
    if let [leaf] = leaves {
        return (leaf_hash(leaf), Vec::new());
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (left, right) = leaves.split_at(split);
    let (left_root, left_path) = naive_tree(left, if index < split { index } else { 0 });
    let (right_root, right_path) = naive_tree(right, index.saturating_sub(split));
    let root = crate::merkle::node_hash(&left_root, &right_root);
    let (mut path, sibling) = if index < split { (left_path, right_root) } else { (right_path, left_root) };
    path.push(sibling);
    (root, path)
}

/// The verdict states the promise and the end of each.
#[test]
fn receipt_of_every_tombstone_is_authentic() {
    let world = World::new();
    for record in 0..50 {
        let verdict = world.verify(record).unwrap();
        let at = usize::try_from(record).unwrap();
        assert_eq!(verdict.key, world.openings[at].key);
        assert_eq!(verdict.id.seq, world.tombstones[at].seq);
        assert_eq!(verdict.time, world.tombstones[at].time);
        assert_eq!(verdict.compliance(), Compliance::Kept);
    }
    let verdict = world.verify(49).unwrap();
    assert_eq!(verdict.origin, ORIGIN);
    assert_eq!((verdict.tree_size, verdict.leaf_index, verdict.batch), (7, 4, 99));
    assert_eq!((verdict.class_name.as_str(), verdict.class_version), ("log-6mo", 2));
    assert_eq!((verdict.keep, verdict.within), (world.class.keep, world.class.within));
    assert_eq!((verdict.id.page.class, verdict.id.page.shard), (3, 4));
    assert_eq!((verdict.method, verdict.reason), (Method::Deleted, Reason::Due));
    let date = CosignatureDate::Counts;
    assert_eq!(verdict.cosignatures, [Cosignature { witness: "w1".into(), time_s: COSIGNED_S, date }]);
    assert!(verdict.quorum_met && verdict.quorum_required);
    assert_eq!(verdict.floor, world.openings[49].floor);
    assert_eq!(DOES_NOT_PROVE.len(), 7);
}

/// Receipts that fail a single check each, with the variant of the error. They are consistent otherwise.
fn failing() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut put = |name, record, change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        all.push((name, world.receipt(record)));
    };
    put("Checkpoint", 0, &|world| {
        world.origin = "sexton.example/other".into();
        world.seal();
    });
    put("Quorum", 0, &|world| world.cosigned_s = None);
    put("BatchLeaf", 0, &|world| world.batch.finished = shifted(world.batch.logged, 1));
    put("NotBatch", 0, &|world| world.logged = Some(world.class_text()));
    put("ClassHash", 0, &|world| world.class.lead += Duration::from_millis(1));
    put("ClassLeaf", 0, &|world| {
        world.class.id = 0;
        world.seal();
    });
    put("NotClass", 0, &|world| {
        let text = Leaf::Batch(world.batch.clone()).to_text().into_bytes();
        world.batch.class_leaf = leaf_hash(&text);
        world.class_given = Some(text);
    });
    put("ClassId", 0, &|world| {
        world.class.id = 4;
        world.seal();
    });
    put("ClassInclusion", 0, &|world| world.class_logged = Some(b"another".to_vec()));
    put("ClassLater", 0, &|world| world.class_at = 5);
    put("ClassLater", 0, &|world| {
        world.class.logged = shifted(world.batch.logged, 1);
        world.seal();
    });
    put("Quorum", 0, &|world| {
        // The whole batch lies an hour after the witness's signature.
        let later = |time: &mut Timestamp| *time = shifted(*time, 3_600_000);
        later(&mut world.batch.started);
        later(&mut world.batch.finished);
        later(&mut world.batch.logged);
        world.tombstones.iter_mut().for_each(|tombstone| later(&mut tombstone.time));
    });
    put("SeqOfPosition", 5, &|world| {
        world.tombstones[5].seq = 4;
        world.seal();
    });
    put("Class", 0, &|world| {
        world.class.zone = "Europe/Nowhere".into();
        world.seal();
    });
    // A file of another length: the last chunk is too short, and the first chunk has too few chaining values.
    for (record, n) in [(49, 60), (0, 70)] {
        put("Chunk", record, &|world| {
            world.batch.tombstones.n = n;
            (world.batch.pages[1].seqs, world.batch.pages[1].tombstones) = (n - 20, n - 20);
        });
    }
    put("Record", 0, &|world| {
        let mut record = world.tombstones[0].to_bytes();
        record[49] = 8;
        world.record = Some(record);
    });
    all.extend(failing_tombstones());
    all.extend(results::failing());
    all.extend(failing_files());
    all.push(("Quorum", World::cosigned_at(NOW_S + 301).receipt(0)));
    all
}

/// Receipts with an invalid tombstone or opening.
fn failing_tombstones() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut put = |name, record, change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        all.push((name, world.receipt(record)));
    };
    put("Page", 49, &|world| world.tombstones[49].page = 2);
    put("Seq", 49, &|world| world.tombstones[49].seq = 30);
    put("Position", 19, &|world| world.tombstones[19].page = 1);
    put("Commitment", 3, &|world| world.openings[3].size = Some(1001));
    put("Bounds", 3, &|world| {
        world.openings[3].start = Timestamp::MAX;
        world.seal();
    });
    put("Floor", 3, &|world| {
        world.openings[3].floor = world.openings[3].floor.map(|floor| shifted(floor, -1));
        world.seal();
    });
    put("Ceiling", 3, &|world| {
        world.openings[3].ceiling = world.openings[3].ceiling.map(|ceiling| shifted(ceiling, 1));
        world.seal();
    });
    put("FloorMax", 3, &|world| {
        world.batch.floor_max = world.batch.floor_max.map(|most| shifted(most, -SLOT_MS));
    });
    put("FloorMax", 3, &|world| world.batch.floor_max = None);
    put("FloorMax", 3, &|world| {
        world.class.keep = None;
        world.promise();
        world.batch.floor_max = Some(ms(0));
        world.seal();
    });
    put("CeilingMin", 3, &|world| {
        world.batch.ceiling_min = world.batch.ceiling_min.map(|least| shifted(least, SLOT_MS));
    });
    put("CeilingMin", 3, &|world| world.batch.ceiling_min = None);
    put("CeilingMin", 3, &|world| {
        world.class.within = None;
        world.promise();
        world.batch.ceiling_min = Some(ms(0));
        world.seal();
    });
    for by_ms in [-1, 1, 60_000] {
        put("Rounding", 3, &|world| {
            world.batch.floor_max = world.batch.floor_max.map(|most| shifted(most, by_ms));
        });
        put("Rounding", 3, &|world| {
            world.batch.ceiling_min = world.batch.ceiling_min.map(|least| shifted(least, by_ms));
        });
    }
    put("InBounds", 3, &|world| world.tombstones[3].in_bounds = false);
    put("InBounds", 3, &|world| {
        *world = World::late(Reason::Due);
        world.tombstones[3].in_bounds = true;
    });
    put("Time", 3, &|world| world.tombstones[3].time = shifted(world.batch.started, -1));
    put("Time", 3, &|world| world.tombstones[3].time = shifted(world.batch.finished, 1));
    all
}

/// Files that fail before the checks, or by their structure.
fn failing_files() -> Vec<(&'static str, String)> {
    let good = World::new().receipt(0);
    let file = TlogProof::parse(good.as_bytes()).unwrap();
    let with = |extra: Option<Vec<u8>>| TlogProof { extra, ..file.clone() }.to_text();
    let extra = file.extra.clone().unwrap();
    let receipt = Receipt::decode_extra(&extra).unwrap();
    let mut surplus = extra.clone();
    surplus.push(0);
    let mut first_line = extra.clone();
    first_line[16] = b'1';
    let long_leaf = Receipt { batch_leaf: vec![b'a'; LEAF_MAX_BYTES + 1], ..receipt.clone() };
    let mut many = receipt.clone();
    many.proof.siblings = vec![[0; 32]; SIBLINGS_MAX + 1];
    let result = Some(ResultProof { proof: receipt.proof.clone(), digest: vec![0; 65] });
    let long_digest = Receipt { result, ..receipt.clone() };
    let mut two_results = extra.clone();
    let at = extra.len() - receipt.opening.encode().len() - 1;
    two_results[at] = 2;
    let mut big_chunk = receipt;
    big_chunk.proof.chunk.push(0);
    let mut shift = file.clone();
    shift.index = 5;
    let mut short = file.clone();
    short.hashes.pop();
    vec![
        ("File", String::new()),
        ("File", good.replace("tlog-proof@v1", "tlog-proof@v2")),
        ("NoExtra", with(None)),
        ("Extra", with(Some(surplus))),
        ("Extra", with(Some(first_line))),
        ("Extra", with(Some(extra[..extra.len() - 1].to_vec()))),
        ("Extra", with(Some(long_leaf.encode_extra()))),
        ("Extra", with(Some(many.encode_extra()))),
        ("Extra", with(Some(big_chunk.encode_extra()))),
        ("Extra", with(Some(long_digest.encode_extra()))),
        ("Extra", with(Some(two_results))),
        ("Inclusion", shift.to_text()),
        ("Inclusion", short.to_text()),
    ]
}

/// Returns the name of an error's variant.
fn variant(error: &VerifyError) -> String {
    format!("{error:?}").split([' ', '(', '{']).next().unwrap().to_owned()
}

#[test]
fn every_check_refuses_a_receipt_that_fails_it_alone() {
    for (name, receipt) in failing() {
        let error = verify(receipt.as_bytes(), &policy(), NOW).expect_err(name);
        assert_eq!(variant(&error), name, "{error}");
        assert!(!error.to_string().is_empty());
    }
    let long = vec![b'a'; RECEIPT_MAX_BYTES + 1];
    assert_eq!(verify(&long, &policy(), NOW), Err(VerifyError::Length { found: RECEIPT_MAX_BYTES + 1 }));
}

#[test]
fn error_carries_expected_and_found_values() {
    let mut world = World::new();
    world.tombstones[3].time = ms(5);
    world.mark();
    let error = world.verify(3).unwrap_err();
    let (started, finished) = (ms(STARTED_MS), ms(STARTED_MS + 500));
    assert_eq!(error, VerifyError::Time { started, finished, found: ms(5) });
    let text = "the time is 1970-01-01T00:00:00.005Z, expected from started 2024-06-01T00:00:00.000Z to finished \
                2024-06-01T00:00:00.500Z";
    assert_eq!(error.to_string(), text);
    let mut world = World::new();
    let expected = world.openings[3].floor;
    world.openings[3].floor = Some(ms(7));
    world.seal();
    assert_eq!(world.verify(3), Err(VerifyError::Floor { expected, found: Some(ms(7)) }));
    world.openings[3].floor = None;
    world.seal();
    let mut world = World::new();
    world.tombstones[3].in_bounds = false;
    let text = "the tombstone says not in bounds, expected in bounds by its method, time and bounds";
    assert_eq!(world.verify(3).unwrap_err().to_string(), text);
    let mut world = World::new();
    world.openings[3].floor = None;
    world.seal();
    let text = "the floor is none, expected 2024-05-30T16:23:23.000Z by the class";
    assert_eq!(world.verify(3).unwrap_err().to_string(), text);
}

#[test]
fn changed_byte_of_a_receipt_is_refused_or_changes_no_claim() {
    let (policy, good) = (policy(), World::new().receipt(17).into_bytes());
    let verdict = verify(&good, &policy, NOW).unwrap();
    let mut remembering = Verifier::new(&policy);
    let mut unclaimed = 0;
    for at in 0..good.len() {
        for change in [1, 0x20] {
            let mut file = good.clone();
            file[at] ^= change;
            assert!(remembering.verify(&good, NOW).is_ok());
            let result = verify(&file, &policy, NOW);
            assert_eq!(remembering.verify(&file, NOW), result, "byte {at}");
            if let Ok(found) = result {
                assert_eq!(found, verdict, "byte {at}");
                unclaimed += 1;
            }
        }
    }
    assert_eq!(unclaimed, 0, "no byte of this receipt is without meaning");
}

#[test]
fn every_changed_byte_of_the_extra_data_is_refused() {
    let (policy, good) = (policy(), World::new().receipt(17));
    let file = TlogProof::parse(good.as_bytes()).unwrap();
    let extra = file.extra.clone().unwrap();
    let mut verifier = Verifier::new(&policy);
    for at in 0..extra.len() {
        for change in [1, 0x80, 0xff] {
            let mut extra = extra.clone();
            extra[at] ^= change;
            let changed = TlogProof { extra: Some(extra), ..file.clone() }.to_text();
            assert!(verifier.verify(changed.as_bytes(), NOW).is_err(), "byte {at}");
        }
    }
    for length in 0..extra.len() {
        assert!(Receipt::decode_extra(&extra[..length]).is_err());
    }
}

#[test]
fn receipts_equal_the_vectors() {
    let mut vectors = Vectors::default();
    vectors.put("policy", policy_text());
    vectors.put("now", NOW.to_be_bytes());
    let world = World::new();
    let anonymised = World::anonymised();
    let outside = [
        ("late", World::late(Reason::Due)),
        ("lifted", World::late(Reason::Lifted)),
        ("replaced", World::replaced()),
    ];
    for (name, world) in &outside {
        vectors.put(format!("outside.{name}"), world.receipt(3));
    }
    for (record, world) in [(0, &world), (17, &world), (49, &world), (21, &anonymised)] {
        vectors.put(format!("receipt.{record}"), world.receipt(record));
        let verdict = world.verify(record).unwrap();
        vectors.put(format!("verdict.{record}.registration_id"), verdict.id.to_bytes());
        vectors.put(format!("verdict.{record}.key"), &verdict.key);
        vectors.put(format!("verdict.{record}.time"), verdict.time.to_be_bytes());
        vectors.put(format!("verdict.{record}.floor"), encode_floor(verdict.floor).to_be_bytes());
        vectors.put(format!("verdict.{record}.ceiling"), encode_ceiling(verdict.ceiling).to_be_bytes());
        if let Some(digest) = verdict.result_digest {
            vectors.put(format!("verdict.{record}.result_digest"), digest);
        }
    }
    for (number, (name, receipt)) in failing().into_iter().enumerate() {
        // The length limits are tested above; their vectors would be long.
        if receipt.len() < 10_000 {
            vectors.put(format!("reject.{name}.{number}"), receipt);
        }
    }
    let about =
        "Receipts under a policy, docs/format.md section 5; a rejected one names the check that fails.";
    let stored = vectors.check_against("receipt.txt", about);

    let policy = Policy::parse(stored.get("policy")).unwrap();
    let mut verifier = Verifier::new(&policy);
    for (name, receipt) in stored.all("receipt.") {
        let verdict = verifier.verify(receipt, NOW).unwrap();
        let get = |field: &str| stored.get(&format!("{}.{field}", name.replace("receipt", "verdict")));
        assert_eq!(verdict.id.to_bytes(), get("registration_id"));
        assert_eq!(verdict.key, get("key"));
        assert_eq!(verdict.time.to_be_bytes(), get("time"));
        assert_eq!(encode_floor(verdict.floor).to_be_bytes(), get("floor"));
        assert_eq!(encode_ceiling(verdict.ceiling).to_be_bytes(), get("ceiling"));
        assert_eq!(verdict.compliance(), Compliance::Kept);
        assert_eq!(verdict.result_digest.is_some(), verdict.method == Method::Anonymised);
        if let Some(digest) = verdict.result_digest {
            assert_eq!(digest, get("result_digest"));
        }
    }
    for (name, receipt) in stored.all("outside.") {
        let verdict = verifier.verify(receipt, NOW).unwrap();
        let is_named = match verdict.compliance() {
            Compliance::Late { .. } => name == "outside.late",
            Compliance::AfterHold { .. } => name == "outside.lifted",
            other => name == "outside.replaced" && other == Compliance::NotADeletion(Method::Replaced),
        };
        assert!(is_named, "{name}: {:?}", verdict.compliance());
    }
    for (name, receipt) in stored.all("reject.") {
        let error = verifier.verify(receipt, NOW).expect_err(name);
        assert_eq!(Some(variant(&error).as_str()), name.split('.').nth(1));
    }
}

fn history() -> Vec<String> {
    let mut files: Vec<String> =
        [0, 1, 20, 49].into_iter().map(|record| World::new().receipt(record)).collect();
    let mut other = World::new();
    other.batch.batch = 100;
    other.batch.logged = shifted(other.batch.logged, 1);
    files.extend([0, 1, 49].into_iter().map(|record| other.receipt(record)));
    other.class.version = 3;
    other.seal();
    files.push(other.receipt(0));
    let anonymised = World::anonymised();
    files.extend([0, 1, 21, 49].into_iter().map(|record| anonymised.receipt(record)));
    // The same checkpoint with an additional unknown signature, so its text differs.
    let unknown = format!("\u{2014} unknown.example {}\n", "A".repeat(64));
    files.push(files[0].clone() + &unknown);
    files.extend(failing().into_iter().map(|(_, file)| file));
    files
}

#[test]
fn remembered_checks_never_change_a_verdict() {
    let (policy, files) = (policy(), history());
    let fresh: Vec<_> = files.iter().map(|file| verify(file.as_bytes(), &policy, NOW)).collect();
    // Every receipt after every other receipt, so that the verifier remembers the leaves of the other.
    let mut verifier = Verifier::new(&policy);
    for (first, expected_first) in files.iter().zip(&fresh) {
        for (second, expected_second) in files.iter().zip(&fresh) {
            assert_eq!(&verifier.verify(first.as_bytes(), NOW), expected_first);
            assert_eq!(&verifier.verify(second.as_bytes(), NOW), expected_second);
        }
    }
    assert!(fresh[12].is_ok(), "an unknown signature is no obstacle");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn accepted_extra_data_are_written_the_same(
        batch_leaf in proptest::collection::vec(any::<u8>(), 0..40),
        record: u32,
        chunk in proptest::collection::vec(any::<u8>(), 60..70),
        digest in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..67)),
        siblings in proptest::collection::vec(any::<[u8; 32]>(), 0..31),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let opening = World::new().openings[0].clone();
        let proof = ChunkProof { record, chunk, siblings };
        let result = digest.map(|digest| ResultProof { proof: proof.clone(), digest });
        let receipt = Receipt {
            class_leaf: batch_leaf.clone(),
            class_index: 1,
            class_hashes: vec![[7; 32]],
            batch_leaf,
            proof,
            result,
            opening,
        };
        let mut bytes = receipt.encode_extra();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(4 * bytes.len()));
        let with_line = [EXTRA_FIRST_LINE.as_slice(), &noise].concat();
        for bytes in [bytes, noise, with_line] {
            if let Ok(read) = Receipt::decode_extra(&bytes) {
                prop_assert_eq!(read.encode_extra(), bytes);
            }
        }
    }

    #[test]
    fn arbitrary_files_never_panic_and_are_never_authentic(
        noise in proptest::collection::vec(any::<u8>(), 0..600),
        from in any::<prop::sample::Index>(),
    ) {
        let (policy, good) = (policy(), World::new().receipt(1).into_bytes());
        let at = from.index(good.len());
        let patched = [&good[..at], noise.as_slice(), &good[at..]].concat();
        prop_assert!(verify(&noise, &policy, NOW).is_err());
        prop_assert!(noise.is_empty() || verify(&patched, &policy, NOW).is_err());
    }
}
