//! Texts that operators give: names, reasons and authors, with their bounds.

use crate::platform::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Longest name, reason or author, in bytes.
pub(crate) const TEXT_MAX_BYTES: usize = 1_000;

/// Refuses a text that is empty or too long; `what` names it in the error. White space around it does not count.
pub(crate) fn check_text(what: &str, text: &str) -> Result<()> {
    let length = text.trim().len();
    if (1..=TEXT_MAX_BYTES).contains(&length) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} of {length} bytes; 1 to {TEXT_MAX_BYTES} are allowed")))
}

/// Author of an operator's decision, and the reason for it.
// The index stores the reason first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribution {
    /// Reason for the decision: 1 to 1,000 bytes.
    pub reason: String,
    /// Person who decides: 1 to 1,000 bytes.
    pub author: String,
}

impl Attribution {
    /// Creates an attribution. The call that takes it checks the lengths.
    #[must_use]
    pub fn new(author: impl Into<String>, reason: impl Into<String>) -> Self {
        Attribution { reason: reason.into(), author: author.into() }
    }

    /// Refuses a reason or an author that is empty or too long.
    pub(crate) fn check(&self) -> Result<()> {
        check_text("reason", &self.reason)?;
        check_text("author", &self.author)
    }
}

/// Refuses an empty or overlong `what`, which would match nothing, or everything by mistake.
pub(crate) fn check_selects(what: &str, length: usize, max: usize) -> Result<()> {
    match length {
        0 => Err(Error::invalid(format!("an empty {what} would select nothing, or everything by mistake"))),
        _ if length > max => {
            Err(Error::invalid(format!("{what} of length {length}; 1 to {max} are allowed")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_1_to_1000_bytes_is_accepted() {
        for (text, accepted) in
            [("", false), (" \n", false), ("a", true), (&"é".repeat(500), true), (&"a".repeat(1_001), false)]
        {
            assert_eq!(check_text("reason", text).is_ok(), accepted, "{} bytes", text.len());
        }
        let error = check_text("author", &"a".repeat(1_001)).unwrap_err();
        assert_eq!(error.message(), "author of 1001 bytes; 1 to 1000 are allowed");
    }
}
