//! Where several identities are.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::AtSign;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::timeout;

use super::identity::Record;
use super::problem::{Invalid, Problem};
use crate::directory::Directory;
use crate::limits::{HTTPS_BODY_BYTES_MAX, HTTPS_BODY_DEADLINE, HTTPS_LOOKUP_NAMES_MAX};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    identities: Vec<String>,
}

/// Both in the order of the question; a name that was asked for twice stands there once.
#[derive(Debug, Default, Serialize)]
struct Answer {
    #[serde(serialize_with = "as_map")]
    found: Vec<(AtSign, Record)>,
    unknown: Vec<AtSign>,
}

fn as_map<S: Serializer>(found: &[(AtSign, Record)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(found.len()))?;
    for (name, record) in found {
        map.serialize_entry(name, record)?;
    }
    map.end()
}

pub(super) async fn lookup(
    State(directory): State<Arc<Directory>>,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let body = read(body).await?;
    let names = parse(&body)?;
    directory.must_answer().await?;
    let generation = directory.status().number;
    let mut answer = Answer::default();
    for name in names {
        match Record::find(&directory, name.clone(), generation) {
            Some(record) => answer.found.push((name, record)),
            None => answer.unknown.push(name),
        }
    }
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Json(answer)))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let whole = Limited::new(body, HTTPS_BODY_BYTES_MAX).collect();
    let slow = || {
        let seconds = HTTPS_BODY_DEADLINE.as_secs();
        Problem::too_slow(format!("the body was not there within {seconds} seconds"))
    };
    match timeout(HTTPS_BODY_DEADLINE, whole).await {
        Err(_) => Err(slow()),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(format!("the body has more than {HTTPS_BODY_BYTES_MAX} bytes")))
        }
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
    }
}

/// The names that are asked for, each once.
fn parse(body: &[u8]) -> Result<Vec<AtSign>, Problem> {
    let Question { identities } = serde_json::from_slice(body).map_err(Problem::bad_request)?;
    if identities.len() > HTTPS_LOOKUP_NAMES_MAX {
        let count = identities.len();
        let what = format!("{count} names were sent, {HTTPS_LOOKUP_NAMES_MAX} may be");
        return Err(Problem::too_many_names(what));
    }
    let (mut names, mut seen, mut invalid) = (Vec::new(), HashSet::new(), Vec::new());
    for (index, identity) in identities.into_iter().enumerate() {
        match AtSign::parse(&identity) {
            Ok(name) if seen.insert(name.clone()) => names.push(name),
            Ok(_) => {}
            Err(error) => invalid.push(Invalid { identity, index, reason: error.to_string() }),
        }
    }
    match invalid.len() {
        0 => Ok(names),
        count => {
            Err(Problem::bad_name(format!("{count} of the texts are no names")).naming(invalid))
        }
    }
}
