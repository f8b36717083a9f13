//! For operators.

use axum::Json;
use axum::http::StatusCode;
use protocol::control::fleet::Availability;
use protocol::control::names::{CellId, SwarmName};
use serde::{Deserialize, Serialize};

use super::{Asked, Body, PathText, Problem, json, name, query};
use crate::fleet::{CellOrder, CellPatch, CellView, Minute, NodeView, SwarmView};
use crate::http::token::OfOperators;

#[derive(Serialize)]
pub(super) struct Swarms {
    swarms: Vec<SwarmView>,
}

#[derive(Serialize)]
pub(super) struct Nodes {
    nodes: Vec<NodeView>,
}

#[derive(Serialize)]
pub(super) struct Cells {
    cells: Vec<CellView>,
}

#[derive(Serialize)]
pub(super) struct History {
    cell: CellId,
    minutes: Vec<Minute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwarmOrder {
    swarm: SwarmName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodePatch {
    availability: Availability,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    retired: bool,
}

pub(super) async fn swarms(OfOperators(fleet): OfOperators) -> Json<Swarms> {
    Json(Swarms { swarms: fleet.swarms() })
}

pub(super) async fn swarm(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<Json<SwarmView>, Problem> {
    Ok(Json(fleet.swarm(&name(path)?)?))
}

pub(super) async fn add_swarm(
    OfOperators(fleet): OfOperators,
    body: Body,
) -> Result<(StatusCode, Json<SwarmView>), Problem> {
    let SwarmOrder { swarm } = json(body)?;
    fleet.add_swarm(swarm.clone()).await?;
    Ok((StatusCode::CREATED, Json(fleet.swarm(&swarm)?)))
}

pub(super) async fn remove_swarm(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<StatusCode, Problem> {
    fleet.remove_swarm(name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn nodes(OfOperators(fleet): OfOperators) -> Json<Nodes> {
    Json(Nodes { nodes: fleet.nodes() })
}

pub(super) async fn node(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<Json<NodeView>, Problem> {
    Ok(Json(fleet.node(&name(path)?)?))
}

pub(super) async fn change_node(
    OfOperators(fleet): OfOperators,
    path: PathText,
    body: Body,
) -> Result<Json<NodeView>, Problem> {
    let (node, patch) = (name(path)?, json::<NodePatch>(body)?);
    fleet.set_availability(Clone::clone(&node), patch.availability).await?;
    Ok(Json(fleet.node(&node)?))
}

pub(super) async fn cells(
    OfOperators(fleet): OfOperators,
    asked: Asked<Which>,
) -> Result<Json<Cells>, Problem> {
    Ok(Json(Cells { cells: fleet.cells(query(asked)?.retired) }))
}

pub(super) async fn cell(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<Json<CellView>, Problem> {
    Ok(Json(fleet.cell(name(path)?)?))
}

pub(super) async fn cell_history(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<Json<History>, Problem> {
    let cell = name(path)?;
    Ok(Json(History { cell, minutes: fleet.history(cell)? }))
}

pub(super) async fn add_cell(
    OfOperators(fleet): OfOperators,
    body: Body,
) -> Result<(StatusCode, Json<CellView>), Problem> {
    let order = json::<CellOrder>(body)?;
    Ok((StatusCode::CREATED, Json(fleet.add_cell(order).await?)))
}

pub(super) async fn change_cell(
    OfOperators(fleet): OfOperators,
    path: PathText,
    body: Body,
) -> Result<Json<CellView>, Problem> {
    let (cell, patch) = (name(path)?, json::<CellPatch>(body)?);
    Ok(Json(fleet.change_cell(cell, patch).await?))
}

pub(super) async fn retire_cell(
    OfOperators(fleet): OfOperators,
    path: PathText,
) -> Result<StatusCode, Problem> {
    fleet.retire_cell(name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
