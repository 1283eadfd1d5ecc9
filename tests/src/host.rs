//! Host that registers files and keeps a journal of its calls and their answers. Its next run and the audit read the
//! journal.

use crate::NEW_YEAR;
use sexton::RegistrationId;
use sexton_proof::time::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Classes of the host, with small slots. Two find by key, one of them with a floor. The third does not find by key.
pub const CLASSES: &str = r#"
[class.quick]
within = "30s"
slot = "1s"
lead = "1s"

[class.kept]
keep = "10s"
within = "30s"
slot = "1s"
lead = "1s"

[class.free]
within = "20s"
slot = "1s"
lead = "1s"
find = "none"
"#;

/// Folders of the engine, of the files and of the host's own notes.
pub struct Places {
    /// Data folder of the engine.
    pub data: PathBuf,
    /// Root of the directory store.
    pub objects: PathBuf,
    /// Folder of the journals and of the saved clock.
    pub notes: PathBuf,
}

impl Places {
    /// Returns the three folders under `folder`.
    pub fn under(folder: &Path) -> Self {
        Places { data: folder.join("data"), objects: folder.join("objects"), notes: folder.join("notes") }
    }
}

/// Line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Written before the host writes a file and registers it.
    Try {
        /// Class of the registration.
        class: String,
        /// Key, which is the path of the file.
        key: String,
    },
    /// Written after the engine acknowledged the registration.
    Ack {
        /// Class of the registration.
        class: String,
        /// Key of the object.
        key: String,
        /// Registration id that the engine returned.
        id: RegistrationId,
    },
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, class, key) = (words.next()?, words.next()?.to_owned(), words.next()?.to_owned());
        match kind {
            "try" => Some(Line::Try { class, key }),
            "ack" => Some(Line::Ack { class, key, id: words.next()?.parse().ok()? }),
            _ => None,
        }
    }
}

/// Journal that is open for writing. A killed process loses nothing that it handed to the operating system.
pub struct Journal(File);

impl Journal {
    /// Creates the journal of one thread of a run. Its file name sorts by run.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(notes: &Path, run: u32, thread: usize) -> io::Result<Self> {
        let path = notes.join(format!("journal-{run:04}-{thread}"));
        OpenOptions::new().create_new(true).append(true).open(path).map(Journal)
    }

    /// Appends lines in one write.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn append(&mut self, lines: impl IntoIterator<Item = Line>) -> io::Result<()> {
        let text = |line| match line {
            Line::Try { class, key } => format!("try {class} {key}\n"),
            Line::Ack { class, key, id } => format!("ack {class} {key} {id}\n"),
        };
        self.0.write_all(lines.into_iter().map(text).collect::<String>().as_bytes())
    }
}

/// Reads the lines of all journals, run by run. It skips text after the last line feed, which a kill cut off.
///
/// # Errors
/// If a journal cannot be read or has a malformed line.
pub fn read_journals(notes: &Path) -> io::Result<Vec<Line>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(notes)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal-")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut lines = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            lines.push(Line::parse(line).ok_or_else(|| io::Error::other(format!("malformed: {line}")))?);
        }
    }
    Ok(lines)
}

/// Last value of the clock, on disk. It is written before each step, so no run begins earlier than another one ended.
pub struct SavedClock(File);

impl SavedClock {
    /// Opens the file and returns its value, or the beginning of 2026 if it is new.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(notes: &Path) -> io::Result<(Self, Timestamp)> {
        let path = notes.join("clock");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let saved = fs::read_to_string(&path)?.trim().parse();
        let now = saved.map_or(NEW_YEAR, Timestamp::from_unix_ms);
        Ok((SavedClock(file), now))
    }

    /// Writes a value.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, now: Timestamp) -> io::Result<()> {
        self.0.write_all_at(format!("{:020}\n", now.unix_ms()).as_bytes(), 0)
    }
}

/// Pseudo-random number generator with a seed (splitmix64).
pub struct Rng(u64);

impl Rng {
    /// Creates the generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64() % n.max(1)
    }
}
