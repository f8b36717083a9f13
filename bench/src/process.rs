//! What the kernel says that another process has used.

use std::time::Duration;

/// A tick of the kernel's accounting.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far, its own and the kernel's for it.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in brackets may contain blanks; behind it, user and system time are 12th and 13th.
    let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>());
    TICK * ticks.map(|ticks| ticks.expect("a number")).sum()
}
