//! Buckets of S3 servers.

mod enable;
mod intake;
mod runner;
mod settings;
mod source;

pub use settings::Bucket;
pub(super) use settings::Settings;
pub(super) use source::BucketSource;

use super::enabling::{Enabling, OtherRoot};
use super::journal::{Journal, Trouble};
use super::place::Place;
use sexton::store::{Answer, Store, StoredObject};
use sexton::{Attribution, Result};
use std::sync::Arc;

impl Place for BucketSource {
    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn run(&self) {
        runner::run(self);
    }

    fn open(&self) -> std::result::Result<Arc<dyn Store>, Trouble> {
        Ok(self.enter()?)
    }

    fn tidy(&self, _: &[StoredObject<'_>], _: &[Answer]) {}

    fn enable(&self, other_root: OtherRoot, attribution: &Attribution, is_dry: bool) -> Result<Enabling> {
        enable::enable(self, other_root, attribution, is_dry)
    }
}
