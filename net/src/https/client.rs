//! The client: requests to our own daemons, each within a deadline and a size.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use protocol::{Address, AddressError};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::dial::{DialError, DialPolicy, Dialer};
use crate::limits::{
    HTTP_ANSWER_BYTES_MAX, HTTP_IDLE_CONNECTIONS_MAX, HTTP_IDLE_MAX, HTTP_REQUEST_DEADLINE,
};
use crate::tls::ClientTls;

/// Sends requests over HTTPS. Cloning it shares its idle connections.
#[derive(Debug, Clone)]
pub struct HttpsClient {
    dialer: Dialer,
    deadline: Duration,
    answer_bytes_max: usize,
    idle: Arc<Mutex<Vec<Idle>>>,
}

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    address: Address,
    since: Instant,
    sender: SendRequest<Full<Bytes>>,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status, 200 to 599.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The request cannot be written: its path, its token or its body.
    #[error("the request cannot be written")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server cannot be reached.
    #[error("the server cannot be reached")]
    Dial(#[source] DialError),
    /// The connection broke before the answer was there.
    #[error("the connection broke before the answer was there")]
    Broken(#[source] hyper::Error),
    /// The answer broke off, or is larger than this client takes.
    #[error("the answer broke off or is too large")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer came in time")]
    Deadline,
}

/// Why a text is not the address of an HTTPS server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not HTTPS.
    #[error("a server's URL begins with https://")]
    Scheme,
    /// More than a server.
    #[error("a server's URL ends with its host and port: https://host:port")]
    Path,
    /// The host or the port is wrong.
    #[error("a server's URL has the form https://host:port")]
    Address(#[source] AddressError),
}

/// Reads `https://host:port`; without a port it is 443.
///
/// # Errors
/// [`UrlError`] says what is wrong.
pub fn parse_url(text: &str) -> Result<Address, UrlError> {
    let rest = text.strip_prefix("https://").ok_or(UrlError::Scheme)?;
    let server = rest.strip_suffix('/').unwrap_or(rest);
    if server.contains(['/', '?', '#']) {
        return Err(UrlError::Path);
    }
    match server.contains(':') {
        true => Address::parse(server),
        false => Address::parse(&format!("{server}:443")),
    }
    .map_err(UrlError::Address)
}

impl HttpsClient {
    /// A client that trusts what `tls` trusts and calls any address.
    #[must_use]
    pub fn new(tls: ClientTls) -> Self {
        Self::with_dialer(Dialer::new(tls, DialPolicy::Any, HTTP_REQUEST_DEADLINE))
    }

    /// A client that calls as `dialer` does.
    #[must_use]
    pub fn with_dialer(dialer: Dialer) -> Self {
        let (deadline, answer_bytes_max) = (HTTP_REQUEST_DEADLINE, HTTP_ANSWER_BYTES_MAX);
        Self { dialer, deadline, answer_bytes_max, idle: Arc::default() }
    }

    /// The same client with another deadline for a whole request, such as one that waits for news.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same client that takes answers up to this size.
    #[must_use]
    pub fn with_answer_bytes_max(&self, answer_bytes_max: usize) -> Self {
        Self { answer_bytes_max, ..self.clone() }
    }

    /// Sends a request and takes the whole answer, whatever its status. `path` begins with `/` and
    /// may have a query; `bearer` is a token; a body is sent as JSON.
    ///
    /// # Errors
    /// [`HttpsError`] if no whole answer came.
    pub async fn request(
        &self,
        method: Method,
        address: &Address,
        path: &str,
        bearer: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> Result<HttpAnswer, HttpsError> {
        let request = build(method, address, path, bearer, body)?;
        timeout(self.deadline, self.exchange(address, request))
            .await
            .unwrap_or(Err(HttpsError::Deadline))
    }

    /// A request without a body.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub async fn get(
        &self,
        address: &Address,
        path: &str,
        bearer: Option<&str>,
    ) -> Result<HttpAnswer, HttpsError> {
        self.request(Method::GET, address, path, bearer, None::<&()>).await
    }

    async fn exchange(
        &self,
        address: &Address,
        request: Request<Full<Bytes>>,
    ) -> Result<HttpAnswer, HttpsError> {
        let (sender, answer) = self.send(address, request).await?;
        let status = answer.status().as_u16();
        let body = read_body(answer.into_body(), self.answer_bytes_max).await?;
        self.keep(address, sender);
        Ok(HttpAnswer { status, body })
    }

    /// Sends on an idle connection if there is one. The server may have closed it a moment ago; as
    /// long as the request comes back unsent, the next connection takes it.
    async fn send(
        &self,
        address: &Address,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(SendRequest<Full<Bytes>>, Response<Incoming>), HttpsError> {
        while let Some(mut sender) = self.take_idle(address) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((sender, answer)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(HttpsError::Broken(failed.into_error())),
                },
            }
        }
        let mut sender = self.connect(address).await?;
        let answer = sender.send_request(request).await.map_err(HttpsError::Broken)?;
        Ok((sender, answer))
    }

    async fn connect(&self, address: &Address) -> Result<SendRequest<Full<Bytes>>, HttpsError> {
        let stream = self.dialer.dial(address).await.map_err(HttpsError::Dial)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(HttpsError::Broken)?;
        // It ends with its sender, which tells of any error.
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    fn take_idle(&self, address: &Address) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| one.since.elapsed() < HTTP_IDLE_MAX && !one.sender.is_closed());
        let found = idle.iter().rposition(|one| one.address == *address)?;
        Some(idle.swap_remove(found).sender)
    }

    fn keep(&self, address: &Address, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < HTTP_IDLE_CONNECTIONS_MAX && !sender.is_closed() {
            idle.push(Idle { address: address.clone(), since: Instant::now(), sender });
        }
    }
}

fn build(
    method: Method,
    address: &Address,
    path: &str,
    bearer: Option<&str>,
    body: Option<&impl Serialize>,
) -> Result<Request<Full<Bytes>>, HttpsError> {
    let mut request =
        Request::builder().method(method).uri(path).header(header::HOST, address.to_string());
    if let Some(token) = bearer {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|e| HttpsError::Request(e.into()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let bytes = match body {
        Some(value) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            serde_json::to_vec(value).map_err(|e| HttpsError::Request(e.into()))?
        }
        None => Vec::new(),
    };
    request.body(Full::from(bytes)).map_err(|e| HttpsError::Request(e.into()))
}

async fn read_body(body: Incoming, bytes_max: usize) -> Result<Vec<u8>, HttpsError> {
    let bounded = Limited::new(body, bytes_max);
    let whole = bounded.collect().await.map_err(HttpsError::Answer)?;
    Ok(whole.to_bytes().into())
}
