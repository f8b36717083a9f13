//! The published Python SDK, unmodified, goes its whole way through a real `warren up`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Ports, Replica, Source, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const FLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/sdk_flow.py");

/// Prints where the SDK finds a name.
const FIND: &str = "\
import sys
from at_client.common import AtSign
from at_client.connections import Address, AtRootConnection
root = Address.from_string(sys.argv[1])
print(AtRootConnection.get_instance(root.host, root.port).find_secondary(AtSign(sys.argv[2])))
";

/// In place of a DNS server: Python reads it before the SDK, which stays as it is.
const RESOLVER: &str = "\
import socket
system = socket.getaddrinfo
def getaddrinfo(host, *more, **others):
    is_below = isinstance(host, str) and host.endswith('.localhost')
    return system('localhost' if is_below else host, *more, **others)
socket.getaddrinfo = getaddrinfo
";

const PEOPLE: [&str; 2] = ["@alice🛠", "@bob"];

/// Python with the SDK, a directory for it to ask, and whom it trusts.
struct Sdk {
    python: String,
    directory: String,
    ca_file: PathBuf,
    resolver: Option<PathBuf>,
}

impl Sdk {
    fn new(directory: &str, ca_file: &Path) -> Self {
        let python = std::env::var("WARREN_TEST_PYTHON")
            .expect("this test needs Python with the SDK: run it through `cargo xtask test`");
        let (directory, ca_file) = (directory.to_owned(), ca_file.to_owned());
        Self { python, directory, ca_file, resolver: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.env("SSL_CERT_FILE", &self.ca_file);
        if let Some(folder) = &self.resolver {
            command.env("PYTHONPATH", folder);
        }
        command
    }

    /// Names below `localhost` are this machine, which not every system's resolver knows.
    fn with_names(mut self, folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("sitecustomize.py"), RESOLVER).unwrap();
        self.resolver = Some(folder.to_owned());
        self
    }

    /// Where it finds this name.
    fn find(&self, name: &str, home: &Path) -> String {
        let mut command = self.command();
        let asked = command.args(["-c", FIND, &self.directory, name]).env("HOME", home);
        let output = asked.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {complaints}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Lets two people who are registered go their whole way.
    fn passes_every_check(&self, warren: &Warren, identities: &[u8]) {
        let mut flow = self
            .command()
            .args(["-u", FLOW, "--directory", &self.directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        flow.stdin.take().unwrap().write_all(identities).unwrap();
        let output = flow.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{complaints}\n{}", testkit::log_of(&warren.dir));

        // Each check of the script stands in its output by name, none left out.
        let script = std::fs::read_to_string(FLOW).unwrap();
        let names: Vec<&str> = script
            .lines()
            .filter_map(|line| line.strip_prefix("@check(\"")?.strip_suffix("\")"))
            .collect();
        assert!(names.len() >= 20, "{names:?}");
        for name in &names {
            assert!(
                said.lines().any(|line| line == format!("ok {name}")),
                "{name} is missing in {said}"
            );
        }
        assert!(said.contains(&format!("all {} checks passed", names.len())), "{said}");
        print!("{said}");
    }
}

fn start(scratch: &Path, ports: &Ports) -> Warren {
    let data = scratch.join("data");
    std::fs::create_dir(&data).unwrap();
    Warren::start(WARREN, &data, ports, &[])
}

/// What `warren identity register --json` prints for each of them.
fn register(warren: &Warren) -> Vec<u8> {
    let mut identities = Vec::new();
    for name in PEOPLE {
        let output = warren.command(&["identity", "register", name, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        identities.extend(output.stdout);
    }
    identities
}

#[test]
fn the_published_python_sdk_passes_every_check() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = start(scratch.path(), &ports);
    let sdk = Sdk::new(&warren.endpoints.directory, &warren.endpoints.ca_file);
    sdk.passes_every_check(&warren, &register(&warren));
}

#[test]
fn it_does_so_where_identities_have_names_on_one_port() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, ports) = (scratch.path().join("data"), Ports::reserve(20));
    std::fs::create_dir(&data).unwrap();
    let port = ports.last.to_string();
    let names = ["--hostname", "*.warren.localhost", "--name-port", &port];
    let warren = Warren::start(WARREN, &data, &ports, &names);
    let sdk = Sdk::new(&warren.endpoints.directory, &warren.endpoints.ca_file);
    let sdk = sdk.with_names(&scratch.path().join("resolver"));
    let identities = register(&warren);
    let found = sdk.find(PEOPLE[0], scratch.path());
    assert!(found.ends_with(&format!(".warren.localhost:{port}")), "{found}");
    sdk.passes_every_check(&warren, &identities);
}

#[test]
fn it_does_so_through_a_directory_that_never_saw_the_registrar() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = start(scratch.path(), &ports);
    let dir = |name: &str| scratch.path().join(name);
    // Only the first of them follows the registrar, the others each the one before.
    let (_first, source) = Replica::relay(WARREN, &dir("1"), &Source::registrar(&warren.endpoints));
    let (_second, source) = Replica::relay(WARREN, &dir("2"), &source);
    let third = Replica::follow(WARREN, &dir("3"), &source, &[]);

    // The SDK trusts one file: those who signed for the servers, and for this directory.
    let trusted = [&warren.endpoints.ca_file, &third.cert].map(|file| std::fs::read(file).unwrap());
    let ca_file = dir("trusted.pem");
    std::fs::write(&ca_file, trusted.concat()).unwrap();
    let sdk = Sdk::new(&third.address(), &ca_file);

    let identities = register(&warren);
    for (at, name) in PEOPLE.into_iter().enumerate() {
        let address = format!("localhost:{}", usize::from(ports.first) + at);
        third.resolves_to(name, Some(&address));
    }
    sdk.passes_every_check(&warren, &identities);

    let (carol, _) = warren.register("@carol");
    third.resolves_to("@carol", Some(&carol));
    assert_eq!(sdk.find("@carol", scratch.path()), carol);
}
