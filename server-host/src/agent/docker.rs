//! The engine over its Unix socket, with `bollard`: requests written, answers read, nothing decided.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bollard::errors::Error;
use bollard::models::{NodeSpec, ServiceSpec};
use bollard::query_parameters::{
    ListNodesOptions, ListSecretsOptions, ListTasksOptionsBuilder, UpdateNodeOptions,
    UpdateServiceOptions,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::Uri;
use net::unix_http::{self, UnixHttpError};
use protocol::control::fleet::Availability;
use protocol::control::names::SwarmName;
use tokio::sync::OnceCell;

use super::engine::{
    Answer, Engine, EngineError, EngineId, EngineInfo, EngineNode, EngineSecret, EngineService,
    EngineTask,
};
use super::reading;
use super::template::SWARM_LABEL;
use crate::limits::{ENGINE_ANSWER_BYTES_MAX, ENGINE_DEADLINE};

/// The version from which on an engine has everything that a cell's service asks for.
const API_MINOR_MIN: usize = 41;

/// A Docker-compatible engine on this machine.
#[derive(Debug)]
pub struct DockerEngine {
    socket: Arc<Path>,
    docker: Docker,
    minor: Arc<AtomicUsize>,
    negotiated: OnceCell<u16>,
}

impl DockerEngine {
    /// Talks to the engine behind a socket. Nothing is sent yet.
    ///
    /// # Errors
    /// [`EngineError`] if the library does not take it.
    pub fn at(socket: &Path) -> Answer<Self> {
        let (socket, minor) = (Arc::<Path>::from(socket), Arc::new(AtomicUsize::new(0)));
        let (known, own) = (Arc::clone(&minor), Arc::clone(&socket));
        let transport = move |request: BollardRequest| {
            let (socket, minor) = (Arc::clone(&socket), known.load(Ordering::Relaxed));
            async move {
                let request = addressed(request, minor)?;
                unix_http::request(&socket, request, ENGINE_ANSWER_BYTES_MAX).await.map_err(
                    |error| match error {
                        UnixHttpError::Connect(err) => Error::IOError { err },
                        UnixHttpError::Broken(err) => Error::HyperResponseError { err },
                    },
                )
            }
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some("http://localhost"),
            ENGINE_DEADLINE.as_secs(),
            API_DEFAULT_VERSION,
        )
        .map_err(reading::error)?;
        Ok(Self { socket: own, docker, minor, negotiated: OnceCell::new() })
    }

    /// The library, once both sides know which version they speak.
    async fn docker(&self) -> Answer<&Docker> {
        self.negotiated.get_or_try_init(|| self.negotiate()).await?;
        Ok(&self.docker)
    }

    async fn negotiate(&self) -> Answer<u16> {
        let agreed = self.docker.clone().negotiate_version().await.map_err(reading::error)?;
        let version = agreed.client_version();
        if version.major_version != 1 || version.minor_version < API_MINOR_MIN {
            return Err(EngineError::Unfit("it is older than version 20.10 (API 1.41)"));
        }
        self.minor.store(version.minor_version, Ordering::Relaxed);
        Ok(u16::try_from(version.minor_version).unwrap_or(u16::MAX))
    }
}

/// The path alone, under the version that was agreed on: the library leaves it out.
fn addressed(request: BollardRequest, minor: usize) -> Result<BollardRequest, Error> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let whole = match minor {
        0 => path.to_owned(),
        minor => format!("/v1.{minor}{path}"),
    };
    parts.uri = Uri::try_from(whole).map_err(http::Error::from)?;
    Ok(BollardRequest::from_parts(parts, body))
}

fn broken(error: UnixHttpError) -> Error {
    match error {
        UnixHttpError::Connect(err) => Error::IOError { err },
        UnixHttpError::Broken(err) => Error::HyperResponseError { err },
    }
}

fn version_number<T: TryFrom<u64>>(version: u64) -> Answer<T> {
    let nonsense = |_| EngineError::Nonsense("a version that is too large".into());
    T::try_from(version).map_err(nonsense)
}

impl Engine for DockerEngine {
    async fn info(&self) -> Answer<EngineInfo> {
        let info = self.docker().await?.info().await.map_err(reading::error)?;
        reading::info(info, self.negotiated.get().copied().unwrap_or_default())
    }

    async fn nodes(&self) -> Answer<Vec<EngineNode>> {
        let docker = self.docker().await?;
        let nodes = docker.list_nodes(None::<ListNodesOptions>).await.map_err(reading::error)?;
        nodes.into_iter().map(reading::node).collect()
    }

    async fn set_availability(&self, node: &EngineNode, to: Availability) -> Answer<()> {
        let spec = NodeSpec { availability: Some(reading::available(to)), ..node.spec.clone() };
        let options = UpdateNodeOptions { version: version_number(node.version)? };
        let docker = self.docker().await?;
        docker.update_node(node.id.as_str(), spec, options).await.map_err(reading::error)
    }

    /// Without the library, whose description of a service leaves out what it does not know: what
    /// somebody added by hand is to be seen.
    async fn services(&self, swarm: &SwarmName) -> Answer<Vec<EngineService>> {
        self.docker().await?;
        let path = format!(
            "/v1.{}/services?filters=%7B%22label%22%3A%5B%22{SWARM_LABEL}%3D{swarm}%22%5D%7D",
            self.minor.load(Ordering::Relaxed)
        );
        let path = Uri::try_from(path).map_err(|error| EngineError::Nonsense(error.to_string()))?;
        let answer = unix_http::get(&self.socket, &path, ENGINE_ANSWER_BYTES_MAX).await;
        let (status, body) = answer.map_err(|error| reading::error(broken(error)))?;
        reading::services(status, &body)
    }

    async fn create(&self, spec: &ServiceSpec) -> Answer<EngineId> {
        let docker = self.docker().await?;
        let made = docker.create_service(spec.clone(), None).await.map_err(reading::error)?;
        reading::id(made.id.as_deref())
    }

    async fn update(&self, id: &EngineId, version: u64, spec: &ServiceSpec) -> Answer<()> {
        let options =
            UpdateServiceOptions { version: version_number(version)?, ..Default::default() };
        let docker = self.docker().await?;
        let updated = docker.update_service(id.as_str(), spec.clone(), options, None).await;
        updated.map(drop).map_err(reading::error)
    }

    async fn remove(&self, id: &EngineId) -> Answer<()> {
        match self.docker().await?.delete_service(id.as_str()).await.map_err(reading::error) {
            Err(EngineError::Refused { status: 404, .. }) => Ok(()),
            removed => removed,
        }
    }

    async fn tasks(&self) -> Answer<Vec<EngineTask>> {
        let filters = HashMap::from([("desired-state", vec!["running"])]);
        let options = ListTasksOptionsBuilder::default().filters(&filters).build();
        let docker = self.docker().await?;
        let tasks = docker.list_tasks(Some(options)).await.map_err(reading::error)?;
        tasks.into_iter().map(reading::task).collect()
    }

    async fn secrets(&self) -> Answer<Vec<EngineSecret>> {
        let docker = self.docker().await?;
        let options = None::<ListSecretsOptions>;
        let secrets = docker.list_secrets(options).await.map_err(reading::error)?;
        secrets.into_iter().map(reading::secret).collect()
    }
}

/// Reads where an engine is: `unix:///path`, or a path.
#[must_use]
pub fn socket_of(text: &str) -> Option<PathBuf> {
    let path = Path::new(text.strip_prefix("unix://").unwrap_or(text));
    path.is_absolute().then(|| path.to_owned())
}
