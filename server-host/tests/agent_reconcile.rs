//! What the agent decides, as tables: a plan and what the engine has on one side, actions on the
//! other. The engine here keeps what it is given and fills in what a real one does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Mutex;

use bollard::models::{NodeSpec, ServiceSpec};
use proptest::prelude::*;
use protocol::control::fleet::{Availability, CellSpec, Plan};
use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::control::roster::Position;
use serde_json::{Value, json};
use server_host::agent::{
    Action, Answer, CELL_LABEL, Decision, Engine, EngineError, EngineId, EngineInfo, EngineNode,
    EngineSecret, EngineService, EngineTask, Means, SPEC_LABEL, SWARM_LABEL, Seen, Template,
    Update, Written, acting, reconcile, round,
};

fn cell(number: u16) -> CellSpec {
    CellSpec {
        cell: CellId::from_number(number).unwrap(),
        image: "warren:1".into(),
        port: NonZeroU16::new(7_000 + number).unwrap(),
        memory_bytes: 512 << 20,
        millicpus: 1_500,
        on: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
    }
}

fn plan(cells: impl IntoIterator<Item = CellSpec>) -> Plan {
    let upto = Position { run: 1, number: 1 };
    Plan { upto, cells: cells.into_iter().collect(), nodes: BTreeMap::new() }
}

fn template() -> Template {
    Template {
        swarm: SwarmName::parse("eu").unwrap(),
        volumes: "/srv/warren".into(),
        secrets: BTreeMap::from([("storage.key".to_owned(), "warren-storage-1".to_owned())]),
        hosts: vec![("warren.test".to_owned(), "10.0.0.1".parse().unwrap())],
        args: vec!["--registrar=https://10.0.0.1:8443".to_owned()],
    }
}

fn id(text: &str) -> EngineId {
    EngineId::parse(text).unwrap()
}

fn means() -> Means {
    let secrets = BTreeMap::from([("warren-storage-1".to_owned(), id("s1"))]);
    Means { secrets, api_minor: 41 }
}

/// A service as an engine tells it: with what it fills in by itself.
fn service(number: u64, spec: &ServiceSpec) -> EngineService {
    let mut value = serde_json::to_value(spec).unwrap();
    value["TaskTemplate"]["Runtime"] = json!("container");
    value["TaskTemplate"]["ForceUpdate"] = json!(0);
    value["TaskTemplate"]["ContainerSpec"]["Isolation"] = json!("default");
    value["TaskTemplate"]["ContainerSpec"]["DNSConfig"] = json!({});
    reread(number, value)
}

fn reread(number: u64, value: Value) -> EngineService {
    let spec: ServiceSpec = serde_json::from_value(value).unwrap();
    EngineService {
        id: id(&format!("service{number}")),
        version: number,
        name: spec.name.clone().unwrap(),
        labels: spec.labels.clone().unwrap_or_default().into_iter().collect(),
        spec: serde_json::to_value(spec).unwrap(),
        update: None,
    }
}

fn seen(services: Vec<EngineService>) -> Seen {
    Seen { services, nodes: Vec::new(), means: means() }
}

fn as_planned(plan: &Plan) -> Vec<EngineService> {
    let spec = |cell| template().service(cell, &means()).unwrap();
    (1..).zip(&plan.cells).map(|(number, cell)| service(number, &spec(cell))).collect()
}

fn decide(plan: &Plan, seen: &Seen) -> Decision {
    reconcile(plan, seen, &template(), &Written::new())
}

fn shown(decision: &Decision) -> Vec<String> {
    decision.actions.iter().map(ToString::to_string).collect()
}

#[test]
fn a_cell_becomes_a_service_with_nothing_more_than_it_needs() {
    let spec = template().service(&cell(7), &means()).unwrap();
    let spec = serde_json::to_value(spec).unwrap();
    assert_eq!(spec["Name"], "eu-cell-7");
    assert_eq!(spec["Labels"][CELL_LABEL], "cell-7");
    assert_eq!(spec["Labels"][SWARM_LABEL], "eu");
    assert_eq!(spec["Mode"], json!({"Replicated": {"Replicas": 1}}));
    let ports = json!([{"Protocol": "tcp", "TargetPort": 7007, "PublishedPort": 7007,
        "PublishMode": "host"}]);
    assert_eq!(spec["EndpointSpec"], json!({"Mode": "dnsrr", "Ports": ports}));
    let task = &spec["TaskTemplate"];
    assert_eq!(task["Placement"]["Constraints"], json!(["node.labels.zone == a"]));
    assert_eq!(task["Resources"]["Limits"]["NanoCPUs"], 1_500_000_000_i64);
    assert_eq!(task["RestartPolicy"]["Condition"], "any");
    assert_eq!(spec["UpdateConfig"]["Order"], "stop-first");
    assert_eq!(spec["UpdateConfig"]["FailureAction"], "rollback");
    let container = &task["ContainerSpec"];
    assert_eq!(container["ReadOnly"], true);
    assert_eq!(container["CapabilityDrop"], json!(["ALL"]));
    assert_eq!(container["User"], "65532:65532");
    assert_eq!(container["Env"], json!(["WARREN_NODE={{.Node.ID}}"]));
    assert_eq!(container["Hosts"], json!(["10.0.0.1 warren.test"]));
    assert_eq!(container["HealthCheck"]["Test"], json!(["CMD", "/warren", "health", "9464"]));
    assert_eq!(container["Secrets"][0]["SecretID"], "s1");
    assert_eq!(container["Secrets"][0]["File"]["Name"], "storage.key");
    assert_eq!(container["Args"].as_array().unwrap().last().unwrap(), &template().args[0]);
    assert_eq!(container["Privileges"], Value::Null, "20.10 knows no such thing");
    let newer = Means { api_minor: 44, ..means() };
    let newer = serde_json::to_value(template().service(&cell(7), &newer).unwrap()).unwrap();
    assert_eq!(newer["TaskTemplate"]["ContainerSpec"]["Privileges"]["NoNewPrivileges"], true);
}

#[test]
fn what_is_missing_is_made_what_is_too_much_is_ended_and_the_rest_is_left_alone() {
    let wanted = plan([cell(1), cell(2)]);
    let decision = decide(&wanted, &seen(as_planned(&plan([cell(2), cell(3)]))));
    assert_eq!(shown(&decision), ["remove eu-cell-3", "create cell-1 with warren:1"]);
    assert!(decision.drift.is_empty(), "{:?}", decision.drift);
    assert_eq!(decide(&wanted, &seen(as_planned(&wanted))), Decision::default());
    let newer = plan([CellSpec { image: "warren:2".into(), ..cell(1) }]);
    let decision = decide(&newer, &seen(as_planned(&plan([cell(1)]))));
    assert_eq!(shown(&decision), ["update cell-1 to warren:2"]);
    assert!(decision.drift.is_empty(), "a change of the plan is no drift: {:?}", decision.drift);
}

#[test]
fn what_was_changed_by_hand_is_mended_and_told() {
    let wanted = plan([cell(1)]);
    let by_hand: [(&str, Value, &str); 9] = [
        ("/TaskTemplate/ContainerSpec/Image", json!("other:1"), "ContainerSpec.Image"),
        ("/TaskTemplate/ContainerSpec/Env", json!(["A=secret"]), "ContainerSpec.Env"),
        ("/TaskTemplate/ContainerSpec/Mounts", json!([]), "ContainerSpec.Mounts"),
        ("/TaskTemplate/ContainerSpec/ReadOnly", json!(false), "ContainerSpec.ReadOnly"),
        ("/TaskTemplate/ContainerSpec/Secrets", json!([]), "ContainerSpec.Secrets"),
        ("/TaskTemplate/ContainerSpec/CapabilityDrop", json!([]), "CapabilityDrop"),
        ("/TaskTemplate/Resources/Limits/MemoryBytes", json!(1), "MemoryBytes"),
        ("/Mode/Replicated/Replicas", json!(2), "Replicas"),
        ("/EndpointSpec/Ports/0/PublishedPort", json!(80), "EndpointSpec.Ports"),
    ];
    for (path, value, told) in by_hand {
        let mut has = as_planned(&wanted).remove(0);
        *has.spec.pointer_mut(path).unwrap() = value;
        let decision = decide(&wanted, &seen(vec![has]));
        assert_eq!(shown(&decision), ["update cell-1 to warren:1"], "{path}");
        assert!(decision.drift[0].contains(told), "{path}: {:?}", decision.drift);
        assert!(!decision.drift[0].contains("secret"), "a line tells no values");
    }
    let written = Written::from([(CellId::FIRST, "x".to_owned())]);
    let decision = reconcile(&wanted, &seen(Vec::new()), &template(), &written);
    assert_eq!(shown(&decision), ["create cell-1 with warren:1"]);
    assert_eq!(decision.drift, ["cell-1 was removed; it is made again"]);
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let foreign = |labels: Value| {
        let mut value = serde_json::to_value(&as_planned(&plan([cell(9)]))[0].spec).unwrap();
        value["Labels"] = labels;
        decide(&plan([]), &seen(vec![reread(1, value)]))
    };
    assert!(foreign(json!({})).actions.is_empty());
    assert!(foreign(json!({CELL_LABEL: "cell-9"})).actions.is_empty());
    assert!(foreign(json!({CELL_LABEL: "cell-9", SWARM_LABEL: "us"})).actions.is_empty());
    assert!(foreign(json!({SWARM_LABEL: "eu", SPEC_LABEL: "x"})).actions.is_empty());
    let odd = foreign(json!({CELL_LABEL: "cell-0", SWARM_LABEL: "eu"}));
    assert!(odd.actions.is_empty() && odd.drift.len() == 1, "{odd:?}");
    assert_eq!(foreign(json!({CELL_LABEL: "cell-9", SWARM_LABEL: "eu"})).actions.len(), 1);
}

#[test]
fn a_second_service_of_one_cell_is_ended_before_the_port_is_needed() {
    let wanted = plan([cell(1)]);
    let mut twin = as_planned(&wanted).remove(0);
    (twin.id, twin.name) = (id("twin"), "eu-cell-1-copy".to_owned());
    let mut services = as_planned(&wanted);
    services.push(twin);
    let decision = decide(&wanted, &seen(services));
    assert_eq!(shown(&decision), ["remove eu-cell-1-copy"]);
    assert_eq!(decision.drift.len(), 1);
}

#[test]
fn a_version_that_the_engine_took_back_is_not_tried_again() {
    let newer = plan([CellSpec { image: "warren:bad".into(), ..cell(1) }]);
    let spec = template().service(&newer.cells[0], &means()).unwrap();
    let hash = spec.labels.unwrap()[SPEC_LABEL].clone();
    let mut has = as_planned(&plan([cell(1)])).remove(0);
    has.update = Some(Update::RolledBack);
    let seen = seen(vec![has]);
    let written = Written::from([(CellId::FIRST, hash)]);
    let decision = reconcile(&newer, &seen, &template(), &written);
    assert!(decision.actions.is_empty() && decision.drift.len() == 1, "{decision:?}");
    let fixed = plan([CellSpec { image: "warren:3".into(), ..cell(1) }]);
    let decision = reconcile(&fixed, &seen, &template(), &written);
    assert_eq!(shown(&decision), ["update cell-1 to warren:3"]);
    // An agent that does not know what was tried tries it once.
    assert_eq!(decide(&newer, &seen).actions.len(), 1);
}

#[test]
fn a_missing_secret_holds_up_its_cell_and_nothing_is_ended_for_it() {
    let wanted = plan([cell(1), cell(2)]);
    let mut seen = seen(as_planned(&plan([cell(1)])));
    seen.means.secrets.clear();
    let decision = decide(&wanted, &seen);
    assert!(decision.actions.is_empty(), "{decision:?}");
    assert!(decision.drift.iter().all(|line| line.contains("warren-storage-1")), "{decision:?}");
}

fn node(id: &str, availability: Availability) -> EngineNode {
    EngineNode {
        id: NodeName::parse(id).unwrap(),
        version: 5,
        is_leader: false,
        is_manager: true,
        availability,
        labels: BTreeMap::new(),
        spec: NodeSpec::default(),
    }
}

#[test]
fn the_leader_acts_and_another_manager_where_it_runs_no_agent() {
    let acts = |nodes: &[EngineNode]| acting(nodes).map(|node| node.as_str().to_owned());
    let mut nodes = ["c", "b", "a"].map(|id| node(id, Availability::Active));
    nodes[0].is_leader = true;
    assert_eq!(acts(&nodes).as_deref(), Some("c"));
    nodes[0].availability = Availability::Drain;
    assert_eq!(acts(&nodes).as_deref(), Some("a"));
    nodes[2].is_manager = false;
    assert_eq!(acts(&nodes).as_deref(), Some("b"), "a worker does not know what to do");
    nodes[1].availability = Availability::Drain;
    assert_eq!(acts(&nodes), None);
}

#[test]
fn nodes_are_set_where_the_plan_says_so() {
    let mut wanted = plan([]);
    for (id, availability) in [("a", Availability::Drain), ("b", Availability::Active)] {
        wanted.nodes.insert(NodeName::parse(id).unwrap(), availability);
    }
    let mut seen = seen(Vec::new());
    seen.nodes =
        ["a", "b", "c"].map(|id| node(id, Availability::Active)).into_iter().collect::<Vec<_>>();
    let decision = decide(&wanted, &seen);
    assert_eq!(shown(&decision), ["set node a from Active to Drain"]);
}

#[test]
fn a_list_of_10_000_services_is_compared_in_no_time_worth_mentioning() {
    let wanted = plan((1..=10_000).map(cell));
    let mut services = as_planned(&wanted);
    services[4_999].spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("x");
    let seen = seen(services);
    let begun = std::time::Instant::now();
    let decision = decide(&wanted, &seen);
    assert_eq!(shown(&decision), ["update cell-5000 to warren:1"]);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

/// An engine in memory: it does what it is told, or refuses.
#[derive(Default)]
struct Kept {
    services: Mutex<Vec<EngineService>>,
    refuses: bool,
}

impl Kept {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<EngineService>) -> T) -> Answer<T> {
        match self.refuses {
            true => Err(EngineError::Refused { status: 500, message: "no".into() }),
            false => Ok(change(&mut self.services.lock().unwrap())),
        }
    }
}

impl Engine for Kept {
    async fn info(&self) -> Answer<EngineInfo> {
        Err(EngineError::Unfit("never asked"))
    }

    async fn nodes(&self) -> Answer<Vec<EngineNode>> {
        Ok(Vec::new())
    }

    async fn set_availability(&self, _: &EngineNode, _: Availability) -> Answer<()> {
        Ok(())
    }

    async fn services(&self, _: &SwarmName) -> Answer<Vec<EngineService>> {
        Ok(self.services.lock().unwrap().clone())
    }

    async fn create(&self, spec: &ServiceSpec) -> Answer<EngineId> {
        self.change(|services| {
            let number = services.iter().map(|service| service.version).max().unwrap_or(0) + 1;
            services.push(service(number, spec));
            services.last().unwrap().id.clone()
        })
    }

    async fn update(&self, id: &EngineId, version: u64, spec: &ServiceSpec) -> Answer<()> {
        self.change(|services| {
            let old = services.iter_mut().find(|old| old.id == *id).unwrap();
            assert_eq!(old.version, version);
            *old = EngineService { id: id.clone(), ..service(version + 1_000, spec) };
        })
    }

    async fn remove(&self, id: &EngineId) -> Answer<()> {
        self.change(|services| services.retain(|old| old.id != *id))
    }

    async fn tasks(&self) -> Answer<Vec<EngineTask>> {
        let task = |service: &EngineService| EngineTask {
            service: service.id.clone(),
            is_running: true,
            error: None,
        };
        Ok(self.services.lock().unwrap().iter().map(task).collect())
    }

    async fn secrets(&self) -> Answer<Vec<EngineSecret>> {
        Ok(vec![EngineSecret { id: id("s1"), name: "warren-storage-1".into() }])
    }
}

async fn one_round(engine: &Kept, plan: &Plan, written: &mut Written, is_dry: bool) -> Decision {
    round(engine, plan, &template(), written, 41, is_dry).await.unwrap()
}

#[tokio::test]
async fn a_dry_round_and_a_refused_one_change_nothing_and_say_what_they_would() {
    let (dry, refusing) = (Kept::default(), Kept { refuses: true, ..Kept::default() });
    let wanted = plan([cell(1), cell(2)]);
    let mut written = Written::new();
    let said = one_round(&dry, &wanted, &mut written, true).await;
    assert_eq!((said.actions.len(), said.drift.len()), (2, 0));
    let said = one_round(&refusing, &wanted, &mut written, false).await;
    assert_eq!((said.actions.len(), said.drift.len()), (2, 2), "the second is tried all the same");
    assert!(said.drift[1].contains("cell-2"), "{:?}", said.drift);
    assert!(dry.services.lock().unwrap().is_empty() && written.is_empty());
}

#[derive(Debug, Clone)]
enum Hand {
    Image(usize),
    Replicas(usize),
    Removes(usize),
    Clones(usize),
    Unlabels(usize),
}

fn hand() -> impl Strategy<Value = Hand> {
    let which = 0_usize..6;
    prop_oneof![
        which.clone().prop_map(Hand::Image),
        which.clone().prop_map(Hand::Replicas),
        which.clone().prop_map(Hand::Removes),
        which.clone().prop_map(Hand::Clones),
        which.prop_map(Hand::Unlabels),
    ]
}

fn meddle(services: &mut Vec<EngineService>, hand: &Hand) {
    let at = |which: &usize| (!services.is_empty()).then(|| which % services.len());
    match hand {
        Hand::Image(which) => {
            let Some(at) = at(which) else { return };
            services[at].spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("by:hand");
        }
        Hand::Replicas(which) => {
            let Some(at) = at(which) else { return };
            services[at].spec["Mode"]["Replicated"]["Replicas"] = json!(0);
        }
        Hand::Removes(which) => {
            let Some(at) = at(which) else { return };
            services.remove(at);
        }
        Hand::Clones(which) => {
            let Some(at) = at(which) else { return };
            let mut twin = services[at].clone();
            let number = services.len();
            (twin.id, twin.name) = (id(&format!("twin{number}")), format!("twin-{number}"));
            services.push(twin);
        }
        Hand::Unlabels(which) => {
            let Some(at) = at(which) else { return };
            services[at].spec["Labels"][SPEC_LABEL] = json!("other");
            services[at].labels.insert(SPEC_LABEL.to_owned(), "other".to_owned());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was there and whatever hands did: after one round nothing is left to do, and each
    /// cell of the plan has the one service that it should have.
    #[test]
    fn a_second_round_has_nothing_to_do(
        before in proptest::collection::btree_set(1_u16..6, 0..5),
        after in proptest::collection::btree_set(1_u16..6, 0..5),
        hands in proptest::collection::vec(hand(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (engine, mut written) = (Kept::default(), Written::new());
            let (before, after) = (plan(before.into_iter().map(cell)), plan(after.into_iter().map(cell)));
            one_round(&engine, &before, &mut written, false).await;
            for hand in &hands {
                meddle(&mut engine.services.lock().unwrap(), hand);
            }
            one_round(&engine, &after, &mut written, false).await;
            let second = one_round(&engine, &after, &mut written, false).await;
            prop_assert!(second.actions.is_empty(), "{:?}", second);
            prop_assert!(second.drift.is_empty(), "{:?}", second);
            let services = engine.services.lock().unwrap();
            prop_assert_eq!(services.len(), after.cells.len());
            Ok(())
        })?;
    }
}

#[test]
fn an_action_says_whose_service_it_writes() {
    let decision = decide(&plan([cell(1)]), &seen(Vec::new()));
    let Action::Create { cell, .. } = &decision.actions[0] else { panic!("{decision:?}") };
    assert_eq!(decision.actions[0].writes().unwrap().0, *cell);
}
