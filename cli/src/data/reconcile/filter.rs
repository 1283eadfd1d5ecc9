//! Files that the command takes, and the registered ones that it no longer takes.

use crate::data::open::spinner;
use crate::output::Failure;
use clap::Args as ClapArgs;
use sexton::Engine;
use sexton::store::dir::{Filter, Root};
use sexton_proof::time::Timestamp;

/// Options that select files.
#[derive(Debug, ClapArgs)]
pub(super) struct FilterArgs {
    /// Take only files that match a pattern, or lie in a folder that matches it; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out files and folders that match a pattern, also if they are included; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl FilterArgs {
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let [include, exclude] = [&self.include, &self.exclude].map(|of| of.iter().map(String::as_str));
        Filter::new(include, exclude).map_err(|error| Failure::new(error.to_string()))
    }

    /// Returns the number of live objects of the root that the filter does not take. They stay registered.
    pub(super) fn registered(&self, engine: &Engine, root: &Root, filter: &Filter) -> Result<u64, Failure> {
        if self.include.is_empty() && self.exclude.is_empty() {
            return Ok(0);
        }
        let bar = spinner("looking for registered files that are excluded");
        let mut registered = 0;
        for object in engine.plan(Timestamp::MAX)? {
            let object = object?;
            if filter.takes(&object.key) {
                continue;
            }
            // The plan also has registrations that were replaced or released.
            let live = engine.live(&object.key)?;
            let is_live = live.is_some_and(|live| live.id == object.id && root.is_of(&live.version));
            registered += u64::from(is_live);
        }
        bar.finish_and_clear();
        Ok(registered)
    }
}
