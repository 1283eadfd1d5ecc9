//! `sexton plan`: what goes when and why, and what is held back by what.

use crate::args::PlanArgs;
use crate::output::{Failure, Output};
use crate::{alarms, folder, show};
use serde_json::{Value, json};
use sexton::{Action, Alarm, Engine, Forecast, json};
use sexton_proof::id::printable;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::ControlFlow;

/// What is to come up to an instant.
pub(crate) struct Plan {
    /// The earliest of them, in order.
    pub(crate) first: Vec<Forecast>,
    /// All of them, by class and by what will be done.
    pub(crate) groups: BTreeMap<(String, String), Group>,
}

/// Objects of a class with which the same will be done.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) objects: u64,
    first_ms: i64,
    last_ms: i64,
}

/// A forecast in the order of time.
struct ByTime(Forecast);

impl ByTime {
    fn order(&self) -> (i64, &str, &[u8]) {
        (self.0.at_ms, &self.0.class, &self.0.key)
    }
}

impl Ord for ByTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for ByTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByTime {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for ByTime {}

impl Plan {
    /// The plan up to `until_ms`, with the `limit` earliest objects. Memory follows the limit, not what is stored.
    pub(crate) fn of(engine: &Engine, until_ms: i64, limit: usize) -> Result<Plan, Failure> {
        let mut first: BinaryHeap<ByTime> = BinaryHeap::new();
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        engine.plan(until_ms, &mut |forecast| {
            let at_ms = forecast.at_ms;
            let group = groups.entry((forecast.class.clone(), action(&forecast.action))).or_insert(Group {
                objects: 0,
                first_ms: at_ms,
                last_ms: at_ms,
            });
            group.objects += 1;
            group.first_ms = group.first_ms.min(at_ms);
            group.last_ms = group.last_ms.max(at_ms);
            first.push(ByTime(forecast));
            if first.len() > limit {
                first.pop();
            }
            ControlFlow::Continue(())
        })?;
        let first = first.into_sorted_vec().into_iter().map(|one| one.0).collect();
        Ok(Plan { first, groups })
    }

    fn objects(&self) -> u64 {
        self.groups.values().map(|group| group.objects).sum()
    }
}

pub(crate) fn run(args: &PlanArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let as_of_ms = engine.now_ms();
    let until_ms = args.until.ms(as_of_ms)?;
    let limit = if args.summary { 0 } else { args.limit as usize };
    let plan = Plan::of(&engine, until_ms, limit)?;
    let alarms = engine.status()?.alarms;
    if args.data.json {
        output.json(&json_of(&plan, &alarms, as_of_ms, until_ms));
    } else {
        text(&plan, &alarms, args, until_ms, output);
    }
    Ok(0)
}

/// What will be done, in words.
fn action(action: &Action) -> String {
    match action {
        Action::Delete => "delete".into(),
        Action::Anonymise => "anonymise".into(),
        Action::EndReplaced => "end, replaced".into(),
        Action::EndReleased => "end, released".into(),
        Action::Hold(name) => format!("keep, hold {name:?}"),
        Action::WaitForFloor => "wait for the floor".into(),
        Action::Stopped(cause) => format!("stopped, alarm: {}", json::cause(cause)),
    }
}

fn text(plan: &Plan, alarms: &[Alarm], args: &PlanArgs, until_ms: i64, output: &mut Output) {
    alarms::list(alarms, output);
    for one in &plan.first {
        output.line(format_args!(
            "{}  {}  {}  {} ({}; {})",
            show::instant(one.at_ms),
            one.class,
            printable(&one.key),
            output.strong(action(&one.action)),
            show::reason(one.reason),
            show::bounds(one.floor_ms, one.ceiling_ms)
        ));
    }
    let more = plan.objects().saturating_sub(plan.first.len() as u64);
    if more > 0 && !args.summary {
        output.line(format_args!("and {} more; --limit shows more of them", show::count(more)));
    }
    if args.summary {
        for ((class, action), group) in &plan.groups {
            output.line(format_args!(
                "{:>12}  {class}  {}, from {} to {}",
                show::count(group.objects),
                output.strong(action),
                show::instant(group.first_ms),
                show::instant(group.last_ms)
            ));
        }
    }
    if plan.groups.is_empty() {
        output.line(format_args!("nothing until {}", show::instant(until_ms)));
    }
}

fn json_of(plan: &Plan, alarms: &[Alarm], as_of_ms: i64, until_ms: i64) -> Value {
    let group = |((class, action), group): (&(String, String), &Group)| {
        json!({
            "class": class,
            "action": action,
            "objects": group.objects,
            "first_ms": group.first_ms,
            "last_ms": group.last_ms,
        })
    };
    json!({
        "as_of_ms": as_of_ms,
        "until_ms": until_ms,
        "alarms": alarms.iter().map(json::alarm).collect::<Vec<_>>(),
        "found": plan.objects(),
        "objects": plan.first.iter().map(json::forecast).collect::<Vec<_>>(),
        "summary": plan.groups.iter().map(group).collect::<Vec<_>>(),
    })
}
