//! A process that is measured from outside, through the kernel's books.

use std::process::Child;
use std::time::Duration;

/// Ends with its value.
pub struct Process(pub Child);

impl Process {
    /// Processor time that it has used so far.
    pub fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let (_, behind) = stat.rsplit_once(')').expect("the name");
        let mut fields = behind.split_whitespace().skip(11);
        let mut ticks =
            || fields.next().and_then(|field| field.parse::<u64>().ok()).expect("ticks");
        // The kernel's unit here is always a hundredth of a second.
        Duration::from_millis(10 * (ticks() + ticks()))
    }

    /// Bytes of memory that it holds now.
    pub fn resident(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let kilobytes = line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    fn read(&self, what: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{what}", self.0.id())).expect("it runs")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
