//! A process of this run's own, measured from outside.

use std::process::Child;
use std::time::Duration;

use testkit::resident_bytes;

use crate::process::processor_time;

/// Ends with its value.
pub struct Process(pub Child);

impl Process {
    /// Processor time that it has used so far.
    pub fn cpu(&self) -> Duration {
        processor_time(self.0.id())
    }

    /// Bytes of memory that it holds now.
    pub fn resident(&self) -> u64 {
        resident_bytes(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
