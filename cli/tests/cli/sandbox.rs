//! Data folder and folder of objects for one test.

use crate::run::{Opened, Ran, copy_folder, open, sexton, shared_folder, write};
use serde_json::Value;
use sexton::store::dir::{DirStore, Identity, Root};
use sexton::testing::{Clock, SystemClock};
use sexton::{Durability, Options, RegisterOptions, Registration};
use sexton_proof::leaf::StartRule;
use sexton_proof::time::Timestamp;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const HOUR_MS: i64 = 3_600 * SECOND_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Classes of the sandbox. `files` are kept for a second, `slow` ones go within 100 days, `short` ones within an hour.
pub(crate) const CLASSES: &str = r#"
[class.files]
keep = "1s"
within = "1d"
start = "explicit"
max_open = "1h"
feed = true
remember = "90d"

[class.slow]
within = "100d"
start = "registered"

[class.short]
within = "1h"
start = "explicit"

[class.tickets]
keep = "1s"
within = "1d"
start = "explicit"
openings = "ticket"

[class.unfound]
within = "1d"
start = "explicit"
find = "none"

[class.versions]
within = "1d"
find = "version"
"#;

/// Reason and author, which every decision needs.
pub(crate) const WHY: [&str; 4] = ["--reason", "because", "--author", "Ada"];

pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Creates a sandbox with [`CLASSES`], the folder of objects as its root, and no objects.
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::without_root();
        sandbox.accept_root();
        sandbox
    }

    /// Creates a sandbox with [`CLASSES`], no root and no objects. It is a copy of a data folder that is created once.
    pub(crate) fn without_root() -> Self {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let folder = shared_folder("cli-sandbox-");
            fs::create_dir(&folder).unwrap();
            let (data, classes) = (folder.join("data"), folder.join("classes.toml"));
            write(&classes, CLASSES);
            let [data, classes] = [&data, &classes].map(|path| path.to_str().unwrap());
            for words in
                [&["init", data, "--origin", "sexton.test/sandbox"], &["class", "set", data, classes][..]]
            {
                assert_eq!(sexton(words).code, 0);
            }
            folder
        });
        let sandbox = Sandbox { folder: tempfile::tempdir().unwrap() };
        copy_folder(made, sandbox.folder.path());
        fs::create_dir(sandbox.path("files")).unwrap();
        sandbox
    }

    /// Accepts the folder of objects as a root.
    pub(crate) fn accept_root(&self) {
        let files = self.path("files");
        let root = DirStore::open(&files).unwrap().id();
        self.engine().accept_root(root, &files).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        write(&self.path(name), content);
    }

    /// Writes a file into the folder of objects, last modified this long ago, and creates its folders.
    pub(crate) fn file(&self, key: &str, age_ms: i64) {
        let path = self.path("files").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, key);
        let at = UNIX_EPOCH + Duration::from_millis((now_ms() - age_ms).unsigned_abs());
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.path("files").join(key).exists()
    }

    /// Writes and registers files of the class, last modified this long ago.
    pub(crate) fn registered(&self, class: &str, age_ms: i64, keys: &[&str]) {
        for key in keys {
            self.file(key, age_ms);
        }
        let root = Root::open(&self.path("files")).unwrap();
        let engine = self.engine();
        let definitions = engine.classes();
        let (definition, _) = definitions.iter().find(|(definition, _)| definition.name == class).unwrap();
        // Their birth is now, so the command would not believe that they are older.
        let start = |modified| (definition.start == StartRule::Explicit).then_some(modified);
        for key in keys {
            let file = root.identify(key.as_bytes(), Identity::Exact).unwrap().unwrap();
            let registration =
                Registration::new(class, key.as_bytes()).version(&file.version).size(file.size);
            let options = RegisterOptions::new().only_missing();
            engine.register(&[registration.start(start(file.modified))], options).unwrap();
        }
    }

    /// Opens the engine as a library. No command can open it meanwhile.
    pub(crate) fn engine(&self) -> Opened {
        self.engine_with(&Options::default(), Arc::new(SystemClock))
    }

    /// Opens the engine as a library, with these options and this clock.
    pub(crate) fn engine_with(&self, options: &Options, clock: Arc<dyn Clock>) -> Opened {
        open(&self.path("data"), options, clock)
    }

    /// Registers an object without a file.
    pub(crate) fn register(&self, registration: Registration<'_>) {
        self.engine().register(&[registration], Durability::Synced).unwrap();
    }

    /// Runs the command. `DATA` and `FILES` stand for the two folders, `@name` for a file beside them.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        sexton(words.iter().map(|word| match *word {
            "DATA" => self.path("data").into_os_string(),
            "FILES" => self.path("files").into_os_string(),
            word => match word.strip_prefix('@') {
                Some(name) => self.path(name).into_os_string(),
                None => word.into(),
            },
        }))
    }

    /// Runs the command, which must exit with 0.
    pub(crate) fn ok(&self, words: &[&str]) -> Ran {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran
    }

    /// Runs the command with `--json`, which must exit with 0.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.ok(&[words, &["--json"]].concat()).json()
    }

    /// Runs the command with `--dry-run`, as text and as JSON. Both must exit with 0 and change nothing.
    pub(crate) fn dry(&self, words: &[&str]) -> (Ran, Value) {
        let before = self.everything();
        let text = self.ok(&[words, &["--dry-run"]].concat());
        let json = self.json(&[words, &["--dry-run"]].concat());
        assert_eq!(json["dry_run"], true, "{words:?}: {json}");
        assert_eq!(self.everything(), before, "{words:?} changed something");
        (text, json)
    }

    /// Asserts that the command is refused with these words, with and without `--dry-run`, and changes nothing.
    pub(crate) fn refused(&self, words: &[&str], why: &str) {
        let before = self.everything();
        self.run(words).assert_refused(why);
        self.run(&[words, &["--dry-run"]].concat()).assert_refused(why);
        assert_eq!(self.everything(), before, "{words:?} changed something");
    }

    /// Returns all decisions, registrations and results, and the names in the folder of objects.
    pub(crate) fn everything(&self) -> Vec<String> {
        let engine = self.engine();
        let mut status = engine.status().unwrap();
        for class in status.classes.values_mut() {
            // These depend on the time alone.
            (class.due, class.overdue, class.oldest_due, class.oldest_overdue) = (0, 0, None, None);
        }
        let plan =
            engine.plan(now().saturating_add(Duration::from_hours(366 * 24))).unwrap().map(Result::unwrap);
        // The instant of an object that waits for a request depends on the present time.
        let objects: Vec<_> = plan.map(|o| (o.id, o.key, o.action, o.reason, o.floor, o.ceiling)).collect();
        vec![
            format!("{:?} {:?} {} {:?}", status.state, status.alarms, status.log_size, status.classes),
            format!("{:?}", engine.classes()),
            format!("{:?}", engine.holds()),
            format!("{:?}", engine.requests().unwrap()),
            format!("{objects:?}"),
            format!("{:?}", engine.feed(0, 1_000).unwrap()),
            format!("{:?}", names(&self.path("files"))),
        ]
    }

    /// Places a hold with this selector.
    pub(crate) fn hold(&self, name: &str, on: &[&str]) {
        let words = ["hold", "place", "DATA", "--name", name, "--review", "2999-12-31"];
        self.ok(&[&words[..], on, &WHY].concat());
    }
}

/// Returns the names in a folder, with hidden ones, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Returns the present time as JSON states it.
pub(crate) fn now_ms() -> i64 {
    now().unix_ms()
}

/// Returns an instant as text for the command line.
pub(crate) fn instant(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}
