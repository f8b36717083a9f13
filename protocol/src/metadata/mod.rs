//! What is known about a value beside the value (protocol notes 6.4, 6.5).

mod change;
mod dates;
mod patch;

use serde::{Deserialize, Serialize};

pub(crate) use patch::not_negative;
pub use patch::{MetadataError, MetadataPatch, Patch};

use crate::{AtSign, Timestamp};

/// The metadata of one stored key. The order of the fields is that of the wire, and what is absent
/// is left out there: one SDK refuses members it does not know, another needs some of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Who made the key: the server's owner.
    pub created_by: AtSign,
    /// Who changed it last: the server's owner.
    pub updated_by: AtSign,
    /// When it was made.
    #[serde(with = "dates::required")]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[serde(with = "dates::required")]
    pub updated_at: Timestamp,
    /// Before this time the key answers null.
    #[serde(with = "dates::optional", default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
    /// After this time the key answers null.
    #[serde(with = "dates::optional", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// After this time a cached copy is fetched again.
    #[serde(with = "dates::optional", default, skip_serializing_if = "Option::is_none")]
    pub refresh_at: Option<Timestamp>,
    /// Always active; the protocol has no other.
    #[serde(default)]
    pub status: Status,
    /// 0 on creation, one more with each update.
    #[serde(default)]
    pub version: u32,
    /// Time to live in milliseconds; 0 or absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Time to birth in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttb: Option<i64>,
    /// Time to refresh in **seconds**; -1: a copy never goes stale; absent: do not cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttr: Option<i64>,
    /// Whether a deletion reaches the copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ccd: Option<bool>,
    /// Whether the value stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_binary: Option<bool>,
    /// Whether the value is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_encrypted: Option<bool>,
    /// The owner's signature of a public value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_signature: Option<String>,
    /// The key that encrypts the value, encrypted for the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_key_enc: Option<String>,
    /// Checksum of the public key that was used.
    #[serde(rename = "pubKeyCS", default, skip_serializing_if = "Option::is_none")]
    pub pub_key_cs: Option<String>,
    /// How the value is encoded, such as `base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Name of the key that encrypts the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enc_key_name: Option<String>,
    /// Algorithm that encrypts the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enc_algo: Option<String>,
    /// Nonce of that encryption, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv_nonce: Option<String>,
    /// Name of the key that encrypts the shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ske_enc_key_name: Option<String>,
    /// Algorithm that encrypts the shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ske_enc_algo: Option<String>,
}

/// The status of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    #[default]
    Active,
}

/// Whatever another server writes there, to us the key is in use.
impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self::Active)
    }
}

impl Metadata {
    /// Metadata of a key that the server makes for itself: nothing but who and when.
    #[must_use]
    pub fn internal(owner: &AtSign, now: Timestamp) -> Self {
        Self {
            created_by: owner.clone(),
            updated_by: owner.clone(),
            created_at: now,
            updated_at: now,
            available_at: None,
            expires_at: None,
            refresh_at: None,
            status: Status::Active,
            version: 0,
            ttl: None,
            ttb: None,
            ttr: None,
            ccd: None,
            is_binary: None,
            is_encrypted: None,
            data_signature: None,
            shared_key_enc: None,
            pub_key_cs: None,
            encoding: None,
            enc_key_name: None,
            enc_algo: None,
            iv_nonce: None,
            ske_enc_key_name: None,
            ske_enc_algo: None,
        }
    }

    /// Whether the key is born and not expired.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.available_at.is_none_or(|birth| birth <= now)
            && self.expires_at.is_none_or(|end| end >= now)
    }

    /// Whether its time is over, so that it may be swept.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end < now)
    }

    /// Whether a cached copy may be served without asking its owner again: `ttr` is -1, or the
    /// refresh time has not come.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.ttr == Some(-1) || self.refresh_at.is_some_and(|refresh| refresh >= now)
    }

    /// The JSON of `llookup:meta`: compact, absent members left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of numbers, texts and booleans always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// All that a client could have set, as a patch: with it another server's copy is made. Numbers
    /// that no client could have set are left out.
    #[must_use]
    pub fn as_patch(&self) -> MetadataPatch {
        let text = |text: &Option<String>| text.clone().map(Patch::Set);
        MetadataPatch {
            ttl: self.ttl.filter(|ttl| *ttl >= 0),
            ttb: self.ttb.filter(|ttb| *ttb >= 0),
            ttr: self.ttr.filter(|ttr| *ttr >= -1),
            ccd: self.ccd,
            is_binary: self.is_binary,
            is_encrypted: self.is_encrypted,
            data_signature: text(&self.data_signature),
            shared_key_enc: text(&self.shared_key_enc),
            pub_key_cs: text(&self.pub_key_cs),
            encoding: text(&self.encoding),
            enc_key_name: text(&self.enc_key_name),
            enc_algo: text(&self.enc_algo),
            iv_nonce: text(&self.iv_nonce),
            ske_enc_key_name: text(&self.ske_enc_key_name),
            ske_enc_algo: text(&self.ske_enc_algo),
        }
    }
}

#[cfg(test)]
mod tests;
