//! `sexton plan`: which objects will end when and why, and what delays them.

use super::args::{DataArgs, help};
use super::format::bounds;
use super::parse::{self, When};
use super::{alarm, open};
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::decision::Alarm;
use sexton::report::{Action, PlannedObject};
use sexton::{Engine, json};
use sexton_proof::id::printable;
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BinaryHeap};

/// Arguments of `sexton plan`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton plan /var/lib/sexton --until +30d --summary"))]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    data: DataArgs,
    /// End of the plan: RFC 3339, or + and a span from now
    #[arg(long, value_name = "WHEN", default_value = "+1d", value_parser = parse::until)]
    until: When,
    /// Largest number of objects to show; all are counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Count objects by class and action, and show none
    #[arg(long)]
    summary: bool,
}

/// Objects that fall due up to an instant.
pub(super) struct Plan {
    /// The earliest objects, in order of time.
    first: Vec<PlannedObject>,
    /// Counts of all objects, by class and action.
    pub(super) groups: BTreeMap<(String, String), Group>,
    /// Number of objects that an alarm stops.
    pub(super) stopped: u64,
}

/// Objects of one class with the same action.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) objects: u64,
    /// Number of these objects that will end after their ceiling, and that no lifted hold had kept.
    pub(super) late: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Group {
    /// Returns how many objects are late, in words; nothing if none is.
    pub(super) fn late_text(&self) -> String {
        if self.late == 0 { String::new() } else { format!(", {} late", format::count(self.late)) }
    }
}

/// Object of the plan, ordered by time.
struct ByTime(PlannedObject);

impl ByTime {
    fn order(&self) -> (Timestamp, &str, &[u8]) {
        (self.0.at, &self.0.class, &self.0.key)
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
    /// Returns the plan up to `until` with its `limit` earliest objects. Memory grows with the limit only.
    pub(super) fn of(engine: &Engine, until: Timestamp, limit: usize) -> Result<Plan, Failure> {
        let (now, mut stopped) = (engine.now(), 0);
        let mut first: BinaryHeap<ByTime> = BinaryHeap::new();
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        for object in engine.plan(until)? {
            let object = object?;
            let at = object.at;
            stopped += u64::from(matches!(object.action, Action::Stopped(_)));
            let group = groups.entry((object.class.clone(), action(&object.action))).or_insert(Group {
                objects: 0,
                late: 0,
                first: at,
                last: at,
            });
            group.objects += 1;
            group.late += u64::from(is_late(&object, now));
            group.first = group.first.min(at);
            group.last = group.last.max(at);
            first.push(ByTime(object));
            if first.len() > limit {
                first.pop();
            }
        }
        let first = first.into_sorted_vec().into_iter().map(|by_time| by_time.0).collect();
        Ok(Plan { first, groups, stopped })
    }

    fn objects(&self) -> u64 {
        self.groups.values().map(|group| group.objects).sum()
    }
}

pub(super) fn run(args: &PlanArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let as_of = engine.now();
    let until = args.until.resolve(as_of)?;
    let limit = if args.summary { 0 } else { args.limit as usize };
    let plan = Plan::of(&engine, until, limit)?;
    let alarms = engine.status()?.alarms;
    if args.data.json {
        output.json(&to_json(&plan, &alarms, as_of, until));
    } else {
        print(&plan, &alarms, args, until, output);
    }
    Ok(0)
}

/// Returns `true` if the object will be deleted after its ceiling, and no lifted hold had kept it.
fn is_late(object: &PlannedObject, now: Timestamp) -> bool {
    matches!(object.action, Action::Delete | Action::Anonymise)
        && object.reason != Reason::Lifted
        && object.ceiling.is_some_and(|ceiling| ceiling < object.at.max(now))
}

fn action(action: &Action) -> String {
    match action {
        Action::Delete => "delete".into(),
        Action::Anonymise => "anonymise".into(),
        Action::EndReplaced => "end, replaced".into(),
        Action::EndReleased => "end, released".into(),
        Action::Hold(name) => format!("keep, hold {:?}", name.as_str()),
        Action::WaitForFloor => "wait for the floor".into(),
        Action::Stopped(cause) => format!("stopped, alarm: {}", json::cause(cause)),
        // A later version of the engine may add actions.
        other => json::action(other).into(),
    }
}

fn print(plan: &Plan, alarms: &[Alarm], args: &PlanArgs, until: Timestamp, output: &mut Output) {
    alarm::print(alarms, output);
    for object in &plan.first {
        output.line(format_args!(
            "{}  {}  {}  {} ({}; {})",
            object.at,
            object.class,
            printable(&object.key),
            output.strong(action(&object.action)),
            format::reason(object.reason),
            bounds(object.floor, object.ceiling)
        ));
    }
    let more = plan.objects().saturating_sub(plan.first.len() as u64);
    if more > 0 && !args.summary {
        output.line(format_args!("and {} more; --limit shows more of them", format::count(more)));
    }
    if args.summary {
        for ((class, action), group) in &plan.groups {
            output.line(format_args!(
                "{:>12}  {class}  {}, from {} to {}{}",
                format::count(group.objects),
                output.strong(action),
                group.first,
                group.last,
                output.bad(group.late_text())
            ));
        }
    }
    if plan.groups.is_empty() {
        output.line(format_args!("nothing until {until}"));
    }
}

fn to_json(plan: &Plan, alarms: &[Alarm], as_of: Timestamp, until: Timestamp) -> Value {
    let group = |((class, action), group): (&(String, String), &Group)| {
        json!({
            "class": class,
            "action": action,
            "objects": group.objects,
            "late": group.late,
            "first_ms": group.first.unix_ms(),
            "last_ms": group.last.unix_ms(),
        })
    };
    json!({
        "as_of_ms": as_of.unix_ms(),
        "until_ms": until.unix_ms(),
        "alarms": alarms.iter().map(json::alarm).collect::<Vec<_>>(),
        "found": plan.objects(),
        "objects": plan.first.iter().map(json::planned_object).collect::<Vec<_>>(),
        "summary": plan.groups.iter().map(group).collect::<Vec<_>>(),
    })
}
