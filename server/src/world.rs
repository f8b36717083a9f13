//! What all personal servers of one process share.

use std::sync::Arc;

use net::clock::Clock;
use net::dial::Dialer;
use net::lookup::DirectoryClient;
use net::tls::TrustRoots;
use tokio::sync::Semaphore;

use crate::backstage::Backstage;
use crate::enrol::Guard;
use crate::limits::{KEY_GENERATIONS_MAX, Limits};
use crate::memory::Memory;
use crate::rate::Rates;
use crate::share::{self, Neighbours};

/// The version that clients are told, and on which some of them branch.
pub const PROTOCOL_VERSION: &str = "3.0.52";

/// What a server needs of the world around it.
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where other identities are.
    pub directory: Arc<DirectoryClient>,
    /// How they are called; it shows this server's own certificate.
    pub dialer: Dialer,
    /// Whose certificates prove a calling server's host.
    pub roots: Arc<TrustRoots>,
    /// How much one server does.
    pub limits: Limits,
    /// Making a key pair takes a processor for a while: so many at the same time.
    pub(crate) key_generations: Semaphore,
    /// Where commands look at all of a large store.
    pub(crate) backstage: Backstage,
    pub(crate) rates: Rates,
    pub(crate) neighbours: Neighbours,
    pub(crate) memory: Arc<Memory>,
    /// How often strangers ask to be enrolled; it outlives each server's sleep.
    pub(crate) guard: Guard,
}

impl World {
    /// A world with these parts.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        directory: Arc<DirectoryClient>,
        dialer: Dialer,
        roots: Arc<TrustRoots>,
        limits: Limits,
    ) -> Self {
        let key_generations = Semaphore::new(KEY_GENERATIONS_MAX);
        let memory = Memory::of_all(limits.memory_of_all_max);
        let (rates, neighbours) = (Rates::new(), Neighbours::default());
        Self {
            clock,
            directory,
            dialer,
            roots,
            limits,
            key_generations,
            backstage: Backstage::new((share::processors() / 2).max(1)),
            rates,
            neighbours,
            memory,
            guard: Guard::default(),
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("limits", &self.limits).finish_non_exhaustive()
    }
}
