//! Second deletion of files that a backup brought back after their end.

use super::bisect::{self, OBJECTS_MAX};
use crate::output::Failure;
use sexton::store::dir::Identified;
use sexton::{Durability, Engine, Registration};

/// Registers files whose objects have ended under their former terms, so that the next enforcement deletes them. Returns
/// the answer to each, or why it was refused.
pub(super) fn delete_again(
    engine: &Engine,
    files: &[(&[u8], &Identified)],
) -> Result<Vec<Result<(), String>>, Failure> {
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
