//! What is written down about a lab before anything of it is made.
//!
//! Everything a lab makes has a name that follows from this file: whoever reads it can take all of
//! it away again, however far `up` had come. Processes are the exception; each writes itself down
//! before it becomes an engine ([`super::engine`]).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::Error;
use super::node::Node;
use super::wait;

/// Where all labs of this machine are: their names are the machine's, so this is too. Short, for a
/// socket's path may have 107 bytes.
pub const ROOT: &str = "/var/lib/warren-lab";

/// Namespaces of more engines than this fit on no machine that one has at hand.
pub const NODES_MAX: u8 = 50;

const NAME_BYTES_MAX: usize = 8;

/// Another command may be bringing a lab up.
const LOCK_SECONDS_MAX: u64 = 300;

/// The file's first line.
const VERSION: &str = "warren-lab 1";

/// What all nodes of a lab see at one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Volume {
    /// A folder of this machine.
    SharedFolder,
    /// GlusterFS through FUSE, a copy on up to three nodes.
    Gluster,
}

/// A lab as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    /// What its nodes' names begin with.
    pub name: String,
    /// The third number of its addresses.
    pub subnet: u8,
    /// How many engines.
    pub nodes: u8,
    /// How many of them manage the swarm.
    pub managers: u8,
    /// What they share.
    pub volume: Volume,
    /// How often a node tells the managers that it lives.
    pub heartbeat_seconds: u8,
    /// The engine's program.
    pub dockerd: PathBuf,
}

/// Held while labs are changed; ends with this value, and with the process.
pub struct Lock(#[allow(dead_code)] File);

impl Lab {
    /// Reads what was written down.
    ///
    /// # Errors
    /// [`Error::NoLab`], [`Error::State`], [`Error::File`].
    pub fn load(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        let path = Path::new(ROOT).join(name).join("state");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoLab(name.to_owned()));
            }
            text => text.map_err(Error::file(&path))?,
        };
        text.parse().map_err(|why| Error::State { path, why })
    }

    /// Writes it down, so that it is there whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self) -> Result<(), Error> {
        fs::create_dir_all(self.folder()).map_err(Error::file(self.folder()))?;
        write_whole(&self.folder().join("state"), &self.to_text())
    }

    /// Everything of it that is a file.
    pub fn folder(&self) -> PathBuf {
        Path::new(ROOT).join(&self.name)
    }

    /// The path that all nodes see.
    pub fn volume_path(&self) -> PathBuf {
        self.folder().join("volume")
    }

    /// The bridge that the nodes' links end at.
    pub fn bridge(&self) -> String {
        format!("wl{}", self.name)
    }

    /// The bridge's address, which is the nodes' default route.
    pub fn gateway(&self) -> String {
        self.address(1)
    }

    /// An address in the lab's network: one that is for tests of networks and nobody else's.
    pub fn address(&self, host: u8) -> String {
        format!("198.18.{}.{host}", self.subnet)
    }

    /// All nodes, from 1.
    pub fn all(&self) -> Vec<Node<'_>> {
        (1..=self.nodes).map(|number| Node { lab: self, number }).collect()
    }

    /// A node by its number, or by its name.
    ///
    /// # Errors
    /// [`Error::NoNode`].
    pub fn node(&self, word: &str) -> Result<Node<'_>, Error> {
        let number = word.strip_prefix(&format!("{}-", self.name)).unwrap_or(word);
        match number.parse() {
            Ok(number) if (1..=self.nodes).contains(&number) => Ok(Node { lab: self, number }),
            _ => Err(Error::NoNode { word: word.to_owned(), nodes: self.nodes }),
        }
    }

    fn to_text(&self) -> String {
        let volume = match self.volume {
            Volume::SharedFolder => "shared-folder",
            Volume::Gluster => "gluster",
        };
        format!(
            "{VERSION}\nname {}\nsubnet {}\nnodes {}\nmanagers {}\nvolume {volume}\nheartbeat {}\ndockerd {}\n",
            self.name,
            self.subnet,
            self.nodes,
            self.managers,
            self.heartbeat_seconds,
            self.dockerd.display()
        )
    }
}

impl FromStr for Lab {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.lines().next() != Some(VERSION) {
            return Err(format!("it does not begin with '{VERSION}'"));
        }
        let word = |key: &str| {
            let mut values =
                text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            values.next().ok_or_else(|| format!("there is no {key}"))
        };
        let number = |key: &str| word(key)?.parse().map_err(|_| format!("{key} is no number"));
        let name = word("name")?.to_owned();
        check_name(&name).map_err(|error| error.to_string())?;
        let lab = Self {
            name,
            subnet: number("subnet")?,
            nodes: number("nodes")?,
            managers: number("managers")?,
            volume: match word("volume")? {
                "shared-folder" => Volume::SharedFolder,
                "gluster" => Volume::Gluster,
                other => return Err(format!("'{other}' is no volume")),
            },
            heartbeat_seconds: number("heartbeat")?,
            dockerd: word("dockerd")?.into(),
        };
        let is_possible = (1..=NODES_MAX).contains(&lab.nodes) && lab.managers <= lab.nodes;
        is_possible.then_some(lab).ok_or_else(|| "so many nodes are not possible".into())
    }
}

/// A name that every interface, namespace and host name can begin with.
///
/// # Errors
/// [`Error::Name`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let is_good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_good { Ok(()) } else { Err(Error::Name(name.to_owned())) }
}

/// The names of all labs of this machine.
///
/// # Errors
/// [`Error::File`].
pub fn names() -> Result<Vec<String>, Error> {
    let listing = match fs::read_dir(ROOT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(Error::file(ROOT))?,
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter(|entry| entry.path().join("state").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Waits until no other command changes labs.
///
/// # Errors
/// [`Error::Late`], [`Error::File`].
pub fn lock() -> Result<Lock, Error> {
    fs::create_dir_all(ROOT).map_err(Error::file(ROOT))?;
    let path = Path::new(ROOT).join("lock");
    let file = File::create(&path).map_err(Error::file(&path))?;
    if file.try_lock().is_ok() {
        return Ok(Lock(file));
    }
    let what = "another command changes a lab";
    wait::until(what, LOCK_SECONDS_MAX, Path::new(ROOT), || Ok(file.try_lock().ok()))?;
    Ok(Lock(file))
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// [`Error::File`].
pub fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lab() -> Lab {
        Lab {
            name: "lab".into(),
            subnet: 7,
            nodes: 3,
            managers: 3,
            volume: Volume::Gluster,
            heartbeat_seconds: 5,
            dockerd: "/a folder/dockerd".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(lab().to_text().parse(), Ok(lab()));
    }

    #[test]
    fn what_is_cut_or_impossible_is_refused() {
        let text = lab().to_text();
        for (end, _) in text.match_indices('\n') {
            if end + 1 < text.len() {
                assert!(text[..end].parse::<Lab>().is_err(), "{}", &text[..end]);
            }
        }
        for (from, to) in
            [("nodes 3", "nodes 0"), ("nodes 3", "nodes 2"), ("name lab", "name ../x")]
        {
            assert!(text.replace(from, to).parse::<Lab>().is_err(), "{to}");
        }
    }

    #[test]
    fn a_name_fits_into_an_interface_and_a_path() {
        assert!(["lab", "a", "a1234567"].iter().all(|name| check_name(name).is_ok()));
        for name in ["", "1a", "Lab", "a-b", "..", "a/b", "a12345678", "ü"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_node_is_its_number_or_its_name() {
        let lab = lab();
        assert_eq!(lab.node("2").unwrap().name(), "lab-2");
        assert_eq!(lab.node("lab-3").unwrap().address(), "198.18.7.13");
        for word in ["0", "4", "lab-4", "other-1", "one", ""] {
            assert!(lab.node(word).is_err(), "{word}");
        }
    }
}
