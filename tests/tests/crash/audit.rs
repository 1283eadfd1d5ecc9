//! Audit of the published files alone: checkpoint, entries, leaves, tombstones and carries.

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

/// Published log, verified against its checkpoint.
pub(crate) struct Log {
    pub(crate) entries: Vec<Vec<u8>>,
    /// Root at each size from 0.
    pub(crate) roots: Vec<[u8; 32]>,
}

/// Reads the log as tlog-tiles says. Returns `None` if no checkpoint is published yet. Its signature and the root that
/// another implementation of RFC 6962 computes must be right at any moment.
pub(crate) fn log(data: &Path, key: &Verifier) -> Option<Log> {
    let note = Note::parse(fs::read(data.join("log/checkpoint")).ok()?).unwrap();
    note.verify(&[key]).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let size = usize::try_from(checkpoint.size).unwrap();
    let mut entries = Vec::new();
    for bundle in 0..size.div_ceil(256) {
        let whole = data.join(format!("log/tile/entries/{bundle:03}"));
        let width = (size - bundle * 256).min(256);
        // A checkpoint that is not published yet may have replaced the narrower bundles by the full one.
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

/// Ends of all registrations that a log covers.
#[derive(Default)]
pub(crate) struct Ends {
    /// Registrations with a tombstone.
    pub(crate) tombstones: BTreeMap<RegistrationId, Tombstone>,
    /// Registrations that were carried, each with its next id.
    pub(crate) carries: BTreeMap<RegistrationId, RegistrationId>,
    /// Settled pages, each with its number of seqs.
    pages: BTreeMap<PageId, u32>,
    /// Names of the classes by number.
    pub(crate) classes: BTreeMap<u32, String>,
    /// Versions of the classes by name.
    versions: BTreeMap<String, u32>,
    pub(crate) batches: BTreeSet<u64>,
}

impl Ends {
    /// Reads every batch. Panics if a file differs from its leaf, if a seq has no record or two, or if ids break the
    /// rules of `docs/format.md` §1.
    pub(crate) fn of(data: &Path, log: &Log) -> Self {
        let mut ends = Ends::default();
        for entry in &log.entries {
            match Leaf::parse(entry).unwrap() {
                Leaf::Class(leaf) => {
                    assert_eq!(leaf.id as usize, ends.classes.len() + 1, "the id of class {}", leaf.name);
                    let version = ends.versions.entry(leaf.name.clone()).or_default();
                    *version += 1;
                    assert_eq!(leaf.version, *version, "the version of class {}", leaf.name);
                    ends.classes.insert(leaf.id, leaf.name);
                }
                Leaf::Batch(leaf) => ends.read_batch(data, &leaf),
                Leaf::Seal(_) | Leaf::Event(_) => {}
            }
        }
        ends
    }

    fn read_batch(&mut self, data: &Path, leaf: &BatchLeaf) {
        assert!(self.batches.insert(leaf.batch), "batch {} is in the log twice", leaf.batch);
        for line in &leaf.pages {
            let page = PageId { class: leaf.class, slot: line.slot, shard: line.shard, part: line.part };
            assert_eq!(self.pages.insert(page, line.seqs), None, "page {page} was settled twice");
            assert!(page.slot_start() <= leaf.started, "page {page} settled before its slot began");
        }
        let id = |ordinal, seq| RegistrationId { page: leaf.page_id(ordinal).unwrap(), seq };
        let base = data.join("tombstones").join(batch_path(leaf.batch));
        let read = |ending: &str, root: [u8; 32]| {
            let bytes = fs::read(format!("{}.{ending}", base.display())).unwrap();
            assert_eq!(
                file::root(&bytes),
                root,
                "batch {}: the {ending} file differs from its leaf",
                leaf.batch
            );
            bytes
        };
        let bytes = read("tomb", leaf.tombstones.root);
        for t in EvidenceFile::parse(&bytes, FileKind::Tombstones).unwrap().tombstones() {
            let twice = self.tombstones.insert(id(t.page, t.seq), t);
            assert!(twice.is_none(), "{} has two tombstones", id(t.page, t.seq));
            assert!((leaf.started..=leaf.finished).contains(&t.time), "{t:?} is not of the batch's time");
        }
        let Some(reference) = leaf.carries else { return };
        let bytes = read("carry", reference.root);
        for c in EvidenceFile::parse(&bytes, FileKind::Carries).unwrap().carries() {
            assert_eq!(self.carries.insert(id(c.page, c.seq), c.to), None, "carried twice");
            assert!((leaf.started..=leaf.finished).contains(&c.time), "{c:?} is not of the batch's time");
            assert_eq!(id(c.page, c.seq).page.shard, c.to.page.shard, "{c:?} leads to another shard");
        }
    }

    /// Asserts that each seq of each page has one record, that each carry leads to an end of its own, that no record is
    /// left over, and that the numbers of the batches have no gap.
    pub(crate) fn check_completeness(&self) {
        assert!(self.batches.iter().copied().eq(1..=self.batches.len() as u64), "a batch number is missing");
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
        assert!(left.is_empty(), "{} records belong to no page", left.len());
        let reached: BTreeSet<&RegistrationId> = self.carries.values().collect();
        assert_eq!(reached.len(), self.carries.len(), "two carries lead to the same registration");
        for to in reached {
            let there = self.pages.get(&to.page).is_some_and(|seqs| to.seq < *seqs);
            assert!(there, "the carry to {to} leads to no end");
        }
    }

    /// Returns the tombstone of a registration, following its carries.
    pub(crate) fn end(&self, mut id: RegistrationId) -> Option<&Tombstone> {
        while let Some(next) = self.carries.get(&id) {
            id = *next;
        }
        self.tombstones.get(&id)
    }

    /// Returns the number of tombstones of each class.
    pub(crate) fn by_class(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for id in self.tombstones.keys() {
            *counts.entry(self.classes[&id.page.class].as_str()).or_default() += 1;
        }
        counts
    }

    /// Returns the number of registrations that ended, by class and method.
    pub(crate) fn by_method(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for (id, tombstone) in &self.tombstones {
            let class = self.classes[&id.page.class].as_str();
            *counts.entry((class, Method::name(tombstone.method))).or_default() += 1;
        }
        counts
    }
}

/// Returns the number of batches with tombstones that no published entry names, because the process died in between.
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
