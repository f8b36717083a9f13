//! Where several identities are.

use std::collections::HashSet;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::AtSign;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::asker::Asker;
use super::identity::Record;
use super::problem::{Invalid, Problem};
use crate::horizon::Horizon;
use crate::limits::{
    HTTPS_BODY_BYTES_MAX, HTTPS_BODY_DEADLINE, HTTPS_LOOKUP_BEYOND_MAX, HTTPS_LOOKUP_NAMES_MAX,
};

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
    State(horizon): State<Horizon>,
    asker: Asker,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let body = read(body).await?;
    let names = parse(&body)?;
    horizon.directory.must_answer().await?;
    let answer = find_all(&horizon, names).await?;
    asker.missed(answer.unknown.len()).await;
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Json(answer)))
}

/// A name's place in the question, and what was found.
type Asked = (usize, Result<Option<Record>, Problem>);

/// Looks all of them up. Of those that the parent is asked for a few are on their way at a time, and
/// the first that it does not answer ends all.
async fn find_all(horizon: &Horizon, names: Vec<AtSign>) -> Result<Answer, Problem> {
    let generation = horizon.directory.status().number;
    let mut records: Vec<Option<Record>> = Vec::new();
    records.resize_with(names.len(), || None);
    let mut beyond = JoinSet::new();
    for (at, name) in names.iter().enumerate() {
        let name = name.clone();
        if !horizon.asks_beyond(&name) {
            put(&mut records, (at, Record::find(horizon, name, generation).await))?;
            continue;
        }
        if beyond.len() >= HTTPS_LOOKUP_BEYOND_MAX {
            put_next(&mut records, &mut beyond).await?;
        }
        let horizon = horizon.clone();
        beyond.spawn(async move { (at, Record::find(&horizon, name, generation).await) });
    }
    while !beyond.is_empty() {
        put_next(&mut records, &mut beyond).await?;
    }
    let mut answer = Answer::default();
    for (name, record) in names.into_iter().zip(records) {
        match record {
            Some(record) => answer.found.push((name, record)),
            None => answer.unknown.push(name),
        }
    }
    Ok(answer)
}

async fn put_next(
    records: &mut [Option<Record>],
    beyond: &mut JoinSet<Asked>,
) -> Result<(), Problem> {
    match beyond.join_next().await {
        Some(Ok(asked)) => put(records, asked),
        Some(Err(error)) => Err(Problem::parent_unanswered(error)),
        None => Ok(()),
    }
}

fn put(records: &mut [Option<Record>], (at, found): Asked) -> Result<(), Problem> {
    let found = found?;
    if let Some(place) = records.get_mut(at) {
        *place = found;
    }
    Ok(())
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
