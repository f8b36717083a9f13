//! The store in PostgreSQL: for a registrar that another machine can take over from.
//!
//! One thread has the one connection; everybody else puts jobs into its queue. It writes all that
//! waits in one transaction, and answers once PostgreSQL has said that it is committed. When the
//! connection breaks it goes on calling, and finds out by the number of the last write whether the
//! one under way was done before it does it again.

mod fault;
mod session;
mod worker;

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

use net::postgres::PostgresPlace;
use net::tls::ClientTls;
use tokio::sync::{mpsc, oneshot, watch};

pub use fault::{StoreFault, StoreOpenError};
use worker::{Job, Records, Worker};

use super::Batch;
use crate::error::LedgerError;
use crate::limits::{POSTGRES_BLOCKING_DEADLINE, POSTGRES_JOBS_MAX};

/// Which database, and how to reach it.
#[derive(Debug, Clone)]
pub struct PostgresTarget {
    /// Where it is, and who we are there.
    pub place: PostgresPlace,
    /// With what the certificate of one on another machine is checked.
    pub tls: Option<ClientTls>,
}

/// How the store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It answers.
    Serves,
    /// It has not answered for a while; what was appended waits.
    OutOfReach,
    /// This registrar must not write any more.
    Stopped(StoreFault),
}

/// The way to the thread that talks to the database. The thread ends with this value.
pub struct Postgres {
    jobs: mpsc::Sender<Job>,
    standing: watch::Receiver<Standing>,
    run: u64,
}

pub struct Appended(oneshot::Receiver<()>);

impl Postgres {
    /// Blocking.
    pub fn open(target: PostgresTarget) -> Result<Self, StoreOpenError> {
        let (jobs, queue) = mpsc::channel(POSTGRES_JOBS_MAX);
        let (told, standing) = watch::channel(Standing::Serves);
        let (opened, outcome) = sync_channel(1);
        std::thread::Builder::new().name("registrar-store".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(opened.send(Err(error.into()))),
            };
            runtime.block_on(async {
                match Worker::open(target, queue, told).await {
                    Ok(worker) => {
                        let _ = opened.send(Ok(worker.run_number()));
                        worker.run().await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
        })?;
        let run = outcome.recv().unwrap_or(Err(StoreFault::Closed.into()))?;
        Ok(Self { jobs, standing, run })
    }

    /// The epoch with which it was opened.
    pub fn run(&self) -> u64 {
        self.run
    }

    pub fn is_sound(&self) -> bool {
        !matches!(*self.standing.borrow(), Standing::Stopped(_))
    }

    pub fn in_reach(&self) -> Result<(), LedgerError> {
        match &*self.standing.borrow() {
            Standing::Serves => Ok(()),
            Standing::OutOfReach => Err(LedgerError::OutOfReach),
            Standing::Stopped(fault) => Err(fault.clone().into()),
        }
    }

    pub async fn out_of_reach(&self) -> LedgerError {
        let mut standing = self.standing.clone();
        match standing.wait_for(|standing| *standing != Standing::Serves).await.as_deref() {
            Ok(Standing::Stopped(fault)) => fault.clone().into(),
            Ok(_) => LedgerError::OutOfReach,
            Err(_) => StoreFault::Closed.into(),
        }
    }

    pub async fn stopped(&self) -> StoreFault {
        let mut standing = self.standing.clone();
        let stopped = standing.wait_for(|standing| matches!(standing, Standing::Stopped(_))).await;
        match stopped.as_deref() {
            Ok(Standing::Stopped(fault)) => fault.clone(),
            _ => StoreFault::Closed,
        }
    }

    /// What was appended waits for a database that is out of reach.
    pub fn append(&self, batch: Batch) -> Result<Appended, LedgerError> {
        let (done, appended) = oneshot::channel();
        self.send(Job::Write { batch, done: Box::new(|()| _ = done.send(())) })?;
        Ok(Appended(appended))
    }

    /// Waits as long as it takes: nobody else knows what becomes of it.
    pub async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        match appended.0.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.stopped().await.into()),
        }
    }

    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        self.in_reach()?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Get { key: key.to_vec(), reply: Box::new(|found| _ = reply.send(found)) })?;
        tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(found) => Ok(found),
                Err(_) => Err(self.out_of_reach().await),
            },
            error = self.out_of_reach() => Err(error),
        }
    }

    /// Page by page. Blocking.
    pub fn for_each(
        &self,
        prefix: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), LedgerError> {
        let mut after = None;
        loop {
            let (reply, answer) = sync_channel::<Records>(1);
            self.send(Job::Page {
                prefix: prefix.to_vec(),
                after: after.take(),
                reply: Box::new(move |page| _ = reply.send(page)),
            })?;
            let mut page = self.wait(&answer)?;
            for (key, value) in &page {
                take(key, value);
            }
            match page.pop() {
                Some((last, _)) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Blocking.
    pub fn write_blocking(&self, batch: Batch) -> Result<(), LedgerError> {
        let (done, answer) = sync_channel(1);
        self.send(Job::Write { batch, done: Box::new(move |()| _ = done.send(())) })?;
        self.wait(&answer)
    }

    fn send(&self, job: Job) -> Result<(), LedgerError> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LedgerError::Full,
            mpsc::error::TrySendError::Closed(_) => match self.in_reach() {
                Err(error) => error,
                Ok(()) => StoreFault::Closed.into(),
            },
        })
    }

    fn wait<T>(&self, answer: &Receiver<T>) -> Result<T, LedgerError> {
        answer.recv_timeout(POSTGRES_BLOCKING_DEADLINE).map_err(|error| match error {
            RecvTimeoutError::Timeout => LedgerError::OutOfReach,
            RecvTimeoutError::Disconnected => {
                self.in_reach().err().unwrap_or(LedgerError::OutOfReach)
            }
        })
    }
}
