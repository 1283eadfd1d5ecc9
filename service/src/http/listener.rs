//! Listeners: accepting, bounds on connections, and an orderly end.

use super::idle::{Connections, Open};
use super::router::{Peer, Stopping};
use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// Longest head of a request that is read, bytes.
const HEAD_MAX_BYTES: usize = 64 << 10;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds on the connections of a listener.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Most open connections. For a further one, the connection that is idle the longest is closed; it waits in the kernel
    /// while all of them have a request. Default: 256.
    pub connections: usize,
    /// Longest time in which the head of a request has to arrive, also on an idle connection. Default: 30 s.
    pub header_timeout: Duration,
    /// Longest time in which a client has to read a part of an answer. Default: 30 s.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Sets [`connections`](field@Limits::connections).
    #[must_use]
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
}

/// Listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Removes the socket file at the end.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// File of a Unix socket. Dropping it removes the file.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A socket file that stays is stale, and the next service replaces it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Accepted connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

impl Listener {
    /// Binds a Unix socket with the permissions `mode`, and replaces a stale one.
    ///
    /// The caller holds the lock of the data folder, so no other service of the folder listens.
    ///
    /// # Errors
    /// `AddrInUse` if a process listens at the path; `AlreadyExists` if the path is no socket; otherwise those of the
    /// system.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Listener> {
        remove_stale(path)?;
        let socket = UnixListener::bind(path)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(Listener { socket: Socket::Unix(socket), _file: Some(file) })
    }

    /// Binds a TCP socket.
    ///
    /// # Errors
    /// Those of the system, as if another process listens there.
    pub async fn tcp(address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { socket: Socket::Tcp(TcpListener::bind(address).await?), _file: None })
    }

    /// Address of a TCP listener, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Serves `router` until `stop` becomes `true`, then lets each running request end.
    pub async fn serve(self, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
        let connections = Connections::new(limits.connections);
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&connections) => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer, open)) => {
                    let stopping = Stopping(stop.clone());
                    let open = Arc::new(open);
                    let served = Arc::clone(&open);
                    let connection = connection(
                        stream,
                        (peer, stopping, served),
                        router.clone(),
                        limits,
                        graceful.watcher(),
                    );
                    tokio::spawn(async move {
                        tokio::select! {
                            () = connection => {}
                            () = open.is_to_close() => {}
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, for example. Without a pause the loop would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        graceful.shutdown().await;
    }

    /// Accepts a connection, and then makes room for it.
    async fn accept(&self, connections: &Connections) -> io::Result<(Box<dyn Stream>, Peer, Open)> {
        let (stream, peer): (Box<dyn Stream>, _) = match &self.socket {
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                let peer = Peer(Some(stream.peer_cred()?.uid()));
                (Box::new(stream), peer)
            }
            Socket::Tcp(socket) => (Box::new(socket.accept().await?.0), Peer(None)),
        };
        let open = connections.open().await.ok_or_else(|| io::Error::other("the listener has ended"))?;
        Ok((stream, peer, open))
    }
}

/// Serves the requests of a connection.
async fn connection(
    stream: Box<dyn Stream>,
    (peer, stopping, open): (Peer, Stopping, Arc<Open>),
    router: Router,
    limits: Limits,
    watcher: Watcher,
) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(stopping.clone());
        let (response, running) = (router.clone().oneshot(request), open.run());
        async move {
            match running {
                Some(_running) => response.await,
                // The connection closes at this moment.
                None => std::future::pending().await,
            }
        }
    });
    let mut stream = TimeoutStream::new(Box::into_pin(stream));
    stream.set_write_timeout(Some(limits.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // An error ends the connection, which the client sees. It concerns nothing else.
    let _ = watcher.watch(connection).await;
}

/// Removes a socket file at which no process listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let why = format!("{} exists and is no socket", path.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            let why = format!("another process listens at {}", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
