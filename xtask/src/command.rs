//! Running other programs, and how that fails.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a task did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program ran and reported failure; its own output says why.
    #[error("{line} failed")]
    Command {
        /// What was run.
        line: String,
    },
    /// A program could not be started at all.
    #[error("cannot start {line}: {source}")]
    Start {
        /// What was to be run.
        line: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something needed is not there and could not be brought.
    #[error("{what} is missing; {fix}")]
    Missing {
        /// What is missing.
        what: String,
        /// What the reader can do.
        fix: String,
    },
    /// A file of the workspace could not be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The workspace breaks rules of its own.
    #[error("{count} rule(s) broken, each named above")]
    Untidy {
        /// How many findings were printed.
        count: usize,
    },
    /// The lab could not do what it was asked for.
    #[error(transparent)]
    Lab(#[from] crate::lab::Error),
}

/// A program with its arguments, to be run in `folder` with this terminal as its own.
pub fn program<A: AsRef<OsStr>>(
    folder: &Path,
    name: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    // What `cargo run` tells this program about its own package must not reach another cargo:
    // build scripts that watch these variables would run again each time.
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&variable);
        }
    }
    command
}

/// Runs to the end; an exit code other than 0 is a failure.
///
/// # Errors
/// [`Failure::Start`] or [`Failure::Command`].
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let line = line_of(command);
    eprintln!("xtask: {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::Command { line }),
        Err(source) => Err(Failure::Start { line, source }),
    }
}

/// Whether the program exists and succeeds, without a word on the terminal.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs to the end and returns the first line that it printed.
///
/// # Errors
/// [`Failure::Start`] or [`Failure::Command`].
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let line = line_of(command);
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        Ok(_) => Err(Failure::Command { line }),
        Err(source) => Err(Failure::Start { line, source }),
    }
}

/// Reads a file of the workspace as text.
///
/// # Errors
/// [`Failure::File`].
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::File { path: path.into(), source })
}

fn line_of(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
