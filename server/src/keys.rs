//! The keys with a meaning of their own (the protocol's section 6.3).

use protocol::{AtKey, AtSign};

use crate::refusal::Refusal;

/// The activation secret.
pub(crate) const SECRET: &str = "privatekey:at_secret";
/// It was deleted and must not come back.
pub(crate) const SECRET_DELETED: &str = "privatekey:at_secret_deleted";
/// The public key that PKAM signatures are checked with.
pub(crate) const PKAM_PUBLIC: &str = "privatekey:at_pkam_publickey";
/// The signing pair exists.
const SIGNING_GENERATED: &str = "privatekey:signing_keypair_generated";

/// The owner's encryption key; another's is kept for ever once seen.
pub(crate) const PUBLIC_KEY: &str = "publickey";
/// The public half of the signing pair.
pub(crate) const SIGNING_PUBLIC: &str = "signing_publickey";

pub(crate) fn secret() -> Result<AtKey, Refusal> {
    parse(SECRET)
}

pub(crate) fn secret_deleted() -> Result<AtKey, Refusal> {
    parse(SECRET_DELETED)
}

pub(crate) fn signing_generated() -> Result<AtKey, Refusal> {
    parse(SIGNING_GENERATED)
}

pub(crate) fn signing_public(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("public:{SIGNING_PUBLIC}{owner}"))
}

pub(crate) fn signing_private(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("{owner}:signing_privatekey{owner}"))
}

/// The copy of the key that the owner shares with `peer`, encrypted for the owner.
pub(crate) fn shared_key(peer: &AtSign, owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("shared_key.{}{owner}", peer.bare()))
}

/// Who may not connect.
pub(crate) fn block_list(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("private:blocklist{owner}"))
}

/// A name that is right unless the owner's name cannot own keys, which the registrar rules out.
pub(crate) fn parse(name: &str) -> Result<AtKey, Refusal> {
    AtKey::parse(name)
        .map_err(|error| Refusal::new(protocol::ErrorCode::InvalidKey, error.to_string()))
}

/// The copy's name of a public or shared key.
pub(crate) fn cached(key: &AtKey) -> Result<AtKey, Refusal> {
    parse(&format!("cached:{key}"))
}
