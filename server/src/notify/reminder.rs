//! Telling the host that something waits to be delivered.
//!
//! A server that sleeps delivers nothing, so whoever hosts it has to know that it must be woken, also
//! after a crash, and without opening the stores of all its servers. So before the first
//! notification that waits is acknowledged, the host has been told, durably; it forgets when the
//! server sleeps and nothing waits any more. Told once too often, it wakes a server in vain; it is
//! never told too late.

use std::io;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::refusal::Refusal;

/// How the host is told: blocks until it will remember, also after a crash.
pub type Remind = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Tells the host once while the server is awake.
pub(crate) struct Reminder {
    remind: Option<Remind>,
    is_told: OnceCell<()>,
}

impl Reminder {
    /// Without a host there is nobody to tell.
    pub(crate) fn new(remind: Option<Remind>) -> Self {
        Self { remind, is_told: OnceCell::new() }
    }

    /// Returns when the host knows. Costs nothing from the second time on.
    pub(crate) async fn tell(&self) -> Result<(), Refusal> {
        let Some(remind) = &self.remind else { return Ok(()) };
        let told = self.is_told.get_or_try_init(|| async {
            let remind = Arc::clone(remind);
            match tokio::task::spawn_blocking(move || remind()).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the host cannot remember that something waits");
                    Err(Refusal::store())
                }
                Err(_) => Err(Refusal::store()),
            }
        });
        told.await.copied()
    }
}
