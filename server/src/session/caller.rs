//! What a connection knows of its other end before that has proved anything.

use std::net::IpAddr;

use net::CertificateDer;
use protocol::response::ErrorShape;

use crate::auth::SessionId;
use crate::enrol::{Origin, Pace};

/// The other end of a connection.
pub(crate) struct Caller {
    /// The name of this connection, in every challenge.
    pub(crate) session: SessionId,
    /// How it wants its errors.
    pub(crate) error_shape: ErrorShape,
    /// The certificates that it showed; they prove nothing until somebody looks at them.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// From where it calls.
    pub(crate) origin: Option<Origin>,
    /// How often it asks to be enrolled.
    pub(crate) pace: Pace,
}

impl Caller {
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>, address: Option<IpAddr>) -> Self {
        let error_shape = ErrorShape::default();
        let (origin, pace) = (address.map(Origin::of), Pace::default());
        Self { session: SessionId::random(), error_shape, certificates, origin, pace }
    }
}
