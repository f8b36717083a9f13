//! Work that gives way to everybody else's.

use std::{io, panic, thread};

/// How much it gives way: of two threads that want the same processor, the other gets three parts
/// of four.
const NICE: i32 = 5;

/// Does this in a thread of its own that the kernel prefers others to, and waits for it. Blocks.
///
/// # Errors
/// If the system gives no thread. Then nothing was done.
///
/// # Panics
/// If the work does.
pub fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let gently = || {
        // For this thread alone. Where it may not be, the work is done all the same.
        let _ = rustix::process::nice(NICE);
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("background".into());
        match thread.spawn_scoped(scope, gently)?.join() {
            Ok(done) => Ok(done),
            Err(cause) => panic::resume_unwind(cause),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_work_gives_way() {
        let own = || rustix::process::nice(0).unwrap();
        let before = own();
        assert_eq!(in_background(own).unwrap(), (before + NICE).min(19));
        assert_eq!(own(), before);
    }
}
