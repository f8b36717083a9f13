//! What cells and routers ask.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::control::names::CellId;
use protocol::control::roster::{
    CellReport, IllServer, ORDERS_MAX, Roster, TermGrant, TermRequest,
};
use protocol::control::routes::{ROUTES_MAX, Routes};
use protocol::{AtSign, Term};
use tokio::time::Instant;

use super::follow::{Follower, Looked};
use super::records::{CellRecord, CellStart};
use super::state::{Cell, Fact, State};
use super::{Fleet, FleetError};
use crate::limits::VERSION_CHARS_MAX;

impl Fleet {
    /// A new start of a cell: its term is durable when this returns, and every older one is over.
    pub(crate) async fn begin_term(
        self: &Arc<Self>,
        id: CellId,
        request: TermRequest,
        from: IpAddr,
    ) -> Result<TermGrant, FleetError> {
        let since = self.clock.now();
        let version = request.version.chars().take(VERSION_CHARS_MAX).collect();
        let decide = move |state: &mut State| {
            let record = known(state, id)?.record.clone();
            if !record.is_active() {
                return Err(FleetError::Superseded { cell: id, newest: None });
            }
            let next = record.term().map_or(Some(Term::FIRST), Term::next);
            let term = next.ok_or(FleetError::NoTermLeft(id))?;
            // What a caller's address seems to be from here is often an engine's bridge.
            let address = state.address_of(&request.node, &record.swarm).unwrap_or(from);
            let start = Some(CellStart { term, node: request.node, address, version, since });
            let mut record = record;
            record.start = start;
            Ok(Fact::Cell(id, record))
        };
        match self.establish(decide).await? {
            Fact::Cell(cell, CellRecord { start: Some(start), .. }) => {
                self.state().begins(cell);
                tracing::info!(%cell, term = %start.term, node = %start.node, "a cell begins");
                Ok(TermGrant { cell, term: start.term })
            }
            _ => Err(FleetError::UnknownCell(id)),
        }
    }

    /// Who is to live in a cell, for the process that runs it under its newest term.
    pub(crate) async fn roster(
        &self,
        id: CellId,
        term: Term,
        follower: &Follower,
    ) -> Result<Roster, FleetError> {
        // The question is a sign of life; that there is news for it later is none.
        {
            let mut state = self.state();
            let number = follower.number(&state);
            let cell = run_by(&mut state, id, term)?;
            cell.sign(Instant::now());
            cell.took(number);
        }
        let look = |state: &mut State| {
            let number = follower.number(state);
            let cell = run_by(state, id, term)?;
            let part = cell.roster.after(number, ORDERS_MAX);
            let (is_known, news) = (cell.roster.is_known(number), cell.news.subscribe());
            let upto = state.position(part.upto);
            let roster = Roster { upto, is_whole: part.is_whole, orders: part.words };
            Ok(if is_known { Looked::Nothing(roster, news) } else { Looked::News(roster) })
        };
        self.follow(follower, look).await
    }

    /// Takes in what a cell tells under its newest term.
    pub(crate) fn report_cell(&self, id: CellId, report: CellReport) -> Result<(), FleetError> {
        let now = self.clock.now();
        let mut state = self.state();
        let cell = run_by(&mut state, id, report.term)?;
        cell.sign(Instant::now());
        cell.report = Some((report.counts, now));
        cell.history.note(report.counts, now);
        cell.ill = report.ill;
        if let Some(batch) = report.usage {
            self.usage.take(id, report.term, batch, now);
        }
        report.done.into_iter().for_each(|done| state.done(id, done));
        Ok(())
    }

    /// What her cell told last of a server that did not get on.
    pub(crate) fn illness(&self, id: CellId, identity: &AtSign) -> Option<IllServer> {
        let state = self.state();
        let mut ill = state.cells.get(&id)?.ill.iter();
        ill.find(|ill| ill.identity == *identity).cloned()
    }

    /// Which port leads where.
    pub(crate) async fn routes(&self, follower: &Follower) -> Result<Routes, FleetError> {
        let look = |state: &mut State| {
            let number = follower.number(state);
            let part = state.routes.after(number, ROUTES_MAX);
            let routes = Routes {
                upto: state.position(part.upto),
                is_whole: part.is_whole,
                routes: part.words,
                cells: state.places(),
            };
            Ok(match state.routes.is_known(number) {
                true => Looked::Nothing(routes, state.route_news.subscribe()),
                false => Looked::News(routes),
            })
        };
        self.follow(follower, look).await
    }
}

pub(super) fn known(state: &mut State, id: CellId) -> Result<&mut Cell, FleetError> {
    state.cells.get_mut(&id).ok_or(FleetError::UnknownCell(id))
}

fn run_by(state: &mut State, id: CellId, term: Term) -> Result<&mut Cell, FleetError> {
    let cell = known(state, id)?;
    if !cell.is_run_by(term) {
        let newest = cell.record.term().filter(|_| cell.record.is_active());
        return Err(FleetError::Superseded { cell: id, newest });
    }
    Ok(cell)
}
