//! Metrics of the engine.

use super::families::{About, Families, about, bytes, count, seconds};
use sexton::decision::AlarmCause;
use sexton::report::{ClassStatus, ClassTally, ClockState, EngineState, Measures};
use sexton::{Engine, Timestamp};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Measures of the engine, and the age of the checkpoint that it published.
#[derive(Debug)]
pub(super) struct EngineMetrics {
    measures: Measures,
    checkpoint_age: Option<Duration>,
}

impl EngineMetrics {
    /// Reads the metrics of an engine, whose data folder is `data`.
    pub(super) fn read(engine: &Engine, data: &Path) -> sexton::Result<Self> {
        let measures = engine.measures()?;
        let written = fs::metadata(data.join("log").join("checkpoint")).and_then(|found| found.modified());
        // A clock that went back makes the age negative. It counts as none.
        let checkpoint_age = written.ok().map(|written| written.elapsed().unwrap_or_default());
        Ok(EngineMetrics { measures, checkpoint_age })
    }

    /// Writes the families of the engine.
    pub(super) fn write(&self, families: &mut Families<'_>) -> fmt::Result {
        let EngineMetrics { measures, checkpoint_age } = self;
        promises(families, measures)?;
        classes(families, measures)?;
        tallies(families, measures)?;
        state(families, measures)?;
        log(families, measures, *checkpoint_age)?;
        storage(families, measures)
    }
}

/// Number of a class.
type ClassNumber = (About, fn(&ClassStatus) -> u64);

const GAUGES: [ClassNumber; 4] = [
    (about("live_objects", "Registered objects that have not ended."), |class| class.live),
    (about("due_objects", "Live objects whose slot has begun, held ones included."), |class| class.due),
    (about("held_objects", "Live objects that legal holds keep past their due slot."), |class| class.held),
    (
        about("overdue_objects", "Live objects past their ceiling that no legal hold was found to keep."),
        |class| class.overdue - class.overdue_held,
    ),
];

const COUNTERS: [ClassNumber; 6] = [
    (about("registered_objects", "Objects registered."), |class| class.registered),
    (bytes("registered", "Bytes of registered objects whose size was given."), |class| {
        class.registered_bytes
    }),
    (bytes("deleted", "Bytes of deleted objects whose size was given."), |class| class.ended.deleted_bytes),
    (about("early_objects", "Objects that ended before their floor."), |class| class.ended.early),
    (about("late_objects", "Objects that ended after their ceiling, without a legal hold."), |class| {
        class.ended.late
    }),
    (
        about(
            "late_after_hold_objects",
            "Objects that ended after their ceiling, as a legal hold had kept them.",
        ),
        |class| class.ended.late_after_hold,
    ),
];

/// Writes what says if promises are kept.
fn promises(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let as_of = measures.status.as_of;
    let classes = || measures.status.classes.iter();
    for (about, value) in GAUGES {
        let values = classes().map(|(name, class)| ([("class", name.as_str())], count(value(class))));
        families.gauges(about, values)?;
    }
    let age = |since: Option<Timestamp>| since.map_or(0.0, |since| as_of.since(since).as_secs_f64());
    families.gauges(
        seconds("oldest_due_age", "Time since the first slot with due objects began, held ones excluded."),
        classes().map(|(name, class)| ([("class", name.as_str())], age(class.oldest_due))),
    )?;
    families.gauges(
        seconds("oldest_overdue_age", "Time since the earliest ceiling that passed, held objects included."),
        classes().map(|(name, class)| ([("class", name.as_str())], age(class.oldest_overdue))),
    )
}

/// Writes the totals of each class.
fn classes(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    for (about, value) in COUNTERS {
        let classes = measures.status.classes.iter();
        families.counters(about, classes.map(|(name, class)| ([("class", name.as_str())], value(class))))?;
    }
    let ends = measures.status.classes.iter().flat_map(|(name, class)| {
        let ended = &class.ended;
        let by_result = [
            ("deleted", ended.deleted),
            ("anonymised", ended.anonymised),
            ("requested", ended.requested),
            ("absent", ended.absent),
            ("absent_after_intent", ended.absent_after_intent),
            ("released", ended.released),
            ("replaced", ended.replaced),
        ];
        by_result.map(|(result, n)| ([("class", name.as_str()), ("result", result)], n))
    });
    families.counters(about("ended_objects", "Registrations that ended, by the method."), ends)
}

/// Writes what happened since the engine was opened.
fn tallies(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let tallies: Vec<(&str, ClassTally)> = measures
        .status
        .classes
        .keys()
        .map(|name| (name.as_str(), measures.tallies.get(name).copied().unwrap_or_default()))
        .collect();
    families.histograms(
        seconds("lateness", "Time from the ceiling of an object to its end; 0 if it ended in its window."),
        tallies.iter().map(|(name, tally)| ([("class", *name)], tally.outcomes.lateness)),
    )?;
    families.histograms(
        seconds("batch_duration", "Time of a batch from its planning to its commit."),
        tallies.iter().map(|(name, tally)| ([("class", *name)], tally.batches)),
    )?;
    let failures = tallies.iter().flat_map(|(name, tally)| {
        let outcomes = &tally.outcomes;
        let by_result =
            [("failed", outcomes.failed), ("refused", outcomes.refused), ("changed", outcomes.changed)];
        by_result.map(|(result, n)| ([("class", *name), ("result", result)], n))
    });
    families.counters(about("failures", "Objects that the store did not delete when asked."), failures)?;
    let reclaims = &measures.reclaims;
    families.counters(
        about("reclaims", "Passes that clear data of ended objects from the index."),
        [([("result", "done")], reclaims.done), ([("result", "failed")], reclaims.failed)],
    )?;
    families.gauges(
        seconds("reclaim_last_done_timestamp", "Instant of the last such pass that succeeded, Unix time."),
        reclaims.last_done.map(|at| ([], Duration::from_millis(at.unix_ms().unsigned_abs()).as_secs_f64())),
    )
}

/// Writes the state of the engine, and the conditions that need an operator.
fn state(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let status = &measures.status;
    let is = |yes: bool| f64::from(u8::from(yes));
    let gauges = [
        (
            about("running", "1 if the engine registers, deletes and signs."),
            is(status.state == EngineState::Running),
        ),
        (
            about("paused", "1 if nothing is deleted until the clock is right or an operator resumes it."),
            is(matches!(status.state, EngineState::Paused(_))),
        ),
        (
            about("poisoned", "1 if a write failed, and nothing is written until a restart."),
            is(matches!(status.state, EngineState::Poisoned(_))),
        ),
        (
            about("forked", "1 if the index is not the one that the published log was made from."),
            is(matches!(status.state, EngineState::Forked(_))),
        ),
        (
            about("batches_in_flight", "Batches handed out and not committed."),
            count(status.batches_in_flight),
        ),
        (about("holds", "Legal holds that stand."), count(status.holds)),
        (about("unreviewed_holds", "Legal holds past their review date."), count(measures.unreviewed_holds)),
        (about("overdue_erasures", "Open erasures past their date."), count(measures.overdue_erasures)),
        (
            seconds("clock_offset", "Wall clock minus the time that the engine trusts."),
            match status.clock {
                ClockState::Ahead { by } => by.as_secs_f64(),
                ClockState::Behind { by } => -by.as_secs_f64(),
                _ => 0.0,
            },
        ),
    ];
    gauges.into_iter().try_for_each(|(about, value)| families.gauge(about, value))?;
    alarms(families, measures)
}

/// Alarm of a class.
type ClassAlarm = (About, fn(String) -> AlarmCause);

/// Writes the alarms that stand: one family for each cause.
fn alarms(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let stands = |cause: &AlarmCause| {
        let stands = measures.status.alarms.iter().any(|alarm| alarm.cause == *cause);
        f64::from(u8::from(stands))
    };
    for (about, cause) in [
        (about("alarm_clock", "1 if deleting stopped as the wall clock stepped ahead."), AlarmCause::Clock),
        (
            about(
                "alarm_time_off",
                "1 if deleting stopped as the machine was off and its clock is not synchronised.",
            ),
            AlarmCause::TimeOff,
        ),
        (
            about("alarm_clock_behind", "1 if objects with a floor wait as the wall clock is behind."),
            AlarmCause::Behind,
        ),
    ] {
        families.gauge(about, stands(&cause))?;
    }
    let by_class: [ClassAlarm; 2] = [
        (
            about("alarm_absent", "1 if deleting of the class stopped as nearly all of a batch was absent."),
            |class| AlarmCause::Absent { class },
        ),
        (
            about(
                "alarm_breaker",
                "1 if the breaker stopped objects of the class that fell due at short notice.",
            ),
            |class| AlarmCause::Breaker { class },
        ),
    ];
    for (about, cause) in by_class {
        let classes = measures.status.classes.keys();
        families
            .gauges(about, classes.map(|name| ([("class", name.as_str())], stands(&cause(name.clone())))))?;
    }
    Ok(())
}

/// Writes the state of the transparency log.
fn log(families: &mut Families<'_>, measures: &Measures, checkpoint_age: Option<Duration>) -> fmt::Result {
    let status = &measures.status;
    families.gauge(about("log_entries", "Entries of the log."), count(status.log_size))?;
    families.gauge(
        about("log_published_entries", "Entries of the log that are published."),
        count(status.published_size),
    )?;
    families.gauge(
        about("publish_failing", "1 if the last publication of the log failed."),
        f64::from(u8::from(status.publish_error.is_some())),
    )?;
    families.gauges(
        seconds("checkpoint_age", "Time since the checkpoint of the log was written."),
        checkpoint_age.map(|age| ([], age.as_secs_f64())),
    )
}

/// Writes the space of the disk, and what the index uses.
fn storage(families: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    families.gauges(
        bytes("disk_free", "Free space of the disk of the data folder."),
        measures.disk_free_bytes.map(|free| ([], count(free))),
    )?;
    families.gauge(
        bytes("disk_reserve", "Free space below which registering is refused."),
        count(measures.disk_reserve_bytes),
    )?;
    let Some(index) = &measures.index else { return Ok(()) };
    [
        (bytes("index_memtable", "Memory of the memtables of the index."), index.memtable_bytes),
        (bytes("index_cache", "Memory of the block cache of the index."), index.cache_bytes),
        (bytes("index_reader", "Memory of open table files beside the block cache."), index.reader_bytes),
        (about("index_files", "Table files of the index."), index.table_files),
        (bytes("index_table", "Size of the table files of the index."), index.table_bytes),
        (bytes("index_wal", "Size of the write-ahead log of the index."), index.wal_bytes),
        (
            bytes("index_pending_compaction", "Bytes that compactions have yet to rewrite, estimated."),
            index.pending_compaction_bytes,
        ),
        (
            about("index_background_errors", "Flushes and compactions of the index that failed."),
            index.background_errors,
        ),
    ]
    .into_iter()
    .try_for_each(|(about, value)| families.gauge(about, count(value)))
}
