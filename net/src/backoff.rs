//! Pauses after failures.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The pause after so many failures in a row: it doubles from `min` to `max`, and is drawn between
/// its half and its whole so that those who failed together do not come back together.
#[must_use]
pub fn pause(failures: u32, min: Duration, max: Duration) -> Duration {
    let whole = min.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(max);
    let draw = RandomState::new().build_hasher().finish() % 1024;
    let half = whole / 2;
    half + half.mul_f64(f64::from(u16::try_from(draw).unwrap_or(0)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_are_never_none() {
        let (min, max) = (Duration::from_millis(200), Duration::from_secs(15));
        for failures in 1..100 {
            let pause = pause(failures, min, max);
            assert!(pause >= min / 2 && pause <= max, "{pause:?}");
        }
        assert!(pause(99, min, max) >= max / 2);
    }
}
