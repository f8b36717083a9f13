//! Who may use the API.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use net::https::bearer_token;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Front, Problem};
use crate::fleet::Fleet;
use crate::limits::ADMIN_TOKEN_BYTES_MIN;

/// Knows a token when it sees it, the admin's or that of a role; does not keep it.
pub struct AdminToken {
    digest: [u8; 32],
}

/// A token that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has at least {ADMIN_TOKEN_BYTES_MIN} characters, without spaces at its ends")]
pub struct AdminTokenError;

/// Proof that a request carries the admin token.
pub(crate) struct Admin(());
/// Proof that a request carries the feed's token, or the admin's.
pub(crate) struct Reader(());

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

/// The tokens of those who run the servers. None opens what is another's.
#[derive(Debug)]
pub struct FleetTokens {
    /// Of the processes that run cells.
    pub cells: AdminToken,
    /// Of the routers.
    pub routers: AdminToken,
    /// Of the agents on the machines.
    pub hosts: AdminToken,
}

/// Proof that a request carries the cells' token, and whom it may ask.
pub(crate) struct OfCells(pub(crate) Arc<Fleet>);
/// The same for routers.
pub(crate) struct OfRouters(pub(crate) Arc<Fleet>);
/// The same for agents.
pub(crate) struct OfHosts(pub(crate) Arc<Fleet>);
/// The same for operators, who have the admin token.
pub(crate) struct OfOperators(pub(crate) Arc<Fleet>);

macro_rules! doors {
    ($($door:ident: $token:expr;)*) => {$(
        impl FromRequestParts<Front> for $door {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                front: &Front,
            ) -> Result<Self, Problem> {
                fleet_for(parts, front, $token).map(Self)
            }
        }
    )*};
}

doors! {
    OfCells: |_, tokens| &tokens.cells;
    OfRouters: |_, tokens| &tokens.routers;
    OfHosts: |_, tokens| &tokens.hosts;
    OfOperators: |admin, _| admin;
}

fn fleet_for(
    parts: &Parts,
    front: &Front,
    token: for<'a> fn(&'a AdminToken, &'a FleetTokens) -> &'a AdminToken,
) -> Result<Arc<Fleet>, Problem> {
    let (Some(tokens), Some(fleet)) = (&front.tokens, &front.registrar.fleet) else {
        return Err(Problem::no_such_path("this registrar has no other machines"));
    };
    match bearer_token(&parts.headers) {
        Some(text) if token(&front.config.admin, tokens).is(text) => Ok(Arc::clone(fleet)),
        Some(_) => Err(Problem::no_role_token("the token is wrong")),
        None => Err(Problem::no_role_token("the request carries no token")),
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
        carries(parts, |token| front.config.admin.is(token)).map(Self)
    }
}

impl FromRequestParts<Front> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        let config = &front.config;
        let is_feeds = |token: &str| config.feed.as_ref().is_some_and(|feed| feed.is(token));
        carries(parts, |token| is_feeds(token) || config.admin.is(token)).map(Self)
    }
}

fn carries(parts: &Parts, is_right: impl Fn(&str) -> bool) -> Result<(), Problem> {
    match bearer_token(&parts.headers) {
        Some(token) if is_right(token) => Ok(()),
        Some(_) => Err(Problem::no_token("the token is wrong")),
        None => Err(Problem::no_token("the request carries no token")),
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
