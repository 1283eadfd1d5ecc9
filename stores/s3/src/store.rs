//! The store: its runtime, its state, and opening.

use crate::call::Caller;
use crate::delete;
use crate::error::Error;
use crate::options::Options;
use crate::probe::Conditions;
use crate::shared::Shared;
use crate::state::Versioning;
use crate::trouble::Trouble;
use crate::version::{NULL, Version};
use sexton::store::{Answer, Store, SubBatch};
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc;
use tokio::runtime::Runtime;

/// Threads of a store's own runtime. They wait for the network most of the time.
const THREADS: usize = 2;

/// Store of the objects of one bucket. The [crate documentation](crate) states its promises.
///
/// It has a small runtime of its own, so its calls may come from any thread, also from one of another runtime. They block.
pub struct S3Store {
    pub(crate) shared: Arc<Shared>,
    /// `None` only while the store is dropped.
    runtime: Option<Runtime>,
}

/// Abilities of the server in this bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Versioning of the bucket.
    pub versioning: Versioning,
    /// Conditions of a deletion that the server was seen to check. `None`: not probed, since versioning is enabled.
    pub conditions: Option<Conditions>,
    /// `true` if the bucket has Object Lock. `None`: the credentials may not ask.
    pub has_object_lock: Option<bool>,
}

impl S3Store {
    /// Opens a bucket. Reads its versioning. Unless versioning is enabled, it stores and deletes a throwaway object below
    /// [`PROBE_PREFIX`](crate::PROBE_PREFIX), to see which conditions of a deletion the server checks.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an option; [`Error::NoBucket`]; [`Error::Denied`] if a right is missing;
    /// [`Error::Unsafe`] if objects may be overwritten, the server checks no condition, and
    /// [`Options::unsafe_unversioned`] is not set; [`Error::Failed`] if the server does not answer.
    pub fn open(options: &Options) -> Result<Self, Error> {
        options.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("sexton-s3")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::Failed(format!("the threads of the store cannot be started: {error}").into())
            })?;
        let options = options.clone();
        let connected = run(&runtime, async move {
            let client = crate::client::connect(&options).await?;
            let shared = Shared::new(Caller::new(client, &options), &options);
            let what = format!("the bucket {:?} cannot be opened", options.bucket);
            let versioning = shared.caller.versioning().await.map_err(|trouble| Error::of(&what, trouble))?;
            if versioning != Versioning::Enabled
                && !shared.conditions(versioning).await?.any()
                && !options.unsafe_unversioned
            {
                return Err(Error::Unsafe(unsafe_message(&options.bucket, versioning).into()));
            }
            if options.mirror_holds
                && !shared.caller.has_object_lock().await.map_err(|trouble| Error::of(&what, trouble))?
            {
                return Err(Error::Invalid(
                    format!("{what}: mirror_holds needs Object Lock, which the bucket does not have").into(),
                ));
            }
            Ok(Arc::new(shared))
        });
        match connected.unwrap_or_else(|| Err(defect())) {
            Ok(shared) => Ok(Self { shared, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Returns the versioning of the bucket as it is now.
    ///
    /// # Errors
    /// [`Error::NoBucket`], [`Error::Denied`], [`Error::Failed`].
    pub fn versioning(&self) -> Result<Versioning, Error> {
        self.call("the versioning of the bucket cannot be read", |shared| async move {
            shared.caller.versioning().await
        })
    }

    /// Returns what the server can do in this bucket, for status reports. Asks the server.
    ///
    /// # Errors
    /// [`Error::NoBucket`], [`Error::Denied`], [`Error::Failed`].
    pub fn capabilities(&self) -> Result<Capabilities, Error> {
        self.call("the bucket's capabilities cannot be read", |shared| async move {
            let versioning = shared.caller.versioning().await?;
            let conditions = shared.known_conditions(versioning).await;
            let has_object_lock = match shared.caller.has_object_lock().await {
                Ok(has_lock) => Some(has_lock),
                // It is for the report only.
                Err(Trouble::Denied(_)) => None,
                Err(trouble) => return Err(trouble),
            };
            Ok(Capabilities { versioning, conditions, has_object_lock })
        })
    }

    /// Returns the tags of an object, sorted, for rules that choose a class by them. Costs a request.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoBucket`]; [`Error::Denied`] without the right `s3:GetObjectVersionTagging`;
    /// [`Error::Failed`].
    pub fn tags(&self, key: &str, version: &Version) -> Result<Vec<(String, String)>, Error> {
        let named = match version {
            Version::Object(id) => Some(id.clone()),
            Version::Unversioned { .. } => None,
            // They have none.
            Version::Marker(_) | Version::NullMarker { .. } | Version::Upload(_) => return Ok(Vec::new()),
        };
        let key = key.to_owned();
        self.call("the tags of the object cannot be read", move |shared| async move {
            let caller = &shared.caller;
            let id = match named {
                // Another version may be the current one.
                None if caller.versioning().await? != Versioning::Off => Some(NULL.to_owned()),
                named => named,
            };
            let request = |client: &aws_sdk_s3::Client| {
                let request = client.get_object_tagging().bucket(&caller.bucket).key(&key);
                request.set_version_id(id.clone()).send()
            };
            match caller.send(request).await {
                Ok(output) => {
                    let mut tags: Vec<_> =
                        output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect();
                    tags.sort();
                    Ok(tags)
                }
                Err(Trouble::NoConfiguration | Trouble::Unsupported) => Ok(Vec::new()),
                Err(trouble) => Err(trouble),
            }
        })
    }

    /// Runs requests on the store's runtime and waits for them.
    pub(crate) fn call<T, F, R>(&self, what: &str, request: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Shared>) -> R,
        R: Future<Output = Result<T, Trouble>> + Send + 'static,
    {
        let request = request(self.shared.clone());
        let result = self.runtime.as_ref().and_then(|runtime| run(runtime, request));
        result.ok_or_else(defect)?.map_err(|trouble| Error::of(what, trouble))
    }

    /// Starts a task on the store's runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }
}

impl Store for S3Store {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let unanswered = || Answer::Failed("the store has no answer; the engine asks again".into());
        let mut answers: Vec<Answer> = sub_batch.objects.iter().map(|_| unanswered()).collect();
        let (items, mut answered) = delete::decode(sub_batch);
        if !items.is_empty() {
            let shared = self.shared.clone();
            let given = self.runtime.as_ref().and_then(|runtime| run(runtime, delete::delete(shared, items)));
            answered.extend(given.unwrap_or_default());
        }
        for (index, answer) in answered {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
        answers
    }
}

impl Drop for S3Store {
    fn drop(&mut self) {
        // An ordinary drop of a runtime panics inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a task and waits for its result; `None` if it panicked. Unlike `block_on`, it may be called inside another runtime.
fn run<T: Send + 'static>(runtime: &Runtime, task: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The receiver waits below.
        let _ = sender.send(task.await);
    });
    receiver.recv().ok()
}

pub(crate) fn defect() -> Error {
    Error::Failed("a defect in sexton: a request to the bucket panicked".into())
}

fn unsafe_message(bucket: &str, versioning: Versioning) -> String {
    let state = match versioning {
        Versioning::Suspended => "its versioning is suspended",
        _ => "it has no versioning",
    };
    format!(
        "the bucket {bucket:?} is refused: {state}, and its server does not check conditions of a deletion, so another object \
         could be deleted in place of the registered one; enable versioning, or set unsafe_unversioned"
    )
}
