//! How a cell opens, makes and removes the volumes of its servers. Everything here blocks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{Epoch, Term, Timestamp, VolumeId};
use server::Server;
use storage::{OpenError, Store, Volumes, Why};

use crate::cell::Resident;
use crate::error::CellError;

/// The volumes, and what their epochs are made of.
#[derive(Clone)]
pub(crate) struct Shelf {
    volumes: Volumes,
    /// None where this process is the only one that ever uses the volumes.
    term: Option<Term>,
    /// How often a server's store was given up in this process. One that is alone with its volumes
    /// leaves the plain epochs only for these.
    restarts: Arc<Mutex<HashMap<VolumeId, u8>>>,
}

impl Shelf {
    pub(crate) fn new(volumes: Volumes, term: Option<Term>) -> Self {
        Self { volumes, term, restarts: Arc::default() }
    }

    /// Its store was given up: the next opening has a higher epoch. False if there is none left.
    pub(crate) fn raise(&self, volume: VolumeId) -> bool {
        let mut restarts = self.restarts();
        let next = restarts.get(&volume).map_or(Some(1), |restarts| restarts.checked_add(1));
        next.map(|next| restarts.insert(volume, next)).is_some()
    }

    /// Whether others may open the same volumes.
    pub(crate) fn is_shared(&self) -> bool {
        self.term.is_some()
    }

    /// Whether this process has opened or made the volume.
    pub(crate) fn has_opened(&self, volume: VolumeId) -> bool {
        self.volumes.exists(volume)
    }

    /// Opens a volume for the server of a resident.
    pub(crate) fn open(&self, volume: VolumeId, resident: &Resident) -> Result<Store, CellError> {
        let (name, epoch) = (&resident.identity, self.epoch(volume, resident)?);
        let opened = if self.is_shared() && !self.volumes.exists(volume) {
            self.volumes.take_over(volume, name, epoch)
        } else {
            self.volumes.open_store(volume, name, epoch)
        };
        match opened {
            Err(OpenError::StaleEpoch { found, .. })
                if self.goes_on_from(volume, resident, found) =>
            {
                let epoch = self.epoch(volume, resident)?;
                let opened = self.volumes.open_store(volume, name, epoch);
                opened.map_err(|source| failed(resident, source))
            }
            opened => opened.map_err(|source| failed(resident, source)),
        }
    }

    /// Whether the epoch that was found is this process's own, from before its last start: it gave the
    /// store up then. Only where nobody else opens the volumes.
    fn goes_on_from(&self, volume: VolumeId, resident: &Resident, found: Epoch) -> bool {
        match found.apart().filter(|_| !self.is_shared()) {
            Some((placement, restart)) if placement <= resident.epoch => {
                let is_same = placement == resident.epoch;
                let restart = if is_same { restart } else { 0 };
                self.restarts().insert(volume, restart).is_none_or(|before| before < restart)
            }
            _ => false,
        }
    }

    fn restarts(&self) -> MutexGuard<'_, HashMap<VolumeId, u8>> {
        // Each change is one call.
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a volume with the activation secret in it, whatever an earlier try left.
    pub(crate) fn make(
        &self,
        volume: VolumeId,
        resident: &Resident,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), CellError> {
        let identity = &resident.identity;
        let store = match self.is_shared() || self.volumes.exists(volume) {
            true => match self.open(volume, resident) {
                Err(error) if is_unmade(&error) => self.create(volume, resident)?,
                opened => opened?,
            },
            false => self.create(volume, resident)?,
        };
        Server::provision(&store, identity, secret, now)
            .map_err(|source| CellError::Server { identity: identity.clone(), source })?;
        store.close().map_err(|source| CellError::Close { identity: identity.clone(), source })
    }

    /// Removes a volume. One that others may have open is taken from them first; one whose later
    /// epoch or other key says that it is not ours to remove stays.
    pub(crate) fn remove(&self, volume: VolumeId, resident: &Resident) -> Result<(), CellError> {
        if self.is_shared() {
            match self.open(volume, resident) {
                Ok(store) => drop(store.close()),
                Err(CellError::Volume { source: OpenError::NotFound(_), .. }) => {}
                Err(CellError::Volume { source: OpenError::Damaged(damage), .. })
                    if damage.why != Why::HeaderSeal => {}
                Err(error) => return Err(error),
            }
        }
        self.volumes.remove(volume).map_err(|source| failed(resident, source))?;
        self.restarts().remove(&volume);
        Ok(())
    }

    /// Makes the marks durable that tell how far each log went.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.volumes.watermarks().sync()
    }

    fn create(&self, volume: VolumeId, resident: &Resident) -> Result<Store, CellError> {
        let epoch = self.epoch(volume, resident)?;
        let created = self.volumes.create(volume, &resident.identity, epoch);
        created.map_err(|source| failed(resident, source))
    }

    fn epoch(&self, volume: VolumeId, resident: &Resident) -> Result<Epoch, CellError> {
        let restarts = self.restarts().get(&volume).copied();
        let epoch = match (self.term, restarts) {
            (None, None) => Some(resident.epoch),
            (None, Some(restarts)) => resident.epoch.within(Term::FIRST, restarts),
            (Some(term), restarts) => resident.epoch.within(term, restarts.unwrap_or(0)),
        };
        epoch.ok_or_else(|| CellError::NoEpoch(resident.identity.clone()))
    }
}

fn failed(resident: &Resident, source: OpenError) -> CellError {
    CellError::Volume { identity: resident.identity.clone(), source }
}

/// Whether there is no volume, or only the beginning of one that nobody has ever used.
fn is_unmade(error: &CellError) -> bool {
    match error {
        CellError::Volume { source: OpenError::NotFound(_), .. } => true,
        CellError::Volume { source: OpenError::Damaged(damage), .. } => {
            damage.why == Why::NoBeginning
        }
        _ => false,
    }
}
