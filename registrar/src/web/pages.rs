//! The pages as values; their text is in `templates`.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::Address;

use super::form::Hidden;
use crate::http::Problem;

/// No script, no foreign source, no frame; the form goes back to where it came from.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                       base-uri 'none'; frame-ancestors 'none'";

/// What this is, and the form.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct IndexPage<'a> {
    pub(super) directory: &'a Address,
    pub(super) form: &'a Hidden,
    /// What was typed.
    pub(super) identity: &'a str,
    pub(super) needs_token: bool,
    pub(super) problem: Option<&'a Problem>,
}

/// An identity was registered.
#[derive(Template)]
#[template(path = "registered.html")]
pub(super) struct RegisteredPage<'a> {
    pub(super) identity: &'a str,
    pub(super) address: &'a Address,
    pub(super) directory: &'a Address,
    pub(super) activation_secret: &'a str,
    /// An `<svg>` element of ours.
    pub(super) qr: Option<String>,
    pub(super) has_ca: bool,
}

/// A problem without a form.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) problem: &'a Problem,
}

/// A page as a response. Nothing of it may be kept: it shows a secret, or a form that gets old.
pub(super) fn respond(status: StatusCode, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With "no-referrer" browsers would post the form with the origin "null".
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
