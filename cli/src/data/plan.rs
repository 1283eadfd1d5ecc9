//! `sexton plan`: which objects will end when and why, and what delays them.

use super::alarm;
use super::args::{DataArgs, help};
use super::format::bounds;
use super::host::{Host, Reply};
use super::parse::{self, When};
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::Value;
use sexton::Engine;
use sexton_proof::time::Timestamp;
use sexton_service::api::{self, GetPlan, Limit, PLAN_OBJECTS_MAX};
use sexton_service::outlook::{self, Outlook};
use std::collections::BTreeMap;

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

/// Counts of the objects that fall due up to an instant, for `sexton enforce --dry-run`.
pub(super) struct Plan {
    /// Counts by class and action.
    pub(super) groups: BTreeMap<(String, String), Group>,
    /// Number of objects that an alarm stops.
    pub(super) stopped: u64,
}

/// Objects of one class with the same action.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) objects: u64,
    pub(super) late: u64,
}

impl Plan {
    /// Returns the counts up to `until`.
    pub(super) fn of(engine: &Engine, until: Timestamp, limit: usize) -> Result<Plan, Failure> {
        let outlook = Outlook::of(engine, until, None, limit)?;
        let group = |group: outlook::Group| Group { objects: group.objects, late: group.late };
        let groups = outlook.groups.into_iter().map(|(name, counts)| (name, group(counts))).collect();
        Ok(Plan { groups, stopped: outlook.stopped })
    }
}

impl Group {
    /// Returns how many objects are late, in words; nothing if none is.
    pub(super) fn late_text(&self) -> String {
        late_text(self.late)
    }
}

/// Returns how many objects are late, in words; nothing if none is.
fn late_text(late: u64) -> String {
    if late == 0 { String::new() } else { format!(", {} late", format::count(late)) }
}

pub(super) fn run(args: &PlanArgs, output: &mut Output) -> Result<u8, Failure> {
    let host = Host::of(&args.data)?;
    let until = args.until.resolve(host.now()?)?;
    let limit = if args.summary { 0 } else { args.limit };
    let (value, plan) = read(&host, until, limit)?;
    if args.data.json {
        output.json(&value);
    } else {
        print(&plan, args, until, output);
    }
    Ok(0)
}

/// Returns the plan with its `limit` earliest objects, read in pages.
fn read(host: &Host, until: Timestamp, limit: u32) -> Result<(Value, api::Plan), Failure> {
    let page = |after: Option<String>, left: u32| {
        let limit = Limit(left.min(PLAN_OBJECTS_MAX));
        host.call(GetPlan { until_ms: until.unix_ms(), limit, after }).map(Reply::into_parts)
    };
    let (mut value, mut plan) = page(None, limit)?;
    while let Some(after) = plan.next.take()
        && let left = limit.saturating_sub(u32::try_from(plan.objects.len()).unwrap_or(u32::MAX))
        && left > 0
    {
        let (mut more, next) = page(Some(after), left)?;
        plan.objects.extend(next.objects);
        plan.next = next.next;
        if let (Value::Array(all), Value::Array(more)) = (&mut value["objects"], &mut more["objects"]) {
            all.append(more);
        }
    }
    // The command has no pages, and words of the actions are for people.
    if let Value::Object(fields) = &mut value {
        fields.remove("next");
    }
    for object in value["objects"].as_array_mut().into_iter().flatten() {
        if let Value::Object(fields) = object {
            fields.remove("action_text");
        }
    }
    Ok((value, plan))
}

/// Returns the key of an object, with the one that it was registered under if it was renamed.
fn names(object: &api::PlannedObject) -> String {
    match &object.first_key {
        Some(first) => format!("{} (first {first})", object.key),
        None => object.key.clone(),
    }
}

fn print(plan: &api::Plan, args: &PlanArgs, until: Timestamp, output: &mut Output) {
    let instant = Timestamp::from_unix_ms;
    alarm::print(&plan.alarms, output);
    for object in &plan.objects {
        output.line(format_args!(
            "{}  {}  {}  {} ({}; {})",
            instant(object.at_ms),
            object.class,
            names(object),
            output.strong(&object.action_text),
            format::reason_of(&object.reason),
            bounds(object.floor_ms.map(instant), object.ceiling_ms.map(instant))
        ));
    }
    let more = plan.found.saturating_sub(plan.objects.len() as u64);
    if more > 0 && !args.summary {
        output.line(format_args!("and {} more; --limit shows more of them", format::count(more)));
    }
    if args.summary {
        for group in &plan.summary {
            output.line(format_args!(
                "{:>12}  {}  {}, from {} to {}{}",
                format::count(group.objects),
                group.class,
                output.strong(&group.action),
                instant(group.first_ms),
                instant(group.last_ms),
                output.bad(late_text(group.late))
            ));
        }
    }
    if plan.summary.is_empty() {
        output.line(format_args!("nothing until {until}"));
    }
}
