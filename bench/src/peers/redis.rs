//! Redis over TLS with a key of the same kind as ours: what a widespread server does on as many
//! connections of the same load program.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::certificate;
use crate::client::Client;

const PATIENCE: Duration = Duration::from_secs(10);

/// A Redis of this run's own. Each write is synced before it is answered, as ours are.
pub struct Redis {
    child: Child,
    address: String,
    config: Arc<ClientConfig>,
}

impl Redis {
    /// Starts one; none where it, or the tool that makes its certificate, is not installed.
    pub fn start(folder: &Path, connections_max: usize) -> Option<Self> {
        let (key, certificate) = certificate::make(folder)?;
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--bind", "127.0.0.1", "--tls-port", &port.to_string()])
            .args(["--tls-auth-clients", "no", "--save", "", "--appendonly", "yes"])
            .args([
                "--protected-mode",
                "no",
                "--appendfsync",
                "always",
                "--maxclients",
                &connections_max.to_string(),
            ])
            .arg("--tls-cert-file")
            .arg(&certificate)
            .arg("--tls-key-file")
            .arg(key)
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        let config = testkit::client_config(&certificate);
        Some(Self { child, address: format!("localhost:{port}"), config })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn connect(&self) -> Client {
        self.connect_from(Ipv4Addr::LOCALHOST).await.expect("it listens")
    }

    /// The same from an address of this machine.
    ///
    /// # Errors
    /// Where the connection is not taken.
    pub async fn connect_from(&self, source: Ipv4Addr) -> io::Result<Client> {
        let mut client = Client::silent(source, &self.address, &self.config).await?;
        assert_eq!(client.ask("PING\r\n").await, "+PONG");
        Ok(client)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
