//! `cram`: the owner proves herself with her activation secret (the protocol's section 4.2).

use protocol::response::Fault;
use protocol::{ErrorCode, Timestamp};

use crate::auth::{OwnerProven, verify_cram};
use crate::keys;
use crate::refusal::Refusal;
use crate::view::View;

/// Checks the digest of a challenge.
pub(crate) fn run(
    view: &mut View<'_>,
    challenge: Option<&str>,
    digest: &str,
    now: Timestamp,
) -> Result<OwnerProven, Refusal> {
    let secret = view.value(keys::SECRET, now)?;
    let secret = secret.ok_or_else(|| Fault::key_not_found(keys::SECRET))?;
    let challenge = challenge.ok_or_else(Refusal::no_challenge)?;
    verify_cram(&secret, challenge, digest)
        .ok_or_else(|| Refusal::new(ErrorCode::Unauthenticated, "Authentication Failed"))
}
