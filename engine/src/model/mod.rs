//! Pure structures and rules: classes, holds, requests, wheels and guards, and the layout of every stored key and value.
//!
//! Nothing in this layer performs I/O, reads a clock or takes a lock.

pub(crate) mod alarm;
pub(crate) mod breaker;
pub(crate) mod class;
pub(crate) mod clock_guard;
pub(crate) mod clock_rules;
pub(crate) mod copy_mark;
pub(crate) mod grace;
pub(crate) mod guard_limits;
pub(crate) mod hex_id;
pub(crate) mod hold;
pub(crate) mod key_list;
pub(crate) mod outcomes;
pub(crate) mod request;
pub(crate) mod request_rules;
pub(crate) mod schema;
pub(crate) mod selector;
pub(crate) mod span_ms;
pub(crate) mod target;
pub(crate) mod text;
pub(crate) mod time_back;
pub(crate) mod wheel;
