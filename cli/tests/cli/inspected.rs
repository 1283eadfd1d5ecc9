//! `inspect` on a file of each kind. Running it with `--json` checks the output against its schema.

use crate::receipts::{Always, Bench, DUE, NEW_YEAR};
use crate::run::{Demo, sexton, write};
use crate::schema;
use serde_json::Value;
use sexton::store::Answer;
use sexton::{ClassSet, Durability, Opener, Registration, RegistrationId};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::id::PageId;
use sexton_proof::note::{Cosigner, Signer};
use sexton_proof::record::Cause;
use sexton_proof::seal::{Continues, Entry, Held, SealWriter};
use sexton_proof::tlog_proof::TlogProof;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// Class that has every optional line, for objects that are rewritten.
const FACES: &str = r#"
[calendar.workshop]
days = """
2026-01-01
+2026-01-03
"""

[class.faces]
within = "2wd"
zone = "Europe/Berlin"
calendar = "workshop"
start = "explicit"
max_open = "1h"
disposition = "anonymise"
"#;

fn inspect(bench: &Bench, name: &str, bytes: &[u8]) -> Value {
    let path = bench.put(name, bytes);
    let ran = sexton(["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    assert!(ran.code == 0 || ran.code == 1, "{ran:?}");
    ran.json()
}

/// Returns the words of `format` in the schema: those of files that can be shown, and those of malformed ones.
fn formats() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut shown, mut malformed) = (BTreeSet::new(), BTreeSet::new());
    for (name, schema) in schema::all()["inspect"]["$defs"].as_object().unwrap() {
        let Some(format) = schema["properties"].get("format") else { continue };
        let words = if name == "malformed" { &mut malformed } else { &mut shown };
        match format.get("enum").and_then(Value::as_array) {
            None => words.insert(format["const"].as_str().unwrap().to_owned()),
            Some(all) => {
                words.extend(all.iter().map(|word| word.as_str().unwrap().to_owned()));
                false
            }
        };
    }
    (shown, malformed)
}

/// Returns the files of an engine with a carry, a result and all that hangs on them, by name.
fn evidence(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    bench.engine.define_classes(&ClassSet::from_toml(FACES).unwrap()).unwrap();
    let upload = Registration::new("upload-3h", b"stubborn").start(NEW_YEAR);
    let face = Registration::new("faces", b"face").start(NEW_YEAR).size(7);
    let ids = bench.engine.register(&[upload, face], Durability::Synced).unwrap();
    bench.clock.advance(DUE);
    bench.engine.enforce(&Always(Answer::Failed("it is broken".into()))).unwrap();
    bench.clock.advance(Duration::from_hours(72));
    bench.engine.enforce(&Always(Answer::Anonymised([7; 32].into()))).unwrap();
    let receipt = bench.engine.receipt(ids[1].id, Opener::Key(b"face")).unwrap();
    let mut files: Vec<(String, Vec<u8>)> =
        bench.files.all().into_iter().map(|(path, bytes)| (path.replace('/', "_"), bytes.to_vec())).collect();
    let mut bare = TlogProof::parse(receipt.as_bytes()).unwrap();
    bare.extra = None;
    files.push(("bare".into(), bare.to_text().into_bytes()));
    files.push(("receipt".into(), receipt.into_bytes()));
    files
}

/// Returns a file of each kind that such an engine does not have.
fn texts() -> Vec<Vec<u8>> {
    let signer = Signer::generate("sexton.test/cli", [1; 32]).unwrap();
    let witness = Cosigner::generate("witness.example/w", [2; 32]).unwrap();
    let text = Checkpoint { origin: "sexton.test/cli".into(), size: 1, root: [3; 32] }.to_text();
    let event = |kind: &str| {
        let (id, commitment) = ("1d".repeat(16), "c0".repeat(32));
        format!("sexton/v0 {kind}\nlogged 1700000000000\nid {id}\ncommitment {commitment}\n")
    };
    let (log, key) = (signer.verifier(), witness.verifier());
    let mut all: Vec<String> = ["hold", "lift", "alarm", "resume"].map(event).into();
    all.push(format!("{text}\n{}{}", signer.sign(&text), witness.cosign(7, &text)));
    all.push(format!(
        "log {log} https://log.example\nwitness w {key} https://w.example\ngroup g all w\nquorum g\n"
    ));
    all.push(format!("log {log}\nquorum none\n"));
    all.push(signer.to_private());
    let root = "5e".repeat(32);
    all.push(format!(
        "sexton/v0 seal\nlogged 5\nseal 1\nshards 4\nentries 3 {root}\nclass 1 3 0 0 -\nclass 2 2 1 1 7\ntool t\n"
    ));
    all.push("sexton/v0 seal\nlogged 5\nseal 2\ntool t\n".into());
    all.into_iter().map(String::into_bytes).chain([seal_file()]).collect()
}

/// Returns a seal file with three segments of two forms.
fn seal_file() -> Vec<u8> {
    let (mut writer, mut file) = (SealWriter::new(9), Vec::new());
    let page = PageId { class: 1, slot: 5, shard: 0, part: 0 };
    let source = RegistrationId { page, seq: 0 };
    let link = Some(Continues { source, cause: Cause::Started, held: Held::No });
    for (seq, offset, continues) in [(0, 0, None), (1, 0, None), (2, 1, None), (3, 1, link)] {
        let entry = Entry { commitment: [7; 32], continues, replaces: None };
        writer.push(page, seq, offset, &entry, &mut file);
    }
    writer.finish(&mut file);
    file
}

#[test]
fn seal_file_is_counted_by_form() {
    let bench = Bench::new();
    let file = seal_file();
    let shown = inspect(&bench, "seal", &file);
    let form = |form: &str, segments: u64, entries: u64| serde_json::json!({ "form": form, "segments": segments, "entries": entries });
    let expected = serde_json::json!({
        "format": "seal", "seal": 9, "n": 4, "root": hex::encode(sexton_proof::file::root(&file)),
        "continuing": 1, "replacing": 0,
        "forms": [
            form("fresh", 2, 3), form("continues", 1, 1), form("replaces", 0, 0), form("continues and replaces", 0, 0),
        ],
    });
    assert_eq!(shown, expected);
    let cut = inspect(&bench, "seal", &file[..file.len() - 32]);
    assert_eq!(cut["malformed"], "byte 224 of the seal file: 32 bytes are left, expected 64");
}

#[test]
fn each_kind_of_file_fits_the_schema() {
    let bench = Bench::new();
    let mut found = BTreeSet::new();
    let mut take = |shown: Value| {
        assert!(shown.get("malformed").is_none(), "{shown}");
        found.insert(shown["format"].as_str().unwrap().to_owned());
        shown
    };
    for (name, bytes) in evidence(&bench) {
        if !name.contains("tile") || name.contains("entries") {
            let shown = take(inspect(&bench, &name, &bytes));
            if shown["format"] == "entry bundle" {
                for entry in sexton_proof::tile::parse_bundle(&bytes).unwrap() {
                    take(inspect(&bench, "entry", entry));
                }
            }
        }
    }
    for (at, text) in texts().iter().enumerate() {
        take(inspect(&bench, &format!("text {at}"), text));
    }
    let demo = Demo::shared();
    let mut files = ["keyring", "feed.key", "log.key"].map(|name| demo.path("data/keys").join(name)).to_vec();
    files.push(demo.path("data/head"));
    files.extend(demo.our_files().into_iter().find(|path| path.to_str().unwrap().contains("/tile/0/")));
    for file in files {
        take(sexton(["inspect".as_ref(), file.as_os_str(), "--json".as_ref()]).json());
    }
    let receipt = take(inspect(&bench, "receipt", &fs::read(bench.kept("kept")).unwrap()));
    assert_eq!(receipt["tombstone"]["method"], "deleted");
    assert_eq!(found, formats().0);
}

#[test]
fn results_carries_and_single_leaves_are_shown() {
    let bench = Bench::new();
    let files: std::collections::BTreeMap<_, _> = evidence(&bench).into_iter().collect();
    let show = |name: &str| inspect(&bench, "file", &files[name]);
    let carries = show("tombstones_001.carry");
    assert_eq!((&carries["format"], &carries["n"]), (&"carries".into(), &1.into()));
    assert_eq!(carries["carries"][0]["cause"], "failed");
    let receipt = show("receipt");
    assert_eq!(receipt["tombstone"]["method"], "anonymised");
    assert_eq!(
        (&receipt["result"]["digest"], &receipt["object"]["size_bytes"]),
        (&"07".repeat(32).into(), &7.into())
    );
    assert_eq!(receipt["class_leaf"]["workdays"][0], "2026-01-03");

    let bundle = files.iter().rfind(|(path, _)| path.starts_with("log_tile_entries_")).unwrap().1;
    let shown = inspect(&bench, "bundle", bundle);
    for (at, entry) in sexton_proof::tile::parse_bundle(bundle).unwrap().iter().enumerate() {
        let mut leaf = inspect(&bench, "leaf", entry);
        assert_eq!(leaf, shown["entry"][at]);
        assert_eq!(leaf["format"].take(), if at < 5 { "class leaf" } else { "batch leaf" });
    }
}

/// Each kind of file, cut short or spoilt.
#[test]
fn malformed_file_of_each_kind_fits_the_schema() {
    let bench = Bench::new();
    let files: std::collections::BTreeMap<_, _> = evidence(&bench).into_iter().collect();
    let cut = |name: &str| {
        let bytes = files.get(name).unwrap_or_else(|| panic!("{:?}", files.keys()));
        bytes[..bytes.len() - 1].to_vec()
    };
    let openings = files.keys().find(|name| name.starts_with("openings_")).unwrap();
    let results = files.keys().find(|name| name.ends_with(".result") || name.ends_with(".results"));
    let results = results.unwrap_or_else(|| panic!("{:?}", files.keys()));
    let mut note = TlogProof::parse(&files["bare"]).unwrap();
    let text = "sexton.test/cli\nno checkpoint\n";
    let signer = Signer::generate("sexton.test/cli", [1; 32]).unwrap();
    note.checkpoint = format!("{text}\n{}", signer.sign(text));
    let spoilt: Vec<Vec<u8>> = vec![
        note.to_text().into_bytes(),
        cut("tombstones_001.carry"),
        cut(files.keys().rfind(|name| name.ends_with(".tomb")).unwrap()),
        cut(results),
        cut(openings),
        files["tombstones_001.carry"][..40].to_vec(),
        b"c2sp.org/tlog-proof@v1\n".to_vec(),
        b"sexton keyring v0\n".to_vec(),
        b"sexton feed key v0\n".to_vec(),
        b"sexton head v0\n".to_vec(),
        b"PRIVATE+KEY+x".to_vec(),
        b"sexton/v0 class\n".to_vec(),
        b"\0\x20sexton/v0 class\n".to_vec(),
        b"log x\n".to_vec(),
        seal_file()[..40].to_vec(),
    ];
    let mut found: BTreeSet<String> = spoilt
        .iter()
        .map(|bytes| {
            let shown = inspect(&bench, "spoilt", bytes);
            assert!(shown["malformed"].is_string(), "{shown}");
            shown["format"].as_str().unwrap().to_owned()
        })
        .collect();
    let tile = bench.put("tile", b"");
    fs::remove_file(&tile).unwrap();
    fs::create_dir_all(tile.join("0/000.p")).unwrap();
    let tile = tile.join("0/000.p/1");
    write(&tile, b"short");
    let shown = sexton(["inspect".as_ref(), tile.as_os_str(), "--json".as_ref()]).json();
    found.insert(shown["format"].as_str().unwrap().to_owned());
    assert_eq!(found, formats().1);
}
