//! `sexton generate`: manual pages and completions, for packages.

use crate::output::Failure;
use clap::{Args as ClapArgs, Command};
use clap_complete::Shell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `sexton generate`.
#[derive(Debug, ClapArgs)]
pub(crate) struct GenerateArgs {
    /// Folder for the files; it gets the folders `man` and `completions`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the files of `command`, the whole command line.
pub(crate) fn run(args: &GenerateArgs, command: &Command) -> Result<u8, Failure> {
    let man = man(&args.folder.join("man"), command.clone());
    let written = man.and_then(|()| completions(&args.folder.join("completions"), command.clone()));
    written.map_err(|e| Failure::new(format!("{} cannot be written: {e}", args.folder.display())))?;
    Ok(0)
}

/// Writes a manual page for the command and for each subcommand.
fn man(folder: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

fn completions(folder: &Path, mut command: Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "sexton", folder)?;
    }
    Ok(())
}
