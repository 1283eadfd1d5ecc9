//! Instants, spans and sizes as they cross the boundary: integers, with a presence flag for each optional one.

use crate::failure::{CallResult, invalid};
use crate::pointer::optional;
use crate::types::SEXTON_NEVER_MS;
use sexton_proof::time::Timestamp;
use std::time::Duration;

/// Reads an instant with its presence flag.
#[inline]
pub(crate) fn instant(is_set: bool, ms: i64, flag: &str, field: &str) -> CallResult<Option<Timestamp>> {
    Ok(optional(is_set, ms, flag, field)?.map(Timestamp::from_unix_ms))
}

/// Reads a span. A negative one is refused.
pub(crate) fn span(ms: i64, field: &str) -> CallResult<Duration> {
    let ms = u64::try_from(ms).map_err(|_| invalid(format!("{field} is {ms}; it must be at least 0")))?;
    Ok(Duration::from_millis(ms))
}

/// Splits an instant into its presence flag and its Unix ms, which are 0 if there is none.
pub(crate) fn split_instant(instant: Option<Timestamp>) -> (bool, i64) {
    (instant.is_some(), instant.map_or(0, Timestamp::unix_ms))
}

/// Splits a size into its presence flag and its bytes, which are 0 if it is not known.
pub(crate) fn split_size(size: Option<u64>) -> (bool, u64) {
    (size.is_some(), size.unwrap_or(0))
}

/// Returns the Unix ms of a due time, or SEXTON_NEVER_MS if there is none.
pub(crate) fn due_ms(due: Option<Timestamp>) -> i64 {
    due.map_or(SEXTON_NEVER_MS, Timestamp::unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_span_is_refused_by_its_name() {
        let failure = span(-1, "grace_ms").unwrap_err();
        assert_eq!(failure.message, "grace_ms is -1; it must be at least 0");
        assert!(span(0, "grace_ms").is_ok_and(|span| span.is_zero()));
        assert!(span(i64::MAX, "grace_ms").is_ok());
    }

    #[test]
    fn absent_value_is_0_without_its_flag() {
        assert_eq!((split_instant(None), split_size(None)), ((false, 0), (false, 0)));
        assert_eq!(split_instant(Some(Timestamp::from_unix_ms(0))), (true, 0));
        assert_eq!(split_size(Some(0)), (true, 0));
        assert_eq!(due_ms(None), i64::MAX);
    }
}
