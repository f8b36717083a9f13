//! `pkam`: the owner proves herself with her key (the protocol's section 4.3).

use protocol::response::Fault;
use protocol::verb::Pkam;
use protocol::{ErrorCode, Timestamp};

use crate::auth::{OwnerProven, PkamError, verify_pkam};
use crate::keys;
use crate::refusal::Refusal;
use crate::view::View;

/// Checks the signature of a challenge.
pub(crate) fn run(
    view: &mut View<'_>,
    challenge: Option<&str>,
    pkam: &Pkam,
    now: Timestamp,
) -> Result<OwnerProven, Refusal> {
    let failed = || Refusal::new(ErrorCode::Unauthenticated, "pkam authentication failed");
    if pkam.enrollment_id.is_some() {
        // Nobody is enrolled here.
        return Err(failed());
    }
    let key = view.value(keys::PKAM_PUBLIC, now)?;
    let key = key.ok_or_else(|| Fault::key_not_found(keys::PKAM_PUBLIC))?;
    let challenge = challenge.ok_or_else(Refusal::no_challenge)?;
    verify_pkam(&key, challenge, pkam).map_err(|error| match error {
        PkamError::Wrong => failed(),
        PkamError::Undecodable => {
            Refusal::closing(ErrorCode::InternalException, "the signature is not base64")
        }
    })
}
