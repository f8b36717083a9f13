//! Where one identity is, proven: for clients that trust the registrar's key and not this replica.
//! Only what this directory was told itself can be proven; its parent follows another registrar.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::asker::Asker;
use super::name::Name;
use super::problem::Problem;
use crate::horizon::Horizon;

pub(super) async fn show(
    State(Horizon { directory, parent }): State<Horizon>,
    asker: Asker,
    name: Result<Name, Problem>,
) -> Result<impl IntoResponse, Problem> {
    let Name(name) = name?;
    directory.must_answer().await?;
    // Making a proof hashes a few kilobytes.
    let Some(evidence) = directory.evidence(&name).await.map_err(Problem::not_provable)? else {
        return Err(match parent {
            Some(_) => Problem::not_ours(format!("{name} is not among this directory's own names")),
            None => {
                asker.missed(1).await;
                Problem::unknown_identity(format!("the directory knows no {name}"))
            }
        });
    };
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(evidence)))
}
