//! `config`: who may not connect (the protocol's section 5.17).

use protocol::response::Answer;
use protocol::verb::Config;
use protocol::{AtSign, ErrorCode};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::keys;
use crate::limits::BLOCKED_MAX;
use crate::records::Unreadable;
use crate::refusal::Refusal;
use crate::view::View;

/// The block list as it is stored, in the order in which names were added.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockList {
    block_list: Vec<AtSign>,
}

/// Changes or shows the block list. There are no other settings: a server is not in tests.
pub(crate) fn run(draft: &mut Draft<'_>, config: Config) -> Result<Answer, Refusal> {
    let identity = draft.identity;
    let mut blocked = read(&mut draft.view, identity)?.block_list;
    match config {
        Config::ShowBlocked => return Ok(shown(&blocked)),
        Config::Setting => return Ok(Answer::from("testing mode disabled by default")),
        Config::Block(names) => {
            let known = |name: &AtSign| name == identity || blocked.contains(name);
            let new: Vec<_> = names.into_iter().filter(|name| !known(name)).collect();
            blocked.extend(new);
        }
        Config::Unblock(names) => blocked.retain(|name| !names.contains(name)),
    }
    if blocked.len() > BLOCKED_MAX {
        let text = format!("a block list has at most {BLOCKED_MAX} names");
        return Err(Refusal::new(ErrorCode::IllegalArguments, text));
    }
    let list = BlockList { block_list: blocked };
    let json = serde_json::to_string(&list).map_err(|_| Unreadable)?;
    draft.put_own(&keys::block_list(identity)?, json)?;
    Ok(Answer::from("success"))
}

/// Whether the owner does not want to hear of `name`.
pub(crate) fn is_blocked(
    view: &mut View<'_>,
    identity: &AtSign,
    name: &AtSign,
) -> Result<bool, Refusal> {
    Ok(read(view, identity)?.block_list.contains(name))
}

fn read(view: &mut View<'_>, identity: &AtSign) -> Result<BlockList, Refusal> {
    let record = view.record(keys::block_list(identity)?.as_str())?;
    match record.and_then(|record| record.value) {
        Some(json) => Ok(serde_json::from_str(&json).map_err(|_| Unreadable)?),
        None => Ok(BlockList::default()),
    }
}

fn shown(blocked: &[AtSign]) -> Answer {
    if blocked.is_empty() {
        return Answer::Null;
    }
    // A list of names always serialises.
    Answer::Data(serde_json::to_string(blocked).unwrap_or_default())
}
