//! For routers.

use axum::Json;
use protocol::control::routes::Routes;

use super::{Asked, Problem, Stand, query};
use crate::http::token::OfRouters;

pub(super) async fn routes(
    OfRouters(fleet): OfRouters,
    asked: Asked<Stand>,
) -> Result<Json<Routes>, Problem> {
    Ok(Json(fleet.routes(&query(asked)?.into()).await?))
}
