//! A stored key.

use protocol::MetadataPatch;

/// A stored key.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub value: Option<String>,
    pub version: u64,
    pub ttl: Option<i64>,
    pub ttb: Option<i64>,
    pub ttr: Option<i64>,
    pub ccd: Option<bool>,
    pub available_at: Option<i64>,
    pub expires_at: Option<i64>,
    /// What it is worth is the server's secret.
    pub is_opaque: bool,
}

impl Kept {
    pub(super) fn is_active(&self, now: i64) -> bool {
        self.available_at.is_none_or(|at| at <= now) && !self.is_expired(now)
    }

    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|end| end < now)
    }

    pub(super) fn patched(mut self, patch: &MetadataPatch, now: i64) -> Self {
        let positive = |number: Option<i64>| number.filter(|n| *n > 0);
        self.ttl = patch.ttl.or(self.ttl);
        if patch.ttb.is_some() {
            self.ttb = patch.ttb;
            self.available_at = positive(patch.ttb).map(|ttb| now.saturating_add(ttb));
        }
        if patch.ttr.is_some_and(|ttr| ttr != 0) {
            self.ttr = patch.ttr;
            self.ccd = patch.ccd.or(self.ccd);
        }
        let birth = self.available_at.unwrap_or(now).max(now);
        self.expires_at = positive(self.ttl).map(|ttl| birth.saturating_add(ttl));
        self
    }
}
