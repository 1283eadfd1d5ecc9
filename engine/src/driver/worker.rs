//! Workers: threads that enforce. Each takes the next batch, has the store delete it, and hands it back.

use crate::engine::Engine;
use crate::platform::error::{Error, Result};
use crate::platform::store::Store;
use crossbeam::channel::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Options of a [`Worker`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// Number of threads, at least 1. Default: 2.
    pub threads: usize,
    /// Time that a thread waits after nothing was due. Default: 200 ms.
    pub idle: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        WorkerOptions { threads: 2, idle: Duration::from_millis(200) }
    }
}

impl WorkerOptions {
    /// Sets [`threads`](field@WorkerOptions::threads).
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets [`idle`](field@WorkerOptions::idle).
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }
}

/// Running threads that delete due objects from a store.
///
/// Dropping it stops the threads as [`Worker::stop`] does, and logs their error.
///
/// ```
/// use sexton::store::{Answer, Store, SubBatch};
/// use sexton::{Worker, WorkerOptions};
/// use std::sync::Arc;
///
/// struct Nothing; // stands for the place where the objects are stored
/// impl Store for Nothing {
///     fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
///         sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let options = sexton::Options::new("example.com/uploads");
/// let engine = Arc::new(sexton::Engine::open(folder.path(), &options)?);
/// let store: Arc<dyn Store> = Arc::new(Nothing);
/// let worker = Worker::start(&engine, &store, WorkerOptions::default().threads(4))?;
/// worker.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Worker {
    engine: Arc<Engine>,
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Worker {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Invalid` for 0 threads; `Io` if the system gives no thread.
    pub fn start(engine: &Arc<Engine>, store: &Arc<dyn Store>, options: WorkerOptions) -> Result<Worker> {
        if options.threads == 0 {
            return Err(Error::invalid("0 threads; at least 1 is needed"));
        }
        // Only the disconnect is used: dropping the sender wakes all waiting threads and stops them.
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

    /// Returns `true` if a thread ended by itself, which happens only if it failed.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops each thread after its current batch, and waits for them.
    ///
    /// # Errors
    /// The first error that ended a thread, in the order of the threads.
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
        // A thread may have left publication to another thread, which then panicked in the store.
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

/// Runs the body of a thread: enforces until the worker stops or a step fails.
fn work(engine: &Engine, store: &dyn Store, stopped: &Receiver<()>, idle: Duration) -> Result<()> {
    loop {
        if matches!(stopped.try_recv(), Err(channel::TryRecvError::Disconnected)) {
            return Ok(());
        }
        match engine.next_batch() {
            Ok(Some(mut batch)) => {
                engine.delete(&mut batch, store);
                engine.complete(batch)?;
            }
            Ok(None) => {
                let _ = stopped.recv_timeout(idle);
            }
            Err(error) => {
                tracing::error!(%error, "enforcement has stopped");
                return Err(error);
            }
        }
    }
}
