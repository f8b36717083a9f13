//! The official SDKs as readers: each takes what comes from the wire in a way of its own, and loses
//! its place if the server's bytes come differently than it hopes for.

use std::time::Duration;

use net::dial::ClientStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::lab::Lab;

const PATIENCE: Duration = Duration::from_secs(20);

/// How an SDK finds the end of an answer.
#[derive(Clone, Copy)]
enum Reader {
    /// Line by line; the prompt stands in front of the next answer.
    Java,
    /// One read into a buffer of this size, up to the last line end in it; the rest is dropped.
    C(usize),
    /// Up to the line end; what else was read is dropped.
    Rust,
    /// Whole reads, until one is the prompt or has a line end in it.
    Go,
}

/// A connection that writes and reads as an SDK does.
pub struct Sdk {
    stream: ClientStream,
    reader: Reader,
    kept: Vec<u8>,
}

impl Sdk {
    pub async fn java(lab: &Lab, name: &str) -> Self {
        Self::connect(lab, name, Reader::Java).await
    }

    /// Reads the prompt, sends a blank line and reads whatever is said to that.
    pub async fn c(lab: &Lab, name: &str) -> Self {
        let mut sdk = Self::connect(lab, name, Reader::C(256)).await;
        assert_eq!(sdk.chunk(256).await, b"@");
        let refusal = sdk.says("\r\n").await;
        assert_eq!(refusal, "error:AT0003-Exception: invalid command");
        sdk
    }

    pub async fn rust(lab: &Lab, name: &str) -> Self {
        Self::connect(lab, name, Reader::Rust).await
    }

    /// Reads the prompt as if it were an answer.
    pub async fn go(lab: &Lab, name: &str) -> Self {
        let mut sdk = Self::connect(lab, name, Reader::Go).await;
        assert_eq!(sdk.answer().await, "@");
        sdk
    }

    async fn connect(lab: &Lab, name: &str, reader: Reader) -> Self {
        let stream = lab.connect_as(name, None).await.into_stream();
        Self { stream, reader, kept: Vec::new() }
    }

    /// Sends these bytes and gives back what the SDK takes for the answer.
    pub async fn says(&mut self, bytes: &str) -> String {
        self.sends(bytes).await;
        self.answer().await
    }

    /// The C SDK has a buffer of its own size for each kind of answer.
    pub fn with_buffer(&mut self, size: usize) -> &mut Self {
        self.reader = Reader::C(size);
        self
    }

    pub async fn sends(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Says that nothing more will be sent, and reads on.
    pub async fn says_no_more(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Exchanges these lines. In an expectation `…` stands for anything.
    pub async fn exchange(&mut self, lines: &[(&str, &str)]) {
        for (sent, expected) in lines {
            let got = self.says(sent).await;
            assert!(is_like(&got, expected), "{sent:?} got {got:?}, not {expected:?}");
        }
    }

    /// What is taken for an answer.
    pub async fn answer(&mut self) -> String {
        let bytes = match self.reader {
            Reader::Java => self.next_line().await,
            Reader::C(size) => self.up_to_the_last_line_end(size).await,
            Reader::Rust => {
                let line = self.next_line().await;
                self.kept.clear();
                line
            }
            Reader::Go => self.up_to_a_chunk_with_a_line_end().await,
        };
        String::from_utf8(bytes).unwrap()
    }

    /// The next line of a monitor that is not about statistics.
    pub async fn told(&mut self) -> String {
        loop {
            let line = String::from_utf8(self.next_line().await).unwrap();
            if !line.contains(r#"notification: {"id":"-1","#) {
                return line;
            }
        }
    }

    async fn next_line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.kept.iter().position(|&byte| byte == b'\n') {
                let rest = self.kept.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.kept, rest);
                line.pop();
                return line;
            }
            let chunk = self.chunk(8 * 1024).await;
            self.kept.extend(chunk);
        }
    }

    async fn up_to_the_last_line_end(&mut self, size: usize) -> Vec<u8> {
        let mut buffer = Vec::new();
        loop {
            assert!(buffer.len() < size, "does not fit: {:?}", String::from_utf8_lossy(&buffer));
            let chunk = self.chunk(size - buffer.len()).await;
            buffer.extend(chunk);
            if let Some(end) = buffer.iter().rposition(|byte| b"\r\n".contains(byte)) {
                assert!(buffer.len() < size, "the prompt does not fit into {size} bytes");
                buffer.truncate(end);
                return buffer;
            }
        }
    }

    async fn up_to_a_chunk_with_a_line_end(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        loop {
            let chunk = self.chunk(1024).await;
            let is_last = chunk == b"@" || chunk.contains(&b'\n');
            answer.extend(chunk);
            if is_last {
                return answer;
            }
        }
    }

    async fn chunk(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        let count = read.expect("nothing came").expect("the connection broke");
        assert_ne!(count, 0, "the connection ended");
        bytes.truncate(count);
        bytes
    }
}

/// Whether a text is as expected; `…` stands for anything.
fn is_like(text: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn an_expectation_is_held_at_both_ends_and_between() {
    assert!(is_like("data:a\n@", "data:a\n@") && is_like("data:[a,b]", "data:[…,…]"));
    for (text, expected) in
        [("data:a\n@", "data:a"), ("xdata:", "data:…"), ("data:ab", "data:…a"), ("ac", "a…b…c")]
    {
        assert!(!is_like(text, expected), "{text:?} {expected:?}");
    }
}
