//! `sexton enforce`: deletes what is due now, once.

use crate::args::EnforceArgs;
use crate::output::{self, Failure, Output};
use crate::plan::Plan;
use crate::{folder, show, status};
use serde_json::{Value, json};
use sexton::store::dir::DirStore;
use sexton::store::{Answer, Store, SubBatch};
use sexton::{Engine, ErrorKind};
use sexton_proof::id::printable;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Problems that are listed.
const LISTED: usize = 100;

/// What the store answered.
#[derive(Default)]
struct Answers {
    /// How many, by the word for it.
    counts: BTreeMap<&'static str, u64>,
    /// What was not deleted: its key, the word, why.
    problems: Vec<(Vec<u8>, &'static str, String)>,
}

/// A store that remembers what it answered.
struct Watched<'a> {
    store: &'a DirStore,
    answers: Mutex<Answers>,
}

impl Store for Watched<'_> {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        let answers = self.store.delete(part);
        let mut all = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for (object, answer) in part.objects.iter().zip(&answers) {
            all.add(object.key, answer);
        }
        drop(all);
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
                    "another file stands there than the one registered; where that one is gone, `sexton release` it, then `sexton reconcile`",
                ),
            ),
            Answer::Refused(why) => ("refused", Some(&**why)),
            Answer::Failed(why) => ("failed", Some(&**why)),
        };
        *self.counts.entry(word).or_default() += 1;
        if let Some(why) = why.filter(|_| self.problems.len() < LISTED) {
            self.problems.push((key.to_vec(), word, why.to_owned()));
        }
    }
}

pub(crate) fn run(args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    if args.change.dry_run {
        return would(&engine, args, output);
    }
    let store = folder::known_objects(&args.dir)?;
    let held_before = held(&engine)?;
    let watched = Watched { store: &store, answers: Mutex::default() };
    let bar = output::spinner("enforcing");
    engine.enforce(&watched)?;
    let cleared = engine.reclaim();
    bar.finish_and_clear();
    let answers = watched.answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let held = held(&engine)?.saturating_sub(held_before);
    let now = engine.status()?;
    let needs = engine.needs(&now)?;
    let live: u64 = now.classes.values().map(|class| class.live).sum();
    let next_ms = engine.next_due_ms().filter(|_| live > 0);
    if args.change.data.json {
        let problem = |(key, word, why): &(Vec<u8>, &str, String)| json!({ "key": printable(key), "key_hex": hex::encode(key), "answer": word, "why": why });
        output.json(&json!({
            "dry_run": false,
            "answers": answers.counts,
            "kept_by_holds": held,
            "problems": answers.problems.iter().map(problem).collect::<Vec<_>>(),
            "next_due_ms": next_ms,
            "needs": needs,
        }));
    } else {
        text(&answers, held, next_ms, &needs, output);
    }
    // Last: all was deleted and is on record, only what is left of its rows is not known to be gone.
    match cleared {
        Err(busy) if busy.kind() == ErrorKind::Busy => output::talk(busy),
        other => other?,
    }
    Ok(status::code(&needs))
}

/// How often holds kept something back so far.
fn held(engine: &Engine) -> Result<u64, Failure> {
    Ok(engine.status()?.classes.values().map(|class| class.ended.held).sum())
}

fn text(answers: &Answers, held: u64, next_ms: Option<i64>, needs: &[String], output: &mut Output) {
    for (word, n) in &answers.counts {
        output.line(format_args!("{:>12} {word}", show::count(*n)));
    }
    if held > 0 {
        output.line(format_args!("{:>12} kept by legal holds", show::count(held)));
    }
    if answers.counts.is_empty() && held == 0 {
        output.line("nothing was due");
    }
    for (key, word, why) in &answers.problems {
        output.line(format_args!("{} {}: {why}", output.bad(format_args!("{word}:")), printable(key)));
    }
    if let Some(next_ms) = next_ms {
        output.line(format_args!("next: {}", show::instant(next_ms)));
    }
    for need in needs {
        output.line(output.bad(need));
    }
}

/// What would be done now, as far as is known before the store was asked.
fn would(engine: &Engine, args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    if !args.dir.is_dir() {
        return Err(Failure::new(format!("{} is not a folder", args.dir.display())));
    }
    let plan = Plan::of(engine, engine.now_ms(), 0)?;
    if args.change.data.json {
        let group = |((class, action), group): (&(String, String), &crate::plan::Group)| -> Value {
            json!({ "class": class, "action": action, "objects": group.objects })
        };
        output.json(&json!({ "dry_run": true, "would": plan.groups.iter().map(group).collect::<Vec<_>>() }));
        return Ok(0);
    }
    for ((class, action), group) in &plan.groups {
        output.line(format_args!("{:>12}  {class}  {action}", show::count(group.objects)));
    }
    if plan.groups.is_empty() {
        output.line("nothing is due");
    }
    Ok(0)
}
