//! Metrics in the OpenMetrics format, or in that of Prometheus for clients that ask for no other.
//!
//! Labels are `class`, `source` and `result` only, so their values are bounded by what operators configured.

mod engine;
mod families;
mod sources;

use self::engine::EngineMetrics;
use self::families::Families;
use crate::sources::{SourceMeasures, Sources};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;
use sexton::Engine;
use sexton::testing::{Clock, Monotonic, SystemClock};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Time for which a reading answers further requests.
const FRESH: Duration = Duration::from_secs(1);
/// Media type of OpenMetrics, which Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Reading, and the instant of the request that it was made for.
type Last = (Monotonic, Arc<Reading>);

/// Reader of the metrics of a service.
struct Scraper {
    engine: Arc<Engine>,
    data: PathBuf,
    sources: Option<Arc<Sources>>,
    /// Last reading. A thread that reads holds the lock, so at most one reads.
    last: Arc<Mutex<Option<Last>>>,
}

/// Reading of all parts of a service as of one instant: a field for each part that has metrics.
#[derive(Debug)]
struct Reading {
    engine: EngineMetrics,
    sources: Vec<SourceMeasures>,
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.engine.write(&mut families)?;
        sources::write(&mut families, &self.sources)
    }
}

/// Returns the route `/metrics` of a service, whose data folder is `data`.
pub(crate) fn routes(engine: &Arc<Engine>, sources: Option<&Arc<Sources>>, data: &Path) -> Router {
    let (engine, sources, data) = (Arc::clone(engine), sources.map(Arc::clone), data.to_owned());
    let scraper = Arc::new(Scraper { engine, data, sources, last: Arc::default() });
    Router::new().route("/metrics", get(scrape)).with_state(scraper)
}

async fn scrape(State(scraper): State<Arc<Scraper>>, headers: HeaderMap) -> Response<Body> {
    let text = scraper.read(SystemClock.monotonic()).await.and_then(|reading| {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let is_open = accepted.flat_map(|value| value.to_str()).any(|value| value.contains(OPEN_METRICS));
        reading.text(is_open)
    });
    let (status, media_type, body) = match text {
        Ok((media_type, text)) => (StatusCode::OK, media_type, text),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", format!("{why}\n")),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

impl Scraper {
    /// Returns the last reading for a request of `now`, or a new one if it is no longer fresh.
    async fn read(self: Arc<Self>, now: Monotonic) -> Result<Arc<Reading>, String> {
        // The thread owns the lock: a client that goes away does not make room for a second thread.
        let mut last = Arc::clone(&self.last).lock_owned().await;
        let reading = tokio::task::spawn_blocking(move || {
            if let Some((at, reading)) = &*last
                && now.since(*at) < FRESH
            {
                return Ok(Arc::clone(reading));
            }
            let engine = EngineMetrics::read(&self.engine, &self.data)?;
            let sources = self.sources.as_ref().map(|sources| sources.measures()).unwrap_or_default();
            let reading = Arc::new(Reading { engine, sources });
            *last = Some((now, Arc::clone(&reading)));
            Ok(reading)
        });
        let reading = reading.await.map_err(|error| format!("the metrics cannot be read: {error}"))?;
        reading.map_err(|error: sexton::Error| format!("the metrics cannot be read: {error}"))
    }
}

impl Reading {
    /// Returns the media type and the text of the metrics.
    fn text(self: Arc<Self>, is_open: bool) -> Result<(&'static str, String), String> {
        let mut registry = Registry::with_prefix("sexton");
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        let (media_type, encoded) = if is_open {
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", text::encode(&mut out, &registry))
        } else {
            ("text/plain; version=0.0.4; charset=utf-8", prometheus_text::encode(&mut out, &registry))
        };
        encoded.map_err(|error| format!("the metrics cannot be written: {error}"))?;
        Ok((media_type, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton::Options;

    #[test]
    fn one_reading_answers_all_requests_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new("example.com/metrics");
        let engine = Arc::new(Engine::open(folder.path(), &options).unwrap());
        let scraper =
            Arc::new(Scraper { engine, data: folder.path().to_owned(), sources: None, last: Arc::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = |ms| runtime.block_on(Arc::clone(&scraper).read(Monotonic::from_ms(ms))).unwrap();
        let first = read(5_000);
        for (ms, is_first) in [(5_999, true), (4_000, true), (6_000, false)] {
            assert_eq!(Arc::ptr_eq(&first, &read(ms)), is_first, "{ms}");
        }
    }
}
