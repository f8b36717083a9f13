//! Copies of others' keys that have gone stale are fetched again once a day (the protocol's section
//! 6.5).
//!
//! The day begins at another time for each identity, so that not all servers ask at once. A server
//! that sleeps then asks when it is next in use. Which day was done is stored before anybody is
//! asked: what a crash or the end of the server leaves undone is fetched by the next look-up, or on
//! the next day.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::verb::{Lookup, Operation, Plookup, Projection};
use protocol::{AtKey, AtSign, Entity, Timestamp};
use ring::digest::{SHA256, digest};

use crate::limits::{REFRESH_DEADLINE, REFRESHED_MAX};
use crate::outbound::{Access, PeerError};
use crate::records::{self, REFRESHED_DAY, Record, Table};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;
use crate::verb::{lookup, plookup};
use crate::view::View;

const DAY_MILLIS: i64 = 86_400_000;

/// A copy that has gone stale.
struct Stale {
    copy: AtKey,
    since: Timestamp,
}

/// Begins to fetch what has gone stale, if that was not done today.
pub(crate) async fn begin_if_due(server: &Arc<Server>) -> Result<(), Refusal> {
    let now = server.now();
    let today = day(server.identity(), now);
    if server.refreshed_today(today) {
        return Ok(());
    }
    let stale = server.survey(Standing::Owner, move |view| due(view, today, now)).await?;
    if let Some(stale) = stale {
        server
            .write(|draft| {
                draft.put_refreshed_day(today);
                Ok(())
            })
            .await?;
        if !stale.is_empty() {
            server.tasks().spawn(fetch_all(Arc::clone(server), stale));
        }
    }
    Ok(())
}

/// The number of the day that it is for this identity.
fn day(identity: &AtSign, now: Timestamp) -> u64 {
    let hash = digest(&SHA256, identity.bare().as_bytes());
    let start = hash.as_ref().iter().take(4).fold(0, |sum, byte| sum * 256 + i64::from(*byte));
    let days = now.0.saturating_sub(start % DAY_MILLIS).div_euclid(DAY_MILLIS);
    u64::try_from(days).unwrap_or(0)
}

/// The stale copies, longest first; none where today is done or there is no copy at all.
fn due(view: &mut View<'_>, today: u64, now: Timestamp) -> Result<Option<Vec<Stale>>, Refusal> {
    let copies = Table::Live.key(b"cached:");
    let done = view.get(REFRESHED_DAY)?.map(|bytes| records::decode_number(&bytes)).transpose()?;
    if done == Some(today) || view.keys(&copies).is_empty() {
        return Ok(None);
    }
    let found = view.each(&copies, |name, bytes| {
        let metadata = Record::decode(bytes)?.metadata;
        let is_stale = metadata.is_active(now) && metadata.ttr != Some(-1);
        let since = metadata.refresh_at.filter(|at| is_stale && *at < now);
        let copy = std::str::from_utf8(name).ok().and_then(|name| AtKey::parse(name).ok());
        Ok(copy.zip(since).map(|(copy, since)| Stale { copy, since }))
    })?;
    let mut stale: Vec<_> = found.into_iter().flatten().collect();
    stale.sort_unstable_by_key(|stale| stale.since);
    Ok(Some(stale))
}

async fn fetch_all(server: Arc<Server>, stale: Vec<Stale>) {
    tokio::select! {
        () = server.ending() => {}
        outcome = tokio::time::timeout(REFRESH_DEADLINE, fetch_in_turn(&server, stale)) => {
            if outcome.is_err() {
                tracing::debug!("not all copies are refreshed in time");
            }
        }
    }
    server.rest();
}

/// A server that does not answer is not asked for the rest.
async fn fetch_in_turn(server: &Arc<Server>, stale: Vec<Stale>) {
    let (mut asked, mut silent) = (0, HashSet::new());
    for Stale { copy, .. } in stale {
        let Some(owner) = copy.owner().filter(|owner| !silent.contains(owner)) else { continue };
        if asked == REFRESHED_MAX {
            return;
        }
        asked += 1;
        if let Err(error) = fetch(server, &copy, &owner).await {
            let why = error.label();
            tracing::debug!(why, peer = %owner, "a copy is not refreshed");
            silent.insert(owner);
        }
    }
}

/// Asks once more for what the owner once looked up.
async fn fetch(server: &Arc<Server>, copy: &AtKey, owner: &AtSign) -> Result<(), PeerError> {
    let Ok(entity) = Entity::parse(copy.entity()) else { return Ok(()) };
    let (owner, projection, bypass_cache) = (owner.clone(), Projection::Value, true);
    let question = lookup::question(&entity, &owner);
    let is_public = copy.as_str().starts_with("cached:public:");
    let access = if is_public { Access::Open } else { Access::Pol };
    let fetched = server.fetch(&owner, access, &question).await?;
    let kept = if is_public {
        let command = Plookup { entity, owner, projection, bypass_cache };
        server.write(|draft| plookup::fetched(draft, &command, fetched)).await
    } else {
        let command = Lookup { entity, owner, projection, bypass_cache };
        server.write(|draft| lookup::fetched(draft, &command, fetched)).await
    };
    kept.map_err(|_| PeerError::Unable)?;
    server.committed(Operation::Update);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_identity_has_a_day_of_its_own() {
        let (alice, bob) = (AtSign::parse("@alice").unwrap(), AtSign::parse("@bob").unwrap());
        let now = 1_727_786_096_789;
        let hour = |name: &AtSign| {
            let today = day(name, Timestamp(now));
            (0..24).find(|hour| day(name, Timestamp(now + hour * 3_600_000)) != today)
        };
        assert_ne!(hour(&alice), hour(&bob));
        for millis in [0, 1, DAY_MILLIS / 2, 5 * DAY_MILLIS] {
            let at = Timestamp(now + millis);
            assert_eq!(day(&alice, at.plus_millis(DAY_MILLIS)), day(&alice, at) + 1);
        }
        assert_eq!(day(&alice, Timestamp(i64::MIN)), 0);
    }
}
