//! `stats`: what a server tells its owner about itself (the protocol's section 5.10).

use std::ops::ControlFlow;

use protocol::Timestamp;
use protocol::notification::{Kind, Notification, Status};
use protocol::response::Answer;
use protocol::stat::{self, Stat};
use protocol::verb::{MessageType, Operation, Stats};
use serde_json::{Map, Value, json};

use super::{MaySee, Pattern};
use crate::access_log::{Compaction, Summary};
use crate::commit_log;
use crate::notify::kept;
use crate::refusal::Refusal;
use crate::view::View;

/// What is not in the store.
pub(crate) struct Gauges {
    pub(crate) inbound: usize,
    pub(crate) outbound: usize,
    pub(crate) access: Summary,
    pub(crate) now: Timestamp,
}

/// The statistics that were asked for. One that cannot be told is null, and the others are told.
pub(crate) fn run(
    view: &mut View<'_>,
    stats: &Stats,
    gauges: &Gauges,
    may_see: MaySee<'_>,
) -> Result<Answer, Refusal> {
    let pattern = Pattern::compile(stats.regex.as_deref())?;
    let is_wanted = |name: &str| pattern.is_match(name) && may_see(name);
    let mut tell = |stat| {
        let value = value(view, stat, gauges, &is_wanted).unwrap_or(Value::Null);
        (stat, value)
    };
    let told: Vec<_> = stats.wanted.iter().map(|stat| tell(*stat)).collect();
    Ok(Answer::Data(stat::to_data(&told)))
}

fn value(
    view: &mut View<'_>,
    stat: Stat,
    gauges: &Gauges,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Value, Refusal> {
    let access = &gauges.access;
    Ok(match stat {
        Stat::Inbound => text(gauges.inbound),
        Stat::Outbound => text(gauges.outbound),
        Stat::LastCommit => {
            let last = commit_log::last(view, is_wanted)?;
            last.map_or_else(|| text("null"), text)
        }
        Stat::StorageSize => json!(view.disk_bytes()),
        Stat::TopAtSigns => text(&access.top_names),
        Stat::TopKeys => text(&access.top_keys),
        Stat::Version => text(crate::world::PROTOCOL_VERSION),
        Stat::LastLogin => time(access.last_login),
        Stat::DiskSize => text(for_a_person(view.disk_bytes())),
        Stat::LastPkam => time(access.last_pkam),
        Stat::Notifications => text(notifications(view, gauges.now)?),
        // There is one entry a key, and a change takes out the one before it: nothing is compacted.
        Stat::CommitLogCompaction => text(json!({})),
        Stat::AccessLogCompaction => compaction(access.compacted, "AtAccessLog"),
        Stat::NotificationCompaction => {
            compaction(access.notifications_compacted, "AtNotificationKeystore")
        }
        Stat::LatestCommits => text(latest_commits(view, is_wanted)?),
    })
}

/// Most values are texts, and the texts of some are JSON.
fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn time(time: Option<Timestamp>) -> Value {
    time.map_or_else(|| text("Not Available"), text)
}

fn compaction(compaction: Option<Compaction>, of: &str) -> Value {
    text(compaction.map_or_else(|| json!({}), |compaction| compaction.to_value(of)))
}

#[expect(clippy::cast_precision_loss, reason = "two digits behind the point are told")]
fn for_a_person(bytes: u64) -> Value {
    let mut size = bytes as f64;
    let mut units = ["B", "KB", "MB", "GB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    json!({"size": format!("{size:.2}"), "units": unit})
}

fn latest_commits(view: &mut View<'_>, is_wanted: &dyn Fn(&str) -> bool) -> Result<Value, Refusal> {
    let mut latest = Map::new();
    commit_log::after(view, None, |_, entry| {
        if is_wanted(&entry.name) {
            let told = json!([entry.commit, entry.operation().to_string()]);
            latest.insert(entry.name, told);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Value::Object(latest))
}

#[derive(Default)]
struct Counts {
    total: u64,
    sent: u64,
    received: u64,
    delivered: u64,
    failed: u64,
    queued: u64,
    updates: u64,
    deletions: u64,
    keys: u64,
    texts: u64,
}

impl Counts {
    fn count(&mut self, notification: &Notification) {
        self.total += 1;
        match notification.kind {
            Kind::Sent => self.sent += 1,
            Kind::Received => self.received += 1,
            Kind::OwnServer => {}
        }
        match notification.status {
            Status::Delivered => self.delivered += 1,
            Status::Errored => self.failed += 1,
            Status::Queued => self.queued += 1,
            Status::Expired => {}
        }
        match notification.operation {
            Operation::Update => self.updates += 1,
            Operation::Delete => self.deletions += 1,
        }
        match notification.message_type {
            MessageType::Key => self.keys += 1,
            MessageType::Text => self.texts += 1,
        }
    }
}

fn notifications(view: &mut View<'_>, now: Timestamp) -> Result<Value, Refusal> {
    let mut counts = Counts::default();
    kept::visit(view, |notification| {
        if !notification.is_expired(now) {
            counts.count(notification);
        }
    })?;
    Ok(json!({
        "total": counts.total,
        "type": {"sent": counts.sent, "received": counts.received},
        "status": {
            "delivered": counts.delivered, "failed": counts.failed, "queued": counts.queued
        },
        "operations": {"update": counts.updates, "delete": counts.deletions},
        "messageType": {"key": counts.keys, "text": counts.texts},
        "createdOn": now.0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_in_the_unit_that_fits() {
        for (bytes, size, units) in [
            (0, "0.00", "B"),
            (1023, "1023.00", "B"),
            (1024, "1.00", "KB"),
            (1_290_000, "1.23", "MB"),
            (u64::MAX, "17179869184.00", "GB"),
        ] {
            assert_eq!(for_a_person(bytes), json!({"size": size, "units": units}), "{bytes}");
        }
    }
}
