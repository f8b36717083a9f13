//! A directory that somebody hostile runs points to this machine's and this network's own addresses:
//! nobody there is called, unless the operator says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::{LineClient, Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A directory that answers every name with whatever it was told to.
struct Liar {
    port: u16,
    answer: Arc<Mutex<String>>,
    certificate: PathBuf,
}

fn liar(folder: &tempfile::TempDir) -> Liar {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = folder.path().join("liar.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (config, answer) = (Arc::new(config), Arc::new(Mutex::new("null".to_owned())));
    let told = Arc::clone(&answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, told) = (Arc::clone(&config), Arc::clone(&told));
            std::thread::spawn(move || answer_names(stream.unwrap(), config, &told));
        }
    });
    Liar { port, answer, certificate: file }
}

fn answer_names(stream: TcpStream, config: Arc<ServerConfig>, answer: &Mutex<String>) {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    if tls.write_all(b"@").is_err() {
        return;
    }
    let mut reader = BufReader::new(tls);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) && !line.starts_with("@exit") {
        let answer = format!("{}\r\n@", answer.lock().unwrap());
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

struct Lab {
    liar: Liar,
    control: TcpListener,
    warren: Warren,
    alice: LineClient,
    asked: usize,
    ports: Ports,
    _folder: tempfile::TempDir,
}

/// A warren with @alice in it whose peer directory lies.
fn lab(more: impl FnOnce(u16) -> Vec<String>) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ports = Ports::reserve(20);
    let (liar, control) = (liar(&folder), TcpListener::bind("127.0.0.1:0").unwrap());
    control.set_nonblocking(true).unwrap();
    let directory = format!("localhost:{}", liar.port);
    let more = more(control.local_addr().unwrap().port());
    let mut arguments = vec!["--peer-directory", &directory];
    arguments.extend(["--trust", liar.certificate.to_str().unwrap()]);
    arguments.extend(more.iter().map(String::as_str));
    let warren = Warren::start(WARREN, &data, &ports, &arguments);
    let (address, secret) = warren.register("@alice");
    let alice = warren.owner("@alice", &address, &secret);
    Lab { liar, control, warren, alice, asked: 0, ports, _folder: folder }
}

impl Lab {
    /// Has alice's server look for somebody who is said to be there.
    fn ask(&mut self, address: &str) -> String {
        self.asked += 1;
        address.clone_into(&mut self.liar.answer.lock().unwrap());
        self.alice.ask(&format!("plookup:x@evil{}", self.asked))
    }

    /// Whether the control port was called since the last time.
    fn was_called(&self) -> bool {
        self.control.accept().is_ok()
    }
}

#[test]
fn nobody_makes_a_server_call_a_private_or_a_control_address() {
    let mut lab = lab(|_| Vec::new());
    let port = lab.control.local_addr().unwrap().port();
    let endpoints = lab.warren.endpoints.clone();
    let metrics = endpoints.metrics.strip_prefix("http://").unwrap();
    for address in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0.0.0.0:{port}"),
        format!("127.0.0.1:{}", lab.ports.first),
        "169.254.169.254:80".to_owned(),
        "10.0.0.1:443".to_owned(),
        "224.0.0.1:443".to_owned(),
        endpoints.registrar.strip_prefix("https://").unwrap().to_owned(),
        metrics.strip_suffix("/metrics").unwrap().to_owned(),
        endpoints.directory,
    ] {
        let start = Instant::now();
        let answer = lab.ask(&address);
        assert!(answer.starts_with("error:AT0004"), "{address}: {answer}");
        assert!(start.elapsed() < Duration::from_secs(5), "{address} was not even tried");
        assert!(!lab.was_called(), "{address}");
    }
    assert!(lab.ask("null").starts_with("error:AT0007"));
    // Servers of one warren reach one another, by the name that stands in every address.
    let (address, secret) = lab.warren.register("@bob");
    let mut bob = lab.warren.owner("@bob", &address, &secret);
    assert!(bob.ask("update:public:x@bob yes").starts_with("data:"));
    assert_eq!(lab.alice.ask("plookup:x@bob"), "data:yes");
}

#[test]
fn what_the_operator_lists_is_called_and_nothing_beside_it() {
    let mut lab = lab(|port| vec!["--dial-to".to_owned(), format!("127.0.0.0/8:{port}")]);
    let port = lab.control.local_addr().unwrap().port();
    for (address, expected) in [
        (format!("127.0.0.1:{port}"), true),
        (format!("127.0.0.1:{}", lab.ports.first), false),
        (format!("localhost:{port}"), true),
    ] {
        // The listener takes connections and says nothing, so the answer is an error all the same.
        let answer = lab.ask(&address);
        assert!(answer.starts_with("error:AT0004"), "{address}: {answer}");
        assert_eq!(lab.was_called(), expected, "{address}");
    }
}

#[test]
fn a_place_that_is_none_is_refused_with_how_to_write_one() {
    let output = std::process::Command::new(WARREN)
        .args(["up", "--dial-to", "10.0.0.0/33"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("10.0.0.0/8") && said.contains("25000-25999"), "{said}");
}
