//! Our own router: the process `warren router serve`, which follows a played registrar.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Options;
use super::back::Back;
use super::front::Front;
use super::registrar::Registrar;
use crate::directory::process::Process;
use crate::{Setting, certificate};

const IP: Ipv4Addr = Ipv4Addr::new(127, 0, 91, 1);

/// Starts it with so many routes, all to the first server.
pub fn start(
    setting: &Setting,
    folder: &Path,
    back: &Back,
    routes: u16,
    options: &Options,
) -> Front {
    let (key, chain) = certificate::make(folder).expect("openssl is installed");
    let registrar = Registrar::start(back, routes, &chain, &key);
    std::fs::write(folder.join("token"), "a-token-for-routers-only").expect("a file");
    std::fs::write(folder.join("link.key"), "0123456789abcdef".repeat(4)).expect("a file");
    let names = options.by_name.then_some(SocketAddr::from((IP, 443)));
    let began = Instant::now();
    let child = Command::new(&setting.warren)
        .args(["router", "serve", "--health-port", "0", "--listen", &IP.to_string()])
        .args(["--registrar", &format!("https://localhost:{}", registrar.address.port())])
        .arg("--registrar-ca")
        .arg(chain)
        .arg("--token-file")
        .arg(folder.join("token"))
        .arg("--link-key-file")
        .arg(folder.join("link.key"))
        .args(names.map(|address| format!("--names={address}")))
        .args(&options.router_option)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    let lead = Box::new(move |route, server| registrar.lead(route, server));
    Front {
        who: "warren router",
        process: Some(Process(child)),
        ip: IP,
        all: None,
        names,
        routes,
        lead,
        started_in: Duration::ZERO,
    }
    .until_ready(began)
}
