//! Limits of the guards, as an operator sets them for a data folder.

use crate::model::breaker::BreakerLimits;
use crate::model::clock_guard::ClockLimits;
use crate::model::text::Attribution;
use crate::platform::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::time::{Timestamp, whole_ms};
use std::time::Duration;

/// Longest span of a limit: 3,660 days.
const SPAN_MAX: Duration = Duration::from_hours(3_660 * 24);

/// Limits of the clock guard and of the breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardLimits {
    /// Limits beyond which the wall clock is not trusted.
    pub clock: ClockLimits,
    /// Limits on objects of a class that fall due at short notice.
    pub breaker: BreakerLimits,
}

impl GuardLimits {
    /// Refuses a limit that is out of its bounds.
    pub(crate) fn check(&self) -> Result<()> {
        let spans =
            [("clock_step_max", self.clock.step_max), ("clock_time_off_max", self.clock.time_off_max)];
        for (name, span) in spans {
            if span > SPAN_MAX {
                return Err(Error::invalid(format!(
                    "{name} of {} ms; at most {} ms are allowed",
                    span.as_millis(),
                    SPAN_MAX.as_millis()
                )));
            }
        }
        self.breaker.check()
    }
}

impl BreakerLimits {
    /// Refuses a share above 100 %.
    pub(crate) fn check(&self) -> Result<()> {
        match self.share_percent {
            0..=100 => Ok(()),
            percent => {
                Err(Error::invalid(format!("a breaker's share of {percent} %; at most 100 % is allowed")))
            }
        }
    }
}

/// Limits that are stored in a data folder, with the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "LimitsRecord", into = "LimitsRecord")]
#[non_exhaustive]
pub struct StoredLimits {
    /// Limits from the next opening on.
    pub limits: GuardLimits,
    /// Instant at which they were set.
    pub set: Timestamp,
    /// Person who set them, and the reason.
    pub attribution: Attribution,
}

/// Stored form of [`StoredLimits`].
#[derive(Clone, Serialize, Deserialize)]
struct LimitsRecord {
    clock_step_max_ms: u64,
    clock_time_off_max_ms: u64,
    breaker_objects: u64,
    breaker_share_percent: u8,
    set_ms: Timestamp,
    #[serde(flatten)]
    attribution: Attribution,
}

impl From<LimitsRecord> for StoredLimits {
    fn from(record: LimitsRecord) -> Self {
        let clock = ClockLimits {
            step_max: Duration::from_millis(record.clock_step_max_ms),
            time_off_max: Duration::from_millis(record.clock_time_off_max_ms),
        };
        let breaker =
            BreakerLimits { objects: record.breaker_objects, share_percent: record.breaker_share_percent };
        StoredLimits {
            limits: GuardLimits { clock, breaker },
            set: record.set_ms,
            attribution: record.attribution,
        }
    }
}

impl From<StoredLimits> for LimitsRecord {
    fn from(stored: StoredLimits) -> Self {
        let GuardLimits { clock, breaker } = stored.limits;
        LimitsRecord {
            clock_step_max_ms: whole_ms(clock.step_max),
            clock_time_off_max_ms: whole_ms(clock.time_off_max),
            breaker_objects: breaker.objects,
            breaker_share_percent: breaker.share_percent,
            set_ms: stored.set,
            attribution: stored.attribution,
        }
    }
}
