//! Which port and which name leads to which volume, and where the cells are: what the registrar tells the routers.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::names::CellId;
use super::roster::Position;
use crate::{HostLabel, Term, VolumeId};

/// Most changed routes in one [`Routes`] that is not whole.
pub const ROUTES_MAX: usize = 10_000;

/// Most routes of a [`Routes`] that is whole: as many identities as one swarm's router carries.
pub const ROUTES_WHOLE_MAX: usize = 1 << 20;

/// Where connections to one identity go, by her port and by her name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Her label, in front of the swarm's domain. Registrars that know no labels say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<HostLabel>,
    /// The port, on every node, if she has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Whose server; none closes the port and ends the name.
    pub to: Option<Target>,
}

/// A server behind a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Her volume.
    pub volume: VolumeId,
    /// The cell that serves it.
    pub cell: CellId,
}

/// Where a cell takes connections from routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellPlace {
    /// Which cell.
    pub cell: CellId,
    /// Which start of it.
    pub term: Term,
    /// Its door; none while nobody runs it.
    pub address: Option<SocketAddr>,
}

/// Part of what a router needs: `GET /v1/routes?run=R&after=N&wait=SECONDS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Where the router stands once it has taken this.
    pub upto: Position,
    /// Whether this is all: a port that is not here is closed, and a name is nobody's.
    pub is_whole: bool,
    /// Changed routes; the later one of two for one label or one port counts.
    pub routes: Vec<Route>,
    /// All cells, each time: they are few.
    pub cells: Vec<CellPlace>,
}
