//! What is over goes: keys with a time to live, and notifications.
//!
//! Nothing that is over is served, swept or not; the sweep only frees the room, and tells the commit
//! log. It runs while there are connections: a sleeping server sweeps when it is woken. What is over
//! in the log itself goes the same way.

use std::sync::Arc;

use protocol::AtKey;
use protocol::verb::Operation;
use tokio::time::Instant;

use crate::access_log::Compaction;
use crate::draft::Draft;
use crate::limits::SWEEP_BATCH_MAX;
use crate::records::Table;
use crate::refresh;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;

/// Looks after a server while there are connections.
pub(crate) async fn keep(server: Arc<Server>) {
    let limits = &server.world().limits;
    loop {
        if let Err(refusal) = sweep(&server).await {
            tracing::warn!(code = refusal.fault.code.code(), "expired keys are not swept");
        }
        if let Err(refusal) = keep_access_log(&server).await {
            tracing::warn!(code = refusal.fault.code.code(), "the access log is not written");
        }
        if let Err(refusal) = refresh::begin_if_due(&server).await {
            tracing::warn!(code = refusal.fault.code.code(), "copies are not refreshed");
        }
        server.pool().close_idle(limits.link_idle_max);
        tokio::select! {
            () = tokio::time::sleep(limits.sweep_interval) => compact(&server).await,
            () = server.roster().emptied() => {
                if server.roster().end_keeping() {
                    break;
                }
            }
            () = server.ending() => break,
        }
    }
    server.rest();
}

/// Writes who came and what was looked up, if the last time is long enough ago.
async fn keep_access_log(server: &Server) -> Result<(), Refusal> {
    let pause = server.world().limits.sweep_interval;
    let Some(bytes) = server.access().due(server.now(), pause)? else { return Ok(()) };
    let write = |draft: &mut Draft<'_>| {
        draft.put_access_log(&bytes);
        Ok(())
    };
    server.write(write).await
}

/// A server that is in use all the time has nobody else who would keep its log small.
async fn compact(server: &Arc<Server>) {
    let server = Arc::clone(server);
    // If the task cannot be joined, the log is as it was.
    drop(tokio::task::spawn_blocking(move || server.ledger().maintain()).await);
}

/// Removes what is over, some at a time so that the lock is never held for long.
async fn sweep(server: &Arc<Server>) -> Result<(), Refusal> {
    let now = server.now();
    let spans = server.survey(Standing::Owner, |view| view.spans(b"")).await?;
    let kept = spans.iter().filter(|(key, _)| is_notification(key)).count();
    let expired: Vec<_> = spans.into_iter().filter(|(_, span)| span.is_expired(now)).collect();
    let over = expired.iter().filter(|(key, _)| is_notification(key)).count();
    let began = Instant::now();
    for some in expired.chunks(SWEEP_BATCH_MAX) {
        server
            .write(|draft| some.iter().try_for_each(|(key, _)| remove_expired(draft, key)))
            .await?;
        server.committed(Operation::Delete);
    }
    if over > 0 {
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let compaction = Compaction { at: now, millis, before: kept, after: kept - over };
        server.access().compacted_notifications(compaction);
    }
    Ok(())
}

fn is_notification(key: &[u8]) -> bool {
    Table::of(key).is_some_and(|(table, _)| table.holds_notifications())
}

/// It may have been written again since it was looked for.
fn remove_expired(draft: &mut Draft<'_>, key: &[u8]) -> Result<(), Refusal> {
    let now = draft.now;
    let is_expired = draft.view.span(key)?.is_some_and(|span| span.is_expired(now));
    let Some((table, name)) = Table::of(key).filter(|_| is_expired) else { return Ok(()) };
    let live = std::str::from_utf8(name).ok().and_then(|name| AtKey::parse(name).ok());
    match (table, live) {
        (Table::Live, Some(key)) => draft.delete(&key).map(|_| ()),
        _ => draft.remove_entry(table, name),
    }
}
