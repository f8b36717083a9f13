//! Where a PostgreSQL database is, and who we are there.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use protocol::Address;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::limits::POSTGRES_HOSTS_MAX;

/// The port where the URL names none.
const DEFAULT_PORT: u16 = 5432;

/// What may stand behind the question mark of a URL.
const PARAMETERS: [&str; 5] = ["host=", "port=", "user=", "password=", "dbname="];

/// And this: TLS on this machine too. Without a checked certificate there is none.
const TLS_HERE: &str = "sslmode=require";

/// A database as its URL names it: `postgres://user[:password]@host[:port][,host[:port]…]/database`,
/// or `postgres://user@/database?host=/run/postgresql` for a Unix socket. Of several hosts the one
/// that takes writes is meant. Neither its `Debug` nor its `Display` shows the password.
#[derive(Clone)]
pub struct PostgresPlace {
    servers: Vec<PostgresServer>,
    pub(super) login: Config,
}

/// One server that may hold the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresServer {
    /// On this machine.
    Unix(PathBuf),
    /// At an address.
    Tcp {
        /// Which.
        address: Address,
        /// Whether the connection is over TLS: wherever what is said would leave this machine.
        is_tls: bool,
    },
}

/// Why a text is not the URL of a database. It does not show the text: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a PostgreSQL URL has the form postgres://user[:password]@host[:port][,host[:port]]/database, \
     and names at most {POSTGRES_HOSTS_MAX} hosts"
)]
pub struct PostgresPlaceError;

impl PostgresPlace {
    /// The same with another password, such as one from a file.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.login.password(password);
        self
    }

    /// The servers that are named, in that order.
    #[must_use]
    pub fn servers(&self) -> &[PostgresServer] {
        &self.servers
    }

    /// Whether a connection to any of the servers is over TLS.
    #[must_use]
    pub fn needs_tls(&self) -> bool {
        self.servers.iter().any(|server| matches!(server, PostgresServer::Tcp { is_tls: true, .. }))
    }
}

fn is_this_machine(address: &Address) -> bool {
    let host = address.host.as_str();
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl FromStr for PostgresPlace {
    type Err = PostgresPlaceError;

    fn from_str(text: &str) -> Result<Self, PostgresPlaceError> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let (_, query) = rest.ok_or(PostgresPlaceError)?.split_once('?').unwrap_or_default();
        let mut keys = query.split('&').filter(|pair| !pair.is_empty());
        let is_known =
            |pair: &str| pair == TLS_HERE || PARAMETERS.iter().any(|p| pair.starts_with(p));
        if !keys.all(is_known) {
            return Err(PostgresPlaceError);
        }
        let mut login: Config = text.parse().map_err(|_| PostgresPlaceError)?;
        if login.get_user().is_none() {
            return Err(PostgresPlaceError);
        }
        let servers = servers(&login).ok_or(PostgresPlaceError)?;
        // The library knows TLS only where it brings its own.
        login.ssl_mode(SslMode::Disable).application_name("warren registrar");
        Ok(Self { servers, login })
    }
}

fn servers(login: &Config) -> Option<Vec<PostgresServer>> {
    let (hosts, ports) = (login.get_hosts(), login.get_ports());
    let is_tls_everywhere = login.get_ssl_mode() == SslMode::Require;
    if hosts.is_empty() || hosts.len() > POSTGRES_HOSTS_MAX {
        return None;
    }
    let port_of = |index| match ports {
        [] => Some(DEFAULT_PORT),
        [one] => Some(*one),
        many => many.get(index).copied(),
    };
    let server = |(index, host): (usize, &Host)| {
        let port = port_of(index)?;
        Some(match host {
            Host::Unix(folder) => PostgresServer::Unix(socket_in(folder, port)),
            Host::Tcp(host) => {
                let address = Address::parse(&format!("{host}:{port}")).ok()?;
                let is_tls = is_tls_everywhere || !is_this_machine(&address);
                PostgresServer::Tcp { address, is_tls }
            }
        })
    };
    hosts.iter().enumerate().map(server).collect()
}

fn socket_in(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

impl fmt::Display for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "postgres://";
        for server in &self.servers {
            write!(f, "{separator}{server}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresPlace({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_read_and_secrets_are_not_shown() {
        let url = "postgres://warren:hid%2Fden@db1.example:5433,db2.example:5434/names";
        let place: PostgresPlace = url.parse().unwrap();
        assert_eq!(place.to_string(), "postgres://db1.example:5433,db2.example:5434");
        assert!(!format!("{place:?}").contains("den"));
        assert_eq!(place.login.get_password(), Some(&b"hid/den"[..]));
        assert_eq!(place.login.get_dbname(), Some("names"));
        let other = place.with_password("other");
        assert_eq!(other.login.get_password(), Some(&b"other"[..]));
    }

    #[test]
    fn what_leaves_this_machine_needs_tls() {
        for (url, needs_tls) in [
            ("postgres://u@localhost/d", false),
            ("postgres://u@127.0.0.1:5000/d", false),
            ("postgres://u@/d?host=/run/postgresql", false),
            ("postgres://u@db.example/d", true),
            ("postgres://u@localhost/d?sslmode=require", true),
            ("postgresql://u@192.0.2.1,localhost/d", true),
        ] {
            let place: PostgresPlace = url.parse().unwrap();
            assert_eq!(place.needs_tls(), needs_tls, "{url}");
        }
        let unix: PostgresPlace = "postgres://u@/d?host=/run/postgresql".parse().unwrap();
        assert_eq!(unix.to_string(), "postgres:///run/postgresql/.s.PGSQL.5432");
    }

    #[test]
    fn what_is_no_url_of_a_database_or_asks_for_less_than_we_give_is_refused() {
        let many = format!("postgres://u@{}/d", ["h"; POSTGRES_HOSTS_MAX + 1].join(","));
        for text in [
            "",
            "postgres",
            "http://a",
            "postgres://",
            "postgres://host/d",
            "postgres://u@/d",
            "host=a user=b",
            "postgres://u@h/d?sslmode=disable",
            "postgres://u@h/d?sslmode=prefer",
            "postgres://u@h/d?options=-csynchronous_commit%3Doff",
            &many,
        ] {
            assert_eq!(text.parse::<PostgresPlace>().err(), Some(PostgresPlaceError), "{text}");
        }
    }
}
