//! Commands that open a data folder. This module and `demo` need the feature `engine`.

mod alarm;
mod args;
mod backup;
mod check;
mod class;
mod ended;
mod enforce;
mod erase;
mod feed;
mod format;
mod history;
mod hold;
mod host;
mod init;
mod keys;
mod limits;
mod live;
mod object;
mod open;
mod parse;
mod pause;
mod plan;
mod policy;
mod receipt;
pub(crate) mod receipts;
mod reconcile;
mod requests;
mod restore;
mod roots;
mod source;
mod status;

pub(crate) use open::{spinner, warnings_to_stderr};

use crate::output::{Failure, Output};
use clap::Subcommand;

impl From<sexton::Error> for Failure {
    fn from(error: sexton::Error) -> Self {
        Failure::new(error.to_string())
    }
}

/// Commands that open a data folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a data folder for consistency
    ///
    /// Open a data folder and check rows, pages, wheels, evidence, the log and the published files against each other.
    /// All of it is read. Opening completes the work that a crash interrupted; the check itself writes nothing. Nothing
    /// is deleted meanwhile. A copy that `sexton backup` made may be checked. Never open another copy of a folder while
    /// the original is in use: opening it completes work there and signs it with the same key, a second history.
    Check(check::CheckArgs),
    /// Create a data folder
    ///
    /// Create a data folder with the four built-in classes (upload-3h, log-73h, data-30d, log-6mo). Its log has an
    /// origin line, a unique name that cannot change. If a run was interrupted, run it again with the same origin: it
    /// completes the folder.
    Init(init::InitArgs),
    /// Show the state of the engine, and what needs an operator
    ///
    /// Show the state, the clock, alarms, standing holds, the oldest open erasure, and the counts of each class.
    Status(status::StatusArgs),
    /// Show which objects will end when and why, and what delays them
    ///
    /// Show every object that falls due up to an instant, the earliest first, with the action that will be taken. The
    /// plan uses the rules of enforcement and changes nothing. It cannot foresee the answers of the store, nor a
    /// breaker that trips later.
    Plan(plan::PlanArgs),
    /// Manage retention classes, which hold the promises
    #[command(subcommand)]
    Class(class::ClassCommand),
    /// Manage legal holds, which keep objects until they are lifted
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Manage erasures, which people request before the ceiling
    #[command(subcommand)]
    Erase(erase::EraseCommand),
    /// Show requests: erasures, closings, applied classes, lifted holds
    #[command(subcommand)]
    Request(requests::RequestCommand),
    /// Change one registered object: its start, its class, its end
    #[command(subcommand)]
    Object(object::ObjectCommand),
    /// Register the files of a folder that have no registration
    ///
    /// Register every file below a folder whose path has no live registration. Nothing is
    /// deleted.
    ///
    /// In a class with an explicit start, a file starts at its last modification, but not before its birth and not after
    /// now (--start modified); with --start discovered it starts now. In a class that starts at registration, a file
    /// starts now, unless --start modified is given. Files with other starts than their modification are listed.
    ///
    /// A file that was written again or grew stays its object. Its start follows its last modification under --start
    /// modified, and stays otherwise, as it always does with --appended. Another file under a key is a new object.
    ///
    /// Files whose object has ended may have come back from a backup. They are left out and listed, unless
    /// --delete-again or --as-new says what they are.
    ///
    /// The folder becomes a root of the data folder, and only its roots are enforced. The first root of a data folder
    /// without objects is accepted as it is; each further one is a decision (--new-root). Other file systems mounted
    /// below the folder, data folders of Sexton, and folders that cannot be read are left out and listed.
    Reconcile(reconcile::ReconcileArgs),
    /// Show and enable the sources of a running service, or have one scanned
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Delete from a folder what is due now, once
    ///
    /// Delete from a folder what is due now, once, and report the answers of the store. A service enforces
    /// continuously by itself. This command is for trials, and for a timer.
    Enforce(enforce::EnforceArgs),
    /// Write receipts of objects that ended
    ///
    /// Write a receipt for each object that ended, and the trust policy to verify them with. A receipt needs the key of
    /// the object and its registration. The engine knows the registration as long as the class remembers ended objects
    /// (`remember`), as the deletion is in the feed, or as its erasure is not forgotten. Otherwise name it with --id.
    Receipt(receipt::ReceiptArgs),
    /// Print the trust policy of the log
    ///
    /// Print the trust policy that accepts the log of a data folder and asks for no witnesses, for `sexton verify`.
    Policy(policy::PolicyArgs),
    /// Stop all deletion for a time
    ///
    /// Stop all deletion for a time, for example while the disk of the objects is moved. It resumes by itself, or with
    /// `sexton alarm resume`. Ceilings pass meanwhile, and the status says what is overdue. Batches on their way to
    /// deletion finish.
    Pause(pause::PauseArgs),
    /// Copy a data folder consistently, also while a service has it open
    ///
    /// Copy a data folder into a new folder, while registrations and deletions go on. On the same file system the copy
    /// shares its files as hard links. An unfinished copy never has the name of a whole one, and nothing is overwritten.
    /// The copy opens for reading only, for receipts, plans and checks. It has no key that signs the log, but keys and
    /// subjects of objects, so guard it as the original.
    Backup(backup::BackupArgs),
    /// Let a copy go on in place of its original, which is lost for good
    ///
    /// Let a copy go on in place of its original. The caller declares the original lost: it must never run again. The log
    /// goes on under a new origin and a new key, because the original may have signed more than the copy has. Nothing is
    /// deleted until `sexton alarm resume`: holds, erasures and registrations that came after the copy are unknown.
    Restore(restore::RestoreArgs),
    /// Show and resume alarms, which stop deletion
    #[command(subcommand)]
    Alarm(alarm::AlarmCommand),
    /// Show and set the limits at which clock and breaker stop deletion
    ///
    /// Show the limits at which the clock guard and the breaker stop deletion and raise an alarm, or set them for every
    /// later opening of the data folder. A service may override them in its options.
    Limits(limits::LimitsArgs),
    /// Read and acknowledge the feed of deletions for third parties
    #[command(subcommand)]
    Feed(feed::FeedCommand),
    /// Look up keys, and find objects that a backup brought back
    ///
    /// Show for each key the live registration, or how the last object under it ended. Of a whole folder, show the files
    /// that came back, and counts. Ended objects are remembered as long as their class says (`remember`). With --delete-again, files that came back after their end are registered
    /// again under their former terms, and the next enforcement deletes them.
    Ended(ended::EndedArgs),
}

/// Runs a command and returns its exit code.
pub(crate) fn run(command: &Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Check(args) => check::run(args, output),
        Command::Init(args) => init::run(args, output),
        Command::Status(args) => status::run(args, output),
        Command::Plan(args) => plan::run(args, output),
        Command::Class(command) => class::run(command, output),
        Command::Hold(command) => hold::run(command, output),
        Command::Erase(command) => erase::run(command, output),
        Command::Request(command) => requests::run(command, output),
        Command::Object(command) => object::run(command, output),
        Command::Reconcile(args) => reconcile::run(args, output),
        Command::Source(command) => source::run(command, output),
        Command::Enforce(args) => enforce::run(args, output),
        Command::Receipt(args) => receipt::run(args, output),
        Command::Policy(args) => policy::run(args, output),
        Command::Pause(args) => pause::run(args, output),
        Command::Backup(args) => backup::run(args, output),
        Command::Restore(args) => restore::run(args, output),
        Command::Alarm(command) => alarm::run(command, output),
        Command::Limits(args) => limits::run(args, output),
        Command::Feed(command) => feed::run(command, output),
        Command::Ended(args) => ended::run(args, output),
    }
}
