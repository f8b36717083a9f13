//! What a notification carries about the key that it tells of.

use serde::{Deserialize, Serialize};

use crate::verb::{Notify, Operation};
use crate::{Metadata, MetadataPatch, Patch};

/// Metadata of a notification: the part that travels between servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NotificationMetadata {
    /// Time to live of the key in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Time to birth of the key in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttb: Option<i64>,
    /// Time to refresh of the recipient's copy in seconds; absent: no copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttr: Option<i64>,
    /// Whether a deletion reaches the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ccd: Option<bool>,
    /// The sender's signature of the key; it stays with the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_signature: Option<String>,
    /// See [`Metadata::shared_key_enc`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_key_enc: Option<String>,
    /// See [`Metadata::pub_key_cs`].
    #[serde(rename = "pubKeyCS", skip_serializing_if = "Option::is_none")]
    pub pub_key_cs: Option<String>,
    /// See [`Metadata::enc_key_name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enc_key_name: Option<String>,
    /// See [`Metadata::enc_algo`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enc_algo: Option<String>,
    /// See [`Metadata::iv_nonce`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iv_nonce: Option<String>,
    /// See [`Metadata::ske_enc_key_name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ske_enc_key_name: Option<String>,
    /// See [`Metadata::ske_enc_algo`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ske_enc_algo: Option<String>,
}

impl NotificationMetadata {
    /// From a stored key.
    pub(super) fn of_key(key: &Metadata) -> Self {
        Self {
            ttl: key.ttl,
            ttb: key.ttb,
            ttr: key.ttr,
            ccd: key.ccd,
            data_signature: None,
            shared_key_enc: key.shared_key_enc.clone(),
            pub_key_cs: key.pub_key_cs.clone(),
            enc_key_name: key.enc_key_name.clone(),
            enc_algo: key.enc_algo.clone(),
            iv_nonce: key.iv_nonce.clone(),
            ske_enc_key_name: key.ske_enc_key_name.clone(),
            ske_enc_algo: key.ske_enc_algo.clone(),
        }
    }

    /// From a command. Refresh and cascade are kept only where the recipient can use them: with a
    /// value, or with a deletion.
    pub(super) fn of_command(notify: &Notify) -> Self {
        let text = |patch: &Option<Patch<String>>| match patch {
            Some(Patch::Set(text)) => Some(text.clone()),
            Some(Patch::Clear) | None => None,
        };
        let patch = &notify.patch;
        let keeps_copy = notify.operation == Operation::Delete || notify.value().is_some();
        Self {
            ttl: patch.ttl,
            ttb: patch.ttb,
            ttr: patch.ttr.filter(|_| keeps_copy),
            ccd: patch.ccd.filter(|_| keeps_copy),
            data_signature: text(&patch.data_signature),
            shared_key_enc: text(&patch.shared_key_enc),
            pub_key_cs: text(&patch.pub_key_cs),
            enc_key_name: text(&patch.enc_key_name),
            enc_algo: text(&patch.enc_algo),
            iv_nonce: text(&patch.iv_nonce),
            ske_enc_key_name: text(&patch.ske_enc_key_name),
            ske_enc_algo: text(&patch.ske_enc_algo),
        }
    }

    /// As a patch for the recipient's cached copy.
    #[must_use]
    pub fn as_patch(&self, is_encrypted: bool) -> MetadataPatch {
        let text = |text: &Option<String>| text.clone().map(Patch::Set);
        MetadataPatch {
            ttl: self.ttl,
            ttb: self.ttb,
            ttr: self.ttr,
            ccd: self.ccd,
            is_encrypted: Some(is_encrypted),
            shared_key_enc: text(&self.shared_key_enc),
            pub_key_cs: text(&self.pub_key_cs),
            enc_key_name: text(&self.enc_key_name),
            enc_algo: text(&self.enc_algo),
            iv_nonce: text(&self.iv_nonce),
            ske_enc_key_name: text(&self.ske_enc_key_name),
            ske_enc_algo: text(&self.ske_enc_algo),
            ..MetadataPatch::default()
        }
    }
}
