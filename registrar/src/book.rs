//! All that the registrar keeps in memory: which names exist, which ports they have, and the newest
//! changes. Pure; the store is the truth, this is its index.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use protocol::control::feed::{Entry, Snapshot};
use protocol::{AtSign, Epoch};

use crate::addresses::Addressing;
use crate::changes::Changes;
use crate::error::LedgerError;
use crate::names::NameRecord;
use crate::placement::Ports;
use crate::records::{ChangeRecord, Left};
use crate::state::State;

/// What memory holds of one name, beside the name: 16 bytes. The rest is in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The epoch that the directory has with its address: a move between cells does not change it.
    pub epoch: Epoch,
    /// Its own port, once it has one, if it needs one.
    pub port: Option<NonZeroU16>,
    /// Its state; never [`State::Retired`].
    pub state: State,
}

/// The index of the store. Retired names are not in it.
pub struct Book {
    names: BTreeMap<Box<str>, Line>,
    ports: Ports,
    changes: Changes,
}

/// How many names are in each state, in the order of [`State::ALL`].
pub type StateCounts = [usize; State::ALL.len()];

impl Book {
    /// A book without names.
    #[must_use]
    pub fn new(ports: Ports, changes: Changes) -> Self {
        Self { names: BTreeMap::new(), ports, changes }
    }

    /// Takes a record that was read from the store; the port if another name has it.
    pub fn load(&mut self, name: &AtSign, record: &NameRecord) -> Result<(), NonZeroU16> {
        let Some(line) = line_of(record) else { return Ok(()) };
        if let Some(port) = line.port
            && !self.ports.occupy(port)
        {
            return Err(port);
        }
        self.names.insert(name.bare().into(), line);
        Ok(())
    }

    /// What is known of `name`, unless it is free.
    #[must_use]
    pub fn line(&self, name: &AtSign) -> Option<Line> {
        self.names.get(name.bare()).copied()
    }

    /// The ports of this host.
    pub fn ports(&mut self) -> &mut Ports {
        &mut self.ports
    }

    /// The newest changes.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whether `record` may be written for `name` now, and the change that goes with it.
    ///
    /// # Errors
    /// [`LedgerError::WrongTurn`].
    pub fn check(
        &self,
        name: &AtSign,
        record: &NameRecord,
    ) -> Result<Option<ChangeRecord>, LedgerError> {
        let (from, to) =
            (self.line(name).map_or(State::Retired, |line| line.state), record.state());
        if !from.may_become(to) {
            return Err(LedgerError::WrongTurn { identity: name.clone(), from, to });
        }
        let left = match (from, to) {
            // Moved to another cell, at the same address: nobody has to be told.
            (State::Published, State::Published) => return Ok(None),
            (_, State::Published) => Left::There(record.home().and_then(|home| home.port)),
            (State::Published, _) => Left::Gone,
            _ => return Ok(None),
        };
        let epoch = record.claim().map_or(record.epoch(), |claim| claim.epoch);
        Ok(Some(ChangeRecord { identity: name.clone(), left, epoch }))
    }

    /// Takes what was checked and appended.
    pub fn apply(&mut self, name: &AtSign, record: &NameRecord, change: Option<ChangeRecord>) {
        let before = self.line(name).and_then(|line| line.port);
        let line = line_of(record);
        let after = line.and_then(|line| line.port);
        if before != after {
            before.into_iter().for_each(|port| self.ports.release(port));
            after.into_iter().for_each(|port| _ = self.ports.occupy(port));
        }
        match line {
            Some(line) => drop(self.names.insert(name.bare().into(), line)),
            None => drop(self.names.remove(name.bare())),
        }
        change.into_iter().for_each(|change| self.changes.push(change));
    }

    /// Everything that the directory answers as of the newest change.
    #[must_use]
    pub fn snapshot(&self, addressing: &Addressing) -> Snapshot {
        let published = self.names.iter().filter(|(_, line)| line.state == State::Published);
        let entries = published.filter_map(|(bare, line)| {
            let identity = AtSign::parse(bare).ok()?;
            let address = addressing.address(&identity, line.port)?;
            Some(Entry { identity, address, epoch: line.epoch })
        });
        let (feed, number) = (self.changes.feed(), self.changes.newest());
        Snapshot { feed, number, entries: entries.collect() }
    }

    /// The names after `after`, in order, at most `limit`.
    #[must_use]
    pub fn page(&self, after: Option<&AtSign>, limit: usize) -> Vec<AtSign> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, |name| Excluded(name.bare()));
        let names = self.names.range::<str, _>((start, Unbounded)).take(limit);
        names.filter_map(|(bare, _)| AtSign::parse(bare).ok()).collect()
    }

    /// The names with which the registrar still has something to do.
    #[must_use]
    pub fn unfinished(&self) -> Vec<AtSign> {
        let names = self.names.iter().filter(|(_, line)| line.state.is_unfinished());
        names.filter_map(|(bare, _)| AtSign::parse(bare).ok()).collect()
    }

    /// How many names are in each state.
    #[must_use]
    pub fn counts(&self) -> StateCounts {
        let mut counts = StateCounts::default();
        for line in self.names.values() {
            if let Some(count) = counts.get_mut(line.state as usize) {
                *count += 1;
            }
        }
        counts
    }
}

fn line_of(record: &NameRecord) -> Option<Line> {
    let port = record.home().and_then(|home| home.port);
    let state = record.state();
    record.claim().map(|claim| Line { epoch: claim.epoch, port, state })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::VecDeque;

    use protocol::{FeedId, HostName, RegistrationId, Timestamp, VolumeId};

    use super::*;
    use crate::names::{Claim, Home};
    use crate::ports::PortRanges;

    fn book() -> Book {
        let ports = Ports::new(PortRanges::parse("10-12").unwrap());
        Book::new(ports, Changes::new(FeedId::from_bytes([0; 16]), VecDeque::new(), 0))
    }

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn home(port: u16) -> Home {
        let registration = RegistrationId::from_bytes([1; 16]);
        let (since, tier) = (Timestamp(0), crate::tier::Tier::Shared);
        let claim = Claim { registration, epoch: Epoch::FIRST, since, tier };
        claim.place(NonZeroU16::new(port), VolumeId::from_bytes([2; 16]), Timestamp(1))
    }

    fn write(book: &mut Book, who: &str, record: &NameRecord) -> Option<ChangeRecord> {
        let change = book.check(&name(who), record).unwrap();
        book.apply(&name(who), record, change.clone());
        change
    }

    fn publish(book: &mut Book, who: &str, port: u16) {
        let home = home(port);
        for record in [
            NameRecord::Reserved(home.claim),
            NameRecord::Placed(home),
            NameRecord::Created(home),
            NameRecord::Started(home),
            NameRecord::Reachable(home),
        ] {
            assert_eq!(write(book, who, &record), None);
        }
        let change = write(book, who, &NameRecord::Published(home)).unwrap();
        assert_eq!(change.left, Left::There(NonZeroU16::new(port)));
    }

    #[test]
    fn a_line_takes_sixteen_bytes() {
        assert_eq!(size_of::<Line>(), 16);
    }

    #[test]
    fn only_publishing_and_deleting_what_was_published_change_the_feed() {
        let mut book = book();
        publish(&mut book, "@alice", 10);
        let change = write(&mut book, "@alice", &NameRecord::Deleting(home(10))).unwrap();
        assert_eq!((change.left, change.epoch), (Left::Gone, Epoch::FIRST));
        assert_eq!(write(&mut book, "@alice", &home(10).claim.retire(Timestamp(3))), None);
        assert_eq!(book.changes().newest(), 2);

        publish(&mut book, "@carol", 12);
        let moved = home(12).moved_into(protocol::control::names::CellId::FIRST).unwrap();
        assert_eq!(write(&mut book, "@carol", &NameRecord::Published(moved)), None);
        let gone = write(&mut book, "@carol", &NameRecord::Deleting(moved)).unwrap();
        assert_eq!((gone.epoch, book.changes().newest()), (Epoch::FIRST, 4));

        write(&mut book, "@bob", &NameRecord::Reserved(home(11).claim));
        write(&mut book, "@bob", &NameRecord::Placed(home(11)));
        assert_eq!(write(&mut book, "@bob", &NameRecord::Deleting(home(11))), None);
    }

    #[test]
    fn a_step_that_the_table_does_not_have_is_refused() {
        let mut book = book();
        let wrong = book.check(&name("@alice"), &NameRecord::Published(home(10))).unwrap_err();
        assert_eq!(wrong.to_string(), "@alice cannot go from retired to published");
        publish(&mut book, "@alice", 10);
        assert!(book.check(&name("@alice"), &NameRecord::Reserved(home(10).claim)).is_err());
    }

    #[test]
    fn a_snapshot_holds_the_published_names_and_the_number_of_the_last_change() {
        let mut book = book();
        publish(&mut book, "@bob", 11);
        publish(&mut book, "@alice", 10);
        write(&mut book, "@carol", &NameRecord::Reserved(home(12).claim));
        let snapshot = book.snapshot(&Addressing::ByPort(HostName::parse("localhost").unwrap()));
        assert_eq!(snapshot.number, 2);
        let entries: Vec<_> = snapshot
            .entries
            .iter()
            .map(|entry| format!("{} {}", entry.identity, entry.address))
            .collect();
        assert_eq!(entries, ["@alice localhost:10", "@bob localhost:11"]);
    }

    #[test]
    fn another_port_frees_the_first_one_and_the_end_frees_the_last() {
        let mut book = book();
        let (ten, eleven) = (home(10), home(11));
        write(&mut book, "@alice", &NameRecord::Reserved(ten.claim));
        write(&mut book, "@alice", &NameRecord::Placed(ten));
        write(&mut book, "@alice", &NameRecord::Placed(eleven));
        assert!(book.ports().occupy(ten.port.unwrap()), "10 is free again");
        assert!(!book.ports().occupy(eleven.port.unwrap()));
        write(&mut book, "@alice", &NameRecord::Deleting(eleven));
        assert!(!book.ports().occupy(eleven.port.unwrap()), "kept until the server is gone");
        write(&mut book, "@alice", &eleven.claim.retire(Timestamp(4)));
        assert!(book.ports().occupy(eleven.port.unwrap()));
        assert_eq!(book.line(&name("@alice")), None);
    }

    #[test]
    fn pages_go_through_all_names_in_order() {
        let mut book = book();
        for who in ["@c", "@a", "@b"] {
            write(&mut book, who, &NameRecord::Reserved(home(10).claim));
        }
        let first = book.page(None, 2);
        assert_eq!(first, [name("@a"), name("@b")]);
        assert_eq!(book.page(first.last(), 2), [name("@c")]);
        assert_eq!(book.page(Some(&name("@c")), 2), []);
        assert_eq!(book.counts(), [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(book.unfinished().len(), 3);
    }

    #[test]
    fn a_port_that_two_records_have_is_noticed() {
        let mut book = book();
        assert_eq!(book.load(&name("@a"), &NameRecord::Published(home(10))), Ok(()));
        let twice = book.load(&name("@b"), &NameRecord::Placed(home(10)));
        assert_eq!(twice.map_err(NonZeroU16::get), Err(10));
    }
}
