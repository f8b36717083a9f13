//! Requests to a service on this machine that listens on a Unix socket: one connection each, and
//! never more bytes than were allowed, whatever the service sends.

use std::error::Error;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::limits::UNIX_CONNECTION_MAX;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum UnixHttpError {
    /// Nobody listens there, or this user may not connect.
    #[error("the socket cannot be connected to")]
    Connect(#[source] io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke before the whole answer was there")]
    Broken(#[source] hyper::Error),
}

/// Sends a request whose URI is a path, and gives the answer once its head is there. Head and body
/// have at most `answer_bytes_max` bytes together; the body fails beyond that. The caller sets the
/// deadline.
///
/// # Errors
/// [`UnixHttpError`].
pub async fn request<B>(
    socket: &Path,
    mut request: Request<B>,
    answer_bytes_max: usize,
) -> Result<Response<Incoming>, UnixHttpError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = UnixStream::connect(socket).await.map_err(UnixHttpError::Connect)?;
    let io = TokioIo::new(Bounded { stream, bytes_left: answer_bytes_max });
    let (mut sender, connection) = http1::handshake(io).await.map_err(UnixHttpError::Broken)?;
    // It ends with its sender and the answer's body, which tell of any error, or in the end by
    // itself.
    drop(tokio::spawn(timeout(UNIX_CONNECTION_MAX, connection)));
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    sender.send_request(request).await.map_err(UnixHttpError::Broken)
}

/// Gets a whole answer: its status and its body, of at most `answer_bytes_max` bytes with its head.
/// The caller sets the deadline.
///
/// # Errors
/// [`UnixHttpError`].
pub async fn get(
    socket: &Path,
    path: &Uri,
    answer_bytes_max: usize,
) -> Result<(u16, Bytes), UnixHttpError> {
    let mut asked = Request::new(Empty::<Bytes>::new());
    *asked.uri_mut() = path.clone();
    let answer = request(socket, asked, answer_bytes_max).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(UnixHttpError::Broken)?;
    Ok((status, body.to_bytes()))
}

/// A stream that gives no more than so many bytes.
#[derive(Debug)]
struct Bounded {
    stream: UnixStream,
    bytes_left: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len().saturating_sub(before);
        match self.bytes_left.checked_sub(count) {
            Some(left) => {
                self.bytes_left = left;
                read
            }
            None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the answer is larger than is taken here",
            ))),
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
