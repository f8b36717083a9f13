//! Which number a commit may have: the server makes some by itself, and sweeps.

use super::Model;

impl Model {
    /// Whether this commit follows the last one; expired keys that were swept meanwhile count too.
    pub fn is_next(&mut self, told: &str, is_committed: bool, now: i64) -> bool {
        if !is_committed {
            return told == "-1";
        }
        let Ok(id) = told.parse::<u64>() else { return false };
        let expired = self.expired(now);
        let first = self.next_commit.unwrap_or(id);
        self.next_commit = Some(id + 1);
        let slack = std::mem::take(&mut self.slack) + expired;
        let late = id.saturating_sub(first + slack);
        let is_next = first <= id && late <= self.lasting_slack;
        self.lasting_slack = self.lasting_slack.saturating_sub(late);
        is_next
    }

    /// Keys whose deletion the sweep may have committed.
    fn expired(&self, now: i64) -> u64 {
        let is_logged = |name: &str| self.log.contains_key(name);
        self.keys.iter().filter(|(name, kept)| is_logged(name) && kept.is_expired(now)).count()
            as u64
    }

    /// The id of the next commit, if there are no others.
    pub fn next_commit(&self) -> Option<u64> {
        self.next_commit
    }

    /// How many others there may be.
    pub fn slack(&self, now: i64) -> u64 {
        self.slack + self.expired(now) + self.lasting_slack
    }

    /// The server has started anew: what is uncertain may have been settled meanwhile.
    pub fn restarted(&mut self) {
        self.slack += 3;
    }
}
