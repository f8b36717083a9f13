//! What the registrar asks of whoever runs the servers. It says what is to be; how is theirs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use protocol::control::placement::Placement;

use crate::secret::ActivationSecret;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a step of the swarm leads to.
pub type SwarmStep<'a> = BoxFuture<'a, Result<(), SwarmError>>;

/// Runs servers. Each call may come again after it was done, after it was half done, and after the
/// registrar forgot that it ever made it; each time it leads to the same end.
pub trait Swarm: Send + Sync + 'static {
    /// Makes the server's volume and keys, and leaves the owner's activation secret in it unless
    /// she has used it up.
    fn create<'a>(
        &'a self,
        placement: &'a Placement,
        secret: &'a ActivationSecret,
    ) -> SwarmStep<'a>;

    /// Opens the server's route, so that connections to its address reach it.
    fn start<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a>;

    /// Connects to the server's address as a client does, and sees its prompt.
    fn probe<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a>;

    /// Closes the route. Done also where there is none.
    fn stop<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a>;

    /// Ends the server and deletes its volume with its keys. Done also where there is none.
    fn remove<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a>;
}

/// Why the swarm did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmError {
    /// Another program holds the placement's port; another port may do.
    #[error("another program holds the port")]
    PortTaken,
    /// The server does not answer at its address.
    #[error("the server does not answer at its address: {0}")]
    NotReachable(String),
    /// Not now; later it may go.
    #[error("the host cannot do it now: {0}")]
    Unavailable(String),
    /// Not in this way, however often it is tried.
    #[error("the host refuses: {0}")]
    Refused(String),
    /// No answer within the registrar's deadline.
    #[error("the host took too long")]
    Late,
}

impl SwarmError {
    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotReachable(_) | Self::Unavailable(_) | Self::Late)
    }
}

/// The steps that lead from a free name to a published one, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make the volume and its keys.
    Create,
    /// Open the route.
    Start,
    /// Prove that the server answers.
    Probe,
    /// Close the route.
    Stop,
    /// Delete the volume.
    Remove,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 5] = [Self::Create, Self::Start, Self::Probe, Self::Stop, Self::Remove];

    /// The step as logs and metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Probe => "probe",
            Self::Stop => "stop",
            Self::Remove => "remove",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
