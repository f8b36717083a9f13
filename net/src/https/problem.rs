//! What a server answers when it does not answer: RFC 9457, and how to fix it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// A problem as a client sees it.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// Stable: programs may compare it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    /// What went wrong this time.
    pub detail: String,
    /// What to do about it.
    pub fix: &'static str,
    /// When it may go better.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// The answer. `body` is the problem, alone or with members of one kind's own.
    pub fn answer(&self, body: &impl Serialize) -> Response<Full<Bytes>> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        // What is wrong now may be right in the next moment.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(pause) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_when_to_come_again_and_how_to_be_let_in() {
        let mut problem = Problem {
            kind: "urn:warren:problem:busy",
            title: "Busy",
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: "there is much to do".to_owned(),
            fix: "Wait.",
            retry_after: Some(Duration::from_secs(5)),
        };
        let said = serde_json::json!({
            "type": "urn:warren:problem:busy", "title": "Busy", "status": 503,
            "detail": "there is much to do", "fix": "Wait.",
        });
        assert_eq!(serde_json::to_value(&problem).ok(), Some(said));
        let answer = problem.answer(&problem);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
        assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE));

        (problem.status, problem.retry_after) = (StatusCode::UNAUTHORIZED, None);
        let answer = problem.answer(&problem);
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert!(!answer.headers().contains_key(header::RETRY_AFTER));
    }
}
