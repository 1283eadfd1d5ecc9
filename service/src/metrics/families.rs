//! Families: metrics of one name, written one after the other.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use sexton::report::Distribution;
use std::fmt::Result;
use std::time::Duration;

/// Labels of a metric: names and values.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// Writer of metric families.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

/// Name, help and unit of a family. The unit is appended to the name.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) unit: Option<&'static Unit>,
    pub(super) help: &'static str,
}

/// Returns the description of a family that counts.
pub(super) const fn about(name: &'static str, help: &'static str) -> About {
    About { name, unit: None, help }
}

/// Returns the description of a family of spans.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> About {
    About { name, unit: Some(&Unit::Seconds), help }
}

/// Returns the description of a family of sizes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> About {
    About { name, unit: Some(&Unit::Bytes), help }
}

impl Families<'_> {
    /// Writes a gauge without labels.
    pub(super) fn gauge(&mut self, about: About, value: f64) -> Result {
        self.gauges(about, [([], value)])
    }

    /// Writes a family of gauges.
    pub(super) fn gauges<'v, const N: usize>(
        &mut self,
        about: About,
        values: impl IntoIterator<Item = (Labels<'v, N>, f64)>,
    ) -> Result {
        let mut family = self.0.encode_descriptor(about.name, about.help, about.unit, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// Writes a family of counters.
    pub(super) fn counters<'v, const N: usize>(
        &mut self,
        about: About,
        values: impl IntoIterator<Item = (Labels<'v, N>, u64)>,
    ) -> Result {
        let mut family = self.0.encode_descriptor(about.name, about.help, about.unit, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// Writes a family of histograms.
    pub(super) fn histograms<'v, const N: usize>(
        &mut self,
        about: About,
        values: impl IntoIterator<Item = (Labels<'v, N>, Distribution)>,
    ) -> Result {
        let mut family =
            self.0.encode_descriptor(about.name, about.help, about.unit, MetricType::Histogram)?;
        for (labels, spans) in values {
            let bound = |longest: Option<Duration>| longest.map_or(f64::INFINITY, |span| span.as_secs_f64());
            let buckets: Vec<(f64, u64)> = spans.buckets().map(|(longest, n)| (bound(longest), n)).collect();
            let (sum, count) = (spans.sum().as_secs_f64(), spans.count());
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// Returns a count as the value of a gauge. Counts beyond 2^53 lose their last digits.
pub(super) fn count(n: u64) -> f64 {
    n as f64
}
