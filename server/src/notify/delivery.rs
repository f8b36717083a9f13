//! Brings waiting notifications to their receivers' servers.
//!
//! One task for each receiver, only while something waits for it: so one receiver that is down
//! holds up no other, and each gets what is for it in order.
//!
//! After a try that failed, the next comes when the notification has waited twice as long, within
//! limits. That needs no memory of earlier tries, so it is the same after a restart and after a
//! sleep: while all tasks of a server pause, nothing holds it, and it may be shut until the next try
//! is due.

use std::sync::Arc;
use std::time::Duration;

use protocol::notification::{Notification, Status};
use protocol::{AtSign, Timestamp};
use tokio::time::Instant;

use super::kept;
use super::outbox::Waiting;
use crate::draft::Draft;
use crate::limits::{
    DELIVERY_OVERHEAD, Limits, PEER_NOTIFY_DEADLINE, UNKNOWN_TOGETHER_MAX, UNKNOWN_TRIES_MAX,
};
use crate::outbound::{Access, PeerError};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;

/// What a receiver's server answers when it has a notification.
const TAKEN: &str = "success";

/// How a try ended.
enum Tried {
    /// There is nothing more to do for it.
    Done,
    /// It is to be tried again after this.
    Again(Duration),
}

/// Delivers what waits for a receiver until nothing does, or the server ends.
pub(crate) async fn run(mut server: Arc<Server>, receiver: AtSign) {
    while let Some(waiting) = server.ledger().queues(|queues| queues.first(&receiver)) {
        let pause = match deliver(&server, &waiting).await {
            Ok(Tried::Done) => continue,
            Ok(Tried::Again(pause)) => pause,
            // What waits is tried again after the next start.
            Err(_) if server.is_stopped() => break,
            Err(_) => server.world().limits.retry_pause_first,
        };
        server = match pause_without(server, &receiver, pause).await {
            Some(server) => server,
            None => return,
        };
    }
    server.rest();
}

/// Pauses, and holds no server meanwhile; none if it has ended.
async fn pause_without(
    server: Arc<Server>,
    receiver: &AtSign,
    pause: Duration,
) -> Option<Arc<Server>> {
    let next_try = Instant::now() + pause;
    server.ledger().queues(|queues| queues.pause(receiver, next_try));
    let (ending, asleep) = (server.tasks().clone(), Arc::downgrade(&server));
    drop(server);
    tokio::select! {
        biased;
        () = ending.draining() => return None,
        () = tokio::time::sleep_until(next_try) => {}
    }
    let server = asleep.upgrade()?;
    server.ledger().queues(|queues| queues.resume(receiver));
    Some(server)
}

/// One try.
async fn deliver(server: &Arc<Server>, waiting: &Waiting) -> Result<Tried, Refusal> {
    // Over: its state says so without us.
    if waiting.expires_at < server.now() {
        settle(server, waiting, None).await?;
        return Ok(Tried::Done);
    }
    let Some(notification) = server.ledger().read(|view| kept::sent(view, &waiting.id)).await?
    else {
        settle(server, waiting, None).await?;
        return Ok(Tried::Done);
    };
    // Whoever has the store now delivers it.
    if !server.holds().await {
        return Err(Refusal::store());
    }
    server.charge(Standing::Owner, DELIVERY_OVERHEAD);
    let outcome = tokio::select! {
        biased;
        () = server.ending() => return Ok(Tried::Again(Duration::ZERO)),
        outcome = hand_over(server, &notification) => outcome,
    };
    match outcome {
        Ok(()) => {
            let delivered = Notification { status: Status::Delivered, ..notification };
            settle(server, waiting, Some(delivered)).await?;
            Ok(Tried::Done)
        }
        Err(error) => failed(server, waiting, notification, &error).await,
    }
}

/// Writes down that a try has failed.
async fn failed(
    server: &Server,
    waiting: &Waiting,
    notification: Notification,
    error: &PeerError,
) -> Result<Tried, Refusal> {
    let (why, receiver, tries) = (error.label(), &waiting.to, notification.retry_count);
    tracing::debug!(why, %receiver, tries, "a notification is not delivered");
    if matches!(error, PeerError::Unknown(_)) {
        return unknown(server, receiver).await;
    }
    let pause = pause_after(&server.world().limits, notification.at, server.now());
    let errored = after_a_try(notification);
    server.write(|draft| rewrite(draft, &errored)).await?;
    Ok(Tried::Again(pause))
}

/// Nobody has the receiver's name: that was a try for the others that wait for it as well.
async fn unknown(server: &Server, receiver: &AtSign) -> Result<Tried, Refusal> {
    let all = server.ledger().queues(|queues| queues.front(receiver, UNKNOWN_TOGETHER_MAX));
    let mut oldest_left = None;
    for waiting in &all {
        server.charge(Standing::Owner, DELIVERY_OVERHEAD);
        let left = tried_in_vain(server, waiting).await?;
        oldest_left = oldest_left.or(left);
    }
    Ok(oldest_left.map_or(Tried::Done, |queued| {
        Tried::Again(pause_after(&server.world().limits, queued, server.now()))
    }))
}

/// Counts a try, and gives up where there is no hope; when it was queued, if it goes on waiting.
async fn tried_in_vain(server: &Server, waiting: &Waiting) -> Result<Option<Timestamp>, Refusal> {
    let is_over = waiting.expires_at < server.now();
    let sent = server.ledger().read(|view| kept::sent(view, &waiting.id)).await?;
    let Some(notification) = sent.filter(|_| !is_over) else {
        settle(server, waiting, None).await?;
        return Ok(None);
    };
    if notification.retry_count >= UNKNOWN_TRIES_MAX {
        let errored = Notification { status: Status::Errored, ..notification };
        settle(server, waiting, Some(errored)).await?;
        return Ok(None);
    }
    let errored = after_a_try(notification);
    server.write(|draft| rewrite(draft, &errored)).await?;
    Ok(Some(errored.at))
}

fn after_a_try(notification: Notification) -> Notification {
    let retry_count = notification.retry_count.saturating_add(1);
    Notification { status: Status::Errored, retry_count, ..notification }
}

/// As long as it has waited, within limits; a clock that jumps harms nothing.
fn pause_after(limits: &Limits, queued: Timestamp, now: Timestamp) -> Duration {
    let waited = u64::try_from(now.0.saturating_sub(queued.0)).unwrap_or(0);
    let most = limits.retry_pause_max.max(limits.retry_pause_first);
    Duration::from_millis(waited).clamp(limits.retry_pause_first, most)
}

async fn hand_over(server: &Arc<Server>, notification: &Notification) -> Result<(), PeerError> {
    let _turn = server.delivery_turn().await;
    let (to, line) = (&notification.to, notification.delivery_line());
    match server.ask(to, Access::Pol, &line, PEER_NOTIFY_DEADLINE).await {
        Ok(answer) if answer == TAKEN => Ok(()),
        Ok(_) => Err(PeerError::Broken),
        Err(error) => {
            if matches!(error, PeerError::Refused { .. }) {
                // It may be another's server: the receiver has moved since we learnt its address.
                server.world().directory.invalidate(to);
                server.pool().forget(to);
            }
            Err(error)
        }
    }
}

/// Takes it out of the queue, and writes how it ended.
async fn settle(
    server: &Server,
    waiting: &Waiting,
    ended: Option<Notification>,
) -> Result<(), Refusal> {
    server
        .write(|draft| {
            draft.dequeue(waiting)?;
            ended.map_or(Ok(()), |ended| rewrite(draft, &ended))
        })
        .await
}

/// Writes how far it has come, unless the owner removed it meanwhile.
fn rewrite(draft: &mut Draft<'_>, notification: &Notification) -> Result<(), Refusal> {
    if kept::was_sent(&mut draft.view, &notification.id)? {
        kept::put_sent(draft, notification)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_limits_whatever_the_clock_does() {
        let limits = Limits::default();
        let pause = |waited: i64| pause_after(&limits, Timestamp(0), Timestamp(waited)).as_secs();
        let mut waited = 0;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(pause(waited));
            waited += i64::try_from(pause(waited)).unwrap_or(i64::MAX) * 1000;
        }
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 64, 120]);
        assert_eq!((pause(i64::MIN), pause(i64::MAX)), (1, 120));
    }
}
