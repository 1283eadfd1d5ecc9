//! The command line.

#[cfg(feature = "engine")]
mod decisions;
#[cfg(feature = "engine")]
mod looks;
#[cfg(feature = "engine")]
mod objects;
#[cfg(feature = "engine")]
mod parts;

#[cfg(feature = "engine")]
pub(crate) use self::{decisions::*, looks::*, objects::*, parts::*};

use clap::{Args as ClapArgs, Parser, Subcommand};
use sexton_proof::window::Span;
use std::path::PathBuf;

/// Deletes stored objects inside their promised window, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "sexton",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
    after_help = "Results go to stdout, talk and progress to stderr. Colours appear on a terminal only, and never \
                  where NO_COLOR is set.\nEvery command has a longer --help with an example and its exit codes."
)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deletes thousands of real files on their time, and proves each deletion
    ///
    /// Copies a real tree of files into a fresh folder, spreads them over the four built-in classes with
    /// realistic starts, and enforces all of them through the real engine, index, directory store and log, on
    /// a clock that is wound forward from one slot to the next. Then a receipt is issued for every file and
    /// verified, one byte of one receipt is changed to show it refused, and everything is checked.
    ///
    /// Nothing is simulated but the jumps of the clock, and only the copy is deleted: the source is read,
    /// never touched.
    #[cfg(feature = "engine")]
    Demo(DemoArgs),
    /// Verifies receipts, offline
    ///
    /// Verifies receipts against a policy (C2SP tlog-policy) that names the log, its key and the witnesses to
    /// be believed. Needs no network, no engine and no trust in whoever sent the receipt.
    Verify(VerifyArgs),
    /// Shows what is in a file of Sexton's, whichever it is
    ///
    /// Shows a receipt, a file of tombstones, carries, results or openings, a leaf, a checkpoint, an entry bundle, a
    /// tile, a keyring, a feed's key, a head, a policy or a log's key. Nothing is verified, and no secret is shown. The
    /// file is recognised by its content; a tile of hashes, which has nothing to recognise, by its path.
    Inspect(InspectArgs),
    /// Checks everything in a data folder against everything else
    ///
    /// Opens a data folder and checks rows, pages, wheels, evidence, log and what is published against each
    /// other. It reads all of it. Opening finishes what a crash interrupted, as it always does; the check
    /// itself writes nothing. Nothing is deleted meanwhile. Never open a copy of a folder whose engine goes on: what
    /// opening finishes there is signed with the same key, and is another history.
    #[cfg(feature = "engine")]
    Check(CheckArgs),
    /// Makes a new data folder
    ///
    /// Makes a new data folder with the four built-in classes (upload-3h, log-73h, data-30d, log-6mo). Its log has
    /// an origin line of its own, a name that nobody else uses and that cannot change.
    #[cfg(feature = "engine")]
    Init(InitArgs),
    /// Says what the engine is doing, and whether a person is needed
    ///
    /// State, clock, alarms, standing holds, the erasure that is open longest, and each class with what it was
    /// given and what became of it.
    #[cfg(feature = "engine")]
    Status(StatusArgs),
    /// Shows what will be deleted when and why, and what is held back by what
    ///
    /// Shows every object whose time comes, the earliest first, with what will be done with it. Decided as deleting
    /// itself decides; changes nothing. What the store will answer, and what a surprise will stop, is not known
    /// before.
    #[cfg(feature = "engine")]
    Plan(PlanArgs),
    /// Retention classes: what is promised
    #[cfg(feature = "engine")]
    #[command(subcommand)]
    Class(ClassCommand),
    /// Legal holds: what is kept until a person lifts them
    #[cfg(feature = "engine")]
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Erasures: what goes before its time because a person asked
    #[cfg(feature = "engine")]
    #[command(subcommand)]
    Erase(EraseCommand),
    /// Says when an object starts whose start was not known
    ///
    /// Says when an object starts that was registered without a start: from then on its promise counts.
    #[cfg(feature = "engine")]
    Start(StartArgs),
    /// Puts an object under another class or another start
    ///
    /// Puts an object under the window of another class, or counts it from another start. Its bounds are always what
    /// a class makes of a start, so that anybody can check them.
    #[cfg(feature = "engine")]
    Reschedule(RescheduleArgs),
    /// Says that an object was deleted by its host
    ///
    /// Says that the host has deleted an object itself: its registration ends as released, and the store is not
    /// asked to delete it.
    #[cfg(feature = "engine")]
    Release(ReleaseArgs),
    /// Registers the files of a folder that were never registered
    ///
    /// Registers every file below a folder whose path is not registered. Where the class has an explicit start, a
    /// file starts at its last modification; else the class's rule counts. Deletes nothing.
    #[cfg(feature = "engine")]
    Reconcile(ReconcileArgs),
    /// Deletes what is due now from a folder, once
    ///
    /// Deletes what is due now from a folder, once, and says what became of it. A service does this by itself all
    /// the time; this is for trying things out, and for a timer.
    #[cfg(feature = "engine")]
    Enforce(EnforceArgs),
    /// Ends an alarm after somebody has looked
    ///
    /// Ends an alarm after somebody has looked, so that deleting goes on. A clock is accepted as it stands now; what
    /// was a surprise counts as known. Without an id the one alarm that stands is meant.
    #[cfg(feature = "engine")]
    Resume(ResumeArgs),
    /// Shows the deletions that third parties are to be told of
    ///
    /// Shows the deletions of the classes with `feed = true` in their order, or forgets those that everybody was told
    /// of.
    #[cfg(feature = "engine")]
    Feed(FeedArgs),
    /// Tells what came back from a backup from what is new
    ///
    /// Says for each key whether an object lives under it, or how the last one ended, as long as its class says
    /// (`remember`). With --delete-again, files that came back after their end are registered again under the terms
    /// that they had, and go at the next enforcement.
    #[cfg(feature = "engine")]
    Screen(ScreenArgs),
}

/// How the demonstration is run.
#[cfg(feature = "engine")]
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton demo --files 2000 --out /tmp/graveyard

Exit codes:
  0  every file deleted, none early, none late, every receipt valid, the changed one refused, all of it sound
  1  one of these is not so
  2  wrong usage, or the demonstration could not be run")]
pub(crate) struct DemoArgs {
    /// How many files; where the source has fewer, all of them
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    pub(crate) files: u32,
    /// The data folder, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "sexton-demo")]
    pub(crate) out: PathBuf,
    /// The tree to copy [default: /usr/share, or the Rust toolchain where that has more]
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
    /// One JSON object on stdout instead of the tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which receipts, and whom to believe.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton verify cat.jpg.tlog-proof --policy trust.policy

Exit codes:
  0  authentic, and the promise was kept
  1  not valid: the check that failed is named, with both values
  2  wrong usage, or something could not be read
  3  authentic, but deleted early or late; or late after a legal hold, as the operator recorded
  4  unwitnessed, or witnessed too late for --witnessed-within, where the policy asks for witnesses
  5  authentic, but its outcome is not a deletion
Of several receipts the worst decides: 1, then 2, 4, 3, 5, 0. What is least established comes first.")]
pub(crate) struct VerifyArgs {
    /// Receipts, or folders in which every *.tlog-proof is one
    #[arg(value_name = "RECEIPT", required = true)]
    pub(crate) receipts: Vec<PathBuf>,
    /// The policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Count only cosignatures dated at most this long after the deletion, like 24h or 7d
    #[arg(long, value_name = "SPAN")]
    pub(crate) witnessed_within: Option<Span>,
    /// One JSON object on stdout, with every receipt in it
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which file.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton inspect sexton-demo/tombstones/001.tomb

Exit codes:
  0  shown
  1  recognised, but malformed
  2  wrong usage, not readable, or not a file of Sexton's")]
pub(crate) struct InspectArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which data folder.
#[cfg(feature = "engine")]
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton check /var/lib/sexton

Exit codes:
  0  sound
  1  problems were found, and are listed
  2  wrong usage, or the folder cannot be opened, for example because another process has it open")]
pub(crate) struct CheckArgs {
    /// The data folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}
