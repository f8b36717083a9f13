//! Keys: what is accepted is normal, is of one kind, and can be taken apart.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::limits::CACHED_KEY_UNITS_MAX;
use protocol::{AtKey, Entity, KeyKind};

fuzz_target!(|text: &str| {
    if let Ok(entity) = Entity::parse(text) {
        assert_eq!(Entity::parse(entity.as_str()), Ok(entity));
    }
    let Ok(key) = AtKey::parse(text) else { return };
    assert!(key.as_str().encode_utf16().count() <= CACHED_KEY_UNITS_MAX);
    assert!(!key.as_str().contains(char::is_whitespace));
    assert_eq!(AtKey::parse(key.as_str()), Ok(key.clone()));
    assert!(Entity::parse(key.entity()).is_ok());
    let has_owner = key.owner().is_some_and(|owner| key.is_owned_by(&owner));
    assert_eq!(has_owner, key.as_str().contains('@'));
    if matches!(key.kind(), KeyKind::Shared | KeyKind::CachedShared) {
        assert!(key.shared_with().is_some());
    }
    assert_eq!(
        key.is_cached(),
        matches!(key.kind(), KeyKind::CachedPublic | KeyKind::CachedShared)
    );
});
