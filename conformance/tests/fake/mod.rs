//! A directory and two servers that are right about little, and wrong wherever a test wants it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use conformance::World;
use conformance::world::{Authority, Given};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What is written after a line, record by record; then the connection lives on, or does not.
#[derive(Clone)]
pub struct Answer {
    pub records: Vec<String>,
    pub closes: bool,
}

/// Makes a right answer to a line into another one.
type Change = Arc<dyn Fn(&str, Answer) -> Answer + Send + Sync>;

/// How the fake differs from a right one, once its world is set up.
#[derive(Clone)]
pub struct Fake {
    greeting: &'static str,
    directory: Change,
    server: Change,
    merges: bool,
}

/// A fake that runs.
pub struct Started {
    pub directory: String,
    pub folder: tempfile::TempDir,
    /// From when on it is wrong.
    pub is_wrong: Arc<AtomicBool>,
}

/// What its owners prove themselves with.
pub const SECRET: &str = "nobody-may-see-this";

impl Started {
    /// How the command line names one of its identities.
    pub fn identity(&self, name: &str) -> String {
        format!("{name}={}", self.folder.path().join("secret").display())
    }

    fn given(&self) -> Given {
        Given {
            directory: self.directory.clone(),
            ca_file: self.folder.path().join("ca.pem"),
            identities: ["@alice", "@bob"].map(|n| self.identity(n).parse().unwrap()).to_vec(),
            peer: None,
        }
    }
}

impl Answer {
    pub fn one(text: impl Into<String>) -> Self {
        Self { records: vec![text.into()], closes: false }
    }

    /// Nothing but a close.
    pub fn close(text: &str) -> Self {
        Self { records: vec![text.to_owned()], closes: true }
    }

    /// The prompt in a record of its own.
    pub fn torn(self) -> Self {
        let cut = |record: String| match record.rfind('\n') {
            Some(end) => vec![record[..=end].to_owned(), record[end + 1..].to_owned()],
            None => vec![record],
        };
        Self { records: self.records.into_iter().flat_map(cut).collect(), ..self }
    }

    /// Other words for some of it.
    pub fn replace(self, from: &str, to: &str) -> Self {
        Self { records: self.records.iter().map(|text| text.replace(from, to)).collect(), ..self }
    }

    /// Said twice.
    pub fn twice(self) -> Self {
        Self { records: [self.records.clone(), self.records].concat(), ..self }
    }
}

impl Fake {
    pub fn right() -> Self {
        let same: Change = Arc::new(|_, right| right);
        Self { greeting: "@", directory: Arc::clone(&same), server: same, merges: false }
    }

    pub fn greeting(self, greeting: &'static str) -> Self {
        Self { greeting, ..self }
    }

    pub fn directory(
        self,
        change: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self { directory: Arc::new(change), ..self }
    }

    pub fn server(self, change: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self { server: Arc::new(change), ..self }
    }

    /// Answers to what comes together go out together.
    pub fn merging(self) -> Self {
        Self { merges: true, ..self }
    }

    /// Starts it, and looks at it as the command line would. While that is set up, it is right.
    pub async fn world(self) -> World {
        let started = self.start().await;
        let world = World::given(started.given()).await.unwrap();
        started.is_wrong.store(true, Ordering::SeqCst);
        world
    }

    /// Starts it.
    pub async fn start(self) -> Started {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::make().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        let acceptor = acceptor(&authority);
        let is_wrong = Arc::new(AtomicBool::new(false));
        let mut book = BTreeMap::new();
        for name in ["@alice", "@bob"] {
            let (change, state) = (Arc::clone(&self.server), Arc::new(Mutex::default()));
            let answer = move |session: &mut Session, line: &str| {
                right(name, session, &mut state.lock().unwrap(), line)
            };
            let port = self.listen(&acceptor, answer, change, &is_wrong).await;
            book.insert(name.trim_start_matches('@'), format!("localhost:{port}"));
        }
        let change = Arc::clone(&self.directory);
        let answer = move |_: &mut Session, line: &str| found(&book, line);
        let port = self.listen(&acceptor, answer, change, &is_wrong).await;
        Started { directory: format!("localhost:{port}"), folder, is_wrong }
    }

    async fn listen(
        &self,
        acceptor: &TlsAcceptor,
        answer: impl Fn(&mut Session, &str) -> Answer + Clone + Send + 'static,
        change: Change,
        is_wrong: &Arc<AtomicBool>,
    ) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, greeting, merges) = (acceptor.clone(), self.greeting, self.merges);
        let is_wrong = Arc::clone(is_wrong);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                let is_wrong = is_wrong.load(Ordering::SeqCst);
                let change = is_wrong.then(|| Arc::clone(&change));
                let (greeting, merges) = if is_wrong { (greeting, merges) } else { ("@", false) };
                let answer = move |session: &mut Session, line: &str| {
                    let right = answer(session, line);
                    change.as_ref().map_or(right.clone(), |change| change(line, right))
                };
                tokio::spawn(async move {
                    // A checker that has seen enough hangs up in the middle.
                    drop(talk(acceptor, stream, greeting, merges, answer).await);
                });
            }
        });
        port
    }
}

/// What a server knows of one connection.
#[derive(Default)]
pub struct Session {
    is_owner: bool,
}

/// What a server stores, and its last id.
#[derive(Default)]
struct State {
    values: BTreeMap<String, String>,
    last_id: u64,
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let leaf = authority.issue(&["localhost"]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain, leaf.key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn talk(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    greeting: &str,
    merges: bool,
    answer: impl Fn(&mut Session, &str) -> Answer,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    write(&mut stream, greeting).await?;
    let (mut session, mut buffer) = (Session::default(), Vec::new());
    while stream.read_buf(&mut buffer).await? > 0 {
        let is_exit = buffer == b"@exit";
        let end = buffer.iter().rposition(|byte| *byte == b'\n');
        let Some(end) = end.or(is_exit.then_some(4)) else { continue };
        let text = String::from_utf8_lossy(&buffer[..=end]).into_owned();
        buffer.drain(..=end);
        let mut together = String::new();
        for (number, line) in text.split_terminator('\n').enumerate() {
            // A blank line behind another one in the same read is not a command.
            if number > 0 && line.trim().is_empty() {
                continue;
            }
            let answer = answer(&mut session, line);
            if merges {
                together.push_str(&answer.records.concat());
                continue;
            }
            for record in &answer.records {
                write(&mut stream, record).await?;
            }
            if answer.closes {
                return stream.shutdown().await;
            }
        }
        write(&mut stream, &together).await?;
    }
    Ok(())
}

async fn write(stream: &mut TlsStream<TcpStream>, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

fn found(book: &BTreeMap<&str, String>, line: &str) -> Answer {
    if line == "@exit" {
        return Answer::close("");
    }
    let name = line.trim().to_lowercase();
    Answer::one(format!("{}\r\n@", book.get(&*name).map_or("null", String::as_str)))
}

fn right(name: &str, session: &mut Session, state: &mut State, line: &str) -> Answer {
    let line = line.trim();
    if line == "@exit" {
        return Answer::close("");
    }
    let (prompt, what) = if session.is_owner {
        (format!("{name}@"), ("Invalid syntax", "key not found"))
    } else {
        ("@".to_owned(), ("Exception", "Exception"))
    };
    let (verb, rest) = line.split_once(':').unwrap_or((line, ""));
    let body = match verb {
        "from" => {
            let uuid = "00000000-0000-4000-8000-00000000000";
            format!("data:_{uuid}0{name}:{uuid}1")
        }
        "cram" => {
            session.is_owner = true;
            return Answer::one(format!("data:success\n{name}@"));
        }
        "noop" => "data:ok".to_owned(),
        "update" | "llookup" | "delete" if !session.is_owner => {
            "error:AT0401-Exception: Command cannot be executed without auth".to_owned()
        }
        "update" => match rest.split_once(' ') {
            Some((key, _)) if key.starts_with("privatekey:") => "data:-1".to_owned(),
            Some((key, value)) => {
                state.values.insert(key.to_owned(), value.to_owned());
                state.last_id += 1;
                format!("data:{}", state.last_id)
            }
            None => "error:AT0003-Invalid syntax : no value".to_owned(),
        },
        "delete" => {
            state.values.remove(rest);
            state.last_id += 1;
            format!("data:{}", state.last_id)
        }
        "llookup" | "lookup" => match state.values.get(rest) {
            Some(value) => format!("data:{value}"),
            None if verb == "lookup" => {
                format!("error:AT0015-{}: public:{rest} does not exist in keystore", what.1)
            }
            None => format!("error:AT0015-{} : {rest} does not exist in keystore", what.1),
        },
        _ if session.is_owner => format!("error:AT0003-{} : invalid command", what.0),
        _ => format!("error:AT0003-{}: invalid command", what.0),
    };
    Answer::one(format!("{body}\n{prompt}"))
}
