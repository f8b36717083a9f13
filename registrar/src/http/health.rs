//! Is it alive, and does it do its work?

use axum::extract::State;

use super::{Front, Problem};

/// The process turns.
pub(super) async fn turns() -> &'static str {
    "ok\n"
}

/// Registrations can be saved.
pub(super) async fn is_ready(State(front): State<Front>) -> Result<&'static str, Problem> {
    if front.registrar.is_sound() {
        Ok("ok\n")
    } else {
        Err(Problem::store("a write failed").unavailable())
    }
}
