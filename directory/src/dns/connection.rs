//! DNS over a stream (RFC 7766): each message behind its length. Questions that came together are
//! answered in one write, in their order.

use std::sync::Arc;
use std::time::Duration;

use net::drain::Drain;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::DnsFront;
use super::counts::Transport;
use crate::limits::{
    ANSWERS_BYTES_MAX, DNS_IDLE_MAX, DNS_IDLE_MAX_WHEN_FULL, DNS_MESSAGE_DEADLINE,
    DNS_QUERY_BYTES_MAX, DNS_WRITE_DEADLINE, LAST_QUESTION,
};

/// The length in front of a message.
const LENGTH_BYTES: usize = 2;

/// What is at the front of the bytes read so far.
enum Front<'a> {
    Message(&'a [u8]),
    Unfinished,
    /// Longer than any question.
    TooLong,
}

impl DnsFront {
    /// Answers until the client goes, is silent for too long or sends nonsense.
    pub(super) async fn converse<S>(self: Arc<Self>, mut stream: S, by: Transport, drain: Drain)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        let mut last_question = LAST_QUESTION;
        loop {
            let read = tokio::select! {
                biased;
                read = self.more(&mut stream, &mut bytes) => read,
                () = drain.draining_for(last_question) => break,
            };
            last_question = Duration::ZERO;
            if read.is_none()
                || self.answer_all(&mut stream, by, &mut bytes, &mut out).await.is_none()
            {
                break;
            }
        }
        // The peer may be gone.
        drop(timeout(DNS_WRITE_DEADLINE, stream.shutdown()).await);
    }

    /// Reads until there is at least one whole message; none at the end.
    async fn more<S>(&self, stream: &mut S, bytes: &mut Vec<u8>) -> Option<()>
    where
        S: AsyncRead + Unpin,
    {
        let mut until = Instant::now() + self.idle_max();
        while matches!(front(bytes), Front::Unfinished) {
            let was_empty = bytes.is_empty();
            let room = LENGTH_BYTES + DNS_QUERY_BYTES_MAX - bytes.len();
            let mut limited = (&mut *stream).take(u64::try_from(room).ok()?);
            let read = timeout_at(until, limited.read_buf(bytes)).await.ok()?.ok()?;
            if read == 0 {
                return None;
            }
            if was_empty {
                until = Instant::now() + DNS_MESSAGE_DEADLINE;
            }
        }
        matches!(front(bytes), Front::Message(_)).then_some(())
    }

    /// Answers all whole messages; none where one gets no answer, or the client takes none.
    async fn answer_all<S>(
        &self,
        stream: &mut S,
        by: Transport,
        bytes: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Option<()>
    where
        S: AsyncWrite + Unpin,
    {
        let (mut done, mut answer) = (0, Vec::new());
        while let Front::Message(message) = front(bytes.get(done..).unwrap_or_default()) {
            let read = self.read(message)?;
            if !self.answer(read, by, &mut answer) {
                return None;
            }
            out.extend_from_slice(&u16::try_from(answer.len()).ok()?.to_be_bytes());
            out.extend_from_slice(&answer);
            done += LENGTH_BYTES + message.len();
            if out.len() >= ANSWERS_BYTES_MAX {
                flush(stream, out).await?;
            }
        }
        bytes.drain(..done);
        flush(stream, out).await?;
        if bytes.is_empty() {
            // A connection that waits holds no buffers.
            (*bytes, *out) = (Vec::new(), Vec::new());
        }
        Some(())
    }

    /// Half full, the door has less patience.
    fn idle_max(&self) -> Duration {
        if self.gate.connections() * 2 < self.gate.limits().connections_max {
            DNS_IDLE_MAX
        } else {
            DNS_IDLE_MAX_WHEN_FULL
        }
    }
}

fn front(bytes: &[u8]) -> Front<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Front::Unfinished;
    };
    match usize::from(u16::from_be_bytes(*length)) {
        length if length > DNS_QUERY_BYTES_MAX => Front::TooLong,
        length => rest.get(..length).map_or(Front::Unfinished, Front::Message),
    }
}

async fn flush<S>(stream: &mut S, out: &mut Vec<u8>) -> Option<()>
where
    S: AsyncWrite + Unpin,
{
    let send = async {
        stream.write_all(out).await?;
        stream.flush().await
    };
    timeout(DNS_WRITE_DEADLINE, send).await.ok()?.ok()?;
    out.clear();
    Some(())
}
