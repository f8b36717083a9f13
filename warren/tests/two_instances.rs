//! Two warrens that trust one another: their identities share, notify, cache and refresh across, and
//! a kill -9 of either in the middle of a stream of notifications loses, repeats and reorders none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{LineClient, PATIENCE, Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// What one of the two is started with.
struct Site {
    data: PathBuf,
    ports: Ports,
}

impl Site {
    fn new(folder: &tempfile::TempDir, name: &str) -> Self {
        let data = folder.path().join(name);
        std::fs::create_dir(&data).unwrap();
        let site = Self { data, ports: Ports::reserve(20) };
        // It makes its authority.
        Warren::spawn(site.command(), &site.data).kill();
        site
    }

    fn directory_port(&self) -> u16 {
        self.ports.last
    }

    fn server_ports(&self) -> String {
        format!("{}-{}", self.ports.first, self.ports.last - 1)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(WARREN);
        command.arg("up").arg("--data-dir").arg(&self.data);
        command.args(["--directory-port", &self.directory_port().to_string()]);
        command.args(["--registrar-port", "0", "--metrics-port", "0", "--sleep-after", "1"]);
        command.args(["--ports", &self.server_ports()]);
        command
    }

    fn start(&self, other: &Self) -> Warren {
        let mut command = self.command();
        command.args(["--peer-directory", &format!("localhost:{}", other.directory_port())]);
        command.args(["--dial-to", &format!("localhost:{}", other.server_ports())]);
        command.arg("--trust").arg(other.data.join("tls/ca.pem"));
        Warren::spawn(command, &self.data)
    }
}

struct Person {
    name: &'static str,
    address: String,
    secret: String,
}

impl Person {
    fn register(warren: &Warren, name: &'static str) -> Self {
        let (address, secret) = warren.register(name);
        Self { name, address, secret }
    }

    fn connect(&self, warren: &Warren) -> LineClient {
        warren.owner(self.name, &self.address, &self.secret)
    }
}

/// Asks until the answer is as expected.
fn until(owner: &mut LineClient, command: &str, expected: &str) {
    let start = Instant::now();
    loop {
        let answer = owner.ask(command);
        if answer == expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{command}: {answer:.200}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The ids in the receiver's list that begin like this, in its order.
fn received(owner: &mut LineClient, prefix: &str) -> Vec<String> {
    let answer = owner.ask("notify:list");
    let list: Value = serde_json::from_str(answer.strip_prefix("data:").unwrap()).unwrap();
    let ids = list.as_array().into_iter().flatten().map(|one| one["id"].as_str().unwrap());
    ids.filter(|id| id.starts_with(prefix)).map(str::to_owned).collect()
}

fn until_received(owner: &mut LineClient, expected: &[String], prefix: &str) {
    let start = Instant::now();
    while received(owner, prefix).len() < expected.len() {
        let list = received(owner, prefix);
        assert!(start.elapsed() < PATIENCE, "{} of {}", list.len(), expected.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(received(owner, prefix), expected);
}

fn notification(id: &str) -> String {
    format!("notify:id:{id}:@bob:k.x@alice:v")
}

fn send(sender: &mut LineClient, ids: &[String]) {
    for id in ids {
        assert_eq!(sender.ask(&notification(id)), format!("data:{id}"));
    }
}

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[test]
fn two_warrens_share_notify_cache_and_refresh_and_a_kill_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (Site::new(&folder, "here"), Site::new(&folder, "there"));
    let (mut one, mut two) = (here.start(&there), there.start(&here));
    let alice = Person::register(&one, "@alice");
    let bob = Person::register(&two, "@bob");
    share(&mut alice.connect(&one), &mut bob.connect(&two));

    // The receiver's instance is killed in the middle of a stream.
    let stream = ids("r", 120);
    let mut sender = alice.connect(&one);
    send(&mut sender, &stream[..60]);
    two.kill();
    send(&mut sender, &stream[60..90]);
    two = there.start(&here);
    send(&mut sender, &stream[90..]);
    until_received(&mut bob.connect(&two), &stream, "r");

    // Now the sender's. What was not acknowledged is sent again, as a client does.
    let stream = ids("s", 120);
    send(&mut sender, &stream[..60]);
    sender.send(&format!("{}\n", notification(&stream[60]))).unwrap();
    one.kill();
    one = here.start(&there);
    sender = alice.connect(&one);
    send(&mut sender, &stream[60..]);
    // And once more when she has gone: nobody wakes her but what waits in her.
    drop(sender);
    one.kill();
    one = here.start(&there);
    until_received(&mut bob.connect(&two), &stream, "s");
    assert_eq!(one.terminate().code(), Some(0));
    assert_eq!(two.terminate().code(), Some(0));
}

/// Each reads what the other shares and publishes, from a cache that follows its owner.
fn share(alice: &mut LineClient, bob: &mut LineClient) {
    assert!(alice.ask("update:public:city@alice Paris").starts_with("data:"));
    assert_eq!(bob.ask("plookup:city@alice"), "data:Paris");
    assert!(bob.ask("update:public:city@bob Oslo").starts_with("data:"));
    assert_eq!(alice.ask("plookup:city@bob"), "data:Oslo");
    assert!(alice.ask("update:public:city@alice Rome").starts_with("data:"));
    assert_eq!(bob.ask("plookup:bypassCache:true:city@alice"), "data:Rome");
    assert_eq!(bob.ask("llookup:cached:public:city@alice"), "data:Rome");

    assert!(alice.ask("update:ttr:3600:ccd:true:@bob:phone@alice 123").starts_with("data:"));
    assert_eq!(bob.ask("lookup:phone@alice"), "data:123");
    until(bob, "llookup:cached:@bob:phone@alice", "data:123");
    assert!(alice.ask("update:ttr:3600:ccd:true:@bob:phone@alice 456").starts_with("data:"));
    until(bob, "llookup:cached:@bob:phone@alice", "data:456");
    assert!(alice.ask("delete:@bob:phone@alice").starts_with("data:"));
    let start = Instant::now();
    while !bob.ask("llookup:cached:@bob:phone@alice").starts_with("error:AT0015") {
        assert!(start.elapsed() < PATIENCE, "the copy stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(bob.ask("update:@alice:note@bob hello").starts_with("data:"));
    assert_eq!(alice.ask("lookup:note@bob"), "data:hello");
    assert!(alice.ask("lookup:note@nobodyatall").starts_with("error:AT0007"));
}
