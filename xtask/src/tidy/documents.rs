//! What holds for the documents: promises name their tests, links lead somewhere.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::command::{Failure, read};

/// The promises, and how each is proven.
const PROMISES: &str = "PROMISES.md";

/// What stands where there is no proof.
const NOT_YET: &str = "not yet";

/// Checks the documents at the top and below `docs`.
///
/// # Errors
/// [`Failure::File`] where one cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>, Failure> {
    let mut findings = check_promises(root, &read(&root.join(PROMISES))?);
    for path in markdown_files(root, Path::new(""), 3) {
        let text = read(&root.join(&path))?;
        findings.extend(check_links(root, &path, &text));
    }
    Ok(findings)
}

/// A section is one promise; it names tests as `file.rs::test`, or says that there is none.
fn check_promises(root: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let proofs: Vec<&str> = section.split('`').filter(|part| part.contains(".rs::")).collect();
        if proofs.is_empty() && !section.to_lowercase().contains(NOT_YET) {
            let message = format!("'{title}' names no test and does not say \"{NOT_YET}\"");
            findings.push(Finding::rule(PROMISES, message));
        }
        for proof in proofs {
            if !exists(root, proof) {
                let message = format!("'{title}': there is no test {proof}");
                findings.push(Finding::rule(PROMISES, message));
            }
        }
    }
    findings
}

fn exists(root: &Path, proof: &str) -> bool {
    proof.split_once("::").is_some_and(|(file, test)| {
        read(&root.join(file)).is_ok_and(|text| text.contains(&format!("fn {test}(")))
    })
}

fn check_links(root: &Path, path: &Path, text: &str) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new(""));
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split_once('#').map_or(target, |(file, _)| file))
        .filter(|target| !root.join(folder).join(target).exists())
        .map(|target| Finding::rule(path, format!("the link to {target} leads nowhere")))
        .collect()
}

/// Markdown files down to `depth` folders; hidden ones and build output are not ours.
fn markdown_files(root: &Path, folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in listing.flatten() {
        let name = entry.file_name();
        let path = folder.join(&name);
        let is_ours = !name.to_string_lossy().starts_with('.') && name != "target";
        if entry.path().is_dir() && is_ours && depth > 0 {
            files.extend(markdown_files(root, &path, depth - 1));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_promise_names_a_test_that_exists_or_says_not_yet() {
        let root = &crate::place::Place::find().unwrap().root;
        let this =
            "xtask/src/tidy/documents.rs::a_promise_names_a_test_that_exists_or_says_not_yet";
        let text = |proof: &str| format!("# Promises\n\n## 1. One\n\n{proof}\n");
        assert!(check_promises(root, &text(&format!("`{this}`"))).is_empty());
        assert!(check_promises(root, &text("not yet")).is_empty());
        assert_eq!(check_promises(root, &text("surely")).len(), 1);
        assert_eq!(check_promises(root, &text(&format!("`{this}_tomorrow`"))).len(), 1);
    }
}
