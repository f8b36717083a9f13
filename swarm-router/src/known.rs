//! What the registrar has said so far, and whether what it says next can follow.

use std::collections::HashMap;
use std::num::NonZeroU16;

use protocol::VolumeId;
use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::{ROUTES_MAX, Routes, Target};

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
