//! nginx (its stream module) and HAProxy, with the routes that ours has.
//!
//! Each says who its client is, in the version of the PROXY protocol that it has, as ours does. Each
//! has two workers or threads, for as many as the machine has, and one `listen` or `bind` for the
//! whole range of ports, with a map from port or name to server: the least that either can do with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::back::Back;
use super::front::{FIRST_PORT, Front, name};
use super::machine::{descriptors, pairs};
use crate::directory::process::Process;

const NGINX: Ipv4Addr = Ipv4Addr::new(127, 0, 92, 1);
const HAPROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 93, 1);
const NAMES_PORT: u16 = 443;

/// Where Debian has nginx's module for streams.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Connections that each must be able to carry, if it has the descriptors.
const CONNECTIONS_MAX: usize = 16_384;

/// What is missing and where it comes from, if something is.
pub fn missing() -> Vec<&'static str> {
    let runs = |program: &str| Command::new(program).arg("-v").output().is_ok();
    let mut missing = Vec::new();
    if !runs("nginx") || !Path::new(STREAM_MODULE).exists() {
        missing.push("nginx is not here: apt-get install nginx-light libnginx-mod-stream");
    }
    if !runs("haproxy") {
        missing.push("HAProxy is not here: apt-get install haproxy");
    }
    missing
}

/// Connections beside so many listening sockets; none if there are not even descriptors for these.
fn carried(routes: u16) -> Option<usize> {
    let pairs = pairs(descriptors(), routes).min(CONNECTIONS_MAX);
    (pairs > 0).then_some(pairs)
}

/// nginx; none where it is not installed, or may not listen so often.
pub fn nginx(folder: &Path, back: &Back, routes: u16) -> Option<Front> {
    if !Path::new(STREAM_MODULE).exists() {
        return None;
    }
    let addresses = back.addresses;
    write_nginx_maps(folder, addresses, routes, None);
    let last = FIRST_PORT + routes - 1;
    let path = folder.display();
    let connections = carried(routes)? * 2 + usize::from(routes) + 100;
    let config = format!(
        "load_module {STREAM_MODULE};\nuser root;\nworker_processes 2;\ndaemon off;\n\
         pid {path}/nginx.pid;\nerror_log {path}/nginx.log warn;\n\
         events {{ worker_connections {connections}; }}\n\
         stream {{\n  tcp_nodelay on;\n  proxy_protocol on;\n  map_hash_max_size 262144;\n  \
         map_hash_bucket_size 256;\n  \
         map $server_port $by_port {{ include {path}/ports.map; }}\n  \
         map $ssl_preread_server_name $by_name {{ include {path}/names.map; }}\n  \
         server {{ listen {NGINX}:{FIRST_PORT}-{last}; proxy_pass $by_port; }}\n  \
         server {{ listen {NGINX}:{NAMES_PORT}; ssl_preread on; proxy_pass $by_name; }}\n}}\n"
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("a file");
    let began = Instant::now();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let process = spawn(command);
    let (pid, folder) = (Pid::from_child(&process.0), folder.to_owned());
    let lead = Box::new(move |route, server| {
        write_nginx_maps(&folder, addresses, routes, Some((route, server)));
        kill_process(pid, Signal::HUP).expect("it runs");
    });
    Some(front("nginx", process, NGINX, routes, lead).until_ready(began))
}

fn write_nginx_maps(
    folder: &Path,
    [first, second]: [SocketAddr; 2],
    routes: u16,
    other: Option<(u16, usize)>,
) {
    let (mut ports, mut names) = (String::new(), String::new());
    for route in 0..routes {
        let to = if other == Some((route, 1)) { second } else { first };
        ports += &format!("{} {to};\n", FIRST_PORT + route);
        names += &format!("{} {to};\n", name(route));
    }
    std::fs::write(folder.join("ports.map"), ports).expect("a file");
    std::fs::write(folder.join("names.map"), names).expect("a file");
}

/// HAProxy; none where it is not installed, or may not listen so often.
pub fn haproxy(folder: &Path, back: &Back, routes: u16) -> Option<Front> {
    Command::new("haproxy").arg("-v").output().ok()?;
    write_haproxy_maps(folder, routes, None);
    let last = FIRST_PORT + routes - 1;
    let [first, second] = back.addresses;
    let (path, connections) = (folder.display(), carried(routes)?);
    let config = format!(
        "global\n  nbthread 2\n  maxconn {connections}\n  maxpipes 256\n  \
         stats socket {path}/haproxy.sock mode 600 level admin expose-fd listeners\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  \
         option splice-request\n  option splice-response\n  maxconn {connections}\n\
         frontend ports\n  bind {HAPROXY}:{FIRST_PORT}-{last}\n  \
         use_backend %[dst_port,map_int({path}/ports.haproxy,b0)]\n\
         frontend names\n  bind {HAPROXY}:{NAMES_PORT}\n  tcp-request inspect-delay 5s\n  \
         tcp-request content accept if {{ req.ssl_hello_type 1 }}\n  \
         use_backend %[req.ssl_sni,map({path}/names.haproxy,b0)]\n\
         backend b0\n  server s0 {first} send-proxy-v2\n\
         backend b1\n  server s1 {second} send-proxy-v2\n"
    );
    std::fs::write(folder.join("haproxy.cfg"), config).expect("a file");
    let began = Instant::now();
    let mut command = Command::new("haproxy");
    command.args(["-W", "-db", "-q", "-f"]).arg(folder.join("haproxy.cfg"));
    let process = spawn(command);
    let (pid, folder) = (Pid::from_child(&process.0), folder.to_owned());
    let lead = Box::new(move |route, server| {
        write_haproxy_maps(&folder, routes, Some((route, server)));
        kill_process(pid, Signal::USR2).expect("it runs");
    });
    Some(front("HAProxy", process, HAPROXY, routes, lead).until_ready(began))
}

fn write_haproxy_maps(folder: &Path, routes: u16, other: Option<(u16, usize)>) {
    let (mut ports, mut names) = (String::new(), String::new());
    for route in 0..routes {
        let to = if other == Some((route, 1)) { "b1" } else { "b0" };
        ports += &format!("{} {to}\n", FIRST_PORT + route);
        names += &format!("{} {to}\n", name(route));
    }
    std::fs::write(folder.join("ports.haproxy"), ports).expect("a file");
    std::fs::write(folder.join("names.haproxy"), names).expect("a file");
}

fn spawn(mut command: Command) -> Process {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Process(child.expect("it runs"))
}

fn front(
    who: &'static str,
    process: Process,
    ip: Ipv4Addr,
    routes: u16,
    lead: Box<dyn FnMut(u16, usize)>,
) -> Front {
    let names = Some((ip, NAMES_PORT).into());
    Front {
        who,
        process: Some(process),
        ip,
        all: None,
        names,
        routes,
        lead,
        started_in: Duration::ZERO,
    }
}
