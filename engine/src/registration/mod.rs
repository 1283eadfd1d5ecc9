//! Statements of the host about objects: registration, later changes, and class definitions. Also resolves an id to its
//! current row.

pub(crate) mod change;
pub(crate) mod classes;
pub(crate) mod commitment;
pub(crate) mod placement;
pub(crate) mod register;
pub(crate) mod resolve;
