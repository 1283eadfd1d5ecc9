//! The command line.

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
    /// tile, a keyring, a head, a policy or a log's key. Nothing is verified, and no secret is shown. The
    /// file is recognised by its content; a tile of hashes, which has nothing to recognise, by its path.
    Inspect(InspectArgs),
    /// Checks everything in a data folder against everything else
    ///
    /// Opens a data folder and checks rows, pages, wheels, evidence, log and what is published against each
    /// other. It reads all of it. Opening finishes what a crash interrupted, as it always does; the check
    /// itself writes nothing.
    #[cfg(feature = "engine")]
    Check(CheckArgs),
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
