//! Going back to sleep: because nobody is there, because the cell closes, or because somebody else
//! has the server now.

use std::sync::Arc;
use std::time::Duration;

use protocol::VolumeId;
use server::Server;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::cell::{Inner, State, Tenants};
use crate::health::{self, Ill};
use crate::limits;
use crate::wake::is_under_way;

/// Puts one server to sleep, once nobody holds it. Returns when it sleeps or is gone.
pub(crate) async fn settle(inner: &Arc<Inner>, volume: VolumeId) {
    loop {
        let changing = {
            let mut tenants = inner.tenants();
            match tenants.all.get(&volume).map(|tenant| &tenant.state) {
                Some(State::Changing(changing)) if is_under_way(changing) => Some(changing.clone()),
                None | Some(State::Asleep | State::Changing(_)) => return,
                Some(State::Awake(server)) if is_unused(server) => {
                    begin_settling(inner, &mut tenants, volume)
                }
                Some(State::Awake(_)) => None,
            }
        };
        match changing {
            Some(mut changing) => while changing.changed().await.is_ok() {},
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Puts one server down, whoever is connected to it. Returns when it is down.
pub(crate) async fn put_down(inner: &Arc<Inner>, volume: VolumeId) {
    loop {
        let changing = {
            let mut tenants = inner.tenants();
            match tenants.all.get(&volume).map(|tenant| &tenant.state) {
                Some(State::Changing(changing)) if is_under_way(changing) => Some(changing.clone()),
                None | Some(State::Asleep | State::Changing(_)) => return,
                Some(State::Awake(_)) => begin_settling(inner, &mut tenants, volume),
            }
        };
        let Some(mut changing) = changing else { return };
        while changing.changed().await.is_ok() {}
    }
}

/// Puts all servers to sleep, whatever they are at; returns when they do.
pub(crate) async fn settle_all(inner: &Arc<Inner>) {
    let changing: Vec<_> = {
        let mut tenants = inner.tenants();
        let awake: Vec<VolumeId> = tenants.awake.keys().copied().collect();
        for volume in awake {
            begin_settling(inner, &mut tenants, volume);
        }
        let states = tenants.all.values().map(|tenant| &tenant.state);
        states
            .filter_map(|state| match state {
                State::Changing(changing) => Some(changing.clone()),
                State::Asleep | State::Awake(_) => None,
            })
            .collect()
    };
    for mut changing in changing {
        while changing.changed().await.is_ok() {}
    }
}

/// Connections and deliveries hold the server, and they take hold under the table's lock only; all
/// but a delivery that pauses, which takes hold again only if the server is still there.
pub(crate) fn is_unused(server: &Arc<Server>) -> bool {
    Arc::strong_count(server) == 1 && server.may_nap()
}

/// Whether all that an unused server waits for is a delivery that is due later.
pub(crate) fn is_napping(server: &Server) -> bool {
    server.next_try().is_some_and(|at| at > Instant::now() + limits::NAP_MIN)
}

/// Takes an awake server that nobody else holds out of the table and closes it in a task. New
/// arrivals find it changing, and wait.
pub(crate) fn begin_settling(
    inner: &Arc<Inner>,
    tenants: &mut Tenants,
    volume: VolumeId,
) -> Option<watch::Receiver<()>> {
    let tenant = tenants.all.get_mut(&volume)?;
    let State::Awake(server) = &tenant.state else { return None };
    let server = Arc::clone(server);
    if server.is_fenced() {
        warn!(identity = %tenant.resident.identity, "the server runs elsewhere; it ends here");
        inner.count_fence(tenant);
    }
    tenants.usage.collect(volume, &server);
    let (done, changing) = watch::channel(());
    tenant.state = State::Changing(changing.clone());
    tenants.awake.remove(&volume);
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let (waits, next_try) = (server.may_wait(), server.next_try());
        let is_down = shut_down(server, inner.config.patience.shut).await;
        if !waits {
            forget_waiting(&inner, volume).await;
        }
        let mut tenants = inner.tenants();
        if !is_down {
            health::note(&inner, &mut tenants, volume, Ill::ClosingHangs);
        }
        if let Some(tenant) = tenants.all.get_mut(&volume) {
            tenant.state = State::Asleep;
            if waits {
                let later = Instant::now() + limits::REMINDED_AFTER_FAILURE;
                tenants.reminders.set(volume, next_try.unwrap_or(later));
            }
        }
        drop(tenants);
        drop(done);
    });
    Some(changing)
}

/// Nothing waits in it: it need not be woken after the next start.
async fn forget_waiting(inner: &Inner, volume: VolumeId) {
    if !inner.waiting.contains(volume) {
        return;
    }
    let waiting = Arc::clone(&inner.waiting);
    let removed = tokio::task::spawn_blocking(move || waiting.remove(volume)).await;
    if let Ok(Err(error)) = removed {
        // It is woken in vain, and the next sleep tries again.
        warn!(%volume, %error, "the note that something waits cannot be removed");
    }
}

/// Ends a server, and leaves its log compact and closed. One that does not let itself be ended in time
/// is given up; false then.
pub(crate) async fn shut_down(server: Arc<Server>, patience: Duration) -> bool {
    let identity = server.identity().clone();
    let (held, overseer) = (Arc::downgrade(&server), server.overseer().clone());
    let ending = async {
        let Some(store) = server.shut().await else { return false };
        let closed = tokio::task::spawn_blocking(move || {
            let maintained = store.maintain().map(drop).map_err(|error| error.to_string());
            let closed = store.close().map_err(|error| error.to_string());
            maintained.and(closed)
        });
        if let Ok(Err(error)) = closed.await {
            // Nothing that was acknowledged is in danger: opening it again finds it all.
            warn!(%identity, error, "the store was not closed cleanly");
        }
        true
    };
    let is_down = timeout(patience, ending).await.unwrap_or(false);
    if !is_down {
        warn!(%identity, "the server did not let go of its store in time");
        match held.upgrade() {
            Some(server) => server.give_up(),
            None => overseer.give_up(),
        }
    }
    is_down
}
