//! What a personal server tells about itself with `stats` (protocol notes 5.10).

use serde_json::{Value, json};

/// One statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stat {
    /// 1: connections that are open.
    Inbound,
    /// 2: connections to other servers.
    Outbound,
    /// 3: the id of the latest commit.
    LastCommit,
    /// 4: bytes of the store.
    StorageSize,
    /// 5: who came most often.
    TopAtSigns,
    /// 6: what was looked up most often.
    TopKeys,
    /// 7: the version of the server.
    Version,
    /// 8: when the owner came last.
    LastLogin,
    /// 9: the store's size for a person.
    DiskSize,
    /// 10: when the owner came last with a signature.
    LastPkam,
    /// 11: how many notifications there are, of which kind.
    Notifications,
    /// 12: the last compaction of the commit log.
    CommitLogCompaction,
    /// 13: the last compaction of the access log.
    AccessLogCompaction,
    /// 14: the last compaction of the notifications.
    NotificationCompaction,
    /// 15: the latest commit of each key.
    LatestCommits,
}

impl Stat {
    /// All of them, in the order of their ids.
    pub const ALL: [Self; 15] = [
        Self::Inbound,
        Self::Outbound,
        Self::LastCommit,
        Self::StorageSize,
        Self::TopAtSigns,
        Self::TopKeys,
        Self::Version,
        Self::LastLogin,
        Self::DiskSize,
        Self::LastPkam,
        Self::Notifications,
        Self::CommitLogCompaction,
        Self::AccessLogCompaction,
        Self::NotificationCompaction,
        Self::LatestCommits,
    ];

    /// The statistic with this id, as digits without zeros in front.
    #[must_use]
    pub fn of_id(digits: &str) -> Option<Self> {
        if digits.starts_with(['0', '+']) {
            return None;
        }
        let id: usize = digits.parse().ok()?;
        Self::ALL.get(id.checked_sub(1)?).copied()
    }

    /// Its id, from 1.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8 + 1
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "activeInboundConnections",
            Self::Outbound => "activeOutboundConnections",
            Self::LastCommit => "lastCommitID",
            Self::StorageSize => "secondaryStorageSize",
            Self::TopAtSigns => "topAtSigns",
            Self::TopKeys => "topKeys",
            Self::Version => "secondaryServerVersion",
            Self::LastLogin => "LastLoggedInDatetime",
            Self::DiskSize => "diskSize",
            Self::LastPkam => "LastPkam",
            Self::Notifications => "NotificationCount",
            Self::CommitLogCompaction => "CommitLogCompactionStats",
            Self::AccessLogCompaction => "AccessLogCompactionStats",
            Self::NotificationCompaction => "NotificationCompactionStats",
            Self::LatestCommits => "LatestCommitEntryOfEachKey",
        }
    }
}

/// The data of an answer: blanks where the clients' grammar has them.
#[must_use]
pub fn to_data(told: &[(Stat, Value)]) -> String {
    let object = |(stat, value): &(Stat, Value)| {
        json!({"id": stat.id().to_string(), "name": stat.name(), "value": value}).to_string()
    };
    format!(" [{}]", told.iter().map(object).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statistic_has_the_id_of_its_place() {
        for (place, stat) in Stat::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(stat.id()), place + 1);
            assert_eq!(Stat::of_id(&stat.id().to_string()), Some(stat));
        }
        for none in ["", "0", "16", "-1", "+1", "01", "1 "] {
            assert_eq!(Stat::of_id(none), None, "{none:?}");
        }
    }

    #[test]
    fn s146_an_answer_has_its_blanks() {
        let told = [(Stat::LastCommit, json!("17")), (Stat::StorageSize, json!(5))];
        assert_eq!(
            to_data(&told),
            concat!(
                r#" [{"id":"3","name":"lastCommitID","value":"17"}, "#,
                r#"{"id":"4","name":"secondaryStorageSize","value":5}]"#
            )
        );
    }
}
