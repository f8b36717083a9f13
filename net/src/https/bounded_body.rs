//! A request's body, bounded in bytes and in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_BODY_DEADLINE};

/// What a service gets as its request's body. Its size is counted as it comes, and its deadline
/// runs from the first time that it is asked for.
#[derive(Debug)]
pub struct BoundedBody {
    inner: Incoming,
    bytes_left: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More than is taken here.
    #[error("the body is larger than {HTTP_BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// Too slow.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

impl BoundedBody {
    pub(super) fn new(inner: Incoming) -> Self {
        Self { inner, bytes_left: HTTP_BODY_BYTES_MAX, deadline: None }
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(HTTP_BODY_DEADLINE)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(BodyError::Broken)?;
        let count = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match this.bytes_left.checked_sub(count) {
            Some(left) => {
                this.bytes_left = left;
                Ok(frame)
            }
            None => Err(BodyError::TooLarge),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
