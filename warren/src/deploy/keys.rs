//! `warren deploy keys`: every secret of a fleet as a file, and the words that hand it to a Swarm.
//!
//! A Swarm's secret never changes, so each one's name ends with a piece of its content's hash: a new
//! content is a new secret, and the services that use it are renewed. `fleet.env` has the names, for
//! the stack file.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use net::tls::{CertificateAuthority, SubjectName, TlsError, TlsMaterial};
use protocol::{HostName, Hosts};
use sha2::{Digest, Sha256};
use storage::{Keyring, MasterKey};

use super::args::KeysArgs;
use crate::data_dir::write_atomically;
use crate::failure::{Exit, Failure};
use crate::output;

/// From which the registrar's keys are derived, and from which those of all volumes are.
const MASTER_KEYS: [&str; 2] = ["registrar.key", "storage.key"];

/// What the registrar derives from its master key, and its feed key from that.
const ACTIVATION: &str = "registrar activation";

/// Who may ask the registrar what, and what routers prove to cells.
const TOKENS: [&str; 6] =
    ["admin.token", "feed.token", "cell.token", "router.token", "host.token", "link.key"];

const CERTIFICATE: &str = "tls.pem";
const CERTIFICATE_KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.pem";

/// Bytes of the hash that a secret's name ends with.
const NAME_HASH_BYTES: usize = 6;

/// Makes what is missing and prints what to do with it.
pub fn make(args: &KeysArgs) -> Result<(), Failure> {
    let dir = &args.dir;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot make {}: {error}", dir.display()))
    })?;
    for name in MASTER_KEYS {
        MasterKey::load_or_create(dir.join(name)).map_err(|error| failed(&error))?;
    }
    for name in TOKENS {
        token(&dir.join(name))?;
    }
    certificate(args)?;
    let mut env = format!("WARREN_HOSTNAME={}\n", args.hostname);
    // Writing into a string does not fail.
    let _ = writeln!(env, "WARREN_FEED_KEY={}", feed_key(&dir.join("registrar.key"))?);
    for file in files() {
        let name = secret_name(&dir.join(file))?;
        let _ = writeln!(env, "{}={name}", variable(file));
        let path = quoted(&dir.join(file));
        output::line(format_args!(
            "docker secret inspect {name} >/dev/null 2>&1 || docker secret create {name} {path}"
        ))?;
    }
    let env_file = dir.join("fleet.env");
    write_atomically(&env_file, 0o600, env.as_bytes()).map_err(|error| failed(&error))
}

fn files() -> impl Iterator<Item = &'static str> {
    MASTER_KEYS.into_iter().chain(TOKENS).chain([CERTIFICATE, CERTIFICATE_KEY, AUTHORITY])
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

/// 32 random bytes as text, unless the file is there.
fn token(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| failed(&error))?;
    let text = format!("{}\n", hex::encode(bytes));
    write_atomically(path, 0o600, text.as_bytes()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
    })
}

/// The certificate of the public host name, from the folder's own authority.
fn certificate(args: &KeysArgs) -> Result<(), Failure> {
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let authority = CertificateAuthority::load_or_create(&args.dir).map_err(usage)?;
    let (cert, key) = (args.dir.join(CERTIFICATE), args.dir.join(CERTIFICATE_KEY));
    if cert.exists() && !args.renew_certificate {
        return TlsMaterial::load(&cert, &key).map(drop).map_err(usage);
    }
    authority.issue_files(&subjects(args), &cert, &key).map_err(usage)
}

/// The names that clients may use, and those of this machine's own checks.
fn subjects(args: &KeysArgs) -> Vec<SubjectName> {
    let single = |host: &HostName| Hosts::One(host.clone());
    let localhost = HostName::parse("localhost").ok().as_ref().map(single);
    let own = single(args.hostname.own());
    let names = [&args.hostname, &own].into_iter().chain(&args.san).chain(&localhost);
    let mut subjects: Vec<SubjectName> = Vec::new();
    for subject in names.map(|name| SubjectName::from(name.clone())) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    subjects
}

/// What directories are told to believe.
fn feed_key(master: &Path) -> Result<feed::FeedKey, Failure> {
    let master = MasterKey::load_or_create(master).map_err(|error| failed(&error))?;
    let key = Keyring::new(master).derive(ACTIVATION);
    registrar::feed_key(&key).map_err(|error| failed(&error))
}

fn secret_name(path: &Path) -> Result<String, Failure> {
    let content = fs::read(path).map_err(|error| failed(&error).at(path.display()))?;
    let digest = Sha256::digest(&content);
    let hash = hex::encode(digest.get(..NAME_HASH_BYTES).unwrap_or_default());
    let stem = path.file_name().unwrap_or_default().to_string_lossy().replace('.', "-");
    Ok(format!("warren-{stem}-{hash}"))
}

/// `storage.key` is WARREN_SECRET_STORAGE_KEY.
fn variable(file: &str) -> String {
    format!("WARREN_SECRET_{}", file.replace('.', "_").to_uppercase())
}

fn quoted(path: &Path) -> String {
    let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn args(dir: &Path, san: &[&str], renew_certificate: bool) -> KeysArgs {
        KeysArgs {
            dir: dir.to_owned(),
            hostname: "fleet.test".parse().unwrap(),
            san: san.iter().map(|name| name.parse().unwrap()).collect(),
            renew_certificate,
        }
    }

    fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let file = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        fs::read_dir(dir).unwrap().map(|entry| file(entry.unwrap())).collect()
    }

    #[test]
    fn a_second_time_changes_nothing_and_a_renewal_only_the_certificate() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("keys");
        make(&args(&dir, &["10.0.0.1"], false)).unwrap();
        let first = contents(&dir);
        make(&args(&dir, &["10.0.0.1"], false)).unwrap();
        assert_eq!(contents(&dir), first);

        make(&args(&dir, &["10.0.0.2"], true)).unwrap();
        let renewed = contents(&dir);
        let changed: Vec<&str> = first
            .iter()
            .filter(|(name, content)| renewed.get(*name) != Some(content))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(changed, ["fleet.env", CERTIFICATE_KEY, CERTIFICATE]);
        TlsMaterial::load(&dir.join(CERTIFICATE), &dir.join(CERTIFICATE_KEY)).unwrap();
    }

    #[test]
    fn nobody_else_may_read_a_secret_and_no_two_are_the_same() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("keys");
        make(&args(&dir, &[], false)).unwrap();
        let secret = MASTER_KEYS.into_iter().chain(TOKENS).chain([CERTIFICATE_KEY, "ca.key"]);
        let mut seen = BTreeMap::new();
        for name in secret {
            let path = dir.join(name);
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{name}");
            assert_eq!(seen.insert(fs::read(path).unwrap(), name), None);
        }
        let env = fs::read_to_string(dir.join("fleet.env")).unwrap();
        assert!(env.contains("WARREN_FEED_KEY=ed25519:"), "{env}");
        assert!(env.contains("WARREN_SECRET_STORAGE_KEY=warren-storage-key-"), "{env}");
        for content in seen.keys() {
            let text = String::from_utf8_lossy(content);
            assert!(!env.contains(text.trim()), "the names tell a secret");
        }
    }
}
