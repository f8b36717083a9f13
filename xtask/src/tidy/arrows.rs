//! Which crate may depend on which, and who alone may use an outside library.
//!
//! Daemons never import one another: what two of them share is a wire format, and it lives in
//! `protocol`.

use super::crates::{Member, Table};
use super::finding::Finding;

/// Our crates, and those of ours that each may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("atlas", &["protocol"]),
    ("feed", &["protocol", "atlas"]),
    ("net", &["protocol"]),
    ("storage", &["protocol"]),
    ("server", &["protocol", "net", "storage"]),
    ("directory", &["protocol", "atlas", "feed", "net"]),
    ("registrar", &["protocol", "feed", "net", "storage"]),
    ("server-host", &["protocol", "net", "storage", "server"]),
    ("swarm-router", &["protocol", "net"]),
    (
        "warren",
        &[
            "protocol",
            "atlas",
            "feed",
            "net",
            "storage",
            "server",
            "directory",
            "registrar",
            "server-host",
            "swarm-router",
        ],
    ),
    // For developers: they meet the product as everybody does, over the wire.
    ("testkit", &[]),
    // To sign a feed of a hundred million it has to be the registrar.
    ("bench", &["testkit", "protocol", "atlas", "feed", "directory"]),
    ("conformance", &["testkit"]),
    ("xtask", &[]),
];

/// Outside libraries that only the named crates may be built with, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("askama", &["registrar"], "only the registrar has web pages"),
    ("axum", &["directory", "registrar", "warren"], "HTTP routes belong to who answers them"),
    ("bollard", &["server-host"], "only the agent talks to an engine"),
    ("blake3", &["storage", "directory"], "hashing of stored bytes"),
    ("chacha20poly1305", &["storage"], "only storage seals"),
    ("clap", &["warren", "bench", "conformance", "xtask"], "only programs have a command line"),
    ("hickory-proto", &[], "the directory writes DNS by hand; tests read it with this"),
    ("hyper", &["net"], "HTTP connections are net's"),
    ("mio", &["net", "swarm-router"], "one poll over thousands of listening ports, and UDP"),
    ("nix", &["net"], "many datagrams in one call of the system"),
    ("redis", &["net"], "connections to Redis are net's"),
    ("rcgen", &["net", "conformance", "testkit"], "certificates are net's; tests play peers"),
    (
        "rsa",
        &["server", "conformance"],
        "an atServer's signing pair, and the pairs of pretended clients",
    ),
    ("tokio-postgres", &["net"], "connections to PostgreSQL are net's"),
    ("x509-parser", &["net"], "certificates are net's"),
];

/// Crates that must stay without a runtime, and so can be tested without one.
const WITHOUT_RUNTIME: &[&str] = &["protocol", "atlas", "feed", "storage", "xtask"];

/// Libraries that bring a runtime or a socket.
const RUNTIME: &[&str] =
    &["tokio", "tokio-rustls", "tokio-util", "hyper", "axum", "mio", "socket2"];

/// Checks every member's tables.
pub fn check(members: &[Member]) -> Vec<Finding> {
    members.iter().flat_map(check_member).collect()
}

fn check_member(member: &Member) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut broken = |message: String| {
        findings.push(Finding::rule(&member.manifest_path, message));
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member.name) else {
        broken("a new crate: say in xtask/src/tidy/arrows.rs what it may import".into());
        return findings;
    };
    let normal = member.dependencies(Table::Normal).map(|name| (name, false));
    let dev = member.dependencies(Table::Dev).map(|name| (name, true));
    for (name, is_for_tests) in normal.chain(dev) {
        let is_ours = ARROWS.iter().any(|(ours, _)| *ours == name);
        let is_allowed = allowed.contains(&name) || (is_for_tests && name == "testkit");
        if is_ours && !is_allowed && name != member.name {
            broken(format!("must not import {name}: see ARCHITECTURE.md, the arrows"));
        }
    }
    for name in member.dependencies(Table::Normal) {
        if let Some((_, owners, reason)) = RESERVED.iter().find(|(library, ..)| *library == name)
            && !owners.contains(&member.name.as_str())
        {
            broken(format!("must not use {name}: {reason}"));
        }
        if WITHOUT_RUNTIME.contains(&member.name.as_str()) && RUNTIME.contains(&name) {
            broken(format!("must stay without a runtime, but uses {name}"));
        }
    }
    findings
}
