//! For the agents on the machines.

use axum::Json;
use axum::http::StatusCode;
use protocol::control::fleet::{NODE_ITEMS_MAX, NodeReport, Plan};

use super::{Asked, Body, PathText, Problem, Stand, json, name, query};
use crate::http::token::OfHosts;

pub(super) async fn report(
    OfHosts(fleet): OfHosts,
    path: PathText,
    body: Body,
) -> Result<StatusCode, Problem> {
    let (node, report) = (name(path)?, json::<NodeReport>(body)?);
    if report.drift.len().max(report.engine.labels.len()) > NODE_ITEMS_MAX {
        let what = format!("a report has at most {NODE_ITEMS_MAX} labels and lines of drift");
        return Err(Problem::bad_request(what));
    }
    fleet.report_node(node, report)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn plan(
    OfHosts(fleet): OfHosts,
    path: PathText,
    asked: Asked<Stand>,
) -> Result<Json<Plan>, Problem> {
    let swarm = name(path)?;
    Ok(Json(fleet.plan(&swarm, &query(asked)?.into()).await?))
}
