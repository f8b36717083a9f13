//! A small HTTPS client and server, HTTP/1.1 only: for the registrar's API, the feed and metrics.

mod bearer;
mod bounded_body;
mod client;
mod patient_io;
mod problem;
mod server;
mod upstream;

pub use bearer::bearer_token;
pub use bounded_body::{BodyError, BoundedBody};
pub use client::{HttpAnswer, HttpsClient, HttpsError, UrlError, parse_url};
pub use http::Method;
pub use problem::Problem;
pub use server::{Peer, serve_http};
pub use upstream::{Upstream, UpstreamError};
