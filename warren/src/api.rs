//! The registrar's API, from a client's side.

mod fleet;

use std::path::PathBuf;
use std::time::Duration;

use net::https::{HttpAnswer, HttpsClient, HttpsError, Method, parse_url};
use net::tls::{ClientTls, TrustRoots};
use protocol::{Address, AtSign, RegistrationId};
use registrar::Tier;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::args::Connection;
use crate::data_dir::DataDir;
use crate::endpoints::Endpoints;
use crate::failure::{Exit, Failure, chain};
use crate::files::read_token;

pub use fleet::{CellView, EmptyingView, NewCell, NodeView, PlacementView, SwarmView};

/// How often a registration is asked for again when no answer came. Asking with the same
/// registration id does it once.
const TRIES: u32 = 3;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// A registrar that we have the token of.
pub struct Api {
    https: HttpsClient,
    registrar: Address,
    token: String,
}

/// A registration that is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registered {
    pub identity: AtSign,
    pub address: Address,
    pub activation_secret: String,
}

/// One page of identities.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub identities: Vec<Map<String, Value>>,
    #[serde(default)]
    pub next: Option<String>,
}

/// What `application/problem+json` carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    fix: Option<String>,
}

impl Api {
    /// Finds the registrar; no connection is made yet.
    pub fn connect(connection: &Connection) -> Result<Self, Failure> {
        let (url, ca_file, token_file) = find(connection)?;
        let registrar = parse_url(&url).map_err(|error| {
            Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
        })?;
        let roots = TrustRoots::from_pem_file(&ca_file).map_err(|error| {
            Failure::from_error(Exit::Usage, &error)
                .fix("pass --ca-file with the authorities to trust")
        })?;
        let tls = ClientTls::new(&roots, None)
            .map_err(|error| Failure::from_error(Exit::Failed, &error))?;
        Ok(Self { https: HttpsClient::new(tls), registrar, token: read_token(&token_file)? })
    }

    /// Registers a name. Repeats a request that got no answer.
    pub async fn register(&self, identity: &AtSign, tier: Tier) -> Result<Registered, Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
        let mut body = serde_json::json!({
            "identity": identity,
            "registration": RegistrationId::from_bytes(id),
        });
        if tier != Tier::Shared {
            body["tier"] = serde_json::json!(tier);
        }
        for _ in 1..TRIES {
            match self.ask(Method::POST, "/v1/identities", Some(&body)).await {
                Err(failure) if matches!(failure.exit, Exit::Unavailable | Exit::TimedOut) => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return parsed(&answer?),
            }
        }
        parsed(&self.ask(Method::POST, "/v1/identities", Some(&body)).await?)
    }

    pub async fn show(&self, identity: &AtSign) -> Result<Map<String, Value>, Failure> {
        self.get(&format!("/v1/identities/{}", encode(identity))).await
    }

    pub async fn list(&self, after: Option<&str>) -> Result<Page, Failure> {
        let path = match after {
            Some(name) => format!("/v1/identities?after={}", percent_encode(name)),
            None => "/v1/identities".to_owned(),
        };
        self.get(&path).await
    }

    pub async fn delete(&self, identity: &AtSign) -> Result<(), Failure> {
        let path = format!("/v1/identities/{}", encode(identity));
        self.ask(Method::DELETE, &path, None).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parsed(&self.ask(Method::GET, path, None).await?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpAnswer, Failure> {
        let answer = self
            .https
            .request(method, &self.registrar, path, Some(&self.token), body)
            .await
            .map_err(|error| self.unanswered(&error))?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(problem(&answer)) }
    }

    fn unanswered(&self, error: &HttpsError) -> Failure {
        let what = format!("the registrar at {} does not answer: {}", self.registrar, chain(error));
        Failure::new(Exit::Unavailable, what)
            .fix("check that warren up runs on this data directory, and --registrar and --ca-file")
    }
}

fn find(connection: &Connection) -> Result<(String, PathBuf, PathBuf), Failure> {
    let Connection { registrar, ca_file, token_file, .. } = connection;
    if let (Some(registrar), Some(ca_file), Some(token_file)) = (registrar, ca_file, token_file) {
        return Ok((registrar.clone(), ca_file.clone(), token_file.clone()));
    }
    let dir = DataDir::resolve(connection.data_dir.data_dir.as_deref())?;
    let found = Endpoints::read(&dir)?;
    Ok((
        registrar.clone().unwrap_or(found.registrar),
        ca_file.clone().unwrap_or(found.ca_file),
        token_file.clone().unwrap_or(found.admin_token_file),
    ))
}

fn parsed<T: DeserializeOwned>(answer: &HttpAnswer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        Failure::new(Exit::Failed, format!("the registrar's answer is not understood: {error}"))
            .fix("use the same version of warren on both ends")
    })
}

fn problem(answer: &HttpAnswer) -> Failure {
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    let exit = match answer.status {
        400 | 422 => Exit::Usage,
        401 | 403 => Exit::Refused,
        404 => Exit::NotFound,
        409 => Exit::Conflict,
        408 | 504 => Exit::TimedOut,
        429 | 502 | 503 => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let what = match (problem.detail.as_str(), problem.title.as_str()) {
        ("", "") => format!("the registrar answers with status {}", answer.status),
        ("", title) => title.to_owned(),
        (detail, _) => detail.to_owned(),
    };
    // The text may come from a foreign server: nothing in it may steer a terminal.
    let clean =
        |text: String| text.chars().filter(|c| !c.is_control()).take(500).collect::<String>();
    let failure = Failure::new(exit, clean(what));
    match problem.fix {
        Some(fix) => failure.fix(clean(fix)),
        None => failure,
    }
}

fn encode(identity: &AtSign) -> String {
    percent_encode(&identity.to_string())
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
