//! `plookup`: anybody's public key, for the owner (the protocol's section 5.7).

use protocol::response::{Answer, Fault};
use protocol::verb::{Lookup, Plookup};
use protocol::{AtKey, AtSign, Metadata, MetadataPatch, Timestamp, record};

use super::lookup::{self, Cached, Fetched};
use super::project;
use crate::draft::Draft;
use crate::keys;
use crate::limits::PLOOKUP_CACHE_MILLIS;
use crate::records::Change;
use crate::refusal::Refusal;
use crate::view::View;

/// Reads the own public key, which is never copied.
pub(crate) fn own(
    view: &mut View<'_>,
    plookup: &Plookup,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let Plookup { entity, owner, projection, bypass_cache } = plookup.clone();
    lookup::as_anybody(view, &Lookup { entity, owner, projection, bypass_cache }, now)
}

/// Whether the question can be answered from the copy.
pub(crate) fn from_cache(
    view: &mut View<'_>,
    plookup: &Plookup,
    now: Timestamp,
) -> Result<Cached, Refusal> {
    let key = public(plookup)?;
    lookup::fresh_copy(view, &key, plookup.projection, plookup.bypass_cache, now)
}

/// Keeps what the other server said. Without an answer there is no such key.
pub(crate) fn fetched(
    draft: &mut Draft<'_>,
    plookup: &Plookup,
    fetched: Fetched,
) -> Result<Option<Answer>, Refusal> {
    let key = public(plookup)?;
    let is_public_key = plookup.entity.as_str() == keys::PUBLIC_KEY;
    match fetched {
        Some(record) => {
            let value = record.data.as_deref();
            let answer = project(plookup.projection, key.as_str(), value, &record.metadata);
            keep(draft, &key, &plookup.owner, record)?;
            Ok(Some(answer))
        }
        // The key that others' data were encrypted for is not forgotten.
        None if is_public_key => Ok(None),
        None => {
            lookup::forget(draft, &keys::cached(&key)?)?;
            Ok(None)
        }
    }
}

/// The answer that there is no such key.
pub(crate) fn missing(plookup: &Plookup) -> Refusal {
    let name = format!("public:{}{}", plookup.entity, plookup.owner);
    Fault::key_not_found(&name).into()
}

/// Keeps what a connection to another server begins with: its owner's public key.
pub(crate) fn keep_public_key(
    draft: &mut Draft<'_>,
    owner: &AtSign,
    record: record::Record,
) -> Result<(), Refusal> {
    let key = keys::parse(&format!("public:{}{owner}", keys::PUBLIC_KEY))?;
    keep(draft, &key, owner, record)
}

/// Whether the copy of another's public key says the same already, so that nothing is written.
pub(crate) fn is_known(
    view: &mut View<'_>,
    owner: &AtSign,
    record: &record::Record,
) -> Result<bool, Refusal> {
    let copy = keys::cached(&keys::parse(&format!("public:{}{owner}", keys::PUBLIC_KEY))?)?;
    Ok(view.record(copy.as_str())?.is_some_and(|old| old.value == record.data))
}

fn public(plookup: &Plookup) -> Result<AtKey, Refusal> {
    keys::parse(&format!("public:{}{}", plookup.entity, plookup.owner))
}

fn keep(
    draft: &mut Draft<'_>,
    key: &AtKey,
    owner: &AtSign,
    record: record::Record,
) -> Result<(), Refusal> {
    let copy = keys::cached(key)?;
    let is_public_key = key.entity() == keys::PUBLIC_KEY;
    let metadata = if is_public_key {
        lookup::copied(draft, &record.metadata, owner, -1)
    } else if let Some(ttr) = lookup::kept_for(&record.metadata) {
        lookup::copied(draft, &record.metadata, owner, ttr)
    } else {
        kept_a_day(draft, &record.metadata, owner)
    };
    let old = draft.existing(&copy)?;
    if is_public_key {
        if old.as_ref().is_some_and(|old| old.value == record.data) {
            return Ok(());
        }
        if old.is_some() {
            archive_shared_key(draft, owner)?;
        }
    }
    draft.put(&copy, Change::All, metadata, record.data)?;
    Ok(())
}

/// A copy of what its owner did not allow to keep: it is not served, and gone after a day.
fn kept_a_day(draft: &Draft<'_>, original: &Metadata, owner: &AtSign) -> Metadata {
    let ttl = Some(PLOOKUP_CACHE_MILLIS);
    let patch = MetadataPatch { ttl, ..MetadataPatch::default() };
    let expires_at = Metadata::created(owner, draft.now, &patch).expires_at;
    Metadata { expires_at, ttl, ttr: None, refresh_at: None, ..original.clone() }
}

/// The other has a new public key, so what was encrypted for the old one is of no use: clients shall
/// cut a new shared key.
fn archive_shared_key(draft: &mut Draft<'_>, peer: &AtSign) -> Result<(), Refusal> {
    let current = keys::shared_key(peer, draft.identity)?;
    let Some(record) = draft.existing(&current)? else { return Ok(()) };
    let (owner, now) = (draft.identity, draft.now.0);
    let name = format!("shared_key.{}.until.{now}{owner}", peer.bare());
    draft.put(&keys::parse(&name)?, record.change, record.metadata, record.value)?;
    draft.delete(&current)?;
    Ok(())
}
