//! Threads that enforce: each takes the next batch, has the store delete it, hands it back, and waits when nothing
//! is due. Thin drivers over [`Engine::next_batch`] and [`Engine::complete`].

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::Store;
use crossbeam::channel::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Enforcing threads.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// How many, at least 1.
    pub threads: usize,
    /// How long a thread waits, once nothing was due, before it looks again.
    pub idle: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        WorkerOptions { threads: 2, idle: Duration::from_millis(200) }
    }
}

/// Running threads. Dropping it stops them as [`Worker::stop`] does, without telling what failed.
pub struct Worker {
    engine: Arc<Engine>,
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Worker {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Invalid` for no threads; `Io` where the system starts none.
    pub fn start(engine: &Arc<Engine>, store: &Arc<dyn Store>, options: WorkerOptions) -> Result<Worker> {
        if options.threads == 0 {
            return Err(Error::invalid("0 threads; at least 1 is needed"));
        }
        // Nothing is ever sent: that the sender is gone is the sign to stop, and wakes all who wait.
        let (stop, stopped) = channel::bounded::<()>(0);
        let mut worker = Worker { engine: Arc::clone(engine), stop: Some(stop), threads: Vec::new() };
        for number in 0..options.threads {
            let (engine, store, stopped) = (Arc::clone(engine), Arc::clone(store), stopped.clone());
            let thread = thread::Builder::new()
                .name(format!("sexton-{number}"))
                .spawn(move || work(&engine, &*store, &stopped, options.idle))
                .map_err(|e| Error::io("cannot start an enforcing thread", e))?;
            worker.threads.push(thread);
        }
        Ok(worker)
    }

    /// Whether a thread ended by itself, which it does only when it failed.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops the threads after the batch each is working on, and waits for them.
    ///
    /// # Errors
    /// What made a thread end before.
    pub fn stop(mut self) -> Result<()> {
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        self.stop = None;
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            let ended =
                thread.join().unwrap_or_else(|_| Err(Error::internal("an enforcing thread panicked")));
            result = result.and(ended);
        }
        // What one left to another whose store panicked.
        self.engine.publish_rest();
        result
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!(%error, "an enforcing thread had failed");
        }
    }
}

fn work(engine: &Engine, store: &dyn Store, stopped: &Receiver<()>, idle: Duration) -> Result<()> {
    loop {
        if matches!(stopped.try_recv(), Err(channel::TryRecvError::Disconnected)) {
            return Ok(());
        }
        match engine.next_batch() {
            Ok(Some(batch)) => {
                let outcomes = engine.delete(&batch, store);
                engine.complete(batch, outcomes)?;
            }
            Ok(None) => {
                let _ = stopped.recv_timeout(idle);
            }
            Err(error) => {
                tracing::error!(%error, "enforcement is off");
                return Err(error);
            }
        }
    }
}
