//! An engine's answers, read with suspicion: what is missing or makes no sense is an error, and what
//! it says for people is cut short.

use std::error::Error as _;

use bollard::errors::Error;
use bollard::models as api;
use protocol::control::fleet::Availability;
use protocol::control::names::NodeName;
use serde_json::Value;

use super::engine::{
    Answer, EngineError, EngineId, EngineInfo, EngineNode, EngineSecret, EngineService, EngineTask,
    Update,
};
use crate::limits::ENGINE_MESSAGE_CHARS_MAX;

/// Whose fault it is.
pub fn error(error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Refused { status: status_code, message: cut(&message) }
        }
        Error::RequestTimeoutError => EngineError::Deadline(crate::limits::ENGINE_DEADLINE),
        Error::IOError { err } => EngineError::Unreachable(cut(&err.to_string())),
        Error::HyperResponseError { err } => {
            let cause = err.source().map_or_else(String::new, |cause| format!(": {cause}"));
            match err.is_parse() {
                true => EngineError::Nonsense(cut(&format!("{err}{cause}"))),
                false => EngineError::Unreachable(cut(&format!("{err}{cause}"))),
            }
        }
        other => EngineError::Nonsense(cut(&other.to_string())),
    }
}

/// Text of an engine, without what would disturb a terminal.
pub fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(ENGINE_MESSAGE_CHARS_MAX).collect()
}

/// An id that must be there.
pub fn id(text: Option<&str>) -> Answer<EngineId> {
    text.and_then(EngineId::parse).ok_or_else(|| nonsense("an id that is none"))
}

fn nonsense(what: &str) -> EngineError {
    EngineError::Nonsense(what.to_owned())
}

fn node_name(text: Option<&str>) -> Answer<NodeName> {
    let id = id(text)?;
    NodeName::parse(id.as_str()).map_err(|_| nonsense("a node's id that is none"))
}

fn version(version: Option<api::ObjectVersion>) -> Answer<u64> {
    version.and_then(|version| version.index).ok_or_else(|| nonsense("a thing without a version"))
}

/// `docker info`.
pub fn info(info: api::SystemInfo, api_minor: u16) -> Answer<EngineInfo> {
    let swarm = info.swarm.ok_or(EngineError::Unfit("it is no part of a Swarm"))?;
    match swarm.local_node_state {
        Some(api::LocalNodeState::ACTIVE) => {}
        Some(api::LocalNodeState::LOCKED) => {
            return Err(EngineError::Unfit("its Swarm is locked: docker swarm unlock"));
        }
        _ => return Err(EngineError::Unfit("it is no part of a Swarm")),
    }
    let address = swarm.node_addr.as_deref().and_then(|text| text.parse().ok());
    let labels = info.labels.unwrap_or_default();
    let label = |text: &String| {
        text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Ok(EngineInfo {
        node: node_name(swarm.node_id.as_deref())?,
        hostname: cut(&info.name.unwrap_or_default()),
        address: address.ok_or_else(|| nonsense("a node without an address"))?,
        is_manager: swarm.control_available.unwrap_or(false),
        labels: labels.iter().filter_map(label).collect(),
        api_minor,
    })
}

/// One of `docker node ls`.
pub fn node(node: api::Node) -> Answer<EngineNode> {
    let spec = node.spec.ok_or_else(|| nonsense("a node without a specification"))?;
    let availability = match spec.availability {
        Some(api::NodeSpecAvailabilityEnum::ACTIVE) => Availability::Active,
        Some(api::NodeSpecAvailabilityEnum::PAUSE) => Availability::Pause,
        Some(api::NodeSpecAvailabilityEnum::DRAIN) => Availability::Drain,
        _ => return Err(nonsense("a node without an availability")),
    };
    let manager = node.manager_status.unwrap_or_default();
    let is_ready = node.status.and_then(|status| status.state) == Some(api::NodeState::READY);
    Ok(EngineNode {
        id: node_name(node.id.as_deref())?,
        version: version(node.version)?,
        is_leader: manager.leader.unwrap_or(false),
        is_manager: is_ready && manager.reachability == Some(api::Reachability::REACHABLE),
        availability,
        labels: spec.labels.clone().unwrap_or_default().into_iter().collect(),
        spec,
    })
}

/// How an engine writes it.
pub fn available(availability: Availability) -> api::NodeSpecAvailabilityEnum {
    match availability {
        Availability::Active => api::NodeSpecAvailabilityEnum::ACTIVE,
        Availability::Pause => api::NodeSpecAvailabilityEnum::PAUSE,
        Availability::Drain => api::NodeSpecAvailabilityEnum::DRAIN,
    }
}

/// `docker service ls`, as it came over the wire.
pub fn services(status: u16, body: &[u8]) -> Answer<Vec<EngineService>> {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    if status != 200 {
        let message = serde_json::from_slice::<Message>(body).map(|said| said.message);
        let message = message.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
        return Err(EngineError::Refused { status, message: cut(&message) });
    }
    let services: Vec<Service> = serde_json::from_slice(body)
        .map_err(|error| EngineError::Nonsense(cut(&error.to_string())))?;
    services.into_iter().map(service).collect()
}

/// As much of a service as is not its specification.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: Option<String>,
    version: Option<api::ObjectVersion>,
    spec: Option<Value>,
    update_status: Option<api::ServiceUpdateStatus>,
}

fn service(service: Service) -> Answer<EngineService> {
    let spec = service.spec.ok_or_else(|| nonsense("a service without a specification"))?;
    let name = spec.get("Name").and_then(Value::as_str);
    let label = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let labels = spec.get("Labels").and_then(Value::as_object);
    Ok(EngineService {
        id: id(service.id.as_deref())?,
        version: version(service.version)?,
        name: name.ok_or_else(|| nonsense("a service without a name"))?.to_owned(),
        labels: labels.map(|labels| labels.iter().filter_map(label).collect()).unwrap_or_default(),
        spec,
        update: service.update_status.and_then(|status| status.state).and_then(update),
    })
}

fn update(state: api::ServiceUpdateStatusStateEnum) -> Option<Update> {
    use api::ServiceUpdateStatusStateEnum as State;
    match state {
        State::EMPTY => None,
        State::UPDATING => Some(Update::Running),
        State::COMPLETED => Some(Update::Done),
        State::PAUSED => Some(Update::Paused),
        State::ROLLBACK_STARTED | State::ROLLBACK_PAUSED | State::ROLLBACK_COMPLETED => {
            Some(Update::RolledBack)
        }
    }
}

/// One of `docker secret ls`.
pub fn secret(secret: api::Secret) -> Answer<EngineSecret> {
    let name = secret.spec.and_then(|spec| spec.name);
    Ok(EngineSecret {
        id: id(secret.id.as_deref())?,
        name: name.ok_or_else(|| nonsense("a secret without a name"))?,
    })
}

/// One of `docker service ps`.
pub fn task(task: api::Task) -> Answer<EngineTask> {
    let status = task.status.unwrap_or_default();
    Ok(EngineTask {
        service: id(task.service_id.as_deref())?,
        is_running: status.state == Some(api::TaskState::RUNNING),
        error: status.err.filter(|text| !text.is_empty()).map(|text| cut(&text)),
    })
}
