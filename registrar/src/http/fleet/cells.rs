//! For the processes that run cells.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use axum::{Extension, Json};
use net::https::Peer;
use protocol::Term;
use protocol::control::roster::{CellReport, ILL_MAX, ORDERS_MAX, Roster, TermGrant, TermRequest};
use protocol::control::usage::USAGE_ROWS_MAX;
use serde::Deserialize;

use super::{Asked, Body, PathText, Problem, Stand, json, name, query};
use crate::http::token::OfCells;

/// As which start of a cell somebody asks.
#[derive(Debug, Deserialize)]
pub(super) struct Under {
    term: Term,
    #[serde(default)]
    run: u64,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait: u64,
}

pub(super) async fn begin(
    OfCells(fleet): OfCells,
    peer: Option<Extension<Peer>>,
    path: PathText,
    body: Body,
) -> Result<(StatusCode, Json<TermGrant>), Problem> {
    let (cell, request) = (name(path)?, json::<TermRequest>(body)?);
    let from = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Extension(Peer(peer))| peer.ip());
    let grant = fleet.begin_term(cell, request, from.to_canonical()).await?;
    Ok((StatusCode::CREATED, Json(grant)))
}

pub(super) async fn roster(
    OfCells(fleet): OfCells,
    path: PathText,
    asked: Asked<Under>,
) -> Result<Json<Roster>, Problem> {
    let (cell, Under { term, run, after, wait }) = (name(path)?, query(asked)?);
    let follower = Stand { run, after, wait }.into();
    Ok(Json(fleet.roster(cell, term, &follower).await?))
}

pub(super) async fn report(
    OfCells(fleet): OfCells,
    path: PathText,
    body: Body,
) -> Result<StatusCode, Problem> {
    let (cell, report) = (name(path)?, json::<CellReport>(body)?);
    if report.done.len() > ORDERS_MAX {
        return Err(Problem::bad_request(format!("a report has at most {ORDERS_MAX} outcomes")));
    }
    if report.ill.len() > ILL_MAX {
        return Err(Problem::bad_request(format!("a report tells of at most {ILL_MAX} servers")));
    }
    if report.usage.as_ref().is_some_and(|batch| batch.rows.len() > USAGE_ROWS_MAX) {
        let what = format!("a report has at most {USAGE_ROWS_MAX} rows of use");
        return Err(Problem::bad_request(what));
    }
    fleet.report_cell(cell, report)?;
    Ok(StatusCode::NO_CONTENT)
}
