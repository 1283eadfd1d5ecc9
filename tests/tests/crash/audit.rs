//! What an auditor makes of the published files alone: checkpoint, entries, leaves, tombstones, carries.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sexton::RegistrationId;
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::file::{self, EvidenceFile};
use sexton_proof::id::{PageId, batch_path};
use sexton_proof::leaf::{BatchLeaf, Leaf};
use sexton_proof::note::{Note, Verifier};
use sexton_proof::record::{FileKind, Method, Tombstone};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The published log, verified against its checkpoint.
pub(crate) struct Log {
    pub(crate) entries: Vec<Vec<u8>>,
    /// The root that it had at each size from 0.
    pub(crate) roots: Vec<[u8; 32]>,
}

/// Reads the log as whoever follows tlog-tiles does, `None` where no checkpoint is published yet. Its signature, and
/// the root recomputed by another implementation of RFC 6962, must be right at any moment.
pub(crate) fn log(data: &Path, key: &Verifier) -> Option<Log> {
    let note = Note::parse(fs::read(data.join("log/checkpoint")).ok()?).unwrap();
    note.verify(&[key]).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let size = usize::try_from(checkpoint.size).unwrap();
    let mut entries = Vec::new();
    for bundle in 0..size.div_ceil(256) {
        let whole = data.join(format!("log/tile/entries/{bundle:03}"));
        let width = (size - bundle * 256).min(256);
        // The full one may have come, and its narrower ones gone, for a checkpoint that is not published yet.
        let bytes = fs::read(&whole).or_else(|_| fs::read(format!("{}.p/{width}", whole.display()))).unwrap();
        let parsed = sexton_proof::tile::parse_bundle(&bytes).unwrap();
        entries.extend(parsed.into_iter().take(width).map(<[u8]>::to_vec));
    }
    let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    let mut roots = vec![sexton_proof::merkle::empty_root()];
    for entry in &entries {
        tree.push(entry.clone());
        roots.push(tree.root().as_bytes().as_slice().try_into().unwrap());
    }
    assert_eq!(roots[size], checkpoint.root, "the checkpoint's root is not that of its {size} entries");
    Some(Log { entries, roots })
}

/// How everything that a log tells of ended.
#[derive(Default)]
pub(crate) struct Ends {
    /// Registrations with a tombstone.
    pub(crate) tombstones: BTreeMap<RegistrationId, Tombstone>,
    /// Registrations that live on as another one.
    pub(crate) carries: BTreeMap<RegistrationId, RegistrationId>,
    /// Settled pages, each with its seqs.
    pages: BTreeMap<PageId, u32>,
    /// The classes' names, by their numbers.
    pub(crate) classes: BTreeMap<u32, String>,
    pub(crate) batches: BTreeSet<u64>,
}

impl Ends {
    /// Reads every batch; fails where a file is not what its leaf says, a seq has two records, or a seq has none.
    pub(crate) fn of(data: &Path, log: &Log) -> Self {
        let mut ends = Ends::default();
        for entry in &log.entries {
            match Leaf::parse(entry).unwrap() {
                Leaf::Class(leaf) => assert_eq!(ends.classes.insert(leaf.id, leaf.name), None),
                Leaf::Batch(leaf) => ends.read_batch(data, &leaf),
                Leaf::Event(_) => {}
            }
        }
        ends
    }

    fn read_batch(&mut self, data: &Path, leaf: &BatchLeaf) {
        assert!(self.batches.insert(leaf.batch), "batch {} is in the log twice", leaf.batch);
        for line in &leaf.pages {
            let page = PageId { class: leaf.class, slot: line.slot, shard: line.shard, part: line.part };
            assert_eq!(self.pages.insert(page, line.seqs), None, "page {page} was settled twice");
        }
        let id = |ordinal, seq| RegistrationId { page: leaf.page_id(ordinal).unwrap(), seq };
        let base = data.join("tombstones").join(batch_path(leaf.batch));
        let read = |ending: &str, root: [u8; 32]| {
            let bytes = fs::read(format!("{}.{ending}", base.display())).unwrap();
            assert_eq!(file::root(&bytes), root, "batch {}: its {ending} file is another", leaf.batch);
            bytes
        };
        let bytes = read("tomb", leaf.tombstones.root);
        for t in EvidenceFile::parse(&bytes, FileKind::Tombstones).unwrap().tombstones() {
            let twice = self.tombstones.insert(id(t.page, t.seq), t);
            assert!(twice.is_none(), "{} has two tombstones", id(t.page, t.seq));
        }
        let Some(reference) = leaf.carries else { return };
        let bytes = read("carry", reference.root);
        for c in EvidenceFile::parse(&bytes, FileKind::Carries).unwrap().carries() {
            assert_eq!(self.carries.insert(id(c.page, c.seq), c.to), None, "carried twice");
        }
    }

    /// Every seq of every page has one record, every carry a place of its own where it ends, nothing is left over.
    pub(crate) fn check_completeness(&self) {
        let mut left: BTreeSet<RegistrationId> = self.tombstones.keys().copied().collect();
        left.extend(self.carries.keys());
        assert_eq!(
            left.len(),
            self.tombstones.len() + self.carries.len(),
            "a seq has a tombstone and a carry"
        );
        for (page, seqs) in &self.pages {
            for seq in 0..*seqs {
                let id = RegistrationId { page: *page, seq };
                assert!(left.remove(&id), "{id} has no record");
            }
        }
        assert!(left.is_empty(), "{} records of seqs that no page has", left.len());
        let reached: BTreeSet<&RegistrationId> = self.carries.values().collect();
        assert_eq!(reached.len(), self.carries.len(), "two carries go to the same place");
        for to in reached {
            let there = self.pages.get(&to.page).is_some_and(|seqs| to.seq < *seqs);
            assert!(there, "what was carried to {to} did not end there");
        }
    }

    /// The tombstone in which a registration ends, along its carries.
    pub(crate) fn end(&self, mut id: RegistrationId) -> Option<&Tombstone> {
        while let Some(next) = self.carries.get(&id) {
            id = *next;
        }
        self.tombstones.get(&id)
    }

    /// How many tombstones each class has.
    pub(crate) fn by_class(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for id in self.tombstones.keys() {
            *counts.entry(self.classes[&id.page.class].as_str()).or_default() += 1;
        }
        counts
    }

    /// How many registrations of each class ended in which way.
    pub(crate) fn by_method(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for (id, tombstone) in &self.tombstones {
            let class = self.classes[&id.page.class].as_str();
            *counts.entry((class, Method::name(tombstone.method))).or_default() += 1;
        }
        counts
    }
}

/// Batches whose tombstones lie there although no published entry names them: the process died in between.
pub(crate) fn unpublished_batches(data: &Path, published: Option<&Log>) -> usize {
    let named: BTreeSet<String> = published
        .iter()
        .flat_map(|log| &log.entries)
        .filter_map(|entry| match Leaf::parse(entry) {
            Ok(Leaf::Batch(leaf)) => Some(format!("{}.tomb", batch_path(leaf.batch))),
            _ => None,
        })
        .collect();
    let folder = data.join("tombstones");
    let mut found = Vec::new();
    tombstone_files(&folder, &folder, &mut found);
    found.iter().filter(|path| !named.contains(*path)).count()
}

fn tombstone_files(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            tombstone_files(root, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "tomb") {
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
}
