//! Which kind a normalised name is. The order is that of the protocol notes' section 6.2: a
//! reserved name is reserved even where its form is that of another kind.

use super::KeyKind;
use super::entity::is_entity;
use crate::AtSign;

/// `privatekey:` names, in lower case as they are stored.
const PRIVATE_KEY_NAMES: [&str; 10] = [
    "at_pkam_publickey",
    "at_pkam_privatekey",
    "privatekey",
    "self_encryption_key",
    "at_secret",
    "at_secret_deleted",
    "signing_keypair_generated",
    "commitlogcompactionstats",
    "accesslogcompactionstats",
    "notificationcompactionstats",
];

/// The kind of a normalised name; `None` where it has none.
pub(super) fn kind(text: &str) -> Option<KeyKind> {
    let Some((scoped, owner)) = split_owner(text) else {
        return is_reserved_without_owner(text).then_some(KeyKind::Reserved);
    };
    if !is_owner(owner) {
        return None;
    }
    if is_reserved_of_owner(scoped) {
        return Some(KeyKind::Reserved);
    }
    match scoped.split_once(':') {
        None => is_entity(scoped).then_some(KeyKind::SelfKey),
        Some(("public", entity)) => is_entity(entity).then_some(KeyKind::Public),
        Some(("local", entity)) => is_entity(entity).then_some(KeyKind::Local),
        Some(("private", rest)) => is_private(rest).then_some(KeyKind::Private),
        Some(("cached", rest)) => cached_kind(rest),
        Some(_) => {
            let (with, entity) = split_shared(scoped)?;
            let kind = if with == owner { KeyKind::SelfKey } else { KeyKind::Shared };
            (is_owner(with) && is_entity(entity)).then_some(kind)
        }
    }
}

/// Splits `…@owner` at its last `@`, which a reserved `privatekey:` name does not have.
pub(super) fn split_owner(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('@')
}

/// Takes `cached:`, `public:`, `private:` and `local:` off the front.
pub(super) fn strip_scope(text: &str) -> &str {
    let text = text.strip_prefix("cached:").unwrap_or(text);
    ["public:", "private:", "local:", "privatekey:"]
        .iter()
        .find_map(|scope| text.strip_prefix(scope))
        .unwrap_or(text)
}

/// Splits `@with:entity`.
pub(super) fn split_shared(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('@')?.split_once(':')
}

fn cached_kind(rest: &str) -> Option<KeyKind> {
    if let Some(entity) = rest.strip_prefix("public:") {
        return is_entity(entity).then_some(KeyKind::CachedPublic);
    }
    let (with, entity) = split_shared(rest)?;
    (is_owner(with) && is_entity(entity)).then_some(KeyKind::CachedShared)
}

fn is_private(rest: &str) -> bool {
    match split_shared(rest) {
        Some((with, entity)) => is_owner(with) && is_entity(entity),
        None => is_entity(rest),
    }
}

/// Whether the text is an atSign in its normal form that can own keys. The key grammar's emoji
/// range holds some blanks that no atSign may contain; both rules must be met.
fn is_owner(text: &str) -> bool {
    AtSign::parse(text).is_ok_and(|name| name.bare() == text && name.can_own_keys())
}

fn is_reserved_without_owner(text: &str) -> bool {
    match text.strip_prefix("privatekey:") {
        Some(name) => PRIVATE_KEY_NAMES.contains(&name),
        None => text == "configkey" || (text.starts_with('_') && text.len() > 1 && is_entity(text)),
    }
}

fn is_reserved_of_owner(scoped: &str) -> bool {
    match scoped {
        "private:blocklist" | "public:signing_publickey" | "public:publickey" => true,
        _ => match split_shared(scoped) {
            Some((with, entity)) => {
                matches!(entity, "signing_privatekey" | "shared_key") && is_owner(with)
            }
            None => scoped.strip_prefix("shared_key.").is_some_and(is_owner),
        },
    }
}
