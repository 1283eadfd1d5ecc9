//! Audit of the published files alone, with independent implementations. The files prove every end and reveal no name.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sexton::{Durability, Engine, Opener, Registration};
use sexton_proof::leaf::{BatchLeaf, Leaf, rounding};
use sexton_proof::note::Note;
use sexton_proof::receipt::Compliance;
use sexton_proof::record::Method;
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{HOUR, Machine, NEW_YEAR};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

const FILES: usize = 700;

fn names() -> Vec<String> {
    (0..FILES).map(|n| format!("patients/{n:04}/x-ray of {}.png", n % 17)).collect()
}

/// Returns an engine that has deleted 700 objects with personal names in more than 300 batches.
fn enforced() -> (Machine, Engine, Vec<String>) {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let names = names();
    let digests: Vec<_> = names.iter().map(|name| blake3::hash(name.as_bytes())).collect();
    let registrations: Vec<Registration<'_>> = (0..)
        .zip(names.iter().zip(&digests))
        .map(|(n, (name, digest))| {
            Registration::new("data-30d", name.as_bytes())
                .version(b"1")
                .start(NEW_YEAR.saturating_sub(n * HOUR))
                .digest(digest.as_bytes())
                .subject(b"a person")
        })
        .collect();
    for name in &names {
        machine.store.put(name.as_bytes(), b"1");
    }
    engine.register(&registrations, Durability::Synced).unwrap();
    for hour in 0..731 {
        machine.clock.set(NEW_YEAR.saturating_add(hour * HOUR));
        engine.enforce(&*machine.store).unwrap();
    }
    assert!(machine.store.is_empty());
    (machine, engine, names)
}

fn public(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let mut files = machine.files.all();
    files.retain(|path, _| path.starts_with("log/") || path.starts_with("tombstones/"));
    files
}

/// Reads all entries as the tlog-tiles specification says.
fn entries(files: &BTreeMap<String, Vec<u8>>, size: usize) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for bundle in 0..size.div_ceil(256) {
        let width = (size - bundle * 256).min(256);
        let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
        let bytes = &files[&format!("log/tile/entries/{bundle:03}{partial}")];
        entries.extend(sexton_proof::tile::parse_bundle(bytes).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    entries
}

#[test]
fn another_rfc_6962_implementation_computes_the_same_root() {
    let (machine, ..) = enforced();
    let files = public(&machine);
    let note = Note::parse(&files["log/checkpoint"]).unwrap();
    let checkpoint = sexton_proof::checkpoint::Checkpoint::parse(note.text()).unwrap();
    let size = usize::try_from(checkpoint.size).unwrap();
    let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    for entry in entries(&files, size) {
        tree.push(entry);
    }
    assert_eq!(tree.root().as_bytes().as_slice(), checkpoint.root);
    // The hash tiles hold the hashes of the entries.
    let first = &files["log/tile/0/000"];
    for (at, entry) in entries(&files, size).iter().take(256).enumerate() {
        assert_eq!(first[at * 32..(at + 1) * 32], sexton_proof::merkle::leaf_hash(entry));
    }
}

/// Returns the leaves of all batches, in the order of the log.
fn batches(machine: &Machine) -> Vec<BatchLeaf> {
    let files = public(machine);
    let note = Note::parse(&files["log/checkpoint"]).unwrap();
    let size = note.text().lines().nth(1).unwrap().parse().unwrap();
    let leaves = entries(&files, size).into_iter().map(|entry| Leaf::parse(&entry).unwrap());
    leaves.filter_map(|leaf| if let Leaf::Batch(leaf) = leaf { Some(leaf) } else { None }).collect()
}

const BOUNDED: &str = "[class.kept]\nkeep = \"2h\"\nwithin = \"10h\"\nslot = \"1s\"\nlead = \"1s\"\n";

/// An erasure ends the replaced registration before its floor, with the deletion of another object.
#[test]
fn bounds_of_a_batch_are_those_of_its_deletions_in_bounds() {
    let sim = Simulation::new(BOUNDED);
    let start = NEW_YEAR.saturating_sub(HOUR * 2 + Duration::from_millis(1));
    sim.put_of("kept", "deleted", "", Some(start));
    let replaced = sim.put("kept", "a");
    sim.machine.clock.advance(Duration::from_millis(1));
    sim.put("kept", "a");
    sim.erase(key("a"));
    sim.enforce();
    let batches = batches(&sim.machine);
    assert_eq!(batches.iter().map(|leaf| leaf.tombstones.n).collect::<Vec<_>>(), [2]);
    let unit = 60_000;
    let within = rounding::ceiling_min(start.saturating_add(10 * HOUR), unit);
    let keep = rounding::floor_max(start.saturating_add(2 * HOUR), unit);
    assert_eq!((batches[0].floor_max, batches[0].ceiling_min), (keep, within));
    assert_eq!(sim.receipt(replaced, "a").1, Method::Replaced);
    sim.assert_sound();
}

#[test]
fn batch_without_an_end_in_bounds_has_no_bounds() {
    let sim = Simulation::new(BOUNDED);
    let id = sim.put("kept", "a");
    sim.machine.clock.advance(24 * HOUR);
    sim.enforce();
    let batches = batches(&sim.machine);
    assert_eq!(batches.iter().map(|leaf| leaf.tombstones.n).collect::<Vec<_>>(), [1]);
    assert_eq!((batches[0].floor_max, batches[0].ceiling_min), (None, None));
    assert!(matches!(sim.receipt(id, "a").0, Compliance::Late { .. }));
    sim.assert_sound();
}

#[test]
fn root_in_a_batch_leaf_is_blake3_of_the_tombstone_file() {
    let (machine, ..) = enforced();
    let files = public(&machine);
    let note = Note::parse(&files["log/checkpoint"]).unwrap();
    let size = note.text().lines().nth(1).unwrap().parse().unwrap();
    let mut batches = 0;
    for entry in entries(&files, size) {
        if let Leaf::Batch(leaf) = Leaf::parse(&entry).unwrap() {
            let path = format!("tombstones/{}.tomb", sexton_proof::id::batch_path(leaf.batch));
            assert_eq!(blake3::hash(&files[&path]), leaf.tombstones.root);
            batches += 1;
        }
    }
    assert!(batches > 300, "{batches} batches");
}

#[test]
fn every_published_checkpoint_is_a_prefix_of_the_next() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let mut seen = Vec::new();
    for n in 0..20 {
        let name = format!("{n}");
        let registration = Registration::new("upload-3h", name.as_bytes()).start(NEW_YEAR);
        engine.register(&[registration], Durability::Synced).unwrap();
        machine.clock.set(NEW_YEAR.saturating_add((3 + n) * HOUR));
        engine.enforce(&*machine.store).unwrap();
        let note = Note::parse(&machine.files.all()["log/checkpoint"]).unwrap();
        seen.push(sexton_proof::checkpoint::Checkpoint::parse(note.text()).unwrap());
    }
    let files = public(&machine);
    let last = usize::try_from(seen.last().unwrap().size).unwrap();
    let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    let mut roots = BTreeMap::new();
    for entry in entries(&files, last) {
        tree.push(entry);
        roots.insert(tree.root().num_leaves(), tree.root().as_bytes().to_vec());
    }
    for checkpoint in &seen {
        assert_eq!(roots[&checkpoint.size], checkpoint.root);
    }
}

#[test]
fn published_files_hold_no_names_and_no_hashes_of_names() {
    let (machine, _, names) = enforced();
    let everything: Vec<u8> = public(&machine).into_values().flatten().collect();
    let found = |needle: &[u8]| everything.windows(needle.len()).any(|window| window == needle);
    let guessable_keys: [[u8; 32]; 3] = [
        [0; 32],
        blake3::derive_key("sexton v1 commitment", b""),
        *blake3::hash(b"sexton.test/log").as_bytes(),
    ];
    assert!(found(b"data-30d"), "the search finds a published name");
    for name in names.iter().step_by(97) {
        let name = name.as_bytes();
        assert!(!found(name));
        assert!(!found(&name[..12]));
        let plain = blake3::hash(name);
        assert!(!found(&plain.as_bytes()[..8]) && !found(plain.to_hex().as_bytes()));
        for key in &guessable_keys {
            assert!(!found(&blake3::keyed_hash(key, name).as_bytes()[..8]));
        }
        assert!(!found(&blake3::derive_key("sexton v1 commitment", name)[..8]));
    }
    assert!(!found(b"a person"));
}

#[test]
fn receipt_opens_only_with_its_key_and_names_no_other_object() {
    let (machine, engine, names) = enforced();
    let leaf_of = |name: &str| engine.find(name.as_bytes()).unwrap();
    assert_eq!(leaf_of(&names[0]), None);
    let id = first_id(&machine);
    let opened: Vec<&String> =
        names.iter().filter(|name| engine.receipt(id, Opener::Key(name.as_bytes())).is_ok()).collect();
    assert_eq!(opened.len(), 1, "exactly one key opens a registration");
    let receipt = engine.receipt(id, Opener::Key(opened[0].as_bytes())).unwrap();
    for other in names.iter().filter(|name| *name != opened[0]) {
        assert!(!receipt.contains(other.as_str()));
    }
}

/// Returns the registration id of the first tombstone of the first batch.
fn first_id(machine: &Machine) -> sexton::RegistrationId {
    let files = public(machine);
    let note = Note::parse(&files["log/checkpoint"]).unwrap();
    let size = note.text().lines().nth(1).unwrap().parse().unwrap();
    let batch = entries(&files, size).into_iter().find_map(|entry| match Leaf::parse(&entry).unwrap() {
        Leaf::Batch(leaf) => Some(leaf),
        Leaf::Class(_) | Leaf::Seal(_) | Leaf::Event(_) => None,
    });
    let leaf = batch.unwrap();
    let page = (0..).zip(&leaf.pages).find(|(_, line)| line.tombstones > 0).unwrap().0;
    sexton::RegistrationId { page: leaf.page_id(page).unwrap(), seq: 0 }
}
