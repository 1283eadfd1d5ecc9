//! Metrics of sources.

use super::families::{Families, about, count, seconds};
use crate::sources::{SourceMeasures, SourceState};
use std::fmt;
use std::time::Duration;

/// Writes the families of all sources.
pub(super) fn write(families: &mut Families<'_>, sources: &[SourceMeasures]) -> fmt::Result {
    files(families, sources)?;
    scans(families, sources)?;
    states(families, sources)?;
    let failures = sources.iter().flat_map(|source| {
        let name = source.name.as_str();
        source.counts.failures.map(|(result, n)| ([("source", name), ("result", result)], n))
    });
    families
        .counters(about("source_failures", "Files that were not deleted or registered, by kind."), failures)
}

fn files(families: &mut Families<'_>, sources: &[SourceMeasures]) -> fmt::Result {
    let by_result = sources.iter().flat_map(|source| {
        let name = source.name.as_str();
        source.files.map(|(result, n)| ([("source", name), ("result", result)], count(n)))
    });
    families
        .gauges(about("source_files", "Files as of the last full scan and those found since."), by_result)?;
    families.gauges(
        seconds("source_intake_lag", "Age of the oldest complete file that waits for its registration."),
        sources.iter().map(|source| (of(source), source.intake_lag.as_secs_f64())),
    )?;
    families.gauges(
        about("source_limited_objects", "Objects whose deletion waits for the limit of the source."),
        sources.iter().map(|source| (of(source), count(source.counts.limited))),
    )
}

fn scans(families: &mut Families<'_>, sources: &[SourceMeasures]) -> fmt::Result {
    let unix = |ms: i64| Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    families.gauges(
        seconds("source_last_scan_timestamp", "End of the last full scan, Unix time."),
        sources.iter().filter_map(|source| Some((of(source), unix(source.last_scan?.unix_ms())))),
    )?;
    families.gauges(
        seconds("source_scan_duration", "Time that the last full scan took."),
        sources.iter().filter_map(|source| Some((of(source), source.scan_took?.as_secs_f64()))),
    )?;
    families.gauges(
        seconds(
            "source_scan_age",
            "Time since the last full scan, or the start; only while the source works.",
        ),
        sources.iter().filter_map(|source| Some((of(source), source.scan_age?.as_secs_f64()))),
    )?;
    families.gauges(
        seconds("source_scan_interval", "Time between two full scans, as configured."),
        sources.iter().map(|source| (of(source), source.rescan.as_secs_f64())),
    )
}

fn states(families: &mut Families<'_>, sources: &[SourceMeasures]) -> fmt::Result {
    for (about, state) in [
        (about("source_watching", "1 if events tell of new files."), SourceState::Watching),
        (
            about("source_rescanning", "1 if only full scans find the files of some folders."),
            SourceState::Rescanning,
        ),
        (about("source_listing", "1 if listings find the new objects of a bucket."), SourceState::Listing),
        (about("source_root_lost", "1 if the accepted root is not there."), SourceState::RootLost),
        (about("source_not_enabled", "1 if no root was accepted."), SourceState::NotEnabled),
        (
            about("source_not_working", "1 if the source cannot work, as its class is unknown."),
            SourceState::Refused,
        ),
    ] {
        let is_so = |source: &SourceMeasures| f64::from(u8::from(source.state == state));
        families.gauges(about, sources.iter().map(|source| (of(source), is_so(source))))?;
    }
    families.gauges(
        about("source_watched_folders", "Folders whose events tell of new files."),
        sources.iter().map(|source| (of(source), count(source.watched))),
    )?;
    families.counters(
        about("source_event_overflows", "Times at which events were lost, so that a full scan began."),
        sources.iter().map(|source| (of(source), source.counts.overflows)),
    )
}

fn of(source: &SourceMeasures) -> [(&'static str, &str); 1] {
    [("source", &source.name)]
}
