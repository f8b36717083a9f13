//! One connection, and the questions on it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Row};

use super::place::{PostgresPlace, PostgresServer};
use crate::allowance::{Allowance, Bounded};
use crate::handshake::prepare;
use crate::limits::{POSTGRES_ANSWER_OVERHEAD, POSTGRES_CONNECT_DEADLINE};
use crate::tls::ClientTls;

/// The packet that asks whether there is TLS: its length, and a version that no protocol has.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A connection. After an error other than [`PostgresError::Refused`] it is of no use.
pub struct PostgresConnection {
    client: Client,
    allowance: Allowance,
    has_warned: Arc<AtomicBool>,
    /// It ends with the connection, even in the middle of an answer.
    driver: AbortHandle,
}

/// Why PostgreSQL did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// It cannot be called, or the connection broke.
    #[error("the connection to PostgreSQL broke")]
    Broken(#[source] io::Error),
    /// It is on another machine and speaks no TLS.
    #[error("PostgreSQL offers no TLS, without which nothing leaves this machine")]
    NoTls,
    /// It is on another machine, and nothing was given to check its certificate with.
    #[error("there are no authorities to check the certificate of PostgreSQL with")]
    NoAuthorities,
    /// There is TLS, but its certificate is not good for this name.
    #[error("the TLS handshake with PostgreSQL failed")]
    Tls(#[source] io::Error),
    /// It does not let us in.
    #[error("PostgreSQL does not accept the user or the password")]
    Login,
    /// It answered with this error.
    #[error("PostgreSQL refused (SQLSTATE {0})")]
    Refused(String),
    /// What it answered has another form than what was asked for.
    #[error("PostgreSQL gave no proper answer")]
    Malformed,
    /// It did what was asked, but warned that it may not last.
    #[error("PostgreSQL warned of what it did")]
    Warned,
    /// It took too long.
    #[error("PostgreSQL did not answer in time")]
    Deadline,
}

impl PostgresError {
    /// Whether trying again soon may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Deadline | Self::Malformed | Self::Warned => true,
            // It has no memory or disk left, is starting or stopping, or waits for another.
            Self::Refused(code) => {
                ["08", "25", "40", "53", "55", "57", "58"].iter().any(|c| code.starts_with(c))
            }
            Self::NoTls | Self::NoAuthorities | Self::Tls(_) | Self::Login => false,
        }
    }

    /// Whether it refused with this code.
    #[must_use]
    pub fn is_refusal(&self, code: &str) -> bool {
        matches!(self, Self::Refused(found) if found == code)
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    /// Nothing of what the server wrote is kept but its code.
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code().map(SqlState::code) {
            Some(code) if code.starts_with("28") => Self::Login,
            Some(code) if code.len() == 5 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Self::Refused(code.to_owned())
            }
            Some(_) => Self::Malformed,
            None => Self::Broken(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl PostgresConnection {
    /// Calls one of the servers of `place`, and logs in. `tls` is needed for another machine only.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub async fn open(
        place: &PostgresPlace,
        server: &PostgresServer,
        tls: Option<&ClientTls>,
    ) -> Result<Self, PostgresError> {
        let called = timeout(POSTGRES_CONNECT_DEADLINE, call(place, server, tls));
        called.await.unwrap_or(Err(PostgresError::Deadline))
    }

    /// Asks one statement with its values, each with its type. All rows together may have so many
    /// bytes.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub async fn ask(
        &self,
        statement: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<Vec<Row>, PostgresError> {
        self.allowance.set(bytes_max.saturating_add(POSTGRES_ANSWER_OVERHEAD));
        let asked = timeout(deadline, self.client.query_typed(statement, values));
        Ok(asked.await.map_err(|_| PostgresError::Deadline)??)
    }

    /// Has statements carried out that have neither values nor rows.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub async fn tell(&self, statements: &str, deadline: Duration) -> Result<(), PostgresError> {
        self.allowance.set(POSTGRES_ANSWER_OVERHEAD);
        let told = timeout(deadline, self.client.batch_execute(statements));
        Ok(told.await.map_err(|_| PostgresError::Deadline)??)
    }

    /// Whether the server has warned of anything since this was asked last.
    pub fn take_warning(&self) -> bool {
        self.has_warned.swap(false, Ordering::AcqRel)
    }
}

impl Drop for PostgresConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn call(
    place: &PostgresPlace,
    server: &PostgresServer,
    tls: Option<&ClientTls>,
) -> Result<PostgresConnection, PostgresError> {
    let (address, is_tls) = match server {
        PostgresServer::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(PostgresError::Broken)?;
            return log_in(stream, &place.login).await;
        }
        PostgresServer::Tcp { address, is_tls } => (address, *is_tls),
    };
    let target = (address.host.as_str(), address.port.get());
    let mut stream = TcpStream::connect(target).await.map_err(PostgresError::Broken)?;
    prepare(&stream).map_err(PostgresError::Broken)?;
    if !is_tls {
        return log_in(stream, &place.login).await;
    }
    let tls = tls.ok_or(PostgresError::NoAuthorities)?;
    let name = ServerName::try_from(address.host.as_str().to_owned())
        .map_err(|e| PostgresError::Tls(io::Error::new(io::ErrorKind::InvalidInput, e)))?;
    ask_for_tls(&mut stream).await?;
    let stream = tls.connector().connect(name, stream).await.map_err(PostgresError::Tls)?;
    log_in(stream, &place.login).await
}

/// One byte answers; what a stranger puts behind it in clear breaks the handshake that follows.
async fn ask_for_tls(stream: &mut TcpStream) -> Result<(), PostgresError> {
    stream.write_all(&TLS_REQUEST).await.map_err(PostgresError::Broken)?;
    match stream.read_u8().await.map_err(PostgresError::Broken)? {
        b'S' => Ok(()),
        _ => Err(PostgresError::NoTls),
    }
}

async fn log_in<S>(stream: S, login: &Config) -> Result<PostgresConnection, PostgresError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let allowance = Allowance::new(POSTGRES_ANSWER_OVERHEAD);
    let stream = Bounded::new(stream, allowance.clone());
    let (client, connection) = login.connect_raw(stream, NoTls).await?;
    let has_warned = Arc::new(AtomicBool::new(false));
    let driver = tokio::spawn(drive(connection, Arc::clone(&has_warned))).abort_handle();
    Ok(PostgresConnection { client, allowance, has_warned, driver })
}

/// Carries questions and answers until the connection ends. A warning is noted before the answer that
/// follows it is handed over.
async fn drive<S, T>(mut connection: Connection<S, T>, has_warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notice(notice) = message
            && notice.parsed_severity() == Some(Severity::Warning)
        {
            has_warned.store(true, Ordering::Release);
        }
    }
}
