//! Plays the registrar of our router: one whole answer, and then one change after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::back::Back;
use super::front::{FIRST_PORT, label};

/// Longer than a router waits for news.
const NEWS_WAIT: Duration = Duration::from_secs(3);

/// Where all routes lead, as of one change, and which that was.
struct Said {
    number: u64,
    routes: Vec<usize>,
    changed: Option<u16>,
}

#[derive(Clone)]
pub struct Registrar {
    said: watch::Sender<Said>,
    cells: [SocketAddr; 2],
    pub address: SocketAddr,
}

/// Each server is alone in its cell.
fn route(number: u16, server: usize) -> Value {
    let target = json!({ "volume": format!("{number:032x}"), "cell": server + 1 });
    json!({ "label": label(number), "port": FIRST_PORT + number, "to": target })
}

impl Registrar {
    /// All routes lead to the first server. The certificate is one for `localhost`.
    pub fn start(back: &Back, routes: u16, chain: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(chain).expect("a chain");
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(
            chain.map(|one| one.expect("a certificate")).collect(),
            PrivateKeyDer::from_pem_file(key).expect("a key"),
        );
        let tls = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
        let listener = back.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let said = Said { number: 1, routes: vec![0; routes.into()], changed: None };
        let registrar = Self { said: watch::Sender::new(said), cells: back.addresses, address };
        back.runtime.spawn(registrar.clone().serve(listener, tls));
        registrar
    }

    /// From now on this route leads to that server.
    pub fn lead(&self, number: u16, server: usize) {
        self.said.send_modify(|said| {
            said.number += 1;
            said.routes[usize::from(number)] = server;
            said.changed = Some(number);
        });
    }

    async fn serve(self, listener: TcpListener, tls: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.expect("descriptors enough");
            let (registrar, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move { registrar.answer_all(stream, tls).await });
        }
    }

    async fn answer_all(&self, stream: TcpStream, tls: TlsAcceptor) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(tls.accept(stream).await?);
        loop {
            let (mut question, mut line) = (String::new(), String::new());
            stream.read_line(&mut question).await?;
            while stream.read_line(&mut line).await? > 2 {
                line.clear();
            }
            if question.is_empty() {
                return Ok(());
            }
            let body = serde_json::to_vec(&self.news(&question).await)?;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            stream.flush().await?;
        }
    }

    /// What whoever asks so does not know; nothing, after a while.
    async fn news(&self, question: &str) -> Value {
        let after = question.split_once("after=").map_or("", |(_, rest)| rest);
        let after = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let after: u64 = after.parse().unwrap_or(0);
        let mut said = self.said.subscribe();
        let news = said.wait_for(|said| said.number > after);
        if timeout(NEWS_WAIT, news).await.is_err() {
            let number = self.said.borrow().number;
            return self.answer(number, false, Vec::new());
        }
        let said = self.said.borrow();
        let lead = |number: u16| route(number, said.routes[usize::from(number)]);
        match said.changed {
            Some(changed) if said.number == after + 1 => {
                self.answer(said.number, false, vec![lead(changed)])
            }
            _ => self.answer(said.number, true, (0..).take(said.routes.len()).map(lead).collect()),
        }
    }

    fn answer(&self, number: u64, is_whole: bool, routes: Vec<Value>) -> Value {
        let place = |(server, address): (usize, &SocketAddr)| json!({ "cell": server + 1, "term": 1, "address": address });
        json!({
            "upto": { "run": 1, "number": number },
            "is_whole": is_whole,
            "routes": routes,
            "cells": self.cells.iter().enumerate().map(place).collect::<Vec<_>>(),
        })
    }
}
