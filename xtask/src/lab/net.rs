//! The lab's network: a bridge, and for each node a namespace with a link to it.
//!
//! Each function may be repeated, and goes on where another one was interrupted.

use std::path::Path;

use super::error::Error;
use super::node::Node;
use super::state::{Lab, names};
use super::tools::{run, succeeds};

/// Where a link's state can be read.
const LINKS: &str = "/sys/class/net";

/// Where `ip netns` keeps names.
const NAMESPACES: &str = "/run/netns";

/// The bit in a link's flags that says it was switched on.
const IS_UP: u32 = 1;

/// The third number of a network that no lab has and nothing of this machine routes to.
///
/// # Errors
/// [`Error::NoNetwork`], or another lab's state that can't be read.
pub fn free_subnet() -> Result<u8, Error> {
    let labs = names()?.iter().map(|name| Lab::load(name)).collect::<Result<Vec<_>, _>>()?;
    let is_free = |subnet: &u8| {
        let network = format!("198.18.{subnet}.0/24");
        !labs.iter().any(|lab| lab.subnet == *subnet)
            && run("ip", ["route", "show", "root", &network]).is_ok_and(|routes| routes.is_empty())
    };
    (0..=u8::MAX).find(is_free).ok_or(Error::NoNetwork)
}

/// Refuses names that somebody else uses: what has them later is the lab's, and `down` removes it.
///
/// # Errors
/// [`Error::Taken`].
pub fn check_free(lab: &Lab) -> Result<(), Error> {
    let links = lab.all().into_iter().map(|node| node.link()).chain([lab.bridge()]);
    let namespaces = lab.all().into_iter().map(|node| node.name());
    let links = links.map(|link| (Path::new(LINKS).join(&link), format!("the link {link}")));
    let namespaces = namespaces
        .map(|name| (Path::new(NAMESPACES).join(&name), format!("the network namespace {name}")));
    match links.chain(namespaces).find(|(path, _)| path.exists()) {
        Some((_, what)) => Err(Error::Taken(what)),
        None => Ok(()),
    }
}

/// Makes the bridge and everybody's link to it, and heals what was cut.
///
/// # Errors
/// [`Error::Failed`] with what `ip` or `iptables` says.
pub fn up(lab: &Lab) -> Result<(), Error> {
    let bridge = lab.bridge();
    if !exists(&bridge) {
        run("ip", ["link", "add", &bridge, "type", "bridge"])?;
    }
    run("ip", ["address", "replace", &format!("{}/24", lab.gateway()), "dev", &bridge])?;
    run("ip", ["link", "set", &bridge, "up"])?;
    // Where another Docker engine runs outside, it drops what is forwarded, bridged or not.
    if !succeeds("iptables", rule("--check", &bridge)) {
        run("iptables", rule("--insert", &bridge))?;
    }
    lab.all().iter().try_for_each(connect)
}

/// Cuts a node's link, as pulling its plug does.
///
/// # Errors
/// [`Error::Failed`].
pub fn cut(node: &Node<'_>) -> Result<(), Error> {
    run("ip", ["link", "set", &node.link(), "down"]).map(drop)
}

/// Puts the plug in again.
///
/// # Errors
/// [`Error::Failed`].
pub fn heal(node: &Node<'_>) -> Result<(), Error> {
    run("ip", ["link", "set", &node.link(), "up"]).map(drop)
}

/// Whether a node's link is there and not cut.
pub fn is_connected(node: &Node<'_>) -> bool {
    let flags = std::fs::read_to_string(Path::new(LINKS).join(node.link()).join("flags"));
    let flags = flags.unwrap_or_default();
    let flags = flags.trim().trim_start_matches("0x");
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & IS_UP != 0)
}

/// Takes all of it away; what is not there is no error.
///
/// # Errors
/// [`Error::Failed`].
pub fn down(lab: &Lab) -> Result<(), Error> {
    for node in lab.all() {
        remove_link(&node.link())?;
        if Path::new(NAMESPACES).join(node.name()).exists() {
            run("ip", ["netns", "delete", &node.name()])?;
        }
    }
    let bridge = lab.bridge();
    while succeeds("iptables", rule("--check", &bridge)) {
        run("iptables", rule("--delete", &bridge))?;
    }
    remove_link(&bridge)
}

fn connect(node: &Node<'_>) -> Result<(), Error> {
    let (name, link) = (node.name(), node.link());
    // A name without a namespace is what an interrupted `ip netns add` leaves.
    let is_whole = succeeds("ip", ["-netns", &name, "link", "show", "lo"]);
    if !is_whole {
        remove_link(&link)?;
        if Path::new(NAMESPACES).join(&name).exists() {
            run("ip", ["netns", "delete", &name])?;
        }
        run("ip", ["netns", "add", &name])?;
    }
    if !exists(&link) {
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &name];
        run("ip", ["link", "add", &link].into_iter().chain(peer))?;
    }
    run("ip", ["link", "set", &link, "master", &node.lab.bridge(), "up"])?;
    let inside = |words: &[&str]| run("ip", ["-netns", &name].iter().chain(words)).map(drop);
    inside(&["link", "set", "lo", "up"])?;
    inside(&["address", "replace", &format!("{}/24", node.address()), "dev", "eth0"])?;
    inside(&["link", "set", "eth0", "up"])?;
    inside(&["route", "replace", "default", "via", &node.lab.gateway()])
}

fn rule<'a>(action: &'a str, bridge: &'a str) -> [&'a str; 10] {
    [
        "--wait",
        "10",
        action,
        "FORWARD",
        "--in-interface",
        bridge,
        "--out-interface",
        bridge,
        "--jump",
        "ACCEPT",
    ]
}

fn exists(link: &str) -> bool {
    Path::new(LINKS).join(link).exists()
}

fn remove_link(link: &str) -> Result<(), Error> {
    if exists(link) { run("ip", ["link", "delete", link]).map(drop) } else { Ok(()) }
}
