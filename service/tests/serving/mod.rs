//! Server for tests, with an engine of its own behind both sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "shared test code may fail a test, and not every test uses all of it"
)]

use sexton::testing::{Clock, SystemClock};
use sexton::{Engine, Options};
use sexton_service::http::client::Client;
use sexton_service::http::{Limits, Server};
use sexton_service::sources::{Directory, SourceSettings, Sources, SourcesOptions};
use sexton_service::{ServeOptions, Serving};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Server with an engine of its own. Dropping it stops the server.
pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: Arc<Engine>,
    serving: Option<Serving>,
}

impl Host {
    pub(crate) fn start() -> Host {
        Host::with_sources(&[])
    }

    pub(crate) fn with_sources(directories: &[Directory]) -> Host {
        Host::with(directories, &Options::new("example.com/sockets"), Arc::new(SystemClock))
    }

    pub(crate) fn with(directories: &[Directory], options: &Options, clock: Arc<dyn Clock>) -> Host {
        Host::start_with(directories, options, clock, |sockets| sockets)
    }

    /// Starts a server with bounds on its connections, and perhaps with the public log.
    pub(crate) fn limited(
        options: &Options,
        clock: Arc<dyn Clock>,
        limits: Limits,
        log: Option<SocketAddr>,
    ) -> Host {
        Host::start_with(&[], options, clock, |sockets| sockets.limits(limits).public_log(log))
    }

    fn start_with(
        directories: &[Directory],
        options: &Options,
        clock: Arc<dyn Clock>,
        set: impl FnOnce(ServeOptions) -> ServeOptions,
    ) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let engine = Arc::new(Engine::open_with_clock(&data, options, clock).unwrap());
        let settings = SourceSettings::default().directories(directories.to_vec());
        let sources = Sources::start(&engine, &data, &settings, SourcesOptions::default()).unwrap();
        let server = Server::new(Arc::clone(&engine)).sources(Arc::new(sources));
        let path = |name: &str| folder.path().join(name);
        let sockets = ServeOptions::default()
            .register(path("register.sock"), 0o600)
            .control(path("control.sock"), 0o600);
        let serving = Serving::start(server, &data, &set(sockets)).unwrap();
        Host { folder, engine, serving: Some(serving) }
    }

    /// Client of the control socket.
    pub(crate) fn control(&self) -> Client {
        Client::new(&self.folder.path().join("control.sock")).unwrap()
    }

    /// Client of the socket for hosts.
    pub(crate) fn register(&self) -> Client {
        Client::new(&self.folder.path().join("register.sock")).unwrap()
    }

    /// Stops the server, and serves the same engine again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let sockets = ServeOptions::default().control(self.folder.path().join("control.sock"), 0o600);
        let data = self.folder.path().join("data");
        self.serving = Some(Serving::start(Server::new(Arc::clone(&self.engine)), &data, &sockets).unwrap());
    }

    /// Stops the server, and waits for its end.
    pub(crate) fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.stop(Duration::from_secs(60));
        }
    }
}

/// Waits until a condition holds. The bound is generous, because machines can be slow.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("this did not happen in a minute");
}
