//! Waking, serving, and going back to sleep.
//!
//! ```text
//! Asleep ──connection──▶ Changing(waking) ──▶ Awake ──idle──▶ Changing(settling) ──▶ Asleep
//!                              └──failed──▶ Asleep
//! ```
//! A change runs in a task of its own, so that a client who leaves cannot stop it half-way. A server
//! in which something waits is also woken by a reminder (`reminders`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::handshake::ServerStream;
use protocol::VolumeId;
use server::{Remind, Server};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::cell::{CellError, Inner, Resident, State, Tenant, Tenants};
use crate::limits;

/// What a client gets whose server cannot wake: the prompt that every client reads first, and a
/// reason with two colons, which is what client parsers need.
const CANNOT_WAKE: &[u8] =
    b"@error:AT0010-Internal server error : this server cannot be started now, its operator finds the reason in the log\n@";

/// One connection, from its first byte to its last.
pub(crate) async fn serve(
    inner: Arc<Inner>,
    volume: VolumeId,
    stream: std::net::TcpStream,
    client: SocketAddr,
) {
    let Some(mut stream) = shake_hands(&inner, stream).await else { return };
    match tokio::time::timeout(limits::WAKE_DEADLINE, awake(&inner, volume)).await {
        Ok(Ok(server)) => server.serve(stream, inner.drain.clone()).await,
        Ok(Err(error)) => {
            debug!(%volume, %client, %error, "a client was refused");
            refuse(&mut stream).await;
        }
        Err(_) => refuse(&mut stream).await,
    }
}

/// TLS comes before waking, so that a port scan wakes nobody.
async fn shake_hands(inner: &Inner, stream: std::net::TcpStream) -> Option<ServerStream> {
    let stream = tokio::net::TcpStream::from_std(stream).ok()?;
    tokio::select! {
        stream = inner.gate.handshake(stream, &inner.tls) => stream.ok(),
        () = inner.drain.draining() => None,
    }
}

async fn refuse(stream: &mut ServerStream) {
    let farewell = async {
        stream.write_all(CANNOT_WAKE).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(limits::REFUSAL_DEADLINE, farewell).await;
}

/// What somebody who needs a server finds.
enum Found {
    Awake(Arc<Server>),
    Changing(watch::Receiver<()>),
    /// It was asleep, and the finder is the one to wake it.
    ToWake(Resident, watch::Sender<()>),
}

/// The server, awake; wakes it if it sleeps, and waits if somebody else is at it.
pub(crate) async fn awake(inner: &Arc<Inner>, volume: VolumeId) -> Result<Arc<Server>, CellError> {
    loop {
        match find(inner, volume)? {
            Found::Awake(server) => return Ok(server),
            Found::ToWake(resident, done) => return wake(inner, volume, resident, done).await,
            // The sender is dropped once the state has settled; that is what is waited for.
            Found::Changing(mut changing) => while changing.changed().await.is_ok() {},
        }
    }
}

fn find(inner: &Inner, volume: VolumeId) -> Result<Found, CellError> {
    let mut tenants = inner.tenants();
    let tenant = tenants.all.get_mut(&volume).ok_or(CellError::Unknown(volume))?;
    Ok(match &tenant.state {
        State::Awake(server) => Found::Awake(Arc::clone(server)),
        State::Changing(changing) if is_under_way(changing) => Found::Changing(changing.clone()),
        State::Asleep | State::Changing(_) => {
            let (done, changing) = watch::channel(());
            tenant.state = State::Changing(changing);
            Found::ToWake(tenant.resident.clone(), done)
        }
    })
}

/// A state is set before its channel closes, so a closed channel in the table means that the task
/// which was changing it has died.
fn is_under_way(changing: &watch::Receiver<()>) -> bool {
    changing.has_changed().is_ok()
}

async fn wake(
    inner: &Arc<Inner>,
    volume: VolumeId,
    resident: Resident,
    done: watch::Sender<()>,
) -> Result<Arc<Server>, CellError> {
    let seen = Arc::clone(inner);
    let waking = tokio::spawn(async move {
        let start = Instant::now();
        let opened = open(&seen, volume, &resident).await;
        let mut tenants = seen.tenants();
        tenants.reminders.forget(volume);
        let state = match &opened {
            Ok(server) => {
                count_wake(&seen, start.elapsed());
                tenants.awake.insert(volume, 0);
                State::Awake(Arc::clone(server))
            }
            Err(error) => {
                seen.counts.wakes_failed.fetch_add(1, Ordering::Relaxed);
                report(&resident, error);
                if seen.waiting.contains(volume) && tenants.all.contains_key(&volume) {
                    let later = Instant::now() + limits::REMINDED_AFTER_FAILURE;
                    tenants.reminders.set(volume, later);
                }
                State::Asleep
            }
        };
        if let Some(tenant) = tenants.all.get_mut(&volume) {
            tenant.state = state;
        }
        drop(tenants);
        drop(done);
        opened
    });
    waking.await.map_err(|_| CellError::Closing)?
}

async fn open(
    inner: &Arc<Inner>,
    volume: VolumeId,
    resident: &Resident,
) -> Result<Arc<Server>, CellError> {
    let _permit = inner.wakes.acquire().await.map_err(|_| CellError::Closing)?;
    let (volumes, world, resident) =
        (inner.volumes.clone(), Arc::clone(&inner.world), resident.clone());
    let waiting = Arc::clone(&inner.waiting);
    let remind: Remind = Arc::new(move || waiting.add(volume));
    let opening = tokio::task::spawn_blocking(move || {
        let Resident { identity, epoch } = resident;
        let store = volumes
            .open_store(volume, &identity, epoch)
            .map_err(|source| CellError::Volume { identity: identity.clone(), source })?;
        Server::open_hosted(identity.clone(), store, world, Some(remind))
            .map_err(|source| CellError::Server { identity, source })
    });
    opening.await.map_err(|_| CellError::Closing)?
}

fn count_wake(inner: &Inner, took: Duration) {
    inner.counts.wakes.fetch_add(1, Ordering::Relaxed);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    inner.counts.wake_micros.fetch_add(micros, Ordering::Relaxed);
}

fn report(resident: &Resident, error: &CellError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    error!(identity = %resident.identity, epoch = %resident.epoch, %error, cause, "cannot wake");
}

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
fn is_unused(server: &Arc<Server>) -> bool {
    Arc::strong_count(server) == 1 && server.may_nap()
}

/// Whether all that an unused server waits for is a delivery that is due later.
fn is_napping(server: &Server) -> bool {
    server.next_try().is_some_and(|at| at > Instant::now() + limits::NAP_MIN)
}

/// Takes an awake server that nobody else holds out of the table and closes it in a task. New
/// arrivals find it changing, and wait.
fn begin_settling(
    inner: &Arc<Inner>,
    tenants: &mut Tenants,
    volume: VolumeId,
) -> Option<watch::Receiver<()>> {
    let tenant = tenants.all.get_mut(&volume)?;
    let (done, changing) = watch::channel(());
    let State::Awake(server) =
        std::mem::replace(&mut tenant.state, State::Changing(changing.clone()))
    else {
        return None;
    };
    tenants.awake.remove(&volume);
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let (waits, next_try) = (server.waiting() > 0, server.next_try());
        shut_down(server).await;
        if !waits {
            forget_waiting(&inner, volume).await;
        }
        let mut tenants = inner.tenants();
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

/// Ends a server, and leaves its log compact and closed.
async fn shut_down(server: Arc<Server>) {
    let identity = server.identity().clone();
    let Some(store) = server.shut().await else {
        warn!(%identity, "the server did not let go of its store in time");
        return;
    };
    let closed = tokio::task::spawn_blocking(move || {
        let maintained = store.maintain().map(drop).map_err(|error| error.to_string());
        let closed = store.close().map_err(|error| error.to_string());
        maintained.and(closed)
    });
    if let Ok(Err(error)) = closed.await {
        // Nothing that was acknowledged is in danger: opening it again finds it all.
        warn!(%identity, error, "the store was not closed cleanly");
    }
}

/// The cell's one background task.
pub(crate) async fn put_idle_servers_to_sleep(inner: Arc<Inner>) {
    let interval = limits::SLEEP_CHECK_INTERVAL.min(inner.config.sleep_after);
    let checks = inner.config.sleep_after.as_millis() / interval.as_millis().max(1);
    let checks = u32::try_from(checks).unwrap_or(u32::MAX);
    let mut last_sync = Instant::now();
    loop {
        tokio::select! {
            () = inner.drain.draining() => return,
            () = tokio::time::sleep(interval) => {}
        }
        if last_sync.elapsed() >= limits::WATERMARK_SYNC_INTERVAL {
            sync_watermarks(&inner).await;
            last_sync = Instant::now();
        }
        wake_reminded(&inner);
        let mut tenants = inner.tenants();
        let volumes: Vec<VolumeId> = tenants.awake.keys().copied().collect();
        for volume in volumes {
            let Some(Tenant { state: State::Awake(server), .. }) = tenants.all.get(&volume) else {
                continue;
            };
            // A store that failed takes writes again once it was closed and opened.
            let unused = is_unused(server);
            let is_no_use = unused && (server.is_stopped() || is_napping(server));
            let Some(count) = tenants.awake.get_mut(&volume) else { continue };
            *count = if unused { count.saturating_add(1) } else { 0 };
            if *count > checks || is_no_use {
                begin_settling(&inner, &mut tenants, volume);
            }
        }
    }
}

/// Wakes those whose turn it is to deliver what waits in them.
fn wake_reminded(inner: &Arc<Inner>) {
    let due = inner.tenants().reminders.take_due(Instant::now(), limits::REMINDED_A_ROUND_MAX);
    for volume in due {
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            // What fails is reported where it fails.
            if awake(&inner, volume).await.is_ok()
                && let Some(count) = inner.tenants().awake.get_mut(&volume)
            {
                // Nobody has asked for it, so it need not stay for long.
                *count = u32::MAX;
            }
        });
    }
}

/// A kill of the process leaves the watermarks true; a power failure may set them back to here.
async fn sync_watermarks(inner: &Inner) {
    if inner.tenants().awake.is_empty() {
        return;
    }
    let volumes = inner.volumes.clone();
    let synced = tokio::task::spawn_blocking(move || volumes.watermarks().sync()).await;
    if let Ok(Err(error)) = synced {
        warn!(%error, "the watermarks could not be synced");
    }
}
