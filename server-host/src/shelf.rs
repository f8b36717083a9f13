//! How a cell opens, makes and removes the volumes of its servers. Everything here blocks.

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
}

impl Shelf {
    pub(crate) fn new(volumes: Volumes, term: Option<Term>) -> Self {
        Self { volumes, term }
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
        let (name, epoch) = (&resident.identity, self.epoch(resident)?);
        let opened = if self.is_shared() && !self.volumes.exists(volume) {
            self.volumes.take_over(volume, name, epoch)
        } else {
            self.volumes.open_store(volume, name, epoch)
        };
        opened.map_err(|source| failed(resident, source))
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
        self.volumes.remove(volume).map_err(|source| failed(resident, source))
    }

    /// Makes the marks durable that tell how far each log went.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.volumes.watermarks().sync()
    }

    fn create(&self, volume: VolumeId, resident: &Resident) -> Result<Store, CellError> {
        let created = self.volumes.create(volume, &resident.identity, self.epoch(resident)?);
        created.map_err(|source| failed(resident, source))
    }

    fn epoch(&self, resident: &Resident) -> Result<Epoch, CellError> {
        match self.term {
            None => Ok(resident.epoch),
            Some(term) => {
                let epoch = resident.epoch.within(term);
                epoch.ok_or_else(|| CellError::NoEpoch(resident.identity.clone()))
            }
        }
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
