//! Listening sockets go from a running process to the one that replaces it, so that nobody who
//! connects meanwhile is refused or lost: what waits in front of a socket waits for both.
//!
//! The running process listens at a path ([`Offers`]). A new one asks there, gets every socket
//! ([`Doors`]), takes those that it wants, begins to serve, and says that it is ready
//! ([`Predecessor::replace`]). Until then the running process serves as if nothing had been, and
//! does so for ever if that word never comes. The listener at the path goes along with the others,
//! so that there is one at every moment.
//!
//! Only processes of the same user get anything: the path is in a folder that nobody else can
//! enter, and each side asks the system who the other one is.

mod doors;
mod kind;
mod link;
mod offer;
mod place;
mod wire;

pub use self::doors::{Doors, HandoverError, Predecessor};
pub use self::offer::{Asker, Offers, Successor};
pub use self::wire::{Role, RoleError};
