//! The registrar itself: its store, its index, and who may touch them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feed::SigningKey;
use net::clock::Clock;
use net::drain::Drain;
use protocol::control::placement::Placement;
use protocol::{Address, AtSign};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::addresses::Addressing;
use crate::book::Book;
use crate::checkpoint::Kept;
use crate::choice::Policy;
use crate::error::LedgerError;
use crate::fleet::{Fleet, Measures};
use crate::ledger::Ledger;
use crate::limits::{TEND_EVERY, USAGE_SAVED_EVERY};
use crate::metrics::Metrics;
use crate::names::{Home, NameRecord};
use crate::placement::Ports;
use crate::ports::PortRanges;
use crate::secret::{ActivationKey, ActivationSecret};
use crate::store::StoreFault;
use crate::swarm::Swarm;
use crate::turns::Turns;

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct RegistrarConfig {
    /// How clients reach them; the servers' certificates must carry its host or pattern.
    pub addressing: Addressing,
    /// From which servers get their ports, if they need any.
    pub ports: PortRanges,
}

/// The only writer of names. Shared by all that ask it.
pub struct Registrar {
    pub(crate) addressing: Addressing,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) book: Mutex<Book>,
    pub(crate) key: ActivationKey,
    pub(crate) signing: SigningKey,
    /// The last snapshot that was asked for.
    pub(crate) signed: Mutex<Option<Kept>>,
    /// Snapshots are made one at a time.
    pub(crate) signing_turn: tokio::sync::Mutex<()>,
    pub(crate) swarm: Arc<dyn Swarm>,
    /// The same, where servers run on other machines.
    pub(crate) fleet: Option<Arc<Fleet>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Number of the newest durable change: those after it must not be told yet.
    pub(crate) durable: watch::Sender<u64>,
    /// Whether the end has begun: nobody waits for news any more.
    pub(crate) is_closing: watch::Sender<bool>,
    pub(crate) turns: Turns,
    pub(crate) metrics: Metrics,
}

impl Registrar {
    /// Adds what is counted here to `registry`, whose prefix should say that it is the registrar's.
    pub fn register_metrics(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
        if let Some(fleet) = &self.fleet {
            registry.register_collector(Box::new(Measures::new(Arc::clone(fleet))));
        }
    }

    /// How cells are chosen from now on; without other machines there is nothing to choose.
    pub fn place_by(&self, policy: Policy) {
        if let Some(fleet) = &self.fleet {
            fleet.place_by(policy);
        }
    }

    /// Whether every write so far became durable or still may; after a failure only a restart helps.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.ledger.is_sound()
    }

    /// Whether the store answers; where it does not, what was begun waits for it.
    #[must_use]
    pub fn is_in_reach(&self) -> bool {
        self.ledger.in_reach().is_ok()
    }

    /// Returns once this registrar must not write any more, and why: another one does, or what it
    /// wrote is lost. Never for the embedded store.
    pub async fn stopped(&self) -> StoreFault {
        self.ledger.stopped().await
    }

    /// Returns once nothing more can be saved, and why; finds out where another registrar has opened
    /// the store, also where nothing is written.
    pub async fn failed(&self) -> StoreFault {
        self.ledger.failed().await
    }

    /// Takes up unfinished registrations and deletions again from time to time, compacts the store,
    /// and empties cells that are silent or to be emptied, until the drain begins. Then it lets go of everybody who waits for a change.
    pub async fn tend(self: Arc<Self>, drain: Drain) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.tend_for_ever() => {}
            () = self.keep_places() => {}
        }
        self.is_closing.send_replace(true);
        if let Some(fleet) = &self.fleet {
            fleet.close();
            fleet.save_usage().await;
        }
    }

    async fn tend_for_ever(self: &Arc<Self>) {
        let mut saved = Instant::now();
        loop {
            self.resume().await;
            self.ledger.maintain().await;
            if let Some(fleet) =
                self.fleet.as_ref().filter(|_| saved.elapsed() >= USAGE_SAVED_EVERY)
            {
                fleet.save_usage().await;
                saved = Instant::now();
            }
            tokio::time::sleep(TEND_EVERY).await;
        }
    }

    /// Decides on the next record of `name` and writes it, with the change that goes with it. The
    /// index follows at once, the answer when it is durable. The caller has the name's turn.
    pub(crate) async fn write<E: From<LedgerError>>(
        &self,
        name: &AtSign,
        decide: impl FnOnce(&mut Ports) -> Result<NameRecord, E>,
    ) -> Result<NameRecord, E> {
        let (record, number, appended) = {
            let mut book = self.book();
            let record = decide(book.ports())?;
            let change = book.check(name, &record)?;
            let number = change.as_ref().map(|_| book.changes().newest() + 1);
            let outdated = number.and_then(|_| book.changes().outdated());
            let numbered = number.zip(change.as_ref());
            let appended = self.ledger.append(name, &record, numbered, outdated)?;
            let before = book.line(name).map(|line| line.state);
            book.apply(name, &record, change);
            self.metrics.moved(before, record.state());
            (record, number, appended)
        };
        self.ledger.durable(appended).await?;
        if let Some(number) = number {
            self.tell(number);
        }
        Ok(record)
    }

    /// Changes become durable in order, whoever hears of it first.
    fn tell(&self, number: u64) {
        let is_news = |told: &mut u64| {
            let is_newer = number > *told;
            *told = number.max(*told);
            is_newer
        };
        if self.durable.send_if_modified(is_news) {
            self.metrics.published(number);
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn address(&self, name: &AtSign, home: &Home) -> Result<Address, LedgerError> {
        let address = self.addressing.address(name, home.port);
        address.ok_or_else(|| LedgerError::NoPort(name.clone()))
    }

    pub(crate) fn secret(&self, name: &AtSign, home: &Home) -> ActivationSecret {
        self.key.secret(name, home.claim.registration, home.claim.epoch)
    }

    pub(crate) fn placement(&self, name: &AtSign, home: &Home) -> Result<Placement, LedgerError> {
        Ok(Placement {
            identity: name.clone(),
            volume: home.volume,
            epoch: home.epoch(),
            address: self.address(name, home)?,
            port: home.port,
        })
    }
}
