//! Each verb on a closed folder and through the socket of a service: both have the same output and the same exit code.

use crate::run::{Ran, copy_folder, sexton};
use crate::sandbox::{HOUR_MS, Sandbox, WHY, instant, now_ms};
use sexton::decision::AT_ONCE;
use sexton::store::{Answer, Store, SubBatch};
use sexton::{Attribution, ClassSet, Durability, Engine, Erasure, Options, Registration, Selector};
use sexton_proof::time::Timestamp;
use sexton_service::http::Server;
use sexton_service::{ServeOptions, Serving, ownership};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Store whose objects are all there and can be deleted.
struct Willing;

impl Store for Willing {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

/// Two copies of a data folder: one is closed, and a service has the other open.
///
/// No test opens the served folder again: a process that starts shares the locks of this one for a moment.
struct Both {
    closed: tempfile::TempDir,
    served: tempfile::TempDir,
    _serving: Serving,
}

impl Both {
    fn of(sandbox: &Sandbox) -> Both {
        let copy = || {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(&sandbox.path("data"), &folder.path().join("data"));
            for name in ["classes.toml", "keys", "holidays"] {
                fs::copy(sandbox.path(name), folder.path().join(name)).unwrap();
            }
            folder
        };
        let (closed, served) = (copy(), copy());
        let data = served.path().join("data");
        let socket = served.path().join("control.sock");
        ownership::claim(&data, &socket).unwrap();
        let options = Options::default().classes(ClassSet::empty());
        let engine = Arc::new(Engine::open(&data, &options).unwrap());
        let sockets = ServeOptions::default().control(&socket, 0o600);
        let serving = Serving::start(Server::new(engine), &data, &sockets).unwrap();
        Both { closed, served, _serving: serving }
    }

    fn run_in(folder: &tempfile::TempDir, words: &[&str]) -> Ran {
        sexton(words.iter().map(|word| match *word {
            "DATA" => folder.path().join("data").into_os_string(),
            word => match word.strip_prefix('@') {
                Some(name) => folder.path().join(name).into_os_string(),
                None => OsString::from(word),
            },
        }))
    }

    /// Runs a command both ways as text and as JSON, and compares. Returns the JSON of the closed folder.
    ///
    /// A command that changes something is done by its JSON run; its text is compared in a dry run before.
    fn compare(&self, words: &[&str], changes: Changes) -> String {
        match changes {
            Changes::Nothing => {
                self.same(words);
                self.same(&[words, &["--json"]].concat())
            }
            Changes::Something => {
                self.same(&[words, &["--dry-run"]].concat());
                self.same(&[words, &["--dry-run", "--json"]].concat());
                self.same(&[words, &["--json"]].concat())
            }
        }
    }

    fn same(&self, words: &[&str]) -> String {
        let [closed, served] = [&self.closed, &self.served].map(|folder| Both::run_in(folder, words));
        let masked =
            |ran: &Ran, folder: &tempfile::TempDir| mask(&ran.stdout, &folder.path().to_string_lossy());
        assert_eq!(masked(&closed, &self.closed), masked(&served, &self.served), "{words:?}");
        assert_eq!(closed.code, served.code, "{words:?}: {closed:?}, {served:?}");
        let errors = |ran: &Ran, folder: &tempfile::TempDir| {
            let lines = ran.stderr.lines().filter(|line| line.starts_with("error: "));
            lines.map(|line| mask(line, &folder.path().to_string_lossy())).collect::<Vec<_>>()
        };
        assert_eq!(errors(&closed, &self.closed), errors(&served, &self.served), "{words:?}");
        closed.stdout
    }

    fn files(&self, name: &str) -> [Vec<(PathBuf, Vec<u8>)>; 2] {
        [&self.closed, &self.served].map(|folder| {
            let entries = fs::read_dir(folder.path().join(name)).unwrap();
            let mut files: Vec<_> = entries
                .map(|entry| entry.unwrap().path())
                .map(|path| (PathBuf::from(path.file_name().unwrap()), fs::read(&path).unwrap()))
                .collect();
            files.sort();
            files
        })
    }
}

#[derive(Clone, Copy)]
enum Changes {
    Nothing,
    Something,
}

/// Replaces what differs between two runs: the folder, the present time, random ids, and the user of the peer.
fn mask(text: &str, folder: &str) -> String {
    let text = text.replace(folder, "FOLDER");
    let mut out = String::new();
    for line in text.lines() {
        let field = line.trim_start().split(':').next().unwrap_or_default();
        if field.ends_with("_ms\"") || ["\"uid\"", "\"id\""].contains(&field) {
            out += field;
        } else {
            let words = line.split(' ').map(|word| match word.trim_end_matches([',', ';', ':', ')']) {
                bare if bare.len() == 24 && bare.ends_with('Z') => "INSTANT",
                bare if bare.len() == 32 && bare.chars().all(|c| c.is_ascii_hexdigit()) => "RANDOM",
                _ => word,
            });
            out += &words.collect::<Vec<_>>().join(" ");
        }
        out.push('\n');
    }
    out
}

/// Returns a sandbox with live, ended, held and erased objects, of which some are in the feed.
fn lived_in() -> Sandbox {
    let sandbox = Sandbox::without_root();
    let engine = sandbox.engine();
    let now = engine.now();
    let ago = |ms: i64| Timestamp::from_unix_ms(now.unix_ms() - ms);
    let ended = ["e/1", "e/2", "e/3"];
    let all: Vec<Registration<'_>> = ended
        .iter()
        .map(|key| Registration::new("files", key.as_bytes()).start(ago(HOUR_MS)).version(b"v"))
        .collect();
    engine.register(&all, Durability::Synced).unwrap();
    engine.register(&[Registration::new("slow", b"x/1")], Durability::Synced).unwrap();
    let erased = Selector::keys([b"x/1".to_vec()]);
    let mut erasure = Erasure::new(erased, now, Attribution::new("Ada Lovelace", "asked"));
    erasure.within = Some(AT_ONCE);
    engine.erase(erasure).unwrap();
    engine.enforce(&Willing).unwrap();
    let live = [
        Registration::new("slow", b"s/1").subject(b"anna"),
        Registration::new("slow", b"s/2").subject(b"bert"),
        Registration::new("slow", b"s/3"),
        Registration::new("files", b"f/1"),
    ];
    engine.register(&live, Durability::Synced).unwrap();
    drop(engine);
    sandbox.hold("case 1", &["--key", "s/3"]);
    sandbox.put("keys", "s/1\ns/3\nnone\n");
    sandbox.put("holidays", "2026-12-25\n+2026-12-27\n");
    sandbox
}

#[test]
fn reading_verbs_agree_both_ways() {
    let both = Both::of(&lived_in());
    let verbs: [&[&str]; 19] = [
        &["status", "DATA"],
        &["class", "list", "DATA"],
        &["hold", "list", "DATA", "--all"],
        &["alarm", "list", "DATA"],
        &["limits", "DATA"],
        &["plan", "DATA"],
        &["plan", "DATA", "--until", "+1y", "--limit", "2"],
        &["plan", "DATA", "--until", "+1y", "--summary"],
        &["plan", "DATA", "--until", "2999-12-31T00:00:00Z"],
        &["request", "list", "DATA"],
        &["request", "list", "DATA", "--erasures"],
        &["request", "list", "DATA", "--objects", "9"],
        &["policy", "DATA"],
        &["feed", "read", "DATA"],
        &["feed", "read", "DATA", "--after", "1", "--max", "1"],
        &["ended", "DATA", "--key", "e/1", "--key", "s/1", "--key", "none"],
        &["ended", "DATA", "--key", "ff00", "--hex"],
        &["ended", "DATA", "--key", "zz", "--hex"],
        &["check", "DATA"],
    ];
    for words in verbs {
        both.compare(words, Changes::Nothing);
    }
}

#[test]
fn mutating_verbs_agree_both_ways() {
    let both = Both::of(&lived_in());
    let at = instant(now_ms() - 1_000);
    let decided = |words: &[&'static str]| [words, &WHY].concat();
    let place = decided(&[
        "hold",
        "place",
        "DATA",
        "--name",
        "case 7",
        "--subject",
        "anna",
        "--review",
        "2999-12-31",
    ]);
    let limits = decided(&["limits", "DATA", "--breaker-objects", "7"]);
    let verbs: Vec<Vec<&str>> = vec![
        place.clone(),
        // The name is taken.
        place,
        decided(&["hold", "lift", "DATA", "case 7"]),
        decided(&["hold", "lift", "DATA", "none"]),
        vec!["class", "set", "DATA", "@classes.toml"],
        decided(&["class", "set", "DATA", "@classes.toml"]),
        decided(&["class", "apply", "DATA", "slow"]),
        decided(&["class", "apply", "DATA", "none"]),
        vec!["object", "start", "DATA", "--key", "f/1", "--at", &at],
        vec!["object", "start", "DATA", "--key", "none", "--at", &at],
        vec!["object", "reschedule", "DATA", "--key", "s/2", "--class", "short", "--start", &at],
        vec!["object", "release", "DATA", "--key", "s/1"],
        vec!["object", "release", "DATA", "--key", "s/3"],
        vec!["feed", "ack", "DATA", "2"],
        vec!["feed", "ack", "DATA", "99"],
        limits,
        decided(&["limits", "DATA", "--reset"]),
        decided(&["alarm", "resume", "DATA"]),
        decided(&["alarm", "resume", "DATA", "--all"]),
        decided(&["erase", "request", "DATA", "--subject", "anna", "--within", "30d"]),
        decided(&["erase", "request", "DATA", "--subject", "none"]),
        decided(&["erase", "request", "DATA", "--keys", "@keys", "--cancellable", "15d"]),
        decided(&["erase", "request", "DATA", "--key", "s/2", "--within", "15wd", "--holidays", "@holidays"]),
        decided(&["erase", "request", "DATA", "--key", "s/3", "--immediate"]),
        vec!["erase", "cancel", "DATA", "9"],
        vec!["erase", "cancel", "DATA", "5"],
        vec!["erase", "cancel", "DATA", "6"],
        vec!["erase", "forget", "DATA", "5"],
        vec!["erase", "forget", "DATA", "6"],
        decided(&["class", "close", "DATA", "short"]),
        decided(&["class", "close", "DATA", "--everything"]),
    ];
    for words in &verbs {
        both.compare(words, Changes::Something);
    }
    // Afterwards both folders have the same content.
    for words in
        [&["plan", "DATA", "--until", "+1y"][..], &["request", "list", "DATA"], &["hold", "list", "DATA"]]
    {
        both.compare(words, Changes::Nothing);
    }
}

#[test]
fn receipts_agree_both_ways_and_are_verified() {
    let both = Both::of(&lived_in());
    both.same(&["receipt", "DATA", "e/1", "none", "s/1", "--out", "@by-key", "--json"]);
    both.same(&["receipt", "DATA", "--since", "-7d", "--out", "@since", "--json"]);
    both.same(&["erase", "receipts", "DATA", "1", "--out", "@erased", "--json"]);
    both.same(&["erase", "receipts", "DATA", "9", "--out", "@erased"]);
    for folder in ["by-key", "since", "erased"] {
        let [closed, served] = both.files(folder);
        let names =
            |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&closed), names(&served));
        assert!(closed.len() > 1, "{closed:?}");
    }
    for folder in [&both.closed, &both.served] {
        for out in ["since", "erased"].map(|out| folder.path().join(out)) {
            let policy = out.join("trust.policy");
            let [policy, out] = [&policy, &out].map(|path| path.to_str().unwrap());
            let ran = sexton(["verify", out, "--policy", policy]);
            assert_eq!(ran.code, 0, "{ran:?}");
        }
    }
}

#[test]
fn copies_made_both_ways_have_the_same_content() {
    let both = Both::of(&lived_in());
    for folder in [&both.closed, &both.served] {
        let made = Both::run_in(folder, &["backup", "DATA", "@copy", "--json"]);
        assert_eq!(made.code, 0, "{made:?}");
        assert_eq!(made.json()["folder"], folder.path().join("copy").to_str().unwrap());
    }
    for words in [
        &["plan", "@copy", "--until", "+1y"][..],
        &["hold", "list", "@copy"],
        &["class", "list", "@copy"],
        &["ended", "@copy", "--key", "e/1", "--key", "s/1"],
        &["check", "@copy", "--json"],
        &["status", "@copy"],
    ] {
        both.same(words);
    }
    both.same(&["backup", "DATA", "@copy"]);
    both.same(&["backup", "DATA", "@none/copy", "--json"]);
}

#[test]
fn decision_through_the_socket_has_the_user_of_the_command() {
    use std::os::unix::fs::MetadataExt;
    let both = Both::of(&lived_in());
    let words = ["hold", "place", "DATA", "--name", "case 7", "--subject", "anna", "--review", "2999-12-31"];
    let words = [&words[..], &WHY, &["--json"]].concat();
    let uid = both.served.path().metadata().unwrap().uid();
    assert_eq!(Both::run_in(&both.served, &words).json()["uid"], uid);
    assert_eq!(Both::run_in(&both.closed, &words).json()["uid"], serde_json::Value::Null);
}

#[test]
fn decision_that_is_too_long_for_the_socket_is_refused_before_it_is_sent() {
    let sandbox = lived_in();
    let keys: Vec<String> = (0..100_000).map(|number| format!("{number:080}")).collect();
    sandbox.put("keys", keys.join("\n"));
    let both = Both::of(&sandbox);
    let words = [&["erase", "request", "DATA", "--keys", "@keys"], &WHY[..]].concat();
    Both::run_in(&both.served, &words)
        .assert_refused("name fewer keys, or stop the service and add --offline");
    assert_eq!(Both::run_in(&both.closed, &words).code, 0);
    assert_eq!(Both::run_in(&both.served, &["request", "list", "DATA", "--objects", "2"]).code, 2);
}
