//! Doubts about the clock: the times in which the wall clock was ahead or behind while objects were registered.

use crate::model::clock_guard::{ClockState, Trusted, Verdict};
use crate::model::schema::{self, Doubt};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::writer::Writer;
use parking_lot::Mutex;
use sexton_proof::time::Timestamp;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Instants of a registration whose clock is in doubt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InDoubt {
    /// Present instant if the wall clock is right.
    pub(crate) wall: Timestamp,
    /// Present instant if the wall clock is wrong.
    pub(crate) expected: Timestamp,
}

/// Interval of the wall clock at which it is noted in a doubt.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// Numbers of the doubts that have not ended, and their verdicts so far; and the number of times that time was taken back.
pub(crate) struct Doubts {
    state: Mutex<State>,
    era: AtomicU32,
}

struct State {
    /// Number of the last doubt that began.
    last: u32,
    /// Number of the last doubt whose end is on disk.
    ended: u32,
    /// Verdicts of doubts after `ended`, in ascending order of their numbers. They are only in memory: after a restart, one
    /// verdict counts for all doubts that are open.
    verdicts: Vec<(u32, Verdict)>,
    /// Latest wall time that was noted in the last doubt of this opening.
    wall: Timestamp,
    /// Number of the last doubt that began before this opening.
    opened: u32,
}

impl State {
    /// Returns the number of the last doubt that has a verdict or has ended.
    fn decided(&self) -> u32 {
        self.verdicts.last().map_or(self.ended, |(number, _)| *number)
    }
}

impl Doubts {
    pub(crate) fn new(last: u32, ended: u32, era: u32) -> Self {
        let (verdicts, wall) = (Vec::new(), Timestamp::MIN);
        let state = Mutex::new(State { last, ended, verdicts, wall, opened: last });
        Doubts { state, era: AtomicU32::new(era) }
    }

    /// Returns the number of times that an operator took time back.
    pub(crate) fn era(&self) -> u32 {
        self.era.load(Ordering::SeqCst)
    }

    /// Begins the next era, before time goes back. The caller holds `Classes::closing` exclusively.
    pub(crate) fn begin_era(&self) -> u32 {
        self.era.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Returns the doubt of a registration. The first one of a doubt begins it, durably.
    ///
    /// The caller holds `Classes::closing` shared until its rows are written, so the doubt does not end before that. A crash
    /// after the write leaves a doubt without rows, which ends like any other.
    pub(crate) fn current(&self, writer: &Writer, in_doubt: InDoubt) -> Result<Doubt> {
        let InDoubt { wall, expected } = in_doubt;
        let mut state = self.state.lock();
        if state.last == state.decided() {
            let mut set = WriteSet::default();
            let next = state.last.saturating_add(1);
            set.put(ColumnFamily::Meta, schema::DOUBT, &schema::encode_number(next.into()));
            writer.write_durably(set)?;
            (state.last, state.wall) = (next, wall);
        }
        Ok(Doubt { number: state.last, wall, expected })
    }

    /// Takes the verdict of the clock guard on the doubts that have none, once the clock agrees.
    pub(crate) fn decide(&self, now: Trusted) {
        let mut state = self.state.lock();
        if now.state != ClockState::Agrees || state.last == state.decided() {
            return;
        }
        // A wall clock that is earlier than it was in the doubt was set back.
        let wall_was_right = now.verdict.wall_was_right && state.wall <= now.wall;
        let opened = state.opened;
        let undecided = state.decided() + 1..=state.last;
        let verdict = |number| Verdict { wall_was_right, is_unsure: number <= opened, ..now.verdict };
        state.verdicts.extend(undecided.map(|number| (number, verdict(number))));
    }

    /// Notes the wall clock at intervals while a doubt lasts.
    pub(crate) fn note_wall(&self, wall: Timestamp) {
        let mut state = self.state.lock();
        if state.last > state.decided() && wall.since(state.wall) >= NOTE_EVERY {
            state.wall = wall;
        }
    }

    /// Returns the doubts that have a verdict and have not ended, with their verdicts.
    pub(crate) fn decided(&self) -> Vec<(u32, Verdict)> {
        self.state.lock().verdicts.clone()
    }

    /// Stages the end of a doubt.
    pub(crate) fn stage_end(set: &mut WriteSet, number: u32) {
        set.put(ColumnFamily::Meta, schema::DOUBT_ENDED, &schema::encode_number(number.into()));
    }

    /// Ends a doubt, once its end is durable.
    pub(crate) fn end(&self, number: u32) {
        let mut state = self.state.lock();
        state.ended = number;
        state.verdicts.retain(|(decided, _)| *decided > number);
    }
}
