//! The page on which a person registers.

use axum::http::StatusCode;
use registrar::limits::{FORM_AGE_MS_MAX, WEB_ADDRESS_BURST};
use registrar::{State, SwarmError, WebRegistration};

use crate::browser::Browser;
use crate::http::{TOKEN, service};
use crate::swarm::Fault;
use crate::world::{World, run, state};

#[test]
fn a_person_gets_an_identity_with_all_that_she_needs() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::Open);
        let mut browser = Browser::new(&service);
        let index = browser.get("/").await;
        assert_eq!(index.status, StatusCode::OK);
        assert!(index.body.contains("<label for=\"identity\">"), "{}", index.body);
        assert!(!index.body.contains("token"), "nothing asks for a token");
        browser.fill("identity", " @Alice ");
        let page = browser.submit().await;
        assert_eq!(page.status, StatusCode::CREATED);
        let host = world.swarm.host();
        let secret = &host.servers.values().next().unwrap().secret;
        for part in [
            &format!(">{secret}</code>"),
            "<code>@alice</code>",
            "<code>localhost:25000</code>",
            "<code>localhost:6400</code>",
            "<svg class=\"qr\"",
            "shown once",
            "pip install atsdk",
            "AtSign(\"@alice\")",
            "get_instance(\"localhost\", 6400)",
            "href=\"/ca.pem\"",
        ] {
            assert!(page.body.contains(part), "{part} in {}", page.body);
        }
    });
}

#[test]
fn sending_the_form_twice_shows_the_same_secret_again() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        let first = browser.register("@alice").await;
        let second = browser.submit().await;
        assert_eq!((first.status, &first.body), (second.status, &second.body));
        assert_eq!(world.swarm.host().servers.len(), 1);
        let other = Browser::new(&service).register("@alice").await;
        assert_eq!(other.status, StatusCode::CONFLICT);
        assert!(other.body.contains("taken") && other.body.contains("Choose another name"));
    });
}

#[test]
fn every_page_keeps_scripts_frames_and_caches_out() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        let pages = [
            browser.get("/").await,
            browser.register("@alice").await,
            browser.register("@").await,
            browser.get("/nothing").await,
        ];
        for page in pages {
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
            assert_eq!(page.header("cache-control"), "no-store");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert_eq!(page.header("referrer-policy"), "same-origin");
            let page = page.body;
            assert!(page.contains("name=\"viewport\"") && page.contains("lang=\"en\""));
            for banned in ["<script", " style=", "<style", " onclick", "http://", "https://"] {
                assert!(!page.contains(banned), "{banned} in {page}");
            }
        }
        let style = browser.get("/style.css").await;
        assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
        assert!(style.body.contains("prefers-color-scheme: dark"));
        assert!(browser.get("/ca.pem").await.body.starts_with("-----BEGIN CERTIFICATE"));
    });
}

#[test]
fn what_was_typed_is_kept_and_cannot_break_out_of_the_page() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        let hostile = "\"><script>alert('1')</script>&<img src=x>";
        let page = browser.register(hostile).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!page.body.contains("<script") && !page.body.contains("<img"), "{}", page.body);
        assert!(page.body.contains("role=\"alert\""));
        let typed = browser.fields.iter().find(|(name, _)| name == "identity").unwrap();
        assert_eq!(typed.1, hostile);
        browser.fill("identity", "@alice");
        assert_eq!(browser.submit().await.status, StatusCode::CREATED, "the same form goes on");
    });
}

#[test]
fn a_form_from_another_site_or_another_browser_does_nothing() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::Open);
        let mut browser = Browser::new(&service);
        for origin in [None, Some("null"), Some("https://evil.example"), Some("https://localhost")]
        {
            browser.origin = origin.map(str::to_owned);
            let refused = browser.register("@alice").await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{origin:?}");
        }
        let mut victim = Browser::new(&service);
        victim.get("/").await;
        browser.get("/").await;
        victim.fields.clone_from(&browser.fields);
        victim.fill("identity", "@alice");
        let refused = victim.submit().await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "the form was made for the attacker");
        assert!(refused.body.contains("value=\"@alice\""), "what was typed is kept");
        victim.cookie.clear();
        victim.fill("identity", "@alice");
        assert_eq!(victim.submit().await.status, StatusCode::FORBIDDEN, "no cookie");
        assert_eq!(state(&registrar, "@alice").await, None);
        victim.fill("identity", "@alice");
        assert_eq!(victim.submit().await.status, StatusCode::CREATED, "the page gave a new form");
    });
}

#[test]
fn a_form_that_is_too_old_is_shown_anew() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        browser.get("/").await;
        browser.fill("identity", "@alice");
        world.clock.advance(FORM_AGE_MS_MAX);
        let old = browser.submit().await;
        assert_eq!(old.status, StatusCode::FORBIDDEN);
        assert!(old.body.contains("Send the form below again"));
        assert_eq!(browser.submit().await.status, StatusCode::CREATED);
    });
}

#[test]
fn an_address_that_registers_too_often_is_told_to_wait() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        for number in 0..WEB_ADDRESS_BURST {
            let page = browser.register(&format!("@n{number}")).await;
            assert_eq!(page.status, StatusCode::CREATED);
        }
        let refused = browser.register("@more").await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "60");
        assert!(refused.body.contains("value=\"@more\""));
        let mut other = Browser::new(&service);
        other.address = "192.0.2.2:40000".to_owned();
        assert_eq!(other.register("@other").await.status, StatusCode::CREATED);
        world.clock.advance(60_000);
        assert_eq!(browser.submit().await.status, StatusCode::CREATED);
    });
}

#[test]
fn where_a_token_is_required_only_who_knows_it_registers() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::TokenRequired);
        let mut browser = Browser::new(&service);
        assert!(browser.get("/").await.body.contains("<label for=\"token\">"));
        for token in ["", "wrong", "a-token-for-the-test"] {
            browser.fill("identity", "@alice");
            browser.fill("token", token);
            let refused = browser.submit().await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN);
            assert!(!refused.body.contains("value=\"wrong\""), "a token is not shown again");
        }
        assert_eq!(state(&registrar, "@alice").await, None);
        browser.fill("token", TOKEN);
        assert_eq!(browser.submit().await.status, StatusCode::CREATED);
    });
}

#[test]
fn guesses_of_the_token_are_limited() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::TokenRequired);
        let mut browser = Browser::new(&service);
        browser.get("/").await;
        let mut last = StatusCode::OK;
        for _ in 0..=WEB_ADDRESS_BURST {
            browser.fill("identity", "@alice");
            browser.fill("token", "guess");
            last = browser.submit().await.status;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    });
}

#[test]
fn a_server_that_does_not_come_up_can_be_asked_for_again_with_the_same_form() {
    let world = World::new();
    world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Unavailable("<no memory>".into())));
    run(async {
        let registrar = world.open();
        let service = service(&registrar, WebRegistration::Open);
        let mut browser = Browser::new(&service);
        let failed = browser.register("@alice").await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(failed.body.contains("stays reserved for you"));
        assert!(!failed.body.contains("<no memory>"));
        world.swarm.heal();
        assert_eq!(browser.submit().await.status, StatusCode::CREATED);
        assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
    });
}

#[test]
fn what_is_no_form_is_answered_with_one() {
    let world = World::new();
    run(async {
        let service = service(&world.open(), WebRegistration::Open);
        let mut browser = Browser::new(&service);
        for body in
            [String::new(), "identity=%ff".into(), format!("identity={}", "a".repeat(9_000))]
        {
            let answer = browser.post(body).await;
            assert!(answer.status.is_client_error());
            assert!(answer.body.contains("<form"));
        }
        assert_eq!(browser.get("/register").await.status, StatusCode::SEE_OTHER);
        assert_eq!(browser.get("/nothing").await.status, StatusCode::NOT_FOUND);
    });
}
