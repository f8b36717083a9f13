//! What a command makes of metadata: the rules of retention (protocol notes 5.3, 6.5).

use super::{Metadata, MetadataPatch, patch};
use crate::{AtSign, Timestamp};

impl Metadata {
    /// Metadata of a key that a client makes with `update`.
    #[must_use]
    pub fn created(owner: &AtSign, now: Timestamp, patch: &MetadataPatch) -> Self {
        let mut metadata = Self::internal(owner, now);
        metadata.apply(now, patch);
        metadata
    }

    /// Metadata after one more update: what the patch leaves out keeps its value, except that
    /// `isBinary` and `isEncrypted` become false (protocol notes 5.3).
    #[must_use]
    pub fn updated(&self, now: Timestamp, patch: &MetadataPatch) -> Self {
        let mut metadata = self.clone();
        metadata.version = self.version.saturating_add(1);
        metadata.updated_at = now;
        metadata.apply(now, patch);
        metadata
    }

    fn apply(&mut self, now: Timestamp, patch: &MetadataPatch) {
        self.ttl = patch.ttl.or(self.ttl);
        self.ttb = patch.ttb.or(self.ttb);
        if let Some(ttr) = patch.ttr.filter(|ttr| *ttr != 0) {
            self.ttr = Some(ttr);
            self.ccd = patch.ccd.or(self.ccd);
        }
        self.is_binary = Some(patch.is_binary.unwrap_or(false));
        self.is_encrypted = Some(patch.is_encrypted.unwrap_or(false));
        patch::apply(&mut self.data_signature, patch.data_signature.as_ref());
        patch::apply(&mut self.shared_key_enc, patch.shared_key_enc.as_ref());
        patch::apply(&mut self.pub_key_cs, patch.pub_key_cs.as_ref());
        patch::apply(&mut self.encoding, patch.encoding.as_ref());
        patch::apply(&mut self.enc_key_name, patch.enc_key_name.as_ref());
        patch::apply(&mut self.enc_algo, patch.enc_algo.as_ref());
        patch::apply(&mut self.iv_nonce, patch.iv_nonce.as_ref());
        patch::apply(&mut self.ske_enc_key_name, patch.ske_enc_key_name.as_ref());
        patch::apply(&mut self.ske_enc_algo, patch.ske_enc_algo.as_ref());
        self.set_dates(now, patch.ttb.is_some());
    }

    /// Derives the three dates. An update without `ttb` does not bury a key that is born already.
    fn set_dates(&mut self, now: Timestamp, is_birth_given: bool) {
        let after = |start: Timestamp, millis: i64| start.plus_millis(millis).writable();
        if is_birth_given {
            self.available_at = self.ttb.filter(|ttb| *ttb > 0).map(|ttb| after(now, ttb));
        }
        let birth = self.available_at.map_or(now, |birth| birth.max(now));
        self.expires_at = self.ttl.filter(|ttl| *ttl > 0).map(|ttl| after(birth, ttl));
        let refresh = self.ttr.filter(|ttr| *ttr > 0);
        self.refresh_at = refresh.map(|seconds| after(now, seconds.saturating_mul(1000)));
    }
}
