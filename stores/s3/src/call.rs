//! Sending of requests: how many at a time, and what happens while the server is busy.

use crate::options::Options;
use crate::trouble::Trouble;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use parking_lot::Mutex;
use std::future::Future;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// First pause before a request is repeated. Each further pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause that the store chooses by itself.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Client of one bucket, with the bounds on its requests. All calls of a store share it.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    permits: Semaphore,
    pub(crate) retry_for: Duration,
    /// Instant before which the server does not want to be asked. All requests wait for it.
    not_before: Mutex<Option<Instant>>,
}

impl Caller {
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        Self {
            client,
            bucket: options.bucket.clone(),
            permits: Semaphore::new(options.requests_in_flight),
            retry_for: options.retry_for,
            not_before: Mutex::new(None),
        }
    }

    /// Sends a request. Repeats it, with growing pauses, while the server is busy or does not answer, at most for
    /// [`Options::retry_for`]. Every request of the store may be repeated: it names what it deletes.
    ///
    /// # Errors
    /// The trouble of the last attempt.
    pub(crate) async fn send<T, E, F, R>(&self, request: F) -> Result<T, Trouble>
    where
        F: Fn(&Client) -> R,
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.send_for(self.retry_for, request).await
    }

    /// Sends a request, and repeats it for at most `span`. With zero it is sent once.
    pub(crate) async fn send_for<T, E, F, R>(&self, span: Duration, request: F) -> Result<T, Trouble>
    where
        F: Fn(&Client) -> R,
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let end = Instant::now() + span;
        let mut pause = PAUSE_MIN;
        loop {
            self.wait_for_the_server(end).await?;
            let result = {
                let closed = |_| Trouble::Other("the store is closing".into());
                let _permit = self.permits.acquire().await.map_err(closed)?;
                request(&self.client).await
            };
            let trouble = match result {
                Ok(output) => return Ok(output),
                Err(error) => Trouble::of(&error),
            };
            if !trouble.is_transient() {
                return Err(trouble);
            }
            let asked = match &trouble {
                Trouble::Busy { after, .. } => *after,
                _ => None,
            };
            let span = asked.unwrap_or_default().max(pause);
            let now = Instant::now();
            // A span that no clock can hold is as good as the end.
            let next = now.checked_add(span).unwrap_or(end);
            if asked.is_some() {
                let mut not_before = self.not_before.lock();
                *not_before = Some(not_before.map_or(next, |at| at.max(next)));
            }
            if next >= end {
                return Err(trouble);
            }
            sleep(span).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits until the server wants to be asked again.
    ///
    /// # Errors
    /// That is not before `end`.
    async fn wait_for_the_server(&self, end: Instant) -> Result<(), Trouble> {
        loop {
            // Another request may have moved the instant during the wait.
            let Some(at) = *self.not_before.lock() else { return Ok(()) };
            let now = Instant::now();
            if at <= now {
                return Ok(());
            }
            if at >= end {
                let why =
                    format!("the server asked for a pause, which lasts {} s more", (at - now).as_secs() + 1);
                return Err(Trouble::Busy { after: Some(at - now), why });
            }
            sleep_until(at).await;
        }
    }
}
