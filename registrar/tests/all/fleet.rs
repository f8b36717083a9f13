//! Cells, routers and agents, as the registrar answers them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use net::clock::Clock;
use protocol::control::fleet::Plan;
use protocol::control::names::CellId;
use protocol::control::roster::{CellCounts, CellReport, Done, Order, Outcome, Roster, TermGrant};
use protocol::control::routes::Routes;
use protocol::{Address, Epoch, Term};
use registrar::{
    AdminToken, FleetTokens, FrontConfig, Probe, RegisterError, Registrar, State, SwarmError,
    SwarmStep, WebRegistration,
};
use serde_json::{Value, json};

use crate::http::{Answer, TOKEN, ask_with};
use crate::world::{World, id, name, run, state};

pub const CELLS: &str = "a-token-of-the-cells";
const ROUTERS: &str = "a-token-of-the-routers";
const HOSTS: &str = "a-token-of-the-hosts";

const CELL: &str = r#"{"swarm":"eu-1","image":"warren-cell:1","port":7001,"capacity":2,
    "memory_bytes":1000000,"millicpus":500,"on":{"zone":"a"}}"#;

/// Says that every server answers.
struct Answers;

impl Probe for Answers {
    fn probe<'a>(&'a self, _: &'a Address) -> SwarmStep<'a> {
        Box::pin(async { Ok(()) })
    }
}

pub struct Fleet {
    pub registrar: Arc<Registrar>,
    service: Router,
}

/// A process that runs a cell.
pub struct Process {
    pub cell: CellId,
    pub term: Term,
}

impl Fleet {
    /// The registrar's next start on this world's store.
    pub fn open(world: &World) -> Self {
        let registrar = world.open_fleet(Arc::new(Answers));
        let token = |text| AdminToken::parse(text).unwrap();
        let config = FrontConfig {
            admin: token(TOKEN),
            feed: None,
            registration: WebRegistration::Open,
            directory: Address::parse("localhost:6400").unwrap(),
            ca_pem: None,
        };
        let tokens =
            FleetTokens { cells: token(CELLS), routers: token(ROUTERS), hosts: token(HOSTS) };
        Self { service: registrar.fleet_http(config, tokens), registrar }
    }

    /// With one swarm and one cell.
    pub async fn with_a_cell(world: &World) -> Self {
        let fleet = Self::open(world);
        let swarm = fleet.admin(Method::POST, "/v1/swarms", r#"{"swarm":"eu-1"}"#).await;
        assert_eq!(swarm.status, StatusCode::CREATED, "{}", swarm.body);
        let cell = fleet.admin(Method::POST, "/v1/cells", CELL).await;
        assert_eq!(cell.status, StatusCode::CREATED, "{}", cell.body);
        fleet
    }

    pub async fn ask(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let header = [("authorization", &*format!("Bearer {token}"))];
        ask_with(&self.service, method, path, body, &header).await
    }

    pub async fn admin(&self, method: Method, path: &str, body: &str) -> Answer {
        self.ask(TOKEN, method, path, body).await
    }

    /// Starts a process for the first cell.
    pub async fn start_on(&self, node: &str) -> Process {
        let body = json!({"node": node, "version": "1"}).to_string();
        let answer = self.ask(CELLS, Method::POST, "/v1/cells/cell-1/terms", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let grant: TermGrant = serde_json::from_str(&answer.body).unwrap();
        Process { cell: grant.cell, term: grant.term }
    }

    pub async fn routes(&self, query: &str) -> Routes {
        let answer = self.ask(ROUTERS, Method::GET, &format!("/v1/routes?{query}"), "").await;
        serde_json::from_str(&answer.body).unwrap()
    }

    pub async fn plan(&self, query: &str) -> Plan {
        let path = format!("/v1/swarms/eu-1/plan?{query}");
        let answer = self.ask(HOSTS, Method::GET, &path, "").await;
        serde_json::from_str(&answer.body).unwrap()
    }

    pub async fn report_node(&self, node: &str, address: &str) -> Answer {
        let report = node_report(address).to_string();
        self.ask(HOSTS, Method::PUT, &format!("/v1/nodes/{node}"), &report).await
    }
}

pub fn node_report(address: &str) -> Value {
    json!({
        "swarm": "eu-1", "hostname": "host", "address": address,
        "engine": {"is_answering": true, "is_leader": false, "availability": "active",
            "labels": {"zone": "a"}},
        "pressure": {"memory": 1, "disk": 2, "handles": 3}, "drift": [], "version": "1",
    })
}

impl Process {
    async fn try_roster(&self, fleet: &Fleet, query: &str) -> Answer {
        let path = format!("/v1/cells/{}/roster?term={}&{query}", self.cell, self.term);
        fleet.ask(CELLS, Method::GET, &path, "").await
    }

    pub async fn roster(&self, fleet: &Fleet, query: &str) -> Roster {
        let answer = self.try_roster(fleet, query).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub async fn report(&self, fleet: &Fleet, done: Vec<Done>) -> Answer {
        let report = CellReport {
            term: self.term,
            done,
            counts: CellCounts::default(),
            ill: Vec::new(),
            usage: None,
        };
        let path = format!("/v1/cells/{}/reports", self.cell);
        fleet.ask(CELLS, Method::POST, &path, &serde_json::to_string(&report).unwrap()).await
    }

    /// Follows the roster for ever, and does what it says in this way.
    pub async fn work(
        &self,
        fleet: &Fleet,
        mut act: impl FnMut(&Order) -> Option<Outcome>,
    ) -> Answer {
        let mut query = "wait=30".to_owned();
        loop {
            let answer = self.try_roster(fleet, &query).await;
            if answer.status != StatusCode::OK {
                return answer;
            }
            let roster: Roster = serde_json::from_str(&answer.body).unwrap();
            query = after(&roster);
            let done = roster.orders.iter().filter_map(|order| Some((order, act(order)?)));
            let done = done.filter_map(|(order, outcome)| match order {
                Order::Create { placement, .. } | Order::Remove { placement } => Some(Done {
                    identity: placement.identity.clone(),
                    volume: placement.volume,
                    epoch: placement.epoch,
                    outcome,
                }),
                _ => None,
            });
            let done: Vec<_> = done.collect();
            if !done.is_empty() {
                let answer = self.report(fleet, done).await;
                if answer.status != StatusCode::NO_CONTENT {
                    return answer;
                }
            }
        }
    }
}

fn after(roster: &Roster) -> String {
    format!("run={}&after={}&wait=30", roster.upto.run, roster.upto.number)
}

pub fn obey(order: &Order) -> Option<Outcome> {
    match order {
        Order::Create { .. } => Some(Outcome::Created),
        Order::Remove { .. } => Some(Outcome::Removed),
        Order::Keep { .. } | Order::Release { .. } => None,
    }
}

/// Registers while the cell works.
pub async fn register(
    fleet: &Fleet,
    process: &Process,
    who: &str,
    key: u8,
) -> Result<registrar::Registered, RegisterError> {
    tokio::select! {
        answer = process.work(fleet, obey) => panic!("{}", answer.body),
        outcome = fleet.registrar.register(name(who), id(key)) => outcome,
    }
}

fn terms_only_grow(new: crate::world::NewWorld<'_>) {
    let world = new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let (first, second) = (fleet.start_on("n1").await, fleet.start_on("n2").await);
        assert!(first.term < second.term);
        for refused in [first.try_roster(&fleet, "").await, first.report(&fleet, vec![]).await] {
            assert_eq!(refused.status, StatusCode::CONFLICT);
            assert_eq!(refused.problem(), "superseded");
        }
        let before = second.roster(&fleet, "").await;
        assert!(before.is_whole && before.orders.is_empty());
        drop(fleet);

        let fleet = Fleet::open(&world);
        let kept = second.roster(&fleet, &after(&before).replace("wait=30", "")).await;
        assert!(kept.is_whole, "another run knows nothing of this one's numbers");
        assert!(kept.upto.run > before.upto.run);
        let third = fleet.start_on("n1").await;
        assert!(second.term < third.term);
        assert_eq!(second.report(&fleet, vec![]).await.problem(), "superseded");
    });
}

fn an_identity_comes_and_goes(new: crate::world::NewWorld<'_>) {
    let world = new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        let registered = register(&fleet, &process, "@alice", 1).await.unwrap();
        assert_eq!(registered.cell, Some(process.cell));
        let shown = fleet.admin(Method::GET, "/v1/identities/alice", "").await.json();
        assert_eq!(shown["cell"], 1);

        let routes = fleet.routes("").await;
        let target = routes.routes[0].to.unwrap();
        assert_eq!((routes.routes.len(), target.cell), (1, process.cell));
        assert_eq!(routes.routes[0].port, Some(registered.address.port));
        assert_eq!(routes.cells[0].address, Some("127.0.0.1:7001".parse().unwrap()));
        assert_eq!(routes.cells[0].term, process.term);
        drop(fleet);

        let fleet = Fleet::open(&world);
        let again = fleet.routes("").await;
        assert_eq!((again.routes, &again.cells), (routes.routes, &routes.cells));
        let roster = process.roster(&fleet, "").await;
        let [Order::Keep { placement }] = &roster.orders[..] else { panic!("{roster:?}") };
        assert_eq!((placement.volume, placement.epoch), (target.volume, Epoch::FIRST));

        let gone = tokio::select! {
            answer = process.work(&fleet, obey) => panic!("{}", answer.body),
            outcome = fleet.registrar.delete(name("@alice"), None) => outcome,
        };
        assert_eq!(gone.unwrap(), registrar::Deletion::Done);
        let position = again.upto;
        let routes = fleet.routes(&format!("run={}&after={}", position.run, position.number)).await;
        assert!(!routes.is_whole && routes.routes[0].to.is_none(), "{routes:?}");
        assert!(fleet.routes("").await.routes.is_empty());
        assert!(process.roster(&fleet, "").await.orders.is_empty());
        assert_eq!(cell(&fleet).await["identities"], 0);
    });
}

async fn cell(fleet: &Fleet) -> Value {
    fleet.admin(Method::GET, "/v1/cells/cell-1", "").await.json()
}

fn a_cell_that_fails_leaves_the_name_reserved(new: crate::world::NewWorld<'_>) {
    let world = new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        let mut secrets = Vec::new();
        let fail = |order: &Order| {
            let Order::Create { secret, .. } = order else { panic!("{order:?}") };
            secrets.push(secret.clone());
            Some(Outcome::Failed { reason: "the\ndisk is full".to_owned() + &" ".repeat(9_999) })
        };
        let failed = tokio::select! {
            answer = process.work(&fleet, fail) => panic!("{}", answer.body),
            outcome = fleet.registrar.register(name("@alice"), id(1)) => outcome,
        };
        let Err(RegisterError::Swarm { source: SwarmError::Unavailable(reason), .. }) = failed
        else {
            panic!("{failed:?}")
        };
        assert_eq!((reason.trim(), reason.len()), ("the disk is full", 300));
        assert_eq!(state(&fleet.registrar, "@alice").await, Some(State::Placed));
        let taken = fleet.registrar.register(name("@alice"), id(2)).await;
        assert!(matches!(taken, Err(RegisterError::Taken(_))), "{taken:?}");
        assert!(fleet.routes("").await.routes.is_empty(), "nothing leads to what isn't there");
        drop(fleet);

        let fleet = Fleet::open(&world);
        let process = fleet.start_on("n2").await;
        assert!(process.roster(&fleet, "").await.orders.is_empty(), "it does not live there yet");
        tokio::select! {
            answer = process.work(&fleet, obey) => panic!("{}", answer.body),
            () = fleet.registrar.resume() => {}
        }
        assert_eq!(state(&fleet.registrar, "@alice").await, Some(State::Published));
        let registered = fleet.registrar.register(name("@alice"), id(1)).await.unwrap();
        assert!(secrets.iter().all(|secret| secret == registered.activation_secret.expose()));
        assert!(secrets.len() > 1, "it is asked again");
    });
}

on_each_store! {
    terms_only_grow,
    an_identity_comes_and_goes,
    a_cell_that_fails_leaves_the_name_reserved,
}

#[test]
fn a_new_start_ends_the_wait_of_the_old_one_and_takes_its_orders_over() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let old = fleet.start_on("n1").await;
        let (silent, registered) = tokio::join!(old.work(&fleet, |_| None), async {
            let work = async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                let new = fleet.start_on("n2").await;
                new.work(&fleet, obey).await
            };
            tokio::select! {
                answer = work => panic!("{}", answer.body),
                outcome = fleet.registrar.register(name("@alice"), id(1)) => outcome,
            }
        });
        assert_eq!(silent.problem(), "superseded");
        registered.unwrap();
    });
}

#[test]
fn a_roster_tells_what_is_new_and_waits_where_nothing_is() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        let first = process.roster(&fleet, "").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        let news = process.roster(&fleet, &after(&first)).await;
        assert!(!news.is_whole);
        assert!(matches!(&news.orders[..], [Order::Keep { .. }]), "{news:?}");
        let ahead = format!("run={}&after={}", news.upto.run, news.upto.number + 1);
        assert!(process.roster(&fleet, &ahead).await.is_whole);

        let begun = tokio::time::Instant::now();
        let nothing = process.roster(&fleet, &after(&news).replace("=30", "=9999")).await;
        assert_eq!(begun.elapsed().as_secs(), 30, "no wait is longer");
        assert_eq!((nothing.upto, nothing.orders.len()), (news.upto, 0));
    });
}

#[test]
fn where_no_cell_has_room_nobody_is_placed() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        register(&fleet, &process, "@bob", 2).await.unwrap();
        let carol = r#"{"identity":"@carol"}"#;
        let full = fleet.admin(Method::POST, "/v1/identities", carol).await;
        assert_eq!((full.status, &*full.problem()), (StatusCode::SERVICE_UNAVAILABLE, "no-room"));
        let more = fleet.admin(Method::PATCH, "/v1/cells/cell-1", r#"{"capacity":3}"#).await;
        assert_eq!(more.json()["capacity"], 3);
        register(&fleet, &process, "@dave", 4).await.unwrap();
        assert_eq!(cell(&fleet).await["identities"], 3);
    });
}

#[test]
fn routers_hear_of_cells_that_move_and_prefer_what_the_node_says() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let empty = fleet.routes("").await;
        assert!(empty.cells.is_empty(), "nobody runs it");
        let process = fleet.start_on("n1").await;
        let position = |routes: &Routes| {
            format!("run={}&after={}&wait=30", routes.upto.run, routes.upto.number)
        };
        let begun = fleet.routes(&position(&empty)).await;
        assert_eq!(begun.cells[0].address, Some("127.0.0.1:7001".parse().unwrap()));
        let moved = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fleet.report_node("n1", "10.1.2.3").await
        };
        let (routes, told) = (position(&begun), moved);
        let (routes, told) = tokio::join!(fleet.routes(&routes), told);
        assert_eq!(told.status, StatusCode::NO_CONTENT);
        assert_eq!(routes.cells[0].address, Some("10.1.2.3:7001".parse().unwrap()));
        assert_eq!(routes.cells[0].term, process.term);
        assert!(routes.routes.is_empty() && !routes.is_whole);
    });
}

#[test]
fn a_plan_follows_what_operators_decide() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let first = fleet.plan("").await;
        assert_eq!(first.cells[0].image, "warren-cell:1");
        fleet.report_node("n1", "10.0.0.1").await;
        let query = format!("run={}&after={}&wait=30", first.upto.run, first.upto.number);
        let drain = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let body = r#"{"availability":"drain"}"#;
            fleet.admin(Method::PATCH, "/v1/nodes/n1", body).await
        };
        let (plan, node) = tokio::join!(fleet.plan(&query), drain);
        assert_eq!(node.json()["availability"], "drain");
        assert_eq!(plan.nodes.len(), 1);
        assert!(plan.upto > first.upto);
        let gone = fleet.admin(Method::DELETE, "/v1/cells/cell-1", "").await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        assert!(fleet.plan("").await.cells.is_empty());
        drop(fleet);

        let fleet = Fleet::open(&world);
        assert_eq!(fleet.plan("").await.nodes, plan.nodes);
        let next = fleet.admin(Method::POST, "/v1/cells", CELL).await.json();
        assert_eq!(next["cell"], 2, "a number is never given again");
        let retired = r#"{"node":"n1","version":"1"}"#;
        let retired = fleet.ask(CELLS, Method::POST, "/v1/cells/cell-1/terms", retired).await;
        assert_eq!(retired.problem(), "superseded");
    });
}

#[test]
fn what_is_in_use_stays_and_what_cannot_be_is_refused() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        let long = format!(r#""zone":"{}""#, "a".repeat(300));
        let cases = [
            (Method::DELETE, "/v1/cells/cell-1", String::new(), "in-use"),
            (Method::DELETE, "/v1/swarms/eu-1", String::new(), "in-use"),
            (Method::POST, "/v1/swarms", r#"{"swarm":"eu-1"}"#.into(), "in-use"),
            (Method::POST, "/v1/swarms", r#"{"swarm":"../x"}"#.into(), "bad-request"),
            (Method::GET, "/v1/cells/cell-9", String::new(), "unknown"),
            (Method::GET, "/v1/cells/7", String::new(), "bad-request"),
            (Method::PATCH, "/v1/nodes/n9", r#"{"availability":"drain"}"#.into(), "unknown"),
            (Method::POST, "/v1/cells", CELL.into(), "bad-cell"),
            (Method::POST, "/v1/cells", CELL.replace("7001", "25001"), "bad-cell"),
            (Method::POST, "/v1/cells", CELL.replace("7001", "0"), "bad-request"),
            (Method::POST, "/v1/cells", CELL.replace("eu-1", "eu-2"), "unknown"),
            (Method::POST, "/v1/cells", CELL.replace("warren-cell:1", "a b"), "bad-cell"),
            (Method::POST, "/v1/cells", CELL.replace(r#""zone":"a""#, &long), "bad-cell"),
            (Method::PATCH, "/v1/cells/cell-1", r#"{"term":1}"#.into(), "bad-request"),
        ];
        for (method, path, body, problem) in cases {
            let answer = fleet.admin(method, path, &body).await;
            assert_eq!(answer.problem(), problem, "{path} {body}");
        }
        assert_eq!(cell(&fleet).await["state"], "active");
    });
}

#[test]
fn each_token_opens_its_own_doors_and_no_other() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let doors = [
            (CELLS, Method::POST, "/v1/cells/cell-1/terms"),
            (CELLS, Method::GET, "/v1/cells/cell-1/roster?term=1"),
            (CELLS, Method::POST, "/v1/cells/cell-1/reports"),
            (ROUTERS, Method::GET, "/v1/routes"),
            (HOSTS, Method::PUT, "/v1/nodes/n1"),
            (HOSTS, Method::GET, "/v1/swarms/eu-1/plan"),
            (TOKEN, Method::GET, "/v1/swarms"),
            (TOKEN, Method::POST, "/v1/swarms"),
            (TOKEN, Method::GET, "/v1/nodes"),
            (TOKEN, Method::PATCH, "/v1/nodes/n1"),
            (TOKEN, Method::GET, "/v1/cells"),
            (TOKEN, Method::POST, "/v1/cells"),
            (TOKEN, Method::DELETE, "/v1/cells/cell-1"),
            (TOKEN, Method::GET, "/v1/identities"),
        ];
        for (owner, method, path) in doors {
            for token in [CELLS, ROUTERS, HOSTS, TOKEN, "a-token-of-nobody-at-all"] {
                let answer = fleet.ask(token, method.clone(), path, "").await;
                let is_shut = answer.status == StatusCode::UNAUTHORIZED;
                assert_eq!(is_shut, token != owner, "{method} {path} with {token}");
            }
        }
        let alone = World::new().open();
        let alone = crate::http::service(&alone, WebRegistration::Open);
        let answer = ask_with(&alone, Method::GET, "/v1/cells", "", &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn hostile_bodies_are_refused_and_harm_nobody() {
    let world = World::new();
    run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        let reports = "/v1/cells/cell-1/reports";
        let labels: serde_json::Map<_, _> =
            (0..300).map(|n| (format!("l{n}"), json!("x"))).collect();
        let mut many_labels = node_report("10.0.0.1");
        many_labels["engine"]["labels"] = labels.into();
        let mut foreign = node_report("10.0.0.1");
        foreign["swarm"] = "eu-9".into();
        let deep = "[".repeat(5_000);
        let cases = [
            (CELLS, Method::POST, reports, "x".repeat(5 << 20), "too-large"),
            (CELLS, Method::POST, reports, deep.clone(), "bad-request"),
            (
                CELLS,
                Method::POST,
                reports,
                r#"{"term":0,"done":[],"counts":{}}"#.into(),
                "bad-request",
            ),
            (
                CELLS,
                Method::POST,
                reports,
                r#"{"term":1,"done":[],"counts":{},"x":1}"#.into(),
                "bad-request",
            ),
            (CELLS, Method::POST, "/v1/cells/cell-1/terms", "x".repeat(9 << 10), "too-large"),
            (HOSTS, Method::PUT, "/v1/nodes/n1", "x".repeat(300 << 10), "too-large"),
            (HOSTS, Method::PUT, "/v1/nodes/n1", deep, "bad-request"),
            (HOSTS, Method::PUT, "/v1/nodes/n1", many_labels.to_string(), "bad-request"),
            (HOSTS, Method::PUT, "/v1/nodes/n1", foreign.to_string(), "unknown"),
            (HOSTS, Method::PUT, "/v1/nodes/N%2F1", node_report("::1").to_string(), "bad-request"),
            (HOSTS, Method::PUT, "/v1/nodes/n1", node_report("nowhere").to_string(), "bad-request"),
        ];
        for (token, method, path, body, problem) in cases {
            let answer = fleet.ask(token, method, path, &body).await;
            assert_eq!(answer.problem(), problem, "{path} {}", &body[..body.len().min(60)]);
        }
        for number in 0..1_024 {
            let answer = fleet.report_node(&format!("n{number}"), "10.0.0.1").await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
        assert_eq!(fleet.report_node("n-more", "10.0.0.1").await.problem(), "in-use");
        let stranger = Done {
            identity: name("@mallory"),
            volume: protocol::VolumeId::from_bytes([9; 16]),
            epoch: Epoch::FIRST,
            outcome: Outcome::Removed,
        };
        let answer = process.report(&fleet, vec![stranger; 9_999]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        register(&fleet, &process, "@alice", 1).await.unwrap();
        assert!(world.clock.now().0 > 0);
    });
}
