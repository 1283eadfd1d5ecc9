//! `sexton policy`: the trust policy of the log.

use super::args::{DataArgs, help};
use super::host::Host;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_service::api::GetPolicy;

/// Arguments of `sexton policy`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton policy /var/lib/sexton > trust.policy"))]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &PolicyArgs, output: &mut Output) -> Result<u8, Failure> {
    let policy = Host::of(&args.data)?.call(GetPolicy {})?;
    if args.data.json {
        output.json(&policy.into_json());
    } else {
        policy.answer().policy.lines().for_each(|line| output.line(line));
    }
    Ok(0)
}
