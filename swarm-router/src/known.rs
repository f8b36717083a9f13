//! What the registrar has said so far, and whether what it says next can follow.

use std::collections::HashMap;
use std::num::NonZeroU16;

use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::{ROUTES_MAX, ROUTES_WHOLE_MAX, Route, Routes, Target};
use protocol::{HostLabel, VolumeId};

/// Why an answer is not believed. What was known before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NewsError {
    /// The registrar was set back: it has forgotten what it said.
    #[error(
        "the registrar says what it knew at run {}, number {}, but has said more before: \
         was it set back?", told.run, told.number
    )]
    Backwards {
        /// Where the answer leads.
        told: Position,
    },
    /// Changes to something else than what is known here.
    #[error("the registrar's answer does not continue what it said before")]
    OutOfPlace,
    /// More routes than an answer has.
    #[error(
        "the registrar's answer has {0} routes; the most are {ROUTES_MAX}, and {ROUTES_WHOLE_MAX} \
         where it is whole"
    )]
    TooMany(usize),
}

/// All routes, and up to where they were followed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    at: Option<Position>,
    table: Table,
}

/// What an answer changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) closed: Vec<NonZeroU16>,
    pub(crate) opened: Vec<(NonZeroU16, VolumeId)>,
    /// Names, and whose they are now.
    pub(crate) named: Vec<(HostLabel, Option<VolumeId>)>,
    pub(crate) homes: Homes,
}

/// Which cell serves which volume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Homes {
    /// These, and no others are served.
    All(HashMap<VolumeId, CellId>),
    /// These are served by others now, or by nobody; of two about one volume the later one counts.
    Some(Vec<(VolumeId, Option<CellId>)>),
}

impl Default for Homes {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

/// By what an identity is told apart: her label; her port, where a registrar knows no labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Label(HostLabel),
    Port(NonZeroU16),
}

#[derive(Debug, Default)]
struct Table {
    routes: HashMap<Key, (Option<NonZeroU16>, Target)>,
    /// Whose each port is.
    ports: HashMap<NonZeroU16, Key>,
}

/// Where ports and names led before.
#[derive(Default)]
struct Before {
    ports: HashMap<NonZeroU16, Option<VolumeId>>,
    names: HashMap<HostLabel, Option<VolumeId>>,
}

impl Known {
    /// Up to where everything is known.
    pub(crate) fn at(&self) -> Option<Position> {
        self.at
    }

    /// All ports that are to be open.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (NonZeroU16, VolumeId)> {
        self.table.ports.keys().filter_map(|port| Some((*port, self.table.port(*port)?)))
    }

    /// Where this port leads.
    pub(crate) fn target(&self, port: NonZeroU16) -> Option<Target> {
        self.table.target(port)
    }

    /// Where this name leads.
    pub(crate) fn target_of(&self, label: HostLabel) -> Option<Target> {
        self.table.routes.get(&Key::Label(label)).map(|(_, target)| *target)
    }

    /// All routes, in no order.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let route = |(key, (port, target)): (&Key, &(Option<NonZeroU16>, Target))| Route {
            label: key.label(),
            port: *port,
            to: Some(*target),
        };
        self.table.routes.iter().map(route).collect()
    }

    /// Takes an answer.
    pub(crate) fn take(&mut self, news: &Routes) -> Result<Changes, NewsError> {
        self.check(news)?;
        let changes = match news.is_whole {
            true => self.table.become_all(&news.routes),
            false => self.table.become_other(&news.routes),
        };
        self.at = Some(news.upto);
        Ok(changes)
    }

    fn check(&self, news: &Routes) -> Result<(), NewsError> {
        let told = news.upto;
        if self.at.is_some_and(|at| told < at) {
            return Err(NewsError::Backwards { told });
        }
        let is_next = self.at.is_some_and(|at| at.run == told.run);
        if !news.is_whole && !is_next {
            return Err(NewsError::OutOfPlace);
        }
        let most = if news.is_whole { ROUTES_WHOLE_MAX } else { ROUTES_MAX };
        match news.routes.len() {
            count if count <= most => Ok(()),
            more => Err(NewsError::TooMany(more)),
        }
    }
}

impl Table {
    fn become_all(&mut self, routes: &[Route]) -> Changes {
        let mut new = Self::default();
        routes.iter().for_each(|route| new.put(route));
        let mut before = Before::default();
        for table in [&*self, &new] {
            for (key, (port, _)) in &table.routes {
                before.note(self, *key, *port);
            }
        }
        *self = new;
        let homes = self.routes.values().map(|(_, target)| (target.volume, target.cell)).collect();
        before.compare(self, Homes::All(homes))
    }

    fn become_other(&mut self, routes: &[Route]) -> Changes {
        let (mut before, mut homes) = (Before::default(), Vec::new());
        for route in routes {
            let Some(key) = Key::of(route) else { continue };
            let old = self.routes.get(&key);
            let gone = old.filter(|(_, old)| route.to.is_none_or(|to| to.volume != old.volume));
            homes.extend(gone.map(|(_, old)| (old.volume, None)));
            homes.extend(route.to.map(|to| (to.volume, Some(to.cell))));
            before.note(self, key, old.and_then(|(port, _)| *port));
            before.note(self, key, route.port);
            self.put(route);
        }
        before.compare(self, Homes::Some(homes))
    }

    fn put(&mut self, route: &Route) {
        let Some(key) = Key::of(route) else { return };
        if let Some((Some(port), _)) = self.routes.remove(&key)
            && self.ports.get(&port) == Some(&key)
        {
            self.ports.remove(&port);
        }
        if let Some(target) = route.to {
            self.routes.insert(key, (route.port, target));
            route.port.map(|port| self.ports.insert(port, key));
        }
    }

    fn target(&self, port: NonZeroU16) -> Option<Target> {
        self.routes.get(self.ports.get(&port)?).map(|(_, target)| *target)
    }

    fn port(&self, port: NonZeroU16) -> Option<VolumeId> {
        self.target(port).map(|target| target.volume)
    }

    fn name(&self, label: HostLabel) -> Option<VolumeId> {
        self.routes.get(&Key::Label(label)).map(|(_, target)| target.volume)
    }
}

impl Key {
    fn label(&self) -> Option<HostLabel> {
        match self {
            Self::Label(label) => Some(*label),
            Self::Port(_) => None,
        }
    }

    /// None for a route that leads from nowhere.
    fn of(route: &Route) -> Option<Self> {
        route.label.map(Self::Label).or(route.port.map(Self::Port))
    }
}

impl Before {
    /// Only what is noted first was before.
    fn note(&mut self, table: &Table, key: Key, port: Option<NonZeroU16>) {
        if let Key::Label(label) = key {
            self.names.entry(label).or_insert_with(|| table.name(label));
        }
        if let Some(port) = port {
            self.ports.entry(port).or_insert_with(|| table.port(port));
        }
    }

    /// A port that leads to another volume is closed and opened anew.
    fn compare(self, table: &Table, homes: Homes) -> Changes {
        let mut changes = Changes { homes, ..Changes::default() };
        for (port, before) in self.ports {
            let now = table.port(port);
            if before != now {
                changes.closed.extend(before.map(|_| port));
                changes.opened.extend(now.map(|volume| (port, volume)));
            }
        }
        for (label, before) in self.names {
            let now = table.name(label);
            if before != now {
                changes.named.push((label, now));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn told(run: u64, number: u64, is_whole: bool, routes: Vec<Route>) -> Routes {
        Routes { upto: Position { run, number }, is_whole, routes, cells: Vec::new() }
    }

    fn route(port: u16, to: Option<(u8, u16)>) -> Route {
        let target = |(byte, cell)| Target {
            volume: VolumeId::from_bytes([byte; 16]),
            cell: CellId::from_number(cell).unwrap(),
        };
        Route { label: None, port: NonZeroU16::new(port), to: to.map(target) }
    }

    fn label(byte: u8) -> HostLabel {
        HostLabel::from_bytes([byte; 16])
    }

    fn named(byte: u8, port: u16, to: Option<(u8, u16)>) -> Route {
        Route { label: Some(label(byte)), ..route(port, to) }
    }

    fn volume(byte: u8) -> VolumeId {
        VolumeId::from_bytes([byte; 16])
    }

    /// Without what it says of cells.
    fn ways(changes: Changes) -> Changes {
        Changes { homes: Homes::default(), ..changes }
    }

    #[test]
    fn every_port_there_is_and_the_same_again_change_what_they_change() {
        let mut known = Known::default();
        let all = |cell| (1..=u16::MAX).map(|port| route(port, Some((1, cell)))).collect();
        let changes = known.take(&told(1, 1, true, all(1))).unwrap();
        assert_eq!((changes.opened.len(), changes.closed.len()), (65_535, 0));
        let changes = known.take(&told(1, 1, true, all(1))).unwrap();
        assert_eq!(ways(changes), Changes::default());
        let changes = known.take(&told(1, 2, true, all(2))).unwrap();
        let homes = Homes::All([(volume(1), CellId::from_number(2).unwrap())].into());
        assert_eq!(changes, Changes { homes, ..Changes::default() }, "no other port");
        let changes = known.take(&told(2, 0, true, Vec::new())).unwrap();
        assert_eq!((changes.opened.len(), changes.closed.len()), (0, 65_535));
    }

    #[test]
    fn a_port_that_leads_to_another_volume_closes_and_opens() {
        let mut known = Known::default();
        known.take(&told(1, 1, true, vec![route(9, Some((1, 1)))])).unwrap();
        let changes = known.take(&told(1, 2, false, vec![route(9, Some((2, 1)))])).unwrap();
        let port = NonZeroU16::new(9).unwrap();
        let opened = vec![(port, VolumeId::from_bytes([2; 16]))];
        let cell = CellId::from_number(1);
        let homes = Homes::Some(vec![(volume(1), None), (volume(2), cell)]);
        assert_eq!(changes, Changes { closed: vec![port], opened, named: Vec::new(), homes });
        // What is closed twice, or was never open, is no change.
        let gone = vec![route(9, None), route(9, None), route(10, None)];
        let changes = known.take(&told(1, 3, false, gone)).unwrap();
        let homes = Homes::Some(vec![(volume(2), None)]);
        assert_eq!(changes, Changes { closed: vec![port], homes, ..Changes::default() });
    }

    #[test]
    fn a_name_leads_with_a_port_or_without_and_both_end_with_its_route() {
        let mut known = Known::default();
        let alone = Route { port: None, ..named(2, 1, Some((2, 1))) };
        let all = vec![named(1, 9, Some((1, 1))), alone];
        let mut changes = ways(known.take(&told(1, 1, true, all)).unwrap());
        changes.named.sort_unstable();
        let port = |number| NonZeroU16::new(number).unwrap();
        let names = vec![(label(1), Some(volume(1))), (label(2), Some(volume(2)))];
        let opened = vec![(port(9), volume(1))];
        assert_eq!(changes, Changes { opened, named: names, ..Changes::default() });

        // She gets another port, and somebody else hers.
        let moved = vec![named(1, 10, Some((1, 1))), named(3, 9, Some((3, 1)))];
        let mut changes = ways(known.take(&told(1, 2, false, moved)).unwrap());
        changes.opened.sort_unstable();
        let opened = vec![(port(9), volume(3)), (port(10), volume(1))];
        let named_now = vec![(label(3), Some(volume(3)))];
        let closed = vec![port(9)];
        assert_eq!(changes, Changes { closed, opened, named: named_now, ..Changes::default() });

        let gone = vec![named(1, 10, None), Route { port: None, ..named(2, 1, None) }];
        let mut changes = ways(known.take(&told(1, 3, false, gone)).unwrap());
        changes.named.sort_unstable();
        let names = vec![(label(1), None), (label(2), None)];
        let closed = vec![port(10)];
        assert_eq!(changes, Changes { closed, named: names, ..Changes::default() });
        assert_eq!(known.ports().collect::<Vec<_>>(), [(port(9), volume(3))]);
    }

    #[test]
    fn a_hundred_thousand_names_are_taken_and_one_more_costs_little() {
        let all = |count: u32| {
            let label = |number: u32| HostLabel::from_bytes(u128::from(number).to_be_bytes());
            let volume = |number: u32| VolumeId::from_bytes(u128::from(number).to_le_bytes());
            let to = |number| Some(Target { volume: volume(number), cell: CellId::FIRST });
            let route = |number| Route { label: Some(label(number)), port: None, to: to(number) };
            (0..count).map(route).collect::<Vec<_>>()
        };
        let mut known = Known::default();
        let changes = known.take(&told(1, 1, true, all(100_000))).unwrap();
        assert_eq!(changes.named.len(), 100_000);
        let more = all(100_001).split_off(100_000);
        let changes = known.take(&told(1, 2, false, more)).unwrap();
        assert_eq!((changes.named.len(), changes.opened.len()), (1, 0));
        assert!(matches!(changes.homes, Homes::Some(homes) if homes.len() == 1));
    }

    #[test]
    fn what_is_not_believed_leaves_everything_as_it_was() {
        let mut known = Known::default();
        let change = vec![route(9, Some((1, 1)))];
        let out_of_place = told(1, 1, false, change.clone());
        assert_eq!(known.take(&out_of_place), Err(NewsError::OutOfPlace));
        known.take(&told(5, 5, true, change)).unwrap();
        for (run, number, is_whole) in [(4, 9, true), (5, 4, true), (5, 4, false), (4, 9, false)] {
            let error = known.take(&told(run, number, is_whole, Vec::new())).unwrap_err();
            assert!(matches!(error, NewsError::Backwards { .. }), "{run} {number}");
        }
        assert_eq!(known.take(&told(6, 1, false, Vec::new())), Err(NewsError::OutOfPlace));
        let many = vec![route(9, None); ROUTES_MAX + 1];
        let error = known.take(&told(5, 6, false, many)).unwrap_err();
        assert_eq!(error, NewsError::TooMany(ROUTES_MAX + 1));
        assert_eq!(known.at(), Some(Position { run: 5, number: 5 }));
        assert_eq!(known.ports().count(), 1);
    }
}
