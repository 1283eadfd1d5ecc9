//! Runs the command, and a demonstration that all tests share.

use crate::schema;
use serde_json::Value;
use sexton::testing::Clock;
use sexton::{ClassSet, Engine, Options};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

/// Exit code and output of the command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON, {e}: {self:?}"))
    }

    /// Returns the JSON values of all lines.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON, {e}: {self:?}"));
        self.stdout.lines().map(line).collect()
    }

    /// Returns the only JSON value, or those of all lines.
    pub(crate) fn json_lines_or_one(&self) -> Vec<Value> {
        serde_json::from_str(&self.stdout).map_or_else(|_| self.json_lines(), |value| vec![value])
    }

    /// Asserts that the command failed, with these words in a single error message: text on stderr, or JSON on stdout.
    pub(crate) fn assert_refused(&self, words: &str) {
        assert_eq!(self.code, 2, "{self:?}");
        if !self.stdout.is_empty() {
            let Value::Object(object) = self.json() else { panic!("no object: {self:?}") };
            assert!(
                object["error"].as_str().is_some_and(|error| error.contains(words)),
                "{words:?}: {self:?}"
            );
            assert_eq!((object.len(), &object["exit_code"]), (2, &2.into()), "{self:?}");
            assert!(!self.stderr.contains("error: "), "{self:?}");
            return;
        }
        assert_eq!(self.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
    }
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sexton"))
}

/// Starts a process while no data folder is open in this one.
///
/// Until it executes its program, a new process shares the lock of every data folder that is open in this one. It
/// would keep such a lock for a moment after the folder is closed. [`open`] excludes that.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _none_open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

static OPEN: RwLock<()> = RwLock::new(());

/// Engine on a data folder, open in this process. While it is open, no process is started.
pub(crate) struct Opened {
    engine: Engine,
    _none_starts: RwLockWriteGuard<'static, ()>,
}

impl Deref for Opened {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

pub(crate) fn open(folder: &Path, options: &Options, clock: Arc<dyn Clock>) -> Opened {
    let none_starts = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    let options = options.clone().classes(ClassSet::empty());
    let engine = Engine::open_with_clock(folder, &options, clock).unwrap();
    Opened { engine, _none_starts: none_starts }
}

/// Runs the command to completion. Asserts that JSON on stdout fits the schema of the command.
pub(crate) fn sexton<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let arguments: Vec<OsString> = arguments.into_iter().map(|word| word.as_ref().to_owned()).collect();
    let mut command = command();
    command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = spawn(&mut command).wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: ran.status.code().unwrap(), stdout: text(ran.stdout), stderr: text(ran.stderr) };
    assert!(
        !ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'),
        "colours without a terminal: {ran:?}"
    );
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    if arguments.iter().any(|word| word == "--json") && !arguments.iter().any(|word| word == "--help") {
        let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // `verify` prints an object per line.
        for value in ran.json_lines_or_one() {
            let name = if value.get("error").is_some() { "error".into() } else { schema::name(&words) };
            schema::assert_fits(&name, &value);
        }
    }
    ran
}

/// Demonstration of 200 files, run once for all tests that only read it.
pub(crate) struct Demo {
    pub(crate) folder: PathBuf,
    pub(crate) ran: Ran,
}

impl Demo {
    pub(crate) fn shared() -> &'static Demo {
        static DEMO: OnceLock<Demo> = OnceLock::new();
        DEMO.get_or_init(|| {
            let folder = shared_folder("cli-demo-");
            let arguments = ["demo", "--files", "200", "--json", "--out"].map(OsStr::new);
            let ran = sexton(arguments.into_iter().chain([folder.as_os_str()]));
            Demo { folder, ran }
        })
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// Returns every file in a Sexton format: all but the index, the store and the lock.
    pub(crate) fn our_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut left = vec![self.folder.clone()];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let below = path.strip_prefix(&self.folder).unwrap();
                if ["data/index", "store", "data/lock"].iter().any(|other| below == Path::new(other)) {
                    continue;
                }
                if path.is_dir() { left.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

/// Returns a folder of this process, and removes the folders of ended processes. Statics are not dropped at exit.
pub(crate) fn shared_folder(prefix: &str) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(base).unwrap().filter_map(Result::ok) {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    base.join(format!("{prefix}{}", std::process::id()))
}

pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    use std::io::Write;
    fs::File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

/// Copies a folder with all its content.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
