//! `sexton serve`: a service from its start to its end.
//!
//! Start: take the lock of the data folder, recover, start the deleting threads, listen, report readiness. End, after
//! SIGTERM, SIGINT, or a failure: stop listening, finish batches in flight, close the engine.

use crate::config::Config;
use crate::http::{Limits, Server};
use crate::sources::{Sources, SourcesOptions};
use crate::{Health, ServeOptions, Serving, ownership, serving};
use sd_notify::NotifyState;
use sexton::report::EngineState;
use sexton::store::Store;
use sexton::{ClassSet, Engine, Error, ErrorKind, Options, Worker, WorkerOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// Longest wait for a command that has the data folder open.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// Pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Attempts to take the lock.
const LOCK_ATTEMPTS: u128 = LOCK_WAIT.as_millis() / LOCK_PAUSE.as_millis();
/// Time between two messages to the service manager that opening goes on.
const STILL_OPENING: Duration = Duration::from_secs(5);
/// Time that each such message asks for.
const OPENING_EXTENSION: Duration = Duration::from_secs(30);
/// Time between two looks at the deleting threads.
const LOOK: Duration = Duration::from_secs(1);

/// Reason for which a service did not start, or ended by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration is wrong, or contradicts the data folder. A restart does not help.
    Configuration(String),
    /// The engine, a thread or a listener failed. A restart may help.
    Failed(String),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServeError::Configuration(why) | ServeError::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<Error> for ServeError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => ServeError::Configuration(error.to_string()),
            _ => ServeError::Failed(error.to_string()),
        }
    }
}

/// Service with its parts. They stop in the order of `stop`.
struct Service {
    path: PathBuf,
    config: Config,
    engine: Arc<Engine>,
    sources: Arc<Sources>,
    worker: Worker,
}

/// Signals that the service answers to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn take() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Runs the service of a configuration file until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`]
pub fn run(path: &Path) -> Result<(), ServeError> {
    let config = Config::read(path).map_err(ServeError::Configuration)?;
    let service = Service::start(path, config)?;
    let (serving, ended) = match service.listen() {
        Ok((mut serving, signals)) => {
            let ended = service.serve(&mut serving, signals);
            (Some(serving), ended)
        }
        Err(error) => (None, Err(error)),
    };
    let stopped = stop_worker(service.worker, service.config.stop_within);
    // The metrics show the stopping up to here.
    if let Some(serving) = serving {
        serving.stop(Duration::ZERO);
    }
    ended.and(stopped)
}

/// Opens the data folder, or creates it, and notes that it is the service's.
fn open(config: &Config) -> Result<Engine, ServeError> {
    let engine = while_extending("opening the data folder", || take(config))?;
    if let EngineState::Copy(why) = engine.state() {
        return Err(ServeError::Configuration(format!("{}: {why}", config.data.display())));
    }
    ownership::claim(&config.data, &config.control_socket())?;
    Ok(engine)
}

/// Opens the data folder once no other process has it open.
fn take(config: &Config) -> Result<Engine, ServeError> {
    let mut options = Options::new(&config.origin);
    if exists(&config.data) {
        // Only `class set` changes a class. The built-in ones are defined in a new folder only.
        options = options.classes(ClassSet::empty());
    }
    for _ in 0..LOCK_ATTEMPTS {
        match Engine::open(&config.data, &options) {
            Err(error) if error.kind() == ErrorKind::Busy => thread::sleep(LOCK_PAUSE),
            result => return Ok(result?),
        }
    }
    let (data, seconds) = (config.data.display(), LOCK_WAIT.as_secs());
    Err(ServeError::Failed(format!("{data} was open in another process for {seconds} s: stop that process")))
}

fn exists(data: &Path) -> bool {
    data.join("index").join("CURRENT").exists()
}

impl Service {
    /// Recovers, and starts to find objects and to delete.
    fn start(path: &Path, config: Config) -> Result<Service, ServeError> {
        let engine = Arc::new(open(&config)?);
        let options = SourcesOptions::default().deleting_threads(config.threads);
        let sources = Arc::new(Sources::start(&engine, &config.data, &config.sources(), options)?);
        let store: Arc<dyn Store> = Arc::clone(&sources) as Arc<dyn Store>;
        let worker = Worker::start(&engine, &store, WorkerOptions::default().threads(config.threads))?;
        Ok(Service { path: path.to_owned(), config, engine, sources, worker })
    }

    /// Takes the signals, and then opens the listeners: a service that answers stops in order.
    fn listen(&self) -> Result<(Serving, Signals), ServeError> {
        let runtime = serving::runtime().map_err(|e| ServeError::Failed(format!("no runtime: {e}")))?;
        let signals = {
            let _entered = runtime.enter();
            Signals::take().map_err(|e| ServeError::Failed(format!("cannot listen to signals: {e}")))?
        };
        let config = &self.config;
        let options = ServeOptions::default()
            .register(config.register_socket(), config.sockets.register_mode)
            .control(config.control_socket(), config.sockets.control_mode)
            .public_log(config.public_log.as_ref().map(|tcp| tcp.listen))
            .metrics(config.metrics.as_ref().map(|tcp| tcp.listen))
            .limits(Limits::default().connections(config.sockets.connections));
        let server = Server::new(Arc::clone(&self.engine)).sources(Arc::clone(&self.sources));
        let serving = Serving::start_on(runtime, server, &config.data, &options);
        serving.map(|serving| (serving, signals)).map_err(|e| listening(&e))
    }

    /// Serves until a signal or a failure, and lets running requests end.
    fn serve(&self, serving: &mut Serving, signals: Signals) -> Result<(), ServeError> {
        notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
        tracing::info!(origin = self.config.origin, "serving");
        let ended = serving.block_on(self.until_end(serving.health(), signals));
        notify(&[NotifyState::Stopping]);
        serving.close(self.config.stop_within);
        ended
    }

    /// Does the upkeep, and waits for a signal or a failure.
    async fn until_end(&self, health: &Health, signals: Signals) -> Result<(), ServeError> {
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let mut looks = every(LOOK);
        let mut reclaims = every(self.config.schedule.reclaim);
        let mut publications = every(self.config.schedule.publish);
        let mut watchdog = every(sd_notify::watchdog_enabled().map_or(Duration::MAX, |period| period / 2));
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => self.reload(),
                _ = looks.tick() => self.look(health)?,
                _ = reclaims.tick() => {
                    in_background(&self.engine, "reclaiming failed", Engine::reclaim);
                    // A request whose objects have all ended is no longer overdue.
                    in_background(&self.engine, "looking at requests failed", |engine| engine.requests().map(drop));
                }
                _ = publications.tick() => in_background(&self.engine, "publishing failed", Engine::publish),
                _ = watchdog.tick() => notify(&[NotifyState::Watchdog]),
            }
        }
    }

    /// Returns an error if only a restart helps.
    fn look(&self, health: &Health) -> Result<(), ServeError> {
        if self.worker.has_failed() {
            health.fail("a deleting thread has failed");
        }
        health.failure().map_or(Ok(()), |why| Err(ServeError::Failed(why)))
    }

    /// Takes the sources of the configuration file as it is now. Everything else in it counts from the next start.
    fn reload(&self) {
        notify(&[NotifyState::Reloading, NotifyState::Status("reading the configuration again")]);
        let (path, sources) = (self.path.clone(), Arc::clone(&self.sources));
        tokio::task::spawn_blocking(move || {
            let taken = Config::read(&path)
                .and_then(|config| sources.reload(&config.sources()).map_err(|e| e.to_string()));
            match taken {
                Ok(()) => tracing::info!("the sources of the configuration are taken"),
                Err(why) => {
                    tracing::error!("the configuration is refused, and the former one goes on: {why}");
                }
            }
            notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
        });
    }
}

fn listening(error: &io::Error) -> ServeError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::AlreadyExists => {
            ServeError::Configuration(error.to_string())
        }
        _ => ServeError::Failed(error.to_string()),
    }
}

/// Returns a ticker, which never catches up on ticks that were missed.
fn every(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period.min(Duration::from_secs(365 * 86_400)));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker.reset();
    ticker
}

/// Runs upkeep on a thread that may block. A failure is logged; the next run tries again.
fn in_background(engine: &Arc<Engine>, failure: &'static str, work: fn(&Engine) -> sexton::Result<()>) {
    let engine = Arc::clone(engine);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = work(&engine) {
            tracing::warn!(%error, "{failure}");
        }
    });
}

/// Waits for the batches in flight.
fn stop_worker(worker: Worker, within: Duration) -> Result<(), ServeError> {
    let (sender, stopped) = mpsc::channel();
    let spawned = thread::Builder::new().name("sexton-stop".into()).spawn(move || {
        let _ = sender.send(worker.stop());
    });
    if let Err(error) = spawned {
        return Err(ServeError::Failed(format!("cannot start a thread: {error}")));
    }
    match stopped.recv_timeout(within) {
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let seconds = within.as_secs();
            Err(ServeError::Failed(format!(
                "batches in flight did not finish within {seconds} s; the next start finishes them"
            )))
        }
    }
}

/// Runs `work` while the service manager is told that it goes on.
fn while_extending<T: Send>(what: &str, work: impl FnOnce() -> T + Send) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let extension = u32::try_from(OPENING_EXTENSION.as_micros()).unwrap_or(u32::MAX);
            loop {
                notify(&[NotifyState::Status(what), NotifyState::ExtendTimeoutUsec(extension)]);
                if !matches!(is_done.recv_timeout(STILL_OPENING), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Tells the service manager. Without one it does nothing.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
