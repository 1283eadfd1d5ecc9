//! `sexton verify`: verifies receipts under a trust policy, offline.

mod judge;
mod report;
mod sources;

pub(crate) use sources::read;

use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use judge::{Judge, Judged};
use sexton_proof::policy::{POLICY_BYTES_MAX, Policy};
use sexton_proof::window::Span;
use std::path::{Path, PathBuf};

/// Largest number of receipts of which all are shown. If there are more, only those with a problem are shown.
const SHOWN_MAX: usize = 10;

/// Arguments of `sexton verify`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton verify cat.jpg.tlog-proof --policy trust.policy

Exit codes:
  0  authentic, and the promise was kept
  1  not valid: the failed check is named, with both values
  2  wrong usage, or a file could not be read
  3  authentic, but deleted early or late; or late after a legal hold, as the
     operator recorded
  4  unwitnessed, or witnessed too late for --witnessed-within, if the policy
     asks for witnesses
  5  authentic, but its outcome is not a deletion
The worst of several receipts decides: 1, then 2, 4, 3, 5, 0.
The least established comes first.")]
pub(crate) struct VerifyArgs {
    /// Receipts, or folders in which every *.tlog-proof is a receipt
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
    /// Trust policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Count only cosignatures dated at most this long after the deletion, like 24h or 7d
    #[arg(long, value_name = "SPAN")]
    witnessed_within: Option<Span>,
    /// Print one JSON object with every receipt on stdout
    #[arg(long)]
    json: bool,
}

/// Exit codes, worst first. The receipt about which least is established decides.
const WORST_FIRST: [u8; 6] = [1, 2, 4, 3, 5, 0];

/// Verdicts on all receipts.
struct Results {
    /// Number of receipts by exit code.
    codes: [usize; 6],
    /// Receipts to show.
    shown: Vec<Judged>,
}

impl Results {
    fn worst(&self) -> u8 {
        let met = |code: &&u8| self.codes.get(usize::from(**code)).is_some_and(|n| *n > 0);
        WORST_FIRST.iter().find(met).copied().unwrap_or(0)
    }
}

pub(crate) fn run(args: &VerifyArgs, output: &mut Output) -> Result<u8, Failure> {
    let policy = read_policy(&args.policy)?;
    let without_quorum = judge::without_quorum(&policy).map_err(|e| Failure::new(e.to_string()))?;
    let mut judge = Judge::new(&policy, &without_quorum, args.witnessed_within)?;
    let sources = sources::gather(&args.receipts);
    let show_all = args.json || sources.len() <= SHOWN_MAX;
    let mut results = Results { codes: [0; 6], shown: Vec::new() };
    let bar = output::progress(sources.len(), "verifying receipts");
    for source in sources {
        let judged = judge.judge(source);
        if let Some(n) = results.codes.get_mut(usize::from(judged.code())) {
            *n += 1;
        }
        if show_all || judged.code() != 0 {
            results.shown.push(judged);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.json {
        report::json(&results, &policy, output);
    } else {
        report::text(&results, &policy, output);
    }
    Ok(results.worst())
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let bytes = sources::read(path, POLICY_BYTES_MAX)
        .map_err(|why| Failure::new(format!("the trust policy {} cannot be read: {why}", path.display())))?;
    Policy::parse(bytes)
        .map_err(|e| Failure::new(format!("the trust policy {} cannot be used: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(codes: &[u8]) -> u8 {
        let mut results = Results { codes: [0; 6], shown: Vec::new() };
        for code in codes {
            results.codes[usize::from(*code)] += 1;
        }
        results.worst()
    }

    #[test]
    fn worst_of_several_is_the_least_established() {
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[0, 0, 5]), 5);
        assert_eq!(worst(&[5, 3, 0]), 3);
        assert_eq!(worst(&[3, 4, 5]), 4);
        assert_eq!(worst(&[4, 2, 0]), 2);
        assert_eq!(worst(&[0, 1, 2, 3, 4, 5]), 1);
    }
}
