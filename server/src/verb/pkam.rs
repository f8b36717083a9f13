//! `pkam`: the owner proves herself with her key, or a device of hers with its own (the protocol's
//! section 4.3).

use protocol::response::Fault;
use protocol::verb::Pkam;
use protocol::{AtSign, ErrorCode, Timestamp};

use crate::auth::{OwnerProven, PkamError, verify_pkam};
use crate::enrol::record;
use crate::keys;
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::view::View;

/// Checks the signature of a challenge; what it gives rights to depends on whose key made it.
pub(crate) fn run(
    view: &mut View<'_>,
    owner: &AtSign,
    challenge: Option<&str>,
    pkam: &Pkam,
    now: Timestamp,
) -> Result<(OwnerProven, Rights), Refusal> {
    let (key, rights) = match &pkam.enrollment_id {
        None => {
            let key = view.value(keys::PKAM_PUBLIC, now)?;
            let key = key.ok_or_else(|| Fault::key_not_found(keys::PKAM_PUBLIC))?;
            (key, Rights::Everything)
        }
        Some(id) => {
            let kept = record::approved(view, id, owner, now)?;
            (kept.enrolment.apkam_public_key.clone(), Rights::granted(id.clone(), kept))
        }
    };
    let challenge = challenge.ok_or_else(Refusal::no_challenge)?;
    let proven = verify_pkam(&key, challenge, pkam).map_err(|error| match error {
        PkamError::Wrong => Refusal::new(ErrorCode::Unauthenticated, "pkam authentication failed"),
        PkamError::Undecodable => {
            Refusal::closing(ErrorCode::InternalException, "the signature is not base64")
        }
    })?;
    Ok((proven, rights))
}
