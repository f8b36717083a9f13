//! Where one identity is.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::{Address, AtSign, Epoch, HostName};
use serde::Serialize;

use super::name::Name;
use super::problem::Problem;
use crate::directory::Directory;
use crate::limits::HTTPS_AGE_MAX;
use crate::session::Outcome;

/// What is told about an identity.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    identity: AtSign,
    host: HostName,
    port: NonZeroU16,
    epoch: Epoch,
    /// The change up to which the directory knew everything, at least, when it said so.
    generation: u64,
}

impl Record {
    /// Looks an identity up, and counts that.
    pub(super) fn find(directory: &Directory, identity: AtSign, generation: u64) -> Option<Self> {
        let found = directory.record(&identity);
        directory.counts.lookup(if found.is_some() { Outcome::Found } else { Outcome::Unknown });
        found.map(|(Address { host, port }, epoch)| Self {
            identity,
            host,
            port,
            epoch,
            generation,
        })
    }

    /// Changes with the record and with nothing else, and is the same at every replica.
    fn tag(&self) -> String {
        format!("\"{}:{};{}\"", self.host, self.port, self.epoch.number())
    }
}

pub(super) async fn show(
    State(directory): State<Arc<Directory>>,
    name: Result<Name, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Name(name) = name?;
    directory.must_answer().await?;
    // Read before the record, so that it never promises more than the record knows.
    let generation = directory.status().number;
    let unknown = || Problem::unknown_identity(format!("the directory knows no {name}"));
    let record = Record::find(&directory, name.clone(), generation).ok_or_else(unknown)?;
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
