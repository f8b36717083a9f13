//! A browser, as far as the page needs one: it keeps a cookie, fills in a form and sends it.

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use crate::http::{Answer, peer, send};

pub const HOST: &str = "localhost:8443";

pub struct Browser<'a> {
    service: &'a Router,
    pub address: String,
    pub cookie: String,
    /// Headers of the next form.
    pub origin: Option<String>,
    /// The form's fields, by name.
    pub fields: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    pub fn new(service: &'a Router) -> Self {
        Self {
            service,
            address: "192.0.2.1:40000".to_owned(),
            cookie: String::new(),
            origin: Some(format!("https://{HOST}")),
            fields: Vec::new(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header("host", HOST).header("cookie", &self.cookie);
        let answer = send(self.service, request.body(Body::empty()).unwrap()).await;
        self.take(&answer);
        answer
    }

    /// Fills in a field of the form that is shown.
    pub fn fill(&mut self, name: &str, value: &str) {
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        field.unwrap_or_else(|| panic!("the form has no field {name}")).1 = value.to_owned();
    }

    pub async fn submit(&mut self) -> Answer {
        let pairs: Vec<String> =
            self.fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.post(pairs.join("&")).await
    }

    pub async fn post(&mut self, body: String) -> Answer {
        let mut request = Request::post("/register")
            .header("host", HOST)
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(peer(&self.address));
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        let answer = send(self.service, request.body(Body::from(body)).unwrap()).await;
        self.take(&answer);
        answer
    }

    /// Opens the page, types a name and sends the form.
    pub async fn register(&mut self, identity: &str) -> Answer {
        self.get("/").await;
        self.fill("identity", identity);
        self.submit().await
    }

    fn take(&mut self, answer: &Answer) {
        let cookie = answer.header("set-cookie");
        if let Some(pair) = cookie.split(';').next().filter(|pair| !pair.is_empty()) {
            self.cookie = pair.to_owned();
        }
        if answer.body.contains("<form") {
            self.fields = inputs(&answer.body);
        }
    }
}

/// Name and value of each input of a page.
fn inputs(page: &str) -> Vec<(String, String)> {
    let attribute = |input: &str, name: &str| {
        let start = input.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(unescape(input[start..].split('"').next()?))
    };
    let inputs = page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap());
    inputs
        .map(|input| {
            (attribute(input, "name").unwrap(), attribute(input, "value").unwrap_or_default())
        })
        .collect()
}

fn unescape(text: &str) -> String {
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
