//! `sexton enforce`: deletes what is due now, once.

mod prune;
mod report;

use super::args::{MutatingArgs, help};
use super::host::Host;
use super::open::spinner;
use super::plan::{Group, Plan};
use super::receipts::{self, Wanted};
use super::roots;
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use prune::Folders;
use report::{ALL_IN_TIME, Answers, EARLY_OR_LATE, Ends, Enforced, NOT_ALL};
use serde_json::{Value, json};
use sexton::store::dir::DirStore;
use sexton::store::{Answer, Store, SubBatch};
use sexton::{Engine, ErrorKind, Opener, RegistrationId};
use std::path::PathBuf;

/// Objects that are handed to the store at once.
const SUB_BATCH_OBJECTS: usize = 1_000;

/// Arguments of `sexton enforce`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton enforce /var/lib/sexton --dir /srv/uploads",
    "some objects were not deleted or got no receipt, or some folders were not\n     \
     removed, and are listed; or an operator is needed, as `sexton status`\n     \
     shows: an alarm stands, an object is still overdue, …",
    "some objects ended before their floor or after their ceiling; apart from\n     that as 0",
    in steps
))]
pub(crate) struct EnforceArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Folder whose files are the objects, a root of the data folder
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Write a receipt for each object that ends into this folder; created if it is missing
    #[arg(long, value_name = "FOLDER", conflicts_with = "dry_run")]
    receipts: Option<PathBuf>,
    /// Remove the folders of objects that end if they are empty; a host that writes there has to create them again
    #[arg(long)]
    prune_empty: bool,
}

pub(super) fn run(args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = Host::work(
        &args.common,
        "deletes what is due by itself: `sexton status` shows what is due or late, and `sexton plan` why",
    )?;
    if args.common.dry_run {
        return run_dry(&engine, args, output);
    }
    let store = roots::store(&engine, &args.common.data.folder, &args.dir)?;
    let enforced = enforce(&engine, &store, args)?;
    let reclaimed = engine.reclaim();
    if args.common.data.json {
        output.json(&enforced.json());
    } else {
        enforced.print(output);
    }
    // This comes last: the deletions are recorded, and only the residue of their rows may still be in the index.
    match reclaimed {
        Err(busy) if busy.kind() == ErrorKind::Busy => output::message(busy),
        other => other?,
    }
    Ok(enforced.code())
}

/// Deletes what is due, batch by batch. Writes the receipts of each batch and removes emptied folders, if asked to.
fn enforce(engine: &Engine, store: &DirStore, args: &EnforceArgs) -> Result<Enforced, Failure> {
    let receipts = args.receipts.as_deref();
    let mut emptied = Folders::default();
    let before = Ends::of(&engine.status()?);
    let (mut answers, mut written, mut no_receipt) = (Answers::default(), 0, Vec::new());
    let bar = spinner("enforcing");
    while let Some(mut batch) = engine.next_batch()? {
        let mut ended = Vec::new();
        let delete = |part: &SubBatch<'_>| {
            let given = store.delete(part);
            for (object, answer) in part.objects.iter().zip(&given) {
                answers.add(object.key, answer);
                // An absent object may be one that an interrupted enforcement deleted.
                if args.prune_empty && matches!(answer, Answer::Deleted | Answer::Absent) {
                    emptied.add_above(object.key);
                }
                ended.push(matches!(
                    answer,
                    Answer::Deleted | Answer::Anonymised(_) | Answer::Absent | Answer::Requested
                ));
            }
            given
        };
        batch.delete_with(SUB_BATCH_OBJECTS, delete, || engine.now());
        let ended = batch.objects().zip(ended).filter(|(_, ended)| *ended && receipts.is_some());
        let ended: Vec<(Vec<u8>, RegistrationId)> =
            ended.map(|(object, _)| (object.first_key.to_vec(), object.id)).collect();
        engine.complete(batch)?;
        if let Some(folder) = receipts {
            let wanted = ended.iter().map(|(key, id)| Wanted::in_folder(folder, *id, Opener::Key(key)));
            let issued = receipts::issue(engine, folder, wanted.collect())?;
            written += issued.written.len() as u64;
            no_receipt.extend(issued.refused.into_iter().map(|(wanted, why)| (wanted.name(), why)));
        }
    }
    bar.finish_and_clear();
    let pruned = args.prune_empty.then(|| emptied.remove(store.root()));
    let status = engine.status()?;
    let needs = engine.needs(&status)?;
    let live: u64 = status.classes.values().map(|class| class.live).sum();
    Ok(Enforced {
        answers,
        ends: Ends::of(&status).since(&before),
        needs,
        next: engine.next_due().filter(|_| live > 0),
        status,
        receipts: receipts.map(|_| written),
        no_receipt,
        pruned,
    })
}

/// Reports what enforcement would do now, as far as the engine knows without the answers of the store.
fn run_dry(engine: &Engine, args: &EnforceArgs, output: &mut Output) -> Result<u8, Failure> {
    let root = roots::known(engine, &args.common.data.folder, &args.dir)?;
    let plan = Plan::of(engine, engine.now(), 0)?;
    let pruned = args.prune_empty.then(|| Folders::would_remove(engine, &root)).transpose()?;
    let state = engine.state();
    let (state, why) = state.word_and_reason();
    let late: u64 = plan.groups.values().map(|group| group.late).sum();
    if args.common.data.json {
        let group = |((class, action), group): (&(String, String), &Group)| -> Value {
            json!({ "class": class, "action": action, "objects": group.objects, "late": group.late })
        };
        output.json(&json!({
            "dry_run": true,
            "would": plan.groups.iter().map(group).collect::<Vec<_>>(),
            "late": late,
            "stopped": plan.stopped,
            "folders_removed": pruned,
            "state": state,
            "why": why,
        }));
    } else {
        print_dry(&plan, why, output);
        if let Some(pruned) = pruned {
            output.line(format_args!("{:>12} empty folders would be removed", format::count(pruned)));
        }
    }
    Ok(match () {
        () if plan.stopped > 0 || why.is_some() => NOT_ALL,
        () if late > 0 => EARLY_OR_LATE,
        () => ALL_IN_TIME,
    })
}

fn print_dry(plan: &Plan, why: Option<&str>, output: &mut Output) {
    for ((class, action), group) in &plan.groups {
        let objects = format::count(group.objects);
        output.line(format_args!("{objects:>12}  {class}  {action}{}", output.bad(group.late_text())));
    }
    if plan.groups.is_empty() {
        output.line("nothing is due");
    }
    if let Some(why) = why {
        output.line(output.bad(format_args!("nothing would be deleted: {why}")));
    } else if plan.stopped > 0 {
        output.line(output.bad(format_args!("{} would be stopped", format::count(plan.stopped))));
    }
}
