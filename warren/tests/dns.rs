//! `warren directory serve --dns` as the tools of others see it: dig (BIND), kdig (Knot) and the
//! resolver of the system's C library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use directory::dns::name::encode;
use protocol::AtSign;

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// Names of every kind: plain, escaped, with emoji, and as long as a name that owns keys can be.
fn names() -> [String; 5] {
    ["alice", "alice_bob", "alice🛠", &"🦄🛠🐙".repeat(18), &"a".repeat(55)].map(str::to_owned)
}

/// What stands in front of the zone for a name.
fn labels(name: &str) -> String {
    encode(&AtSign::parse(name).unwrap()).unwrap().join(".")
}

/// The files of a directory that answers for all names, on `swarm.dir.example`.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut list = String::new();
        for (at, name) in names().iter().enumerate() {
            writeln!(list, "{name}\tswarm.dir.example:{}", 25_000 + at).unwrap();
        }
        std::fs::write(folder.path().join("names.tsv"), list).unwrap();
        let files = Self { folder };
        let built = Command::new(WARREN)
            .args(["directory", "snapshot", "build", "--from"])
            .arg(files.path("names.tsv"))
            .arg("--out")
            .arg(files.path("directory.snapshot"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments of `warren` that serve them.
    fn arguments(&self) -> Vec<String> {
        let path = |name| self.path(name).to_str().unwrap().to_owned();
        let mut all = ["directory", "serve", "--port", "0", "--dns-zone", "dir.example."]
            .map(str::to_owned)
            .to_vec();
        for (flag, value) in [
            ("--snapshot", path("directory.snapshot")),
            ("--tls-cert", path("chain.pem")),
            ("--tls-key", path("key.pem")),
            ("--dns-host", "swarm.dir.example=192.0.2.7".to_owned()),
            ("--dns-host", "swarm.dir.example=2001:db8::7".to_owned()),
            ("--dns-host", "ns.dir.example=192.0.2.53".to_owned()),
        ] {
            all.extend([flag.to_owned(), value]);
        }
        // More than any datagram holds.
        for at in 0..100 {
            all.extend(["--dns-host".to_owned(), format!("many.dir.example=192.0.2.{at}")]);
        }
        all
    }
}

struct Server {
    child: Child,
    dns: String,
    tls: String,
    files: Files,
}

impl Server {
    fn start() -> Self {
        let files = Files::make();
        let mut child = Command::new(WARREN)
            .args(files.arguments())
            .args(["--dns", "127.0.0.1:0", "--dns-tls", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut port = |what: &str| {
            let line = lines.next().unwrap().unwrap();
            assert!(line.starts_with(what), "{line}");
            line.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1.to_owned()
        };
        port("directory ");
        let (dns, tls) = (port("dns "), port("dns-tls "));
        Self { child, dns, tls, files }
    }

    fn dig(&self, arguments: &[&str]) -> String {
        let fixed = ["@127.0.0.1", "-p", &self.dns, "+tries=1", "+time=5"];
        run(Command::new("dig").args(fixed).args(arguments))
    }

    fn kdig(&self, port: &str, arguments: &[&str]) -> String {
        let fixed = ["@127.0.0.1", "-p", port, "+retry=0", "+time=5"];
        run(Command::new("kdig").args(fixed).args(arguments))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> String {
    let name = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|e| panic!("{name:?}, see .ci/run: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}\n{errors}");
    text
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    // Tools put tabs and any number of blanks between fields.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
}

#[test]
fn dig_and_kdig_find_names_of_every_kind_over_udp_tcp_and_tls() {
    let server = Server::start();
    let ca = format!("+tls-ca={}", server.files.path("chain.pem").display());
    let tls = ["+tls", &ca, "+tls-hostname=localhost"];
    for (at, name) in names().iter().enumerate() {
        let herself = format!("{}.dir.example.", labels(name));
        let service = format!("_atproto._tcp.{herself}");
        let port = (25_000 + at).to_string();
        let wanted = format!("0 0 {port} swarm.dir.example.");
        for way in ["+notcp", "+tcp"] {
            holds(&server.dig(&[way, "+short", "-t", "SRV", &service]), &[&wanted]);
            holds(&server.kdig(&server.dns, &[way, "+short", "-t", "SRV", &service]), &[&wanted]);
        }
        let over_tls = [&tls[..], &["-t", "SRV", &service]].concat();
        let answer = server.kdig(&server.tls, &over_tls);
        holds(&answer, &["status: NOERROR", "TLS session", &format!("SRV {wanted}"), "192.0.2.7"]);
        let svcb = server.kdig(&server.dns, &["+short", "-t", "SVCB", &herself]);
        holds(&svcb, &[&format!("1 swarm.dir.example. port={port}")]);
        let text = server.dig(&["+short", "-t", "TXT", &herself]);
        assert_eq!(text.trim(), format!("\"host=swarm.dir.example port={port} epoch=1\""));
        assert_eq!(server.dig(&["+short", "-t", "A", &herself]).trim(), "192.0.2.7");
        assert_eq!(server.dig(&["+short", "-t", "AAAA", &herself]).trim(), "2001:db8::7");
    }
}

#[test]
fn dig_sees_an_authority_that_is_right_about_what_there_is_not() {
    let server = Server::start();
    let nobody = server.dig(&["-t", "A", "nobody.dir.example."]);
    let soa = "dir.example. 15 IN SOA ns.dir.example. hostmaster.dir.example.";
    holds(&nobody, &["status: NXDOMAIN", "flags: qr aa rd;", "ANSWER: 0, AUTHORITY: 1", soa]);
    holds(&server.dig(&["-t", "MX", "alice.dir.example."]), &["status: NOERROR", "ANSWER: 0", soa]);
    holds(&server.dig(&["-t", "A", "_tcp.alice.dir.example."]), &["status: NOERROR", soa]);
    holds(&server.dig(&["-t", "NS", "dir.example."]), &["NS ns.dir.example.", "A 192.0.2.53"]);
    holds(&server.dig(&["-t", "A", "example.org."]), &["status: REFUSED"]);
    holds(&server.dig(&["-t", "AXFR", "dir.example."]), &["Transfer failed"]);
    holds(&server.dig(&["+opcode=NOTIFY", "dir.example."]), &["status: NOTIMP"]);
    holds(&server.dig(&["-t", "ANY", "+notcp", "alice.dir.example."]), &["ANSWER: 1"]);
    let mixed = server.dig(&["-t", "A", "AliCe.DIR.exAmple."]);
    holds(&mixed, &["AliCe.DIR.exAmple. 60 IN A 192.0.2.7"]);
}

#[test]
fn dig_asks_again_over_tcp_what_was_cut() {
    let server = Server::start();
    let cut = server.dig(&["+ignore", "+bufsize=4096", "-t", "A", "many.dir.example."]);
    holds(&cut, &["flags: qr aa tc rd;", "ANSWER: 0", "udp: 1232"]);
    let whole = server.dig(&["-t", "A", "many.dir.example."]);
    holds(&whole, &["Truncated, retrying in TCP mode", "ANSWER: 100"]);
}

#[test]
fn a_zone_that_nothing_can_answer_for_is_a_mistake_with_a_fix() {
    let files = Files::make();
    let output = Command::new(WARREN).args(files.arguments()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("--dns ADDR:PORT"), "{errors}");
}

/// In a network of its own, where the directory is the only name server: port 53 is free there, and
/// the system's resolver can be pointed at it.
const STUB: &str = r#"
set -eu
ip link set lo up
mount --bind "$FOLDER/resolv.conf" /etc/resolv.conf
mount --bind "$FOLDER/nsswitch.conf" /etc/nsswitch.conf
"$@" --dns 127.0.0.1:53 > "$FOLDER/out" &
server=$!
trap 'kill $server' EXIT
until grep -q '^dns ' "$FOLDER/out"; do
  kill -0 $server
  sleep 0.05
done
for name in $ASKED; do
  getent ahosts "$name" | grep STREAM
done
if getent ahosts nobody.dir.example; then exit 1; fi
"#;

#[test]
fn the_systems_resolver_finds_names_of_every_kind() {
    let files = Files::make();
    std::fs::write(files.path("resolv.conf"), "nameserver 127.0.0.1\noptions edns0\n").unwrap();
    std::fs::write(files.path("nsswitch.conf"), "hosts: dns\n").unwrap();
    let asked = names().map(|name| format!("{}.dir.example", labels(&name)));
    let folder: &Path = files.folder.path();
    let found = run(Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", STUB, "sh", WARREN])
        .args(files.arguments())
        .env("FOLDER", folder)
        .env("ASKED", asked.join(" ")));
    assert_eq!(found.matches("192.0.2.7").count(), names().len(), "{found}");
    assert_eq!(found.matches("2001:db8::7").count(), names().len(), "{found}");
}
