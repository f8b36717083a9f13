//! Where one identity is.

use std::num::NonZeroU16;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::{Address, AtSign, Epoch, HostName};
use serde::Serialize;

use super::asker::Asker;
use super::name::Name;
use super::parent_unanswered;
use super::problem::Problem;
use crate::horizon::{Found, Horizon};
use crate::limits::HTTPS_AGE_MAX;
use crate::session::Outcome;

/// What is told about an identity.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    identity: AtSign,
    host: HostName,
    port: NonZeroU16,
    /// What is not said of a name that is the parent's.
    #[serde(flatten)]
    own: Option<Own>,
}

/// What a directory says of its own names alone.
#[derive(Debug, Serialize)]
struct Own {
    epoch: Epoch,
    /// The change up to which the directory knew everything, at least, when it said so.
    generation: u64,
}

impl Record {
    /// Looks an identity up, here and then beyond, and counts that.
    pub(super) async fn find(
        horizon: &Horizon,
        identity: AtSign,
        generation: u64,
    ) -> Result<Option<Self>, Problem> {
        let found = horizon.find(&identity).await.map_err(|error| parent_unanswered(&error))?;
        let outcome = if found.is_some() { Outcome::Found } else { Outcome::Unknown };
        horizon.directory.counts.lookup(outcome);
        Ok(found.map(|found| {
            let (Address { host, port }, own) = match found {
                Found::Here(address, epoch) => (address, Some(Own { epoch, generation })),
                Found::Beyond(address) => (address, None),
            };
            Self { identity, host, port, own }
        }))
    }

    /// Changes with the record and with nothing else, and is the same at every replica.
    fn tag(&self) -> String {
        let epoch = self.own.as_ref().map_or(0, |own| own.epoch.number());
        format!("\"{}:{};{epoch}\"", self.host, self.port)
    }
}

pub(super) async fn show(
    State(horizon): State<Horizon>,
    asker: Asker,
    name: Result<Name, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Name(name) = name?;
    horizon.directory.must_answer().await?;
    // Read before the record, so that it never promises more than the record knows.
    let generation = horizon.directory.status().number;
    let Some(record) = Record::find(&horizon, name.clone(), generation).await? else {
        asker.missed(1).await;
        return Err(Problem::unknown_identity(format!("the directory knows no {name}")));
    };
    let tag = record.tag();
    let mut response = match is_known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(record).into_response(),
    };
    let age = format!("public, max-age={}", HTTPS_AGE_MAX.as_secs());
    for (name, value) in [(header::ETAG, tag), (header::CACHE_CONTROL, age)] {
        // Host names are ASCII, so this cannot fail.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Whether the client has what it asks for (RFC 9110, section 13.1.2). No tag of ours has a comma.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tags.any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}
