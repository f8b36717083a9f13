//! The document of the HTTPS front tells the truth: each answer that it names is had by asking, fits
//! its schema, and no route answers to a method that it leaves out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::https::{Answer, https, https_below};
use common::parent::nobody;
use common::schema::{check, resolve};
use common::{Registrar, Running, change};
use serde_json::{Value, json};

/// How to get each answer of the document: path, method, status; header lines and body.
struct Case {
    path: &'static str,
    method: &'static str,
    status: u16,
    asked: String,
    header: &'static str,
    body: String,
}

const IDENTITY: &str = "/v1/identities/{name}";
const PROOF: &str = "/v1/identities/{name}/proof";
const LOOKUP: &str = "/v1/lookup";
const TAG: &str = "if-none-match: \"localhost:25000;1\"";

fn case(path: &'static str, method: &'static str, status: u16, name: &str) -> Case {
    let asked = path.replace("{name}", name);
    Case { path, method, status, asked, header: "x: y", body: String::new() }
}

fn lookup(status: u16, body: impl Into<String>) -> Case {
    Case { body: body.into(), ..case(LOOKUP, "post", status, "") }
}

/// Of a directory that is ready.
fn cases() -> Vec<Case> {
    vec![
        case(IDENTITY, "get", 200, "alice"),
        Case { header: TAG, ..case(IDENTITY, "get", 304, "alice") },
        case(IDENTITY, "get", 400, "%zz"),
        case(IDENTITY, "get", 404, "nobody"),
        case(IDENTITY, "get", 422, "a%20b"),
        case(PROOF, "get", 200, "alice"),
        case(PROOF, "get", 400, "%zz"),
        case(PROOF, "get", 404, "nobody"),
        case(PROOF, "get", 422, "a%20b"),
        lookup(200, r#"{"identities":["@alice","@nobody"]}"#),
        lookup(400, "{}"),
        Case { header: "content-length: 10", ..lookup(408, "") },
        lookup(413, " ".repeat(32_769)),
        lookup(422, r#"{"identities":["a b"]}"#),
        lookup(422, json!({ "identities": vec!["a"; 257] }).to_string()),
        case("/v1/status", "get", 200, ""),
        case("/v1/openapi.json", "get", 200, ""),
        case("/healthz", "get", 200, ""),
        case("/readyz", "get", 200, ""),
    ]
}

/// Of one that knows nothing yet.
fn early_cases() -> Vec<Case> {
    vec![
        case(IDENTITY, "get", 503, "alice"),
        case(PROOF, "get", 503, "alice"),
        lookup(503, r#"{"identities":[]}"#),
        case("/v1/status", "get", 200, ""),
        case("/readyz", "get", 503, ""),
    ]
}

/// Of one below a parent that does not answer.
fn lost_cases() -> Vec<Case> {
    vec![
        case(IDENTITY, "get", 503, "nobody"),
        case(PROOF, "get", 421, "nobody"),
        lookup(503, r#"{"identities":["@alice","@nobody"]}"#),
    ]
}

async fn ready() -> Running {
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    https(Running::following(&registrar).await).await
}

async fn ask(running: &Running, case: &Case) -> Answer {
    let method = case.method.to_uppercase();
    running.request(&method, &case.asked, &[case.header], case.body.as_bytes()).await
}

/// All answers that the document names.
fn named(document: &Value) -> BTreeSet<(String, String, u16)> {
    let mut named = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                named.insert((path.clone(), method.clone(), status.parse().unwrap()));
            }
        }
    }
    named
}

fn fits(document: &Value, case: &Case, answer: &Answer) -> Result<(), String> {
    let status = case.status.to_string();
    let response = &document["paths"][case.path][case.method]["responses"][&status];
    let response = resolve(document, response);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let value = answer.header(name).ok_or_else(|| format!("{name} is missing"))?;
        let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
        check(document, &resolve(document, header)["schema"], &value)?;
    }
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        return if answer.body.is_empty() { Ok(()) } else { Err("there is a body".into()) };
    };
    let (media_type, content) = content.iter().next().unwrap();
    if answer.header("content-type") != Some(media_type) {
        return Err(format!("the media type is not {media_type}"));
    }
    let body = match media_type.ends_with("json") {
        true => answer.json(),
        false => json!(answer.body),
    };
    check(document, &content["schema"], &body)
}

#[tokio::test]
async fn every_answer_of_the_document_is_had_by_asking_and_fits_its_schema() {
    let (ready, early) = (ready().await, https(Running::start().await).await);
    let lost = https_below(self::ready().await, Some(nobody(&ready).await)).await;
    let document = ready.get("/v1/openapi.json").await.json();
    let mut had = BTreeSet::new();
    for (running, cases) in [(&ready, cases()), (&early, early_cases()), (&lost, lost_cases())] {
        for case in cases {
            let answer = ask(running, &case).await;
            let what = format!("{} {} {}", case.method, case.asked, case.status);
            assert_eq!(answer.status, case.status, "{what}: {answer:?}");
            fits(&document, &case, &answer).unwrap_or_else(|why| panic!("{what}: {why}"));
            had.insert((case.path.to_owned(), case.method.to_owned(), case.status));
        }
    }
    assert_eq!(had, named(&document));
}

#[tokio::test]
async fn no_route_answers_to_a_method_that_the_document_leaves_out() {
    let running = ready().await;
    let document = running.get("/v1/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let refused = running.request("TRACE", &path.replace("{name}", "alice"), &[], b"").await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed: BTreeSet<_> = refused.header("allow").unwrap().split(',').collect();
        let named = methods.as_object().unwrap().keys().map(|method| method.to_uppercase());
        let mut named: BTreeSet<_> = named.collect();
        // The document says of GET that HEAD is the same; OPTIONS is for browsers.
        if named.contains("GET") {
            named.insert("HEAD".into());
        }
        named.insert("OPTIONS".into());
        assert_eq!(allowed, named.iter().map(String::as_str).collect(), "{path}");
    }
}

#[tokio::test]
async fn the_check_finds_what_does_not_fit() {
    let document = ready().await.get("/v1/openapi.json").await.json();
    let record = json!({ "$ref": "#/components/schemas/Record" });
    let good = json!({ "identity": "@a", "host": "h", "port": 1, "epoch": 1, "generation": 0 });
    assert_eq!(check(&document, &record, &good), Ok(()));
    for (member, wrong) in [
        ("identity", json!("a")),
        ("host", json!(1)),
        ("port", json!(0)),
        ("port", json!(65_536)),
        ("epoch", json!("1")),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[member] = wrong.clone();
        assert!(check(&document, &record, &bad).is_err(), "{member}: {wrong}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("port");
    assert!(check(&document, &record, &bad).is_err(), "a member is missing");
}
