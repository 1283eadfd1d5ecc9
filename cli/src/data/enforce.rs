//! `sexton enforce`: deletes what is due now, once.

use super::args::{MutatingArgs, help};
use super::open::{self, spinner};
use super::plan::{Group, Plan};
use super::{roots, status};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::store::dir::DirStore;
use sexton::store::{Answer, Store, SubBatch};
use sexton::{Engine, ErrorKind};
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Largest number of problems in the output.
const PROBLEMS_LISTED_MAX: usize = 100;

/// Arguments of `sexton enforce`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton enforce /var/lib/sexton --dir /srv/uploads",
    "an operator is needed afterwards, as `sexton status` shows: an alarm\n     stands, an object is still overdue, …",
    in steps
))]
pub(crate) struct EnforceArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Folder whose files are the objects, a root of the data folder
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

/// Answers of the store.
#[derive(Default)]
struct Answers {
    /// Number of answers, by word.
    counts: BTreeMap<&'static str, u64>,
    /// Objects that were not deleted: key, word for the answer, reason.
    problems: Vec<(Vec<u8>, &'static str, String)>,
}

/// Numbers of objects about which the store was not asked, since the data folder was created.
#[derive(Default)]
struct Ends {
    /// Ended, because the host deleted them by itself.
    released: u64,
    /// Ended, because a newer registration replaced them.
    replaced: u64,
    /// Kept by legal holds.
    held: u64,
}

impl Ends {
    fn of(engine: &Engine) -> Result<Self, Failure> {
        let mut ends = Ends::default();
        for class in engine.status()?.classes.values() {
            ends.released += class.ended.released;
            ends.replaced += class.ended.replaced;
            ends.held += class.ended.held;
        }
        Ok(ends)
    }

    /// Returns the numbers since `before`.
    fn since(&self, before: &Ends) -> Self {
        Ends {
            released: self.released.saturating_sub(before.released),
            replaced: self.replaced.saturating_sub(before.replaced),
            held: self.held.saturating_sub(before.held),
        }
    }
}

/// Store that records its answers.
struct Recorder<'a> {
    store: &'a DirStore,
    answers: Mutex<Answers>,
}

impl Store for Recorder<'_> {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        let answers = self.store.delete(part);
        let mut recorded = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for (object, answer) in part.objects.iter().zip(&answers) {
            recorded.add(object.key, answer);
        }
        drop(recorded);
        answers
    }
}

impl Answers {
    fn add(&mut self, key: &[u8], answer: &Answer) {
        let (word, why) = match answer {
            Answer::Deleted => ("deleted", None),
            Answer::Anonymised(_) => ("anonymised", None),
            Answer::Absent => ("absent", None),
            Answer::Changed => (
                "changed",
                Some(
                    "the registered file was changed or replaced, so nothing is deleted; run `sexton reconcile`, which takes the file as it is now",
                ),
            ),
            Answer::Refused(why) => ("refused", Some(&**why)),
            Answer::Failed(why) => ("failed", Some(&**why)),
            // A later version of the engine may add answers.
            _ => ("other", Some("the store gave an answer that this version does not know")),
        };
        *self.counts.entry(word).or_default() += 1;
        if let Some(why) = why.filter(|_| self.problems.len() < PROBLEMS_LISTED_MAX) {
            self.problems.push((key.to_vec(), word, why.to_owned()));
        }
    }
}

pub(super) fn run(args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    if args.common.dry_run {
        return run_dry(&engine, args, output);
    }
    let store = roots::store(&engine, &args.common.data.folder, &args.dir)?;
    let before = Ends::of(&engine)?;
    let recorder = Recorder { store: &store, answers: Mutex::default() };
    let bar = spinner("enforcing");
    engine.enforce(&recorder)?;
    let reclaimed = engine.reclaim();
    bar.finish_and_clear();
    let answers = recorder.answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ends = Ends::of(&engine)?.since(&before);
    let status = engine.status()?;
    let needs = engine.needs(&status)?;
    let live: u64 = status.classes.values().map(|class| class.live).sum();
    let next = engine.next_due().filter(|_| live > 0);
    if args.common.data.json {
        let problem = |(key, word, why): &(Vec<u8>, &str, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "answer": word, "why": why });
        output.json(&json!({
            "dry_run": false,
            "answers": answers.counts,
            "kept_by_holds": ends.held,
            "problems": answers.problems.iter().map(problem).collect::<Vec<_>>(),
            "next_due_ms": next.map(Timestamp::unix_ms),
            "needs": needs,
        }));
    } else {
        print(&answers, &ends, next, &needs, output);
    }
    // This comes last: the deletions are recorded, and only the residue of their rows may still be in the index.
    match reclaimed {
        Err(busy) if busy.kind() == ErrorKind::Busy => output::message(busy),
        other => other?,
    }
    Ok(status::code(&needs))
}

fn print(answers: &Answers, ends: &Ends, next: Option<Timestamp>, needs: &[String], output: &mut Output) {
    for (word, n) in &answers.counts {
        output.line(format_args!("{:>12} {word}", format::count(*n)));
    }
    let others = [
        (ends.released, "ended, released"),
        (ends.replaced, "ended, replaced"),
        (ends.held, "kept by legal holds"),
    ];
    for (n, what) in others.into_iter().filter(|(n, _)| *n > 0) {
        output.line(format_args!("{:>12} {what}", format::count(n)));
    }
    if answers.counts.is_empty() && others.iter().all(|(n, _)| *n == 0) {
        output.line("nothing was due");
    }
    for (key, word, why) in &answers.problems {
        output.line(format_args!("{} {}: {why}", output.bad(format_args!("{word}:")), printable(key)));
    }
    if let Some(next) = next {
        output.line(format_args!("next work: {next}"));
    }
    for need in needs {
        output.line(output.bad(need));
    }
}

/// Reports what enforcement would do now, as far as the engine knows without the answers of the store.
fn run_dry(engine: &Engine, args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    roots::known(engine, &args.common.data.folder, &args.dir)?;
    let plan = Plan::of(engine, engine.now(), 0)?;
    if args.common.data.json {
        let group = |((class, action), group): (&(String, String), &Group)| -> Value {
            json!({ "class": class, "action": action, "objects": group.objects })
        };
        output.json(&json!({ "dry_run": true, "would": plan.groups.iter().map(group).collect::<Vec<_>>() }));
        return Ok(0);
    }
    for ((class, action), group) in &plan.groups {
        output.line(format_args!("{:>12}  {class}  {action}", format::count(group.objects)));
    }
    if plan.groups.is_empty() {
        output.line("nothing is due");
    }
    Ok(0)
}
