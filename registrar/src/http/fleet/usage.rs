//! What an identity used, for operators.

use axum::Json;
use axum::extract::State;
use protocol::{AtSign, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Asked, Problem, query};
use crate::fleet::UsageView;
use crate::http::Front;
use crate::http::token::OfOperators;

/// Whose, and since when.
#[derive(Debug, Deserialize)]
pub(super) struct Whose {
    identity: String,
    /// In milliseconds since 1970; without it, all that is kept.
    #[serde(default)]
    from: i64,
}

/// Her rows, oldest first.
#[derive(Serialize)]
pub(super) struct Answer {
    identity: AtSign,
    rows: Vec<UsageView>,
}

pub(super) async fn usage(
    OfOperators(fleet): OfOperators,
    State(front): State<Front>,
    asked: Asked<Whose>,
) -> Result<Json<Answer>, Problem> {
    let Whose { identity, from } = query(asked)?;
    let identity = AtSign::parse(&identity)?;
    if front.registrar.show(&identity).await?.is_none() {
        return Err(Problem::unknown(format!("{identity} is not registered")));
    }
    let rows = fleet.usage_of(&identity, Timestamp(from)).await?;
    Ok(Json(Answer { identity, rows }))
}
