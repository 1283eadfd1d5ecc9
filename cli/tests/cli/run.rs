//! Running the command, and a demonstration that all tests share.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What the command did.
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

    /// Asserts that it failed to do its work, and said why in one sentence with these words.
    pub(crate) fn assert_refused(&self, words: &str) {
        assert_eq!(self.code, 2, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
    }
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sexton"))
}

/// Runs the command to its end.
pub(crate) fn sexton<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let ran = command().args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: ran.status.code().unwrap(), stdout: text(ran.stdout), stderr: text(ran.stderr) };
    assert!(
        !ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'),
        "colours without a terminal: {ran:?}"
    );
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    ran
}

/// A demonstration of 200 files, run once for all tests that only look at it.
pub(crate) struct Demo {
    pub(crate) folder: PathBuf,
    pub(crate) ran: Ran,
}

impl Demo {
    pub(crate) fn shared() -> &'static Demo {
        static DEMO: OnceLock<Demo> = OnceLock::new();
        DEMO.get_or_init(|| {
            let folder = shared_folder();
            let arguments = ["demo", "--files", "200", "--json", "--out"].map(OsStr::new);
            let ran = sexton(arguments.into_iter().chain([folder.as_os_str()]));
            Demo { folder, ran }
        })
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// Every file of it that is in one of our formats: all but the index, the store and the lock.
    pub(crate) fn our_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut left = vec![self.folder.clone()];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let below = path.strip_prefix(&self.folder).unwrap();
                if ["index", "store", "lock"].iter().any(|other| below == Path::new(other)) {
                    continue;
                }
                if path.is_dir() { left.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

/// A folder of this process. Nothing runs at the end of a static's life, so what earlier processes left is removed here.
fn shared_folder() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(base).unwrap().filter_map(Result::ok) {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix("cli-demo-"));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    base.join(format!("cli-demo-{}", std::process::id()))
}

pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    use std::io::Write;
    fs::File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

/// A copy of a folder and everything in it.
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
