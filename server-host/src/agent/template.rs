//! The service that a cell becomes: everything about it that the operator decides once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard::models as api;
use protocol::control::fleet::CellSpec;
use protocol::control::names::SwarmName;
use sha2::{Digest, Sha256};

use super::engine::EngineId;
use crate::limits::{
    CELL_HEALTH_INTERVAL, CELL_HEALTH_RETRIES, CELL_HEALTH_TIMEOUT, CELL_PIDS_MAX,
    CELL_RESTART_PAUSE, CELL_SCRATCH_BYTES, CELL_START_PERIOD, CELL_STOP_GRACE, CELL_WATCH,
};

/// Which cell a service is; a service without it is nobody's but its maker's.
pub const CELL_LABEL: &str = "warren.cell";
/// Which swarm's cell it is.
pub const SWARM_LABEL: &str = "warren.swarm";
/// The hash of all that the agent wanted the service to be when it last wrote it.
pub const SPEC_LABEL: &str = "warren.spec";

/// The program in the image.
const PROGRAM: &str = "/warren";
/// Who it runs as.
const USER: &str = "65532:65532";
/// Where the volumes are inside of a container.
pub const VOLUMES_TARGET: &str = "/volumes";
/// A container's own room, which ends with it.
pub const SCRATCH_TARGET: &str = "/scratch";
/// The port of health and metrics inside of a container; it is not published.
pub const HEALTH_PORT: u16 = 9464;
/// From this version on an engine can be told that programs gain no privileges.
const NO_NEW_PRIVILEGES_FROM: u16 = 44;

/// What all cells of a swarm have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The swarm's name.
    pub swarm: SwarmName,
    /// Where each machine sees the volumes.
    pub volumes: PathBuf,
    /// Names of files, and of the engine's secrets that they are.
    pub secrets: BTreeMap<String, String>,
    /// Host names that a cell knows without asking, in the form `NAME=IP`.
    pub hosts: Vec<(String, std::net::IpAddr)>,
    /// What `warren cell serve` is told beside what follows from its cell.
    pub args: Vec<String>,
}

/// What an engine has for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Means {
    /// The ids of its secrets by their names.
    pub secrets: BTreeMap<String, EngineId>,
    /// The minor number of its API.
    pub api_minor: u16,
}

/// A secret that the engine does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret named {0}")]
pub struct NoSecret(pub String);

impl Template {
    /// What the service of a cell is called.
    #[must_use]
    pub fn name(&self, cell: &CellSpec) -> String {
        format!("{}-{}", self.swarm, cell.cell)
    }

    /// The whole service.
    ///
    /// # Errors
    /// [`NoSecret`].
    pub fn service(&self, cell: &CellSpec, means: &Means) -> Result<api::ServiceSpec, NoSecret> {
        let mut spec = api::ServiceSpec {
            name: Some(self.name(cell)),
            labels: None,
            task_template: Some(api::TaskSpec {
                container_spec: Some(self.container(cell, means)?),
                resources: Some(resources(cell)),
                restart_policy: Some(restarts()),
                placement: Some(api::TaskSpecPlacement {
                    constraints: Some(constraints(cell)),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            mode: Some(api::ServiceSpecMode {
                replicated: Some(api::ServiceSpecModeReplicated { replicas: Some(1) }),
                ..Default::default()
            }),
            update_config: Some(updates()),
            rollback_config: Some(rollbacks()),
            endpoint_spec: Some(endpoint(cell)),
            ..Default::default()
        };
        let hash = hash(&spec);
        spec.labels = Some(
            [
                (CELL_LABEL.to_owned(), cell.cell.to_string()),
                (SWARM_LABEL.to_owned(), self.swarm.to_string()),
                (SPEC_LABEL.to_owned(), hash),
            ]
            .into(),
        );
        Ok(spec)
    }

    fn container(
        &self,
        cell: &CellSpec,
        means: &Means,
    ) -> Result<api::TaskSpecContainerSpec, NoSecret> {
        let privileges = api::TaskSpecContainerSpecPrivileges {
            no_new_privileges: Some(true),
            ..Default::default()
        };
        let hosts: Vec<String> =
            self.hosts.iter().map(|(name, address)| format!("{address} {name}")).collect();
        Ok(api::TaskSpecContainerSpec {
            image: Some(cell.image.clone()),
            command: Some(vec![PROGRAM.to_owned()]),
            args: Some(self.arguments(cell)),
            env: Some(vec!["WARREN_NODE={{.Node.ID}}".to_owned()]),
            user: Some(USER.to_owned()),
            privileges: (means.api_minor >= NO_NEW_PRIVILEGES_FROM).then_some(privileges),
            read_only: Some(true),
            mounts: Some(self.mounts()),
            stop_grace_period: Some(nanos(CELL_STOP_GRACE)),
            health_check: Some(health_check()),
            hosts: (!hosts.is_empty()).then_some(hosts),
            secrets: Some(self.secrets(means)?),
            capability_drop: Some(vec!["ALL".to_owned()]),
            ..Default::default()
        })
    }

    /// The operator's words come last, so that they count where an option is given twice.
    fn arguments(&self, cell: &CellSpec) -> Vec<String> {
        let own = [
            "cell".to_owned(),
            "serve".to_owned(),
            format!("--cell={}", cell.cell),
            format!("--listen=0.0.0.0:{}", cell.port),
            format!("--volumes={VOLUMES_TARGET}"),
            format!("--scratch={SCRATCH_TARGET}"),
            format!("--health-port={HEALTH_PORT}"),
        ];
        own.into_iter().chain(self.args.iter().cloned()).collect()
    }

    fn mounts(&self) -> Vec<api::Mount> {
        let volumes = api::Mount {
            typ: Some(api::MountType::BIND),
            source: Some(self.volumes.to_string_lossy().into_owned()),
            target: Some(VOLUMES_TARGET.to_owned()),
            ..Default::default()
        };
        let scratch = api::Mount {
            typ: Some(api::MountType::TMPFS),
            target: Some(SCRATCH_TARGET.to_owned()),
            tmpfs_options: Some(api::MountTmpfsOptions {
                size_bytes: Some(CELL_SCRATCH_BYTES),
                mode: Some(0o1777),
                ..Default::default()
            }),
            ..Default::default()
        };
        vec![volumes, scratch]
    }

    fn secrets(&self, means: &Means) -> Result<Vec<api::TaskSpecContainerSpecSecrets>, NoSecret> {
        let secret = |(file, name): (&String, &String)| {
            let id = means.secrets.get(name).ok_or_else(|| NoSecret(name.clone()))?;
            let owner = USER.split_once(':');
            Ok(api::TaskSpecContainerSpecSecrets {
                file: Some(api::TaskSpecContainerSpecFile {
                    name: Some(file.clone()),
                    uid: owner.map(|(user, _)| user.to_owned()),
                    gid: owner.map(|(_, group)| group.to_owned()),
                    mode: Some(0o400),
                }),
                secret_id: Some(id.to_string()),
                secret_name: Some(name.clone()),
            })
        };
        self.secrets.iter().map(secret).collect()
    }
}

fn resources(cell: &CellSpec) -> api::TaskSpecResources {
    let limits = api::Limit {
        memory_bytes: Some(i64::try_from(cell.memory_bytes).unwrap_or(i64::MAX)),
        nano_cpus: Some(i64::from(cell.millicpus) * 1_000_000),
        pids: Some(CELL_PIDS_MAX),
    };
    api::TaskSpecResources { limits: Some(limits), ..Default::default() }
}

/// A cell that ended is started again, on any machine, for ever.
fn restarts() -> api::TaskSpecRestartPolicy {
    api::TaskSpecRestartPolicy {
        condition: Some(api::TaskSpecRestartPolicyConditionEnum::ANY),
        delay: Some(nanos(CELL_RESTART_PAUSE)),
        max_attempts: Some(0),
        ..Default::default()
    }
}

fn constraints(cell: &CellSpec) -> Vec<String> {
    cell.on.iter().map(|(label, value)| format!("node.labels.{label} == {value}")).collect()
}

/// The old process ends before the new one begins: two of a cell would only shut one another out.
fn updates() -> api::ServiceSpecUpdateConfig {
    api::ServiceSpecUpdateConfig {
        parallelism: Some(1),
        failure_action: Some(api::ServiceSpecUpdateConfigFailureActionEnum::ROLLBACK),
        monitor: Some(nanos(CELL_WATCH)),
        max_failure_ratio: Some(0.0),
        order: Some(api::ServiceSpecUpdateConfigOrderEnum::STOP_FIRST),
        ..Default::default()
    }
}

fn rollbacks() -> api::ServiceSpecRollbackConfig {
    api::ServiceSpecRollbackConfig {
        parallelism: Some(1),
        failure_action: Some(api::ServiceSpecRollbackConfigFailureActionEnum::PAUSE),
        monitor: Some(nanos(CELL_WATCH)),
        max_failure_ratio: Some(0.0),
        order: Some(api::ServiceSpecRollbackConfigOrderEnum::STOP_FIRST),
        ..Default::default()
    }
}

fn endpoint(cell: &CellSpec) -> api::EndpointSpec {
    let port = api::EndpointPortConfig {
        protocol: Some(api::EndpointPortConfigProtocolEnum::TCP),
        target_port: Some(i64::from(cell.port.get())),
        published_port: Some(i64::from(cell.port.get())),
        publish_mode: Some(api::EndpointPortConfigPublishModeEnum::HOST),
        ..Default::default()
    };
    api::EndpointSpec { mode: Some(api::EndpointSpecModeEnum::DNSRR), ports: Some(vec![port]) }
}

fn health_check() -> api::HealthConfig {
    api::HealthConfig {
        test: Some(["CMD", PROGRAM, "health", &HEALTH_PORT.to_string()].map(Into::into).into()),
        interval: Some(nanos(CELL_HEALTH_INTERVAL)),
        timeout: Some(nanos(CELL_HEALTH_TIMEOUT)),
        retries: Some(CELL_HEALTH_RETRIES),
        start_period: Some(nanos(CELL_START_PERIOD)),
        ..Default::default()
    }
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The same for the same service, whichever agent writes it.
fn hash(spec: &api::ServiceSpec) -> String {
    let text = serde_json::to_vec(spec).unwrap_or_default();
    let digest = Sha256::digest(text);
    hex::encode(digest.get(..16).unwrap_or_default())
}
