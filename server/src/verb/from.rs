//! `from`: who may ask for a challenge (the protocol's sections 3.2 and 4.1).

use protocol::ErrorCode;

use crate::refusal::Refusal;

/// Another identity's server must show a good certificate for exactly the host that the directory
/// gives for that identity; this caller has not.
pub(crate) fn bad_certificate() -> Refusal {
    Refusal::new(ErrorCode::Unauthenticated, "Certificate Verification Failed")
}

/// The owner does not want to hear of this caller.
pub(crate) fn blocked() -> Refusal {
    Refusal::closing(ErrorCode::Blocked, "Unable to connect")
}
