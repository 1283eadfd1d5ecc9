//! `sexton demo`: the whole way on real files, on a clock that is wound forward.

mod cores;
mod enforce;
mod names;
mod receipts;
mod report;
mod spread;
mod stopwatch;
mod tree;

use crate::args::DemoArgs;
use crate::output::{self, Failure, Output};
use crate::show;
use sexton::store::dir::DirStore;
use sexton::{Clock, Engine, Entropy, FastForwardClock, Options, OsEntropy, SystemClock};
use spread::Planned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stopwatch::Stopwatch;

const AS_PROMISED: u8 = 0;
const NOT_AS_PROMISED: u8 = 1;

/// Where everything lies.
struct Places {
    root: PathBuf,
    store: PathBuf,
    log: PathBuf,
    tombstones: PathBuf,
    receipts: PathBuf,
    policy: PathBuf,
    /// The receipt with one byte changed.
    changed: PathBuf,
}

impl Places {
    fn below(root: &Path) -> Self {
        Places {
            root: root.to_owned(),
            store: root.join("store"),
            log: root.join("log"),
            tombstones: root.join("tombstones"),
            receipts: root.join("receipts"),
            policy: root.join("trust.policy"),
            changed: root.join("changed.tlog-proof"),
        }
    }
}

pub(crate) fn run(args: &DemoArgs, output: &mut Output) -> Result<u8, Failure> {
    output::warnings_to_stderr();
    let wanted = args.files as usize;
    let mut watch = Stopwatch::start();
    make_folder(&args.out)?;
    let places = Places::below(&args.out);
    let tree = tree::choose(args.source.as_deref(), wanted, &args.out)?;
    output::talk(format_args!("source: {}", tree.description(wanted)));
    let copied = tree::copy(&tree, &places.store, wanted)?;
    watch.lap("copy");

    let now_ms = SystemClock.now_ms();
    let clock = Arc::new(FastForwardClock::new(now_ms));
    let engine = open(&places, &clock)?;
    let store = DirStore::open(&places.store).map_err(|e| Failure::new(e.to_string()))?;
    let planned = spread::plan(copied, &store, engine.now_ms())?;
    watch.lap("open");
    let registered = spread::register(&engine, planned)?;
    watch.lap("register");

    let enforced = enforce::all(&engine, &store, &clock, registered.len())?;
    watch.lap("enforce");
    receipts::issue(&engine, &registered, &places)?;
    watch.lap("receipts");
    let verified = receipts::verify(&registered, &places)?;
    watch.lap("verify");
    let refused = receipts::change_one_byte(&registered, &places)?;
    let bar = output::spinner("checking everything");
    let check = engine.check()?;
    bar.finish_and_clear();
    watch.lap("check");
    let names = names::search(&registered, &[&places.log, &places.tombstones])?;
    let left = tree::count_files(&places.store)?;
    watch.lap("search");

    let classes = report::classes(&registered, &verified, &engine.status()?);
    let report = report::Report {
        source: &tree.root,
        files: registered.len(),
        left,
        classes,
        enforced,
        verified: &verified,
        refused,
        check,
        names,
        watch,
        places: &places,
    };
    if args.json {
        output.json(&report.json());
    } else {
        report.text(output);
    }
    Ok(if report.is_as_promised() { AS_PROMISED } else { NOT_AS_PROMISED })
}

/// The data folder must be new or empty: nothing of anybody's is ever overwritten or deleted.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| Failure::new(format!("cannot use the folder {}: {e}", folder.display()));
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(format!(
            "the folder {} is not empty; name another with --out, or remove it first",
            folder.display()
        ))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => std::fs::create_dir_all(folder).map_err(cannot),
        Err(e) => Err(cannot(e)),
    }
}

/// A new engine; its log has a name of its own, so that the evidence of two demonstrations is never mixed up.
fn open(places: &Places, clock: &Arc<FastForwardClock>) -> Result<Engine, Failure> {
    let [a, b, c, d, ..] = OsEntropy.secret()?;
    let origin = format!("demo.sexton.example/{}", hex::encode([a, b, c, d]));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Ok(Engine::open_with_clock(&places.root, &Options::new(origin), clock)?)
}

/// A file as the engine knows it.
struct Registered {
    planned: Planned,
    id: sexton::RegistrationId,
}

impl Registered {
    /// `receipts/<class>/<slot>/<registration id>.tlog-proof`: those of one batch lie together.
    fn receipt_path(&self, places: &Places) -> PathBuf {
        let slot =
            show::instant(i64::try_from(self.id.page.slot).unwrap_or(i64::MAX)).replace([':', '-'], "");
        let folder = places.receipts.join(self.planned.class).join(slot);
        folder.join(format!("{}.tlog-proof", self.id))
    }
}
