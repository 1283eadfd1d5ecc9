//! Commands that look.

use super::parts::{Change, Data, help};
use crate::value::{When, until};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Of which engine.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton status /var/lib/sexton",
    "a person is needed: an alarm stands, something is overdue that no legal hold keeps, the log is forked, the \
     engine is\n     poisoned or paused, the log could not be published, an erasure was to be answered by now, or a hold \
     to be\n     reviewed"
))]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) data: Data,
}

/// How far ahead.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton plan /var/lib/sexton --until +30d --summary"))]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Up to this instant: RFC 3339, or + and a span from now
    #[arg(long, value_name = "WHEN", default_value = "+1d", value_parser = until)]
    pub(crate) until: When,
    /// How many objects to show at most; all are counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// Count by class and by what will be done, and show no object
    #[arg(long)]
    pub(crate) summary: bool,
}

/// Which part of the feed.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton feed /var/lib/sexton --after 1200 --json"))]
pub(crate) struct FeedArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Only what comes behind this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) after: u64,
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max: u32,
    /// Forget the entries up to this number: everybody was told of them
    #[arg(long, value_name = "N", conflicts_with_all = ["after", "max"])]
    pub(crate) acknowledge: Option<u64>,
}

/// Which keys.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton screen /var/lib/sexton --dir /srv/uploads --delete-again",
    "files stand in --dir that came back after their end, and they were not registered again",
    in steps
))]
pub(crate) struct ScreenArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// A key; may be given many times
    #[arg(long, value_name = "KEY", required_unless_present_any = ["keys", "dir"], conflicts_with = "keys")]
    pub(crate) key: Vec<String>,
    /// A file with one key in each line
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The keys are hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
    /// The folder whose files are the objects; without keys, all of them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// Something may still be appended to the files, as to logs: recognise them by inode and birth time
    #[arg(long, requires = "dir")]
    pub(crate) appended: bool,
    /// Register what came back, so that it is deleted again at the next enforcement
    #[arg(long, requires = "dir")]
    pub(crate) delete_again: bool,
}
