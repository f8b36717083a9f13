//! For how long a cell has been heard, and for how long not. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::HEARD_GAP_MAX;

/// So many starts in a row count as signs of life although nothing more is heard of them.
const STARTS_MAX: u8 = 3;

/// Signs of life of a cell, by a clock that no operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Since when without a gap.
    since: Instant,
    last: Instant,
    /// Starts since anything else was heard.
    starts: u8,
}

impl Heard {
    /// Heard for the first time.
    pub fn first(now: Instant) -> Self {
        Self { since: now, last: now, starts: 0 }
    }

    /// A process begins. One that does nothing else, time and again, does not live.
    pub fn begins(before: Option<Self>, now: Instant) -> Self {
        match before {
            None => Self::first(now),
            Some(before) if before.starts < STARTS_MAX => {
                Self { since: now, last: now, starts: before.starts + 1 }
            }
            Some(before) => Self { since: now, ..before },
        }
    }

    /// Heard again.
    pub fn again(self, now: Instant) -> Self {
        let has_gap = self.silence(now) > HEARD_GAP_MAX;
        Self { since: if has_gap { now } else { self.since }, last: now, starts: 0 }
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

    #[test]
    fn a_cell_that_only_ever_begins_falls_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heard = Heard::first(start);
        for second in [2, 4, 6, 8, 10, 12] {
            heard = Heard::begins(Some(heard), at(second));
        }
        assert_eq!(heard.silence(at(12)), at(6) - start);
        let heard = Heard::begins(Some(heard.again(at(13))), at(20));
        assert_eq!(heard.silence(at(21)), at(1) - start);
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
                        if (now + phase).is_multiple_of(1_700) && !deaf.contains(&now) {
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
