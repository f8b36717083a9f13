//! The peer of a wake: the same program in a container of its own, started by a Docker engine.
//!
//! An engine that answers is used; else, where `dockerd` is installed and this user is root, one is
//! started for this run alone, with its own folders and socket.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{LineClient, Ports, Warren};

use crate::Setting;

const IMAGE: &str = "warren-bench";
const CONTAINER: &str = "warren-bench";
const ENGINE_PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

/// A Docker engine that we may use.
struct Engine {
    host: Option<String>,
    own: Option<(Child, tempfile::TempDir)>,
}

/// Times from `docker start` to the first answer; none where no engine or no static program is.
pub fn docker_start(setting: &Setting, count: usize) -> Option<Vec<Duration>> {
    let program = static_program(setting)?;
    let engine = Engine::find()?;
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(20);
    let warren = Warren::start(&setting.warren, &data, &ports, &[]);
    let (address, _) = warren.register("@alice");
    let ca_file = warren.endpoints.ca_file.clone();
    assert_eq!(warren.terminate().code(), Some(0));

    engine.import(&program);
    engine.create(&data, &ports);
    let config = testkit::client_config(&ca_file);
    let times = (0..count)
        .map(|_| {
            let start = Instant::now();
            engine.docker(&["start", CONTAINER]);
            let mut client = loop {
                match LineClient::connect_with(&address, config.clone()) {
                    Ok(client) => break client,
                    Err(error) => assert!(start.elapsed() < ANSWER_PATIENCE, "{error}"),
                }
                std::thread::sleep(Duration::from_micros(500));
            };
            assert!(client.ask("scan").starts_with("data:["));
            let took = start.elapsed();
            drop(client);
            engine.docker(&["stop", "--time", "10", CONTAINER]);
            took
        })
        .collect();
    engine.docker(&["rm", "--force", CONTAINER]);
    Some(times)
}

/// The program linked so that it runs in an image with nothing else in it.
fn static_program(setting: &Setting) -> Option<PathBuf> {
    let release = Path::new(&setting.warren).parent()?;
    let program = release.parent()?.join("x86_64-unknown-linux-gnu/release/warren");
    if program.exists() {
        return Some(program);
    }
    eprintln!("no static program at {}: no container is measured", program.display());
    None
}

impl Engine {
    fn find() -> Option<Self> {
        let running = Self { host: None, own: None };
        if running.answers() {
            return Some(running);
        }
        let folder = tempfile::tempdir().expect("a folder for an engine");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let host = format!("unix://{}", path("sock"));
        let log = File::create(path("log")).expect("a log");
        let child = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host", &host])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .ok()?;
        let engine = Self { host: Some(host), own: Some((child, folder)) };
        let start = Instant::now();
        while !engine.answers() {
            if start.elapsed() > ENGINE_PATIENCE {
                eprintln!("dockerd does not answer: no container is measured");
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(engine)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        command
    }

    fn answers(&self) -> bool {
        let output = self.command().args(["version", "--format", "{{.Server.Version}}"]).output();
        output.is_ok_and(|output| output.status.success())
    }

    fn docker(&self, args: &[&str]) {
        let output = self.command().args(args).output().expect("docker runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn import(&self, program: &Path) {
        let folder = program.parent().expect("a file in a folder");
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(folder)
            .args(["-c", "warren"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar runs");
        let output = self
            .command()
            .args(["import", "--change", "ENTRYPOINT [\"/warren\"]", "-", IMAGE])
            .stdin(tar.stdout.take().expect("it is piped"))
            .output()
            .expect("docker runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        tar.wait().expect("tar ends");
    }

    fn create(&self, data: &Path, ports: &Ports) {
        let volume = format!("{}:/data", data.display());
        let _ = self.command().args(["rm", "--force", CONTAINER]).output();
        self.docker(&[
            "create",
            "--name",
            CONTAINER,
            "--network",
            "host",
            "--volume",
            &volume,
            IMAGE,
            "up",
            "--data-dir",
            "/data",
            "--directory-port",
            "0",
            "--registrar-port",
            "0",
            "--metrics-port",
            "0",
            "--ports",
            &ports.argument(),
        ]);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = child.wait();
        }
    }
}
