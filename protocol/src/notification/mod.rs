//! Notifications: what one identity tells another, or itself (protocol notes 5.12 to 5.16, 6.8).

mod json;
mod line;
mod metadata;

use serde::{Deserialize, Serialize};

pub use json::stats_line;
pub use metadata::NotificationMetadata;

use crate::key::{AtKey, KeyError};
use crate::verb::{MessageType, Notify, Operation, Priority, Strategy, Target};
use crate::{AtSign, Metadata, Timestamp};

/// Notifier of what a client sends without naming one.
pub const NOTIFIER_DEFAULT: &str = "SYSTEM";

/// Notifier of what the server sends by itself after an update or a deletion.
pub const NOTIFIER_AUTOMATIC: &str = "system";

/// One notification, as it is stored. Its three forms for clients are [`Notification::monitor_line`],
/// [`Notification::list_json`] and [`Notification::fetch_json`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Which; the sender's id, the same on both sides.
    pub id: String,
    /// Who sent it.
    pub from: AtSign,
    /// For whom it is.
    pub to: AtSign,
    /// When it was made, or came.
    pub at: Timestamp,
    /// The key that it is about, or the text behind its recipient: `@bob:phone.wavi@alice`.
    pub subject: String,
    /// The key's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Which way it goes.
    pub kind: Kind,
    /// What happened.
    pub operation: Operation,
    /// About a key, or a text.
    pub message_type: MessageType,
    /// How urgent it is.
    pub priority: Priority,
    /// How far it has come.
    pub status: Status,
    /// How often its delivery was tried, from 1.
    pub retry_count: u32,
    /// Which of several waiting ones are delivered.
    pub strategy: Strategy,
    /// With [`Strategy::Latest`]: how many.
    pub depth: u32,
    /// In whose name `latest` counts.
    pub notifier: String,
    /// How long it lives, in milliseconds.
    pub ttln: i64,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether value or text are encrypted.
    pub is_encrypted: bool,
    /// What is known about the key.
    #[serde(default)]
    pub metadata: NotificationMetadata,
}

/// Which way a notification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// To another.
    Sent,
    /// From another, or from the owner to herself.
    Received,
    /// From the server to its owner.
    #[serde(rename = "self")]
    OwnServer,
}

/// How far a notification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits.
    Queued,
    /// The recipient's server has it.
    Delivered,
    /// The last try failed.
    Errored,
    /// Its time is over.
    Expired,
}

/// Who sends to whom, when, under which id.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Which; the caller draws one where the sender gave none.
    pub id: &'a str,
    /// Who sends it.
    pub from: &'a AtSign,
    /// Now.
    pub at: Timestamp,
    /// How long it lives where it does not say so itself, in milliseconds.
    pub ttln_default: i64,
}

impl Notification {
    /// What the owner (`envelope.from`) sends with `notify`. To herself it is received, and is
    /// delivered at once.
    ///
    /// # Errors
    /// [`KeyError`] where the parts do not make a key.
    pub fn sent(notify: &Notify, envelope: &Envelope<'_>) -> Result<Self, KeyError> {
        let to = match &notify.target {
            Target::For(to) => to,
            Target::Public => envelope.from,
        };
        let own = to == envelope.from;
        let kind = if own { Kind::Received } else { Kind::Sent };
        let status = if own { Status::Delivered } else { Status::Queued };
        Self::of(notify, envelope, to, kind, status)
    }

    /// What another server delivers to `owner`; `envelope.from` is who has proved to send it.
    ///
    /// # Errors
    /// [`KeyError`] where the parts do not make a key.
    pub fn received(
        notify: &Notify,
        envelope: &Envelope<'_>,
        owner: &AtSign,
    ) -> Result<Self, KeyError> {
        Self::of(notify, envelope, owner, Kind::Received, Status::Delivered)
    }

    /// What the server sends by itself after an update or a deletion of `key` (protocol notes 5.3,
    /// 5.9): `None` where the key is for nobody else.
    #[must_use]
    pub fn automatic(
        key: &AtKey,
        change: Operation,
        value: Option<&str>,
        metadata: Option<&Metadata>,
        envelope: &Envelope<'_>,
    ) -> Option<Self> {
        let to = key.shared_with().filter(|to| to != envelope.from && !key.is_cached())?;
        Some(Self {
            id: envelope.id.to_owned(),
            from: envelope.from.clone(),
            to,
            at: envelope.at,
            subject: key.as_str().to_owned(),
            value: value.map(str::to_owned),
            kind: Kind::Sent,
            operation: change,
            message_type: MessageType::Key,
            priority: Priority::Low,
            status: Status::Queued,
            retry_count: 1,
            strategy: Strategy::All,
            depth: 1,
            notifier: NOTIFIER_AUTOMATIC.to_owned(),
            ttln: envelope.ttln_default,
            expires_at: envelope.at.plus_millis(envelope.ttln_default).writable(),
            is_encrypted: metadata.and_then(|metadata| metadata.is_encrypted).unwrap_or(false),
            metadata: metadata.map(NotificationMetadata::of_key).unwrap_or_default(),
        })
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at < now
    }

    /// How far it has come as of `now`; the answer of `notify:status`.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.is_expired(now) { Status::Expired } else { self.status }
    }

    fn of(
        notify: &Notify,
        envelope: &Envelope<'_>,
        to: &AtSign,
        kind: Kind,
        status: Status,
    ) -> Result<Self, KeyError> {
        let ttln = notify.ttln.unwrap_or(envelope.ttln_default);
        Ok(Self {
            id: envelope.id.to_owned(),
            from: envelope.from.clone(),
            to: to.clone(),
            at: envelope.at,
            subject: notify.subject(envelope.from)?,
            value: notify.value().map(str::to_owned),
            kind,
            operation: notify.operation,
            message_type: notify.message_type(),
            priority: notify.priority,
            status,
            retry_count: 1,
            strategy: notify.strategy,
            depth: notify.latest_n,
            notifier: notify.notifier.clone().unwrap_or_else(|| NOTIFIER_DEFAULT.to_owned()),
            ttln,
            expires_at: envelope.at.plus_millis(ttln).writable(),
            is_encrypted: notify.is_encrypted(),
            metadata: NotificationMetadata::of_command(notify),
        })
    }
}

impl Status {
    /// The word that `notify:status` answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Errored => "errored",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests;
