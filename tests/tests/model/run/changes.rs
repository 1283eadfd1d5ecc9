//! Changes of registered objects, in the engine and in the model.

use super::super::naive::CLASSES;
use super::super::steps::{key_bytes, key_in};
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
            (live.is_open, live.is_clocked, live.doubt) = (false, false, None);
            live.fall_under_stated(live.terms, start_ms, now_ms);
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
        let leaves_hold = at.map(|at| &self.model.items[at]).is_some_and(|live| {
            class.is_some_and(|to| self.model.loses_hold(live, live.names(), to, live.subject))
        });
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
                if is_stated {
                    (live.is_clocked, live.doubt) = (false, None);
                }
                live.fall_under_stated(terms, start_ms, now_ms);
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
                    (live.is_open, live.is_clocked, live.doubt) = (false, false, None);
                    live.fall_under_stated(live.terms, start_ms, now_ms);
                }
                None => {
                    live.attempts = 0;
                    live.go_on(&self.model.holds, now_ms);
                }
            }
        }
    }

    /// Renames an object, in the store first. It replaces what is stored under the new key.
    pub(super) fn rename(&mut self, key: u8, by_id: bool, to: u8) {
        let now_ms = self.now_ms();
        let meant = self.model.meant(key, by_id);
        let by_key = meant.is_none_or(|at| self.model.items[at].terms.by_key);
        let to = key_in(to, by_key);
        if !by_key && self.model.meant(to, true).is_some() {
            return; // The store has one object per key, so only one registration may be live.
        }
        if meant.is_some()
            && to != key
            && let Some(version) = self.model.objects.remove(&key)
        {
            self.machine.store.remove(&key_bytes(key));
            self.machine.store.put(&key_bytes(to), &version);
            self.model.objects.insert(to, version);
        }
        let (bytes, new) = (key_bytes(key), key_bytes(to));
        let (of, at) = self.which(key, &bytes, by_id);
        let answer = self.apply(Change::Rename { of, to: &new });
        let there = self.model.live(to).map(|live| live.clone()).filter(|_| by_key);
        let live = at.map(|at| self.model.items[at].clone());
        let expected = match &live {
            // A repeated call.
            None if to != key && there.as_ref().is_some_and(|there| there.first == key) => Ok(()),
            None => Err(ErrorKind::NotFound),
            Some(live) if live.key == to => Ok(()),
            Some(live) if live.is_released => Err(ErrorKind::TooLate),
            Some(live) if self.model.loses_hold(live, [to, live.first], live.class, live.subject) => {
                Err(ErrorKind::Held)
            }
            Some(_) => Ok(()),
        };
        assert_eq!(answer, expected, "rename {key} to {to}: {live:?}");
        let Some(at) = at.filter(|at| answer.is_ok() && self.model.items[*at].key != to) else { return };
        if by_key && let Some(there) = self.model.live(to) {
            there.is_replaced = true;
        }
        let item = &mut self.model.items[at];
        (item.key, item.maybe_deleted, item.attempts) = (to, false, 0);
        item.go_on(&self.model.holds, now_ms);
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
