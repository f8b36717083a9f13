//! Redis with the same names, over TLS with the same key.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Ports;

use super::Answerer;
use super::process::Process;

/// Loads the names, saves them, and starts again from the file; none where there is no Redis.
pub fn start(folder: &Path, list: &Path) -> Option<Answerer> {
    Command::new("redis-server").arg("--version").output().ok()?;
    let ports = Ports::reserve(2);
    let (plain, tls) = (ports.first, ports.last);
    let loading = Process(spawn(folder, plain, tls));
    let mut stream = connect(plain);
    load(&mut stream, list);
    assert_eq!(ask(&mut stream, "SAVE"), "+OK");
    drop(loading);
    let started = Instant::now();
    let mut one = Answerer {
        who: "Redis, TLS",
        process: Process(spawn(folder, plain, tls)),
        address: format!("localhost:{tls}"),
        started_in: Duration::ZERO,
        resident: 0,
        question: |name| format!("*2\r\n$3\r\nGET\r\n${}\r\n{name}\r\n", name.len()).into_bytes(),
        lines: 2,
        greets: false,
    };
    let mut stream = connect(plain);
    while ask(&mut stream, "PING") != "+PONG" {
        std::thread::sleep(Duration::from_millis(1));
    }
    one.started_in = started.elapsed();
    one.resident = one.process.resident();
    Some(one)
}

fn spawn(folder: &Path, plain: u16, tls: u16) -> Child {
    Command::new("redis-server")
        .args(["--port", &plain.to_string(), "--tls-port", &tls.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--tls-auth-clients", "no", "--dbfilename", "peer.rdb", "--dir"])
        .arg(folder)
        .arg("--tls-cert-file")
        .arg(folder.join("chain.pem"))
        .arg("--tls-key-file")
        .arg(folder.join("key.pem"))
        .arg("--tls-ca-cert-file")
        .arg(folder.join("chain.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server runs")
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return BufReader::new(stream),
            Err(error) => assert!(began.elapsed() < testkit::PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ask(stream: &mut BufReader<TcpStream>, command: &str) -> String {
    stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("it listens");
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    line.trim_end().to_owned()
}

fn load(stream: &mut BufReader<TcpStream>, list: &Path) {
    let mut writer = BufWriter::new(stream.get_ref().try_clone().expect("the same socket"));
    let mut sent = 0_u64;
    for line in BufReader::new(File::open(list).expect("the list")).lines() {
        let line = line.expect("a line");
        let (name, address) = line.split_once('\t').expect("a tab");
        let (n, a) = (name.len(), address.len());
        write!(writer, "*3\r\n$3\r\nSET\r\n${n}\r\n{name}\r\n${a}\r\n{address}\r\n").expect("sent");
        sent += 1;
        if sent == 1_000 {
            settle(stream, &mut writer, std::mem::take(&mut sent));
        }
    }
    settle(stream, &mut writer, sent);
}

/// Sends what is left, and reads the answers.
fn settle(stream: &mut BufReader<TcpStream>, writer: &mut impl Write, answers: u64) {
    writer.flush().expect("sent");
    let mut answer = String::new();
    for _ in 0..answers {
        answer.clear();
        stream.read_line(&mut answer).expect("an answer");
    }
}
