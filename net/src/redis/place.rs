//! Where a Redis server is, and who we are there.

use std::fmt;
use std::str::FromStr;

use ::redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use protocol::Address;

/// A server as its URL names it: `redis://` or, over TLS, `rediss://`, then
/// `[user[:password]@]host[:port][/database]`. Neither its `Debug` nor its `Display` shows the
/// password.
#[derive(Clone)]
pub struct RedisPlace {
    pub(super) address: Address,
    pub(super) is_tls: bool,
    pub(super) login: RedisConnectionInfo,
}

/// Why a text is not the URL of a Redis server. It does not show the text: there may be a password
/// in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Redis URL has the form redis[s]://[user[:password]@]host[:port][/database]")]
pub struct RedisPlaceError;

impl RedisPlace {
    /// The same with another password, such as one from a file.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self { login: self.login.set_password(password), ..self }
    }

    /// Whether the connection is over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl FromStr for RedisPlace {
    type Err = RedisPlaceError;

    fn from_str(text: &str) -> Result<Self, RedisPlaceError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisPlaceError)?;
        let is_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(RedisPlaceError),
        };
        if rest.contains(['?', '#']) {
            return Err(RedisPlaceError);
        }
        // The library knows TLS only where it brings its own.
        let plain = format!("redis://{rest}");
        let info = plain.as_str().into_connection_info().map_err(|_| RedisPlaceError)?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(RedisPlaceError) };
        let address = Address::parse(&format!("{host}:{port}")).map_err(|_| RedisPlaceError)?;
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self { address, is_tls, login })
    }
}

impl fmt::Display for RedisPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl fmt::Debug for RedisPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisPlace({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_read_and_secrets_are_not_shown() {
        let place: RedisPlace = "rediss://feed:hid%2Fden@redis.example:7000/2".parse().unwrap();
        assert_eq!(place.to_string(), "rediss://redis.example:7000");
        assert!(!format!("{place:?}").contains("den"));
        assert_eq!(
            (place.login.username(), place.login.password()),
            (Some("feed"), Some("hid/den"))
        );
        assert_eq!(place.login.db(), 2);
        let other = place.with_password("other");
        assert_eq!((other.login.username(), other.login.password()), (Some("feed"), Some("other")));
        let plain: RedisPlace = "redis://127.0.0.1".parse().unwrap();
        assert_eq!((plain.to_string().as_str(), plain.is_tls()), ("redis://127.0.0.1:6379", false));
    }

    #[test]
    fn what_is_no_url_of_a_redis_is_refused() {
        for text in ["", "redis", "http://a", "redis://", "unix:///tmp/x", "rediss://a/#insecure"] {
            assert_eq!(text.parse::<RedisPlace>().err(), Some(RedisPlaceError), "{text}");
        }
    }
}
