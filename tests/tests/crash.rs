//! SIGKILL at any moment, and restart, on real RocksDB and real files with threads that register and enforce. Every
//! acknowledged registration ends exactly once, no number is given twice, and no other file is touched.

mod audit;

use audit::{Ends, Log};
use sexton::{Engine, ErrorKind, Opener, Options, RegistrationId};
use sexton_proof::note::Verifier;
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_tests::ORIGIN;
use sexton_tests::host::{Line, Places, Rng, read_journals};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Kills at random instants.
const KILLS: u32 = 50;
/// First kills, which hit a folder that has hardly been created.
const YOUNG_KILLS: u32 = 8;
/// Points with one kill each, which do not depend on the speed of the machine.
const POINTS: [&str; 20] = [
    "before-intent",
    "after-intent",
    "before-delete",
    "half-delete",
    "after-delete",
    "before-tombstones",
    "among-tombstones",
    "after-tombstones",
    "before-commit",
    "after-commit",
    "before-head",
    "after-head",
    "after-tile",
    "before-checkpoint",
    "after-checkpoint",
    "after-rows",
    "before-run",
    "after-run",
    "before-sync",
    "after-reclaim",
];
/// Points at which the intent is durable and some files of the batch are missing. The next run must hand the batch out
/// again.
const LEAVES_AN_INTENT: [&str; 6] =
    ["after-intent", "before-delete", "half-delete", "after-delete", "before-tombstones", "among-tombstones"];
/// Points at which the files are durable and the commit is not. The next run must commit on opening.
const LEAVES_FILES: [&str; 2] = ["after-tombstones", "before-commit"];
/// Longest wait for a line. Even a slow machine takes less, unless there is a defect.
const PATIENCE: Duration = Duration::from_secs(60);

/// Effects of the kills, counted from outside the process.
#[derive(Debug, Default)]
struct Hits {
    kills: u32,
    /// Restarts that handed an unfinished batch out again.
    intents: u32,
    /// Restarts whose opening made the log longer than the published one.
    grown_on_opening: u32,
    /// Kills that left tombstones of unpublished batches.
    unpublished: u32,
    /// Kills that left files in the quarantine.
    quarantined: u32,
    /// Kills before the engine was open.
    while_opening: u32,
}

/// Running child process. It ends when its standard input closes, so it never outlives the test.
struct Run {
    child: Child,
    lines: Receiver<String>,
    errors: PathBuf,
}

impl Run {
    fn start(folder: &Path, run: u32, mode: &[&str]) -> Self {
        let errors = folder.join("errors");
        let mut child = Command::new(env!("CARGO_BIN_EXE_crash_child"))
            .arg(folder)
            .args([run.to_string(), (u64::from(run) * 1_000).to_string()])
            .args(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)))
            .unwrap();
        Run { child, lines, errors }
    }

    /// Returns the next line, or `None` if the child has ended.
    fn line(&self, wanted: &str) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("a minute without {wanted:?}: {}", self.complaint())
            }
        }
    }

    /// Reads up to a line that begins with `wanted`.
    fn wait_for(&self, wanted: &str, seen: &mut Vec<String>) {
        loop {
            let line = self.line(wanted).unwrap_or_else(|| panic!("no {wanted:?}: {}", self.complaint()));
            seen.push(line);
            if seen.last().is_some_and(|line| line.starts_with(wanted)) {
                return;
            }
        }
    }

    fn complaint(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    /// Kills the child and adds its unread lines to `seen`. Panics if the child had ended by itself.
    fn kill(mut self, seen: &mut Vec<String>) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the child ended by itself: {}", self.complaint());
        seen.extend(self.lines.iter());
    }
}

/// Observer of all runs: the folder, the checkpoints after each kill, and the effects of the kills.
struct Witness {
    folder: PathBuf,
    places: Places,
    rng: Rng,
    runs: u32,
    key: Option<Verifier>,
    /// Size and root of each checkpoint seen.
    seen: Vec<(usize, [u8; 32])>,
    hits: Hits,
}

impl Witness {
    fn new(folder: &Path) -> Self {
        let places = Places::under(folder);
        for place in [&places.objects, &places.notes] {
            fs::create_dir_all(place).unwrap();
        }
        let (folder, rng) = (folder.to_owned(), Rng::new(2026));
        Witness { folder, places, rng, runs: 0, key: None, seen: Vec::new(), hits: Hits::default() }
    }

    /// Starts a run and kills it. `expects` is the point of the last kill, if it was at a point.
    fn run_and_kill(&mut self, mode: &[&str], expects: Option<&str>) {
        self.runs += 1;
        let run = Run::start(&self.folder, self.runs, mode);
        let mut lines = Vec::new();
        let young = self.hits.kills < YOUNG_KILLS;
        if young || mode == ["crash"] && expects.is_none() && self.rng.below(4) == 0 {
            thread::sleep(Duration::from_millis(self.rng.below(if young { 60 } else { 120 })));
        } else {
            run.wait_for("open", &mut lines);
            if expects.is_some_and(|point| LEAVES_AN_INTENT.contains(&point)) {
                run.wait_for("again", &mut lines);
            }
            if let ["stall", _] = mode {
                run.wait_for("stalled", &mut lines);
            } else {
                thread::sleep(Duration::from_millis(self.rng.below(300)));
            }
        }
        run.kill(&mut lines);
        self.hits.kills += 1;
        self.note(&lines, expects);
    }

    fn note(&mut self, lines: &[String], expects: Option<&str>) {
        let published_before = self.seen.last().map_or(0, |(size, _)| *size);
        let opened = lines.iter().find_map(|line| line.strip_prefix("open "));
        if let Some((size, key)) = opened.and_then(|words| words.split_once(' ')) {
            self.key = Some(Verifier::parse(key).unwrap());
            let grown = size.parse::<usize>().unwrap() > published_before;
            self.hits.grown_on_opening += u32::from(grown && published_before > 0);
            let must = expects.is_some_and(|point| LEAVES_FILES.contains(&point));
            assert!(grown || !must, "killed {expects:?}, and the next opening committed nothing");
        } else {
            self.hits.while_opening += 1;
        }
        self.hits.intents += u32::from(lines.iter().any(|line| line == "again"));
        let log = self.published();
        if let Some(log) = &log {
            self.seen.push((log.entries.len(), log.roots[log.entries.len()]));
        }
        let unpublished = audit::unpublished_batches(&self.places.data, log.as_ref());
        self.hits.unpublished += u32::from(unpublished > 0);
        self.hits.quarantined += u32::from(self.quarantined() > 0);
    }

    /// Returns the published log, once a run has reported its key.
    fn published(&self) -> Option<Log> {
        audit::log(&self.places.data, self.key.as_ref()?)
    }

    /// Returns the number of files in the bays of the quarantine, without their manifests.
    fn quarantined(&self) -> usize {
        let bays = fs::read_dir(self.places.objects.join(".sexton-quarantine"));
        let bays = bays.into_iter().flatten().map(|bay| bay.unwrap().path()).filter(|bay| bay.is_dir());
        let files = bays.flat_map(|bay| fs::read_dir(bay).unwrap().map(|file| file.unwrap().file_name()));
        files.filter(|name| name != "manifest" && !name.to_string_lossy().starts_with('.')).count()
    }

    fn finish(&mut self) {
        self.runs += 1;
        let mut run = Run::start(&self.folder, self.runs, &["finish"]);
        run.wait_for("finished", &mut Vec::new());
        // Kept open, because the child ends when it closes and may still be closing the engine.
        let _stdin = run.child.stdin.take();
        assert!(run.child.wait().unwrap().success(), "{}", run.complaint());
    }
}

/// Knowledge of the host: its acknowledged registrations and its calls without an answer.
#[derive(Default)]
struct Book {
    /// Class and key of each registration that was acknowledged.
    acknowledged: BTreeMap<RegistrationId, (String, String)>,
    /// Class of the last call for each key, if it got no answer.
    keys: BTreeMap<String, Option<String>>,
    tries: usize,
    /// Calls without an answer in the class that does not find by key.
    unanswered_free: usize,
}

impl Book {
    fn read(places: &Places) -> Self {
        let mut book = Book::default();
        for line in read_journals(&places.notes).unwrap() {
            match line {
                Line::Try { class, key } => {
                    book.tries += 1;
                    book.unanswered_free += usize::from(class == "free");
                    book.keys.insert(key, Some(class));
                }
                Line::Ack { class, key, id } => {
                    book.unanswered_free -= usize::from(class == "free");
                    book.keys.insert(key.clone(), None);
                    let told = (class, key);
                    let before = book.acknowledged.insert(id, told.clone());
                    // An equal answer is a safe retry. One id for two objects would be a seq given twice.
                    assert!(before.is_none_or(|before| before == told), "{id} was given to two objects");
                }
            }
        }
        book
    }

    /// Returns the most registrations that a class may have beyond the acknowledged ones. They are calls killed before
    /// their answer was noted. If the class finds by key, a retry found them, so only keys whose file had gone count.
    fn unanswered(&self, class: &str) -> usize {
        match class {
            "free" => self.unanswered_free,
            _ => self.keys.values().filter(|last| last.as_deref() == Some(class)).count(),
        }
    }
}

fn bystanders(places: &Places) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> =
        (0..40).map(|n| places.objects.join(format!("{}/bystander-{n}", n % 5))).collect();
    for path in &paths {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap();
    }
    paths
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with(".sexton-quarantine") {
            files_under(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn killed_engine_ends_every_file_with_one_tombstone() {
    let folder = tempfile::tempdir().unwrap();
    let mut witness = Witness::new(folder.path());
    let mut bystanders = bystanders(&witness.places);
    let mut points = POINTS.iter();
    let mut expects = None;
    for kill in 0..KILLS {
        witness.run_and_kill(&["crash"], expects.take());
        if kill >= YOUNG_KILLS
            && let Some(point) = points.next()
        {
            witness.run_and_kill(&["stall", point], None);
            expects = Some(point);
        }
    }
    assert_eq!(points.next(), None);
    witness.finish();

    let places = &witness.places;
    let log = witness.published().unwrap();
    for (size, root) in &witness.seen {
        assert_eq!(log.roots.get(*size), Some(root), "the checkpoint of size {size} is no prefix of the log");
    }
    let ends = Ends::of(&places.data, &log);
    ends.check_completeness();
    let book = Book::read(places);
    for (id, (class, key)) in &book.acknowledged {
        assert_eq!(&ends.classes[&id.page.class], class, "{key}");
        assert!(ends.end(*id).is_some(), "{id} of {key} was acknowledged and has no tombstone");
    }
    for (class, tombstones) in ends.by_class() {
        let acknowledged = book.acknowledged.values().filter(|(name, _)| name == class).count();
        let (more, most) = (tombstones - acknowledged, book.unanswered(class));
        println!("{class}: {tombstones} tombstones, {acknowledged} acknowledged, {most} without an answer");
        assert!(more <= most, "{class}: {more} tombstones too many, {most} calls got no answer");
        // Each of those files existed and was deleted by the engine. A class that does not find by key has two
        // registrations of a file if the answer to the first one was lost.
        assert!(
            class == "free" || !ends.by_method().contains_key(&(class, "absent")),
            "{:?}",
            ends.by_method()
        );
    }
    assert_eq!(witness.quarantined(), 0);
    let mut left = Vec::new();
    files_under(&places.objects, &mut left);
    left.sort();
    bystanders.sort();
    assert_eq!(left, bystanders, "files were left, or unregistered files were deleted");
    check_with_the_engine(places, &ends, &book, &log);
    let hits = &witness.hits;
    println!(
        "{} kills in {} runs: {:?}\n{} entries, {} batches, {} checkpoints seen; {} keys, {} tries, {} acknowledged \
         registrations; {} tombstones, {} carries, {:?}",
        hits.kills,
        witness.runs,
        hits,
        log.entries.len(),
        ends.batches.len(),
        witness.seen.len(),
        book.keys.len(),
        book.tries,
        book.acknowledged.len(),
        ends.tombstones.len(),
        ends.carries.len(),
        ends.by_method(),
    );
    assert!(hits.kills >= KILLS && hits.intents >= 6 && hits.grown_on_opening >= 2, "{hits:?}");
    assert!(hits.unpublished > 0 && hits.quarantined + hits.while_opening > 0, "{hits:?}");
    assert!(book.acknowledged.len() > 500 && ends.carries.len() > 10);
}

/// Checks the engine's own view: the full check, its counts, and receipts that open with the acknowledged keys.
fn check_with_the_engine(places: &Places, ends: &Ends, book: &Book, log: &Log) {
    let options = Options::new(ORIGIN).classes(sexton::ClassSet::empty());
    let engine = Engine::open(&places.data, &options).unwrap();
    assert_eq!(Engine::open(&places.data, &options).err().map(|e| e.kind()), Some(ErrorKind::Busy));
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    let status = engine.status().unwrap();
    assert_eq!(status.log_size, log.entries.len() as u64);
    let ended: u64 = status.classes.values().map(|class| class.ended.ended()).sum();
    let early: u64 = status.classes.values().map(|class| class.ended.early).sum();
    assert_eq!((ended, early), (ends.tombstones.len() as u64, 0));
    assert!(status.classes.values().all(|class| class.live == 0));
    let policy = Policy::parse(engine.policy()).unwrap();
    for (id, (class, key)) in book.acknowledged.iter().step_by(23) {
        let mut last = *id;
        while let Some(next) = ends.carries.get(&last) {
            last = *next;
        }
        let text = engine.receipt(last, Opener::Key(key.as_bytes())).unwrap();
        let verdict = receipt::verify(text.as_bytes(), &policy, engine.now()).unwrap();
        assert_eq!((&verdict.class_name, &verdict.key[..]), (class, key.as_bytes()));
    }
}
