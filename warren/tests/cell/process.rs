//! `warren cell serve` as a process, and a router in front of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use net::clock::{Clock, SystemClock};
use net::preface::{self, LinkKey, Preface};
use protocol::VolumeId;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Certificate, LineClient};

use crate::registrar::Registrar;

pub const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const LINK_KEY: &str = "a-key-that-routers-and-cells-of-a-swarm-share";

/// One start of `cell-7`. It ends with this value.
pub struct CellProcess {
    child: Child,
    pub door: SocketAddr,
    pub health: SocketAddr,
}

/// What all cells of a swarm have.
pub struct Swarm {
    folder: PathBuf,
    cert: Certificate,
}

impl Swarm {
    pub fn new(folder: &Path) -> Self {
        let own = folder.join("swarm");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("link.key"), LINK_KEY).unwrap();
        let swarm = Self { cert: Certificate::make(&own), folder: own };
        swarm.key("master.key", 1);
        swarm
    }

    /// Writes a master key.
    pub fn key(&self, name: &str, byte: u8) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.folder.join(name);
        let mut options = std::fs::File::options();
        let mut file = options.write(true).create(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{}", format!("{byte:02x}").repeat(32)).unwrap();
        path
    }

    pub fn volumes(&self) -> PathBuf {
        self.folder.join("volumes")
    }

    /// The command that starts the cell in a scratch folder of this name, and where its log is.
    pub fn command(&self, registrar: &Registrar, scratch: &str) -> (Command, PathBuf) {
        let mut command = Command::new(WARREN);
        let log = self.folder.join(format!("{scratch}.log"));
        command
            .args(["cell", "serve", "--cell", "cell-7", "--node", "n1", "--health-port", "0"])
            .args(["--listen", "127.0.0.1:0", "--directory", "localhost:1"])
            .args(["--registrar", &registrar.url])
            .arg("--registrar-ca")
            .arg(&registrar.ca)
            .arg("--token-file")
            .arg(&registrar.token_file)
            .arg("--volumes")
            .arg(self.volumes())
            .arg("--scratch")
            .arg(self.folder.join(scratch))
            .arg("--master-key-file")
            .arg(self.folder.join("master.key"))
            .arg("--link-key-file")
            .arg(self.folder.join("link.key"))
            .arg("--tls-cert")
            .arg(&self.cert.chain)
            .arg("--tls-key")
            .arg(&self.cert.key)
            .arg("--tls-ca")
            .arg(&self.cert.chain)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
        (command, log)
    }

    pub fn start(&self, registrar: &Registrar, scratch: &str) -> CellProcess {
        let (mut command, log) = self.command(registrar, scratch);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Vec<String> = lines.take(2).map(Result::unwrap).collect();
        let said_to_us = || std::fs::read_to_string(&log).unwrap();
        assert_eq!(said.len(), 2, "the cell ended: {}", said_to_us());
        let door = said[0].strip_prefix("cell-7   ").unwrap().parse().unwrap();
        let health = said[1].strip_prefix("health   http://").unwrap();
        let health = health.strip_suffix("/healthz").unwrap().parse().unwrap();
        CellProcess { child, door, health }
    }

    /// A client of a server, through a router.
    pub fn client(&self, cell: &CellProcess, volume: VolumeId) -> std::io::Result<LineClient> {
        LineClient::connect(&route(cell.door, volume), &self.cert.chain)
    }
}

impl CellProcess {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends.
    pub fn ended(&mut self) -> ExitStatus {
        super::until("ended", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }

    /// The status of an answer over its health port.
    pub fn status(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.health).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn is_ready(&self) -> bool {
        self.status("/readyz").starts_with("HTTP/1.1 200")
    }
}

impl Drop for CellProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A preface as this swarm's routers send it.
pub fn preface(volume: VolumeId) -> Vec<u8> {
    let key = LinkKey::parse(LINK_KEY).unwrap();
    let client = "192.0.2.7:1234".parse().unwrap();
    preface::write(&Preface { client, volume }, &key, SystemClock.now())
}

/// A router's address for one connection to this volume.
fn route(door: SocketAddr, volume: VolumeId) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let Ok(mut cell) = TcpStream::connect(door) else { return };
        cell.write_all(&preface(volume)).unwrap();
        let there = (client.try_clone().unwrap(), cell.try_clone().unwrap());
        std::thread::spawn(move || copy(there.0, there.1));
        copy(cell, client);
    });
    address
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
