//! Where identities go, and what the registrar says about it.

use axum::http::{Method, StatusCode};
use protocol::Term;
use protocol::control::names::CellId;
use protocol::control::roster::TermGrant;
use registrar::WebRegistration;
use registrar::choice::Policy;
use serde_json::{Value, json};

use crate::fleet::{CELLS, Fleet, Process, obey};
use crate::http::{ask, service};
use crate::world::{World, id, name, run};

/// Two cells with room for two each: the first on n1, the second on n2.
pub async fn two_cells(world: &World) -> (Fleet, [Process; 2]) {
    let fleet = Fleet::with_a_cell(world).await;
    let second = r#"{"swarm":"eu-1","image":"warren-cell:1","port":7002,"capacity":2,
        "memory_bytes":1000000,"millicpus":500,"on":{"zone":"b"}}"#;
    let second = fleet.admin(Method::POST, "/v1/cells", second).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.body);
    let processes = [start(&fleet, 1).await, start(&fleet, 2).await];
    report_nodes(&fleet).await;
    (fleet, processes)
}

pub async fn start(fleet: &Fleet, number: u16) -> Process {
    let body = json!({"node": format!("n{number}"), "version": "1"}).to_string();
    let path = format!("/v1/cells/cell-{number}/terms");
    let grant = fleet.ask(CELLS, Method::POST, &path, &body).await;
    let grant: TermGrant = serde_json::from_str(&grant.body).unwrap();
    Process { cell: grant.cell, term: grant.term }
}

async fn report_nodes(fleet: &Fleet) {
    for (node, address) in [("n1", "10.0.0.1"), ("n2", "10.0.0.2")] {
        assert_eq!(fleet.report_node(node, address).await.status, StatusCode::NO_CONTENT);
    }
}

pub async fn explain(fleet: &Fleet, who: &str) -> Value {
    let path = format!("/v1/identities/{who}/placement");
    let answer = fleet.admin(Method::GET, &path, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

/// The rules that the first two cells break.
fn rules(explanation: &Value) -> [Vec<String>; 2] {
    [0, 1].map(|index| {
        let reasons = explanation["candidates"][index]["reasons"].as_array();
        let rules = reasons.into_iter().flatten().map(|reason| reason["rule"].as_str().unwrap());
        rules.map(str::to_owned).collect()
    })
}

pub async fn set_node(fleet: &Fleet, node: &str, availability: &str) {
    let body = json!({ "availability": availability }).to_string();
    let set = fleet.admin(Method::PATCH, &format!("/v1/nodes/{node}"), &body).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
}

pub async fn register(fleet: &Fleet, processes: &[Process; 2], who: &str, key: u8) -> u16 {
    let [first, second] = processes;
    let cell = tokio::select! {
        answer = first.work(fleet, obey) => panic!("{}", answer.body),
        answer = second.work(fleet, obey) => panic!("{}", answer.body),
        outcome = fleet.registrar.register(name(who), id(key)) => outcome.unwrap().cell,
    };
    cell.unwrap().number()
}

#[test]
fn a_node_that_is_drained_or_paused_gets_nobody_new_also_after_a_restart() {
    let world = World::new();
    run(async {
        let (fleet, _) = two_cells(&world).await;
        let before = explain(&fleet, "zoe").await;
        assert_eq!(
            (&before["chosen"], &before["state"], &before["cell"]),
            (&1.into(), &Value::Null, &Value::Null)
        );
        assert_eq!(before["candidates"][1]["zone"], "a", "the machine's word goes before ours");
        set_node(&fleet, "n1", "drain").await;
        let drained = explain(&fleet, "zoe").await;
        assert_eq!(
            (&drained["chosen"], rules(&drained)),
            (&2.into(), [vec!["node-closed".into()], vec![]])
        );
        set_node(&fleet, "n2", "pause").await;
        drop(fleet);

        let fleet = Fleet::open(&world);
        let neither = explain(&fleet, "zoe").await;
        let closed = || vec!["node-closed".to_owned()];
        assert_eq!((&neither["chosen"], rules(&neither)), (&Value::Null, [closed(), closed()]));
        let refused = fleet.admin(Method::POST, "/v1/identities", r#"{"identity":"@zoe"}"#).await;
        assert_eq!((refused.status.as_u16(), &*refused.problem()), (503, "no-room"));
        set_node(&fleet, "n1", "active").await;
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 1);
    });
}

#[test]
fn who_falls_silent_gets_nobody_new_until_the_next_report() {
    let world = World::new();
    run(async {
        let (fleet, [first, second]) = two_cells(&world).await;
        world.clock.advance(15_000);
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 1, "not silent yet");
        world.clock.advance(1);
        let both = || vec!["silent".to_owned(), "node-silent".to_owned()];
        assert_eq!(rules(&explain(&fleet, "zoe").await), [both(), both()]);
        assert_eq!(second.report(&fleet, vec![]).await.status, StatusCode::NO_CONTENT);
        let half = explain(&fleet, "zoe").await;
        assert_eq!(
            (&half["chosen"], &rules(&half)[1]),
            (&Value::Null, &vec!["node-silent".to_owned()])
        );
        report_nodes(&fleet).await;
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 2);
        drop(fleet);

        world.clock.advance(60_000);
        let fleet = Fleet::open(&world);
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 1, "a new registrar gives them time");
        world.clock.advance(15_001);
        assert_eq!(explain(&fleet, "zoe").await["chosen"], Value::Null);
        assert_eq!(first.report(&fleet, vec![]).await.status, StatusCode::NO_CONTENT);
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 1);
    });
}

#[test]
fn a_cell_that_nobody_started_gets_nobody() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let waiting = explain(&fleet, "zoe").await;
        assert_eq!(waiting["chosen"], Value::Null);
        assert_eq!(waiting["candidates"][0]["reasons"][0]["rule"], "waiting");
    });
}

#[test]
fn who_is_registered_is_compared_as_if_she_came_now() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        for (who, key, cell) in [("@alice", 1, 1), ("@bob", 2, 2), ("@carol", 3, 1)] {
            assert_eq!(register(&fleet, &processes, who, key).await, cell, "{who}");
        }
        let alice = explain(&fleet, "alice").await;
        assert_eq!(
            (&alice["identity"], &alice["state"], &alice["cell"]),
            (&"@alice".into(), &"published".into(), &1.into())
        );
        assert_eq!(
            (&alice["chosen"], &alice["candidates"][0]["count"]),
            (&1.into(), &1.into()),
            "without her"
        );
        let zoe = explain(&fleet, "zoe").await;
        assert_eq!(
            (&zoe["chosen"], &zoe["candidates"][0]["reasons"][0]["rule"]),
            (&2.into(), &"full".into())
        );
    });
}

#[test]
fn the_registrars_policy_decides_and_another_may_be_supposed() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        fleet.registrar.place_by(Policy::Packing);
        for (who, key, cell) in [("@alice", 1, 1), ("@bob", 2, 1), ("@carol", 3, 2)] {
            assert_eq!(register(&fleet, &processes, who, key).await, cell, "{who}");
        }
        let more = fleet.admin(Method::PATCH, "/v1/cells/cell-1", r#"{"capacity":20}"#).await;
        assert_eq!(more.status, StatusCode::OK);
        assert_eq!(explain(&fleet, "zoe").await["policy"], "packing");
        for (query, chosen) in [
            ("policy=packing", Value::from(2)),
            ("policy=least-loaded", 1.into()),
            ("policy=round-robin", 1.into()),
            ("policy=round-robin&needs=zone%3Da", 1.into()),
            ("needs=zone%3Db", Value::Null),
            ("needs=tier%3Ddedicated,zone%3Da", Value::Null),
        ] {
            let path = format!("/v1/identities/zoe/placement?{query}");
            assert_eq!(
                fleet.admin(Method::GET, &path, "").await.json()["chosen"],
                chosen,
                "{query}"
            );
        }
        fleet.registrar.place_by(Policy::RoundRobin);
        for (who, key, cell) in [("@dave", 4, 1), ("@erin", 5, 2), ("@frank", 6, 1)] {
            assert_eq!(register(&fleet, &processes, who, key).await, cell, "{who}");
        }
    });
}

#[test]
fn an_explanation_is_the_operators_and_only_of_what_makes_sense() {
    let world = World::new();
    run(async {
        let (fleet, _) = two_cells(&world).await;
        let many = (0..17).map(|label| format!("l{label}=x")).collect::<Vec<_>>().join(",");
        for (path, status, kind) in [
            ("/v1/identities/a%20b/placement", 422, "bad-name"),
            ("/v1/identities/zoe/placement?policy=random", 400, "bad-request"),
            ("/v1/identities/zoe/placement?needs=zone", 400, "bad-request"),
            (&*format!("/v1/identities/zoe/placement?needs={many}"), 400, "bad-request"),
        ] {
            let answer = fleet.admin(Method::GET, path, "").await;
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (status, kind), "{path}");
        }
        let path = "/v1/identities/zoe/placement";
        let stranger = fleet.ask(CELLS, Method::GET, path, "").await;
        assert_eq!((stranger.status.as_u16(), &*stranger.problem()), (401, "no-token"));
        drop(fleet);
        let alone = service(&World::new().open(), WebRegistration::Open);
        let nothing = ask(&alone, Method::GET, path, "").await;
        assert_eq!((nothing.status.as_u16(), &*nothing.problem()), (404, "no-such-path"));
    });
}

#[test]
fn a_new_start_of_a_cell_is_given_time_to_report() {
    let world = World::new();
    run(async {
        let (fleet, _) = two_cells(&world).await;
        world.clock.advance(100_000);
        report_nodes(&fleet).await;
        let again = start(&fleet, 2).await;
        assert_eq!(again.cell, CellId::from_number(2).unwrap());
        assert!(again.term > Term::FIRST);
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 2);
    });
}

#[test]
fn what_cells_and_nodes_report_is_kept_by_the_minute_and_measured() {
    let world = World::new();
    run(async {
        let (fleet, [first, _]) = two_cells(&world).await;
        let tell = async |awake: u64| {
            let body = json!({ "term": first.term, "done": [], "counts": { "awake": awake } });
            let path = "/v1/cells/cell-1/reports";
            let told = fleet.ask(CELLS, Method::POST, path, &body.to_string()).await;
            assert_eq!(told.status, StatusCode::NO_CONTENT);
        };
        for awake in [5, 2] {
            tell(awake).await;
        }
        world.clock.advance(60_000);
        tell(3).await;
        let history = fleet.admin(Method::GET, "/v1/cells/cell-1/history", "").await.json();
        let awake: Vec<_> =
            history["minutes"].as_array().unwrap().iter().map(|row| &row["awake"]).collect();
        assert_eq!(awake, [5, 3], "{history}");
        assert_eq!(history["minutes"][1]["at"], 1_800_000_060_000_i64);
        let newest = fleet.admin(Method::GET, "/v1/cells/cell-1", "").await.json();
        assert_eq!(newest["counts"]["awake"], 3);
        let nobody = fleet.admin(Method::GET, "/v1/cells/cell-9/history", "").await;
        assert_eq!(nobody.status, StatusCode::NOT_FOUND);

        set_node(&fleet, "n2", "drain").await;
        let mut registry = prometheus_client::registry::Registry::with_prefix("warren");
        fleet.registrar.register_metrics(registry.sub_registry_with_prefix("registrar"));
        let text = net::telemetry::encode_metrics(&registry);
        for line in [
            "warren_registrar_cell_identities{cell=\"cell-1\",swarm=\"eu-1\"} 0.0",
            "warren_registrar_cell_awake{cell=\"cell-1\",swarm=\"eu-1\"} 3.0",
            "warren_registrar_cell_capacity{cell=\"cell-2\",swarm=\"eu-1\"} 2.0",
            "warren_registrar_node_report_age_seconds{node=\"n1\"} 60.0",
            "warren_registrar_node_takes_work{node=\"n1\"} 1.0",
            "warren_registrar_node_takes_work{node=\"n2\"} 0.0",
            "warren_registrar_node_used_ratio{node=\"n1\",resource=\"disk\"} 0.002",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
        }
        let silent = "warren_registrar_cell_awake{cell=\"cell-2\"";
        assert!(!text.contains(silent), "nothing is made up: {text}");
    });
}

#[test]
fn who_asks_for_a_cell_of_her_own_gets_one_and_nobody_else_does() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let alone = r#"{"swarm":"eu-1","image":"warren-cell:1","port":7002,"capacity":1,
            "memory_bytes":1000000,"millicpus":500,"on":{"tier":"dedicated"}}"#;
        assert_eq!(fleet.admin(Method::POST, "/v1/cells", alone).await.status, StatusCode::CREATED);
        let processes = [start(&fleet, 1).await, start(&fleet, 2).await];
        for (who, key, cell) in [("@bob", 1, 1), ("@carol", 2, 1)] {
            assert_eq!(register(&fleet, &processes, who, key).await, cell, "{who}");
        }
        let full = fleet.admin(Method::POST, "/v1/identities", r#"{"identity":"@dave"}"#).await;
        assert_eq!(&*full.problem(), "no-room", "the other cell is not for him");

        let alice = r#"{"identity":"@alice","tier":"dedicated"}"#;
        let made = tokio::select! {
            answer = processes[1].work(&fleet, obey) => panic!("{}", answer.body),
            made = fleet.admin(Method::POST, "/v1/identities", alice) => made,
        };
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let shown = fleet.admin(Method::GET, "/v1/identities/alice", "").await.json();
        assert_eq!((&shown["tier"], &shown["cell"]), (&"dedicated".into(), &2.into()));
        assert_eq!(explain(&fleet, "alice").await["chosen"], 2, "asked for what she asked for");
        let bob = fleet.admin(Method::GET, "/v1/identities/bob", "").await.json();
        assert_eq!(bob.get("tier"), None);
        let odd = r#"{"identity":"@erin","tier":"golden"}"#;
        let odd = fleet.admin(Method::POST, "/v1/identities", odd).await;
        assert_eq!(odd.status, StatusCode::BAD_REQUEST);
        let alone = service(&World::new().open(), WebRegistration::Open);
        let nothing = ask(&alone, Method::POST, "/v1/identities", alice).await;
        assert_eq!((nothing.status.as_u16(), &*nothing.problem()), (422, "bad-tier"));
    });
}
