//! State of a source, for operators.

use serde::{Deserialize, Serialize};
use sexton::decision::Decided;
use utoipa::ToSchema;

/// State of a source.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SourceReport {
    /// Name, which begins the keys of its objects.
    pub name: String,
    /// Beginning of all keys: the name and a slash, or empty.
    pub prefix: String,
    /// Path of the root, or URL of the bucket.
    pub path: String,
    /// Class of new objects. Several are separated by commas.
    pub class: String,
    /// State in a word.
    pub state: SourceState,
    /// Newest decision to enable it; `None` if there was none, or a release that kept none made it.
    pub enabled: Option<EnabledBy>,
    /// Reason for any state but `watching`.
    pub why: Option<String>,
    /// `true` while a full scan runs.
    pub scanning: bool,
    /// End of the last full scan, Unix milliseconds.
    pub last_scan_ms: Option<i64>,
    /// Folders that are watched.
    pub watched_folders: u64,
    /// Files that wait until they are complete.
    pub settling: u64,
    /// Age of the oldest file that waits for its registration although it is complete, milliseconds.
    pub intake_lag_ms: u64,
    /// Files registered since the start of the service.
    pub registered: u64,
    /// Registered files that were found under new names since then.
    pub renamed: u64,
    /// Files whose new content was stated since then.
    pub changed: u64,
    /// Files that took the place of others under their keys since then.
    pub replaced: u64,
    /// Files that came back and are deleted again since then.
    pub deleted_again: u64,
    /// Files whose object has ended, and that are left out, as of the last full scan and the files found since.
    pub came_back: u64,
    /// Files and folders that cannot be taken in, as of the last full scan and the files found since.
    pub refused: u64,
    /// First reasons for which these are refused.
    pub first_refused: Vec<String>,
    /// Error of the last attempt to register; `None` if it succeeded.
    pub error: Option<String>,
    /// What stands in the way of its promises: lifecycle rules of the bucket itself, and listings that are too rare.
    pub warnings: Vec<String>,
}

/// Decision to enable a source.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EnabledBy {
    /// Instant of the decision, Unix milliseconds.
    pub at_ms: i64,
    /// Person who decided.
    pub author: String,
    /// Reason.
    pub reason: String,
    /// User of the process, as the kernel authenticated it; `None` if it is not known.
    pub uid: Option<u32>,
}

/// State of a source in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceState {
    /// The service has not looked at it yet.
    Starting,
    /// Nothing of it is registered or deleted until an operator enables it.
    NotEnabled,
    /// Its root is gone, or another folder is in its place. Its due objects wait.
    RootLost,
    /// It cannot work, for example because its class is unknown.
    Refused,
    /// New files are found within a second.
    Watching,
    /// New files are found at the full scans only, in some or all folders.
    Rescanning,
    /// New objects are found at each listing of the bucket.
    Listing,
}

impl From<Decided> for EnabledBy {
    fn from(Decided { at, attribution, .. }: Decided) -> Self {
        let (author, reason) = (attribution.author, attribution.reason);
        EnabledBy { at_ms: at.unix_ms(), author, reason, uid: attribution.uid }
    }
}

impl SourceReport {
    /// Returns the conditions that need an operator, one message each.
    pub fn needs(&self) -> Vec<String> {
        let name = &self.name;
        let why = self.why.as_deref().unwrap_or("the reason is unknown");
        let mut needs = Vec::new();
        match self.state {
            SourceState::NotEnabled => needs.push(format!(
                "source {name:?} is not enabled, and nothing of it is registered or deleted: {why}; see what would go with \
                 `sexton source enable {name} --dry-run`"
            )),
            SourceState::RootLost => {
                needs.push(format!("source {name:?} has lost its root, and its due objects wait: {why}"));
            }
            SourceState::Refused => needs.push(format!("source {name:?} cannot work: {why}")),
            SourceState::Rescanning => {
                needs.push(format!("source {name:?} finds new files at its full scans only: {why}"));
            }
            SourceState::Starting | SourceState::Watching | SourceState::Listing => {}
        }
        if self.came_back > 0 {
            needs.push(format!(
                "source {name:?} leaves out {} whose objects have ended: they may have come back from a backup; list them \
                 with `sexton ended`, and set `returned` of the directory to what they are",
                files(self.came_back)
            ));
        }
        if self.refused > 0 {
            let first = self.first_refused.first().map_or("", String::as_str);
            needs.push(format!("source {name:?} cannot take in {}; the first: {first}", files(self.refused)));
        }
        if let Some(error) = &self.error {
            needs.push(format!("source {name:?} cannot register: {error}"));
        }
        needs.extend(self.warnings.iter().map(|warning| format!("source {name:?}: {warning}")));
        needs
    }
}

fn files(number: u64) -> String {
    if number == 1 { "1 file".into() } else { format!("{number} files") }
}
