//! A path that every node sees, with the same in it.

use std::fs;

use super::error::Error;
use super::node::Node;
use super::state::{Lab, Volume};
use super::{tools, wait};

/// GlusterFS's own name of the volume.
pub const NAME: &str = "lab";

/// So many nodes keep a copy of each file: two of three are a majority.
const COPIES_MAX: u8 = 3;

/// A copy that is silent holds everybody up for so long; as delivered it is 42 seconds.
const OPTIONS: [(&str, &str); 1] = [("network.ping-timeout", "3")];

/// Longest that GlusterFS's daemons may take to know one another.
const READY_SECONDS_MAX: u64 = 60;

/// Makes the folder, and on a GlusterFS also what is mounted over it in each node.
///
/// # Errors
/// [`Error::File`], [`Error::Late`], or what GlusterFS says.
pub fn up(lab: &Lab) -> Result<(), Error> {
    fs::create_dir_all(lab.volume_path()).map_err(Error::file(lab.volume_path()))?;
    if lab.volume == Volume::SharedFolder {
        return Ok(());
    }
    let formed = lab.folder().join("gluster.formed");
    if !formed.exists() {
        form(lab)?;
        fs::write(&formed, "").map_err(Error::file(formed))?;
    }
    lab.all().iter().try_for_each(mount)
}

fn form(lab: &Lab) -> Result<(), Error> {
    let first = lab.node("1")?;
    for node in lab.all() {
        let what = format!("GlusterFS on {}", node.name());
        wait::until(&what, READY_SECONDS_MAX, &node.folder().join("gluster/log"), || {
            Ok(gluster(&node, &["pool", "list"]).ok())
        })?;
        if node.number > 1 {
            gluster(&first, &["peer", "probe", &node.address()])?;
        }
    }
    let what = "GlusterFS's daemons know one another";
    wait::until(what, READY_SECONDS_MAX, &lab.folder(), || {
        let list = gluster(&first, &["pool", "list"])?;
        let connected = list.lines().filter(|line| line.trim_end().ends_with("Connected"));
        Ok((connected.count() == usize::from(lab.nodes)).then_some(()))
    })?;
    if gluster(&first, &["volume", "info", NAME]).is_err() {
        create(lab, &first)?;
    }
    for (option, value) in OPTIONS {
        gluster(&first, &["volume", "set", NAME, option, value])?;
    }
    gluster(&first, &["volume", "start", NAME, "force"]).map(drop)
}

fn create(lab: &Lab, first: &Node<'_>) -> Result<(), Error> {
    let copies = lab.nodes.min(COPIES_MAX);
    let count = copies.to_string();
    let mut words = vec!["volume", "create", NAME];
    if copies > 1 {
        words.extend(["replica", &count]);
    }
    let bricks: Vec<String> = lab.all().iter().take(copies.into()).map(brick).collect();
    words.extend(bricks.iter().map(String::as_str));
    words.push("force");
    gluster(first, &words).map(drop)
}

fn brick(node: &Node<'_>) -> String {
    format!("{}:{}", node.address(), node.folder().join("gluster/brick").display())
}

/// Into the node's own mounts, which nobody else sees.
fn mount(node: &Node<'_>) -> Result<(), Error> {
    let path = node.lab.volume_path();
    let mut check = node.inside(tools::timed(10))?;
    if tools::output(check.args(["mountpoint", "--quiet"]).arg(&path)).is_ok() {
        return Ok(());
    }
    let mut mount = node.inside(tools::timed(60))?;
    mount.args(["mount", "-t", "glusterfs", &format!("localhost:/{NAME}")]).arg(&path);
    tools::output(&mut mount).map(drop)
}

fn gluster(node: &Node<'_>, words: &[&str]) -> Result<String, Error> {
    let mut gluster = node.inside(tools::timed(60))?;
    tools::output(gluster.args(["gluster", "--mode=script"]).args(words))
}
