//! Another identity's server, played by the test: it holds the signing pair and answers the
//! callback, so that every line to the server under test can be chosen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use net::tls::ServerTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{Client, keys};
use super::lab::Lab;

pub struct Peer;

impl Peer {
    /// A connection to `to`'s server, authenticated as `name` by pol.
    pub async fn connect(lab: &Lab, name: &str, to: &str) -> Client {
        let shelf = Shelf::default();
        let port = shelf.clone().serve(lab).await;
        lab.publish(name, "localhost", port);
        let mut client = lab.connect_as_host(to, &["localhost"]).await;
        let data = client.data(&format!("from:{name}")).await;
        let (key, secret) = data.strip_prefix("proof:").unwrap().split_once(':').unwrap();
        shelf.put(key, &keys().sign(secret));
        shelf.put(&format!("signing_publickey{name}"), &keys().public);
        client.send("pol\n").await;
        assert_eq!(client.greeting().await, format!("{name}@"), "the prompt alone, behind `@`");
        client
    }
}

/// What the played server answers to `lookup:`.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<HashMap<String, String>>>);

impl Shelf {
    pub fn put(&self, key: &str, value: &str) {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
    }

    /// Serves on a free port.
    pub async fn serve(self, lab: &Lab) -> u16 {
        play(lab, move |line| Some(self.answer(line))).await
    }

    fn answer(&self, line: &str) -> String {
        let key = line.strip_prefix("lookup:").unwrap_or_default();
        match self.0.lock().unwrap().get(key) {
            Some(value) => format!("data:{value}\n@"),
            None => format!("error:AT0015-Exception: {key} does not exist in keystore\n@"),
        }
    }
}

/// Serves on a free port whatever the script says to each line; nothing: silence.
pub async fn play(
    lab: &Lab,
    script: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = ServerTls::new(lab.material()).unwrap().acceptor();
    let script = Arc::new(script);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                stream.write_all(b"@").await.unwrap();
                let mut line = String::new();
                while let Ok(byte) = stream.read_u8().await {
                    if byte != b'\n' {
                        line.push(char::from(byte));
                    } else if let Some(answer) = script(std::mem::take(&mut line).trim()) {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    port
}
