//! What the registrar has said so far, and whether what it says next can follow.

use std::collections::HashMap;
use std::num::NonZeroU16;

use protocol::VolumeId;
use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::{ROUTES_MAX, Route, Routes, Target};

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
    /// More changes than an answer has.
    #[error("the registrar's answer has {0} changes; the most are {ROUTES_MAX}")]
    TooMany(usize),
}

/// All ports, and up to where they were followed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    at: Option<Position>,
    ports: HashMap<NonZeroU16, Target>,
}

/// What an answer changes about ports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) closed: Vec<NonZeroU16>,
    pub(crate) opened: Vec<(NonZeroU16, VolumeId)>,
}

impl Known {
    /// Up to where everything is known.
    pub(crate) fn at(&self) -> Option<Position> {
        self.at
    }

    /// All ports that are to be open.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (NonZeroU16, VolumeId)> {
        self.ports.iter().map(|(port, target)| (*port, target.volume))
    }

    /// Where this port leads.
    pub(crate) fn target(&self, port: NonZeroU16) -> Option<Target> {
        self.ports.get(&port).copied()
    }

    /// All routes, in the order of ports.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let route =
            |(port, target): (&NonZeroU16, &Target)| Route { port: *port, to: Some(*target) };
        let mut routes: Vec<_> = self.ports.iter().map(route).collect();
        routes.sort_unstable_by_key(|route| route.port);
        routes
    }

    /// Which cell serves which volume.
    pub(crate) fn homes(&self) -> HashMap<VolumeId, CellId> {
        self.ports.values().map(|target| (target.volume, target.cell)).collect()
    }

    /// Takes an answer.
    pub(crate) fn take(&mut self, news: &Routes) -> Result<Changes, NewsError> {
        self.check(news)?;
        let mut ports = if news.is_whole { HashMap::new() } else { self.ports.clone() };
        for route in &news.routes {
            match route.to {
                Some(target) => ports.insert(route.port, target),
                None => ports.remove(&route.port),
            };
        }
        let changes = between(&self.ports, &ports);
        (self.ports, self.at) = (ports, Some(news.upto));
        Ok(changes)
    }

    fn check(&self, news: &Routes) -> Result<(), NewsError> {
        let told = news.upto;
        if self.at.is_some_and(|at| told < at) {
            return Err(NewsError::Backwards { told });
        }
        if news.is_whole {
            return Ok(());
        }
        match self.at {
            Some(at) if at.run == told.run => {}
            _ => return Err(NewsError::OutOfPlace),
        }
        match news.routes.len() {
            0..=ROUTES_MAX => Ok(()),
            more => Err(NewsError::TooMany(more)),
        }
    }
}

/// A port that leads to another volume is closed and opened anew.
fn between(old: &HashMap<NonZeroU16, Target>, new: &HashMap<NonZeroU16, Target>) -> Changes {
    let leads = |ports: &HashMap<NonZeroU16, Target>, port| {
        ports.get(port).map(|target: &Target| target.volume)
    };
    let closed = old.keys().filter(|port| leads(new, port) != leads(old, port)).copied();
    let opened = new.iter().filter(|(port, target)| leads(old, port) != Some(target.volume));
    Changes {
        closed: closed.collect(),
        opened: opened.map(|(port, target)| (*port, target.volume)).collect(),
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
        Route { port: NonZeroU16::new(port).unwrap(), to: to.map(target) }
    }

    #[test]
    fn every_port_there_is_and_the_same_again_change_what_they_change() {
        let mut known = Known::default();
        let all = |cell| (1..=u16::MAX).map(|port| route(port, Some((1, cell)))).collect();
        let changes = known.take(&told(1, 1, true, all(1))).unwrap();
        assert_eq!((changes.opened.len(), changes.closed.len()), (65_535, 0));
        let changes = known.take(&told(1, 1, true, all(1))).unwrap();
        assert_eq!(changes, Changes::default());
        let changes = known.take(&told(1, 2, true, all(2))).unwrap();
        assert_eq!(changes, Changes::default(), "another cell is no other port");
        assert_eq!(known.homes()[&VolumeId::from_bytes([1; 16])].number(), 2);
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
        assert_eq!(changes, Changes { closed: vec![port], opened });
        // What is closed twice, or was never open, is no change.
        let gone = vec![route(9, None), route(9, None), route(10, None)];
        let changes = known.take(&told(1, 3, false, gone)).unwrap();
        assert_eq!(changes, Changes { closed: vec![port], opened: Vec::new() });
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
