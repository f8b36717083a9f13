//! The small HTTPS pair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use common::{LIMITS, SOON, World, at, listener};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use net::drain::Drain;
use net::gate::{AcceptLimits, Gate, Refusal};
use net::https::{BoundedBody, HttpsClient, HttpsError, Peer, UrlError, parse_url, serve_http};
use protocol::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Answers with what it got; `/slow` takes half a second.
async fn describe(request: Request<BoundedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/slow" {
        sleep(Duration::from_millis(500)).await;
    }
    let peer = head.extensions.get::<Peer>().expect("the peer is known").0;
    let token = head.headers.get("authorization").map_or("none", |v| v.to_str().unwrap());
    let (status, body) = match body.collect().await {
        Ok(body) => (StatusCode::OK, body.to_bytes()),
        Err(e) => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::from(e.to_string())),
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    let text = format!("{} {} {token} {} {body}", head.method, head.uri, peer.ip());
    Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
}

struct Running {
    world: World,
    address: SocketAddr,
    gate: Gate,
    drain: Drain,
}

async fn serve(is_tls: bool, limits: AcceptLimits) -> Running {
    let (world, (listener, address)) = (World::new(), listener().await);
    let (gate, drain) = (Gate::new(limits), Drain::new());
    let tls = is_tls.then(|| world.server_tls());
    let service = tower::service_fn(describe);
    drain.spawn(serve_http(listener, tls, service, gate.clone(), drain.clone()));
    Running { world, address, gate, drain }
}

impl Running {
    fn client(&self) -> HttpsClient {
        HttpsClient::new(self.world.client_tls())
    }

    fn at(&self) -> Address {
        at("localhost", self.address)
    }
}

#[tokio::test]
async fn a_request_arrives_with_its_token_and_body_and_is_answered() {
    let running = serve(true, LIMITS).await;
    let client = running.client();
    let answer = client.get(&running.at(), "/a?b=c", None).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(String::from_utf8(answer.body).unwrap(), "GET /a?b=c none 127.0.0.1 ");
    let body = Some(&["x", "y"]);
    let answer = client.request(Method::POST, &running.at(), "/p", Some("secret"), body).await;
    let text = String::from_utf8(answer.unwrap().body).unwrap();
    assert_eq!(text, "POST /p Bearer secret 127.0.0.1 [\"x\",\"y\"]");
}

#[tokio::test]
async fn requests_in_a_row_share_a_connection() {
    let running = serve(true, LIMITS).await;
    let client = running.client();
    for _ in 0..20 {
        client.clone().get(&running.at(), "/", None).await.unwrap();
    }
    let mut metrics = net::telemetry::Metrics::default();
    running.gate.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    assert!(text.contains("accepted_total 1\n"), "{text}");
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_not_taken() {
    let running = serve(true, LIMITS).await;
    let large = "x".repeat(1024 * 1024);
    let answer = running
        .client()
        .request(Method::POST, &running.at(), "/", None, Some(&large))
        .await
        .unwrap();
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn plain_http_is_for_listeners_that_want_it() {
    let running = serve(false, LIMITS).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with("GET /metrics none 127.0.0.1 "), "{text}");
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let running = serve(false, LIMITS).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(20_000));
    client.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    drop(timeout(SOON, client.read_to_end(&mut text)).await.unwrap());
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let running = serve(true, AcceptLimits { connections_max: 1, ..LIMITS }).await;
    let _held = TcpStream::connect(running.address).await.unwrap();
    while running.gate.connections() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let refused = running.client().get(&running.at(), "/", None).await;
    assert!(matches!(refused, Err(HttpsError::Dial(_))), "{refused:?}");
    assert_eq!(running.gate.refused(Refusal::Full), 1);
}

#[tokio::test]
async fn a_drain_finishes_requests_and_closes_idle_connections() {
    let running = serve(true, LIMITS).await;
    let (busy, idle) = (running.client(), running.client());
    idle.get(&running.at(), "/", None).await.unwrap();
    let target = running.at();
    let answer = tokio::spawn(async move { busy.get(&target, "/slow", None).await });
    while running.gate.connections() < 2 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(200)).await;
    running.drain.start();
    assert!(running.drain.finished(SOON).await);
    assert_eq!(answer.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_server_that_went_away_is_noticed_before_the_next_request() {
    let running = serve(true, LIMITS).await;
    let client = running.client();
    client.get(&running.at(), "/", None).await.unwrap();
    running.drain.start();
    assert!(running.drain.finished(SOON).await);
    let gone = client.get(&running.at(), "/", None).await;
    assert!(matches!(gone, Err(HttpsError::Dial(_))), "{gone:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_at_the_deadline() {
    let running = serve(true, LIMITS).await;
    let client = running.client().with_deadline(Duration::from_millis(100));
    let late = client.get(&running.at(), "/slow", None).await;
    assert!(matches!(late, Err(HttpsError::Deadline)), "{late:?}");
}

#[tokio::test]
async fn an_answer_larger_than_the_client_takes_is_refused() {
    let running = serve(true, LIMITS).await;
    let client = running.client().with_answer_bytes_max(10);
    let refused = client.get(&running.at(), "/", None).await;
    assert!(matches!(refused, Err(HttpsError::Answer(_))), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_written_as_a_request_is_refused() {
    let running = serve(true, LIMITS).await;
    let client = running.client();
    for (path, token) in [("/a b", None), ("/", Some("line\nbreak"))] {
        let refused = client.get(&running.at(), path, token).await;
        assert!(matches!(refused, Err(HttpsError::Request(_))), "{path} {refused:?}");
    }
}

#[test]
fn a_url_names_a_server_and_nothing_more() {
    let address = |text: &str| parse_url(text).map(|a| a.to_string());
    assert_eq!(address("https://localhost:8443"), Ok("localhost:8443".into()));
    assert_eq!(address("https://localhost:8443/"), Ok("localhost:8443".into()));
    assert_eq!(address("https://registrar.example"), Ok("registrar.example:443".into()));
    assert_eq!(address("http://localhost:1"), Err(UrlError::Scheme));
    assert_eq!(address("https://localhost:1/v1"), Err(UrlError::Path));
    assert!(matches!(address("https://a b"), Err(UrlError::Address(_))));
    assert!(matches!(address("https://user@host:1"), Err(UrlError::Address(_))));
}
