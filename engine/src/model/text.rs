//! Texts that operators give: names, reasons and authors, with their bounds.

use crate::platform::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;

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
#[non_exhaustive]
pub struct Attribution {
    /// Reason for the decision: 1 to 1,000 bytes.
    pub reason: String,
    /// Person who decides: 1 to 1,000 bytes. The caller claims it.
    pub author: String,
    /// User id of the process that made the call, as the kernel authenticated it. `None` if the host did not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

impl Attribution {
    /// Creates an attribution. The call that takes it checks the lengths.
    #[must_use]
    pub fn new(author: impl Into<String>, reason: impl Into<String>) -> Self {
        Attribution { reason: reason.into(), author: author.into(), uid: None }
    }

    /// Sets the authenticated user id of the process that made the call.
    #[must_use]
    pub fn uid(self, uid: impl Into<Option<u32>>) -> Self {
        Attribution { uid: uid.into(), ..self }
    }

    /// Checks the lengths of reason and author.
    ///
    /// # Errors
    /// `Invalid` if one of them is empty or too long.
    pub fn check(&self) -> Result<()> {
        check_text("reason", &self.reason)?;
        check_text("author", &self.author)
    }
}

/// Decision of an operator with its instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decided {
    /// Instant of the decision.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Person who decided, and the reason.
    #[serde(flatten)]
    pub attribution: Attribution,
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

    /// A record without a user id has the bytes that releases before the user id wrote.
    #[test]
    fn attribution_without_uid_keeps_its_stored_form() {
        let stored = r#"{"reason":"r","author":"a"}"#;
        let without = Attribution::new("a", "r");
        assert_eq!(serde_json::to_string(&without).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Attribution>(stored).unwrap(), without);
        let with = without.uid(1_000);
        let stored = serde_json::to_string(&with).unwrap();
        assert_eq!(stored, r#"{"reason":"r","author":"a","uid":1000}"#);
        assert_eq!(serde_json::from_str::<Attribution>(&stored).unwrap(), with);
    }
}
