//! Copies of the data folder.

use super::{Access, Context, Method, Operation, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::Result;
use std::path::Path;
use utoipa::ToSchema;

/// Request of `backup`. It changes no decision, so it has no dry run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// Absolute path of the new folder. The user of the service makes it, so it lies where that user may write.
    pub folder: String,
}

/// Answer of `backup`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackedUp {
    /// Path of the copy.
    pub folder: String,
    /// Instant of the copy, Unix milliseconds.
    pub taken_ms: i64,
    /// Entries of the log in the copy.
    pub log_entries: u64,
    /// Files that are hard links.
    pub linked_files: u64,
    /// Files of evidence and of the index that were copied, because the copy is on another file system.
    pub copied_files: u64,
    /// Bytes of the copied files.
    pub copied_bytes: u64,
}

impl Operation for BackUp {
    type Answer = BackedUp;
    const NAME: &'static str = "backup";
    const PATH: &'static str = "/v1/backup";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Copy the data folder into a new folder, consistently";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let path = Path::new(&self.folder);
        if !path.is_absolute() {
            return Err(invalid(format!("{:?} is a relative path; give an absolute one", self.folder)));
        }
        let backup = context.engine.back_up(path)?;
        Ok(json!({
            "folder": self.folder,
            "taken_ms": backup.taken.unix_ms(),
            "log_entries": backup.log_entries,
            "linked_files": backup.linked_files,
            "copied_files": backup.copied_files,
            "copied_bytes": backup.copied_bytes,
        }))
    }
}
