//! The same load for everybody: questions over TLS, on connections that stay or are new each time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Answerer;

/// A kind of load.
#[derive(Clone, Copy)]
pub struct Load {
    connections: usize,
    /// Questions that are sent before the answers to them are read.
    at_once: usize,
    is_kept: bool,
}

/// What one round came to.
pub struct Figures {
    pub rate: f64,
    pub cpu_micros: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    pub p999_micros: f64,
}

impl Load {
    /// Connections that stay, with so many questions at once on each.
    pub fn kept(connections: usize, at_once: usize) -> Self {
        Self { connections, at_once, is_kept: true }
    }

    /// A new connection with a full handshake for each question, so many at a time.
    pub fn fresh(connections: usize) -> Self {
        Self { connections, at_once: 1, is_kept: false }
    }

    pub async fn run(
        self,
        one: &Answerer,
        asked: &[String],
        tls: Arc<ClientConfig>,
        duration: Duration,
    ) -> Figures {
        let until = Instant::now() + duration;
        let (began, cpu) = (Instant::now(), one.process.cpu());
        let mut tasks = Vec::new();
        for at in 0..self.connections {
            let questions: Vec<Vec<u8>> = batches(one, asked, at, self.at_once);
            let caller = Caller {
                address: one.address.clone(),
                tls: Arc::clone(&tls),
                lines: one.lines * self.at_once,
                greets: one.greets,
            };
            tasks.push(tokio::spawn(caller.ask(questions, self.is_kept, until)));
        }
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.expect("no panic"));
        }
        let (took, cpu) = (began.elapsed(), one.process.cpu() - cpu);
        times.sort_unstable();
        let lookups = (times.len() * self.at_once) as f64;
        let quantile = |q: f64| times[((times.len() - 1) as f64 * q) as usize] as f64 / 1e3;
        Figures {
            rate: lookups / took.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / lookups,
            p50_micros: quantile(0.5),
            p99_micros: quantile(0.99),
            p999_micros: quantile(0.999),
        }
    }
}

/// The questions of one connection, those that go out together joined.
fn batches(one: &Answerer, asked: &[String], first: usize, at_once: usize) -> Vec<Vec<u8>> {
    let names = asked.iter().cycle().skip(first * 397).take(400 * at_once);
    let questions: Vec<Vec<u8>> = names.map(|name| (one.question)(name)).collect();
    questions.chunks(at_once).map(<[_]>::concat).collect()
}

pub struct Caller {
    pub address: String,
    pub tls: Arc<ClientConfig>,
    pub lines: usize,
    pub greets: bool,
}

impl Caller {
    /// Asks until the time is over; nanoseconds that each exchange took.
    async fn ask(self, questions: Vec<Vec<u8>>, is_kept: bool, until: Instant) -> Vec<u64> {
        let mut times = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        let mut kept = None;
        for question in questions.iter().cycle() {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => self.connect().await,
            };
            exchange(&mut stream, question, self.lines, &mut buffer).await;
            times.push(u64::try_from(began.elapsed().as_nanos()).expect("a short time"));
            kept = is_kept.then_some(stream);
        }
        times
    }

    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(&self.address).await.expect("it listens");
        tcp.set_nodelay(true).expect("a TCP socket");
        let name = ServerName::try_from("localhost").expect("a host name");
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let mut stream = connector.connect(name, tcp).await.expect("its certificate is good");
        if self.greets {
            let mut prompt = [0; 1];
            stream.read_exact(&mut prompt).await.expect("a prompt");
        }
        stream
    }
}

pub async fn exchange(
    stream: &mut TlsStream<TcpStream>,
    question: &[u8],
    mut lines: usize,
    buffer: &mut [u8],
) {
    stream.write_all(question).await.expect("the connection holds");
    while lines > 0 {
        let read = stream.read(buffer).await.expect("an answer");
        assert_ne!(read, 0, "the connection was closed");
        lines -= buffer[..read].iter().filter(|byte| **byte == b'\n').count();
    }
}

/// Trusts the certificate itself, and never resumes a session: SDKs don't.
pub fn client_tls(certificate: &Path) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&testkit::client_config(certificate));
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Waits for the first answer.
pub fn first_answer(one: &Answerer, certificate: &Path) {
    let caller = Caller {
        address: one.address.clone(),
        tls: client_tls(certificate),
        lines: one.lines,
        greets: one.greets,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a thread").block_on(async {
        let mut stream = caller.connect().await;
        exchange(&mut stream, &(one.question)("nobody-has-this"), one.lines, &mut [0; 1024]).await;
    });
}
