//! The HTTPS front on a port of its own, and whole answers from it.

use std::sync::Arc;

use directory::{Parent, RelayToken};
use net::tls::{CertificateAuthority, ServerTls, SubjectName};
use protocol::HostName;
use serde_json::Value;
use tokio::net::TcpListener;

use super::Running;

/// The same directory, with clients that go to its HTTPS front.
pub async fn https(running: Running) -> Running {
    https_with(running, None).await
}

/// The same, for directories that know the token as well.
pub async fn https_with(running: Running, relay: Option<RelayToken>) -> Running {
    serve(running, None, relay).await
}

/// The same, below a parent.
pub async fn https_below(running: Running, parent: Option<Arc<Parent>>) -> Running {
    serve(running, parent, None).await
}

async fn serve(
    running: Running,
    parent: Option<Arc<Parent>>,
    relay: Option<RelayToken>,
) -> Running {
    let authority = CertificateAuthority::load_or_create(running.folder.path()).unwrap();
    let host = HostName::parse("localhost").unwrap();
    let tls = ServerTls::new(&authority.issue(&[SubjectName::Dns(host)]).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let directory = Arc::clone(&running.directory);
    tokio::spawn(directory.serve_https_below(parent, listener, tls, relay, running.drain.clone()));
    Running { address, ..running }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect(text);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").expect(line))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    /// Its status and the kind of its problem, of which every member must be there.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("access-control-allow-origin"), Some("*"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        for member in ["title", "detail", "fix"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        let kind = problem["type"].as_str().unwrap();
        (self.status, kind.strip_prefix("urn:warren:problem:").unwrap().to_owned())
    }
}

impl Running {
    /// One request on a connection of its own; `more` are header lines.
    pub async fn request(&self, method: &str, path: &str, more: &[&str], body: &[u8]) -> Answer {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for line in more {
            head += &format!("{line}\r\n");
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    pub async fn lookup(&self, body: &str) -> Answer {
        self.request("POST", "/v1/lookup", &[], body.as_bytes()).await
    }

    /// Whatever these bytes get.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut client = self.connect().await;
        for part in bytes.chunks(16 * 1024) {
            client.send(part).await;
        }
        let mut text = Vec::new();
        while let Some(record) = client.record().await {
            text.extend(record);
        }
        Answer::parse(&String::from_utf8_lossy(&text))
    }
}
