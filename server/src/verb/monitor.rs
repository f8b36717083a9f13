//! `monitor`: what a new monitor is told from the store (the protocol's section 5.16).

use protocol::Timestamp;

use crate::notify::kept;
use crate::notify::monitor::{Audience, Backlog};
use crate::refusal::Refusal;
use crate::view::View;

/// What came since, the oldest first; nothing if it did not ask.
pub(crate) fn backlog(
    view: &mut View<'_>,
    audience: &Audience,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<Backlog>, Refusal> {
    let Some(since) = since else { return Ok(Vec::new()) };
    kept::backlog(view, |notification| {
        notification.at > since && !notification.is_expired(now) && audience.hears(notification)
    })
}
