//! Which machine somebody means.

use crate::api::NodeView;
use crate::failure::{Exit, Failure};

/// The node with this id, else the one with this host name, else the one whose id begins so.
pub fn find(mut nodes: Vec<NodeView>, text: &str) -> Result<NodeView, Failure> {
    let is_id = |node: &NodeView| node.node.as_str() == text;
    let is_host = |node: &NodeView| hostname(node) == Some(text);
    let begins = |node: &NodeView| !text.is_empty() && node.node.as_str().starts_with(text);
    for fits in [&is_id as &dyn Fn(&NodeView) -> bool, &is_host, &begins] {
        let mut found = (0..nodes.len()).filter(|index| nodes.get(*index).is_some_and(fits));
        match (found.next(), found.count()) {
            (None, _) => {}
            (Some(index), 0) => return Ok(nodes.swap_remove(index)),
            (Some(_), others) => {
                let what = format!("{text} may be any of {} nodes", others + 1);
                return Err(Failure::new(Exit::Usage, what)
                    .fix("name more of its id; warren node list --json has them in full"));
            }
        }
    }
    let what = format!("no agent has told of a node {}", text.escape_debug());
    Err(Failure::new(Exit::NotFound, what).fix("warren node list shows those that are known"))
}

/// What the machine calls itself.
pub fn hostname(node: &NodeView) -> Option<&str> {
    node.report.as_ref().map(|report| report.hostname.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn node(id: &str, hostname: &str) -> NodeView {
        serde_json::from_value(serde_json::json!({
            "node": id, "swarm": "eu", "availability": "active", "report_age_ms": 0, "cells": [],
            "report": {
                "swarm": "eu", "hostname": hostname, "address": "10.0.0.1", "drift": [],
                "engine": {
                    "is_answering": true, "is_leader": false, "availability": "active", "labels": {},
                },
                "pressure": {}, "version": "0.1.0",
            },
        }))
        .unwrap()
    }

    fn nodes() -> Vec<NodeView> {
        vec![node("abc", "n1"), node("abcd", "n2"), node("xyz", "twin"), node("xzz", "twin")]
    }

    #[test]
    fn a_node_is_found_by_its_id_its_host_name_or_the_beginning_of_its_id() {
        for (text, id) in [("abc", "abc"), ("n2", "abcd"), ("abcd", "abcd"), ("xy", "xyz")] {
            assert_eq!(find(nodes(), text).unwrap().node.as_str(), id);
        }
    }

    #[test]
    fn what_may_be_several_nodes_or_none_is_refused() {
        for (text, exit) in [
            ("ab", Exit::Usage),
            ("twin", Exit::Usage),
            ("x", Exit::Usage),
            ("", Exit::NotFound),
            ("n3", Exit::NotFound),
        ] {
            assert_eq!(find(nodes(), text).unwrap_err().exit, exit, "{text}");
        }
    }
}
