//! The command line: all commands in the order of `sexton --help`. The arguments of each stand beside its `run`.

#[cfg(feature = "engine")]
use crate::{data, demo};
#[cfg(feature = "serve")]
use crate::{generate, serve};
use crate::{inspect, verify};
use clap::{Parser, Subcommand};

/// Delete stored objects inside their promised window, and prove it.
#[derive(Debug, Parser)]
#[command(
    name = "sexton",
    version,
    max_term_width = 110,
    after_help = "Results go to stdout, messages and progress to stderr. Colours appear on a terminal only, and never \
                  if NO_COLOR is set.\nMutating commands take --dry-run: it validates and reports, and changes \
                  nothing.\nEvery command that does something has a longer --help with an example and its \
                  exit codes."
)]
pub(crate) struct Args {
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Delete thousands of real files on time, and prove each deletion
    ///
    /// Copy a real tree of files into a new folder, spread the files over the four built-in classes with realistic
    /// starts, and enforce every promise. The engine, the index, the directory store and the log are the real ones. The
    /// clock is accelerated: it jumps from one slot to the next. Then issue and verify a receipt for every file. Change
    /// one byte of one receipt to show that it is refused. Last, check the data folder.
    ///
    /// Only the jumps of the clock are simulated, and only the copy is deleted. The source is read, never changed.
    #[cfg(feature = "engine")]
    Demo(demo::DemoArgs),
    /// Run the service: keep the promises of a configuration until told to stop
    ///
    /// Open the data folder of the configuration, or create it, and own it until SIGTERM or SIGINT. Delete what is due,
    /// reclaim space, publish the log, and answer hosts and operators on two Unix sockets. Every other command that
    /// names the data folder goes through the socket meanwhile.
    ///
    /// SIGHUP reads the sources of the configuration again. Classes are never read from it: `sexton class set` changes
    /// them.
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Write manual pages and shell completions
    #[cfg(feature = "serve")]
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
    /// Verify receipts, offline
    ///
    /// Verify receipts against a trust policy (C2SP tlog-policy), which names the log, its key and the trusted
    /// witnesses. Verification needs no network, no engine and no trust in the sender of the receipt.
    Verify(verify::VerifyArgs),
    /// Show the content of a Sexton file in any format
    ///
    /// Show a receipt, a file of tombstones, carries, results or openings, a leaf, a checkpoint, an entry bundle, a
    /// tile, a keyring, a feed key, a head, a trust policy or a log key. Nothing is verified, and no secret is shown.
    /// The content decides which format the file has. A tile of hashes has no mark in its content, so its path decides.
    Inspect(inspect::InspectArgs),
    /// Commands that open a data folder.
    #[cfg(feature = "engine")]
    #[command(flatten)]
    Data(data::Command),
}
