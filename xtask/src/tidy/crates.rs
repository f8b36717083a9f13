//! The members of the workspace, and what holds for each manifest.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::command::{Failure, read};

/// One crate of the workspace.
pub struct Member {
    /// Its folder, which is also its name.
    pub name: String,
    /// The text of its manifest.
    manifest: String,
    /// The manifest's path, relative to the workspace.
    pub manifest_path: PathBuf,
}

/// Which table of a manifest a dependency stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What the crate is built with.
    Normal,
    /// What only its tests use.
    Dev,
}

/// Reads the members that the workspace's manifest lists.
///
/// # Errors
/// [`Failure::File`] where a manifest cannot be read.
pub fn members(root: &Path) -> Result<Vec<Member>, Failure> {
    let workspace = read(&root.join("Cargo.toml"))?;
    let list = workspace.split_once("members = [").map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    list.split(',')
        .map(|name| name.trim().trim_matches('"'))
        .filter(|name| !name.is_empty())
        .map(|name| {
            let manifest_path = Path::new(name).join("Cargo.toml");
            let manifest = read(&root.join(&manifest_path))?;
            Ok(Member { name: name.to_owned(), manifest, manifest_path })
        })
        .collect()
}

impl Member {
    /// The names in one dependency table.
    pub fn dependencies(&self, table: Table) -> impl Iterator<Item = &str> {
        let wanted = match table {
            Table::Normal => "dependencies",
            Table::Dev => "dev-dependencies",
        };
        self.lines_of(wanted).filter_map(|line| {
            let name = line.split(['.', '=', ' ']).next()?.trim();
            (!name.is_empty() && !name.starts_with('#')).then_some(name)
        })
    }

    fn lines_of(&self, table: &str) -> impl Iterator<Item = &str> {
        let mut is_inside = false;
        let header = format!("[{table}]");
        self.manifest.lines().filter(move |line| {
            if line.starts_with('[') {
                is_inside = line.trim() == header;
                return false;
            }
            is_inside
        })
    }
}

/// Every manifest inherits what the workspace decides.
pub fn check(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        if !member.lines_of("lints").any(|line| line.trim() == "workspace = true") {
            let message = "inherit the lints: [lints] workspace = true";
            findings.push(Finding::rule(&member.manifest_path, message));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let wanted = format!("{key}.workspace = true");
            if !member.lines_of("package").any(|line| line.trim() == wanted) {
                findings.push(Finding::rule(&member.manifest_path, format!("write {wanted}")));
            }
        }
        for line in member.lines_of("dependencies").chain(member.lines_of("dev-dependencies")) {
            let is_inherited = line.contains("workspace = true");
            // A crate's tests may switch on its own features.
            let is_itself = line.starts_with(&format!("{} = ", member.name));
            let is_comment = line.trim_start().starts_with('#');
            if line.contains('=') && !is_comment && !is_inherited && !is_itself {
                let message = format!("take the version from the workspace: {line}");
                findings.push(Finding::rule(&member.manifest_path, message));
            }
        }
    }
    findings
}
