//! Our own program, started for the run in a folder of its own.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Ports, Warren};

use super::given::host_and_port;
use super::{Authority, Credential, Identity, SetupError, Tls, World};

/// Identities beside @alice and @bob: whoever changes one for good takes one of these.
const SPARES: usize = 40;

/// A name that is not ASCII: an emoji of two code points.
const EMOJI: &str = "@\u{1F6E0}\u{FE0F}conform";

/// A running `warren up`. It ends when this is dropped.
pub struct Ours {
    _warren: Warren,
    _ports: Ports,
    _folder: TempDir,
}

impl World {
    /// The program `binary`, with two identities and enough further ones.
    ///
    /// # Errors
    /// Where it does not start or register them.
    pub async fn ours(binary: &Path) -> Result<Self, SetupError> {
        let binary = binary.to_owned();
        let starting = tokio::task::spawn_blocking(move || start(&binary));
        let started = starting.await.map_err(|error| SetupError::new("starting warren", error))?;
        let (ours, tls, directory, registered) = started?;
        let tls = Arc::new(tls);
        let mut identities = Vec::new();
        for line in registered.lines() {
            let wrong = || SetupError::new("reading what was registered", "not as expected");
            let row: Value = serde_json::from_str(line).map_err(|_| wrong())?;
            let field = |name: &str| row[name].as_str().map(str::to_owned).ok_or_else(wrong);
            let address = host_and_port(&field("address")?).ok_or_else(wrong)?;
            let credential = Credential::Secret(field("activation_secret")?);
            identities.push(Identity::new(field("identity")?, address, credential, tls.clone()));
        }
        // They come in the order in which their registrations ended.
        let rank = |name: &str| match name {
            "@alice" => 0,
            "@bob" => 1,
            _ if !name.is_ascii() => 3,
            _ => 2,
        };
        identities.sort_by_key(|identity| rank(&identity.name));
        Self::new(directory, identities, tls, Some(ours)).await
    }
}

type Started = (Ours, Tls, (String, u16), String);

fn start(binary: &Path) -> Result<Started, SetupError> {
    let failed = |error: std::io::Error| SetupError::new("preparing a folder", error);
    let folder = tempfile::tempdir().map_err(failed)?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data).map_err(failed)?;
    let authority = Authority::make()?;
    let file = |name: &str| folder.path().join(name);
    let (ca, chain, key) = (file("ca.pem"), file("chain.pem"), file("key.pem"));
    std::fs::write(&ca, &authority.pem).map_err(failed)?;
    authority.issue(&["localhost"])?.write(&chain, &key)?;
    let names: Vec<String> = ["@alice".to_owned(), "@bob".to_owned(), EMOJI.to_owned()]
        .into_iter()
        .chain((0..SPARES).map(|number| format!("@spare{number:02}")))
        .collect();
    let list = file("names.txt");
    std::fs::write(&list, names.join("\n")).map_err(failed)?;

    let ports = Ports::reserve(u16::try_from(names.len()).unwrap_or(u16::MAX));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let options = [
        ["--tls-cert".to_owned(), text(&chain)],
        ["--tls-key".to_owned(), text(&key)],
        ["--tls-ca".to_owned(), text(&ca)],
    ]
    .concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let warren = Warren::start(&text(binary), &data, &ports, &options);
    let output = warren.command(&["identity", "register", "--from", &text(&list), "--json"]);
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(SetupError::new("registering the identities", reason));
    }
    let directory = host_and_port(&warren.endpoints.directory)
        .ok_or_else(|| SetupError::new("finding the directory", "it has no address"))?;
    let registered = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = Ours { _warren: warren, _ports: ports, _folder: folder };
    Ok((ours, Tls::of_authority(authority)?, directory, registered))
}
