//! `notify:all`: the same notification to several (the protocol's section 5.13).

use protocol::response::Answer;
use protocol::verb::{NotifyAll, Target};
use protocol::{ErrorCode, Patch, Timestamp};
use serde_json::Map;

use super::notify;
use crate::draft::Draft;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::rights::Rights;

/// What became of them.
pub(crate) struct SentAll {
    /// The id for each recipient.
    pub(crate) answer: Answer,
    /// One was to the owner herself: when it came.
    pub(crate) arrived: Option<Timestamp>,
}

/// Keeps and queues one notification for each recipient, all of them or none.
pub(crate) fn run(
    draft: &mut Draft<'_>,
    limits: &Limits,
    rights: &Rights,
    all: NotifyAll,
    signature: String,
) -> Result<SentAll, Refusal> {
    let NotifyAll { recipients, notify: mut one } = all;
    one.check_sender(draft.identity)?;
    if !notify::has_room(draft, limits, recipients.len())? {
        let text = "too many notifications wait for their receivers";
        return Err(Refusal::new(ErrorCode::InternalException, text));
    }
    one.patch.data_signature = Some(Patch::Set(signature));
    let (mut ids, mut arrived) = (Map::new(), None);
    for recipient in recipients {
        let name = recipient.to_string();
        one.target = Target::For(recipient);
        let notification = notify::prepare(draft, limits, rights, &one)?;
        let sent = notify::keep(draft, rights, notification)?;
        arrived = arrived.or(sent.arrived);
        ids.insert(name, sent.id.into());
    }
    let ids = serde_json::Value::Object(ids);
    Ok(SentAll { answer: Answer::Data(format!(" {ids}")), arrived })
}
