//! Blocking client of a control socket, for commands.

use super::problem::Problem;
use crate::api::{Method, Operation};
use crate::exchange::BODY_MAX_BYTES;
use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// Reason for which a request has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No service listens there. Nothing was sent.
    NoService(io::Error),
    /// The service refused or failed the request.
    Refused(Problem),
    /// The connection was lost after the request had been sent. It is unknown whether the service did it.
    Unknown(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoService(error) => write!(f, "the service cannot be reached: {error}"),
            ClientError::Refused(problem) => f.write_str(&problem.detail),
            ClientError::Unknown(why) => {
                write!(f, "the connection to the service was lost, and the outcome is unknown: {why}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// Client of a socket. Each call makes a connection of its own.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    runtime: Runtime,
}

impl Client {
    /// Returns a client of the socket at `path`. It does not connect yet.
    ///
    /// # Errors
    /// Those of the system when it makes the runtime.
    pub fn new(path: &Path) -> io::Result<Client> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        Ok(Client { socket: path.to_owned(), runtime })
    }

    /// Runs an operation in the service, and returns the answer as JSON.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn call<O: Operation>(&self, operation: &O) -> Result<Value, ClientError> {
        self.runtime.block_on(self.send(operation))
    }

    async fn send<O: Operation>(&self, operation: &O) -> Result<Value, ClientError> {
        let request = request(operation)?;
        let stream = UnixStream::connect(&self.socket).await.map_err(ClientError::NoService)?;
        let unknown = |error: &dyn fmt::Display| ClientError::Unknown(error.to_string());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| unknown(&e))?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|e| unknown(&e))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| unknown(&e))?.to_bytes();
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|e| unknown(&e));
        }
        let problem = serde_json::from_slice(&body).map_err(|e| unknown(&e))?;
        Err(ClientError::Refused(problem))
    }
}

/// Returns the HTTP request of an operation.
fn request<O: Operation>(operation: &O) -> Result<Request<Body>, ClientError> {
    let malformed = |error: &dyn fmt::Display| {
        ClientError::NoService(io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    };
    let builder = Request::builder().header(header::HOST, "sexton");
    let request = match O::METHOD {
        Method::Get => {
            let query = serde_html_form::to_string(operation).map_err(|e| malformed(&e))?;
            builder.uri(format!("{}?{query}", O::PATH)).body(Body::empty())
        }
        Method::Post => {
            let body = serde_json::to_vec(operation).map_err(|e| malformed(&e))?;
            // The service would end the connection, and the outcome would seem to be unknown.
            if body.len() > BODY_MAX_BYTES {
                let why = format!(
                    "the request has {} bytes, and the service takes at most {BODY_MAX_BYTES}; name fewer keys, or stop the \
                     service and add --offline",
                    body.len()
                );
                return Err(ClientError::Refused(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-long",
                    why,
                )));
            }
            builder
                .method("POST")
                .uri(O::PATH)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(Bytes::from(body)))
        }
    };
    request.map_err(|e| malformed(&e))
}
