//! Table of the demonstration: deletions and their punctuality for each class.

use super::receipts::{End, Verified};
use super::{Registered, spread};
use crate::format;
use crate::output::Output;
use serde_json::{Value, json};
use sexton::{ClassSet, Status};
use sexton_proof::receipt::Compliance;
use sexton_proof::record::Method;
use sexton_proof::time::{Timestamp, whole_ms};
use std::time::Duration;

/// Median, 99th percentile and maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quantiles {
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Quantiles {
    fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        // The smallest value that this percentage of the values does not exceed.
        let at =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).unwrap_or_default());
        Quantiles { p50, p99, max }
    }

    fn json(self) -> Value {
        json!({ "p50": whole_ms(self.p50), "p99": whole_ms(self.p99), "max": whole_ms(self.max) })
    }
}

/// Row of the table for one class.
#[derive(Debug)]
pub(super) struct ClassReport {
    pub(super) class: &'static str,
    pub(super) registered: u64,
    pub(super) deleted: u64,
    pub(super) early: u64,
    pub(super) late: u64,
    /// Tombstone time − due instant.
    lateness: Quantiles,
    /// Tombstone time − beginning of the slot: the part of the lateness that was work.
    after_slot: Quantiles,
    /// Shortest time from a deletion to its ceiling, negative if the deletion was late.
    least_margin_ms: Option<i64>,
    /// `true` if the engine's own counts agree with the receipts.
    pub(super) engine_agrees: bool,
}

impl ClassReport {
    pub(super) fn json(&self) -> Value {
        json!({
            "class": self.class,
            "registered": self.registered,
            "deleted": self.deleted,
            "early": self.early,
            "late": self.late,
            "lateness_ms": self.lateness.json(),
            "after_slot_ms": self.after_slot.json(),
            "least_margin_ms": self.least_margin_ms,
            "engine_agrees": self.engine_agrees,
        })
    }
}

/// Returns the rows of the table. The number of registrations is the engine's; all else follows from valid receipts.
pub(super) fn classes(registered: &[Registered], verified: &Verified, status: &Status) -> Vec<ClassReport> {
    let class = |class: &'static str| {
        let registered = registered.iter().filter(|file| file.planned.class == class).count() as u64;
        let ends: Vec<&End> = verified.ends.iter().filter(|end| end.class == class).collect();
        let number = |is: fn(&End) -> bool| ends.iter().filter(|end| is(end)).count() as u64;
        let slot_and_lead = slot_and_lead(class);
        let since = |from: &dyn Fn(&End) -> Timestamp| {
            Quantiles::of(ends.iter().map(|end| end.time.since(from(end))).collect())
        };
        let (deleted, early, late) = (
            number(|end| end.method == Method::Deleted),
            number(|end| matches!(end.compliance, Compliance::Early { .. })),
            number(|end| matches!(end.compliance, Compliance::Late { .. })),
        );
        let engine = status.classes.get(class).copied().unwrap_or_default();
        let counts = engine.ended;
        ClassReport {
            class,
            registered,
            deleted,
            early,
            late,
            lateness: since(&|end| due(end, slot_and_lead)),
            after_slot: since(&|end| end.slot),
            least_margin_ms: margins_ms(&ends).min(),
            engine_agrees: (engine.registered, counts.deleted, counts.early, counts.late)
                == (registered, deleted, early, late),
        }
    };
    spread::classes().map(class).collect()
}

/// Returns the sum of slot width and lead of a class.
fn slot_and_lead(class: &str) -> Duration {
    let classes = ClassSet::built_in();
    let found = classes.iter().find(|definition| definition.name == class);
    found.map_or(Duration::ZERO, |definition| definition.slot + definition.lead)
}

/// Returns the due instant: the floor if one is promised, otherwise the ceiling less slot and lead.
fn due(end: &End, slot_and_lead: Duration) -> Timestamp {
    let ceiling = end.ceiling.unwrap_or(Timestamp::MAX);
    end.floor.unwrap_or_else(|| ceiling.saturating_sub(slot_and_lead))
}

/// Returns the time from each deletion to its ceiling, negative if the deletion was late.
fn margins_ms<'a>(ends: &'a [&End]) -> impl Iterator<Item = i64> + 'a {
    ends.iter().filter_map(|end| Some(end.ceiling?.unix_ms() - end.time.unix_ms()))
}

/// Prints the table, one line per class, with an explanation.
pub(super) fn table(classes: &[ClassReport], output: &mut Output) {
    let row = |cells: [&str; 10]| {
        let [class, registered, deleted, early, late, p50, p99, max, work, margin] = cells;
        format!(
            "{class:<10} {registered:>10} {deleted:>8} {early:>6} {late:>5}  {p50:>12} {p99:>12} {max:>12}  \
             {work:>8} {margin:>12}"
        )
    };
    let heads = [
        "class",
        "registered",
        "deleted",
        "early",
        "late",
        "lateness p50",
        "p99",
        "max",
        "work max",
        "least margin",
    ];
    output.line(output.strong(row(heads)));
    for c in classes {
        let [registered, deleted, early, late] =
            [c.registered, c.deleted, c.early, c.late].map(format::count);
        let Quantiles { p50, p99, max } = c.lateness;
        let [p50, p99, max, work] = [p50, p99, max, c.after_slot.max].map(format::length);
        let margin = c.least_margin_ms.map_or("-".into(), |ms| {
            let sign = if ms < 0 { "-" } else { "" };
            format!("{sign}{}", format::length(Duration::from_millis(ms.unsigned_abs())))
        });
        output.line(row([c.class, &registered, &deleted, &early, &late, &p50, &p99, &max, &work, &margin]));
    }
    for explanation in [
        "lateness: from the due instant (the floor; if none is promised, the ceiling less slot and lead) to the time of \
         the tombstone",
        "work: the part of it after the beginning of the slot; before that the object waits for the slot. Least margin: \
         shortest time from a deletion to its ceiling",
    ] {
        output.line(output.faint(explanation));
    }
    output.line("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let of = |values: &[u64]| Quantiles::of(values.iter().copied().map(Duration::from_millis).collect());
        let quantiles = |values: [u64; 3]| {
            let [p50, p99, max] = values.map(Duration::from_millis);
            Quantiles { p50, p99, max }
        };
        assert_eq!(of(&[]), quantiles([0, 0, 0]));
        assert_eq!(of(&[7]), quantiles([7, 7, 7]));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), quantiles([50, 99, 100]));
        assert_eq!(of(&[1, 2, 3]), quantiles([2, 3, 3]));
    }
}
