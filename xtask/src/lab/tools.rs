//! The programs that the lab is made with: whether they are there, and running them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::Error;

/// What every lab needs, and Debian's package with it.
const ALWAYS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("docker", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("timeout", "coreutils"),
];

/// What a lab with a GlusterFS volume needs beside.
const FOR_GLUSTER: &[(&str, &str)] =
    &[("glusterd", "glusterfs-server"), ("mount.glusterfs", "glusterfs-client")];

/// Longest that a program of the lab may take; an engine that hangs must not hang us.
const SECONDS_MAX: u64 = 60;

/// Longest end of a program's words that is repeated in an error.
const SAID_BYTES_MAX: usize = 600;

/// Checks that all is there, and finds the engine.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::Missing`].
pub fn check(dockerd: Option<&Path>, with_gluster: bool) -> Result<PathBuf, Error> {
    check_root()?;
    let gluster = if with_gluster { FOR_GLUSTER } else { &[] };
    for (program, package) in ALWAYS.iter().chain(gluster) {
        find(program, package)?;
    }
    let Some(path) = dockerd else { return find("dockerd", "docker.io") };
    if path.is_file() {
        return path.canonicalize().map_err(Error::file(path));
    }
    Err(Error::Missing { program: path.display().to_string(), package: "docker.io" })
}

/// Everything here is the superuser's business.
///
/// # Errors
/// [`Error::NotRoot`].
pub fn check_root() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Error::NotRoot) }
}

fn find(program: &str, package: &'static str) -> Result<PathBuf, Error> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::Missing { program: program.to_owned(), package })
}

/// Where programs are looked for: not everybody's PATH has the superuser's folders.
fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// A program in an environment of its own: nothing of the caller's (a proxy, a Docker context)
/// reaches an engine.
pub fn command(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("PATH", search_path()).env("HOME", "/").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).current_dir("/");
    command
}

/// Runs to the end and returns what it printed.
///
/// # Errors
/// [`Error::Start`], [`Error::Failed`].
pub fn run<A: AsRef<OsStr>>(
    name: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<String, Error> {
    output(timed(SECONDS_MAX).arg(name).args(args))
}

/// Gives what is added to it so long and no longer.
pub fn timed(seconds: u64) -> Command {
    let mut timed = command("timeout");
    timed.args(["--kill-after=5", &seconds.to_string()]);
    timed
}

/// Runs what has its own deadline, and returns what it printed.
///
/// # Errors
/// [`Error::Start`], [`Error::Failed`].
pub fn output(command: &mut Command) -> Result<String, Error> {
    let output =
        command.output().map_err(|source| Error::Start { line: line_of(command), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let said = match output.status.code() {
        Some(124) => "no answer".to_owned(),
        _ => end_of(&String::from_utf8_lossy(words)),
    };
    Err(Error::Failed { line: line_of(command), said })
}

/// Whether it succeeds.
pub fn succeeds<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>) -> bool {
    run(name, args).is_ok()
}

/// The end of a long text, in whole characters.
pub fn end_of(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(SAID_BYTES_MAX);
    let from = (from..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(from..).unwrap_or(text).to_owned()
}

/// The program and its first words, without what is only around it.
fn line_of(command: &Command) -> String {
    const WORDS: usize = 8;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let start = match words.iter().position(|word| word == "--") {
        Some(at) => at + 1,
        None if words.first().is_some_and(|word| word == "timeout") => 3,
        None => 0,
    };
    let shown = words.iter().skip(start).take(WORDS);
    // A token lets anybody join.
    let shown = shown.map(|word| if word.starts_with("SWMTKN-") { "TOKEN" } else { word });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_no_token_and_no_deadline() {
        let mut join = timed(60);
        join.args(["docker", "swarm", "join", "--token", "SWMTKN-1-a"]);
        assert_eq!(line_of(&join), "docker swarm join --token TOKEN");
    }

    #[test]
    fn a_program_that_says_no_is_quoted() {
        let failed = output(command("sh").args(["-c", "echo 'not today' >&2; exit 3"]));
        assert!(failed.unwrap_err().to_string().ends_with("not today"));
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let missing = find("no-such-program", "some-package").unwrap_err().to_string();
        assert!(missing.contains("apt-get install some-package"), "{missing}");
    }
}
