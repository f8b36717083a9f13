//! DNS over a stream (RFC 7766): each message behind its length. Questions that came together are
//! answered in one write, in their order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use net::drain::Drain;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::DnsFront;
use super::answer::Outcome;
use super::counts::Transport;
use crate::limits::{
    ANSWERS_BYTES_MAX, DNS_IDLE_MAX, DNS_IDLE_MAX_WHEN_FULL, DNS_MESSAGE_DEADLINE,
    DNS_QUERY_BYTES_MAX, DNS_WRITE_DEADLINE, LAST_QUESTION,
};
use crate::misses::Accounts;

/// The length in front of a message.
const LENGTH_BYTES: usize = 2;

/// What is at the front of the bytes read so far.
enum Front<'a> {
    Message(&'a [u8]),
    Unfinished,
    /// Longer than any question.
    TooLong,
}

/// What answers on one connection need.
struct Answering<'a, S> {
    stream: &'a mut S,
    by: Transport,
    /// What unknown names are put down to, if to anything.
    accounts: Option<Accounts>,
    drain: Drain,
    /// Answers that are still to be sent.
    out: Vec<u8>,
}

impl DnsFront {
    /// Answers until the client goes, is silent for too long or sends nonsense.
    pub(super) async fn converse<S>(
        self: Arc<Self>,
        mut stream: S,
        by: Transport,
        peer: IpAddr,
        drain: Drain,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accounts = self.horizon.directory.misses.accounts(peer, Instant::now());
        let (stream, out) = (&mut stream, Vec::new());
        let mut answering = Answering { stream, by, accounts, drain: drain.clone(), out };
        let mut bytes = Vec::new();
        let mut last_question = LAST_QUESTION;
        loop {
            let read = tokio::select! {
                biased;
                read = self.more(answering.stream, &mut bytes) => read,
                () = drain.draining_for(last_question) => break,
            };
            last_question = Duration::ZERO;
            if read.is_none() || self.answer_all(&mut answering, &mut bytes).await.is_none() {
                break;
            }
        }
        // The peer may be gone.
        drop(timeout(DNS_WRITE_DEADLINE, answering.stream.shutdown()).await);
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
    async fn answer_all<S>(&self, to: &mut Answering<'_, S>, bytes: &mut Vec<u8>) -> Option<()>
    where
        S: AsyncWrite + Unpin,
    {
        let (mut done, mut answer) = (0, Vec::new());
        while let Front::Message(message) = front(bytes.get(done..).unwrap_or_default()) {
            self.answer_one(to, message, &mut answer).await?;
            to.out.extend_from_slice(&u16::try_from(answer.len()).ok()?.to_be_bytes());
            to.out.extend_from_slice(&answer);
            done += LENGTH_BYTES + message.len();
            if to.out.len() >= ANSWERS_BYTES_MAX {
                to.flush().await?;
            }
        }
        bytes.drain(..done);
        to.flush().await?;
        if bytes.is_empty() {
            // A connection that waits holds no buffers.
            (*bytes, to.out) = (Vec::new(), Vec::new());
        }
        Some(())
    }

    /// Makes one answer. Before one that takes long, those before it are sent.
    async fn answer_one<S>(
        &self,
        to: &mut Answering<'_, S>,
        message: &[u8],
        answer: &mut Vec<u8>,
    ) -> Option<()>
    where
        S: AsyncWrite + Unpin,
    {
        let read = self.read(message)?;
        let mut outcome = self.answer(&read, to.by, self.unasked(), answer);
        if let Outcome::AskBeyond(name) = &outcome {
            to.flush().await?;
            outcome = self.answer_beyond(&read, to.by, name, answer).await;
        }
        match outcome {
            Outcome::Missed => to.wait_for_miss(self).await,
            _ => Some(()),
        }
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

impl<S: AsyncWrite + Unpin> Answering<'_, S> {
    /// Waits as long as an unknown name costs whoever asks from here, as over the line protocol.
    async fn wait_for_miss(&mut self, front: &DnsFront) -> Option<()> {
        let Some(accounts) = &self.accounts else { return Some(()) };
        let delay = accounts.charge(Instant::now());
        if delay.is_zero() {
            return Some(());
        }
        front.horizon.directory.counts.delayed();
        self.flush().await?;
        tokio::select! {
            () = sleep(delay) => {}
            () = self.drain.draining() => {}
        }
        Some(())
    }

    async fn flush(&mut self) -> Option<()> {
        let send = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(DNS_WRITE_DEADLINE, send).await.ok()?.ok()?;
        self.out.clear();
        Some(())
    }
}
