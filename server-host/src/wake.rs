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
use server::{Hosting, Remind, Server};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::cell::{Inner, Resident, Standing, State, Tenant, Tenants};
use crate::error::CellError;
use crate::health::{self, Ill, Leave};
use crate::limits;
use crate::settle::{self, begin_settling, is_napping, is_unused};

/// What a client gets whose server cannot wake: the prompt that every client reads first, and a
/// reason with two colons, which is what client parsers need.
const CANNOT_WAKE: &[u8] =
    b"@error:AT0010-Internal server error : this server cannot be started now, its operator finds the reason in the log\n@";

/// The same for one that is quarantined.
const QUARANTINED: &[u8] =
    b"@error:AT0024-Server is paused : this server failed again and again and is left alone for a while, its operator is told\n@";

/// One connection, from its first byte to its last.
pub(crate) async fn serve(
    inner: Arc<Inner>,
    volume: VolumeId,
    stream: std::net::TcpStream,
    client: SocketAddr,
) {
    let Some(mut stream) = shake_hands(&inner, stream).await else { return };
    match tokio::time::timeout(limits::WAKE_DEADLINE, awake(&inner, volume)).await {
        Ok(Ok(server)) => server.serve_from(stream, Some(client.ip()), inner.drain.clone()).await,
        // She lives in another cell: whoever comes again is led there.
        Ok(Err(error)) if inner.shelf.is_shared() && error.is_elsewhere() => {
            debug!(%volume, %client, %error, "a client is to come again");
        }
        Ok(Err(error)) => {
            debug!(%volume, %client, %error, "a client was refused");
            let is_quarantined = matches!(error, CellError::Quarantined(_));
            refuse(&mut stream, if is_quarantined { QUARANTINED } else { CANNOT_WAKE }).await;
        }
        Err(_) => refuse(&mut stream, CANNOT_WAKE).await,
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

async fn refuse(stream: &mut ServerStream, why: &[u8]) {
    let farewell = async {
        stream.write_all(why).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(limits::REFUSAL_DEADLINE, farewell).await;
}

/// What somebody who needs a server finds.
enum Found {
    Awake(Arc<Server>),
    Changing(watch::Receiver<()>),
    /// It may not be woken before.
    Paused(Instant),
    /// It was asleep, and the finder is the one to wake it.
    ToWake(Resident, watch::Sender<()>),
}

/// The server, awake; wakes it if it sleeps, and waits if somebody else is at it.
pub(crate) async fn awake(inner: &Arc<Inner>, volume: VolumeId) -> Result<Arc<Server>, CellError> {
    loop {
        match find(inner, volume)? {
            Found::Awake(server) => return Ok(server),
            Found::ToWake(resident, done) => return wake(inner, volume, resident, done).await,
            Found::Paused(until) => tokio::time::sleep_until(until).await,
            // The sender is dropped once the state has settled; that is what is waited for.
            Found::Changing(mut changing) => while changing.changed().await.is_ok() {},
        }
    }
}

fn find(inner: &Inner, volume: VolumeId) -> Result<Found, CellError> {
    let mut tenants = inner.tenants();
    let leave = tenants.leave(volume);
    let tenant = tenants.all.get_mut(&volume).ok_or(CellError::Unknown(volume))?;
    match tenant.standing {
        Standing::Welcome => {}
        Standing::Fenced => return Err(CellError::Fenced(tenant.resident.identity.clone())),
        Standing::Leaving => return Err(CellError::Unknown(volume)),
    }
    Ok(match &tenant.state {
        State::Awake(server) => Found::Awake(Arc::clone(server)),
        State::Changing(changing) if is_under_way(changing) => Found::Changing(changing.clone()),
        State::Asleep | State::Changing(_) => match leave {
            Leave::Quarantined => {
                return Err(CellError::Quarantined(tenant.resident.identity.clone()));
            }
            Leave::At(until) => Found::Paused(until),
            Leave::Now => {
                let (done, changing) = watch::channel(());
                tenant.state = State::Changing(changing);
                Found::ToWake(tenant.resident.clone(), done)
            }
        },
    })
}

/// A state is set before its channel closes, so a closed channel in the table means that the task
/// which was changing it has died.
pub(crate) fn is_under_way(changing: &watch::Receiver<()>) -> bool {
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
        match &opened {
            Ok(server) => woken(&seen, &mut tenants, volume, &resident, server, start.elapsed()),
            Err(error) => not_woken(&seen, &mut tenants, volume, &resident, error),
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
    let (shelf, world, resident) =
        (inner.shelf.clone(), Arc::clone(&inner.world), resident.clone());
    let waiting = Arc::clone(&inner.waiting);
    let remind: Remind = Arc::new(move || waiting.add(volume));
    let identity = resident.identity.clone();
    let mut opening = tokio::task::spawn_blocking(move || {
        let looked = shelf.is_shared().then(Instant::now);
        let store = shelf.open(volume, &resident)?;
        let (identity, hosting) = (resident.identity, Hosting { remind: Some(remind), looked });
        Server::open_hosted(identity.clone(), store, world, hosting)
            .map_err(|source| CellError::Server { identity, source })
    });
    match tokio::time::timeout(inner.config.patience.open, &mut opening).await {
        Ok(opened) => opened.map_err(|_| CellError::Closing)?,
        Err(_) => {
            // It keeps the volume until it comes back, so nobody opens it a second time meanwhile.
            let patience = inner.config.patience.shut;
            tokio::spawn(async move {
                if let Ok(Ok(server)) = opening.await {
                    settle::shut_down(server, patience).await;
                }
            });
            let mut tenants = inner.tenants();
            health::note(inner, &mut tenants, volume, Ill::OpeningHangs);
            Err(CellError::Slow(identity))
        }
    }
}

/// Notes that a server is awake. One that was placed anew or left while it woke is put down at once.
fn woken(
    inner: &Arc<Inner>,
    tenants: &mut Tenants,
    volume: VolumeId,
    resident: &Resident,
    server: &Arc<Server>,
    took: Duration,
) {
    count_wake(inner, took);
    tenants.usage.woken(volume, &resident.identity);
    tenants.reminders.forget(volume);
    let Some(tenant) = tenants.all.get_mut(&volume) else {
        tokio::spawn(settle::shut_down(Arc::clone(server), inner.config.patience.shut));
        return;
    };
    let is_wanted = tenant.standing == Standing::Welcome && tenant.resident.epoch == resident.epoch;
    tenant.state = State::Awake(Arc::clone(server));
    tenants.awake.insert(volume, 0);
    if !is_wanted {
        settle::begin_settling(inner, tenants, volume);
    }
}

fn not_woken(
    inner: &Inner,
    tenants: &mut Tenants,
    volume: VolumeId,
    resident: &Resident,
    error: &CellError,
) {
    inner.counts.wakes_failed.fetch_add(1, Ordering::Relaxed);
    report(resident, error);
    tenants.reminders.forget(volume);
    let Some(tenant) = tenants.all.get_mut(&volume) else { return };
    tenant.state = State::Asleep;
    let is_fenced = inner.shelf.is_shared() && error.is_fence();
    if is_fenced && tenant.resident.epoch == resident.epoch {
        inner.count_fence(tenant);
    } else if inner.waiting.contains(volume) {
        tenants.reminders.set(volume, Instant::now() + limits::REMINDED_AFTER_FAILURE);
    }
}

fn count_wake(inner: &Inner, took: Duration) {
    inner.counts.wakes.fetch_add(1, Ordering::Relaxed);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    inner.counts.wake_micros.fetch_add(micros, Ordering::Relaxed);
}

fn report(resident: &Resident, error: &CellError) {
    let error = error.with_causes();
    error!(identity = %resident.identity, epoch = %resident.epoch, error, "cannot wake");
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
            // One that broke is `health`'s to start again.
            let is_no_use =
                unused && !server.is_broken() && (server.is_stopped() || is_napping(server));
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
    let shelf = inner.shelf.clone();
    let synced = tokio::task::spawn_blocking(move || shelf.sync()).await;
    if let Ok(Err(error)) = synced {
        warn!(%error, "the watermarks could not be synced");
    }
}
