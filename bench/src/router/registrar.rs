//! Plays the registrar of our router: one whole answer, and then one change after the other.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::{CellPlace, Route, Routes, Target};
use protocol::{Term, VolumeId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::back::Back;
use super::front::FIRST_PORT;

/// Longer than a router waits for news.
const NEWS_WAIT: Duration = Duration::from_secs(3);

/// What was said last, and what all of it is.
struct Said {
    whole: Routes,
    change: Option<Routes>,
}

#[derive(Clone)]
pub struct Registrar {
    said: watch::Sender<Arc<Said>>,
    pub address: SocketAddr,
}

fn cell(server: usize) -> CellId {
    CellId::from_number(u16::try_from(server + 1).expect("there are two")).expect("not 0")
}

fn route(number: u16, server: usize) -> Route {
    let mut volume = [0; 16];
    volume[..2].copy_from_slice(&number.to_be_bytes());
    let target = Target { volume: VolumeId::from_bytes(volume), cell: cell(server) };
    Route { port: NonZeroU16::new(FIRST_PORT + number).expect("not 0"), to: Some(target) }
}

impl Registrar {
    /// All routes lead to the first server. The certificate is one for `localhost`.
    pub fn start(back: &Back, routes: u16, chain: &Path, key: &Path) -> Self {
        let term = Term::from_number(1).expect("not 0");
        let place = |(server, address): (usize, &SocketAddr)| CellPlace {
            cell: cell(server),
            term,
            address: Some(*address),
        };
        let whole = Routes {
            upto: Position { run: 1, number: 1 },
            is_whole: true,
            routes: (0..routes).map(|number| route(number, 0)).collect(),
            cells: back.addresses.iter().enumerate().map(place).collect(),
        };
        let chain = CertificateDer::pem_file_iter(chain).expect("a chain");
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(
            chain.map(|one| one.expect("a certificate")).collect(),
            PrivateKeyDer::from_pem_file(key).expect("a key"),
        );
        let tls = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
        let listener = back.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let said = watch::Sender::new(Arc::new(Said { whole, change: None }));
        let registrar = Self { said, address };
        back.runtime.spawn(registrar.clone().serve(listener, tls));
        registrar
    }

    /// From now on this route leads to that server.
    pub fn lead(&self, number: u16, server: usize) {
        self.said.send_modify(|said| {
            let mut whole = said.whole.clone();
            whole.upto.number += 1;
            whole.routes[usize::from(number)] = route(number, server);
            let routes = vec![route(number, server)];
            let (upto, cells) = (whole.upto, whole.cells.clone());
            let change = Some(Routes { upto, is_whole: false, routes, cells });
            *said = Arc::new(Said { whole, change });
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
    async fn news(&self, question: &str) -> Routes {
        let after = question.split_once("after=").map_or("", |(_, rest)| rest);
        let after = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let after: u64 = after.parse().unwrap_or(0);
        let mut said = self.said.subscribe();
        let news = said.wait_for(|said| said.whole.upto.number > after);
        let Ok(Ok(said)) = timeout(NEWS_WAIT, news).await else {
            let said = self.said.borrow();
            let (upto, cells) = (said.whole.upto, said.whole.cells.clone());
            return Routes { upto, is_whole: false, routes: Vec::new(), cells };
        };
        match &said.change {
            Some(change) if change.upto.number == after + 1 => change.clone(),
            _ => said.whole.clone(),
        }
    }
}
