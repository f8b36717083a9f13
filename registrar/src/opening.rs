//! Opening the store and reading it into the index.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use feed::SigningKey;
use net::clock::Clock;
use protocol::FeedId;
use tokio::sync::watch;

use crate::addresses::Addressing;
use crate::book::Book;
use crate::changes::Changes;
use crate::error::{LedgerError, OpenError};
use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::names::NameRecord;
use crate::placement::Ports;
use crate::ports::PortRanges;
use crate::probe::Probe;
use crate::records::{self, ChangeRecord, Meta};
use crate::registrar::{Registrar, RegistrarConfig};
use crate::secret::ActivationKey;
use crate::store::Store;
use crate::swarm::Swarm;
use crate::turns::Turns;

impl Registrar {
    /// Opens the store and reads it into the index. All activation secrets are derived from `key`.
    /// Blocking; begins nothing: see [`resume`](Self::resume).
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be read, or holds what this program never writes.
    pub fn open(
        config: RegistrarConfig,
        store: impl Into<Store>,
        key: &storage::Key,
        swarm: Arc<dyn Swarm>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_on(Arc::new(Ledger::new(store.into())), config, key, (swarm, None), clock)
    }

    /// The same for servers that run in cells on other machines; `probe` proves that they answer.
    /// Each opening of the store must have a higher epoch than the one before.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_fleet(
        config: RegistrarConfig,
        store: impl Into<Store>,
        key: &storage::Key,
        probe: Arc<dyn Probe>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let ledger = Arc::new(Ledger::new(store.into()));
        let ours = Arc::clone(&ledger);
        let fleet = Fleet::open(ours, &config, probe, Arc::clone(&clock))?;
        let swarm = (Arc::clone(&fleet) as Arc<dyn Swarm>, Some(Arc::clone(&fleet)));
        let registrar = Self::open_on(ledger, config, key, swarm, clock)?;
        registrar.ledger.all(records::NAME_PREFIX, |key, record: NameRecord| {
            let name = records::name_of(key)?;
            if let Some(home) = record.home() {
                fleet.load(registrar.placement(&name, home)?, home.cell, record.state());
            }
            Ok(())
        })?;
        Ok(registrar)
    }

    fn open_on(
        ledger: Arc<Ledger>,
        config: RegistrarConfig,
        key: &storage::Key,
        (swarm, fleet): (Arc<dyn Swarm>, Option<Arc<Fleet>>),
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let feed = feed_for(&ledger, &config.addressing)?;
        let book = read_book(&ledger, config.ports, feed)?;
        let key = ActivationKey::new(key.bytes());
        let signing = SigningKey::from_seed(&key.feed_seed())?;
        let metrics = Metrics::default();
        metrics.begin(&book.counts(), book.changes().newest());
        Ok(Arc::new(Self {
            addressing: config.addressing,
            ledger,
            durable: watch::Sender::new(book.changes().newest()),
            is_closing: watch::Sender::new(false),
            book: Mutex::new(book),
            key,
            signing,
            signed: Mutex::default(),
            signing_turn: tokio::sync::Mutex::default(),
            swarm,
            fleet,
            clock,
            turns: Turns::new(),
            metrics,
        }))
    }
}

/// Which feed this store has. With another host name, or port of names, every address is another
/// one, so a new feed begins and every follower takes a snapshot. Whoever had a port before keeps it
/// beside her name, but who came by name has none to go back to.
fn feed_for(ledger: &Ledger, addressing: &Addressing) -> Result<FeedId, OpenError> {
    let (hostname, name_port) = (addressing.hosts(), addressing.name_port());
    match ledger.meta()? {
        Some(meta) if (&meta.hostname, meta.name_port) == (&hostname, name_port) => Ok(meta.feed),
        _ => {
            if addressing.needs_ports() {
                ledger.all(records::NAME_PREFIX, |key, record: NameRecord| {
                    match record.home() {
                        Some(home) if home.port.is_none() => {
                            Err(LedgerError::NoPort(records::name_of(key)?))
                        }
                        _ => Ok(()),
                    }
                })?;
            }
            let meta = Meta { feed: FeedId::from_bytes(random()?), hostname, name_port };
            ledger.begin_feed(&meta)?;
            Ok(meta.feed)
        }
    }
}

fn read_book(ledger: &Ledger, ranges: PortRanges, feed: FeedId) -> Result<Book, OpenError> {
    let mut numbered: Vec<(u64, ChangeRecord)> = Vec::new();
    ledger.all(records::CHANGE_PREFIX, |key, change| {
        numbered.push((records::number_of(key)?, change));
        Ok(())
    })?;
    numbered.sort_by_key(|(number, _)| *number);
    for pair in numbered.windows(2) {
        if let [(before, _), (after, _)] = pair
            && before + 1 != *after
        {
            return Err(OpenError::ChangeMissing(before + 1));
        }
    }
    let newest = numbered.last().map_or(0, |(number, _)| *number);
    let kept: VecDeque<_> = numbered.into_iter().map(|(_, change)| change).collect();
    let mut book = Book::new(Ports::new(ranges), Changes::new(feed, kept, newest));
    let mut twice = None;
    ledger.all(records::NAME_PREFIX, |key, record: NameRecord| {
        let identity = records::name_of(key)?;
        if let Err(port) = book.load(&identity, &record) {
            twice = Some(OpenError::PortTwice { identity, port: port.get() });
        }
        Ok(())
    })?;
    twice.map_or(Ok(book), Err)
}

/// 16 random bytes.
pub(crate) fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
