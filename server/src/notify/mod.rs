//! Notifications: kept, queued for others, delivered, and told to monitors.
//!
//! A notification to another is in the store before its sender is answered; from then on it is
//! tried, in order for each receiver, until the receiver's server has it or its time is over. What
//! comes is in the store, and with its monitors, before its sender's server is answered. So both
//! sides have it at least once; the receiver tells a repeated one by its id.

pub(crate) mod delivery;
pub(crate) mod inbox;
pub(crate) mod kept;
pub(crate) mod monitor;
pub(crate) mod outbox;
pub(crate) mod reminder;
