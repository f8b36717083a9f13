//! A client that believes what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::dial::ClientStream;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{World, cram_digest, keys};

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Client {
    stream: ClientStream,
    unread: Vec<u8>,
}

/// What a monitor was told so far.
#[derive(Default)]
pub struct Told {
    /// Ids of notifications.
    pub ids: Vec<String>,
    /// Commit and date of each statistics.
    pub statistics: Vec<(i64, i64)>,
}

impl Client {
    pub async fn open(world: &World, name: &str) -> Self {
        Self { stream: world.connect(name, false).await, unread: Vec::new() }
    }

    /// The owner, who has a key to sign with, so that her server can call others.
    pub async fn owner(world: &World, name: &str) -> Self {
        let mut client = Self::open(world, name).await;
        let challenge = client.data(&format!("from:{name}")).await;
        let digest = cram_digest(name, &challenge);
        assert_eq!(client.data(&format!("cram:{digest}")).await, "success");
        let key = &keys().public;
        client.data(&format!("update:privatekey:at_pkam_publickey {key}")).await;
        client.data(&format!("plookup:signing_publickey{name}")).await;
        client
    }

    /// A command and its answer, without prompts.
    pub async fn ask(&mut self, command: &str) -> String {
        self.stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = timeout(PATIENCE, self.line()).await;
        line.unwrap_or_else(|_| panic!("{command}: no answer")).expect("an answer")
    }

    pub async fn data(&mut self, command: &str) -> String {
        let answer = self.ask(command).await;
        answer.strip_prefix("data:").unwrap_or_else(|| panic!("{command}: {answer}")).to_owned()
    }

    pub async fn json(&mut self, command: &str) -> Value {
        serde_json::from_str(&self.data(command).await).unwrap()
    }

    /// The ids of a list of notifications.
    pub async fn listed(&mut self) -> Vec<String> {
        match self.json("notify:list").await {
            Value::Array(list) => list.iter().map(|one| text(&one["id"])).collect(),
            _ => Vec::new(),
        }
    }

    /// Nothing more comes, for the server has closed.
    pub async fn is_closed(&mut self) -> bool {
        timeout(Duration::ZERO, self.line()).await.is_ok_and(|line| line.is_none())
    }

    /// Listens from now on.
    pub async fn watch(mut self) -> Arc<Mutex<Told>> {
        let told = Arc::new(Mutex::new(Told::default()));
        self.stream.write_all(b"monitor\nnoop:0\n").await.unwrap();
        assert_eq!(self.line().await.as_deref(), Some("data:ok"));
        let noted = Arc::clone(&told);
        tokio::spawn(async move {
            while let Some(line) = self.line().await {
                let json = line.strip_prefix("notification: ").expect("a notification");
                noted.lock().unwrap().note(&serde_json::from_str(json).expect("JSON"));
            }
        });
        told
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                let line = String::from_utf8(line).unwrap();
                let words = ["data:", "error:", "notification: "].map(|word| line.find(word));
                let start = words.into_iter().flatten().min().expect("an answer");
                return Some(line[start..].trim_end().to_owned());
            }
            if !self.stream.read_buf(&mut self.unread).await.is_ok_and(|count| count > 0) {
                return None;
            }
        }
    }
}

impl Told {
    fn note(&mut self, told: &Value) {
        if told["id"] == "-1" {
            let commit = text(&told["value"]).parse().expect("a commit id");
            self.statistics.push((commit, told["epochMillis"].as_i64().expect("a date")));
        } else {
            self.ids.push(text(&told["id"]));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
