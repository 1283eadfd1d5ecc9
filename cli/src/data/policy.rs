//! `sexton policy`: the trust policy of the log.

use super::args::{DataArgs, help};
use super::open;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;

/// Arguments of `sexton policy`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton policy /var/lib/sexton > trust.policy"))]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &PolicyArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let policy = engine.policy();
    if args.data.json {
        output.json(&json!({ "policy": policy, "log_key": engine.log_key().to_string() }));
    } else {
        policy.lines().for_each(|line| output.line(line));
    }
    Ok(0)
}
