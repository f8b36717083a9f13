//! `warren directory serve --handover`: a new process takes the place of the one that runs, and
//! nobody who asks notices.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use directory::Directory;
use net::handover::{Doors, HandoverError, Offers, Predecessor};

use crate::failure::{Exit, Failure};
use crate::output;

/// What the sockets are for.
pub mod role {
    use net::handover::Role;

    pub const LINE: Role = Role::known("line");
    pub const HTTPS: Role = Role::known("https");
    pub const DNS: Role = Role::known("dns");
    pub const DNS_UDP: Role = Role::known("dns-udp");
    pub const DNS_TLS: Role = Role::known("dns-tls");
    pub const METRICS: Role = Role::known("metrics");
}

/// Where listening sockets come from: a process that runs, or the system.
pub async fn doors(handover: Option<&Path>) -> Result<Doors, Failure> {
    match handover {
        Some(path) => Doors::from(path).await.map_err(|error| failed(path, &error)),
        None => Ok(Doors::new()),
    }
}

/// Who is to be replaced, and who can replace this process later.
pub struct Succession<'a> {
    path: Option<&'a Path>,
    predecessor: Option<Predecessor>,
    offers: Option<Offers>,
}

impl<'a> Succession<'a> {
    /// Once everything is bound that there is to be.
    pub fn new(doors: Doors, path: Option<&'a Path>) -> Result<Self, Failure> {
        let of = |error| failed(path.unwrap_or(Path::new("--handover")), &error);
        let (predecessor, offers) = doors.complete().map_err(of)?;
        Ok(Self { path, predecessor, offers })
    }

    /// Whether another process serves until this one is ready.
    pub fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Waits until the directory may serve. One that replaces nobody may at once: there is nobody
    /// who could answer in its place.
    pub async fn ready(&self, directory: &Directory) -> Result<(), Failure> {
        let Some(predecessor) = &self.predecessor else { return Ok(()) };
        if directory.ready(predecessor.patience()).await && directory.can_answer().await {
            return Ok(());
        }
        let what = "nothing has come from the registrar: the process that runs goes on";
        Err(Failure::new(Exit::Unavailable, what).fix("see the log for why"))
    }

    /// Prints whom this process replaces, and how it is replaced.
    pub fn announce(&self) -> Result<(), Failure> {
        let Some(path) = self.path.map(Path::display) else { return Ok(()) };
        let says = match self.has_predecessor() {
            true => "takes over from the process that runs",
            false => "a new process takes over here",
        };
        output::line(format_args!("handover    {path}   ({says})"))
    }

    /// Everything serves: the predecessor ends, and the file is this process's to write.
    pub async fn begin(&mut self, directory: &Directory) -> Result<(), Failure> {
        if let (Some(path), Some(predecessor)) = (self.path, self.predecessor.take()) {
            predecessor.replace().await.map_err(|error| failed(path, &error))?;
            directory.keep_file();
        }
        Ok(())
    }

    /// Waits until another process serves in the place of this one.
    pub async fn succeeded(&mut self, directory: &Arc<Directory>) {
        let Some(offers) = &mut self.offers else { return pending().await };
        loop {
            let asker = offers.asked().await;
            let process = asker.process();
            tracing::info!(process, "handing over to a new process");
            // It starts with all that is known here.
            directory.save_for_successor().await;
            if let Some(successor) = asker.hand_over(offers).await {
                directory.leave_file().await;
                if successor.confirm().await {
                    tracing::info!(process, "the new process serves: this one ends");
                    return;
                }
                directory.keep_file();
            }
            tracing::warn!(process, "the new process is gone or was not ready in time: going on");
        }
    }
}

pub fn failed(path: &Path, error: &HandoverError) -> Failure {
    let (exit, fix) = match error {
        HandoverError::Folder => (Exit::Usage, "mkdir -m 700 a folder for it"),
        HandoverError::NoSocket => (Exit::Usage, "pass --handover with a path of its own"),
        HandoverError::Stranger => (Exit::Refused, "start it as the user of the one that runs"),
        HandoverError::Occupied => (Exit::Conflict, "start one after the other"),
        HandoverError::NotGiven | HandoverError::TooLate => {
            (Exit::Unavailable, "see the log of the process that runs")
        }
        HandoverError::Io(_) => (Exit::Failed, "mkdir -m 700 a folder for it"),
    };
    Failure::from_error(exit, error).at(path.display()).fix(fix)
}
