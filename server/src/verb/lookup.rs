//! `lookup`: what the caller may read under a name (the protocol's section 5.6).

use protocol::response::{Answer, Fault};
use protocol::verb::{Lookup, Projection};
use protocol::{AtKey, AtSign, Entity, Metadata, MetadataPatch, Timestamp, record};

use super::project;
use crate::draft::Draft;
use crate::keys;
use crate::limits::REFERENCES_MAX;
use crate::records::Change;
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};
use crate::view::View;

/// A value that begins so stands for the value of the key behind it.
const REFERENCE: &str = "atsign://";

/// What the own store says to the owner's question for another's data.
pub(crate) enum Cached {
    /// The copy is good.
    Answer(Answer),
    /// The other server must be asked.
    Ask,
}

/// What another's server says about one key; none: it has no such key.
pub(crate) type Fetched = Option<record::Record>;

/// What anybody reads.
pub(crate) fn as_anybody(
    view: &mut View<'_>,
    lookup: &Lookup,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    Reader { view, prefix: "public:", rights: &Rights::Everything, now }.read(lookup)
}

/// What another identity's server reads: only what is shared with it.
pub(crate) fn as_peer(
    view: &mut View<'_>,
    peer: &AtSign,
    lookup: &Lookup,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let prefix = format!("{peer}:");
    Reader { view, prefix: &prefix, rights: &Rights::Everything, now }.read(lookup)
}

/// What the owner reads under her own name, as far as her connection may.
pub(crate) fn as_owner(
    view: &mut View<'_>,
    rights: &Rights,
    lookup: &Lookup,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let prefix = format!("{}:", lookup.owner);
    Reader { view, prefix: &prefix, rights, now }.read(lookup)
}

/// Reads keys of the own store that begin with a prefix, and what they refer to. The prefix says
/// what strangers and peers may read; of the owner's connections, some may read less.
struct Reader<'a, 'v> {
    view: &'a mut View<'v>,
    prefix: &'a str,
    rights: &'a Rights,
    now: Timestamp,
}

impl Reader<'_, '_> {
    fn read(&mut self, lookup: &Lookup) -> Result<Answer, Refusal> {
        let name = format!("{}{}{}", self.prefix, lookup.entity, lookup.owner);
        self.rights.check(Deed::Lookup, &name)?;
        let record = self.view.record(&name)?.ok_or_else(|| Fault::key_not_found(&name))?;
        if !record.metadata.is_active(self.now) {
            return Ok(Answer::Null);
        }
        let value = self.follow(record.value)?;
        Ok(project(lookup.projection, &name, value.as_deref(), &record.metadata))
    }

    /// Follows references to the caller's own key or, failing that, the public one.
    fn follow(&mut self, mut value: Option<String>) -> Result<Option<String>, Refusal> {
        for _ in 0..REFERENCES_MAX {
            let Some(target) = value.as_deref().and_then(|text| text.strip_prefix(REFERENCE))
            else {
                return Ok(value);
            };
            let target = target.to_owned();
            value = self.referred(&target)?;
        }
        Ok(value.filter(|text| !text.starts_with(REFERENCE)))
    }

    fn referred(&mut self, target: &str) -> Result<Option<String>, Refusal> {
        for prefix in [self.prefix, "public:"] {
            // What is no key is not stored.
            let Ok(key) = AtKey::parse(&format!("{prefix}{target}")) else { continue };
            // Who writes a reference may not be somebody who may read what it refers to.
            if !self.rights.may_read(key.as_str()) {
                continue;
            }
            if let Some(record) = self.view.record(key.as_str())? {
                return Ok(record.value.filter(|_| record.metadata.is_active(self.now)));
            }
        }
        Err(Fault::key_not_found(target).into())
    }
}

/// The line that asks another's server.
pub(crate) fn question(entity: &Entity, owner: &AtSign) -> String {
    format!("lookup:all:{entity}{owner}\n")
}

/// Whether the owner's question for another's data can be answered from the copy.
pub(crate) fn from_cache(
    view: &mut View<'_>,
    identity: &AtSign,
    lookup: &Lookup,
    now: Timestamp,
) -> Result<Cached, Refusal> {
    let key = keys::parse(&format!("{identity}:{}{}", lookup.entity, lookup.owner))?;
    fresh_copy(view, &key, lookup.projection, lookup.bypass_cache, now)
}

/// Serves the copy of `key` if its time is now and it has not gone stale.
pub(crate) fn fresh_copy(
    view: &mut View<'_>,
    key: &AtKey,
    projection: Projection,
    bypass_cache: bool,
    now: Timestamp,
) -> Result<Cached, Refusal> {
    let copy = keys::cached(key)?;
    let is_good =
        |metadata: &Metadata| !bypass_cache && metadata.is_active(now) && metadata.is_fresh(now);
    match view.record(copy.as_str())?.filter(|record| is_good(&record.metadata)) {
        Some(record) => {
            let value = record.value.as_deref();
            let answer = project(projection, copy.as_str(), value, &record.metadata);
            Ok(Cached::Answer(answer))
        }
        None => Ok(Cached::Ask),
    }
}

/// Keeps what the other server said if its owner allows it. Without an answer there is no such key.
pub(crate) fn fetched(
    draft: &mut Draft<'_>,
    lookup: &Lookup,
    fetched: Fetched,
) -> Result<Option<Answer>, Refusal> {
    let key = keys::parse(&format!("{}:{}{}", draft.identity, lookup.entity, lookup.owner))?;
    let copy = keys::cached(&key)?;
    let Some(record) = fetched else {
        forget(draft, &copy)?;
        return Ok(None);
    };
    let value = record.data;
    let answer = project(lookup.projection, key.as_str(), value.as_deref(), &record.metadata);
    match kept_for(&record.metadata) {
        Some(ttr) => {
            let metadata = copied(draft, &record.metadata, &lookup.owner, ttr);
            draft.put(&copy, Change::All, metadata, value)?;
        }
        None => forget(draft, &copy)?,
    }
    Ok(Some(answer))
}

/// The key under which the owner looks, for the answer that there is none.
pub(crate) fn missing(identity: &AtSign, lookup: &Lookup) -> Refusal {
    let name = format!("{identity}:{}{}", lookup.entity, lookup.owner);
    Fault::key_not_found(&name).into()
}

/// Removes a copy, if there is one.
pub(crate) fn forget(draft: &mut Draft<'_>, copy: &AtKey) -> Result<(), Refusal> {
    if draft.view.has(copy)? {
        draft.delete(copy)?;
    }
    Ok(())
}

/// For how many seconds a copy may be kept, -1 for ever; none: not at all.
pub(crate) fn kept_for(metadata: &Metadata) -> Option<i64> {
    metadata.ttr.filter(|ttr| *ttr == -1 || *ttr > 0)
}

/// The metadata of a copy: the owner's, with the time from which it is stale.
pub(crate) fn copied(draft: &Draft<'_>, original: &Metadata, owner: &AtSign, ttr: i64) -> Metadata {
    let patch = MetadataPatch { ttr: Some(ttr), ..MetadataPatch::default() };
    let refresh_at = Metadata::created(owner, draft.now, &patch).refresh_at;
    Metadata { refresh_at, ttr: Some(ttr), ..original.clone() }
}
