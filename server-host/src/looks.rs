//! Looking, again and again, whether the stores of those who are awake were opened elsewhere.
//!
//! A write looks for itself, and an answer that is read rests on a look a short time ago
//! ([`server::Lookout`]). This keeps those looks recent, and finds the servers that run elsewhere
//! although nobody asks them anything.

use std::sync::Arc;

use protocol::VolumeId;
use server::Lookout;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cell::{Inner, State};
use crate::limits;
use crate::settle::begin_settling;

/// Looks at everybody who is awake, round after round, until the drain begins.
pub(crate) async fn keep_looking(inner: Arc<Inner>) {
    let places = Arc::new(Semaphore::new(limits::LOOKS_MAX));
    loop {
        let next = Instant::now() + limits::LOOK_INTERVAL;
        let round = async {
            for (volume, lookout) in awake(&inner) {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let inner = Arc::clone(&inner);
                tokio::spawn(async move {
                    // A look that hangs goes on by itself, and no second one is begun beside it.
                    let looked = timeout(limits::LOOK_PATIENCE, lookout.renew()).await;
                    if matches!(looked, Ok(Err(_))) {
                        lost(&inner, volume, &lookout);
                    }
                    drop(place);
                });
            }
            sleep_until(next).await;
        };
        tokio::select! {
            () = inner.drain.draining() => return,
            () = round => {}
        }
    }
}

fn awake(inner: &Inner) -> Vec<(VolumeId, Arc<Lookout>)> {
    let tenants = inner.tenants();
    let lookout = |volume: &VolumeId| match &tenants.all.get(volume)?.state {
        State::Awake(server) => Some((*volume, Arc::clone(server.lookout()?))),
        State::Asleep | State::Changing(_) => None,
    };
    tenants.awake.keys().filter_map(lookout).collect()
}

/// Ends a server whose store is nobody's or somebody else's: at once, whoever is connected.
fn lost(inner: &Arc<Inner>, volume: VolumeId, lookout: &Arc<Lookout>) {
    let mut tenants = inner.tenants();
    let Some(tenant) = tenants.all.get(&volume) else { return };
    let is_same = match &tenant.state {
        State::Awake(server) => server.lookout().is_some_and(|own| Arc::ptr_eq(own, lookout)),
        State::Asleep | State::Changing(_) => false,
    };
    if is_same {
        begin_settling(inner, &mut tenants, volume);
    }
}
