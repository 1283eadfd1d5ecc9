//! Bounds of the texts that operators give: names, reasons and authors.

use crate::platform::error::{Error, Result};

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
