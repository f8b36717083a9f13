//! What a cell asks of its registrar.

use std::pin::Pin;
use std::time::Duration;

use net::https::{Method, Upstream, UpstreamError};
use protocol::Term;
use protocol::control::names::CellId;
use protocol::control::roster::{CellReport, Position, Roster, TermGrant, TermRequest};

use crate::limits::{ANSWER_DEADLINE, ROSTER_BYTES_MAX, ROSTER_WAIT};

/// What is not there yet.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, AskError>> + Send + 'a>>;

/// Why there is no answer to go on with.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The cell was started again, and that start is the one that counts.
    #[error("a later start of this cell has its place")]
    Superseded,
    /// It is away, refuses, or talks nonsense.
    #[error("the registrar is of no use now")]
    Useless(#[from] UpstreamError),
}

/// The registrar, as a cell sees it. Tests play it.
pub trait CellRegistrar: Send + Sync + 'static {
    /// Asks for a term for a start.
    fn term<'a>(&'a self, request: &'a TermRequest) -> Asked<'a, TermGrant>;

    /// Asks for what is new since a position, and waits a while for it; without a position for all.
    fn roster(&self, term: Term, after: Option<Position>) -> Asked<'_, Roster>;

    /// Tells what was done, and how it goes.
    fn report<'a>(&'a self, report: &'a CellReport) -> Asked<'a, ()>;
}

/// The registrar over HTTPS.
#[derive(Debug)]
pub struct HttpsRegistrar {
    cell: CellId,
    brief: Upstream,
    patient: Upstream,
}

impl HttpsRegistrar {
    /// Asks for this cell.
    #[must_use]
    pub fn new(cell: CellId, upstream: &Upstream) -> Self {
        let patient = upstream.with_answer_bytes_max(ROSTER_BYTES_MAX);
        Self {
            cell,
            brief: upstream.with_deadline(ANSWER_DEADLINE),
            patient: patient.with_deadline(ROSTER_WAIT + ANSWER_DEADLINE),
        }
    }
}

impl CellRegistrar for HttpsRegistrar {
    fn term<'a>(&'a self, request: &'a TermRequest) -> Asked<'a, TermGrant> {
        Box::pin(async move {
            let path = format!("/v1/cells/{}/terms", self.cell);
            Ok(self.brief.exchange(Method::POST, &path, request).await?)
        })
    }

    fn roster(&self, term: Term, after: Option<Position>) -> Asked<'_, Roster> {
        let Position { run, number } = after.unwrap_or(Position { run: 0, number: 0 });
        let path = format!(
            "/v1/cells/{}/roster?term={term}&run={run}&after={number}&wait={}",
            self.cell,
            ROSTER_WAIT.as_secs()
        );
        Box::pin(async move { self.patient.get(&path).await.map_err(judge) })
    }

    fn report<'a>(&'a self, report: &'a CellReport) -> Asked<'a, ()> {
        Box::pin(async move {
            let path = format!("/v1/cells/{}/reports", self.cell);
            self.brief.send(Method::POST, &path, report).await.map_err(judge)
        })
    }
}

fn judge(error: UpstreamError) -> AskError {
    match error.status() {
        Some(409) => AskError::Superseded,
        _ => AskError::Useless(error),
    }
}

/// The pause after so many failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    use crate::limits::{ASK_PAUSE_MAX, ASK_PAUSE_MIN};
    net::backoff::pause(failures, ASK_PAUSE_MIN, ASK_PAUSE_MAX)
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
