//! Open connections of a listener: their number is bounded, and idle ones make room for new ones.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Open connections of a listener.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Connections without a running request.
#[derive(Default)]
struct Idle {
    turns: Mutex<Turns>,
    /// Notified when a connection becomes idle.
    more: Notify,
}

#[derive(Default)]
struct Turns {
    next: u64,
    /// Signals to close, the one of the connection that is idle the longest first.
    idle: BTreeMap<u64, Arc<Notify>>,
}

/// Open connection. Dropping it makes room for another.
pub(super) struct Open {
    idle: Arc<Idle>,
    /// Turn among the idle connections; `None` while a request runs.
    turn: Mutex<Option<u64>>,
    close: Arc<Notify>,
    _room: OwnedSemaphorePermit,
}

/// Request that runs on a connection. Dropping it makes the connection idle, even if a part of the answer is not read yet.
pub(super) struct Running(Arc<Open>);

impl Connections {
    /// Returns the connections of a listener that has at most `max`.
    pub(super) fn new(max: usize) -> Self {
        Connections { room: Arc::new(Semaphore::new(max)), idle: Arc::default() }
    }

    /// Opens a connection. If there is no room, it closes the one that is idle the longest, or waits for one to become idle.
    ///
    /// `None` if the listener has ended.
    pub(super) async fn open(&self) -> Option<Open> {
        let room = loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                break room;
            }
            let oldest = self.idle.turns.lock().idle.pop_first();
            if let Some((_, close)) = oldest {
                close.notify_one();
                break Arc::clone(&self.room).acquire_owned().await.ok()?;
            }
            tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => break room.ok()?,
                () = self.idle.more.notified() => {}
            }
        };
        let (turn, close) = (Mutex::new(None), Arc::new(Notify::new()));
        let open = Open { idle: Arc::clone(&self.idle), turn, close, _room: room };
        open.rest();
        Some(open)
    }
}

impl Open {
    /// Waits until the connection is to close for another one.
    pub(super) async fn is_to_close(&self) {
        self.close.notified().await;
    }

    /// Begins a request. `None` if the connection is to close: the request must not run then.
    pub(super) fn run(self: &Arc<Self>) -> Option<Running> {
        let turn = self.turn.lock().take()?;
        self.idle.turns.lock().idle.remove(&turn)?;
        Some(Running(Arc::clone(self)))
    }

    /// Becomes idle.
    fn rest(&self) {
        let mut turns = self.idle.turns.lock();
        let turn = turns.next;
        turns.next += 1;
        turns.idle.insert(turn, Arc::clone(&self.close));
        *self.turn.lock() = Some(turn);
        drop(turns);
        self.idle.more.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.get_mut().take() {
            self.idle.turns.lock().idle.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(20);

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn connection_that_is_idle_the_longest_makes_room() {
        block_on(async {
            let connections = Connections::new(2);
            let first = Arc::new(connections.open().await.unwrap());
            let second = Arc::new(connections.open().await.unwrap());
            drop(first.run().unwrap());
            assert!(timeout(SHORT, connections.open()).await.is_err());
            second.is_to_close().await;
            assert!(second.run().is_none(), "a request ran on a connection that is to close");
            drop(second);
            assert!(connections.open().await.is_some());
            assert!(first.run().is_some());
        });
    }

    #[test]
    fn connection_with_a_request_is_not_closed() {
        block_on(async {
            let connections = Connections::new(1);
            let only = Arc::new(connections.open().await.unwrap());
            let running = only.run().unwrap();
            assert!(timeout(SHORT, connections.open()).await.is_err());
            drop(running);
            let next = async {
                only.is_to_close().await;
                drop(only);
            };
            let (open, ()) = tokio::join!(connections.open(), next);
            assert!(open.is_some());
        });
    }
}
