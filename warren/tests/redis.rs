//! The feed through Redis: `warren up --redis`, and replicas that follow there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use testkit::{Certificate, Ports, RedisServer, Replica, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const STREAM: &[u8] = b"warren:feed:changes";

/// A replica that finds the feed in Redis alone.
fn follow(dir: &Path, feed_key: &str, redis: &[&str]) -> Replica {
    Replica::start(WARREN, dir, &[&["--feed-key", feed_key], redis].concat())
}

#[test]
fn a_replica_follows_through_redis_alone_whatever_befalls_it() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let mut redis = RedisServer::start(scratch.path(), &[]);
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let more = ["--identity", "@alice", "--redis", &redis.url()];
    let warren = Warren::start(WARREN, &data, &ports, &more);
    let replica = follow(scratch.path(), &warren.endpoints.feed_key, &["--redis", &redis.url()]);
    let alice = format!("localhost:{}", ports.first);
    replica.resolves_to("@alice", Some(&alice));
    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", Some(&bob));

    // A stranger's entry ahead of all ours would keep ours out for ever.
    let stranger = redis.ask(&[b"XADD", STREAM, b"99999-0", b"signed", &[7; 200]]);
    assert!(stranger.starts_with(b"$") || stranger == b"99999-0", "{stranger:?}");
    let (eve, _) = warren.register("@eve");
    replica.resolves_to("@eve", Some(&eve));

    assert_eq!(redis.ask(&[b"FLUSHALL"]), b"+OK");
    let (carol, _) = warren.register("@carol");
    replica.resolves_to("@carol", Some(&carol));

    redis.kill();
    let (dave, _) = warren.register("@dave");
    assert_eq!(replica.resolve("@alice"), (Some(0), alice.clone()));
    redis.restart();
    replica.resolves_to("@dave", Some(&dave));

    warren.kill();
    for (name, address) in [("@alice", &alice), ("@bob", &bob), ("@dave", &dave)] {
        assert_eq!(replica.resolve(name), (Some(0), address.clone()));
    }
    // What is in Redis is enough for one that knows nothing, the registrar gone.
    let key = warren_key(&data);
    let late = follow(&scratch.path().join("other"), &key, &["--redis", &redis.url()]);
    late.resolves_to("@dave", Some(&dave));
}

#[test]
fn a_redis_that_is_not_there_or_never_answers_harms_nobody() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    // It takes connections, and that is all.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", mute.local_addr().unwrap());
    let more = ["--identity", "@alice", "--redis", &url];
    let warren = Warren::start(WARREN, scratch.path(), &ports, &more);
    warren.register("@bob");
    drop(mute);
    warren.register("@carol");
    let start = Instant::now();
    assert!(warren.terminate().success());
    assert!(start.elapsed() < Duration::from_secs(8), "it waited for Redis at the end");
}

#[test]
fn over_tls_each_side_needs_no_more_than_its_few_commands() {
    let scratch = tempfile::tempdir().unwrap();
    let (ports, tls_port) = (Ports::reserve(20), Ports::reserve(1).first.to_string());
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    Certificate::make(scratch.path());
    let (cert, key, password) = (path("chain.pem"), path("key.pem"), path("password"));
    std::fs::write(&password, "hidden\n").unwrap();
    let tls = ["--tls-port", &tls_port, "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let writer = "--user writer on >hidden ~warren:feed:* +get +set +exists +del +xadd +xrevrange \
                  +multi +exec";
    let reader = "--user reader on >hidden ~warren:feed:* +get +xread";
    let users = writer.split(' ').chain(reader.split(' '));
    let options: Vec<&str> = tls.into_iter().chain(files).chain(users).collect();
    let _redis = RedisServer::start(scratch.path(), &options);

    let url = |user: &str| format!("rediss://{user}@localhost:{tls_port}");
    let common = ["--redis-password-file", &password, "--redis-ca-file", &cert, "--redis"];
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let writer = url("writer");
    let more: Vec<&str> =
        ["--identity", "@alice"].into_iter().chain(common).chain([writer.as_str()]).collect();
    let warren = Warren::start(WARREN, &data, &ports, &more);
    let reader = url("reader");
    let carriers: Vec<&str> = common.into_iter().chain([reader.as_str()]).collect();
    let dir = scratch.path().join("replica");
    let replica = follow(&dir, &warren.endpoints.feed_key, &carriers);
    replica.resolves_to("@alice", Some(&format!("localhost:{}", ports.first)));
    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", Some(&bob));
    assert!(!testkit::log_of(&data).contains("hidden"));
}

/// The feed's key, as the endpoints of a killed warren still say.
fn warren_key(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    endpoints["feed_key"].as_str().unwrap().to_owned()
}
