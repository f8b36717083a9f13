//! Proving that a server answers at its address.

use net::dial::Dialer;
use net::line_conn::LineConn;
use protocol::Address;
use tokio::time::timeout;

use crate::limits::{PROBE_ANSWER_BYTES_MAX, PROBE_DEADLINE};
use crate::swarm::{SwarmError, SwarmStep};

/// Calls a server as a client does.
pub trait Probe: Send + Sync + 'static {
    /// Whether the server at this address answers.
    fn probe<'a>(&'a self, address: &'a Address) -> SwarmStep<'a>;
}

/// Through the public address, as every client will: name, route, certificate and server.
impl Probe for Dialer {
    fn probe<'a>(&'a self, address: &'a Address) -> SwarmStep<'a> {
        Box::pin(async move {
            let stream = self
                .dial(address)
                .await
                .map_err(|error| SwarmError::NotReachable(chain(&error)))?;
            let mut conn = LineConn::new(stream, PROBE_ANSWER_BYTES_MAX);
            // `info:brief` answers only from a server that is awake and has its store open; the
            // prompt stands before the answer, on the same line.
            let exchange = async {
                conn.write_record(b"info:brief\n").await.ok()?;
                conn.read_line(Some(PROBE_DEADLINE)).await.ok()
            };
            let answer = timeout(PROBE_DEADLINE, exchange).await.ok().flatten();
            match answer {
                Some(line) if line.starts_with(b"@data:") => Ok(()),
                _ => Err(SwarmError::NotReachable("the server does not answer".to_owned())),
            }
        })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
