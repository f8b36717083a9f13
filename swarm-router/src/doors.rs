//! Which cell serves a volume, and where its door is.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::control::names::CellId;
use protocol::control::routes::CellPlace;
use protocol::{Term, VolumeId};
use tokio::sync::watch;

use crate::guests::{Guest, Guests};

/// What is known of one cell's door. It is followed by those who wait for it, and by those who went
/// through it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Door {
    /// Of which start of the cell it is; none before the first.
    pub(crate) term: Option<Term>,
    /// None while nobody runs the cell.
    pub(crate) address: Option<SocketAddr>,
}

/// All cells' doors. It only forgets what it is told to forget.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    state: RwLock<State>,
    guests: Guests,
}

#[derive(Debug, Default)]
struct State {
    homes: HashMap<VolumeId, CellId>,
    /// Cells stay, so that their terms never go back.
    cells: HashMap<CellId, watch::Sender<Door>>,
}

impl Doors {
    /// The door that leads to a volume; none if nobody serves it.
    pub(crate) fn of(&self, volume: VolumeId) -> Option<watch::Receiver<Door>> {
        let state = self.read();
        let cell = state.homes.get(&volume)?;
        state.cells.get(cell).map(watch::Sender::subscribe)
    }

    /// Waits at a volume: to be asked for before its door, so that no move goes unnoticed.
    pub(crate) fn guest(&self, volume: VolumeId) -> Guest {
        self.guests.at(volume)
    }

    /// From now on these volumes are served by these cells, and no others are.
    pub(crate) fn house(&self, homes: HashMap<VolumeId, CellId>) {
        let mut state = self.write();
        for cell in homes.values() {
            state.cells.entry(*cell).or_default();
        }
        self.guests.part(|volume| state.homes.get(&volume) != homes.get(&volume));
        state.homes = homes;
    }

    /// The same for some volumes; of two words about one the later counts.
    pub(crate) fn rehouse(&self, changed: Vec<(VolumeId, Option<CellId>)>) {
        let mut state = self.write();
        let mut before = HashMap::new();
        for (volume, cell) in changed {
            let old = match cell {
                Some(cell) => {
                    state.cells.entry(cell).or_default();
                    state.homes.insert(volume, cell)
                }
                None => state.homes.remove(&volume),
            };
            before.entry(volume).or_insert(old);
        }
        self.guests.part(|volume| {
            before.get(&volume).is_some_and(|old| state.homes.get(&volume) != old.as_ref())
        });
    }

    /// These are all cells, and where they are. What is said of an earlier start than the known one
    /// does not count.
    pub(crate) fn place(&self, places: &[CellPlace]) {
        let mut state = self.write();
        for place in places {
            let door = Door { term: Some(place.term), address: place.address };
            state.cells.entry(place.cell).or_default().send_if_modified(|known| {
                let is_news = door.term >= known.term && door != *known;
                if is_news {
                    *known = door;
                }
                is_news
            });
        }
        let named: HashSet<_> = places.iter().map(|place| place.cell).collect();
        for (_, gone) in state.cells.iter().filter(|(cell, _)| !named.contains(cell)) {
            gone.send_if_modified(|known| known.address.take().is_some());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn place(cell: u16, term: u32, port: Option<u16>) -> CellPlace {
        let address = port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (cell, term) = (CellId::from_number(cell).unwrap(), Term::from_number(term).unwrap());
        CellPlace { cell, term, address }
    }

    fn port_of(doors: &Doors, volume: VolumeId) -> Option<u16> {
        doors.of(volume).unwrap().borrow().address.map(|address| address.port())
    }

    #[test]
    fn a_cell_is_where_its_newest_start_is() {
        let (doors, volume) = (Doors::default(), VolumeId::from_bytes([1; 16]));
        assert!(doors.of(volume).is_none());
        doors.house([(volume, CellId::FIRST)].into());
        assert_eq!(port_of(&doors, volume), None, "nobody has said where it is");

        let mut door = doors.of(volume).unwrap();
        doors.place(&[place(1, 2, Some(20)), place(1, 1, Some(10))]);
        assert!(door.has_changed().unwrap());
        assert_eq!(port_of(&doors, volume), Some(20));

        door.mark_unchanged();
        doors.place(&[place(1, 1, Some(10))]);
        doors.place(&[place(1, 2, Some(20))]);
        assert!(!door.has_changed().unwrap(), "an old start, and the same again");

        doors.place(&[place(2, 9, Some(90))]);
        assert_eq!(port_of(&doors, volume), None, "it is no longer named");
        doors.place(&[place(1, 1, Some(10))]);
        assert_eq!(port_of(&doors, volume), None, "its term is remembered");
        doors.place(&[place(1, 3, Some(30))]);
        assert_eq!(port_of(&doors, volume), Some(30));

        doors.rehouse(vec![(volume, None), (volume, CellId::from_number(7))]);
        assert_eq!(port_of(&doors, volume), None, "another cell, of which nothing is known");
        doors.rehouse(vec![(volume, Some(CellId::FIRST))]);
        assert_eq!(port_of(&doors, volume), Some(30));

        let mut guest = doors.guest(volume);
        doors.house([(volume, CellId::FIRST)].into());
        assert!(!guest.has_parted(), "she lives where she lived");
        doors.house([(volume, CellId::from_number(7).unwrap())].into());
        assert!(guest.has_parted(), "she was moved");
        assert!(!doors.guest(volume).has_parted());

        doors.house(HashMap::new());
        assert!(doors.of(volume).is_none());
    }
}
