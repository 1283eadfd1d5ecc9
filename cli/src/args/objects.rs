//! Commands about the objects that are registered.

use super::parts::{Change, Files, Object, help};
use crate::value::instant;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Where, and under which name.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton init /var/lib/sexton --origin example.com/uploads"))]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The log's origin line
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: String,
}

/// Which object, and when.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton start /var/lib/sexton --key cat.jpg --at 2026-01-31T12:00:00Z"))]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) object: Object,
    /// Its start, RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub(crate) at: i64,
}

/// Which object, and what counts from now on.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("terms").args(["class", "start"]).required(true).multiple(true),
    after_long_help = help!("sexton reschedule /var/lib/sexton --key cat.jpg --class data-30d")
)]
pub(crate) struct RescheduleArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) object: Object,
    /// The class whose window counts
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,
    /// The start from which it counts, RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub(crate) start: Option<i64>,
}

/// Which object.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton release /var/lib/sexton --key cat.jpg"))]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) object: Object,
}

/// Which files, and what they are promised.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton reconcile /var/lib/sexton --dir /srv/uploads --class data-30d",
    "some files were refused, and are listed with the reason",
    in steps
))]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) files: Files,
    /// The class under which they fall
    #[arg(long, value_name = "NAME")]
    pub(crate) class: String,
}

/// From which folder.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton enforce /var/lib/sexton --dir /srv/uploads",
    "a person is needed afterwards, as `sexton status` says it: an alarm stands, something is still overdue, …",
    in steps
))]
pub(crate) struct EnforceArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The folder whose files are the objects
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: PathBuf,
}
