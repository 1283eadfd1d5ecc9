//! `sexton backup`: a consistent copy of a data folder, also while a service has it open.

use super::args::{DataArgs, help};
use super::host::Host;
use super::open::spinner;
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::time::Timestamp;
use sexton_service::api::{BackUp, BackedUp};
use std::path::{PathBuf, absolute};

/// Arguments of `sexton backup`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton backup /var/lib/sexton /var/lib/sexton-copies/monday"))]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    data: DataArgs,
    /// New folder for the copy; a running service makes it as its own user
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(args: &BackupArgs, output: &mut Output) -> Result<u8, Failure> {
    let to = absolute(&args.to).map_err(|e| Failure::new(format!("{}: {e}", args.to.display())))?;
    let folder = to
        .into_os_string()
        .into_string()
        .map_err(|path| Failure::new(format!("the path {path:?} is not UTF-8; choose another name")))?;
    let host = Host::of(&args.data)?;
    let bar = spinner("copying");
    let made = host.call(BackUp { folder });
    bar.finish_and_clear();
    let made = made?;
    if args.data.json {
        output.json(&made.into_json());
        return Ok(0);
    }
    let BackedUp { folder, taken_ms, log_entries, linked_files, copied_files, copied_bytes } = made.answer();
    let taken = Timestamp::from_unix_ms(*taken_ms);
    output.line(format_args!("{folder} is a copy as of {taken}"));
    let entries = format::counted(*log_entries, "log entry", "log entries");
    let linked = format::counted(*linked_files, "file", "files");
    output.line(format_args!("  it has {entries}; {linked} shared as hard links"));
    if *copied_files > 0 {
        let copied = format::counted(*copied_files, "file", "files");
        let bytes = format::counted(*copied_bytes, "byte", "bytes");
        output.line(format_args!("  {copied} copied, {bytes}"));
    }
    Ok(0)
}
