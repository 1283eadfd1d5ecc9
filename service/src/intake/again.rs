//! Second deletion of files that a backup brought back after their end.

use super::bisect::{self, OBJECTS_MAX};
use serde::{Deserialize, Serialize};
use sexton::store::dir::Identified;
use sexton::{Durability, Engine, Registration, Result};

/// Treatment of files whose object has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returned {
    /// They are left out, and stay.
    #[default]
    LeaveOut,
    /// They are registered for their second deletion.
    DeleteAgain,
    /// They are other objects under the same keys.
    AsNew,
}

/// Registers files whose objects have ended under their former terms, so that the next enforcement deletes them. Returns
/// the answer to each, or why it was refused.
///
/// # Errors
/// Those of the engine, except for refusals of single files.
pub fn delete_again(
    engine: &Engine,
    files: &[(&[u8], &Identified)],
) -> Result<Vec<std::result::Result<(), String>>> {
    let mut all = Vec::with_capacity(files.len());
    for chunk in files.chunks(OBJECTS_MAX) {
        // The engine takes class and start from the ended object.
        let registrations: Vec<Registration<'_>> = chunk
            .iter()
            .map(|(key, file)| Registration::new("", key).version(&file.version).size(file.size))
            .collect();
        let answers =
            bisect::register(&registrations, &|part| engine.delete_again(part, Durability::Synced))?;
        all.extend(answers.into_iter().map(|answer| match answer? {
            Some(_) => Ok(()),
            None => Err("it is live again, or its end is no longer remembered".into()),
        }));
    }
    Ok(all)
}
