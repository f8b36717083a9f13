//! Is it alive, and does it do its work?

use axum::extract::State;

use super::{Front, Problem};
use crate::error::LedgerError;

/// The process turns.
pub(super) async fn turns() -> &'static str {
    "ok\n"
}

/// Registrations can be saved.
pub(super) async fn is_ready(State(front): State<Front>) -> Result<&'static str, Problem> {
    if !front.registrar.is_sound() {
        return Err(Problem::store("a write failed").unavailable());
    }
    if !front.registrar.is_in_reach() {
        return Err(LedgerError::OutOfReach.into());
    }
    Ok("ok\n")
}
