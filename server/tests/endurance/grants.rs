//! What an enrolment may see and change: the protocol's section 4.8 in few words, with the two rules
//! in which this server is stricter.

use protocol::enrollment::{Access, Namespaces};

/// What a connection of an enrolment may do.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a>(pub &'a Namespaces);

impl Grant<'_> {
    /// In exactly this namespace, or in all where it is a star.
    pub fn has(&self, namespace: &str, access: Access) -> bool {
        self.0.get(namespace).is_some_and(|most| most >= access)
    }

    /// Whether lists show it this name.
    pub fn sees(&self, name: &str) -> bool {
        self.has("*", Access::Read) || self.may(Access::Read, name)
    }

    pub fn may(&self, access: Access, name: &str) -> bool {
        let is_public = name.starts_with("public:") || name.starts_with("cached:public:");
        if is_public && access == Access::Read {
            return true;
        }
        let Some((scope, entity)) = parts(name) else { return self.may_reserved(access) };
        if is_managed(entity) {
            return false;
        }
        if is_for_sharing(scope, entity) {
            return true;
        }
        let is_reserved = scope == "private"
            || (scope == "public" && ["publickey", "signing_publickey"].contains(&entity))
            || entity == "signing_privatekey";
        if is_reserved { self.may_reserved(access) } else { self.may_plain(access, entity) }
    }

    fn may_reserved(&self, access: Access) -> bool {
        self.has("*", access) && (access == Access::Read || self.has("__manage", access))
    }

    fn may_plain(&self, access: Access, entity: &str) -> bool {
        let words: Vec<&str> = entity.split('.').collect();
        let ends = |namespace: &str| entity.ends_with(&format!(".{namespace}"));
        let last = words.last().filter(|_| words.len() > 1).and_then(|last| self.0.get(last));
        let longer = || self.0.iter().find(|(space, _)| !space.is_all() && ends(space.as_str()));
        let most = last.or_else(|| longer().map(|(_, most)| most)).or_else(|| self.0.get("*"));
        most.is_some_and(|most| most >= access)
    }
}

/// Whether other verbs than `enroll`, `otp` and `keys` leave it alone.
pub fn is_managed(entity: &str) -> bool {
    let words: Vec<&str> = entity.split('.').rev().collect();
    match words[..] {
        ["__manage" | "__otp", ..] | ["__public_keys", "__pkams", ..] => true,
        [_, folder, ..] => ["__public_keys", "__private_keys", "__self_keys"].contains(&folder),
        _ => false,
    }
}

/// The scope and the entity of a name.
pub fn parts(name: &str) -> Option<(&str, &str)> {
    let (scoped, _) = name.rsplit_once('@')?;
    Some(scoped.rsplit_once(':').unwrap_or(("", scoped)))
}

fn is_for_sharing(scope: &str, entity: &str) -> bool {
    let copy = entity.strip_prefix("shared_key.").filter(|_| scope.is_empty());
    let (peer, time) = copy.map_or(("", "0"), |c| c.split_once(".until.").unwrap_or((c, "0")));
    (entity == "shared_key" && (scope.starts_with('@') || scope.starts_with("cached:@")))
        || (copy.is_some() && !peer.contains('.') && time.bytes().all(|b| b.is_ascii_digit()))
}
