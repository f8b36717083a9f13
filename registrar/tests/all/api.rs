//! The JSON API.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use feed::{Signed, SignedSnapshot};
use protocol::control::feed::Batch;
use registrar::{State, SwarmError, WebRegistration};

use crate::http::{FEED_TOKEN, ask, ask_with, send, service};
use crate::swarm::Fault;
use crate::world::{World, id, name, run, state};

const ALICE: &str = r#"{"identity":"@alice"}"#;

#[test]
fn an_identity_is_registered_shown_listed_and_deleted() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::Open);
        let made = ask(&service, Method::POST, "/v1/identities", ALICE).await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.header("cache-control"), "no-store");
        let made = made.json();
        assert_eq!(made["identity"], "@alice");
        assert_eq!(made["address"], "localhost:25000");
        assert_eq!(made["activation_secret"].as_str().unwrap().len(), 128);

        let shown = ask(&service, Method::GET, "/v1/identities/alice", "").await.json();
        assert_eq!(shown["state"], "published");
        assert_eq!(shown["epoch"], 1);
        assert_eq!(shown["since"], 1_800_000_000_000_i64);
        let at = ask(&service, Method::GET, "/v1/identities/@ALICE", "").await.json();
        assert_eq!(at, shown);
        let list = ask(&service, Method::GET, "/v1/identities", "").await.json();
        assert_eq!(list["identities"], serde_json::json!([shown]));

        let again = ask(&service, Method::GET, "/v1/identities/alice/activation", "").await;
        assert_eq!(again.json()["activation_secret"], made["activation_secret"]);

        let stale = ask(&service, Method::DELETE, "/v1/identities/alice?epoch=2", "").await;
        assert_eq!(
            (stale.status, stale.problem().as_str()),
            (StatusCode::PRECONDITION_FAILED, "other-epoch")
        );
        let gone = ask(&service, Method::DELETE, "/v1/identities/alice?epoch=1", "").await;
        assert_eq!((gone.status, gone.body.as_str()), (StatusCode::NO_CONTENT, ""));
        for (method, path) in [
            (Method::GET, "/v1/identities/alice"),
            (Method::GET, "/v1/identities/alice/activation"),
            (Method::DELETE, "/v1/identities/alice"),
        ] {
            let missing = ask(&service, method, path, "").await;
            assert_eq!(missing.status, StatusCode::NOT_FOUND);
            assert_eq!(missing.problem(), "unknown-identity");
        }
    });
}

#[test]
fn the_same_key_hands_over_the_same_secret_and_another_one_is_a_conflict() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        for key in ["01".repeat(16), "a key of any kind".to_owned()] {
            let who = format!(r#"{{"identity":"@n{}"}}"#, key.len());
            let headers = [("idempotency-key", key.as_str())];
            let post = || ask_with(&service, Method::POST, "/v1/identities", &who, &headers);
            let (first, second) = (post().await, post().await);
            assert_eq!((first.status, &first.body), (second.status, &second.body));
            let named = format!(r#"{{"identity":"@n{}","registration":"{key}"}}"#, key.len());
            let third = ask(&service, Method::POST, "/v1/identities", &named).await;
            assert_eq!(third.body, first.body, "the key may stand in the body");
            let other = ask(&service, Method::POST, "/v1/identities", &who).await;
            assert_eq!(
                (other.status, other.problem().as_str()),
                (StatusCode::CONFLICT, "name-taken")
            );
        }
    });
}

#[test]
fn without_the_token_nothing_is_shown_or_done() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let service = service(&registrar, WebRegistration::Open);
        let wrong = "Bearer a-token-for-the-testz";
        for authorization in ["", "Bearer", "Bearer ", wrong, "Basic a-token-for-the-tests"] {
            for (method, path) in [
                (Method::POST, "/v1/identities"),
                (Method::GET, "/v1/identities"),
                (Method::GET, "/v1/identities/alice"),
                (Method::GET, "/v1/identities/alice/activation"),
                (Method::DELETE, "/v1/identities/alice"),
                (Method::GET, "/v1/feed?feed=00000000000000000000000000000000&after=0"),
                (Method::GET, "/v1/feed/snapshot"),
            ] {
                let headers = [("authorization", authorization)];
                let refused = ask_with(&service, method, path, ALICE, &headers).await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
                assert_eq!(refused.problem(), "no-admin-token");
                assert_eq!(refused.header("www-authenticate"), "Bearer");
                assert!(!refused.body.contains("alice") && !refused.body.contains("testz"));
            }
        }
        assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
    });
}

#[test]
fn the_feeds_token_opens_the_feed_and_nothing_else() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let service = service(&registrar, WebRegistration::Open);
        let bearer = format!("Bearer {FEED_TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        for path in ["/v1/feed/snapshot", "/v1/feed/checkpoint"] {
            let answer = ask_with(&service, Method::GET, path, "", &headers).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
        }
        for (method, path) in [
            (Method::GET, "/v1/identities"),
            (Method::GET, "/v1/identities/alice/activation"),
            (Method::DELETE, "/v1/identities/alice"),
        ] {
            let refused = ask_with(&service, method, path, "", &headers).await;
            assert_eq!(refused.problem(), "no-admin-token", "{path}");
        }
    });
}

#[test]
fn what_cannot_be_understood_is_a_problem_with_a_fix() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let long = format!(r#"{{"identity":"{}"}}"#, "a".repeat(9_000));
        for (body, status, kind) in [
            ("", 400, "bad-request"),
            ("{}", 400, "bad-request"),
            ("[]", 400, "bad-request"),
            (r#"{"identity":"@alice","colour":"red"}"#, 400, "bad-request"),
            (r#"{"identity":"@alice","registration":""}"#, 400, "bad-request"),
            (r#"{"identity":"@"}"#, 422, "bad-name"),
            (r#"{"identity":"a b"}"#, 422, "bad-name"),
            (r#"{"identity":"@ürümqi"}"#, 422, "bad-name"),
            (long.as_str(), 413, "too-large"),
        ] {
            let answer = ask(&service, Method::POST, "/v1/identities", body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (status, kind),
                "{body}"
            );
        }
        let key = "k".repeat(256);
        let headers = [("idempotency-key", key.as_str())];
        let answer = ask_with(&service, Method::POST, "/v1/identities", ALICE, &headers).await;
        assert_eq!(answer.problem(), "bad-request");
        for (method, path, status, kind) in [
            (Method::GET, "/v1/identities?limit=many", 400, "bad-request"),
            (Method::GET, "/v1/identities?after=a%20b", 422, "bad-name"),
            (Method::GET, "/v1/identities/%ff", 400, "bad-request"),
            (Method::GET, "/v1/identities/a%20b", 422, "bad-name"),
            (Method::DELETE, "/v1/identities/a?epoch=0", 400, "bad-request"),
            (Method::PUT, "/v1/identities/alice", 405, "wrong-method"),
            (Method::GET, "/v1/nothing", 404, "no-such-path"),
            (Method::GET, "/v1/feed", 400, "bad-request"),
            (Method::GET, "/v1/feed?feed=1&after=0", 400, "bad-request"),
        ] {
            let answer = ask(&service, method, path, "").await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (status, kind),
                "{path}"
            );
        }
    });
}

#[test]
fn an_emoji_name_goes_through_the_path() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let made = ask(&service, Method::POST, "/v1/identities", r#"{"identity":"@alice🛠"}"#).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let shown = ask(&service, Method::GET, "/v1/identities/alice%F0%9F%9B%A0", "").await;
        assert_eq!(shown.json()["identity"], "@alice🛠");
    });
}

#[test]
fn a_list_comes_in_pages() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        for number in 1..=5 {
            registrar.register(name(&format!("n{number}")), id(number)).await.unwrap();
        }
        let service = service(&registrar, WebRegistration::Open);
        let mut path = "/v1/identities?limit=2".to_owned();
        let mut pages = Vec::new();
        loop {
            let page = ask(&service, Method::GET, &path, "").await.json();
            let names = page["identities"].as_array().unwrap().iter();
            pages.push(
                names.map(|one| one["identity"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            );
            match page["next"].as_str() {
                Some(next) => path = format!("/v1/identities?limit=2&after={next}"),
                None => break,
            }
        }
        assert_eq!(pages, [vec!["@n1", "@n2"], vec!["@n3", "@n4"], vec!["@n5"]]);
    });
}

#[test]
fn the_feed_is_followed_from_a_snapshot() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let service = service(&registrar, WebRegistration::Open);
        let key = registrar.feed_key();
        let bytes = ask(&service, Method::GET, "/v1/feed/snapshot", "").await.bytes;
        let snapshot = SignedSnapshot::open(&bytes, &key).unwrap();
        assert_eq!(snapshot.checkpoint().number, 1);
        let alice = snapshot.atlas().find(b"alice").unwrap().address();
        assert_eq!(alice.to_string(), "localhost:25000");
        let feed = snapshot.checkpoint().feed;
        registrar.register(name("@bob"), id(2)).await.unwrap();
        registrar.delete(name("@alice"), None).await.unwrap();
        let path = format!("/v1/feed?feed={feed}&after=1&wait=20");
        let bytes = ask(&service, Method::GET, &path, "").await.bytes;
        let batch: Batch = Signed::from_bytes(&bytes).unwrap().open(&key).unwrap();
        assert_eq!(batch.newest, 3);
        assert_eq!(batch.changes[0].identity, name("@bob"));
        assert_eq!(batch.changes[1].address, None);
        let other = feed::SigningKey::from_seed(&[0; 32]).unwrap().public();
        assert!(Signed::from_bytes(&bytes).unwrap().open::<Batch>(&other).is_err());
        let ahead = format!("/v1/feed?feed={feed}&after=4");
        let gone = ask(&service, Method::GET, &ahead, "").await;
        assert_eq!((gone.status, gone.problem().as_str()), (StatusCode::GONE, "snapshot-needed"));
    });
}

#[test]
fn what_the_host_cannot_do_now_is_answered_with_a_time_to_come_back() {
    let world = World::new();
    world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Unavailable("no memory".into())));
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let headers = [("idempotency-key", "one")];
        let post = || ask_with(&service, Method::POST, "/v1/identities", ALICE, &headers);
        let failed = post().await;
        assert_eq!((failed.status.as_u16(), failed.problem().as_str()), (503, "server-not-ready"));
        assert_eq!(failed.header("retry-after"), "5");
        assert!(failed.body.contains("no memory"));
        let early = ask(&service, Method::GET, "/v1/identities/alice/activation", "").await;
        assert_eq!(early.problem(), "not-published");
        world.swarm.heal();
        assert_eq!(post().await.status, StatusCode::CREATED);
        world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Unavailable("away".into())));
        let later = ask(&service, Method::DELETE, "/v1/identities/alice", "").await;
        assert_eq!(later.status, StatusCode::ACCEPTED);
        let again = post().await;
        assert_eq!((again.status.as_u16(), again.problem().as_str()), (409, "being-deleted"));
    });
}

#[test]
fn health_needs_no_token_and_readiness_ends_when_the_store_fails() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::Open);
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(send(&service, get("/healthz")).await.status, StatusCode::OK);
        assert_eq!(send(&service, get("/readyz")).await.status, StatusCode::OK);
        world.disk.fail_sync_in(1);
        let failed = ask(&service, Method::POST, "/v1/identities", ALICE).await;
        assert_eq!((failed.status.as_u16(), failed.problem().as_str()), (500, "store-failed"));
        assert_eq!(send(&service, get("/healthz")).await.status, StatusCode::OK);
        let ready = send(&service, get("/readyz")).await;
        assert_eq!((ready.status.as_u16(), ready.problem().as_str()), (503, "store-failed"));
    });
}
