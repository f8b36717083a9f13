//! The private CA, material from files, and what a client certificate proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use common::World;
use net::tls::{CertificateAuthority, SubjectName, TlsError, TlsMaterial, TrustRoots};
use protocol::HostName;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::*;

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn parsed(der: &CertificateDer<'_>, check: impl FnOnce(&X509Certificate<'_>)) {
    check(&X509Certificate::from_der(der).unwrap().1);
}

fn key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn issuer_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => Some(id.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    })
}

#[test]
fn the_ca_is_one_that_strict_clients_accept() {
    let world = World::new();
    let ca = CertificateDer::from_pem_file(world.authority.pem_file()).unwrap();
    parsed(&ca, |ca| {
        assert_eq!(ca.version(), X509Version::V3);
        let constraints = ca.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = ca.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
        assert_eq!(key_id(ca), issuer_key_id(ca));
        assert!(key_id(ca).is_some());
        let days = (ca.validity().not_after - ca.validity().not_before).unwrap().whole_days();
        assert_eq!(days, 3650);
        assert!(ca.validity().not_before < ASN1Time::now());
    });
}

#[test]
fn a_leaf_is_for_serving_and_calling_and_expires_before_825_days() {
    let world = World::new();
    let ca = CertificateDer::from_pem_file(world.authority.pem_file()).unwrap();
    let material = world.material(&["localhost", "127.0.0.1"]);
    assert_eq!(material.chain().len(), 2);
    assert_eq!(material.chain()[1], ca);
    parsed(&material.chain()[0], |leaf| {
        parsed(&ca, |ca| assert_eq!(issuer_key_id(leaf), key_id(ca)));
        let constraints = leaf.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && !constraints.value.ca);
        let usage = leaf.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature());
        let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(
            names,
            &[GeneralName::DNSName("localhost"), GeneralName::IPAddress(&[127, 0, 0, 1])]
        );
        let validity = leaf.validity();
        assert!((validity.not_after - validity.not_before).unwrap().whole_days() <= 825);
        let backdated = (ASN1Time::now() - validity.not_before).unwrap();
        assert!(backdated.whole_hours() >= 23);
        assert_eq!(leaf.public_key().parsed().unwrap().key_size(), 256);
    });
}

#[test]
fn the_ca_is_the_same_after_a_restart_and_its_key_is_private() {
    let world = World::new();
    let before = fs::read(world.authority.pem_file()).unwrap();
    let again = CertificateAuthority::load_or_create(world.folder.path()).unwrap();
    assert_eq!(fs::read(again.pem_file()).unwrap(), before);
    let leaf = again.issue(&[SubjectName::Dns(host("localhost"))]).unwrap();
    assert!(world.roots.verify_client(leaf.chain()).is_some());
    let mode = fs::metadata(world.folder.path().join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files: Vec<_> = fs::read_dir(world.folder.path()).unwrap().collect();
    assert_eq!(files.len(), 2, "no draft is left behind: {files:?}");
}

#[test]
fn a_ca_whose_certificate_is_lost_makes_one_that_stands_for_it() {
    let world = World::new();
    fs::remove_file(world.folder.path().join("ca.pem")).unwrap();
    let again = CertificateAuthority::load_or_create(world.folder.path()).unwrap();
    let leaf = again.issue(&[SubjectName::Dns(host("localhost"))]).unwrap();
    assert!(world.roots.verify_client(leaf.chain()).is_some(), "clients keep the old file");
}

#[test]
fn a_ca_whose_key_is_lost_or_another_is_not_replaced() {
    let world = World::new();
    let key = world.folder.path().join("ca.key");
    fs::copy(World::new().folder.path().join("ca.key"), &key).unwrap();
    let foreign = CertificateAuthority::load_or_create(world.folder.path());
    assert!(matches!(foreign, Err(TlsError::ForeignAuthority(_))), "{foreign:?}");
    fs::write(&key, "nothing").unwrap();
    let damaged = CertificateAuthority::load_or_create(world.folder.path());
    assert!(matches!(damaged, Err(TlsError::NoKey(_))), "{damaged:?}");
    fs::remove_file(&key).unwrap();
    let half = CertificateAuthority::load_or_create(world.folder.path());
    assert!(matches!(half, Err(TlsError::HalfAuthority(_))), "{half:?}");
    assert!(half.unwrap_err().to_string().contains("ca.key"));
}

#[test]
fn a_certificate_needs_a_name() {
    let refused = World::new().authority.issue(&[]);
    assert!(matches!(refused, Err(TlsError::NoSubject)));
}

#[test]
fn material_comes_from_files_and_mistakes_name_the_file() {
    let world = World::new();
    let (cert, key) = (world.folder.path().join("chain.pem"), world.folder.path().join("key.pem"));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let text = |e: Result<TlsMaterial, TlsError>| e.unwrap_err().to_string();

    let missing = TlsMaterial::load(&cert, &key);
    assert!(matches!(missing, Err(TlsError::Read { .. })));
    assert!(text(missing).contains("chain.pem"));

    fs::write(&cert, "hello").unwrap();
    let empty = TlsMaterial::load(&cert, &key);
    assert!(matches!(empty, Err(TlsError::NoCertificate(_))));
    assert!(text(empty).contains("chain.pem"));

    fs::write(&cert, pair.cert.pem()).unwrap();
    fs::write(&key, pair.cert.pem()).unwrap();
    let no_key = TlsMaterial::load(&cert, &key);
    assert!(matches!(no_key, Err(TlsError::NoKey(_))));
    assert!(text(no_key).contains("key.pem"));

    fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mismatch = TlsMaterial::load(&cert, &key);
    assert!(matches!(mismatch, Err(TlsError::Mismatch { .. })));
    let mismatch = text(mismatch);
    assert!(mismatch.contains("chain.pem") && mismatch.contains("key.pem"));

    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    assert_eq!(TlsMaterial::load(&cert, &key).unwrap().chain(), &[pair.cert.der().clone()]);

    fs::write(&cert, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    assert!(matches!(TlsMaterial::load(&cert, &key), Err(TlsError::Malformed(_))));
    let large = vec![b'-'; 5 << 20];
    fs::write(&cert, large).unwrap();
    assert!(matches!(TlsMaterial::load(&cert, &key), Err(TlsError::Malformed(_))));
}

#[test]
fn roots_that_cannot_be_used_are_refused() {
    let world = World::new();
    let file = world.folder.path().join("roots.pem");
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let refused = TrustRoots::from_pem_file(&file);
    assert!(matches!(refused, Err(TlsError::Unusable { .. })), "{refused:?}");
    let good = fs::read_to_string(world.authority.pem_file()).unwrap();
    let mixed = format!("{}{good}", fs::read_to_string(&file).unwrap());
    fs::write(&file, mixed).unwrap();
    let roots = TrustRoots::from_pem_file(&file).unwrap();
    assert!(roots.verify_client(world.material(&["localhost"]).chain()).is_some());
}

#[test]
fn only_certificates_under_our_roots_make_a_verified_peer() {
    let (ours, theirs) = (World::new(), World::new());
    assert!(ours.roots.verify_client(ours.material(&["a.example"]).chain()).is_some());
    assert!(ours.roots.verify_client(theirs.material(&["a.example"]).chain()).is_none());
    assert!(ours.roots.verify_client(&[]).is_none());
    assert!(ours.roots.verify_client(&[CertificateDer::from(vec![1, 2, 3])]).is_none());
    let many = vec![ours.material(&["a.example"]).chain()[0].clone(); 9];
    assert!(ours.roots.verify_client(&many).is_none(), "a chain too long is not looked at");
}

#[test]
fn an_expired_certificate_and_one_for_servers_only_verify_nobody() {
    let world = World::new();
    let ca_key = fs::read_to_string(world.folder.path().join("ca.key")).unwrap();
    let ca_key = rcgen::KeyPair::from_pem(&ca_key).unwrap();
    let ca = CertificateDer::from_pem_file(world.authority.pem_file()).unwrap();
    let mut params = rcgen::CertificateParams::default();
    parsed(&ca, |ca| {
        let name = ca.subject().iter_common_name().next().unwrap().as_str().unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
    });
    let issuer = rcgen::Issuer::new(params, ca_key);
    let issue = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        change(&mut leaf);
        leaf.signed_by(&key, &issuer).unwrap().der().clone()
    };
    let good = issue(&|_| {});
    assert!(world.roots.verify_client(&[good]).is_some(), "the test's own certificates are good");
    let expired = issue(&|leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(world.roots.verify_client(&[expired]).is_none());
    let servers_only = issue(&|leaf| {
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(world.roots.verify_client(&[servers_only]).is_none());
}

#[test]
fn a_peer_is_a_host_by_its_whole_name_only() {
    let world = World::new();
    let peer = |names: &[&str]| {
        let names: Vec<_> = names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(address) => rcgen::SanType::IpAddress(address),
                Err(_) => rcgen::SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        // Issued outside of our own interface, which does not make wildcards.
        world.roots.verify_client(&[world_leaf(&world, names)]).unwrap()
    };
    let alice = peer(&["alice.example"]);
    assert!(alice.is_host(&host("alice.example")) && alice.is_host(&host("ALICE.example")));
    for other in
        ["xalice.example", "alice.example.org", "lice.example", "example", "b.alice.example"]
    {
        assert!(!alice.is_host(&host(other)), "{other}");
    }
    let wild = peer(&["*.example.org"]);
    assert!(wild.is_host(&host("alice.example.org")));
    for other in ["example.org", "a.b.example.org", "alice.example.com", "xexample.org"] {
        assert!(!wild.is_host(&host(other)), "{other}");
    }
    let address = peer(&["127.0.0.1"]);
    assert!(address.is_host(&host("127.0.0.1")));
    assert!(!address.is_host(&host("127.0.0.2")) && !address.is_host(&host("localhost")));
}

/// A leaf under the world's CA with these alternative names, and `alice.example` as common name,
/// which must count for nothing.
fn world_leaf(world: &World, names: Vec<rcgen::SanType>) -> CertificateDer<'static> {
    let key = fs::read(world.folder.path().join("ca.key")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
    let key = rcgen::KeyPair::try_from(&key).unwrap();
    let ca = CertificateDer::from_pem_file(world.authority.pem_file()).unwrap();
    let mut issuer = rcgen::CertificateParams::default();
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    parsed(&ca, |ca| {
        let name = ca.subject().iter_common_name().next().unwrap().as_str().unwrap();
        issuer.distinguished_name.push(rcgen::DnType::CommonName, name);
    });
    let mut leaf = rcgen::CertificateParams::default();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "b.alice.example");
    leaf.subject_alt_names = names;
    let own = rcgen::KeyPair::generate().unwrap();
    leaf.signed_by(&own, &rcgen::Issuer::new(issuer, key)).unwrap().der().clone()
}
