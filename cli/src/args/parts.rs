//! What several commands have in common.

use crate::value;
use clap::Args as ClapArgs;
use sexton::RegistrationId;
use std::path::PathBuf;

/// The end of a command's long help: an example, and its exit codes.
macro_rules! help {
    ($example:literal $(, $one:literal)?) => {
        help!(@ $example, [$($one)?], "")
    };
    ($example:literal $(, $one:literal)?, in steps) => {
        help!(
            @ $example,
            [$($one)?],
            ";\n     or it failed on the way: then what was done before stands, and the same command goes on from there"
        )
    };
    (@ $example:literal, [$($one:literal)?], $in_steps:literal) => {
        concat!(
            "Example:\n  ",
            $example,
            "\n\nExit codes:\n  0  done",
            $("\n  1  ", $one,)?
            "\n  2  wrong usage, refused, or the folder cannot be opened: nothing was changed",
            $in_steps
        )
    };
}
pub(super) use help;

/// Which data folder, and how the answer looks.
#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    /// The data folder
    #[arg(value_name = "DATA")]
    pub(crate) folder: PathBuf,
    /// JSON on stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// The same for a command that changes something.
#[derive(Debug, ClapArgs)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Check everything, say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Why something is decided, and by whom: kept with the decision.
#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = value::sentence)]
    pub(crate) reason: String,
    /// Who decides it
    #[arg(long, value_name = "NAME", value_parser = value::sentence)]
    pub(crate) author: String,
}

/// Which registered object.
#[derive(Debug, ClapArgs)]
pub(crate) struct Object {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The key is hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

/// By its key or its registration.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Its key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Its registration id, whichever it had first
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<RegistrationId>,
}

/// A folder with objects.
#[derive(Debug, ClapArgs)]
pub(crate) struct Files {
    /// The folder whose files are the objects; a key is a path below it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: PathBuf,
    /// Something may still be appended to the files, as to logs: recognise them by inode and birth time
    #[arg(long)]
    pub(crate) appended: bool,
}
