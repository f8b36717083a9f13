//! The document that describes the front to programs: OpenAPI 3.1.

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn show() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, DOCUMENT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::super::path;
    use super::DOCUMENT;
    use crate::limits::HTTPS_LOOKUP_NAMES_MAX;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, path::ALL);
    }

    #[test]
    fn the_document_names_the_limit_that_holds() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let names = &document["components"]["schemas"]["Question"]["properties"]["identities"];
        assert_eq!(names["maxItems"], HTTPS_LOOKUP_NAMES_MAX);
    }
}
