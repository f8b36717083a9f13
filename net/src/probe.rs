//! Asking a daemon over plain HTTP how it is, as container engines have it done.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// As much of an answer as is looked at: the version, the status, and a little.
const STATUS_BYTES: usize = 16;

/// The status of the answer to a GET of this path. Blocks, for each of connecting, asking and
/// answering no longer than the deadline.
///
/// # Errors
/// What the system says, or that the answer is not one of HTTP/1.1.
pub fn http_status(address: SocketAddr, path: &str, deadline: Duration) -> io::Result<u16> {
    let mut stream = ask(address, path, deadline)?;
    let mut beginning = [0; STATUS_BYTES];
    stream.read_exact(&mut beginning)?;
    status_of(&beginning)
}

/// Status and body of the answer to a GET of this path, at most so many bytes with the head. Blocks,
/// for each of connecting, asking and every read no longer than the deadline.
///
/// # Errors
/// What the system says, that the answer is longer, or is not one of HTTP/1.1.
pub fn http_get(
    address: SocketAddr,
    path: &str,
    deadline: Duration,
    bytes_max: u64,
) -> io::Result<(u16, Vec<u8>)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let stream = ask(address, path, deadline)?;
    let mut bytes = Vec::new();
    stream.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(invalid("the answer is too long"));
    }
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
    let end = end.ok_or_else(|| invalid("the answer has no end of its head"))?;
    let body = bytes.split_off(end + HEAD_END.len());
    Ok((status_of(&bytes)?, body))
}

fn ask(address: SocketAddr, path: &str, deadline: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, deadline)?;
    stream.set_read_timeout(Some(deadline))?;
    stream.set_write_timeout(Some(deadline))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn status_of(beginning: &[u8]) -> io::Result<u16> {
    let status = beginning.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;

    /// What is read from a daemon that says this.
    fn status(says: &'static [u8]) -> Option<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let count = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(says).unwrap();
            count
        });
        let status = http_status(address, "/healthz", Duration::from_secs(3)).ok();
        assert!(answering.join().unwrap() > 0);
        status
    }

    #[test]
    fn a_status_is_read_and_nonsense_is_none() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"), Some(200));
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
        for nonsense in
            [&b"\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff"[..], b""]
        {
            assert_eq!(status(nonsense), None);
        }
    }
}
