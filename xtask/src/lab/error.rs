//! Why the lab could not do what it was asked for.

use std::path::PathBuf;

/// Each says what to do about it where anything can be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Namespaces and mounts are the superuser's.
    #[error("the lab needs root; run it as `sudo env \"PATH=$PATH\" cargo xtask lab …`")]
    NotRoot,
    /// A program is not installed, and nothing is installed behind anybody's back.
    #[error("{program} is missing; install it with `apt-get install {package}`")]
    Missing {
        /// The program.
        program: String,
        /// Debian's package with it.
        package: &'static str,
    },
    /// A program said no.
    #[error("{line}: {said}")]
    Failed {
        /// What was run.
        line: String,
        /// The end of what it printed.
        said: String,
    },
    /// A program could not be started at all.
    #[error("cannot start {line}: {source}")]
    Start {
        /// What was to be run.
        line: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What has to happen did not happen in time.
    #[error("{what}: not within {seconds} s; the logs are in {}", .logs.display())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// Where to look.
        logs: PathBuf,
    },
    /// An engine ended by itself.
    #[error("the engine of {node} has ended; {} says: {said}", .log.display())]
    Ended {
        /// The node.
        node: String,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        said: String,
    },
    /// The name can't be part of the names of network interfaces.
    #[error("'{0}' is no name for a lab: use a letter, then up to 7 letters and digits, all small")]
    Name(String),
    /// More managers than nodes, say.
    #[error("{0}")]
    Shape(String),
    /// There is no lab of this name.
    #[error("there is no lab '{0}'; `cargo xtask lab status` lists them")]
    NoLab(String),
    /// The lab has no such node.
    #[error("'{word}' is no node: say a number from 1 to {nodes}")]
    NoNode {
        /// What was said.
        word: String,
        /// How many there are.
        nodes: u8,
    },
    /// Something of this name exists that the lab has not made.
    #[error("{0} exists already and is not the lab's; remove it or choose another --name")]
    Taken(String),
    /// All networks for labs are in use.
    #[error("no network is free for another lab")]
    NoNetwork,
    /// The lab is there and looks different.
    #[error("the lab '{0}' is there with another shape; `cargo xtask lab down --name {0}` first")]
    Differs(String),
    /// What was written down about a lab can't be read.
    #[error("{} is not what this version writes: {why}", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The node's engine does not run.
    #[error("the engine of {0} does not run; `cargo xtask lab start` starts it")]
    Down(String),
    /// The managers of the swarm are lost.
    #[error("no manager of the swarm is left; `cargo xtask lab down`, then `up`")]
    NoManager,
    /// A folder of the lab has something mounted in it, and what is below must not be deleted.
    #[error("something is mounted at {0}; unmount it, then `cargo xtask lab down` again")]
    Mounted(String),
}

impl Error {
    /// Wraps the system's reason with the path.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.into(), source }
    }
}
