//! `sexton demo`: registration, deletion and proof of real files, on an accelerated clock.

mod class_report;
mod enforce;
mod names;
mod receipts;
mod report;
mod spread;
mod stopwatch;
mod tree;

use crate::data::{spinner, warnings_to_stderr};
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use sexton::store::dir::DirStore;
use sexton::testing::{Clock, Entropy, FastForwardClock, OsEntropy, SystemClock};
use sexton::{Engine, Options};
use spread::Planned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stopwatch::Stopwatch;

const AS_PROMISED: u8 = 0;
const NOT_AS_PROMISED: u8 = 1;

/// Arguments of `sexton demo`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton demo --files 2000 --out /tmp/graveyard

Exit codes:
  0  every file deleted, none early, none late, every receipt valid, the
     changed one refused, all of it sound
  1  one of these is not so
  2  wrong usage, or the demonstration could not be run")]
pub(crate) struct DemoArgs {
    /// Number of files; all files if the source has fewer
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    files: u32,
    /// Folder for everything, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "sexton-demo")]
    out: PathBuf,
    /// Tree to copy [default: /usr/share, or the Rust toolchain if that has more]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Print one JSON object on stdout instead of tables
    #[arg(long)]
    json: bool,
}

/// Paths of the demonstration.
struct Locations {
    /// Data folder, beside the store: neither may be inside the other.
    data: PathBuf,
    store: PathBuf,
    log: PathBuf,
    tombstones: PathBuf,
    receipts: PathBuf,
    policy: PathBuf,
    /// Receipt with one changed byte.
    changed: PathBuf,
}

impl Locations {
    fn below(out: &Path) -> Self {
        let data = out.join("data");
        Locations {
            store: out.join("store"),
            log: data.join("log"),
            tombstones: data.join("tombstones"),
            data,
            receipts: out.join("receipts"),
            policy: out.join("trust.policy"),
            changed: out.join("changed.tlog-proof"),
        }
    }
}

pub(crate) fn run(args: &DemoArgs, output: &mut Output) -> Result<u8, Failure> {
    warnings_to_stderr();
    let wanted = args.files as usize;
    let mut watch = Stopwatch::start();
    make_folder(&args.out)?;
    let locations = Locations::below(&args.out);
    let tree = tree::choose(args.source.as_deref(), wanted, &args.out)?;
    output::message(format_args!("source: {}", tree.description(wanted)));
    let copied = tree::copy(&tree, &locations.store, wanted)?;
    watch.lap("copy");

    let clock = Arc::new(FastForwardClock::new(SystemClock.now()));
    let engine = open(&locations, &clock)?;
    let store = DirStore::open(&locations.store).map_err(|e| Failure::new(e.to_string()))?;
    let planned = spread::plan(copied, &store, engine.now())?;
    watch.lap("open");
    let registered = spread::register(&engine, planned)?;
    watch.lap("register");

    let enforced = enforce::all(&engine, &store, &clock, registered.len())?;
    watch.lap("enforce");
    receipts::issue(&engine, &registered, &locations)?;
    watch.lap("receipts");
    let verified = receipts::verify(&registered, &locations, engine.now())?;
    watch.lap("verify");
    let refused = receipts::change_one_byte(&registered, &locations, engine.now())?;
    let bar = spinner("checking everything");
    let check = engine.check()?;
    bar.finish_and_clear();
    watch.lap("check");
    let search = names::search(&registered, &[&locations.log, &locations.tombstones])?;
    let left = tree::count_files(&locations.store)?;
    watch.lap("search");

    let classes = class_report::classes(&registered, &verified, &engine.status()?);
    let report = report::Report {
        source: &tree.root,
        files: registered.len(),
        left,
        classes,
        enforced,
        verified: &verified,
        refused,
        check,
        search,
        watch,
        locations: &locations,
    };
    if args.json {
        output.json(&report.json());
    } else {
        report.text(output);
    }
    Ok(if report.is_as_promised() { AS_PROMISED } else { NOT_AS_PROMISED })
}

/// Creates the folder for everything. A folder with any content is refused, so that nothing is overwritten or deleted.
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

/// Opens a new engine. Its log has a random origin, so that the evidence of two demonstrations cannot be confused.
fn open(locations: &Locations, clock: &Arc<FastForwardClock>) -> Result<Engine, Failure> {
    let [a, b, c, d, ..] = OsEntropy.secret()?;
    let origin = format!("demo.sexton.example/{}", hex::encode([a, b, c, d]));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Ok(Engine::open_with_clock(&locations.data, &Options::new(origin), clock)?)
}

/// A registered file.
struct Registered {
    planned: Planned,
    id: sexton::RegistrationId,
}

impl Registered {
    /// Returns `receipts/<class>/<slot>/<registration id>.tlog-proof`, a path beside the receipts of the same batch.
    fn receipt_path(&self, locations: &Locations) -> PathBuf {
        let slot = self.id.page.slot_start().to_string().replace([':', '-'], "");
        let folder = locations.receipts.join(self.planned.class).join(slot);
        folder.join(format!("{}.tlog-proof", self.id))
    }
}
