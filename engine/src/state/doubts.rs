//! Doubts about the clock: the times in which the wall clock was ahead or behind while objects were registered. And the
//! jumps ahead of the trusted time, by which it is known how wrong a clock was that an operator takes back.

use crate::model::clock_guard::{ClockState, Trusted, Verdict};
use crate::model::schema::{self, Doubt};
use crate::model::time_back::Jump;
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

impl InDoubt {
    /// Returns the instants of a registration at `now`. `None` if the clock is in no doubt.
    pub(crate) fn of(now: Trusted) -> Option<InDoubt> {
        now.is_in_doubt().then_some(InDoubt { wall: now.wall, expected: now.expected })
    }
}

/// Numbers of the doubts that have not ended, and their verdicts so far; the jumps ahead of the trusted time; and the number of
/// times that time was taken back.
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
    /// Number of the last doubt that began before this opening.
    opened: u32,
    /// Jumps of the present era.
    jumps: Vec<Jump>,
    /// Distance of the jumps of this opening, all together.
    jumped: Duration,
}

impl State {
    /// Returns the number of the last doubt that has a verdict or has ended.
    fn decided(&self) -> u32 {
        self.verdicts.last().map_or(self.ended, |(number, _)| *number)
    }

    /// Gives the doubts without a verdict this one.
    fn decide(&mut self, verdict: Verdict) {
        let opened = self.opened;
        let of = |number| (number, Verdict { is_unsure: number <= opened, ..verdict });
        let undecided = self.decided() + 1..=self.last;
        self.verdicts.extend(undecided.map(of));
    }
}

impl Doubts {
    /// Creates the record as it was stored: the numbers of the last doubt and of the last one that ended, and the present era
    /// with its jumps.
    pub(crate) fn new(last: u32, ended: u32, era: u32, jumps: Vec<Jump>) -> Self {
        let (verdicts, jumped) = (Vec::new(), Duration::ZERO);
        let state = Mutex::new(State { last, ended, verdicts, opened: last, jumps, jumped });
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
            state.last = next;
        }
        Ok(Doubt { number: state.last, wall, expected })
    }

    /// Takes the verdict of the clock guard on the doubts that have none, once the clock agrees. Notes a jump ahead.
    pub(crate) fn decide(&self, now: Trusted) {
        let mut state = self.state.lock();
        if now.state != ClockState::Agrees {
            return;
        }
        let by = now.jumped.saturating_sub(state.jumped);
        if !by.is_zero() {
            state.jumps.push(Jump { at: now.now.saturating_sub(by), by });
            state.jumped = now.jumped;
        }
        state.decide(now.verdict);
    }

    /// Decides the doubts that have no verdict, before time goes back. Their instants are those of the expected time, and go
    /// back with the time.
    pub(crate) fn decide_before_time_goes_back(&self) {
        let (lag, lead) = (Duration::ZERO, Duration::ZERO);
        self.state.lock().decide(Verdict { wall_was_right: true, lag, lead, is_unsure: false });
    }

    /// Returns the jumps ahead of the present era.
    pub(crate) fn jumps(&self) -> Vec<Jump> {
        self.state.lock().jumps.clone()
    }

    /// Forgets the jumps, because an era ended.
    pub(crate) fn clear_jumps(&self) {
        self.state.lock().jumps.clear();
    }

    /// Returns the doubts that have a verdict and have not ended, with their verdicts.
    pub(crate) fn decided(&self) -> Vec<(u32, Verdict)> {
        self.state.lock().verdicts.clone()
    }

    /// Returns the number of the last doubt that has ended. Rows of later ones may get another start.
    pub(crate) fn ended(&self) -> u32 {
        self.state.lock().ended
    }

    /// Returns the number of the last doubt that has a verdict or has ended.
    pub(crate) fn last_decided(&self) -> u32 {
        self.state.lock().decided()
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
