//! `sexton verify`: receipts under a policy, offline.

mod judge;
mod report;
mod sources;

pub(crate) use sources::read;

use crate::args::VerifyArgs;
use crate::output::{self, Failure, Output};
use judge::{Judge, Judged};
use sexton_proof::policy::{POLICY_BYTES_MAX, Policy};
use std::path::Path;

/// Up to so many receipts are shown one by one; of more only those that are not as they should be.
const SHOWN_ONE_BY_ONE: usize = 10;

/// The exit codes, the worst first: what is least established decides.
const WORST_FIRST: [u8; 6] = [1, 2, 4, 3, 5, 0];

/// What became of all the receipts.
struct Tally {
    /// How many have each exit code.
    codes: [usize; 6],
    /// What is told one by one.
    told: Vec<Judged>,
}

impl Tally {
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
    let tell_all = args.json || sources.len() <= SHOWN_ONE_BY_ONE;
    let mut tally = Tally { codes: [0; 6], told: Vec::new() };
    let bar = output::progress(sources.len(), "verifying receipts");
    for source in sources {
        let judged = judge.judge(source);
        if let Some(n) = tally.codes.get_mut(usize::from(judged.code())) {
            *n += 1;
        }
        if tell_all || judged.code() != 0 {
            tally.told.push(judged);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.json {
        report::json(&tally, &policy, output);
    } else {
        report::text(&tally, &policy, output);
    }
    Ok(tally.worst())
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let bytes = sources::read(path, POLICY_BYTES_MAX)
        .map_err(|why| Failure::new(format!("the policy {} cannot be read: {why}", path.display())))?;
    Policy::parse(bytes)
        .map_err(|e| Failure::new(format!("the policy {} cannot be used: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(codes: &[u8]) -> u8 {
        let mut tally = Tally { codes: [0; 6], told: Vec::new() };
        for code in codes {
            tally.codes[usize::from(*code)] += 1;
        }
        tally.worst()
    }

    #[test]
    fn of_several_receipts_the_least_established_decides() {
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[0, 0, 5]), 5);
        assert_eq!(worst(&[5, 3, 0]), 3);
        assert_eq!(worst(&[3, 4, 5]), 4);
        assert_eq!(worst(&[4, 2, 0]), 2);
        assert_eq!(worst(&[0, 1, 2, 3, 4, 5]), 1);
    }
}
