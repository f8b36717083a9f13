//! What a connection knows of its other end before that has proved anything.

use net::CertificateDer;
use protocol::response::ErrorShape;

use crate::auth::SessionId;

/// The other end of a connection.
pub(crate) struct Caller {
    /// The name of this connection, in every challenge.
    pub(crate) session: SessionId,
    /// How it wants its errors.
    pub(crate) error_shape: ErrorShape,
    /// The certificates that it showed; they prove nothing until somebody looks at them.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl Caller {
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        let error_shape = ErrorShape::default();
        Self { session: SessionId::random(), error_shape, certificates }
    }
}
