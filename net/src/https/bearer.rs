//! Who a request says it comes from.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The token of an `Authorization: Bearer` line, if there is one.
#[must_use]
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn token_in(line: &[u8]) -> Option<String> {
        let value = http::HeaderValue::from_bytes(line).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn a_token_stands_behind_its_scheme_and_nowhere_else() {
        assert_eq!(bearer_token(&HeaderMap::new()), None);
        for line in ["Bearer 0123", "bearer   0123", "BEARER 0123 "] {
            assert_eq!(token_in(line.as_bytes()).as_deref(), Some("0123"), "{line:?}");
        }
        for line in ["", "0123", "Bearer", "Bearer:0123", "Basic 0123", " Bearer 0123"] {
            assert_eq!(token_in(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(token_in(b"Bearer \xff"), None);
    }
}
