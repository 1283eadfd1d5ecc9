//! Routes: one for each operation, generic over its type.

use super::begun::Begun;
use super::document::document;
use super::idempotency::{Answers, Earlier, KEY_MAX_BYTES, RequestKey};
use super::problem::Problem;
use crate::api::{self, Access, Context, Method, Operation, Visitor};
use crate::exchange::{self, BODY_MAX_BYTES};
use crate::sources::Sources;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use sexton::Engine;
use sexton::testing::{Clock, SystemClock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Most bytes of bodies in memory, both sockets together.
const BODIES_MAX_BYTES: usize = 128 << 20;
/// Longest time in which a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Most operations that run at a time, both sockets together. Requests that wait for news do not count meanwhile.
const OPERATIONS_MAX: usize = 64;
/// Time after which an operation that waits for news runs again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Engine behind the routes, and what the requests share.
pub struct Server {
    engine: Arc<Engine>,
    pub(crate) sources: Option<Arc<Sources>>,
    folder: Option<PathBuf>,
    operations: Arc<Semaphore>,
    /// Bytes of bodies that may come in now.
    bodies: Arc<Semaphore>,
    answers: Answers,
    begun: Option<Begun>,
}

impl Server {
    /// Engine behind the routes.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the server of an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let operations = Arc::new(Semaphore::new(OPERATIONS_MAX));
        let bodies = Arc::new(Semaphore::new(BODIES_MAX_BYTES));
        let answers = Answers::default();
        Server { engine, sources: None, folder: None, operations, bodies, answers, begun: None }
    }

    /// Sets the sources that the operations govern.
    #[must_use]
    pub fn sources(self, sources: Arc<Sources>) -> Self {
        Server { sources: Some(sources), ..self }
    }

    /// Sets the data folder that the engine has open.
    pub(crate) fn folder(self, folder: PathBuf) -> Self {
        Server { folder: Some(folder), ..self }
    }

    /// Knows across restarts which requests began, by a file in the data folder.
    pub(crate) fn record(self, data: &Path) -> io::Result<Self> {
        Ok(Server { begun: Some(Begun::open(data)?), ..self })
    }
}

/// User of the peer of a connection, as the kernel authenticated it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<u32>);

/// Signal that the server of a connection stops. Requests that wait for news then end.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

/// Returns the routes of a socket: those for hosts, or all.
pub fn router(server: &Arc<Server>, access: Access) -> Router {
    let mut routes = Routes { router: Router::new(), access };
    api::visit(&mut routes);
    let openapi = document(access).to_json().unwrap_or_default();
    routes
        .router
        .route("/v1/openapi.json", get(async move || json(StatusCode::OK, openapi.into())))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no-such-path",
                "this socket has no such path; see /v1/openapi.json",
            )
            .response()
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "this path has another method")
                .response()
        })
        .with_state(Arc::clone(server))
}

struct Routes {
    router: Router<Arc<Server>>,
    access: Access,
}

impl Visitor for Routes {
    fn operation<O: Operation>(&mut self) {
        if self.access == Access::Host && O::ACCESS == Access::Control {
            return;
        }
        let method = match O::METHOD {
            Method::Get => get(read::<O>),
            Method::Post => post(write::<O>),
        };
        self.router = std::mem::take(&mut self.router).route(O::PATH, method);
    }
}

/// Answers a GET: the query is the request.
async fn read<O: Operation>(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    let answer = match exchange::of_query(request.uri().query().unwrap_or_default()) {
        Ok(operation) => poll::<O>(&server, operation, peer(&request), stopping(&request)).await,
        Err(problem) => Err(problem),
    };
    answer.map_or_else(|problem| problem.response(), |answer| json(StatusCode::OK, answer))
}

/// Answers a POST: the body is the request.
async fn write<O: Operation>(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    let peer = peer(&request);
    let (parts, body) = request.into_parts();
    let answer = async {
        check_json(&parts.headers)?;
        let key = idempotency_key(&parts.headers, O::PATH, peer)?;
        let (body, _room) = read_body(body, &server.bodies).await?;
        let operation = exchange::of_body(&body)?;
        let Some(key) = key else {
            return run::<O>(&server, operation, peer).await;
        };
        match server.answers.begin(&key, &body, SystemClock.monotonic()) {
            Earlier::None => {}
            Earlier::Answered(answer) => return Ok(answer),
            Earlier::Running => {
                let why = "a request with this Idempotency-Key is running; try again";
                return Err(Problem::new(StatusCode::CONFLICT, "running", why));
            }
            Earlier::OtherBody => {
                let why = "the Idempotency-Key was used with another body; use a new one";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", why));
            }
        }
        // The client may go away, and this future with it. The task goes on and keeps the answer.
        let finishing = Arc::clone(&server);
        let task = tokio::spawn(async move {
            let answer = run_keyed::<O>(&finishing, operation, peer, &key).await;
            finishing.answers.finish(&key, answer.as_ref().ok());
            answer
        });
        task.await.unwrap_or_else(|_| Err(panicked()))
    };
    answer.await.map_or_else(|problem| problem.response(), |answer| json(StatusCode::OK, answer))
}

/// Runs an operation again until its answer has news, its patience ends, or the server stops.
///
/// Between two runs it holds no thread and no permit, so waiting clients keep no other request from the engine.
async fn poll<O: Operation>(
    server: &Arc<Server>,
    operation: O,
    peer: Option<u32>,
    mut stop: Option<watch::Receiver<bool>>,
) -> Result<Bytes, Problem> {
    let end = Instant::now() + operation.patience();
    loop {
        let asked = operation.clone();
        let answer = run_once(server, peer, move |context| asked.run(context)).await?;
        let left = end.saturating_duration_since(Instant::now());
        let is_stopping = stop.as_ref().is_some_and(|stop| *stop.borrow());
        if left.is_zero() || is_stopping || !O::is_worth_waiting(&answer) {
            return Ok(answer.to_string().into());
        }
        let pause = tokio::time::sleep(left.min(POLL_INTERVAL));
        match &mut stop {
            // After the wait either ends, the operation runs a last time or again.
            Some(stop) => tokio::select! {
                () = pause => {}
                _ = stop.wait_for(|stop| *stop) => {}
            },
            None => pause.await,
        }
    }
}

/// Runs an operation with an idempotency key, unless it began before and must not run twice.
async fn run_keyed<O: Operation>(
    server: &Arc<Server>,
    operation: O,
    peer: Option<u32>,
    key: &RequestKey,
) -> Result<Bytes, Problem> {
    let noting = Arc::clone(server);
    let (asked, noted) = (operation.clone(), key.clone());
    let note = move || match &noting.begun {
        Some(begun) if !asked.is_repeatable(&noting.engine) => {
            begun.note(&noted, noting.engine.now()).map(Some)
        }
        _ => Ok(None),
    };
    let is_new = tokio::task::spawn_blocking(note).await.map_err(|_| panicked())?;
    let is_new = is_new.map_err(|error| Problem::from(&error))?;
    if is_new == Some(false) {
        let why = "a request with this Idempotency-Key began before, and its answer is no longer kept; look if it was done, \
                   and use a new key to send it again";
        return Err(Problem::new(StatusCode::CONFLICT, "began-before", why));
    }
    let answer = run::<O>(server, operation, peer).await;
    if let (Some(true), Some(begun), Err(problem)) = (is_new, &server.begun, &answer)
        && problem.changed_nothing()
    {
        begun.forget(key);
    }
    answer
}

/// Runs an operation once, and returns its answer as text.
async fn run<O: Operation>(server: &Arc<Server>, operation: O, peer: Option<u32>) -> Result<Bytes, Problem> {
    run_once(server, peer, move |context| operation.run_to_text(context)).await.map(Bytes::from)
}

/// Runs an operation on a thread that may block.
async fn run_once<T: Send + 'static>(
    server: &Arc<Server>,
    peer: Option<u32>,
    operation: impl FnOnce(&Context<'_>) -> sexton::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let full = || Problem::too_many("too many requests wait for the engine; try again");
    let permit = Arc::clone(&server.operations).try_acquire_owned().map_err(|_| full())?;
    let server = Arc::clone(server);
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let (sources, folder) = (server.sources.as_deref(), server.folder.as_deref());
        let context = Context { engine: &server.engine, sources, folder, peer, needs: &[] };
        operation(&context)
    });
    task.await.map_err(|_| panicked())?.map_err(|error| Problem::from(&error))
}

fn panicked() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the operation panicked; see the program log")
}

/// Returns the signal that the server of the connection stops.
fn stopping(request: &Request<Body>) -> Option<watch::Receiver<bool>> {
    request.extensions().get::<Stopping>().map(|stopping| stopping.0.clone())
}

fn peer(request: &Request<Body>) -> Option<u32> {
    request.extensions().get::<Peer>().and_then(|peer| peer.0)
}

/// Refuses a body that is declared to be something else than JSON.
fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    exchange::check_media_type(media_type)
}

fn idempotency_key(
    headers: &HeaderMap,
    path: &'static str,
    peer: Option<u32>,
) -> Result<Option<RequestKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=KEY_MAX_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some((peer, path, key.to_owned())))
        }
        _ => {
            let why = format!("the Idempotency-Key is not 1 to {KEY_MAX_BYTES} visible ASCII characters");
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", why))
        }
    }
}

/// Returns a body, with its share of the memory for bodies.
async fn read_body(
    body: Body,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    // A client that states a length of its body is refused before it sends it.
    if body.size_hint().lower() > BODY_MAX_BYTES as u64 {
        return Err(exchange::too_long());
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body, room)).await.unwrap_or_else(|_| {
        let why = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", why))
    })
}

/// Collects the parts of a body. Each takes its room when it is there, so a client that sends nothing takes none.
async fn collect(
    mut body: Body,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    let (mut collected, mut taken) = (Vec::new(), None::<OwnedSemaphorePermit>);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "invalid", format!("the body: {e}")))?;
        let Ok(part) = frame.into_data() else { continue };
        if collected.len() + part.len() > BODY_MAX_BYTES {
            return Err(exchange::too_long());
        }
        let bytes = u32::try_from(part.len()).map_err(|_| exchange::too_long())?;
        let permit = Arc::clone(room).try_acquire_many_owned(bytes).map_err(|_| {
            Problem::too_many("the bodies of other requests take all memory for them; try again")
        })?;
        match &mut taken {
            Some(taken) => taken.merge(permit),
            None => taken = Some(permit),
        }
        collected.extend_from_slice(&part);
    }
    Ok((collected.into(), taken))
}

fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
