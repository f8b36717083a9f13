//! What cells tell of each identity: what she used, and what is wrong with her server.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use net::drain::Drain;
use serde_json::{Value, json};

use crate::fleet::{CELLS, Fleet, Process, register};
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;

impl Process {
    async fn tells(&self, fleet: &Fleet, more: Value) -> StatusCode {
        let mut report = json!({"term": self.term, "done": [], "counts": {}});
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/v1/cells/{}/reports", self.cell);
        fleet.ask(CELLS, Method::POST, &path, &report.to_string()).await.status
    }
}

fn batch(number: u64, who: &str, commands: u64) -> Value {
    let row = json!({"identity": who, "commands": commands, "bytes_in": 10, "awake_ms": 5,
        "stored_bytes": 1000 + commands});
    json!({"usage": {"number": number, "rows": [row]}})
}

/// Her rows: how many hours each has, its commands and the bytes stored.
async fn rows(fleet: &Fleet, query: &str) -> Vec<(u64, u64, u64)> {
    let answer = fleet.admin(Method::GET, &format!("/v1/usage?identity=@alice{query}"), "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| (number(row, "hours"), number(row, "commands"), number(row, "stored_bytes")))
        .collect()
}

/// As a registrar does that is asked to end.
async fn end(fleet: Fleet) {
    let drain = Drain::new();
    drain.start();
    Arc::clone(&fleet.registrar).tend(drain).await;
}

#[test]
fn what_is_used_is_counted_once_by_the_hour_and_outlives_an_orderly_end() {
    let world = World::new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        for _told_again in 0..2 {
            assert_eq!(process.tells(&fleet, batch(1, "@alice", 3)).await, StatusCode::NO_CONTENT);
        }
        assert_eq!(rows(&fleet, "").await, [(1, 3, 1003)]);
        process.tells(&fleet, batch(2, "@alice", 4)).await;
        process.tells(&fleet, batch(3, "@bob", 9)).await;
        assert_eq!(rows(&fleet, "").await, [(1, 7, 1004)], "hers alone");
        world.clock.advance(HOUR_MS);
        process.tells(&fleet, batch(4, "@alice", 5)).await;
        let both = [(1, 7, 1004), (1, 5, 1005)];
        assert_eq!(rows(&fleet, "").await, both);
        end(fleet).await;
        let fleet = Fleet::open(&world);
        assert_eq!(rows(&fleet, "").await, both);
        let now = 1_800_000_000_000 + HOUR_MS;
        assert_eq!(rows(&fleet, &format!("&from={now}")).await, both[1..]);
        // What is told after that is added to what is written.
        let process = fleet.start_on("n1").await;
        process.tells(&fleet, batch(1, "@alice", 1)).await;
        assert_eq!(rows(&fleet, "").await, [(1, 7, 1004), (1, 6, 1001)]);
        let stranger = fleet.admin(Method::GET, "/v1/usage?identity=@nobody", "").await;
        assert_eq!(stranger.status, StatusCode::NOT_FOUND);
        let open = fleet.ask(CELLS, Method::GET, "/v1/usage?identity=@alice", "").await;
        assert_eq!(open.status, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn hours_become_days_and_days_go_in_the_end() {
    let world = World::new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        // 1,800,000,000 s are eight in the morning.
        for number in 1..=3 {
            process.tells(&fleet, batch(number, "@alice", number)).await;
            world.clock.advance(HOUR_MS);
        }
        end(fleet).await;
        world.clock.advance(3 * 24 * HOUR_MS);
        let fleet = Fleet::open(&world);
        assert_eq!(rows(&fleet, "").await.len(), 3);
        end(fleet).await;
        let fleet = Fleet::open(&world);
        assert_eq!(rows(&fleet, "").await, [(24, 6, 1003)]);
        for _week in 0..14 {
            world.clock.advance(7 * 24 * HOUR_MS);
            end(Fleet::open(&world)).await;
        }
        assert_eq!(rows(&Fleet::open(&world), "").await, []);
    });
}

#[test]
fn too_many_rows_are_refused_and_an_older_start_counts_for_nothing() {
    let world = World::new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let old = fleet.start_on("n1").await;
        register(&fleet, &old, "@alice", 1).await.unwrap();
        let process = fleet.start_on("n2").await;
        assert_eq!(old.tells(&fleet, batch(1, "@alice", 3)).await, StatusCode::CONFLICT);
        let many: Vec<_> = (0..4_001).map(|n| json!({"identity": format!("@a{n}")})).collect();
        let many = json!({"usage": {"number": 1, "rows": many}});
        assert_eq!(process.tells(&fleet, many).await, StatusCode::BAD_REQUEST);
        assert_eq!(rows(&fleet, "").await, []);
    });
}

#[test]
fn who_did_not_get_on_is_named_with_her_cell_and_with_her() {
    let world = World::new();
    world.run(async {
        let fleet = Fleet::with_a_cell(&world).await;
        let process = fleet.start_on("n1").await;
        register(&fleet, &process, "@alice", 1).await.unwrap();
        let ill = json!({"identity": "@alice", "volume": "00".repeat(16), "restarts": 6,
            "is_quarantined": true, "why": "its store does not get on"});
        let report = json!({"ill": [ill], "counts": {"restarts": 6, "quarantined": 1}});
        assert_eq!(process.tells(&fleet, report).await, StatusCode::NO_CONTENT);
        for path in ["/v1/cells/cell-1", "/v1/identities/@alice"] {
            let answer = fleet.admin(Method::GET, path, "").await;
            let shown: Value = serde_json::from_str(&answer.body).unwrap();
            let shown = if shown["ill"].is_array() { &shown["ill"][0] } else { &shown["ill"] };
            assert_eq!(*shown, ill, "{path}: {}", answer.body);
        }
        assert_eq!(process.tells(&fleet, json!({})).await, StatusCode::NO_CONTENT);
        let answer = fleet.admin(Method::GET, "/v1/identities/@alice", "").await;
        assert!(!answer.body.contains("ill"), "{}", answer.body);
        let many: Vec<_> = std::iter::repeat_n(ill, 65).collect();
        let refused = process.tells(&fleet, json!({"ill": many})).await;
        assert_eq!(refused, StatusCode::BAD_REQUEST);
    });
}
