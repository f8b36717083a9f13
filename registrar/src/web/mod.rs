//! The page on which a person registers an identity. It works without script.

mod form;
mod pages;
mod qr;
mod rate;

use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use net::https::Peer;
use protocol::AtSign;

use self::form::{Browser, Hidden, Sent};
use self::pages::{IndexPage, ProblemPage, RegisteredPage, respond};
use crate::http::{Front, Problem, WebRegistration};
use crate::registration::Registered;

pub(crate) use rate::RateLimit;

const STYLE: &str = include_str!("../../templates/style.css");

pub(crate) fn pages() -> Router<Front> {
    Router::new()
        .route("/", get(index))
        .route("/register", post(register).get(back_to_index))
        .route("/style.css", get(style))
        .route("/ca.pem", get(certificate))
        .fallback(nothing_here)
}

async fn index(State(front): State<Front>, headers: HeaderMap) -> Response {
    show_form(&front, &headers, View::default())
}

async fn back_to_index() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response()
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLE).into_response()
}

async fn certificate(State(front): State<Front>) -> Response {
    match &front.config.ca_pem {
        Some(pem) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-pem-file"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"ca.pem\""),
            ];
            (headers, pem.clone()).into_response()
        }
        None => nothing_here().await,
    }
}

async fn nothing_here() -> Response {
    show_problem(&Problem::no_such_page("This page does not exist."))
}

async fn register(
    State(front): State<Front>,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
    sent: Result<Form<Sent>, FormRejection>,
) -> Response {
    let Ok(Form(sent)) = sent else {
        let problem = Problem::bad_request("The form is too long or not a form.");
        return show_form(&front, &headers, View { problem: Some(&problem), ..View::default() });
    };
    if !form::is_from_here(&headers, &uri) {
        let problem = Problem::foreign_form("The browser says that another site sent the form.");
        return show_problem(&problem);
    }
    let now = front.registrar.clock.now();
    let hidden = Browser::known(&headers)
        .and_then(|browser| browser.check(&front.registrar.key, &sent, now));
    let Some(hidden) = hidden else {
        let problem = Problem::stale_form("It is too old, or was opened in another browser.");
        let view = View { identity: &sent.identity, form: None, problem: Some(&problem) };
        return show_form(&front, &headers, view);
    };
    // Without an address of their own all clients count as one.
    let client = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(peer))| peer.ip());
    match register_sent(&front, client, &sent, &hidden).await {
        Ok(registered) => show_registered(&front, &registered),
        Err(problem) => {
            let (identity, problem) = (sent.identity.as_str(), Some(&problem));
            show_form(&front, &headers, View { identity, form: Some(hidden), problem })
        }
    }
}

async fn register_sent(
    front: &Front,
    client: IpAddr,
    sent: &Sent,
    hidden: &Hidden,
) -> Result<Registered, Problem> {
    let name = AtSign::parse(sent.identity.trim())?;
    let now = front.registrar.clock.now();
    if !front.rate.admits(client, now) {
        front.registrar.metrics.web_refused();
        return Err(Problem::too_often("The form was used too often in a short time.").after(60));
    }
    let needs_token = front.config.registration == WebRegistration::TokenRequired;
    if needs_token && !front.config.admin.is(sent.token.trim()) {
        return Err(Problem::wrong_token("This registrar asks for its admin token."));
    }
    Ok(front.registrar.register(name, hidden.registration).await?)
}

/// What the page with the form shows besides it.
#[derive(Default)]
struct View<'a> {
    /// What was typed.
    identity: &'a str,
    /// A form that was good stays the same, so that sending it again goes on with the same
    /// registration.
    form: Option<Hidden>,
    /// What was wrong.
    problem: Option<&'a Problem>,
}

fn show_form(front: &Front, headers: &HeaderMap, view: View<'_>) -> Response {
    let browser = Browser::known(headers).map_or_else(Browser::new, Ok);
    let with_form = browser.and_then(|browser| {
        let now = front.registrar.clock.now();
        let form = view.form.map_or_else(|| browser.form(&front.registrar.key, now), Ok)?;
        Ok((browser, form))
    });
    let (browser, form) = match with_form {
        Ok(with_form) => with_form,
        Err(error) => return show_problem(&Problem::store(error)),
    };
    let page = IndexPage {
        directory: &front.config.directory,
        form: &form,
        identity: view.identity,
        needs_token: front.config.registration == WebRegistration::TokenRequired,
        problem: view.problem,
    };
    let mut response =
        respond(view.problem.map_or(StatusCode::OK, |problem| problem.status), &page);
    if let Ok(cookie) = HeaderValue::try_from(browser.cookie()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    if let Some(pause) = view.problem.and_then(|problem| problem.retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs()));
    }
    response
}

fn show_problem(problem: &Problem) -> Response {
    respond(problem.status, &ProblemPage { problem })
}

fn show_registered(front: &Front, registered: &Registered) -> Response {
    let secret = registered.activation_secret.expose();
    let page = RegisteredPage {
        identity: &registered.identity.to_string(),
        address: &registered.address,
        directory: &front.config.directory,
        activation_secret: secret,
        qr: qr::svg(secret),
        has_ca: front.config.ca_pem.is_some(),
    };
    respond(StatusCode::CREATED, &page)
}
