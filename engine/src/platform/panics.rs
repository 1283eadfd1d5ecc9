//! Panics in the program log.

use std::panic::{self, PanicHookInfo};

/// Sends panics to the program log instead of stderr: their place, and their message if it is a fixed text.
///
/// A message with values may have keys, and the program log outlives the objects.
pub fn log_panics() {
    panic::set_hook(Box::new(log));
}

fn log(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload().downcast_ref::<&str>().copied().unwrap_or("its message may have keys");
    tracing::error!(place, message, "a thread panicked");
}
