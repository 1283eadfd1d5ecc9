//! Changes of registered objects, in the engine and in the model.

use super::super::naive::{CLASSES, second_of};
use super::super::steps::key_bytes;
use super::{Run, instant, kind};
use sexton::{Change, Durability, ErrorKind, Which};

impl Run {
    /// Changes the live registration of a key, by key or by its first id. Returns the answer and the index of the
    /// registration.
    fn change(
        &mut self,
        key: u8,
        by_id: bool,
        change: impl FnOnce(Which<'_>) -> Change<'_>,
    ) -> (std::result::Result<(), ErrorKind>, Option<usize>) {
        let bytes = key_bytes(key);
        let (which, meant) = self.which(key, &bytes, by_id);
        (self.apply(change(which)), meant)
    }

    /// Returns the live registration of a key as a change names it, and its index.
    fn which<'b>(&self, key: u8, bytes: &'b [u8], by_id: bool) -> (Which<'b>, Option<usize>) {
        let meant = self.model.meant(key, by_id);
        let which = match meant {
            Some(at) if by_id => Which::Id(self.model.items[at].id),
            _ => Which::Key(bytes),
        };
        (which, meant)
    }

    fn apply(&self, change: Change<'_>) -> std::result::Result<(), ErrorKind> {
        let answer = self.engine().change(&[change], Durability::Synced).unwrap().remove(0);
        kind(answer).map(|_| ())
    }

    pub(super) fn start(&mut self, key: u8, by_id: bool, ago_ms: i64) {
        let now_ms = self.now_ms();
        let start_ms = now_ms - ago_ms;
        let (answer, at) = self.change(key, by_id, |of| Change::Start { of, start: instant(start_ms) });
        let live = at.map(|at| &mut self.model.items[at]);
        let expected = match &live {
            None => Err(ErrorKind::NotFound),
            Some(live) if !live.is_open && live.start_ms != start_ms => Err(ErrorKind::Invalid),
            Some(live) if live.is_open && (live.start_ms <= now_ms || start_ms > live.start_ms) => {
                Err(ErrorKind::Invalid)
            }
            Some(_) => Ok(()),
        };
        assert_eq!(answer, expected, "start {key}: {live:?}");
        if let (Ok(()), Some(live)) = (answer, live.filter(|live| live.is_open)) {
            (live.is_open, live.is_parked, live.outlasted) = (false, false, false);
            (live.is_clocked, live.doubt) = (false, None);
            live.fall_under(live.terms, start_ms, now_ms);
        }
    }

    pub(super) fn reschedule(&mut self, key: u8, by_id: bool, class: Option<usize>, ago_ms: Option<i64>) {
        let now_ms = self.now_ms();
        let start_ms = ago_ms.map(|ms| now_ms - ms);
        let name = class.map(|class| CLASSES[class].name);
        let start = start_ms.map(instant);
        let (answer, at) = self.change(key, by_id, |of| Change::Reschedule { of, class: name, start });
        let newest = class.map(|class| self.model.newest(class));
        // An object under a hold on its class cannot go to a class without that hold.
        let leaves_hold = at
            .map(|at| &self.model.items[at])
            .is_some_and(|live| class.is_some_and(|to| self.model.loses_hold(live, to, live.subject)));
        let live = at.map(|at| &mut self.model.items[at]);
        let expected = match &live {
            None => Err(ErrorKind::NotFound),
            _ if class.is_some_and(|class| self.model.closed.contains(&class)) => Err(ErrorKind::Invalid),
            Some(live) if newest.is_some_and(|to| to.by_key != live.terms.by_key) => Err(ErrorKind::Invalid),
            Some(live) if live.is_released => Err(ErrorKind::TooLate),
            Some(_) if leaves_hold => Err(ErrorKind::Held),
            Some(_) => Ok(()),
        };
        assert_eq!(answer, expected, "reschedule {key}: {live:?}");
        if let (Ok(()), Some(live)) = (answer, live) {
            let terms = newest.unwrap_or(live.terms);
            let is_stated = start_ms.is_some();
            let (start_ms, is_open) =
                start_ms.map_or_else(|| live.start_under(terms, now_ms), |start_ms| (start_ms, false));
            if (terms, is_open, start_ms) != (live.terms, live.is_open, live.start_ms) {
                live.class = class.unwrap_or(live.class);
                live.is_open = is_open;
                (live.is_parked, live.outlasted) = (false, false);
                if is_stated {
                    (live.is_clocked, live.doubt) = (false, None);
                }
                live.fall_under(terms, start_ms, now_ms);
            }
        }
    }

    /// States the content of an object, after it was stored with other content if `is_new`.
    pub(super) fn content(&mut self, key: u8, by_id: bool, is_new: bool, ago_ms: Option<i64>) {
        let now_ms = self.now_ms();
        let start_ms = ago_ms.map(|ms| now_ms - ms);
        let known = self.model.meant(key, by_id).map(|at| self.model.items[at].version.clone());
        let version = if is_new { self.put(key) } else { known.unwrap_or_default() };
        let start = start_ms.map(instant);
        let bytes = key_bytes(key);
        let (of, at) = self.which(key, &bytes, by_id);
        let answer = self.apply(Change::Content { of, version: &version, size: None, start });
        let live = at.map(|at| &mut self.model.items[at]);
        let expected = match &live {
            None => Err(ErrorKind::NotFound),
            Some(live) if live.is_released => Err(ErrorKind::TooLate),
            Some(_) => Ok(()),
        };
        assert_eq!(answer, expected, "content {key}: {live:?}");
        if let (Ok(()), Some(live)) = (answer, live) {
            let later_ms = start_ms.filter(|start_ms| *start_ms > live.start_ms);
            if later_ms.is_none() && live.version == version {
                return;
            }
            (live.version, live.maybe_deleted) = (version, false);
            match later_ms {
                Some(start_ms) => {
                    (live.is_open, live.is_parked, live.outlasted) = (false, false, false);
                    (live.is_clocked, live.doubt) = (false, None);
                    live.fall_under(live.terms, start_ms, now_ms);
                }
                None => (live.attempts, live.go_ms) = (0, live.go_ms.max(second_of(now_ms))),
            }
        }
    }

    pub(super) fn release(&mut self, key: u8, by_id: bool) {
        let now_ms = self.now_ms();
        let (answer, at) = self.change(key, by_id, |of| Change::Release { of });
        let is_held =
            at.is_some_and(|at| self.model.is_held(&self.model.items[at], self.model.items[at].class));
        let live = at.map(|at| &mut self.model.items[at]);
        let expected = match &live {
            None => Err(ErrorKind::NotFound),
            Some(live) if !live.is_released && is_held => Err(ErrorKind::Held),
            Some(_) => Ok(()),
        };
        assert_eq!(answer, expected, "release {key}: {live:?}");
        if let (Ok(()), Some(live)) = (answer, live.filter(|live| !live.is_released)) {
            live.release(now_ms);
        }
    }
}
