//! Health: whether a restart would help, and whether the service takes requests.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use sexton::Engine;
use sexton::report::EngineState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Health of a service.
pub struct Health {
    engine: Arc<Engine>,
    failure: OnceLock<String>,
    stopping: AtomicBool,
}

impl Health {
    pub(crate) fn new(engine: &Arc<Engine>) -> Arc<Self> {
        let (failure, stopping) = (OnceLock::new(), AtomicBool::new(false));
        Arc::new(Health { engine: Arc::clone(engine), failure, stopping })
    }

    /// Notes that a part of the service failed which only a restart brings back, such as a deleting thread. The first reason
    /// stays.
    pub fn fail(&self, why: impl Into<String>) {
        let _ = self.failure.set(why.into());
    }

    /// Returns the reason for which only a restart helps; `None` if there is none.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let poisoned = || match self.engine.state() {
            EngineState::Poisoned(why) => Some(format!("the engine is poisoned: {why}")),
            _ => None,
        };
        self.failure.get().cloned().or_else(poisoned)
    }

    /// Returns the reason for which the service takes no registrations; `None` if it does.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("the service is stopping".to_owned());
        }
        self.failure().or_else(|| match self.engine.state() {
            EngineState::Forked(why) => Some(format!("the log is forked: {why}")),
            EngineState::Copy(why) => Some(why),
            _ => None,
        })
    }

    /// Notes that the service is stopping.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Returns the routes `/healthz` and `/readyz`.
pub(crate) fn routes(health: &Arc<Health>) -> Router {
    let route = |look: fn(&Health) -> Option<String>| {
        let health = Arc::clone(health);
        get(async move || answer(tokio::task::spawn_blocking(move || look(&health)).await))
    };
    Router::new().route("/healthz", route(Health::failure)).route("/readyz", route(Health::unready))
}

fn answer(looked: Result<Option<String>, tokio::task::JoinError>) -> (StatusCode, String) {
    match looked {
        Ok(None) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Some(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("the health is unknown: {error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton::Options;

    #[test]
    fn stopping_service_is_unready_and_needs_no_restart() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new("example.com/health");
        let health = Health::new(&Arc::new(Engine::open(folder.path(), &options).unwrap()));
        assert_eq!((health.failure(), health.unready()), (None, None));
        health.stop();
        assert_eq!((health.failure(), health.unready()), (None, Some("the service is stopping".into())));
    }
}
