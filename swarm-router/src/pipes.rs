//! The system's pipes, through which much is carried without coming up to us.
//!
//! A pipe is taken for as long as bytes flow and given back empty. One that is let go of with bytes
//! in it, since its connection was cut, is closed: nobody else ever finds them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::net::TcpStream;

use crate::limits::{PIPE_BYTES, PIPES_KEPT, PIPES_MAX};

/// All pipes of one forwarder.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    /// Empty, all of them.
    kept: Mutex<Vec<Ends>>,
    taken: AtomicUsize,
}

#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// A pipe that is somebody's until she drops it.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// None only while it is dropped.
    ends: Option<Ends>,
    /// Bytes that are in it.
    holds: usize,
    pipes: Arc<Pipes>,
}

impl Pipes {
    /// An empty pipe; none if there are too many already, or the system has none.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Pipe> {
        if self.taken.fetch_add(1, Ordering::Relaxed) < PIPES_MAX {
            let kept = self.kept().pop();
            if let Some(ends) = kept.or_else(|| Ends::make().ok()) {
                return Some(Pipe { ends: Some(ends), holds: 0, pipes: Arc::clone(self) });
            }
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// How many are somebody's now.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Ends>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ends {
    fn make() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Whoever has many gets no larger ones from the system; as it is, it serves as well.
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        Ok(Self { reader, writer })
    }
}

impl Pipe {
    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.holds == 0
    }

    /// Takes in what is there, as far as there is room; 0 says that nothing will come.
    pub(crate) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let taken = splice(from, None, &ends.writer, None, PIPE_BYTES, flags())?;
        self.holds += taken;
        Ok(taken)
    }

    /// Gives out as much as is taken.
    pub(crate) fn pour(&mut self, to: &TcpStream) -> io::Result<()> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let given = splice(&ends.reader, None, to, None, self.holds, flags())?;
        self.holds = self.holds.saturating_sub(given);
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.pipes.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(ends) = self.ends.take().filter(|_| self.holds == 0) else { return };
        let mut kept = self.pipes.kept();
        if kept.len() < PIPES_KEPT {
            kept.push(ends);
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::io::{Read, Write};

    use super::*;

    fn pair() -> (std::net::TcpStream, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nonblocking(true).unwrap();
        (near, TcpStream::from_std(far).unwrap())
    }

    async fn fill(pipe: &mut Pipe, from: &TcpStream) {
        from.readable().await.unwrap();
        assert!(pipe.fill(from).unwrap() > 0);
    }

    #[tokio::test]
    async fn a_pipe_with_somebodys_bytes_in_it_is_nobody_elses() {
        let pipes = Arc::new(Pipes::default());
        let ((mut one, from), (mut other, to)) = (pair(), pair());
        one.write_all(b"hers").unwrap();
        let mut pipe = pipes.take().unwrap();
        fill(&mut pipe, &from).await;
        drop(pipe);
        assert!(pipes.kept().is_empty(), "it was closed with what is in it");

        one.write_all(b"next").unwrap();
        let mut pipe = pipes.take().unwrap();
        fill(&mut pipe, &from).await;
        pipe.pour(&to).unwrap();
        assert!(pipe.is_empty());
        drop(pipe);
        assert_eq!((pipes.kept().len(), pipes.taken()), (1, 0));
        let mut bytes = [0; 4];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"next");
    }

    #[tokio::test]
    async fn there_are_only_so_many() {
        let pipes = Arc::new(Pipes::default());
        let taken: Vec<_> = (0..PIPES_MAX).map_while(|_| pipes.take()).collect();
        assert_eq!((taken.len(), pipes.taken()), (PIPES_MAX, PIPES_MAX));
        assert!(pipes.take().is_none());
        drop(taken);
        assert_eq!((pipes.kept().len(), pipes.taken()), (PIPES_KEPT, 0));
        assert!(pipes.take().is_some());
    }
}
