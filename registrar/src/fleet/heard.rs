//! For how long a cell has been heard, and for how long not. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::HEARD_GAP_MAX;

/// Signs of life of one start of a cell, by a clock that no operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Since when without a gap.
    since: Instant,
    last: Instant,
}

impl Heard {
    /// Heard for the first time.
    pub fn first(now: Instant) -> Self {
        Self { since: now, last: now }
    }

    /// Heard again.
    pub fn again(self, now: Instant) -> Self {
        let has_gap = self.silence(now) > HEARD_GAP_MAX;
        Self { since: if has_gap { now } else { self.since }, last: now }
    }

    /// How long ago the last sign was.
    pub fn silence(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// For how long there were signs without a gap, up to now; none if there is one now.
    pub fn steady(self, now: Instant) -> Option<Duration> {
        let has_gap = self.silence(now) > HEARD_GAP_MAX;
        (!has_gap).then(|| now.saturating_duration_since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CELL_LOST;

    #[test]
    fn a_gap_begins_it_anew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let heard = Heard::first(start).again(at(2)).again(at(4)).again(at(5));
        assert_eq!(
            (heard.steady(at(6)), heard.silence(at(6))),
            (Some(at(6) - start), at(1) - start)
        );
        assert_eq!(heard.steady(at(8)), None, "it is silent for too long");
        let heard = heard.again(at(9));
        assert_eq!(
            (heard.steady(at(9)), heard.steady(at(11))),
            (Some(Duration::ZERO), Some(at(2) - start))
        );
    }

    /// Two cells tell that they live at least every 1.7 s, which is an interval and a bit. However
    /// long the registrar is deaf for, there is no moment at which one counts as lost and the other as
    /// heard all the while.
    #[test]
    fn no_pause_of_the_registrar_makes_one_cell_lost_beside_another() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        for pause in (0..9_000).step_by(100) {
            for ahead in (0..1_700).step_by(100) {
                let deaf = 20_000..20_000 + pause;
                let (mut one, mut other) = (Heard::first(start), Heard::first(start));
                for now in (0..40_000).step_by(100) {
                    let hear = |heard: &mut Heard, phase: u64| {
                        if (now + phase) % 1_700 == 0 && !deaf.contains(&now) {
                            *heard = heard.again(at(now));
                        }
                    };
                    hear(&mut one, 0);
                    hear(&mut other, ahead);
                    let is_lost = other.silence(at(now)) >= CELL_LOST;
                    assert!(
                        !(is_lost && one.steady(at(now)) >= Some(CELL_LOST)),
                        "{pause} {ahead} {now}"
                    );
                }
            }
        }
    }
}
