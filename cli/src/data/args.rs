//! Arguments that several commands share.

use super::parse;
use clap::Args as ClapArgs;
use sexton::RegistrationId;
use sexton_service::api::Decision;
use std::path::PathBuf;

/// The end of a command's long help: an example and the exit codes.
///
/// No line is longer than 78 characters, and a later line of an exit code is indented by five: clap wraps longer ones
/// without an indent. The second literal describes exit code 1, the third exit code 3, if the command has them. `in steps` marks a command that works in several
/// steps, of which some may be done when it fails.
macro_rules! help {
    ($example:literal $(, $code_1:literal $(, $code_3:literal)?)?) => {
        help!(@ $example, [$($code_1)?], [$($($code_3)?)?], "")
    };
    ($example:literal $(, $code_1:literal $(, $code_3:literal)?)?, in steps) => {
        help!(
            @ $example,
            [$($code_1)?],
            [$($($code_3)?)?],
            ";\n     or it failed on the way: completed steps stand, and the same command\n     \
              continues from there"
        )
    };
    (@ $example:literal, [$($code_1:literal)?], [$($code_3:literal)?], $in_steps:literal) => {
        concat!(
            "Example:\n  ",
            $example,
            "\n\nExit codes:\n  0  done",
            $("\n  1  ", $code_1,)?
            "\n  2  wrong usage, refused, or the folder cannot be opened: nothing changed",
            $in_steps
            $(, "\n  3  ", $code_3)?
        )
    };
}
pub(super) use help;

/// The data folder, and the form of the output.
#[derive(Debug, ClapArgs)]
pub(crate) struct DataArgs {
    /// Data folder
    #[arg(value_name = "DATA")]
    pub(crate) folder: PathBuf,
    /// Open the folder of a service that is stopped, instead of going through its socket
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON on stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of a mutating command: the data folder, the form of the output, and the dry run.
#[derive(Debug, ClapArgs)]
pub(crate) struct MutatingArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Validate and report, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Reason and author of a decision. Both are kept with it.
#[derive(Debug, ClapArgs)]
pub(crate) struct DecisionArgs {
    /// Reason, for later readers
    #[arg(long, value_name = "TEXT", value_parser = parse::short_text)]
    pub(crate) reason: String,
    /// Person who decides
    #[arg(long, value_name = "NAME", value_parser = parse::short_text)]
    pub(crate) author: String,
}

impl DecisionArgs {
    /// Returns author and reason as a request has them.
    pub(super) fn decision(&self) -> Decision {
        Decision { author: self.author.clone(), reason: self.reason.clone() }
    }
}

/// A registered object, named by its key, by its key and version, or by its registration.
#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectArgs {
    #[command(flatten)]
    pub(crate) by: KeyOrId,
    /// Version of the key, for classes that find by version
    #[arg(long, value_name = "VERSION", conflicts_with = "id")]
    pub(crate) object_version: Option<String>,
    /// Read the key and the version as hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

/// Exactly one of a key and a registration id.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct KeyOrId {
    /// Key of the object
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Registration id of the object, the first or a later one
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<RegistrationId>,
}
