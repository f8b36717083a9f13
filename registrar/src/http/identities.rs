//! Identities for operators and programs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use protocol::control::names::CellId;
use protocol::control::roster::IllServer;
use protocol::{AtSign, Epoch, RegistrationId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::token::Admin;
use super::{Front, Problem};
use crate::deletion::Deletion;
use crate::identities::{Identity, Page};
use crate::limits::{IDEMPOTENCY_KEY_BYTES_MAX, LIST_DEFAULT};
use crate::opening::random;
use crate::tier::Tier;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    identity: String,
    /// The same as the header `Idempotency-Key`.
    registration: Option<String>,
    /// In what kind of cell.
    #[serde(default)]
    tier: Tier,
}

/// What its owner needs to activate an identity.
#[derive(Serialize)]
pub(super) struct Handover {
    identity: String,
    address: String,
    activation_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<CellId>,
}

/// One identity, and what is wrong with her server.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    identity: Identity,
    #[serde(skip_serializing_if = "Option::is_none")]
    ill: Option<IllServer>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cursor {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    epoch: Option<Epoch>,
}

pub(super) async fn register(
    _: Admin,
    State(front): State<Front>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Handover>), Problem> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(error.body_text()),
        _ => Problem::bad_request(error.body_text()),
    })?;
    let order: Order = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    let header = headers.get("idempotency-key").map(|value| value.to_str());
    let header = header.transpose().map_err(Problem::bad_request)?;
    let id = registration_id(header.or(order.registration.as_deref()))?;
    let name = AtSign::parse(&order.identity)?;
    let registered = front.registrar.register_in(name, id, order.tier).await?;
    let handover = Handover {
        identity: registered.identity.to_string(),
        address: registered.address.to_string(),
        activation_secret: registered.activation_secret.expose().to_owned(),
        cell: registered.cell,
    };
    Ok((StatusCode::CREATED, Json(handover)))
}

pub(super) async fn list(
    _: Admin,
    State(front): State<Front>,
    cursor: Result<Query<Cursor>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(cursor) = cursor.map_err(|error| Problem::bad_request(error.body_text()))?;
    let after = cursor.after.as_deref().map(AtSign::parse).transpose()?;
    let limit = cursor.limit.unwrap_or(LIST_DEFAULT);
    Ok(Json(front.registrar.list(after.as_ref(), limit).await?))
}

pub(super) async fn show(
    _: Admin,
    State(front): State<Front>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Shown>, Problem> {
    let name = parse_name(name)?;
    let identity = front.registrar.show(&name).await?.ok_or_else(|| unknown(&name))?;
    let fleet = front.registrar.fleet.as_ref();
    let ill = fleet.zip(identity.cell).and_then(|(fleet, cell)| fleet.illness(cell, &name));
    Ok(Json(Shown { identity, ill }))
}

pub(super) async fn activation(
    _: Admin,
    State(front): State<Front>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Handover>, Problem> {
    let name = parse_name(name)?;
    let identity = front.registrar.show(&name).await?.ok_or_else(|| unknown(&name))?;
    let activation = front.registrar.activation(&name).await?;
    let state = || Problem::not_published(format!("{name} is {}", identity.state));
    let (address, secret) = activation.ok_or_else(state)?;
    Ok(Json(Handover {
        identity: name.to_string(),
        address: address.to_string(),
        activation_secret: secret.expose().to_owned(),
        cell: identity.cell,
    }))
}

pub(super) async fn delete(
    _: Admin,
    State(front): State<Front>,
    name: Result<Path<String>, PathRejection>,
    target: Result<Query<Target>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let name = parse_name(name)?;
    let Query(target) = target.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(match front.registrar.delete(name, target.epoch).await? {
        Deletion::Done => StatusCode::NO_CONTENT,
        Deletion::Unfinished => StatusCode::ACCEPTED,
    })
}

fn parse_name(path: Result<Path<String>, PathRejection>) -> Result<AtSign, Problem> {
    let Path(text) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(AtSign::parse(&text)?)
}

fn unknown(name: &AtSign) -> Problem {
    Problem::unknown(format!("{name} is not registered"))
}

/// The registration that a key stands for: 32 hexadecimal digits are it, any other text is hashed.
/// Without a key every request is a registration of its own. A key counts for one name: with two
/// names it makes two registrations.
fn registration_id(key: Option<&str>) -> Result<RegistrationId, Problem> {
    match key {
        None => Ok(RegistrationId::from_bytes(random().map_err(Problem::store)?)),
        Some("") => Err(Problem::bad_request("the Idempotency-Key is empty")),
        Some(key) if key.len() > IDEMPOTENCY_KEY_BYTES_MAX => Err(Problem::bad_request(format!(
            "an Idempotency-Key has at most {IDEMPOTENCY_KEY_BYTES_MAX} bytes"
        ))),
        Some(key) => Ok(key.parse().unwrap_or_else(|_| {
            let mut id = [0; 16];
            id.iter_mut().zip(Sha256::digest(key.as_bytes())).for_each(|(to, from)| *to = from);
            RegistrationId::from_bytes(id)
        })),
    }
}
