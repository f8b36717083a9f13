//! Somebody's directory and identities, as the command line names them.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::{Credential, Identity, SetupError, Tls, World};
use crate::check::{Check, failed};
use crate::wire::Client;

/// What is needed to look at another implementation.
pub struct Given {
    /// `host:port` of the directory.
    pub directory: String,
    /// The authorities to trust.
    pub ca_file: PathBuf,
    /// At least two; the third and later ones may be changed for good.
    pub identities: Vec<NamedCredential>,
    /// Chain and key of the certificate of the second identity's host.
    pub peer: Option<(PathBuf, PathBuf)>,
}

/// `@alice=FILE`, or `@alice=env:VARIABLE` for an activation secret.
#[derive(Clone)]
pub struct NamedCredential {
    name: String,
    source: Source,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Variable(String),
}

impl FromStr for NamedCredential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, source) =
            text.split_once('=').ok_or("write @name=FILE or @name=env:VARIABLE")?;
        if !name.starts_with('@') || name.len() < 2 || source.is_empty() {
            return Err("write @name=FILE or @name=env:VARIABLE");
        }
        let source = match source.strip_prefix("env:") {
            Some(variable) => Source::Variable(variable.to_owned()),
            None => Source::File(source.into()),
        };
        Ok(Self { name: name.to_owned(), source })
    }
}

impl NamedCredential {
    fn load(&self) -> Result<Credential, SetupError> {
        match &self.source {
            Source::File(file) => Credential::from_file(file),
            Source::Variable(variable) => std::env::var(variable)
                .map(|secret| Credential::Secret(secret.trim().to_owned()))
                .map_err(|error| SetupError::new(format!("reading ${variable}"), error)),
        }
    }
}

impl World {
    /// Another implementation: its directory is asked where the servers are.
    ///
    /// # Errors
    /// Where a file cannot be used, a name is not found, or an owner is not let in.
    pub async fn given(given: Given) -> Result<Self, SetupError> {
        let peer = given.peer.as_ref().map(|(chain, key)| (chain.as_path(), key.as_path()));
        let tls = Arc::new(Tls::of_files(&given.ca_file, peer)?);
        let directory = host_and_port(&given.directory)
            .ok_or_else(|| SetupError::new(&given.directory, "not host:port"))?;
        let mut identities = Vec::new();
        for named in &given.identities {
            let address = resolve(&directory, &tls, &named.name)
                .await
                .map_err(|error| SetupError::new(format!("looking {} up", named.name), error))?;
            let credential = named.load()?;
            identities.push(Identity::new(named.name.clone(), address, credential, tls.clone()));
        }
        Self::new(directory, identities, tls, None).await
    }
}

async fn resolve(directory: &(String, u16), tls: &Tls, name: &str) -> Check<(String, u16)> {
    let mut client = Client::connect(&directory.0, directory.1, tls.plain()).await?;
    client.is_told("the greeting of the directory", "@").await?;
    let answer = client.ask(name.trim_start_matches('@')).await?;
    let address = answer.split('\n').next().unwrap_or_default().trim();
    host_and_port(address).ok_or_else(|| failed("host:port", format_args!("{answer:?}")))
}

pub(crate) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}
