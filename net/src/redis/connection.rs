//! One connection, and the questions on it.

use std::io;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ErrorKind, Pipeline, RedisConnectionInfo, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::place::RedisPlace;
use crate::allowance::{Allowance, Bounded};
use crate::dial::{DialError, DialPolicy, Dialer};
use crate::handshake::prepare;
use crate::limits::{REDIS_ANSWER_OVERHEAD, REDIS_CONNECT_DEADLINE};
use crate::tls::ClientTls;

/// A connection on which one question is asked after the other. After an error it is of no use.
pub struct RedisConnection {
    connection: MultiplexedConnection,
    allowance: Allowance,
    /// It ends with the connection, even in the middle of an answer.
    driver: AbortHandle,
}

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It cannot be called over TLS.
    #[error("Redis cannot be reached")]
    Dial(#[from] DialError),
    /// It cannot be called, or the connection broke.
    #[error("the connection to Redis broke")]
    Broken(#[source] io::Error),
    /// It does not let us in.
    #[error("Redis does not accept the user or the password")]
    Login,
    /// It answered with an error, or with what is no answer.
    #[error("Redis refused, or gave no proper answer ({0})")]
    Refused(&'static str),
    /// It took too long.
    #[error("Redis did not answer in time")]
    Deadline,
    /// The URL asks for TLS, and nothing was given to check the certificate with.
    #[error("there are no authorities to check the certificate of Redis with")]
    NoAuthorities,
}

impl RedisConnection {
    /// Calls the server, and logs in. `tls` is needed for a place over TLS only.
    ///
    /// # Errors
    /// [`RedisError`].
    pub async fn open(place: &RedisPlace, tls: Option<&ClientTls>) -> Result<Self, RedisError> {
        let called = timeout(REDIS_CONNECT_DEADLINE, call(place, tls));
        called.await.unwrap_or(Err(RedisError::Deadline))
    }

    /// Asks all of this in one go; an answer for each, an error of one among them. All answers
    /// together may have so many bytes.
    ///
    /// # Errors
    /// [`RedisError`].
    pub async fn ask(
        &mut self,
        questions: &mut Pipeline,
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.allowance.set(bytes_max.saturating_add(REDIS_ANSWER_OVERHEAD));
        questions.ignore_errors();
        let asked = questions.query_async::<Vec<::redis::RedisResult<Value>>>(&mut self.connection);
        let answers = timeout(deadline, asked).await.map_err(|_| RedisError::Deadline)??;
        Ok(answers.into_iter().map(|answer| answer.map_err(RedisError::from)).collect())
    }
}

impl Drop for RedisConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl From<::redis::RedisError> for RedisError {
    /// Nothing of what the server wrote is kept.
    fn from(error: ::redis::RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Login,
            ErrorKind::Io => Self::Broken(io::ErrorKind::ConnectionAborted.into()),
            ErrorKind::Parse => Self::Refused("malformed"),
            ErrorKind::UnexpectedReturnType => Self::Refused("of another type"),
            _ => Self::Refused("an error"),
        }
    }
}

async fn call(place: &RedisPlace, tls: Option<&ClientTls>) -> Result<RedisConnection, RedisError> {
    if place.is_tls {
        let tls = tls.ok_or(RedisError::NoAuthorities)?.clone();
        let dialer = Dialer::new(tls, DialPolicy::Any, REDIS_CONNECT_DEADLINE);
        return log_in(dialer.dial(&place.address).await?, &place.login).await;
    }
    let address = (place.address.host.as_str(), place.address.port.get());
    let stream = TcpStream::connect(address).await.map_err(RedisError::Broken)?;
    prepare(&stream).map_err(RedisError::Broken)?;
    log_in(stream, &place.login).await
}

async fn log_in(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    login: &RedisConnectionInfo,
) -> Result<RedisConnection, RedisError> {
    let allowance = Allowance::new(REDIS_ANSWER_OVERHEAD);
    let stream = Bounded::new(stream, allowance.clone());
    // Each question has its own deadline.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let made = MultiplexedConnection::new_with_config(login, stream, config).await;
    let (connection, driver) = made?;
    Ok(RedisConnection { connection, allowance, driver: tokio::spawn(driver).abort_handle() })
}
