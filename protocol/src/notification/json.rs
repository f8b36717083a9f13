//! A notification as clients see it: pushed to monitors, listed, fetched.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Kind, Notification, NotificationMetadata, Status};
use crate::verb::{MessageType, Operation};
use crate::{AtSign, Timestamp};

/// One object of a monitor's line or of `notify:list`; the order is the wire's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    id: &'a str,
    from: &'a AtSign,
    to: &'a AtSign,
    key: &'a str,
    value: Option<&'a str>,
    operation: &'a str,
    epoch_millis: i64,
    message_type: &'a str,
    is_encrypted: bool,
    metadata: Option<WireMetadata<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    enc_key_name: Option<&'a str>,
    enc_algo: Option<&'a str>,
    iv_nonce: Option<&'a str>,
    ske_enc_key_name: Option<&'a str>,
    ske_enc_algo: Option<&'a str>,
    #[serde(flatten)]
    tail: Tail<'a>,
}

/// The two forms differ in their last members.
#[derive(Serialize)]
#[serde(untagged)]
enum Tail<'a> {
    #[serde(rename_all = "camelCase")]
    Pushed { shared_key_enc: Option<&'a str> },
    #[serde(rename_all = "camelCase")]
    Listed { available_at: String, expires_at: String },
}

impl Notification {
    /// The line for a monitor as it comes in, with its LF.
    #[must_use]
    pub fn monitor_line(&self) -> Vec<u8> {
        let shared_key_enc = self.metadata.shared_key_enc.as_deref();
        line(&json(&self.wire(Tail::Pushed { shared_key_enc })))
    }

    /// The line for a monitor that asked for what came before it, with its LF.
    #[must_use]
    pub fn replay_line(&self) -> Vec<u8> {
        line(&self.list_json())
    }

    /// One element of `notify:list`.
    #[must_use]
    pub fn list_json(&self) -> String {
        let birth = self.metadata.ttb.filter(|ttb| *ttb > 0);
        let available_at = birth.map(|ttb| self.at.plus_millis(ttb).writable());
        json(&self.wire(Tail::Listed {
            available_at: available_at.map_or_else(null, |date| date.to_string()),
            expires_at: self.expires_at.to_string(),
        }))
    }

    /// The answer of `notify:fetch`: every value is a text.
    #[must_use]
    pub fn fetch_json(&self, now: Timestamp) -> String {
        let mut members = Map::new();
        let mut put = |name: &str, text: String| members.insert(name.to_owned(), text.into());
        put("id", self.id.clone());
        put("fromAtSign", self.from.to_string());
        put("notificationDateTime", self.at.to_string());
        put("toAtSign", self.to.to_string());
        put("notification", self.subject.clone());
        put("type", format!("NotificationType.{}", self.kind.as_str()));
        put("opType", format!("OperationType.{}", self.operation.as_str()));
        put("messageType", format!("MessageType.{}", self.message_type.as_str()));
        put("priority", format!("NotificationPriority.{}", self.priority.as_str()));
        put("notificationStatus", status(self.status_at(now)));
        put("retryCount", self.retry_count.to_string());
        put("strategy", self.strategy.as_str().to_owned());
        put("depth", self.depth.to_string());
        put("notifier", self.notifier.clone());
        put("expiresAt", self.expires_at.to_string());
        put("atValue", self.value.clone().unwrap_or_else(null));
        put("atMetadata", map_notation(&self.metadata));
        put("ttl", self.ttln.to_string());
        Value::Object(members).to_string()
    }

    /// The answer of `notify:fetch` for an id that nobody knows.
    #[must_use]
    pub fn fetch_unknown_json(id: &str) -> String {
        let mut members = Map::new();
        members.insert("id".to_owned(), id.into());
        members.insert("notificationStatus".to_owned(), status(Status::Expired).into());
        Value::Object(members).to_string()
    }

    fn wire<'a>(&'a self, tail: Tail<'a>) -> Wire<'a> {
        let metadata = &self.metadata;
        Wire {
            id: &self.id,
            from: &self.from,
            to: &self.to,
            key: &self.subject,
            value: self.value.as_deref(),
            operation: self.operation.as_str(),
            epoch_millis: self.at.0,
            message_type: match self.message_type {
                MessageType::Key => "MessageType.key",
                MessageType::Text => "MessageType.text",
            },
            is_encrypted: self.is_encrypted,
            metadata: Some(WireMetadata {
                enc_key_name: metadata.enc_key_name.as_deref(),
                enc_algo: metadata.enc_algo.as_deref(),
                iv_nonce: metadata.iv_nonce.as_deref(),
                ske_enc_key_name: metadata.ske_enc_key_name.as_deref(),
                ske_enc_algo: metadata.ske_enc_algo.as_deref(),
                tail,
            }),
        }
    }
}

/// The line that tells monitors how far the store has come, after every change and now and then.
#[must_use]
pub fn stats_line(owner: &AtSign, commit: i64, change: Operation, now: Timestamp) -> Vec<u8> {
    line(&json(&Wire {
        id: "-1",
        from: owner,
        to: owner,
        key: &format!("statsNotification.{owner}"),
        value: Some(&commit.to_string()),
        operation: change.as_str(),
        epoch_millis: now.0,
        message_type: "MessageType.key",
        is_encrypted: false,
        metadata: None,
    }))
}

fn line(json: &str) -> Vec<u8> {
    format!("notification: {json}\n").into_bytes()
}

fn json(wire: &Wire<'_>) -> String {
    // A struct of texts, numbers and booleans always serialises.
    serde_json::to_string(wire).unwrap_or_default()
}

fn null() -> String {
    "null".to_owned()
}

fn status(status: Status) -> String {
    format!("NotificationStatus.{}", status.as_str())
}

/// `{name: value, …}`, as the reference prints a map.
fn map_notation(metadata: &NotificationMetadata) -> String {
    let Ok(Value::Object(members)) = serde_json::to_value(metadata) else { return null() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parts: Vec<_> = members.iter().map(|(name, v)| format!("{name}: {}", text(v))).collect();
    format!("{{{}}}", parts.join(", "))
}

impl Kind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::OwnServer => "self",
        }
    }
}
