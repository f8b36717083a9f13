//! Requests to the registrar's service, without a socket.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use net::https::Peer;
use protocol::Address;
use registrar::{AdminToken, FrontConfig, Registrar, WebRegistration};
use serde_json::Value;
use tower::ServiceExt;

pub const TOKEN: &str = "a-token-for-the-tests";
pub const FEED_TOKEN: &str = "a-token-for-the-feed-alone";

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The kind of the problem, of which every member must be there.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        for member in ["title", "detail", "fix"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        problem["type"].as_str().unwrap().strip_prefix("urn:warren:problem:").unwrap().to_owned()
    }
}

pub fn service(registrar: &Arc<Registrar>, registration: WebRegistration) -> Router {
    registrar.http(FrontConfig {
        admin: AdminToken::parse(TOKEN).unwrap(),
        feed: Some(AdminToken::parse(FEED_TOKEN).unwrap()),
        registration,
        directory: Address::parse("localhost:6400").unwrap(),
        ca_pem: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
    })
}

pub async fn send(service: &Router, request: Request<Body>) -> Answer {
    let response = service.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let (text, bytes) = (String::from_utf8_lossy(&body).into_owned(), body.to_vec());
    Answer { status, headers, body: text, bytes }
}

/// A request to the API with the admin token.
pub async fn ask(service: &Router, method: Method, path: &str, body: &str) -> Answer {
    ask_with(service, method, path, body, &[]).await
}

pub async fn ask_with(
    service: &Router,
    method: Method,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(service, request.body(Body::from(body.to_owned())).unwrap()).await
}

pub fn peer(address: &str) -> Peer {
    Peer(address.parse::<SocketAddr>().unwrap())
}
