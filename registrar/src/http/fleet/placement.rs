//! Where an identity is, where she would go, and why.

use axum::Json;
use axum::extract::State;
use protocol::AtSign;
use protocol::control::names::CellId;
use serde::{Deserialize, Serialize};

use super::{Asked, Body, Front, PathText, Problem, json, query};
use crate::choice::{Explanation, Labels, Policy, Wish};
use crate::http::token::OfOperators;
use crate::limits::CELL_LABELS_MAX;
use crate::moving::Move;
use crate::state::State as NameState;

/// How one would choose; the registrar's own policy where none is named.
#[derive(Debug, Deserialize)]
pub(super) struct Supposed {
    policy: Option<String>,
    /// `LABEL=VALUE`, several with commas.
    needs: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Placement {
    identity: AtSign,
    /// None for a name that is free.
    state: Option<NameState>,
    /// Where she is.
    cell: Option<CellId>,
    #[serde(flatten)]
    explanation: Explanation,
}

pub(super) async fn explain(
    OfOperators(fleet): OfOperators,
    State(front): State<Front>,
    path: PathText,
    asked: Asked<Supposed>,
) -> Result<Json<Placement>, Problem> {
    let axum::extract::Path(text) =
        path.map_err(|error| Problem::bad_request(error.body_text()))?;
    let name = AtSign::parse(&text)?;
    let supposed = query(asked)?;
    let policy = match supposed.policy.as_deref() {
        Some(text) => text.parse::<Policy>().map_err(Problem::bad_request)?,
        None => fleet.policy(),
    };
    let identity = front.registrar.show(&name).await?;
    let needs = match (supposed.needs.as_deref(), &identity) {
        (Some(text), _) => labels(text)?,
        (None, Some(identity)) => identity.tier.needs(),
        (None, None) => Labels::new(),
    };
    let cell = identity.as_ref().and_then(|identity| identity.cell);
    let explanation = fleet.explain(Wish { policy, needs, ..Wish::default() }, cell);
    let state = identity.map(|identity| identity.state);
    Ok(Json(Placement { identity: name, state, cell, explanation }))
}

/// Where somebody is to go; nowhere in particular without a cell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveOrder {
    #[serde(default)]
    to: Option<CellId>,
}

pub(super) async fn change(
    OfOperators(_): OfOperators,
    State(front): State<Front>,
    path: PathText,
    body: Body,
) -> Result<Json<Move>, Problem> {
    let axum::extract::Path(text) =
        path.map_err(|error| Problem::bad_request(error.body_text()))?;
    let (name, MoveOrder { to }) = (AtSign::parse(&text)?, json(body)?);
    Ok(Json(front.registrar.move_identity(name, to).await?))
}

fn labels(text: &str) -> Result<Labels, Problem> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let labels: Option<Labels> = pairs
        .take(CELL_LABELS_MAX + 1)
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    labels.filter(|labels| labels.len() <= CELL_LABELS_MAX).ok_or_else(|| {
        Problem::bad_request(format!("'needs' has at most {CELL_LABELS_MAX} of LABEL=VALUE"))
    })
}
