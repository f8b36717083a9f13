//! Pages of any site may ask: what the directory says is public, and nobody has a session here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::limits::HTTPS_PREFLIGHT_AGE_MAX;

const METHODS: &str = "GET, HEAD, POST";
/// What is beyond the headers that a page may send unasked.
const SENT: &str = "Content-Type, If-None-Match";
/// What is beyond the headers that a page may read unasked.
const READ: &str = "Allow, ETag, Retry-After";

/// Answers a browser that asks whether it may ask.
pub(super) async fn preflight() -> Response {
    let age = HeaderValue::from(HTTPS_PREFLIGHT_AGE_MAX.as_secs());
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT)),
        (header::ACCESS_CONTROL_MAX_AGE, age),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

pub(super) async fn open_to_all(mut response: Response) -> Response {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, READ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
