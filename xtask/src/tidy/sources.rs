//! What holds for every source file.

use std::path::{Path, PathBuf};

use super::crates::Member;
use super::finding::Finding;
use crate::command::{Failure, read};

/// Lines of a file, its tests left out, from which on it deserves a second look.
const LINES_NOTED: usize = 400;

/// Calls that only some crates may make: the text, who may, and what to use instead.
const CALLS: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["net"], "take the time from net::clock"),
    ("TcpListener::bind", &["net", "swarm-router", "warren"], "listeners are given to you"),
    ("TcpStream::connect", &["net"], "connections go out through net::dial"),
    ("UdpSocket", &["net"], "only net opens sockets"),
    ("std::fs", &["net", "storage", "directory", "warren"], "files are storage's"),
    ("tokio::fs", &["net"], "files are storage's, and storage does not wait"),
    ("std::thread::sleep", &["swarm-router"], "wait in the runtime, with a deadline"),
    ("std::process::exit", &["warren"], "return to main"),
];

/// Tools for developers may call what they like.
const TOOLS: &[&str] = &["bench", "conformance", "testkit", "xtask"];

/// Words that mean something is not finished.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX", "#[ignore"];

/// Folders of a developer's machine have no place in the text.
const MACHINE: &[&str] = &["/home/", "/root/", "/Users/"];

/// The rules themselves name what they forbid.
const RULES: &str = "xtask/src/tidy/sources.rs";

/// Checks the files of all members.
///
/// # Errors
/// [`Failure::File`] where one cannot be read.
pub fn check(root: &Path, members: &[Member]) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for member in members {
        let source = Path::new(&member.name).join("src");
        for path in rust_files(root, &source)? {
            let text = read(&root.join(&path))?;
            findings.extend(check_words(&path, &text));
            findings.extend(check_alive(root, &path)?);
            let code = code_of(&path, &text);
            if !code.is_empty() {
                findings.extend(check_top(member, &path, &text));
                findings.extend(check_calls(member, &path, code));
                findings.extend(check_length(&path, code));
            }
        }
        for path in rust_files(root, &Path::new(&member.name).join("tests"))? {
            findings.extend(check_words(&path, &read(&root.join(&path))?));
        }
    }
    Ok(findings)
}

/// Every file says what it is; a library also what it is for, owns, and must never do.
fn check_top(member: &Member, path: &Path, text: &str) -> Vec<Finding> {
    let top: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    if top.is_empty() && !text.starts_with("#![doc = include_str!") {
        return vec![Finding::rule(path, "open with //! and say what the file is")];
    }
    if path != Path::new(&member.name).join("src/lib.rs") {
        return Vec::new();
    }
    let top = top.join("\n");
    ["**For:**", "**Owns:**", "**Never:**"]
        .into_iter()
        .filter(|part| !top.contains(part))
        .map(|part| Finding::rule(path, format!("the top comment has no {part}")))
        .collect()
}

fn check_words(path: &Path, text: &str) -> Vec<Finding> {
    if path == Path::new(RULES) {
        return Vec::new();
    }
    UNFINISHED
        .iter()
        .chain(MACHINE)
        .filter(|word| text.contains(**word))
        .map(|word| Finding::rule(path, format!("contains '{word}'")))
        .collect()
}

fn check_calls(member: &Member, path: &Path, code: &str) -> Vec<Finding> {
    if TOOLS.contains(&member.name.as_str()) {
        return Vec::new();
    }
    CALLS
        .iter()
        .filter(|(call, allowed, _)| {
            !allowed.contains(&member.name.as_str()) && code_contains(code, call)
        })
        .map(|(call, _, instead)| Finding::rule(path, format!("calls {call}: {instead}")))
        .collect()
}

/// A file that no module names is not compiled, and the compiler does not say so.
fn check_alive(root: &Path, path: &Path) -> Result<Vec<Finding>, Failure> {
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
        return Ok(Vec::new());
    };
    let Some(folder) = path.parent() else { return Ok(Vec::new()) };
    let is_crate_root = folder.ends_with("src") && ["lib", "main"].contains(&stem);
    if is_crate_root || folder.ends_with("bin") {
        return Ok(Vec::new());
    }
    let (name, home) = if stem == "mod" {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        (name, folder.parent().unwrap_or(folder).to_owned())
    } else {
        (stem, folder.to_owned())
    };
    for parent in parents(&home) {
        let file = root.join(&parent);
        if file.is_file() && declares(&read(&file)?, name) {
            return Ok(Vec::new());
        }
    }
    Ok(vec![Finding::rule(path, "no module names this file: delete it or declare it")])
}

/// The files that may declare a module which lies in `folder`.
fn parents(folder: &Path) -> Vec<PathBuf> {
    vec![
        folder.join("mod.rs"),
        folder.join("lib.rs"),
        folder.join("main.rs"),
        folder.with_extension("rs"),
    ]
}

fn declares(text: &str, module: &str) -> bool {
    let wanted = format!("mod {module};");
    text.lines().any(|line| line.trim_start().ends_with(&wanted))
}

fn check_length(path: &Path, code: &str) -> Vec<Finding> {
    match code.lines().count() {
        lines if lines > LINES_NOTED => {
            vec![Finding::note(path, format!("{lines} lines: is it one subject?"))]
        }
        _ => Vec::new(),
    }
}

/// Whether a line that is not a comment contains `call`.
fn code_contains(code: &str, call: &str) -> bool {
    code.lines().any(|line| line.contains(call) && !line.trim_start().starts_with("//"))
}

/// A file without its tests: house style puts their module last, or into a file `tests.rs`.
fn code_of<'a>(path: &Path, text: &'a str) -> &'a str {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return "";
    }
    let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// All Rust files below `folder`, relative to `root`, in the order of their names.
fn rust_files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let listing =
        std::fs::read_dir(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
    let mut names: Vec<PathBuf> =
        listing.flatten().map(|entry| folder.join(entry.file_name())).collect();
    names.sort();
    let mut files = Vec::new();
    for name in names {
        if root.join(&name).is_dir() {
            files.extend(rust_files(root, &name)?);
        } else if name.extension().is_some_and(|extension| extension == "rs") {
            files.push(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_comments_may_name_what_code_may_not_call() {
        let text =
            "// SystemTime::now\nlet a = 1;\n\n#[cfg(test)]\nmod tests { SystemTime::now() }";
        assert!(!code_contains(code_of(Path::new("a.rs"), text), "SystemTime::now"));
        assert!(code_of(Path::new("a/tests.rs"), text).is_empty());
        assert!(code_contains("let now = SystemTime::now();", "SystemTime::now"));
    }

    #[test]
    fn a_module_is_declared_by_its_whole_name() {
        assert!(declares("pub mod line;\n", "line"));
        assert!(!declares("pub mod line_conn;\n", "line"));
        assert!(!declares("pub mod outline;\n", "line"));
    }

    #[test]
    fn unfinished_words_and_machine_paths_are_found() {
        let path = Path::new("a.rs");
        assert_eq!(check_words(path, "fn a() { todo!() }").len(), 1);
        assert_eq!(check_words(path, "const A: &str = \"/home/a\";").len(), 1);
        assert!(check_words(path, "fn a() {}").is_empty());
    }
}
