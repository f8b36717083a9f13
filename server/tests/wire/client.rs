//! A client as the SDKs are: it writes lines and reads what comes until the prompt.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::dial::ClientStream;
use ring::digest::{SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::lab::secret;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    stream: ClientStream,
    unread: String,
}

/// The owner's key pair for PKAM.
pub struct PkamKeys {
    pub public: String,
    pair: RsaKeyPair,
}

impl Client {
    pub fn new(stream: ClientStream) -> Self {
        Self { stream, unread: String::new() }
    }

    /// The connection, for readers with habits of their own.
    pub fn into_stream(self) -> ClientStream {
        self.stream
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The first byte.
    pub async fn greeting(&mut self) -> String {
        while self.unread.is_empty() {
            self.read().await.expect("the connection ended before its greeting");
        }
        std::mem::take(&mut self.unread)
    }

    /// A command and its answer, the prompt included.
    pub async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\n")).await;
        self.answer().await
    }

    /// The data of a command that succeeds.
    pub async fn data(&mut self, command: &str) -> String {
        let answer = self.ask(command).await;
        let data = answer.strip_prefix("data:").and_then(|rest| rest.split_once('\n'));
        data.unwrap_or_else(|| panic!("{command}: {answer}")).0.to_owned()
    }

    pub async fn json(&mut self, command: &str) -> serde_json::Value {
        serde_json::from_str(&self.data(command).await).unwrap()
    }

    /// What comes up to the next prompt behind a line end.
    pub async fn answer(&mut self) -> String {
        loop {
            if let Some(length) = answer_length(&self.unread) {
                let rest = self.unread.split_off(length);
                return std::mem::replace(&mut self.unread, rest);
            }
            self.read().await.unwrap_or_else(|| panic!("closed after {:?}", self.unread));
        }
    }

    /// The same, or what came before the server closed.
    pub async fn answer_or_end(&mut self) -> String {
        while answer_length(&self.unread).is_none() {
            if self.read().await.is_none() {
                return std::mem::take(&mut self.unread);
            }
        }
        self.answer().await
    }

    /// A command whose answer may be followed by a close; what was sent may meet a closed socket.
    pub async fn ask_or_end(&mut self, command: &str) -> String {
        let line = format!("{command}\n");
        drop(self.stream.write_all(line.as_bytes()).await);
        drop(self.stream.flush().await);
        self.answer_or_end().await
    }

    /// One line without its end, and no prompt, as monitors get it.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find('\n') {
                let rest = self.unread.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.pop();
                return line;
            }
            self.read().await.unwrap_or_else(|| panic!("closed after {:?}", self.unread));
        }
    }

    /// Begins to monitor, and returns when whatever is stored from now on will be told.
    pub async fn watch(&mut self, command: &str) {
        self.send(&format!("{command}\n")).await;
        assert_eq!(self.ask_line("noop:0").await, "data:ok");
    }

    /// A command on a monitor connection, and its answer: a line that is no notification.
    pub async fn ask_line(&mut self, command: &str) -> String {
        self.send(&format!("{command}\n")).await;
        loop {
            let line = self.line().await;
            if !line.starts_with("notification: ") {
                return line;
            }
        }
    }

    /// The next statistics that are looked for.
    pub async fn statistics(
        &mut self,
        is_it: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let looking = async {
            loop {
                let line = self.line().await;
                let json = line.strip_prefix("notification: ").unwrap_or_else(|| panic!("{line}"));
                let told: serde_json::Value = serde_json::from_str(json).unwrap();
                if told["id"] == "-1" && is_it(&told) {
                    return told;
                }
            }
        };
        timeout(PATIENCE, looking).await.expect("other statistics came")
    }

    /// The next notification that is not about statistics, which come for ever.
    pub async fn notification(&mut self) -> serde_json::Value {
        let next = timeout(PATIENCE, self.next_notification()).await;
        next.expect("nothing but statistics came")
    }

    async fn next_notification(&mut self) -> serde_json::Value {
        loop {
            let line = self.line().await;
            let json = line.strip_prefix("notification: ").unwrap_or_else(|| panic!("{line}"));
            let notification: serde_json::Value = serde_json::from_str(json).unwrap();
            if notification["id"] != "-1" {
                return notification;
            }
        }
    }

    /// What comes within a time.
    pub async fn within(&mut self, time: Duration) -> String {
        // That nothing more comes is what is waited for.
        while let Ok(Some(())) = timeout(time, self.read()).await {}
        std::mem::take(&mut self.unread)
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        while self.read().await.is_some() {}
        std::mem::take(&mut self.unread)
    }

    async fn read(&mut self) -> Option<()> {
        let mut bytes = vec![0; 64 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_| panic!("nothing came after {:?}", self.unread));
        match count {
            Ok(count) if count > 0 => {
                // Answers may be cut inside a character; tests with such large ones are ASCII.
                self.unread.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                Some(())
            }
            _ => None,
        }
    }

    /// The challenge of a `from`.
    pub async fn challenge(&mut self, name: &str) -> String {
        self.data(&format!("from:{name}")).await
    }

    pub async fn cram(&mut self, name: &str) {
        let challenge = self.challenge(name).await;
        let answer = self.ask(&format!("cram:{}", cram_digest(name, &challenge))).await;
        assert_eq!(answer, format!("data:success\n{name}@"));
    }

    pub async fn pkam(&mut self, name: &str) {
        let challenge = self.challenge(name).await;
        let answer = self.ask(&format!("pkam:{}", keys().sign(&challenge))).await;
        assert_eq!(answer, format!("data:success\n{name}@"));
    }

    /// Proves to be an enrolled device.
    pub async fn pkam_as(&mut self, id: &str) -> String {
        let challenge = self.challenge("@alice").await;
        let signature = keys().sign(&challenge);
        self.ask(&format!("pkam:enrollmentId:{id}:{signature}")).await
    }

    /// Stores the PKAM key, as clients do after the first CRAM.
    pub async fn put_pkam_key(&mut self) {
        let command = format!("update:privatekey:at_pkam_publickey {}", keys().public);
        assert_eq!(self.data(&command).await, "-1");
    }
}

/// Up to the prompt, which is `@` or `@name@` behind the line end.
fn answer_length(text: &str) -> Option<usize> {
    let line = text.find('\n')? + 1;
    let behind = text[line..].strip_prefix('@')?;
    let is_next = behind.is_empty() || ["data:", "error:"].iter().any(|d| behind.starts_with(d));
    if is_next { Some(line + 1) } else { Some(line + 1 + behind.find('@')? + 1) }
}

pub fn cram_digest(name: &str, challenge: &str) -> String {
    hex::encode(digest(&SHA512, [&secret(name), challenge].concat().as_bytes()))
}

/// One pair for all tests of a process.
pub fn keys() -> &'static PkamKeys {
    static KEYS: OnceLock<PkamKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let public = key.to_public_key().to_public_key_der().unwrap();
        let private = key.to_pkcs8_der().unwrap();
        PkamKeys {
            public: STANDARD.encode(public.as_bytes()),
            pair: RsaKeyPair::from_pkcs8(private.as_bytes()).unwrap(),
        }
    })
}

impl PkamKeys {
    pub fn sign(&self, challenge: &str) -> String {
        self.sign_with(&RSA_PKCS1_SHA256, challenge)
    }

    pub fn sign_with(&self, encoding: &'static dyn RsaEncoding, challenge: &str) -> String {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(encoding, &random, challenge.as_bytes(), &mut signature).unwrap();
        STANDARD.encode(signature)
    }
}
