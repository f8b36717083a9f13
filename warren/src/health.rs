//! `warren health PORT`: asks a daemon on this machine whether it is well, for container engines.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::time::Duration;

use clap::Args;

use crate::failure::{Exit, Failure};

/// For each of connecting, asking and answering.
const DEADLINE: Duration = Duration::from_secs(3);

/// As much of an answer as is looked at: the version, the status, and a little.
const STATUS_BYTES: usize = 16;

#[derive(Debug, Args)]
#[command(after_help = "Example: warren health 9464 && echo well")]
pub struct HealthArgs {
    /// The port of its metrics and health
    #[arg(value_name = "PORT")]
    pub port: NonZeroU16,
}

/// Asks `http://127.0.0.1:PORT/healthz`.
pub fn run(args: &HealthArgs) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port.get()));
    let answer = ask(address).map_err(|error| {
        Failure::new(Exit::Failed, format!("http://{address}/healthz does not answer: {error}"))
    })?;
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => {
            let what = format!("http://{address}/healthz answers with status {status}");
            Err(Failure::new(Exit::Failed, what))
        }
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut beginning = [0; STATUS_BYTES];
    stream.read_exact(&mut beginning)?;
    Ok(beginning.into_iter().filter(u8::is_ascii).map(char::from).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;

    /// What a daemon that says this is found to be.
    fn judged(says: &'static [u8]) -> Result<(), Exit> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).unwrap();
            stream.write_all(says).unwrap();
        });
        let judged = run(&HealthArgs { port }).map_err(|failure| failure.exit);
        answering.join().unwrap();
        judged
    }

    #[test]
    fn only_a_good_answer_is_health() {
        assert_eq!(judged(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"), Ok(()));
        assert_eq!(judged(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Err(Exit::Failed));
        assert_eq!(judged(b"\xff\xfe"), Err(Exit::Failed));
        assert_eq!(judged(b""), Err(Exit::Failed));
    }
}
