#![allow(clippy::unwrap_used)]

use super::*;

const NOW: Timestamp = Timestamp(1_727_786_096_789);

fn alice() -> AtSign {
    AtSign::parse("alice").unwrap()
}

fn patch(parts: &[(&str, &str)]) -> MetadataPatch {
    let mut patch = MetadataPatch::default();
    for (name, value) in parts {
        assert_eq!(patch.take(name, value), Ok(true), "{name}");
    }
    patch
}

fn created(parts: &[(&str, &str)]) -> Metadata {
    Metadata::created(&alice(), NOW, &patch(parts))
}

#[test]
fn members_come_in_their_order_and_absent_ones_are_left_out() {
    // Checklist 105, 108, 111.
    assert_eq!(
        created(&[]).to_json(),
        "{\"createdBy\":\"@alice\",\"updatedBy\":\"@alice\",\
         \"createdAt\":\"2024-10-01 12:34:56.789Z\",\"updatedAt\":\"2024-10-01 12:34:56.789Z\",\
         \"status\":\"active\",\"version\":0,\"isBinary\":false,\"isEncrypted\":false}"
    );
    let all = created(&[
        ("skeEncAlgo", "a"),
        ("skeEncKeyName", "b"),
        ("ivNonce", "c+/="),
        ("encAlgo", "d"),
        ("encKeyName", "e"),
        ("encoding", "f"),
        ("pubKeyCS", "g"),
        ("sharedKeyEnc", "h"),
        ("dataSignature", "i"),
        ("isEncrypted", "true"),
        ("isBinary", "TRUE"),
        ("ccd", "True"),
        ("ttr", "60"),
        ("ttb", "1000"),
        ("ttl", "2000"),
    ]);
    assert_eq!(
        all.to_json(),
        "{\"createdBy\":\"@alice\",\"updatedBy\":\"@alice\",\
         \"createdAt\":\"2024-10-01 12:34:56.789Z\",\"updatedAt\":\"2024-10-01 12:34:56.789Z\",\
         \"availableAt\":\"2024-10-01 12:34:57.789Z\",\"expiresAt\":\"2024-10-01 12:34:59.789Z\",\
         \"refreshAt\":\"2024-10-01 12:35:56.789Z\",\"status\":\"active\",\"version\":0,\
         \"ttl\":2000,\"ttb\":1000,\"ttr\":60,\"ccd\":true,\"isBinary\":true,\
         \"isEncrypted\":true,\"dataSignature\":\"i\",\"sharedKeyEnc\":\"h\",\"pubKeyCS\":\"g\",\
         \"encoding\":\"f\",\"encKeyName\":\"e\",\"encAlgo\":\"d\",\"ivNonce\":\"c+/=\",\
         \"skeEncKeyName\":\"b\",\"skeEncAlgo\":\"a\"}"
    );
    assert_eq!(serde_json::from_str::<Metadata>(&all.to_json()).unwrap(), all);
}

#[test]
fn the_servers_own_keys_have_no_flags() {
    let own = Metadata::internal(&alice(), NOW);
    assert_eq!((own.is_binary, own.is_encrypted), (None, None));
    assert!(own.to_json().ends_with("\"version\":0}"));
}

#[test]
fn a_key_is_active_from_its_birth_to_its_end() {
    // Checklist 99, 100, 101.
    let at = |millis: i64| NOW.plus_millis(millis);
    let key = created(&[("ttl", "4000"), ("ttb", "2000")]);
    for (millis, active) in [(0, false), (1999, false), (2000, true), (6000, true), (6001, false)] {
        assert_eq!(key.is_active(at(millis)), active, "{millis}");
    }
    assert!(!key.is_expired(at(6000)) && key.is_expired(at(6001)));
    assert!(created(&[]).is_active(at(i64::MAX / 2)));
}

#[test]
fn what_an_update_leaves_out_stays_but_the_two_flags() {
    // Checklist 105, 106, 107.
    let later = NOW.plus_millis(500);
    let old = created(&[
        ("ttl", "9000"),
        ("ttr", "-1"),
        ("ccd", "true"),
        ("isBinary", "true"),
        ("isEncrypted", "true"),
        ("dataSignature", "sig"),
        ("encoding", "base64"),
    ]);
    let new = old.updated(later, &patch(&[("encoding", "null"), ("ivNonce", "iv")]));
    assert_eq!((new.version, new.created_at, new.updated_at), (1, NOW, later));
    assert_eq!((new.ttl, new.ttr, new.ccd), (Some(9000), Some(-1), Some(true)));
    assert_eq!((new.is_binary, new.is_encrypted), (Some(false), Some(false)));
    assert_eq!(new.data_signature.as_deref(), Some("sig"));
    assert_eq!((new.encoding.as_deref(), new.iv_nonce.as_deref()), (None, Some("iv")));
    assert_eq!(new.expires_at, Some(later.plus_millis(9000)), "the old ttl starts again");
    assert_eq!(new.refresh_at, None, "a copy with ttr -1 never goes stale");
}

#[test]
fn zero_takes_an_expiry_or_a_birth_away() {
    // Checklist 102.
    let old = created(&[("ttl", "1000"), ("ttb", "50000")]);
    let new = old.updated(NOW, &patch(&[("ttl", "0"), ("ttb", "0")]));
    assert_eq!((new.available_at, new.expires_at), (None, None));
    assert_eq!((new.ttl, new.ttb), (Some(0), Some(0)));
    assert!(new.is_active(NOW));
}

#[test]
fn an_update_does_not_bury_a_key_that_is_born() {
    let born = created(&[("ttb", "1000"), ("ttl", "5000")]);
    let later = NOW.plus_millis(3000);
    let new = born.updated(later, &patch(&[]));
    assert!(new.is_active(later));
    assert_eq!(new.expires_at, Some(later.plus_millis(5000)));
}

#[test]
fn refresh_is_in_seconds_and_cascade_needs_it() {
    // Checklist 104.
    assert_eq!(created(&[("ttr", "86400")]).refresh_at, Some(NOW.plus_millis(86_400_000)));
    assert_eq!(created(&[("ccd", "true")]).ccd, None);
    assert_eq!(created(&[("ttr", "0"), ("ccd", "true")]).ttr, None);
    assert!(created(&[("ttr", "-1")]).is_fresh(NOW.plus_millis(i64::MAX / 2)));
    let hour = created(&[("ttr", "3600")]);
    assert!(hour.is_fresh(NOW) && !hour.is_fresh(NOW.plus_millis(3_600_001)));
    assert!(!created(&[]).is_fresh(NOW));
}

#[test]
fn no_time_to_live_leads_to_a_date_that_clients_cannot_read() {
    let key = created(&[("ttl", "9223372036854775807"), ("ttr", "9223372036854775807")]);
    assert!(key.to_json().contains("\"expiresAt\":\"9999-12-31 23:59:59.999Z\""));
    assert!(key.to_json().contains("\"refreshAt\":\"9999-12-31 23:59:59.999Z\""));
}

#[test]
fn a_part_with_a_wrong_value_is_refused_with_its_reason() {
    // Checklist 103, 104.
    for (name, value, error) in [
        ("ttl", "-1", MetadataError::Negative("ttl")),
        ("ttb", "-5", MetadataError::Negative("ttb")),
        ("ttr", "-2", MetadataError::Ttr),
        ("ttl", "", MetadataError::Number("ttl")),
        ("ttl", "+1", MetadataError::Number("ttl")),
        ("ttl", "1.5", MetadataError::Number("ttl")),
        ("ttl", "9223372036854775808", MetadataError::Number("ttl")),
        ("ccd", "yes", MetadataError::Flag("ccd")),
        ("isBinary", "", MetadataError::Flag("isBinary")),
        ("ivNonce", "", MetadataError::Text("ivNonce")),
        ("ivNonce", "a b", MetadataError::Text("ivNonce")),
        ("encoding", "a@b", MetadataError::Text("encoding")),
        ("hash", "a@b", MetadataError::Text("metadata")),
    ] {
        assert_eq!(MetadataPatch::default().take(name, value), Err(error), "{name}:{value}");
    }
    let long = "x".repeat(crate::limits::METADATA_TEXT_BYTES_MAX + 1);
    assert!(MetadataPatch::default().take("ivNonce", &long).is_err());
}

#[test]
fn newer_parts_are_skipped_and_unknown_words_are_none() {
    // Checklist 113, 114.
    let skipped = patch(&[
        ("hash", "x"),
        ("algo", "y"),
        ("pubKeyHash", "z"),
        ("hashingAlgo", "sha512"),
        ("sharedKeyStatus", "DELIVERED"),
        ("ccd", "null"),
    ]);
    assert_eq!(skipped, MetadataPatch::default());
    assert_eq!(MetadataPatch::default().take("phone", "x"), Ok(false));
    assert_eq!(patch(&[("CCD", "True")]).ccd, Some(true));
}

#[test]
fn a_copy_made_of_metadata_has_all_that_a_client_could_set() {
    let original = created(&[("ttl", "5"), ("ttr", "7"), ("ccd", "true"), ("ivNonce", "iv")]);
    let copy = Metadata::created(&alice(), NOW, &original.as_patch());
    assert_eq!(copy, original);
    let odd = Metadata { ttl: Some(-1), ttb: Some(-1), ttr: Some(-2), ..original };
    let patch = odd.as_patch();
    assert_eq!((patch.ttl, patch.ttb, patch.ttr), (None, None, None));
}
