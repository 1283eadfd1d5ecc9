//! `verify`, and what every command has in common.

use crate::classes::assert_fits;
use crate::run::{Ran, command, sexton, spawn, write};
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::fault::Faults;
use sexton::testing::files::memory::MemoryFiles;
use sexton::testing::kv::memory::MemoryKv;
use sexton::testing::{Clock, Pool, Seams, SeededEntropy, SystemClock, VirtualClock};
use sexton::{Durability, Engine, Opener, Options, Registration};
use sexton_proof::note::{Cosigner, Note};
use sexton_proof::time::Timestamp;
use sexton_proof::tlog_proof::TlogProof;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const NEW_YEAR: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const HOUR: Duration = Duration::from_hours(1);
/// Age at which an upload is due: its ceiling of three hours, less slot and lead.
pub(crate) const DUE: Duration = Duration::from_secs(3 * 3_600 - 30);

/// Store that gives every object the same answer.
pub(crate) struct Always(pub(crate) Answer);

impl Store for Always {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        vec![self.0.clone(); part.objects.len()]
    }
}

/// Folder with receipts and trust policies of a small engine in memory.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) files: MemoryFiles,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(VirtualClock::new(NEW_YEAR));
        let files = MemoryFiles::new(Faults::none());
        let seams = Seams {
            kv: Arc::new(MemoryKv::new(Faults::none())),
            files: Arc::new(files.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            pool: Arc::new(Pool::none()),
        };
        let options = Options::new("sexton.test/cli");
        let engine = Engine::open_with_seams(seams, &options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let bench = Bench { folder: tempfile::tempdir().unwrap(), engine, clock, files };
        bench.put("trust.policy", bench.engine.policy());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        write(&self.path(name), bytes);
        self.path(name)
    }

    /// Writes the receipt of an upload that is enforced `after` its start, with this answer of the store.
    fn receipt(&self, name: &str, answer: Answer, after: Duration) -> PathBuf {
        let upload = Registration::new("upload-3h", name.as_bytes()).version(b"1").start(self.engine.now());
        let id = self.engine.register(&[upload], Durability::Synced).unwrap()[0].id;
        self.clock.advance(after);
        self.engine.enforce(&Always(answer)).unwrap();
        self.put(name, self.engine.receipt(id, Opener::Key(name.as_bytes())).unwrap())
    }

    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.receipt(name, Answer::Deleted, DUE)
    }

    /// Writes a copy of the receipt with a cosignature of this instant under its checkpoint.
    fn cosigned(&self, name: &str, receipt: &Path, witness: &Cosigner, at: Timestamp) -> PathBuf {
        let mut proof = TlogProof::parse(&fs::read(receipt).unwrap()).unwrap();
        let text = Note::parse(&proof.checkpoint).unwrap().text().to_owned();
        proof.checkpoint += &witness.cosign(at.unix_ms().unsigned_abs() / 1_000, &text);
        self.put(name, proof.to_text())
    }

    fn verify(&self, receipts: &[&Path], policy: &Path, more: &[&str]) -> Ran {
        let mut words = vec!["verify".into()];
        words.extend(receipts.iter().map(|path| path.as_os_str().to_owned()));
        words.extend(["--policy".into(), policy.as_os_str().to_owned()]);
        words.extend(more.iter().map(Into::into));
        sexton(words)
    }

    fn code(&self, receipts: &[&Path]) -> i32 {
        self.verify(receipts, &self.path("trust.policy"), &[]).code
    }
}

#[test]
fn kept_promise_is_0_and_output_states_what_is_unproven() {
    let bench = Bench::new();
    let receipt = bench.kept("cat.jpg.tlog-proof");
    let ran = bench.verify(&[&receipt], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("kept:"), "{ran:?}");
    assert!(ran.stdout.contains("2026-01-01T02:59:30.000Z"), "{ran:?}");
    for statement in sexton_proof::receipt::DOES_NOT_PROVE {
        assert!(ran.stdout.contains(statement), "{statement:?} is not in {ran:?}");
    }
    let lines = bench.verify(&[&receipt, &receipt], &bench.path("trust.policy"), &["--json"]).json_lines();
    let [first, second, summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(first, second);
    assert_eq!((&first["receipt"], &first["code"]), (&receipt.to_str().unwrap().into(), &0.into()));
    assert_eq!(first["result"], "kept");
    assert_eq!(first["verdict"]["key"], "cat.jpg.tlog-proof");
    assert_eq!(first["verdict"]["time_ms"], NEW_YEAR.saturating_add(DUE).unix_ms());
    assert_eq!(first["verdict"]["floor_ms"], serde_json::Value::Null);
    assert_eq!((&summary["code"], &summary["counts"]["kept"]), (&0.into(), &2.into()));
    assert_eq!((&summary["quorum"], summary.get("receipt")), (&serde_json::Value::Null, None));
}

#[test]
fn changed_byte_is_1_and_names_the_failed_check() {
    let bench = Bench::new();
    let good = fs::read(bench.kept("good")).unwrap();
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let bad = bench.put("bad", bad);
        let lines = bench.verify(&[&bad], &bench.path("trust.policy"), &["--json"]).json_lines();
        assert_eq!(lines[1]["code"], 1, "byte {at}: {lines:?}");
        assert_eq!(lines[0]["result"], "not-valid");
        assert!(!lines[0]["why"].as_str().unwrap().is_empty());
    }
    let other = Bench::new().engine.policy().replace("sexton.test/cli", "sexton.test/clj");
    let other = bench.put("other.policy", other);
    // Another name needs another key id, so this policy is malformed, not one of another log.
    bench.verify(&[&bench.path("good")], &other, &[]).assert_refused("cannot be used: policy line 1");
}

#[test]
fn receipt_of_unknown_log_is_1() {
    let bench = Bench::new();
    let receipt = bench.kept("cat");
    let key = sexton_proof::note::Signer::generate("other.example/log", [9; 32]).unwrap().verifier();
    let policy = bench.put("else.policy", format!("log {key}\nquorum none\n"));
    let ran = bench.verify(&[&receipt], &policy, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("check 1, the checkpoint under the policy"), "{ran:?}");
}

#[test]
fn unreadable_receipt_is_2_and_others_are_judged() {
    let bench = Bench::new();
    let good = bench.kept("good");
    let missing = bench.path("missing");
    let ran = bench.verify(&[&missing, &good], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stdout.contains("unreadable:") && ran.stdout.contains("kept:"), "{ran:?}");
    fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(bench.code(&[&bench.path("empty")]), 2);
    bench.verify(&[&good], &missing, &[]).assert_refused("the trust policy");
    let cut = bench.put("cut.policy", "quorum none");
    bench.verify(&[&good], &cut, &[]).assert_refused("cannot be used: policy does not end with a line feed");
}

#[test]
fn late_deletion_is_3() {
    let bench = Bench::new();
    let late = bench.receipt("late", Answer::Deleted, 3 * HOUR + Duration::from_secs(5));
    let ran = bench.verify(&[&late], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stdout.contains("deleted 5.0 s after its ceiling"), "{ran:?}");
    assert!(!ran.stdout.contains("does not prove"), "nothing is proven here: {ran:?}");
}

#[test]
fn receipt_without_required_witnesses_is_4() {
    let bench = Bench::new();
    let receipt = bench.kept("cat");
    let deleted = bench.engine.now();
    let witness = Cosigner::generate("witness.example/w", [3; 32]).unwrap();
    let policy =
        bench.engine.policy().replace("quorum none", &format!("witness w {}\nquorum w", witness.verifier()));
    let policy = bench.put("witnessed.policy", policy);

    let unwitnessed = bench.verify(&[&receipt], &policy, &[]);
    assert_eq!(unwitnessed.code, 4, "{unwitnessed:?}");
    assert!(unwitnessed.stdout.contains("no witness of this policy cosigned"), "{unwitnessed:?}");

    let soon = bench.cosigned("soon", &receipt, &witness, deleted.saturating_add(Duration::from_mins(1)));
    assert_eq!(bench.verify(&[&soon], &policy, &[]).code, 0);
    assert_eq!(bench.verify(&[&soon], &policy, &["--witnessed-within", "1m"]).code, 0);
    let stale = bench.verify(&[&soon], &policy, &["--witnessed-within", "59s"]);
    assert_eq!(stale.code, 4, "{stale:?}");
    assert!(
        stale
            .stdout
            .contains("is not met within 59s: cosigned by \"w\" at 2026-01-01T03:00:30.000Z (too late"),
        "{stale:?}"
    );

    // Forged and unwitnessed is forged.
    let mut forged = fs::read(&receipt).unwrap();
    forged[200] ^= 1;
    assert_eq!(bench.verify(&[&bench.put("forged", forged)], &policy, &[]).code, 1);
}

/// The command counts exactly the dates that the library counts.
#[test]
fn cosignature_from_before_the_deletion_or_the_future_is_4() {
    let bench = Bench::new();
    let receipt = bench.kept("cat");
    let (deleted, now) = (bench.engine.now(), SystemClock.now());
    let witness = Cosigner::generate("witness.example/w", [3; 32]).unwrap();
    let policy =
        bench.engine.policy().replace("quorum none", &format!("witness w {}\nquorum w", witness.verifier()));
    let policy = bench.put("witnessed.policy", policy);
    let verify = |date: Timestamp, more: &[&str]| {
        bench.verify(&[&bench.cosigned("cosigned", &receipt, &witness, date)], &policy, more)
    };
    let (second, year) = (Duration::from_secs(1), Duration::from_hours(365 * 24));
    let slack = Duration::from_secs(300);
    for (date, why, name) in [
        (
            deleted.saturating_sub(year),
            "(before the deletion at 2026-01-01T02:59:30.000Z)",
            "before-deletion",
        ),
        (deleted.saturating_sub(slack + second), "(before the deletion at", "before-deletion"),
        (now.saturating_add(slack + HOUR), "(after the verifier's time, ", "in-future"),
        (now.saturating_add(year), "(after the verifier's time, ", "in-future"),
    ] {
        for more in [&[][..], &["--witnessed-within", "999999d"]] {
            let ran = verify(date, more);
            assert_eq!(ran.code, 4, "{date}: {ran:?}");
            assert!(ran.stdout.starts_with("unwitnessed:") && ran.stdout.contains(why), "{ran:?}");
            assert!(ran.stdout.contains("what it claims:") && !ran.stdout.contains("kept:"), "{ran:?}");
        }
        let lines = verify(date, &["--json"]).json_lines();
        assert_eq!(lines[0]["verdict"]["cosignatures"][0]["date"], name, "{lines:?}");
    }
    for date in [deleted.saturating_sub(slack), deleted, now, now.saturating_add(slack)] {
        assert_eq!(verify(date, &[]).code, 0, "{date}");
    }
}

/// A key is any bytes. What it shows of a valid receipt is visible text, and the JSON has the key as it is.
#[test]
fn kept_receipt_of_a_hostile_key_prints_visible_text() {
    let bench = Bench::new();
    let key = "a\x1b[2K\r\n\u{9b}1A\u{202e}\u{200b}\\n";
    let upload = Registration::new("upload-3h", key.as_bytes()).start(bench.engine.now());
    let id = bench.engine.register(&[upload], Durability::Synced).unwrap()[0].id;
    bench.clock.advance(DUE);
    bench.engine.enforce(&Always(Answer::Deleted)).unwrap();
    let receipt = bench.put("receipt", bench.engine.receipt(id, Opener::Key(key.as_bytes())).unwrap());
    let shown = r"a\x1b[2K\r\n\u{9b}1A\u{202e}\u{200b}\\n";
    let ran = bench.verify(&[&receipt], &bench.path("trust.policy"), &[]);
    assert!(ran.code == 0 && ran.stdout.contains(&format!("object    {shown}\n")), "{ran:?}");
    let lines = bench.verify(&[&receipt], &bench.path("trust.policy"), &["--json"]).json_lines();
    assert_eq!(lines[0]["verdict"]["key"], shown);
    assert_eq!(lines[0]["verdict"]["key_hex"], hex::encode(key));
}

#[test]
fn witnessed_within_needs_quorum_and_exact_span() {
    let bench = Bench::new();
    let receipt = bench.kept("cat");
    let bound = |policy: &Path, span: &str| bench.verify(&[&receipt], policy, &["--witnessed-within", span]);
    bound(&bench.path("trust.policy"), "1h")
        .assert_refused("--witnessed-within 1h: a limit on cosignatures needs a policy with a quorum");
    let witness = Cosigner::generate("witness.example/w", [3; 32]).unwrap();
    let policy =
        bench.engine.policy().replace("quorum none", &format!("witness w {}\nquorum w", witness.verifier()));
    let policy = bench.put("witnessed.policy", policy);
    bound(&policy, "6mo").assert_refused("is a calendar span");
    bound(&policy, "soon").assert_refused("a span is a number");
}

#[test]
fn receipt_of_absent_object_is_5() {
    let bench = Bench::new();
    let absent = bench.receipt("absent", Answer::Absent, DUE);
    let ran = bench.verify(&[&absent], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.contains("it ended as absent"), "{ran:?}");
}

#[test]
fn receipt_of_requested_object_is_5_and_late_one_is_3() {
    let bench = Bench::new();
    let requested = bench.receipt("requested", Answer::Requested, DUE);
    let ran = bench.verify(&[&requested], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.contains("not shown deleted: "), "{ran:?}");
    assert!(ran.stdout.contains("the server was asked to delete the object and did not refuse"), "{ran:?}");
    let late = bench.receipt("late", Answer::Requested, 4 * HOUR);
    let ran = bench.verify(&[&late], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stdout.contains("asked for 1 h"), "{ran:?}");
}

#[test]
fn worst_of_several_receipts_decides_also_in_a_folder() {
    let bench = Bench::new();
    let kept = bench.kept("kept");
    let absent = bench.receipt("absent", Answer::Absent, DUE);
    let late = bench.receipt("late", Answer::Deleted, 4 * HOUR);
    let forged = bench.put("forged", b"c2sp.org/tlog-proof@v1\n");
    let missing = bench.path("missing");
    assert_eq!(bench.code(&[&kept, &absent]), 5);
    assert_eq!(bench.code(&[&kept, &absent, &late]), 3);
    assert_eq!(bench.code(&[&kept, &absent, &late, &missing]), 2);
    assert_eq!(bench.code(&[&kept, &absent, &late, &missing, &forged]), 1);

    fs::create_dir_all(bench.path("all/below")).unwrap();
    for n in 0..12 {
        fs::copy(&kept, bench.path(&format!("all/below/{n}.tlog-proof"))).unwrap();
    }
    fs::copy(&late, bench.path("all/late.tlog-proof")).unwrap();
    fs::copy(&forged, bench.path("all/notes.txt")).unwrap();
    let ran = bench.verify(&[&bench.path("all")], &bench.path("trust.policy"), &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stdout.contains("13 receipts: 1 early or late, 12 authentic, promise kept"), "{ran:?}");
    assert!(
        ran.stdout.contains("late.tlog-proof") && !ran.stdout.contains("below"),
        "only the bad one: {ran:?}"
    );
}

#[test]
fn wrong_usage_is_2() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["bury"],
        &["verify"],
        &["verify", "receipt"],
        &["verify", "--policy", "trust.policy"],
        &["inspect"],
        &["demo", "--files", "many"],
        &["demo", "--files", "0"],
    ];
    for words in wrong {
        let ran = sexton(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }
}

#[test]
fn help_has_example_and_exit_codes() {
    for name in ["demo", "verify", "inspect", "check"] {
        let help = sexton([name, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains(&format!("Example:\n  sexton {name} ")), "{help:?}");
        assert!(help.stdout.contains("Exit codes:\n  0  "), "{help:?}");
        assert_fits(&help.stdout);
    }
    let version = sexton(["--version"]);
    assert_eq!((version.code, version.stdout), (0, format!("sexton {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn closed_pipe_changes_no_verdict() {
    let bench = Bench::new();
    let late = bench.receipt("late", Answer::Deleted, 4 * HOUR);
    let policy = bench.path("trust.policy");
    // The output is larger than the buffer of a pipe.
    let receipts = vec![&late; 500];
    let mut command = command();
    command
        .args(["verify", "--json", "--policy"])
        .arg(&policy)
        .args(receipts)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "");
}
