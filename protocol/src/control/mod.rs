//! What our own daemons tell one another. They never import each other; they meet here.

pub mod feed;
pub mod fleet;
pub mod names;
pub mod placement;
pub mod roster;
pub mod routes;
pub mod usage;
