//! `sync:from`: a page of the commit log (the protocol's section 5.11).

use std::ops::ControlFlow;

use protocol::response::Answer;
use protocol::sync::SyncEntry;
use protocol::verb::SyncFrom;

use super::{MaySee, Pattern};
use crate::commit_log::{self, Entry};
use crate::limits::{SYNC_BYTES_MAX, SYNC_ENTRIES_MAX};
use crate::refusal::Refusal;
use crate::view::View;

/// The JSON of a page while it grows.
#[derive(Default)]
struct Page {
    json: String,
    entries: u64,
}

/// The changes after the one that the client knows: at least one, if there is one, and otherwise as
/// many as it asks for and a page holds.
pub(crate) fn run(
    view: &mut View<'_>,
    sync: &SyncFrom,
    may_see: MaySee<'_>,
) -> Result<Answer, Refusal> {
    let pattern = Pattern::compile(sync.regex.as_deref())?;
    let entries_max = sync.limit.clamp(1, SYNC_ENTRIES_MAX);
    let mut page = Page::default();
    commit_log::after(view, sync.after, |view, entry| {
        let is_wanted = pattern.is_match(&entry.name) || every_client_needs(&entry.name);
        if !is_wanted || !may_see(&entry.name) {
            return Ok(ControlFlow::Continue(()));
        }
        match json_of(view, &entry)? {
            Some(json) if page.takes(&json) && page.entries < entries_max => {
                Ok(ControlFlow::Continue(()))
            }
            Some(_) => Ok(ControlFlow::Break(())),
            None => Ok(ControlFlow::Continue(())),
        }
    })?;
    Ok(page.finish())
}

/// Keys without which a client can read none of the others, whatever it asks for.
fn every_client_needs(name: &str) -> bool {
    let entity = |rest: &str| rest.rsplit_once('@').map_or(0, |(entity, _)| entity.len());
    if let Some(rest) = name.strip_prefix("public:") {
        return !rest.get(..entity(rest)).unwrap_or_default().contains('.');
    }
    let shared = name.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    name.starts_with("shared_key.")
        || shared.is_some_and(|(_, rest)| rest.starts_with("shared_key@"))
}

/// None: the key has gone without its deletion having been committed.
fn json_of(view: &mut View<'_>, entry: &Entry) -> Result<Option<String>, Refusal> {
    let told = SyncEntry {
        at_key: &entry.name,
        value: None,
        metadata: None,
        commit_id: entry.commit,
        operation: entry.operation(),
    };
    if entry.change.is_none() {
        return Ok(Some(told.to_json()));
    }
    let record = view.record(&entry.name)?.filter(|record| record.commit == Some(entry.commit));
    Ok(record.map(|record| {
        let (value, metadata) = (record.value.as_deref(), Some(&record.metadata));
        SyncEntry { value, metadata, ..told }.to_json()
    }))
}

impl Page {
    /// Whether there was room. The first entry always has.
    fn takes(&mut self, entry: &str) -> bool {
        let has_room = self.json.len() + entry.len() + 2 <= SYNC_BYTES_MAX;
        if self.entries > 0 && !has_room {
            return false;
        }
        self.json.push(if self.entries == 0 { '[' } else { ',' });
        self.json.push_str(entry);
        self.entries += 1;
        true
    }

    fn finish(mut self) -> Answer {
        if self.entries == 0 {
            return Answer::from("[]");
        }
        self.json.push(']');
        Answer::Data(self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s156_some_keys_are_told_whatever_is_asked_for() {
        for needed in [
            "public:publickey@alice",
            "public:signing_publickey@alice",
            "public:__hidden@alice",
            "@bob:shared_key@alice",
            "shared_key.bob@alice",
            "shared_key.bob.until.5@alice",
        ] {
            assert!(every_client_needs(needed), "{needed}");
        }
        for other in [
            "public:phone.wavi@alice",
            "phone@alice",
            "@bob:phone@alice",
            "@bob:shared_key.wavi@alice",
            "cached:public:publickey@bob",
        ] {
            assert!(!every_client_needs(other), "{other}");
        }
    }
}
