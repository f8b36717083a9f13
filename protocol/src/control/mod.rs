//! What our own daemons tell one another. They never import each other; they meet here.

pub mod feed;
pub mod placement;
