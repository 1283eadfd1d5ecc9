//! A host that registers files and writes down what it asked for and what it was told, so that its next run, and
//! whoever audits it, know both.

use crate::NEW_YEAR_MS;
use sexton::RegistrationId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The classes of the host: small slots, two that find by key, one of them with a floor, and one that does not.
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

/// Where the engine, the files and the host's own notes lie under one folder.
pub struct Places {
    /// The engine's data folder.
    pub data: PathBuf,
    /// The root of the directory store.
    pub objects: PathBuf,
    /// Journals and clock.
    pub notes: PathBuf,
}

impl Places {
    /// The places under `folder`.
    pub fn under(folder: &Path) -> Self {
        Places { data: folder.join("data"), objects: folder.join("objects"), notes: folder.join("notes") }
    }
}

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The host is about to write this file and to register it.
    Try {
        /// The class.
        class: String,
        /// The key, the path of the file.
        key: String,
    },
    /// The engine said that it is registered.
    Ack {
        /// The class.
        class: String,
        /// The key.
        key: String,
        /// The registration.
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

/// A journal that is written to. A killed process loses nothing that was handed to the operating system.
pub struct Journal(File);

impl Journal {
    /// A new journal for one thread of a run. Journals sort by run.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(notes: &Path, run: u32, thread: usize) -> io::Result<Self> {
        let path = notes.join(format!("journal-{run:04}-{thread}"));
        OpenOptions::new().create_new(true).append(true).open(path).map(Journal)
    }

    /// Appends lines, in one write.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn append(&mut self, lines: impl IntoIterator<Item = Line>) -> io::Result<()> {
        let text = |line| match line {
            Line::Try { class, key } => format!("try {class} {key}\n"),
            Line::Ack { class, key, id } => format!("ack {class} {key} {id}\n"),
        };
        self.0.write_all(lines.into_iter().map(text).collect::<String>().as_bytes())
    }
}

/// All lines of all journals, run by run. What stands behind the last line feed was cut off by a kill.
///
/// # Errors
/// Where they cannot be read or say something else.
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

/// The clock's last value on disk: written before each step, so that no run begins earlier than another has been.
pub struct Notebook(File);

impl Notebook {
    /// Opens it, and gives the value.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn open(notes: &Path) -> io::Result<(Self, i64)> {
        let path = notes.join("clock");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let now_ms = fs::read_to_string(&path)?.trim().parse().unwrap_or(NEW_YEAR_MS);
        Ok((Notebook(file), now_ms))
    }

    /// Writes a value.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, now_ms: i64) -> io::Result<()> {
        self.0.write_all_at(format!("{now_ms:020}\n").as_bytes(), 0)
    }
}

/// Pseudo-random numbers from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n.max(1)
    }
}
