//! Operations by which a host tells of objects: registration, later changes, and the way from an id to its current row.

pub(crate) mod change;
pub(crate) mod classes;
pub(crate) mod opening;
pub(crate) mod placement;
pub(crate) mod register;
pub(crate) mod resolve;
