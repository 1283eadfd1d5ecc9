//! Sources: places whose objects the service registers and deletes.
//!
//! A source is a directory or a bucket of the configuration. Its objects have keys that begin with its name and a slash. It registers
//! and deletes nothing until an operator has enabled it, which accepts its root under its name
//! ([`Engine::accept_root_for`]). [`Sources`] has a thread for each that finds its files, and is the [`Store`] that deletes
//! from all of them.

#[cfg(feature = "s3")]
mod bucket;
mod directory;
mod enabling;
mod journal;
mod length;
mod limit;
mod measures;
mod place;
mod report;
mod settings;
mod shared;
mod store;
#[cfg(test)]
mod tests;

#[cfg(feature = "s3")]
pub use bucket::Bucket;
pub use directory::Directory;
pub use enabling::{Enabling, OtherRoot};
pub use length::Length;
pub use measures::{SourceCounts, SourceMeasures};
pub use report::{EnabledBy, SourceReport, SourceState};
pub use settings::SourceSettings;

use parking_lot::{Mutex, RwLock};
use place::Place;
use settings::Checked;
use sexton::decision::RootSource;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::{Clock, SystemClock};
use sexton::{Attribution, Engine, Error, ErrorKind, Result, Selector};
use shared::{Shared, invalid};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use store::Patience;

/// Options of [`Sources::start`].
#[derive(Clone)]
#[non_exhaustive]
pub struct SourcesOptions {
    /// Clock of limits and waits. Default: that of the machine.
    pub clock: Arc<dyn Clock>,
    /// Threads that call the store at the same time, so that some of them stay free while others wait for a limit.
    /// Default: 2.
    pub deleting_threads: usize,
    /// Limit on watched folders of each source, beside that of the system. Default: none.
    pub watches_max: usize,
    #[cfg(test)]
    before_events: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Default for SourcesOptions {
    fn default() -> Self {
        SourcesOptions {
            clock: Arc::new(SystemClock),
            deleting_threads: 2,
            watches_max: usize::MAX,
            #[cfg(test)]
            before_events: None,
        }
    }
}

impl SourcesOptions {
    /// Sets [`clock`](field@SourcesOptions::clock).
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        SourcesOptions { clock, ..self }
    }

    /// Sets [`deleting_threads`](field@SourcesOptions::deleting_threads).
    #[must_use]
    pub fn deleting_threads(self, deleting_threads: usize) -> Self {
        SourcesOptions { deleting_threads, ..self }
    }

    /// Sets [`watches_max`](field@SourcesOptions::watches_max).
    #[must_use]
    pub fn watches_max(self, watches_max: usize) -> Self {
        SourcesOptions { watches_max, ..self }
    }
}

/// Sources at work on one engine. Dropping it ends their threads.
pub struct Sources {
    shared: Shared,
    patience: Patience,
    running: RwLock<Vec<Running>>,
    /// Held by calls that change what is configured or enabled.
    changing: Mutex<()>,
}

/// Source with its thread.
struct Running {
    settings: Checked,
    source: Arc<dyn Place>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(settings: Checked, shared: &Shared) -> Result<Self> {
        let source = settings.place(shared.clone())?;
        let runs = Arc::clone(&source);
        let log = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new()
            .name(format!("source-{}", source.journal().name()))
            .spawn(move || tracing::dispatcher::with_default(&log, || runs.run()))
            .map_err(|error| {
                Error::with_source(ErrorKind::Io, "cannot start the thread of a source", error)
            })?;
        Ok(Running { settings, source, thread: Some(thread) })
    }

    fn name(&self) -> &str {
        self.source.journal().name()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.source.journal().stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(source = self.name(), "the thread of a source had panicked");
        }
    }
}

impl Sources {
    /// Checks the settings and starts a thread for each source. `data` is the data folder of the engine.
    ///
    /// # Errors
    /// `Invalid` if a setting is wrong, two directories overlap, or a source that is missing still owes objects; `Io` if
    /// the system gives no thread; those of the engine.
    pub fn start(
        engine: &Arc<Engine>,
        data: &Path,
        settings: &SourceSettings,
        options: SourcesOptions,
    ) -> Result<Sources> {
        let shared = Shared {
            engine: Arc::clone(engine),
            data: data.to_path_buf(),
            clock: options.clock,
            peers: Arc::default(),
            watches_max: options.watches_max,
            #[cfg(test)]
            before_events: options.before_events,
        };
        let sources = Sources {
            shared,
            patience: Patience::of_threads(options.deleting_threads),
            running: RwLock::default(),
            changing: Mutex::new(()),
        };
        sources.reload(settings)?;
        Ok(sources)
    }

    /// Checks settings without starting anything.
    ///
    /// # Errors
    /// `Invalid` if a setting is wrong, or two directories overlap.
    pub fn check(settings: &SourceSettings) -> Result<()> {
        settings::check(settings).map(|_| ())
    }

    /// Puts other settings in the place of the present ones. Sources whose settings stay the same go on.
    ///
    /// # Errors
    /// As [`start`](Self::start). Nothing is changed if a setting is refused.
    pub fn reload(&self, settings: &SourceSettings) -> Result<()> {
        let _changing = self.changing.lock();
        let settings = settings::check(settings)?;
        self.check_none_owes(&settings)?;
        *self.shared.peers.write() = settings.iter().map(Checked::peer).collect();
        // Calls of the store wait meanwhile, so none of them misses its source.
        let mut present = self.running.write();
        let before: Vec<Running> = std::mem::take(&mut *present);
        let is_kept = |running: &Running| settings.contains(&running.settings);
        let (kept, ended): (Vec<Running>, Vec<Running>) = before.into_iter().partition(is_kept);
        // Their threads end before others begin on the same roots.
        drop(ended);
        let mut kept: BTreeMap<String, Running> =
            kept.into_iter().map(|running| (running.name().to_owned(), running)).collect();
        let mut running = Vec::with_capacity(settings.len());
        for settings in settings {
            running.push(match kept.remove(settings.source().name()) {
                Some(kept) => kept,
                None => Running::start(settings, &self.shared)?,
            });
        }
        *present = running;
        Ok(())
    }

    /// Refuses settings without a source that owes objects.
    fn check_none_owes(&self, settings: &[Checked]) -> Result<()> {
        let engine = &self.shared.engine;
        let bound: Vec<RootSource> = engine.roots()?.into_iter().filter_map(|root| root.source).collect();
        for source in &bound {
            match settings.iter().map(Checked::source).find(|of| of.name() == source.name()) {
                Some(of) if of == source => continue,
                found => {
                    let owed = owed(engine, source, &bound)?;
                    if owed == 0 {
                        continue;
                    }
                    let name = source.name();
                    return Err(invalid(match found {
                        Some(_) => format!(
                            "source {name:?} owes {owed} objects whose keys begin with {:?}; keep its prefix",
                            source.prefix()
                        ),
                        None => format!(
                            "source {name:?} owes {owed} objects and is missing in the configuration; keep it until they \
                             have ended"
                        ),
                    }));
                }
            }
        }
        Ok(())
    }

    /// Returns the states of all sources, in the order of the configuration.
    pub fn list(&self) -> Vec<SourceReport> {
        self.running.read().iter().map(|running| running.source.journal().report()).collect()
    }

    /// Returns the measures of all sources.
    pub fn measures(&self) -> Vec<SourceMeasures> {
        self.running.read().iter().map(|running| running.source.journal().measures()).collect()
    }

    /// Returns the conditions that need an operator, one message each.
    pub fn needs(&self) -> Vec<String> {
        self.list().iter().flat_map(SourceReport::needs).collect()
    }

    /// Counts what a source would take in and what would go at once, and accepts its root. A dry run only counts.
    ///
    /// It reads the whole root, and takes the memory of its objects.
    ///
    /// # Errors
    /// `NotFound` if no source has this name; `Invalid` if its root cannot be accepted; `Io` if it cannot be read; those of
    /// the engine.
    pub fn enable(
        &self,
        name: &str,
        other_root: OtherRoot,
        attribution: &Attribution,
        is_dry: bool,
    ) -> Result<Enabling> {
        let _changing = self.changing.lock();
        let source = self.find(name)?;
        let enabling = source.enable(other_root, attribution, is_dry)?;
        source.journal().wake();
        Ok(enabling)
    }

    /// Begins a full scan of a source.
    ///
    /// # Errors
    /// `NotFound` if no source has this name.
    pub fn rescan(&self, name: &str) -> Result<()> {
        self.find(name)?.journal().rescan();
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<dyn Place>> {
        let running = self.running.read();
        let found = running.iter().find(|running| running.name() == name);
        found.map(|running| Arc::clone(&running.source)).ok_or_else(|| {
            let names: Vec<&str> = running.iter().map(Running::name).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("there is no source {name:?}; known are: {}", names.join(", ")),
            )
        })
    }
}

impl Store for Sources {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let sources: Vec<Arc<dyn Place>> =
            self.running.read().iter().map(|running| Arc::clone(&running.source)).collect();
        store::delete(&sources, &self.patience, sub_batch)
    }
}

/// Counts the live objects of a source. Those of one without a prefix are all that no other source has.
fn owed(engine: &Engine, source: &RootSource, all: &[RootSource]) -> Result<u64> {
    let of = |source: &RootSource| engine.count_live(&Selector::Prefix(source.prefix().as_bytes().to_vec()));
    if !source.prefix().is_empty() {
        return of(source);
    }
    let mut owed = engine.count_live(&Selector::Everything)?;
    for other in all.iter().filter(|other| !other.prefix().is_empty()) {
        owed = owed.saturating_sub(of(other)?);
    }
    Ok(owed)
}
