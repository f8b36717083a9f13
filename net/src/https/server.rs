//! The server: one connection after another from the gate, each served by a tower service.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::bounded_body::BoundedBody;
use super::patient_io::PatientIo;
use crate::accept;
use crate::drain::Drain;
use crate::gate::Gate;
use crate::handshake::prepare;
use crate::limits::{
    HANDSHAKE_TURN, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_DEADLINE, HTTP_HEADERS_MAX, LAST_REQUEST,
};
use crate::tls::ServerTls;

/// Who sent a request; found among the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves HTTP/1.1 until the drain begins, and then who had connected and not asked yet, over TLS or, for a listener that only this machine
/// reaches, without. Requests that are being answered then are answered to their end.
///
/// The service is a tower service, such as an axum router.
pub async fn serve_http<S, B>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    service: S,
    gate: impl Into<Gate>,
    drain: Drain,
) where
    S: Clone + Send + Sync + 'static,
    TowerToHyperService<S>: HttpService<B>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let gate = gate.into();
    while let Some((stream, peer, permit)) = accept::next(&listener, &gate, &drain).await {
        let service = TowerToHyperService::new(service.clone());
        let (tls, gate, ending) = (tls.clone(), gate.clone(), drain.clone());
        drain.spawn(async move {
            let _permit = permit;
            let Some(tls) = tls else {
                if prepare(&stream).is_ok() {
                    serve_connection(stream, peer, service, ending).await;
                }
                return;
            };
            let stream = tokio::select! {
                stream = gate.handshake(stream, &tls) => stream,
                () = ending.draining_for(HANDSHAKE_TURN) => return,
            };
            if let Ok(stream) = stream {
                serve_connection(stream, peer, service, ending).await;
            }
        });
    }
}

/// A service that answers every request with a response.
pub trait HttpService<B>:
    Service<Request<BoundedBody>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> HttpService<B> for S where
    S: Service<Request<BoundedBody>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

async fn serve_connection<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    service: impl HttpService<B>,
    ending: Drain,
) where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let asked = CancellationToken::new();
    let is_asked = asked.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        is_asked.cancel();
        request.extensions_mut().insert(Peer(peer));
        service.call(request.map(BoundedBody::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_DEADLINE)
        .max_header_size(HTTP_HEAD_BYTES_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .serve_connection(TokioIo::new(PatientIo::new(stream)), service);
    let mut connection = pin!(connection);
    // Who has come and not asked yet may still do so, once.
    let end = async {
        ending.draining().await;
        tokio::select! {
            () = asked.cancelled() => {}
            () = ending.draining_for(LAST_REQUEST) => {}
        }
    };
    // How a connection ends is the client's affair; the service has counted what it answered.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = end => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;

    use crate::limits::{HTTP_BODY_DEADLINE, WRITE_GRACE};
    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    /// Answers with the body's length or its error, and a mebibyte on `/large`.
    #[derive(Clone)]
    struct Echo;

    impl Service<Request<BoundedBody>> for Echo {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future =
            std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn call(&self, request: Request<BoundedBody>) -> Self::Future {
            Box::pin(async move {
                let is_large = request.uri().path() == "/large";
                let text = match request.into_body().collect().await {
                    Ok(_) if is_large => "x".repeat(1 << 20),
                    Ok(body) => body.to_bytes().len().to_string(),
                    Err(e) => e.to_string(),
                };
                Ok(Response::new(Full::from(text)))
            })
        }
    }

    fn serve() -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = duplex(4096);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let served = tokio::spawn(serve_connection(server, peer, Echo, Drain::new()));
        (client, served)
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripped_head_ends_at_its_deadline() {
        let (mut client, served) = serve();
        let began = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        assert!(began.elapsed() <= HTTP_HEAD_DEADLINE + Duration::from_secs(2));
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_next_request_ends_at_the_same_deadline() {
        let (mut client, served) = serve();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let began = Instant::now();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(began.elapsed() <= HTTP_HEAD_DEADLINE + Duration::from_secs(2));
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripped_body_ends_at_its_deadline() {
        let (mut client, served) = serve();
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
        client.write_all(head).await.unwrap();
        let (mut answer, mut drip) = tokio::io::split(client);
        let dripping = tokio::spawn(async move {
            while drip.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        let mut text = String::new();
        answer.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("the body came too slowly"), "{text}");
        assert!(began.elapsed() <= HTTP_BODY_DEADLINE + Duration::from_secs(2));
        served.await.unwrap();
        dripping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_its_answer_is_dropped() {
        let (mut client, served) = serve();
        client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let began = Instant::now();
        served.await.unwrap();
        assert!(began.elapsed() <= WRITE_GRACE + Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_gets_its_whole_answer() {
        let (mut client, served) = serve();
        client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut count = 0;
        let mut space = [0; 2048];
        while count < 1 << 20 {
            count += client.read(&mut space).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        drop(client);
        served.await.unwrap();
    }
}
