//! Brings waiting notifications to their receivers' servers.
//!
//! One task for each receiver, only while something waits for it: so one receiver that is down
//! holds up no other, and each gets what is for it in order.

use std::sync::Arc;
use std::time::Duration;

use protocol::AtSign;
use protocol::notification::{Notification, Status};

use super::kept;
use super::outbox::Waiting;
use crate::draft::Draft;
use crate::limits::{PEER_NOTIFY_DEADLINE, UNKNOWN_TRIES_MAX};
use crate::outbound::{Access, PeerError};
use crate::refusal::Refusal;
use crate::server::Server;

/// What a receiver's server answers when it has a notification.
const TAKEN: &str = "success";

/// Delivers what waits for a receiver until nothing does, or the server ends.
pub(crate) async fn run(server: Arc<Server>, receiver: AtSign) {
    let limits = &server.world().limits;
    let mut pause = limits.retry_pause_first;
    let mut tries = 0;
    while let Some(waiting) = server.ledger().queues(|queues| queues.first(&receiver)) {
        tries += 1;
        let is_done = match deliver(&server, &waiting, tries).await {
            Ok(is_done) => is_done,
            // What waits is tried again after the next start.
            Err(_) if server.is_stopped() => break,
            Err(_) => false,
        };
        if is_done {
            (pause, tries) = (limits.retry_pause_first, 0);
        } else if !wait(&server, pause).await {
            break;
        } else {
            pause = (pause * 2).min(limits.retry_pause_max);
        }
    }
    server.rest();
}

/// Pauses; false if the server ends meanwhile.
async fn wait(server: &Server, pause: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = server.ending() => false,
    }
}

/// One try. True: there is nothing more to do for it.
async fn deliver(server: &Arc<Server>, waiting: &Waiting, tries: u32) -> Result<bool, Refusal> {
    // Over: its state says so without us.
    if waiting.expires_at < server.now() {
        settle(server, waiting, None).await?;
        return Ok(true);
    }
    let Some(notification) = server.ledger().read(|view| kept::sent(view, &waiting.id)).await?
    else {
        settle(server, waiting, None).await?;
        return Ok(true);
    };
    let outcome = tokio::select! {
        outcome = hand_over(server, &notification) => outcome,
        () = server.ending() => return Ok(false),
    };
    let error = match outcome {
        Ok(()) => {
            let delivered = changed(notification, Status::Delivered, tries);
            settle(server, waiting, Some(delivered)).await?;
            return Ok(true);
        }
        Err(error) => error,
    };
    let (why, receiver) = (error.label(), &waiting.to);
    tracing::debug!(why, %receiver, tries, "a notification is not delivered");
    let is_hopeless = matches!(error, PeerError::Unknown(_)) && tries >= UNKNOWN_TRIES_MAX;
    if is_hopeless {
        let errored = changed(notification, Status::Errored, tries);
        settle(server, waiting, Some(errored)).await?;
    } else if notification.status == Status::Queued {
        let errored = changed(notification, Status::Errored, tries);
        server.write(|draft| rewrite(draft, &errored)).await?;
    }
    Ok(is_hopeless)
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

fn changed(notification: Notification, status: Status, tries: u32) -> Notification {
    Notification { status, retry_count: tries, ..notification }
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
