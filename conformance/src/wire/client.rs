//! A client of the line protocol that keeps what it is told by the record.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::timeout;

use super::{PATIENCE, Record, SILENCE, Wire};
use crate::check::{self, Check, failed};

/// A connection to a directory or to somebody's server.
pub struct Client {
    wire: Wire,
    unread: Vec<u8>,
    patience: Duration,
}

impl Client {
    /// Connects; the greeting is still to be read.
    ///
    /// # Errors
    /// Where no connection comes about in time.
    pub async fn connect(host: &str, port: u16, config: Arc<ClientConfig>) -> Check<Self> {
        let connecting = timeout(PATIENCE, Wire::connect(host, port, config)).await;
        let what = format!("a TLS connection to {host}:{port}");
        match connecting {
            Ok(Ok(wire)) => Ok(Self { wire, unread: Vec::new(), patience: PATIENCE }),
            Ok(Err(error)) => Err(failed(what, error)),
            Err(_) => Err(failed(what, "nothing in time")),
        }
    }

    /// Waits longer, or less long, than usual.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends text as it is.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn send(&mut self, text: &str) -> Check {
        self.send_bytes(text.as_bytes()).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Where the connection breaks, or nobody reads them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Check {
        match timeout(self.patience, self.wire.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed("an open connection", error)),
            Err(_) => Err(failed("a server that reads", "it does not")),
        }
    }

    /// The next record, or the end.
    ///
    /// # Errors
    /// Where nothing comes.
    pub async fn record(&mut self) -> Check<Option<String>> {
        if !self.unread.is_empty() {
            return Ok(Some(text(std::mem::take(&mut self.unread))));
        }
        match timeout(self.patience, self.wire.record()).await {
            Ok(Ok(Record::Data(bytes))) => Ok(Some(text(bytes))),
            Ok(Ok(Record::End)) => Ok(None),
            Ok(Err(error)) => Err(failed("an open connection", error)),
            Err(_) => Err(failed("an answer", format_args!("nothing within {:?}", self.patience))),
        }
    }

    /// The next record is exactly this.
    ///
    /// # Errors
    /// Where it is not.
    pub async fn is_told(&mut self, what: &str, expected: &str) -> Check {
        let seen = self.record().await?;
        check::same(what, &seen.as_deref(), &Some(expected))
    }

    /// One command, one record for an answer.
    ///
    /// # Errors
    /// Where the record is not exactly this.
    pub async fn expect(&mut self, command: &str, expected: &str) -> Check {
        self.send(&format!("{command}\n")).await?;
        self.is_told(command, expected).await
    }

    /// A command and its answer up to the prompt behind its line, the prompt included.
    ///
    /// # Errors
    /// Where none comes.
    pub async fn ask(&mut self, command: &str) -> Check<String> {
        self.send(&format!("{command}\n")).await?;
        self.answer().await
    }

    /// What comes up to a prompt behind a line end.
    ///
    /// # Errors
    /// Where none comes.
    pub async fn answer(&mut self) -> Check<String> {
        let mut all = std::mem::take(&mut self.unread);
        while !is_answer(&all) {
            all.extend(self.more(&all).await?);
        }
        Ok(text(all))
    }

    /// What a command that succeeds gives, without `data:`, line end and prompt.
    ///
    /// # Errors
    /// Where it does not succeed.
    pub async fn data(&mut self, command: &str) -> Check<String> {
        let answer = self.ask(command).await?;
        let data = answer.strip_prefix("data:").and_then(|rest| rest.rsplit_once('\n'));
        match data {
            Some((data, _)) => Ok(data.to_owned()),
            None => Err(failed(format_args!("{command}: data:…"), format_args!("{answer:?}"))),
        }
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub async fn json(&mut self, command: &str) -> Check<Value> {
        let data = self.data(command).await?;
        serde_json::from_str(&data).map_err(|_| failed(format_args!("{command}: JSON"), data))
    }

    /// The same, as a number.
    ///
    /// # Errors
    /// Where it is none.
    pub async fn number(&mut self, command: &str) -> Check<i64> {
        let data = self.data(command).await?;
        data.parse().map_err(|_| failed(format_args!("{command}: a number"), data))
    }

    /// The command succeeds with exactly this.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn gives(&mut self, command: &str, expected: &str) -> Check {
        let seen = self.data(command).await?;
        check::same(command, seen.as_str(), expected)
    }

    /// The command is refused with this code; the whole answer.
    ///
    /// # Errors
    /// Where it is not.
    pub async fn refuses(&mut self, command: &str, code: &str) -> Check<String> {
        let answer = self.ask(command).await?;
        check::code(command, &answer, code)?;
        Ok(answer)
    }

    /// Asks again and again until the data are these.
    ///
    /// # Errors
    /// Where they do not become so in time.
    pub async fn becomes(&mut self, command: &str, expected: &str, within: Duration) -> Check {
        let mut seen = String::new();
        let asking = async {
            loop {
                seen = self.data(command).await?;
                if seen == expected {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let result = timeout(within, asking).await;
        let what = format!("{command}: {expected:?} within {within:?}");
        result.unwrap_or_else(|_| Err(failed(what, format_args!("{seen:?}"))))
    }

    /// One line without its end, as monitors get it.
    ///
    /// # Errors
    /// Where none comes.
    pub async fn line(&mut self) -> Check<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.pop();
                return Ok(text(line));
            }
            let unread = std::mem::take(&mut self.unread);
            let more = self.more(&unread).await?;
            self.unread = [unread, more].concat();
        }
    }

    /// Everything until the server closes.
    ///
    /// # Errors
    /// Where it does not close.
    pub async fn rest(&mut self) -> Check<String> {
        let mut all = std::mem::take(&mut self.unread);
        loop {
            match timeout(self.patience, self.wire.record()).await {
                Ok(Ok(Record::Data(bytes))) => all.extend(bytes),
                Ok(_) => return Ok(text(all)),
                Err(_) => {
                    let seen = format!("still open after {:?}", text(all));
                    return Err(failed("a close", seen));
                }
            }
        }
    }

    /// Nothing comes for a short while, and the connection stays open.
    ///
    /// # Errors
    /// Where something comes, or it ends.
    pub async fn is_silent(&mut self) -> Check {
        match timeout(SILENCE, self.record()).await {
            Err(_) => Ok(()),
            Ok(seen) => Err(failed("nothing more", format_args!("{:?}", seen?))),
        }
    }

    async fn more(&mut self, before: &[u8]) -> Check<Vec<u8>> {
        let before = || text(before.get(..before.len().min(200)).unwrap_or_default().to_vec());
        match timeout(self.patience, self.wire.record()).await {
            Ok(Ok(Record::Data(bytes))) => Ok(bytes),
            Ok(Ok(Record::End)) => Err(failed("an answer", format!("closed after {:?}", before()))),
            Ok(Err(error)) => Err(failed("an answer", error)),
            Err(_) => Err(failed("an answer", format!("nothing came after {:?}", before()))),
        }
    }
}

/// Whether the last line is a prompt, and one stands before it.
fn is_answer(bytes: &[u8]) -> bool {
    // Long answers come in many records; looking through all of it each time would cost more than
    // they do.
    if bytes.last() != Some(&b'@') {
        return false;
    }
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return false };
    let prompt = &bytes[end + 1..];
    prompt == b"@" || (prompt.len() > 2 && prompt.starts_with(b"@") && prompt.ends_with(b"@"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
