//! `sexton reconcile`: registers files that have no registration, and states the content of those that changed.

mod filter;
mod summary;

use super::args::{MutatingArgs, help};
use super::host::Host;
use super::open;
use super::roots::{self, Listing, NewRoot, Registering};
use crate::output::{self, Failure, Output};
use clap::{Args as ClapArgs, ValueEnum};
use filter::FilterArgs;
use sexton::store::dir::{FileId, Filter, Identity, Root};
use sexton_service::dry_run;
use sexton_service::intake::{self, Candidate, Intake, Names, OBJECTS_MAX, Returned, StartBy, Strays, Taken};
use std::path::PathBuf;
use summary::Summary;

const ALL_TAKEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Arguments of `sexton reconcile`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton reconcile /var/lib/sexton --dir /srv/uploads --class data-30d",
    "some files or folders were refused or left out, and are listed with the\n     \
     reason",
    in steps
))]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Folder whose files are the objects; a key is a path below it
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Accept the folder as a new root of the data folder, also if it belongs to another one
    #[arg(long)]
    new_root: bool,
    /// Recognise files by inode and birth time, for files that still grow, such as logs
    #[arg(long)]
    appended: bool,
    /// Start of a file [default: modified, if the class has an explicit start; otherwise discovered]
    #[arg(long, value_name = "RULE")]
    start: Option<StartRule>,
    /// End files again whose object has ended: they came back from a backup; a dry run does not validate them
    #[arg(long, conflicts_with = "as_new")]
    delete_again: bool,
    /// Register files whose object has ended as new objects: none of them came back from a backup
    #[arg(long)]
    as_new: bool,
    #[command(flatten)]
    files: FilterArgs,
    /// Class of the new registrations
    #[arg(long, value_name = "NAME")]
    class: String,
}

/// Instant at which a file starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StartRule {
    /// Last modification, but not before its birth and not after now
    Modified,
    /// First registration by this command
    Discovered,
}

impl From<StartRule> for StartBy {
    fn from(rule: StartRule) -> Self {
        match rule {
            StartRule::Modified => StartBy::Modified,
            StartRule::Discovered => StartBy::Discovered,
        }
    }
}

fn returned(args: &ReconcileArgs) -> Returned {
    match (args.delete_again, args.as_new) {
        (true, _) => Returned::DeleteAgain,
        (false, true) => Returned::AsNew,
        (false, false) => Returned::LeaveOut,
    }
}

pub(super) fn run(args: &ReconcileArgs, output: &mut Output) -> Result<u8, Failure> {
    let filter = args.files.filter()?;
    let engine = Host::work(
        &args.common,
        "takes in the files of its directories by itself: begin a full scan with `sexton source rescan`, or add a directory \
         to its configuration",
    )?;
    let class = intake::class(&engine, &args.class)?;
    let is_dry = args.common.dry_run;
    let dry = if is_dry { Some(dry_run::of(&engine)?) } else { None };
    let start = args.start.map_or(StartBy::usual(&class), StartBy::from);
    let intake =
        Intake { engine: &engine, dry: dry.as_ref(), class: &class, start, returned: returned(args) };
    let new_root = if args.new_root { NewRoot::Accept } else { NewRoot::FirstOnly };
    let Registering { root, is_new } =
        roots::for_registering(&engine, &args.common.data.folder, &args.dir, new_root, is_dry)?;
    let mut summary = take_all(&intake, &root, &filter, args)?;
    summary.excluded_registered = args.files.registered(&engine, &root, &filter)?;
    if is_new {
        summary.new_root = Some(intake.at_once(|_| {})?);
    }
    if args.common.data.json {
        output.json(&summary.json(is_dry));
    } else {
        summary.print(is_dry, output);
    }
    Ok(if summary.taken.refused.is_empty() { ALL_TAKEN } else { SOME_REFUSED })
}

/// Takes in all files of the root.
fn take_all(
    intake: &Intake<'_>,
    root: &Root,
    filter: &Filter,
    args: &ReconcileArgs,
) -> Result<Summary, Failure> {
    let Listing { keys, skipped, file_systems, others } = roots::list(root, filter)?;
    let mut summary = Summary { file_systems, others, ..Summary::default() };
    for (path, why) in skipped {
        summary.taken.refuse(&path, why);
    }
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    if !roots::has_objects(intake.engine)? {
        each(root, &keys, args.appended, "registering", &mut summary.taken, &mut |_, files, taken| {
            intake.take(files, &Names::default(), taken)
        })?;
        return Ok(summary);
    }
    // Renames are stated before other files are registered, because these may have the old names.
    let mut strays = Strays::default();
    each(root, &keys, args.appended, "comparing", &mut summary.taken, &mut |keys, files, taken| {
        for index in intake.compare(files, taken)? {
            strays.add(keys[index], FileId::of(&files[index].file.version));
        }
        Ok(())
    })?;
    let is_gone = |key: &[u8], file| match root.identify(key, Identity::Exact) {
        Ok(there) => there.is_none_or(|there| FileId::of(&there.version) != Some(file)),
        Err(_) => false,
    };
    let renames = strays.renames(intake.engine, is_gone)?;
    let names = renames.state(intake.engine, intake.dry.is_some(), &mut summary.taken)?;
    each(root, &strays.keys, args.appended, "registering", &mut summary.taken, &mut |_, files, taken| {
        intake.take(files, &names, taken)
    })?;
    Ok(summary)
}

/// Function that takes the files of a chunk, with their keys.
type Take<'t, 'k> = &'t mut dyn FnMut(&[&'k [u8]], &[Candidate], &mut Taken) -> sexton::Result<()>;

/// Identifies files, and calls `take` for those of each chunk.
fn each<'k>(
    root: &Root,
    keys: &[&'k [u8]],
    grows: bool,
    what: &'static str,
    taken: &mut Taken,
    take: Take<'_, 'k>,
) -> Result<(), Failure> {
    let bar = output::progress(keys.len(), what);
    for chunk in keys.chunks(OBJECTS_MAX) {
        let (mut there, mut files) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
        for &key in chunk {
            match root.identify(key, open::identity(grows)) {
                Ok(Some(file)) => {
                    there.push(key);
                    files.push(Candidate { key: key.to_vec(), file, grows });
                }
                Ok(None) => {} // The file was deleted in the meantime.
                Err(why) => taken.refuse(key, why.to_string()),
            }
        }
        take(&there, &files, taken)?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}
