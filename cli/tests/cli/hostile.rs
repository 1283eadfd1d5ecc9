//! Files of a hostile sender: no byte of them moves the cursor, reorders a line, begins one, or uses up the machine.

use crate::run::{Ran, command, sexton, spawn, write};
use crate::sandbox::{HOUR_MS, Sandbox, WHY};
use sexton_proof::checked_text::{self, Head};
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::commitment::Opening;
use sexton_proof::file::{ChunkProof, openings_check, openings_head};
use sexton_proof::merkle::{leaf_hash, node_hash};
use sexton_proof::note::{Cosigner, Signer};
use sexton_proof::receipt::Receipt;
use sexton_proof::record::{FileKind, Header};
use sexton_proof::time::Timestamp;
use sexton_proof::visible::is_hidden;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Erases the line above, writes over it, reorders text and hides some: in C0, C1, bidirectional and zero-width
/// characters.
const HOSTILE: &str = "\x1b[1A\x1b[2Kkept:\r\x07\x7f\u{9b}2K\u{85}\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\t";

const CLASS: &str = "sexton/v0 class\nlogged 1700000000000\nclass upload-3h\nid 1\nversion 1\nkeep 1h\nwithin 15h\n\
                     zone UTC\nstart explicit\nmax_open 24h\nslot 60000\nlead 30000\ndisposition delete\n\
                     openings operator\nseal_within 1h\n";
const EVENT: &str = "sexton/v0 hold\nlogged 1700000000000\nid 1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d\ncommitment \
                     c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0\n";

fn batch(class: &str) -> String {
    let (hash, root) = (hex::encode(leaf_hash(class.as_bytes())), "70".repeat(32));
    format!(
        "sexton/v0 batch\nlogged 1700010000300\nbatch 1\nclass 1\nclass_leaf {hash}\npage 1700010000000 0 0 1 1 0\n\
         tombstones 1 {root}\nstarted 1700010000100\nfinished 1700010000200\ntool sexton/0.1.0\n"
    )
}

fn signer() -> Signer {
    Signer::generate("hostile.example/log", [1; 32]).unwrap()
}

fn witness() -> Cosigner {
    Cosigner::generate("witness.example/w", [2; 32]).unwrap()
}

fn policy() -> String {
    let (log, witness) = (signer().verifier(), witness().verifier());
    format!(
        "# ours\nlog {log} https://log.example\nwitness w {witness} https://w.example\ngroup g all w\nquorum none\n"
    )
}

/// Returns a receipt from a log of these two leaves, which the log signed. Its tombstone is in no file.
fn receipt(class: &str, batch: &str) -> String {
    let (first, second) = (leaf_hash(class.as_bytes()), leaf_hash(batch.as_bytes()));
    let root = node_hash(&first, &second);
    let text = Checkpoint { origin: "hostile.example/log".into(), size: 2, root }.to_text();
    let receipt = Receipt {
        batch_leaf: batch.into(),
        class_leaf: class.into(),
        class_index: 0,
        class_hashes: vec![second],
        proof: ChunkProof { record: 0, chunk: vec![0; 128], siblings: Vec::new() },
        result: None,
        opening: Opening {
            r: [7; 32],
            key: HOSTILE.into(),
            version: HOSTILE.into(),
            start: Timestamp::from_unix_ms(0),
            floor: None,
            ceiling: None,
            digest: Vec::new(),
            size: None,
        },
    };
    receipt.to_tlog_proof(1, &[first], &format!("{text}\n{}", signer().sign(&text)))
}

/// Returns the text with each of its lines, and each word of them, replaced by a hostile one, with and without a forged
/// line behind it.
fn variants(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let hostile = [HOSTILE.to_owned(), format!("{HOSTILE}\nkept: forged")];
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        for (word, hostile) in (0..words.len()).flat_map(|word| hostile.iter().map(move |h| (word, h))) {
            let mut words = words.clone();
            words[word] = hostile;
            let line = words.join(" ");
            let mut lines = lines.clone();
            lines[at] = &line;
            all.push(lines.join("\n") + "\n");
        }
    }
    all
}

/// Returns the text of a private file with this body, and with the check line that belongs to it.
fn checked(body: &str) -> String {
    let mut text = body.to_owned();
    checked_text::append_check(&mut text);
    text
}

/// Folder of hostile files. Their names are hostile, too.
struct Folder {
    folder: TempDir,
    files: usize,
}

impl Folder {
    fn new() -> Self {
        Folder { folder: tempfile::tempdir().unwrap(), files: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&mut self, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.files += 1;
        let name = format!("{:03}{HOSTILE}\nkept: forged{}", self.files, ".tlog-proof");
        write(&self.path(&name), bytes);
        self.path(&name)
    }

    /// Runs the command as text and as JSON. Neither output has a hidden character.
    fn run(words: &[&std::ffi::OsStr]) -> Ran {
        let json = sexton(words.iter().copied().chain(["--json".as_ref()]));
        assert_clean(&json);
        let text = sexton(words.iter().copied());
        assert_clean(&text);
        assert_eq!(text.code, json.code, "{text:?} {json:?}");
        text
    }

    fn inspect(path: &Path) -> Ran {
        Self::run(&["inspect".as_ref(), path.as_os_str()])
    }
}

/// Asserts that the output has lines and visible characters only, and no line of it is forged.
fn assert_clean(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(|c| is_hidden(c) && c != '\n'), "{ran:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("kept:")), "{ran:?}");
    }
}

#[test]
fn refused_receipts_of_any_content_print_visible_text() {
    let mut folder = Folder::new();
    let policy = folder.path("trust.policy");
    write(&policy, self::policy());
    let mut n = 0;
    for leaf in variants(&batch(CLASS)) {
        folder.put(receipt(CLASS, &leaf));
        n += 1;
    }
    for leaf in variants(CLASS) {
        folder.put(receipt(&leaf, &batch(&leaf)));
        n += 1;
    }
    for file in variants(&receipt(CLASS, &batch(CLASS))) {
        folder.put(file);
        n += 1;
    }
    // One vector for each error of a verifier.
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../proof/vectors/receipt.txt");
    for line in fs::read_to_string(vectors).unwrap().lines().filter(|line| line.starts_with("reject.")) {
        let (_, receipt) = line.split_once(' ').unwrap();
        folder.put(hex::decode(receipt.trim_start_matches('-')).unwrap());
        n += 1;
    }
    let paths =
        ["verify".as_ref(), folder.folder.path().as_os_str(), "--policy".as_ref(), policy.as_os_str()];
    let ran = Folder::run(&paths);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains(&format!("\n{n} receipts: {n} not valid\n")), "{ran:?}");
    assert!(
        ran.stdout
            .contains(r"`tool` line of the leaf: expected 1 to 64 of A-Z a-z 0-9 - . _ /, found \x1b[1A")
    );
}

#[test]
fn policies_and_arguments_of_any_content_print_visible_text() {
    let mut folder = Folder::new();
    let receipt = folder.put(receipt(CLASS, &batch(CLASS)));
    let verify = |policy: &Path| {
        Folder::run(&["verify".as_ref(), receipt.as_os_str(), "--policy".as_ref(), policy.as_os_str()])
    };
    for policy in variants(&policy()) {
        let policy = folder.put(policy);
        let ran = verify(&policy);
        assert!(ran.code == 2 && ran.stderr.contains("cannot be used: policy"), "{ran:?}");
        assert!([1, 2].contains(&Folder::inspect(&policy).code));
    }
    let bidi = policy().replace("g all w", "g\u{202e} all w").replace("witness w ", "witness w\u{200b} ");
    let bidi = folder.put(bidi.replace("all w\n", "all w\u{200b}\n").replace("none", "g\u{202e}"));
    assert_eq!(verify(&bidi).code, 1);
    assert!(Folder::inspect(&bidi).stdout.contains(r"g\u{202e}"));
    verify(&folder.path(HOSTILE)).assert_refused("cannot be read");
    let forged = format!("{HOSTILE}\nkept: forged");
    let within = ["verify", "x", "--policy", "x", "--witnessed-within"];
    for words in [
        &["verify", &forged][..],
        &[&forged],
        &["inspect", &forged],
        &["inspect", "x", &forged],
        &["inspect", &format!("--{forged}")],
        &["inspect", &format!("--json={forged}")],
        &[&within[..], &[&forged]].concat(),
    ] {
        let ran = sexton(words);
        assert_clean(&ran);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }
}

#[test]
fn inspected_files_of_any_content_print_visible_text() {
    let mut folder = Folder::new();
    let secret = "5e".repeat(32);
    let checkpoint = {
        let text = Checkpoint { origin: "hostile.example/log".into(), size: 1, root: [3; 32] }.to_text();
        format!("{text}\n{}{}", signer().sign(&text), witness().cosign(7, &text))
    };
    let log_key = format!("{}\n", signer().to_private());
    let plain = [CLASS, &batch(CLASS), EVENT, &checkpoint, &log_key];
    let head = Head { size: 7, root: [0x5e; 32] }.to_text();
    let head = head.split("check ").next().unwrap();
    let keyring = format!("sexton keyring v0\nkey 1 2026-08 {secret}\n");
    let feed_key = format!("sexton feed key v0\nkey {secret}\n");
    let private = [head, &keyring, &feed_key];
    for text in plain {
        assert_eq!(Folder::inspect(&folder.put(text)).code, 0, "{text:?}");
        for file in variants(text) {
            assert!([1, 2].contains(&Folder::inspect(&folder.put(&file)).code), "{file:?}");
        }
    }
    for body in private {
        assert_eq!(Folder::inspect(&folder.put(checked(body))).code, 0, "{body:?}");
        for file in variants(body) {
            let ran = Folder::inspect(&folder.put(checked(&file)));
            assert!([1, 2].contains(&ran.code), "{file:?}: {ran:?}");
            assert!(!ran.stdout.contains("5e5e"), "{ran:?}");
        }
    }
    for (class, batch) in [(HOSTILE, HOSTILE), (CLASS, HOSTILE), (CLASS, &batch(CLASS))] {
        let ran = Folder::inspect(&folder.put(receipt(class, batch)));
        assert_eq!(ran.code, i32::from(batch == HOSTILE), "{ran:?}");
    }
    let bundle = [&[0, 20], &b"sexton/v0 \x1b[2K\xc2\x9b\r\n\x07\x7f\x07"[..]].concat();
    assert_eq!(Folder::inspect(&folder.put(bundle)).code, 1);
    for kind in 0..=8 {
        let header = Header { kind: FileKind::Openings, batch: 1, n: 1 }.to_bytes();
        let mut file = [&header[..], HOSTILE.as_bytes()].concat();
        file[8] = kind;
        assert_eq!(Folder::inspect(&folder.put(file)).code, 1);
    }
}

/// A pipe with the name of a receipt or a policy would wait for a writer for ever.
#[test]
fn pipe_in_place_of_a_file_is_unreadable() {
    let mut folder = Folder::new();
    let pipe = folder.path("pipe.tlog-proof");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let policy = folder.path("trust.policy");
    write(&policy, self::policy());
    folder.put(receipt(CLASS, &batch(CLASS)));
    let all = folder.folder.path();
    let ran = Folder::run(&["verify".as_ref(), all.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("2 receipts: 1 not valid, 1 unreadable"), "{ran:?}");
    assert!(ran.stdout.contains("it is no regular file"), "{ran:?}");
    let policy = sexton(["verify".as_ref(), all.as_os_str(), "--policy".as_ref(), pipe.as_os_str()]);
    policy.assert_refused("it is no regular file");
    for path in [&pipe, Path::new("/dev/zero"), all] {
        assert_eq!(Folder::inspect(path).code, 2);
    }
}

/// Runs the command with an address space of 512 MB.
fn within_512_mb(words: &[&std::ffi::OsStr]) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 500000 && exec \"$0\" \"$@\""]).arg(command().get_program()).args(words);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = spawn(&mut shell).wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: ran.status.code().unwrap(), stdout: text(ran.stdout), stderr: text(ran.stderr) }
}

#[test]
fn huge_file_is_refused_before_it_is_read() {
    let folder = Folder::new();
    let path = folder.path("huge");
    let inspect = |begins: &[u8], length: u64| {
        write(&path, begins);
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        within_512_mb(&["inspect".as_ref(), path.as_os_str()])
    };
    let header = |kind, n| Header { kind, batch: 1, n }.to_bytes();
    for begins in
        [&b""[..], b"log ", b"c2sp.org/tlog-proof@v1\n", b"sexton keyring v0\n", b"sexton/v0 class\n"]
    {
        inspect(begins, 20 << 30).assert_refused("is longer than 20971520 bytes");
    }
    for kind in [FileKind::Tombstones, FileKind::Carries, FileKind::Results, FileKind::Openings] {
        let ran = inspect(&header(kind, 3), 20 << 30);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("the file has 21474836480 bytes, expected"), "{ran:?}");
        assert_eq!(inspect(&header(kind, 3), 900 << 20).code, 1);
    }
    inspect(&header(FileKind::Tombstones, (20 << 24) - 1), 20 << 30)
        .assert_refused("is longer than 1073741824");
}

/// With a square of the number of openings this would take an hour.
#[test]
fn million_openings_and_tombstones_are_shown_in_little_memory() {
    let folder = Folder::new();
    let path = folder.path("many");
    let n = 1_000_000;
    let before = [openings_head(1, std::iter::repeat_n(1, n)), vec![7; n]].concat();
    write(&path, [&before[..], &openings_check([&before[..]])].concat());
    let ran = within_512_mb(&["inspect".as_ref(), path.as_os_str()]);
    assert!(ran.code == 0 && ran.stdout.contains("sealed bytes    1000000"), "{ran:?}");

    let n = 200_000_u32;
    let mut file = Header { kind: FileKind::Results, batch: 1, n }.to_bytes().to_vec();
    for seq in 0..n {
        file.extend_from_slice(&[[0; 4], seq.to_be_bytes()].concat());
        file.extend_from_slice(&[9; 32]);
        file.extend_from_slice(&[0; 24]);
    }
    write(&path, file);
    for words in [&["inspect"][..], &["inspect", "--json"]] {
        let words: Vec<&std::ffi::OsStr> =
            words.iter().map(AsRef::as_ref).chain([path.as_os_str()]).collect();
        let ran = within_512_mb(&words);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.stdout.matches(&"09".repeat(32)).count(), 200_000);
    }
}

#[test]
fn verified_receipts_are_not_kept_in_memory() {
    let mut folder = Folder::new();
    let policy = folder.path("trust.policy");
    write(&policy, self::policy());
    let receipt = folder.put(receipt(CLASS, &batch(CLASS)));
    let mut words = vec!["verify".as_ref(), "--json".as_ref(), "--policy".as_ref(), policy.as_os_str()];
    words.extend(std::iter::repeat_n(receipt.as_os_str(), 10_000));
    let ran = within_512_mb(&words);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 10_001);
    for line in &lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(lines[10_000].contains("\"not_valid\":10000"), "{}", lines[10_000]);
}

/// A file name is what its owner chose. The program log on stderr quotes it, too.
#[test]
fn data_commands_on_a_hostile_key_print_visible_text() {
    let sandbox = Sandbox::new();
    let key = format!("{HOSTILE}\nkept: forged");
    sandbox.file(&key, 2 * HOUR_MS);
    fs::hard_link(sandbox.path("files").join(&key), sandbox.path("other-name")).unwrap();
    let hold = ["hold", "place", "DATA", "--name", "case 7\u{202e}", "--review", "2999-12-31", "--key", &key];
    for words in [
        &["reconcile", "DATA", "--dir", "FILES", "--class", "files"][..],
        &["plan", "DATA"],
        &["enforce", "DATA", "--dir", "FILES"],
        &["ended", "DATA", "--key", &key],
        &["feed", "read", "DATA"],
        &[&hold[..], &WHY].concat(),
        &["hold", "list", "DATA"],
        &["status", "DATA"],
    ] {
        for more in [&[][..], &["--json"]] {
            let ran = sandbox.run(&[words, more].concat());
            assert_clean(&ran);
        }
    }
    let shown = sandbox.run(&["ended", "DATA", "--key", &key]).stdout;
    assert!(shown.contains(r"\x1b[1A\x1b[2Kkept:\r\x07\x7f\u{9b}2K"), "{shown}");
}
