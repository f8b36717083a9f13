//! A `redis-server` of a test's own, on loopback, without a file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

/// It ends with this value.
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
    options: Vec<String>,
    port: u16,
}

impl RedisServer {
    /// Starts one on a free port; `options` are those of its command line.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(folder, port, &options);
        Self { child, folder: folder.to_owned(), options, port }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port: it is empty then.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, self.port, &self.options);
    }

    /// Asks; the first line of the answer, or the bytes of a string.
    pub fn ask(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
        let mut question = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            question.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            question.extend_from_slice(word);
            question.extend_from_slice(b"\r\n");
        }
        stream.write_all(&question).expect("it reads");
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).expect("it answers");
        let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse().ok())
        else {
            return line.trim().as_bytes().to_vec();
        };
        let mut bytes = vec![0; length];
        answer.read_exact(&mut bytes).expect("the rest of the answer");
        bytes
    }

    /// Asks until the answer is this.
    pub fn says(&self, words: &[&[u8]], wanted: &[u8]) {
        let start = Instant::now();
        while self.ask(words) != wanted {
            assert!(start.elapsed() < SOON, "{:?}", String::from_utf8_lossy(&self.ask(words)));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, port: u16, options: &[String]) -> Child {
    let child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        .arg("--dir")
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed (apt-get install redis-server)");
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(start.elapsed() < SOON, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}
