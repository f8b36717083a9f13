//! Who has the one connection to the database, and does the jobs.

use std::collections::HashMap;

use net::backoff;
use net::postgres::PostgresError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::fault::{StoreFault, StoreOpenError};
use super::session::{Position, Session};
use super::{PostgresTarget, Standing};
use crate::limits::{
    POSTGRES_BACKOFF_MAX, POSTGRES_BACKOFF_MIN, POSTGRES_BEAT, POSTGRES_GROUP_MAX,
    POSTGRES_OPEN_DEADLINE, POSTGRES_PATIENCE,
};
use crate::store::Batch;

/// Keys and values.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Where an answer goes. Dropped without one when there will be none.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A key, and where its value goes.
type Get = (Vec<u8>, Reply<Option<Vec<u8>>>);

/// What is to be done.
pub enum Job {
    /// Write this, behind all that was to be written before.
    Write { batch: Batch, done: Reply<()> },
    /// Read one record.
    Get { key: Vec<u8>, reply: Reply<Option<Vec<u8>>> },
    /// Read the first records after one.
    Page { prefix: Vec<u8>, after: Option<Vec<u8>>, reply: Reply<Records> },
}

pub struct Worker {
    target: PostgresTarget,
    queue: mpsc::Receiver<Job>,
    standing: watch::Sender<Standing>,
    session: Option<Session>,
    /// Up to where everything is known to be durable.
    position: Position,
    failures: Failures,
}

/// In a row.
#[derive(Default)]
struct Failures {
    count: u32,
    since: Option<Instant>,
}

/// Why the worker ends.
enum End {
    Fault(StoreFault),
    /// Nobody has jobs for it any more.
    Left,
}

impl From<StoreFault> for End {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

impl Worker {
    /// Takes the store over. Whoever holds it gets some time to let go of it.
    pub async fn open(
        target: PostgresTarget,
        queue: mpsc::Receiver<Job>,
        standing: watch::Sender<Standing>,
    ) -> Result<Self, StoreOpenError> {
        let end = Instant::now() + POSTGRES_OPEN_DEADLINE;
        let mut failures = 0;
        loop {
            match take_over(&target, failures).await {
                Ok((session, position)) => {
                    let (session, failures) = (Some(session), Failures::default());
                    return Ok(Self { target, queue, standing, session, position, failures });
                }
                Err(error) if !error.may_pass() || Instant::now() >= end => return Err(error),
                Err(_) => failures += 1,
            }
            sleep(backoff::pause(failures, POSTGRES_BACKOFF_MIN, POSTGRES_BACKOFF_MAX)).await;
        }
    }

    /// The writer's epoch, which PostgreSQL counts from 1.
    pub fn run_number(&self) -> u64 {
        self.position.epoch.unsigned_abs()
    }

    /// Does jobs until nobody has any more, or this registrar must not write any more.
    pub async fn run(mut self) {
        let fault = loop {
            let mut jobs = Vec::new();
            let waited =
                timeout(POSTGRES_BEAT, self.queue.recv_many(&mut jobs, POSTGRES_GROUP_MAX));
            let outcome = match waited.await {
                Ok(0) => return,
                Ok(_) => self.work(jobs).await,
                Err(_) => self.beat().await,
            };
            match outcome {
                Ok(()) => {}
                Err(End::Left) => return,
                Err(End::Fault(fault)) => break fault,
            }
        };
        tracing::error!(%fault, "the registrar stops writing");
        self.standing.send_replace(Standing::Stopped(fault));
    }

    /// Writes first: what is read then is at least as new as when it was asked for.
    async fn work(&mut self, jobs: Vec<Job>) -> Result<(), End> {
        let (mut group, mut dones) = (Batch::default(), Vec::new());
        let (mut gets, mut pages) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Write { batch, done } => {
                    group.append(batch);
                    dones.push(done);
                }
                Job::Get { key, reply } => gets.push((key, reply)),
                Job::Page { prefix, after, reply } => pages.push((prefix, after, reply)),
            }
        }
        if !dones.is_empty() {
            self.write(&group).await?;
            dones.into_iter().for_each(|done| done(()));
        }
        if !gets.is_empty() {
            self.get(gets).await?;
        }
        for (prefix, after, reply) in pages {
            reply(self.read(async |session| session.page(&prefix, after.as_deref()).await).await?);
        }
        Ok(())
    }

    /// Returns once the group is durable, done once, however often the connection breaks.
    async fn write(&mut self, group: &Batch) -> Result<(), End> {
        let next = Position { written: self.position.written + 1, ..self.position };
        while self.position != next {
            let session = self.session(Some(next)).await?;
            if self.position == next {
                // Another session had done it before it broke.
                self.session = Some(session);
                break;
            }
            match session.write(next, group).await {
                Ok(true) => {
                    self.position = next;
                    self.served(session);
                }
                // Somebody else writes, or a broken session of ours has just done it: the next
                // session finds out.
                Ok(false) => drop(session),
                Err(error) => self.failed(&error.into()).await?,
            }
        }
        Ok(())
    }

    async fn get(&mut self, gets: Vec<Get>) -> Result<(), End> {
        let (keys, replies): (Vec<_>, Vec<_>) = gets.into_iter().unzip();
        let found = self.read(async |session| session.get(&keys).await).await?;
        let found: HashMap<_, _> = found.into_iter().collect();
        for (key, reply) in keys.iter().zip(replies) {
            reply(found.get(key).cloned());
        }
        Ok(())
    }

    async fn read<T>(
        &mut self,
        question: impl AsyncFn(&Session) -> Result<T, PostgresError>,
    ) -> Result<T, End> {
        loop {
            let session = self.session(None).await?;
            match question(&session).await {
                Ok(answer) => {
                    self.served(session);
                    return Ok(answer);
                }
                Err(error) => self.failed(&error.into()).await?,
            }
        }
    }

    /// Keeps the session alive, and looks whether another registrar has taken over.
    async fn beat(&mut self) -> Result<(), End> {
        let found = self.read(Session::position).await?;
        Ok(self.check(found)?)
    }

    /// A session that is good for this epoch; `under_way` is a write of which nobody knows whether
    /// it was done.
    async fn session(&mut self, under_way: Option<Position>) -> Result<Session, End> {
        loop {
            if let Some(session) = self.session.take() {
                return Ok(session);
            }
            match self.resume(under_way).await {
                Ok(session) => self.session = Some(session),
                Err(StoreOpenError::Fault(fault)) => return Err(fault.into()),
                Err(error) => self.failed(&error).await?,
            }
        }
    }

    async fn resume(&mut self, under_way: Option<Position>) -> Result<Session, StoreOpenError> {
        let session = Session::open(&self.target, self.failures.count).await?;
        // A stranger who holds the lock has raised the epoch too.
        self.check_epoch(session.position().await?)?;
        session.lock().await?;
        let found = match session.settle(self.position.epoch).await? {
            Ok(written) => Some(Position { written, ..self.position }),
            Err(other) => other,
        };
        match under_way {
            Some(next) if found == Some(next) => self.position = next,
            _ => self.check(found)?,
        }
        Ok(session)
    }

    fn check_epoch(&self, found: Option<Position>) -> Result<(), StoreFault> {
        let own = self.position.epoch;
        match found {
            Some(found) if found.epoch > own => Err(StoreFault::Fenced { own, found: found.epoch }),
            Some(found) if found.epoch == own => Ok(()),
            _ => Err(StoreFault::WentBack {
                acknowledged: self.position.written,
                found: found.map(|found| found.written),
            }),
        }
    }

    /// Whether the store is exactly as this registrar left it.
    fn check(&self, found: Option<Position>) -> Result<(), StoreFault> {
        self.check_epoch(found)?;
        match found {
            Some(found) if found == self.position => Ok(()),
            _ => Err(StoreFault::WentBack {
                acknowledged: self.position.written,
                found: found.map(|found| found.written),
            }),
        }
    }

    fn served(&mut self, session: Session) {
        self.session = Some(session);
        if self.failures.count > 0 {
            self.failures = Failures::default();
            tracing::info!("PostgreSQL answers again");
            self.standing.send_replace(Standing::Serves);
        }
    }

    /// Waits a little longer after each failure, and says so once it has lasted.
    async fn failed(&mut self, error: &StoreOpenError) -> Result<(), End> {
        let Failures { count, since } = &mut self.failures;
        *count = count.saturating_add(1);
        let since = *since.get_or_insert_with(Instant::now);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, failures = *count, "PostgreSQL does not do its work, trying again");
        if since.elapsed() >= POSTGRES_PATIENCE {
            self.standing.send_if_modified(|standing| {
                std::mem::replace(standing, Standing::OutOfReach) != Standing::OutOfReach
            });
        }
        let pause = backoff::pause(*count, POSTGRES_BACKOFF_MIN, POSTGRES_BACKOFF_MAX);
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = self.standing.closed() => Err(End::Left),
        }
    }
}

async fn take_over(
    target: &PostgresTarget,
    failures: u32,
) -> Result<(Session, Position), StoreOpenError> {
    let session = Session::open(target, failures).await?;
    session.lock().await?;
    let position = session.take_over().await?;
    Ok((session, position))
}
