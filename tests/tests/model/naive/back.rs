//! Instants after the clock was wrong, or after an operator took time back.

use super::{Hold, Item, Wish, second_of};
use sexton_proof::record::Reason;

/// Time that went back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    /// Time that was accepted.
    pub(crate) to_ms: i64,
    pub(crate) by_ms: i64,
    /// Jumps ahead since time last went back: the instant before each, and its distance.
    pub(crate) jumps: Vec<(i64, i64)>,
    /// Time that was accepted when time last went back.
    pub(crate) since_ms: Option<i64>,
}

impl Back {
    /// Returns the true instant, or a later one if that is not known: all later jumps count as wrong.
    pub(super) fn correct(&self, ms: i64) -> i64 {
        let jumped_ms: i64 =
            self.jumps.iter().filter(|(at_ms, _)| *at_ms >= ms).map(|(_, by_ms)| by_ms).sum();
        match self.since_ms {
            _ if ms <= self.to_ms => ms,
            Some(since_ms) if ms < since_ms => self.to_ms,
            _ => (ms - (self.by_ms - jumped_ms).max(0)).min(self.to_ms),
        }
    }
}

impl Item {
    /// Corrects its time after the clock was wrong. Returns `true` if it moved.
    pub(super) fn correct_clock(&mut self, wish: Wish, backs: &[Back], holds: &[Hold], now_ms: i64) -> bool {
        match wish {
            Wish::Doubt(number, wall_was_right) => {
                let mine = self.doubt.filter(|doubt| doubt.number == number && self.is_clocked);
                if let Some(doubt) = mine {
                    let registered_ms = if wall_was_right { doubt.wall_ms } else { doubt.true_ms };
                    self.registered_at(registered_ms, holds, now_ms);
                    self.doubt = None;
                }
                mine.is_some()
            }
            Wish::Back(era) => self.set_back(era, &backs[era as usize - 1], holds, now_ms),
            _ => false,
        }
    }

    /// Returns the time from the registration to the start that is assumed; zero if the start is known.
    fn open_ms(&self) -> i64 {
        if self.is_open { self.start_ms - self.opened_ms } else { 0 }
    }

    /// Counts its time from another instant of registration. What is parked stays where it is.
    fn registered_at(&mut self, registered_ms: i64, holds: &[Hold], now_ms: i64) {
        let go_ms = self.go_ms;
        let open_ms = self.open_ms();
        self.opened_ms = registered_ms;
        self.fall_under(self.terms, registered_ms + open_ms, now_ms);
        self.keep_notice(go_ms, now_ms);
        self.wait_out(holds);
        if self.is_parked {
            self.go_ms = go_ms;
        }
    }

    /// Keeps what is left of the notice of a closing. What is released waits for nothing.
    fn keep_notice(&mut self, before_ms: i64, now_ms: i64) {
        let notice_ms = before_ms.min(now_ms + self.terms.slot_s * 1_000).max(now_ms);
        if self.is_released {
            self.go_ms = before_ms.min(second_of(now_ms));
        } else if self.reason == Reason::Closed {
            self.go_ms = self.terms.soonest_ms(self.floor_ms, notice_ms);
        }
    }

    /// Corrects it after time went back. Returns `true` if it moved.
    fn set_back(&mut self, era: u32, back: &Back, holds: &[Hold], now_ms: i64) -> bool {
        let open_ms = self.open_ms();
        let registered_ms = self.start_ms - open_ms;
        let before_ms = self.go_ms;
        let is_wrong = self.is_clocked && self.era < era && registered_ms > back.to_ms;
        let (attempts, outlasted) = (self.attempts, self.outlasted);
        let start_ms = if is_wrong { back.correct(registered_ms) + open_ms } else { self.start_ms };
        let stated_ms = self.stated_ms;
        if self.era < era {
            self.stated_ms = stated_ms.map(|ms| back.correct(ms));
        }
        self.fall_under(self.terms, start_ms, now_ms);
        self.keep_notice(before_ms, now_ms);
        self.wait_out(holds);
        if self.is_parked {
            self.go_ms = second_of(back.correct(before_ms).max(now_ms)).min(before_ms);
        }
        if is_wrong {
            (self.era, self.opened_ms) = (era, start_ms - open_ms);
        }
        let moves = is_wrong || self.go_ms < before_ms || self.stated_ms != stated_ms;
        if !moves {
            (self.go_ms, self.attempts, self.outlasted) = (before_ms, attempts, outlasted);
        }
        moves
    }
}
