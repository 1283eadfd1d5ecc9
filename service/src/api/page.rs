//! Pages of lists.

use super::invalid;
use serde::{Deserialize, Serialize};
use sexton::Result;

/// Largest length of a page, with its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limit<const DEFAULT: u32>(pub u32);

impl<const DEFAULT: u32> Default for Limit<DEFAULT> {
    fn default() -> Self {
        Limit(DEFAULT)
    }
}

/// Returns the length of a page.
///
/// # Errors
/// `Invalid` if it is 0, or above `max`.
pub(super) fn check_limit(limit: u32, max: u32) -> Result<usize> {
    if (1..=max).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(invalid(format!("a limit of {limit}; 1 to {max} are allowed")))
}
