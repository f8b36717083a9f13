//! What was not as it should be, for as long as an operator may want to read it.

use std::collections::BTreeMap;

use protocol::control::names::CellId;
use tokio::time::Instant;

use crate::limits::{DRIFT_LINE_CHARS_MAX, DRIFT_LINES_MAX, DRIFT_TOLD};

/// The line of a cell whose new version the engine took back: the plan still names that version, and
/// what runs is the old one.
#[must_use]
pub fn taken_back(cell: CellId) -> String {
    format!("{cell} runs as before: the engine took the new version back because it failed")
}

/// Lines, and when each was last true. The same line twice is one.
#[derive(Debug, Default)]
pub struct DriftLog {
    lines: BTreeMap<String, Instant>,
    now: Vec<String>,
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

    /// Says what is so at the moment, in place of what was so before.
    pub fn set_now(&mut self, lines: Vec<String>) {
        self.now = lines;
        self.now.truncate(DRIFT_LINES_MAX);
    }

    /// All that is still to be told: first what is so at the moment.
    #[must_use]
    pub fn lines(&mut self) -> Vec<String> {
        self.forget(Instant::now());
        let all = self.now.iter().chain(self.lines.keys());
        all.take(DRIFT_LINES_MAX).cloned().collect()
    }

    fn forget(&mut self, now: Instant) {
        let is_fresh = |noted: Instant| now.duration_since(noted) < DRIFT_TOLD;
        self.lines.retain(|_, noted| is_fresh(*noted));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_are_few_short_and_forgotten_after_a_while() {
        let mut log = DriftLog::default();
        log.note((0..10_000).map(|number| format!("{number} {}", "x".repeat(10_000))));
        log.note(["0 again".to_owned()]);
        assert_eq!(log.lines().len(), DRIFT_LINES_MAX);
        assert!(log.lines().iter().all(|line| line.len() <= DRIFT_LINE_CHARS_MAX));
        log.set_now(vec!["a cell does not run".to_owned()]);
        assert_eq!(log.lines().first().map(String::as_str), Some("a cell does not run"));
        tokio::time::sleep(DRIFT_TOLD + Duration::from_secs(1)).await;
        assert_eq!(log.lines(), ["a cell does not run"]);
        log.set_now(Vec::new());
        assert!(log.lines().is_empty());
    }
}
