//! How much of this machine is used: memory, file handles, the room of a disk.

use std::io;
use std::path::Path;

/// Of everything, in thousandths.
const WHOLE: u64 = 1000;

/// How much memory cannot be had by whoever asks for some, in thousandths of all.
///
/// # Errors
/// If the system does not say.
pub fn memory_used() -> io::Result<u16> {
    memory_in(&std::fs::read_to_string("/proc/meminfo")?).ok_or_else(unreadable)
}

/// How many file handles are open on the machine, in thousandths of those that may be.
///
/// # Errors
/// If the system does not say.
pub fn handles_used() -> io::Result<u16> {
    handles_in(&std::fs::read_to_string("/proc/sys/fs/file-nr")?).ok_or_else(unreadable)
}

/// How much of the file system at `path` is full, in thousandths of what programs like this one may
/// fill.
///
/// # Errors
/// If there is none.
pub fn disk_used(path: &Path) -> io::Result<u16> {
    let disk = rustix::fs::statvfs(path)?;
    let full = disk.f_blocks.saturating_sub(disk.f_bfree);
    Ok(share(full, full.saturating_add(disk.f_bavail)))
}

fn memory_in(text: &str) -> Option<u16> {
    let line = |name: &str| -> Option<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    let all = line("MemTotal")?;
    Some(share(all.saturating_sub(line("MemAvailable")?), all))
}

fn handles_in(text: &str) -> Option<u16> {
    let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    match numbers[..] {
        [open, unused, most] => Some(share(open.saturating_sub(unused), most)),
        _ => None,
    }
}

fn share(part: u64, all: u64) -> u16 {
    let share = u128::from(part) * u128::from(WHOLE) / u128::from(all.max(1));
    u16::try_from(share.min(u128::from(WHOLE))).unwrap_or(0)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the system says it in another form")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_system_says_is_read_as_thousandths() {
        let text = "MemTotal:       8000 kB\nMemFree:         100 kB\nMemAvailable:   2000 kB\n";
        assert_eq!(memory_in(text), Some(750));
        assert_eq!(handles_in("1200\t200\t4000\n"), Some(250));
        assert_eq!(handles_in("1\t0\t9223372036854775807\n"), Some(0));
        for bad in ["", "1 2", "a b c", "1 2 3 4"] {
            assert_eq!(handles_in(bad), None, "{bad:?}");
        }
        assert_eq!(memory_in("MemTotal: many kB"), None);
        assert_eq!(share(5, 0), 1000, "of nothing, all is used");
    }

    #[test]
    fn this_machine_is_neither_empty_nor_more_than_full() {
        for used in [memory_used().unwrap(), disk_used(Path::new("/")).unwrap()] {
            assert!((1..=1000).contains(&used), "{used}");
        }
        assert!(handles_used().unwrap() <= 1000);
        assert!(disk_used(Path::new("/nowhere at all")).is_err());
    }
}
