//! Tests of sources on real folders. Run them with `TMPDIR=/dev/shm` too, for another file system.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of these tests need not outlive a crash of the machine"
)]

mod deleting;
mod enabling;
mod finding;
mod measure;
mod settling;

use super::*;
use sexton::report::Action;
use sexton::{ClassSet, Options, Timestamp};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const CLASSES: &str = r#"
[class.quick]
within = "2s"
start = "explicit"
slot = "1s"
lead = "1s"
max_open = "24h"

[class.slow]
within = "73h"
start = "explicit"
max_open = "24h"

[class.log]
within = "73h"
start = "registered"
"#;

/// Data folder, folder of directories, and sources at work.
struct Sandbox {
    base: tempfile::TempDir,
    engine: Option<Arc<Engine>>,
    sources: Option<Arc<Sources>>,
}

/// Waits until a condition holds. The bound is generous, because machines can be slow.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: this did not happen in a minute");
}

fn of(directories: &[Directory]) -> SourceSettings {
    SourceSettings::default().directories(directories.to_vec())
}

fn decision() -> Attribution {
    Attribution::new("anna", "a test")
}

impl Sandbox {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("files")).unwrap();
        let mut sandbox = Sandbox { base, engine: None, sources: None };
        sandbox.open();
        sandbox
    }

    fn open(&mut self) {
        let options = Options::new("example.com/sources").classes(ClassSet::from_toml(CLASSES).unwrap());
        self.engine = Some(Arc::new(Engine::open(&self.path("data"), &options).unwrap()));
    }

    fn path(&self, below: &str) -> PathBuf {
        self.base.path().join(below)
    }

    fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    fn sources(&self) -> &Arc<Sources> {
        self.sources.as_ref().unwrap()
    }

    /// Settings of the source `up` on the folder `files`.
    fn up(&self) -> Directory {
        Directory::new("up", self.path("files"), "slow")
    }

    fn start_with(&mut self, directories: &[Directory], options: SourcesOptions) {
        let sources = Sources::start(self.engine(), &self.path("data"), &of(directories), options).unwrap();
        self.sources = Some(Arc::new(sources));
    }

    /// Starts sources and enables them.
    fn start(&mut self, directories: &[Directory]) {
        self.start_with(directories, SourcesOptions::default());
        for directory in directories {
            self.enable(&directory.name);
        }
    }

    fn enable(&self, name: &str) -> Enabling {
        let enabling = self.sources().enable(name, OtherRoot::Refuse, &decision(), false).unwrap();
        self.until_state(name, SourceState::Watching);
        enabling
    }

    fn report(&self, name: &str) -> SourceReport {
        self.sources().list().into_iter().find(|report| report.name == name).unwrap()
    }

    fn until_state(&self, name: &str, state: SourceState) {
        until(&format!("{name} is {state:?}"), || {
            let report = self.report(name);
            report.state == state && !report.scanning
        });
    }

    /// Waits for the end of a full scan that begins now.
    fn rescan(&self, name: &str) {
        let before = self.report(name).last_scan_ms;
        std::thread::sleep(Duration::from_millis(2));
        self.sources().rescan(name).unwrap();
        until("a full scan", || {
            let report = self.report(name);
            report.last_scan_ms > before && !report.scanning
        });
    }

    fn put(&self, below: &str, content: &str) {
        let path = self.path("files").join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn live(&self, key: &str) -> bool {
        self.engine().live(key.as_bytes()).unwrap().is_some()
    }

    fn until_live(&self, key: &str) {
        until(&format!("{key} is registered"), || self.live(key));
    }

    /// Returns the keys of all objects that are to be deleted at some time.
    fn keys(&self) -> Vec<String> {
        let planned = self.engine().plan(Timestamp::MAX).unwrap().map(Result::unwrap);
        let mut keys: Vec<String> = planned
            .filter(|object| object.action == Action::Delete)
            .map(|object| String::from_utf8(object.key).unwrap())
            .collect();
        keys.sort();
        keys
    }

    /// Deletes what is due.
    fn enforce(&self) {
        self.engine().enforce(&**self.sources()).unwrap();
    }

    /// Ends the sources and the engine as a kill does: without any farewell.
    fn reopen(&mut self) {
        self.sources = None;
        self.engine = None;
        self.open();
    }
}
