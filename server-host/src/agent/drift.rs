//! What was not as it should be, for as long as an operator may want to read it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::limits::{DRIFT_LINE_CHARS_MAX, DRIFT_LINES_MAX, DRIFT_TOLD};

/// Lines, and when each was last true. The same line twice is one.
#[derive(Debug, Default)]
pub struct DriftLog {
    lines: BTreeMap<String, Instant>,
}

impl DriftLog {
    /// Notes lines; when there are too many, the rest is left out until there is room.
    pub fn note(&mut self, lines: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        self.forget(now);
        for line in lines {
            let line: String = line.chars().take(DRIFT_LINE_CHARS_MAX).collect();
            if self.lines.len() < DRIFT_LINES_MAX || self.lines.contains_key(&line) {
                self.lines.insert(line, now);
            }
        }
    }

    /// All that is still to be told.
    #[must_use]
    pub fn lines(&mut self) -> Vec<String> {
        self.forget(Instant::now());
        self.lines.keys().cloned().collect()
    }

    fn forget(&mut self, now: Instant) {
        let is_fresh = |noted: Instant| now.duration_since(noted) < DRIFT_TOLD;
        self.lines.retain(|_, noted| is_fresh(*noted));
    }
}
