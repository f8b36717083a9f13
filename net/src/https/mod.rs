//! A small HTTPS client and server, HTTP/1.1 only: for the registrar's API, the feed and metrics.

mod bounded_body;
mod client;
mod patient_io;
mod server;

pub use bounded_body::{BodyError, BoundedBody};
pub use client::{HttpAnswer, HttpsClient, HttpsError, UrlError, parse_url};
pub use http::Method;
pub use server::{Peer, serve_http};
