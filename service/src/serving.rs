//! Listeners of an engine, for the command and for Rust hosts.

use crate::api::Access;
use crate::health::{self, Health};
use crate::http::{Limits, Listener, Server, router};
use crate::metrics;
use axum::Router;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_http::services::ServeDir;

/// Listeners of [`Serving::start`]. By default there are none.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Socket for hosts, with its permissions.
    pub register: Option<(PathBuf, u32)>,
    /// Socket for operators, with its permissions.
    pub control: Option<(PathBuf, u32)>,
    /// Address of the public log.
    pub public_log: Option<SocketAddr>,
    /// Address of the metrics and of the health.
    pub metrics: Option<SocketAddr>,
    /// Bounds on the connections of each listener.
    pub limits: Limits,
}

impl ServeOptions {
    /// Sets [`register`](field@ServeOptions::register).
    #[must_use]
    pub fn register(mut self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.register = Some((path.into(), mode));
        self
    }

    /// Sets [`control`](field@ServeOptions::control).
    #[must_use]
    pub fn control(mut self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.control = Some((path.into(), mode));
        self
    }

    /// Sets [`public_log`](field@ServeOptions::public_log).
    #[must_use]
    pub fn public_log(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.public_log = address.into();
        self
    }

    /// Sets [`metrics`](field@ServeOptions::metrics).
    #[must_use]
    pub fn metrics(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.metrics = address.into();
        self
    }

    /// Sets [`limits`](field@ServeOptions::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// Running listeners. Dropping it closes them without waiting for running requests.
///
/// ```
/// use sexton_service::api::GetStatus;
/// use sexton_service::http::Server;
/// use sexton_service::http::client::Client;
/// use sexton_service::{ServeOptions, Serving};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// # let folder = tempfile::tempdir()?;
/// # let options = sexton::Options::new("example.com/uploads");
/// let data = folder.path().join("data");
/// let engine = Arc::new(sexton::Engine::open(&data, &options)?);
/// let socket = folder.path().join("control.sock");
/// let serving = Serving::start(Server::new(engine), &data, &ServeOptions::default().control(&socket, 0o600))?;
///
/// let status = Client::new(&socket)?.call(&GetStatus::default())?;
/// assert_eq!(status["state"], "running");
/// serving.stop(Duration::from_secs(10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Serving {
    stop: watch::Sender<bool>,
    /// Never told to stop: the metrics end with the runtime.
    _metrics: watch::Sender<bool>,
    listeners: JoinSet<()>,
    health: Arc<Health>,
    metrics_address: Option<SocketAddr>,
    runtime: Runtime,
}

/// Returns the runtime of the listeners.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("sexton-http").enable_all().build()
}

impl Serving {
    /// Binds the listeners and serves the API of the server, whose data folder is `data`.
    ///
    /// # Errors
    /// Those of the system, with the path or address of the listener, or the path of the data folder.
    pub fn start(server: Server, data: &Path, options: &ServeOptions) -> io::Result<Serving> {
        Serving::start_on(runtime()?, server, data, options)
    }

    /// Binds the listeners on a runtime of [`runtime`], and serves as [`start`](Serving::start) does.
    pub(crate) fn start_on(
        runtime: Runtime,
        server: Server,
        data: &Path,
        options: &ServeOptions,
    ) -> io::Result<Serving> {
        let (stop, stopped) = watch::channel(false);
        let folder = data.canonicalize().map_err(|e| named(data.display(), &e))?;
        let server = Arc::new(server.folder(folder).record(data)?);
        let engine = server.engine();
        let health = Health::new(engine);
        let mut listeners = JoinSet::new();
        let entered = runtime.enter();
        let mut serve = |listener: Listener, router: Router| {
            listeners.spawn(listener.serve(router, options.limits, stopped.clone()));
        };
        if let Some((path, mode)) = &options.register {
            let listener = Listener::unix(path, *mode).map_err(|e| named(path.display(), &e))?;
            serve(listener, router(&server, Access::Host));
        }
        if let Some((path, mode)) = &options.control {
            let listener = Listener::unix(path, *mode).map_err(|e| named(path.display(), &e))?;
            serve(listener, router(&server, Access::Control).merge(health::routes(&health)));
        }
        if let Some(address) = options.public_log {
            let listener = runtime.block_on(Listener::tcp(address)).map_err(|e| named(address, &e))?;
            serve(listener, public_log(data));
        }
        let metrics = options
            .metrics
            .map(|address| runtime.block_on(Listener::tcp(address)).map_err(|e| named(address, &e)));
        let metrics = metrics.transpose()?;
        let metrics_address = metrics.as_ref().and_then(Listener::address);
        let (never, never_stopped) = watch::channel(false);
        if let Some(listener) = metrics {
            let routes =
                metrics::routes(engine, server.sources.as_ref(), data).merge(health::routes(&health));
            tokio::spawn(listener.serve(routes, options.limits, never_stopped));
        }
        drop(entered);
        Ok(Serving { stop, _metrics: never, listeners, health, metrics_address, runtime })
    }

    /// Returns the health of the service, which `/healthz` and `/readyz` show.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Returns the address of the metrics, with the port that the system chose for port 0.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Runs a future on the runtime of the listeners.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Closes the listeners and lets running requests end. Those that take longer than `within` are cut off; their
    /// operations still end in the engine.
    pub fn stop(mut self, within: Duration) {
        self.close(within);
        self.runtime.shutdown_background();
    }

    /// Closes all listeners except that of the metrics, and lets running requests end for as long as `within`.
    pub(crate) fn close(&mut self, within: Duration) {
        self.health.stop();
        self.stop.send_replace(true);
        let ended = async { while self.listeners.join_next().await.is_some() {} };
        let is_orderly = self.runtime.block_on(async { tokio::time::timeout(within, ended).await.is_ok() });
        if !is_orderly {
            tracing::warn!("requests were cut off at the end of the service");
        }
    }
}

/// Returns the routes of the public folders of a data folder. They are served as they are: C2SP clients read files.
fn public_log(data: &Path) -> Router {
    Router::new()
        .nest_service("/log", ServeDir::new(data.join("log")).append_index_html_on_directories(false))
        .nest_service(
            "/tombstones",
            ServeDir::new(data.join("tombstones")).append_index_html_on_directories(false),
        )
}

fn named(name: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen at {name}: {error}"))
}
