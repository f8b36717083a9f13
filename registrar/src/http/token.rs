//! Who may use the API.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use net::https::bearer_token;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Front, Problem};
use crate::limits::ADMIN_TOKEN_BYTES_MIN;

/// Knows the admin token when it sees it; does not keep it.
pub struct AdminToken {
    digest: [u8; 32],
}

/// A token that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an admin token has at least {ADMIN_TOKEN_BYTES_MIN} characters, without spaces at its ends"
)]
pub struct AdminTokenError;

/// Proof that a request carries the admin token.
pub(crate) struct Admin(());

impl AdminToken {
    /// Takes the token's text.
    ///
    /// # Errors
    /// [`AdminTokenError`] if it is too short.
    pub fn parse(text: &str) -> Result<Self, AdminTokenError> {
        if text.len() < ADMIN_TOKEN_BYTES_MIN || text.trim() != text {
            return Err(AdminTokenError);
        }
        Ok(Self { digest: digest(text) })
    }

    /// Whether `text` is the token; takes the same time whatever it is.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.digest.ct_eq(&digest(text)).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(not shown)")
    }
}

impl FromRequestParts<Front> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        match bearer_token(&parts.headers) {
            Some(token) if front.config.admin.is(token) => Ok(Self(())),
            Some(_) => Err(Problem::no_token("the token is wrong")),
            None => Err(Problem::no_token("the request carries no token")),
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_token_knows_itself_and_nothing_else() {
        let token = AdminToken::parse("0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef "] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "AdminToken(not shown)");
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        for text in ["", "short", "              16", "0123456789abcdef\n"] {
            assert_eq!(AdminToken::parse(text).map(drop), Err(AdminTokenError), "{text:?}");
        }
    }
}
