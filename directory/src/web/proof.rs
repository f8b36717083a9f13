//! Where one identity is, proven: for clients that trust the registrar's key and not this replica.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::name::Name;
use super::problem::Problem;
use crate::directory::Directory;

pub(super) async fn show(
    State(directory): State<Arc<Directory>>,
    name: Result<Name, Problem>,
) -> Result<impl IntoResponse, Problem> {
    let Name(name) = name?;
    directory.must_answer().await?;
    let unknown = || Problem::unknown_identity(format!("the directory knows no {name}"));
    // Making a proof hashes a few kilobytes.
    let evidence = directory.evidence(&name).await.map_err(Problem::not_provable)?;
    let evidence = evidence.ok_or_else(unknown)?;
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(evidence)))
}
