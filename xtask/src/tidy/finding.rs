//! What tidy says about one place.

use std::fmt;
use std::path::{Path, PathBuf};

/// One remark; a rule that is broken, or only something to look at again.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, relative to the workspace.
    pub path: PathBuf,
    /// What is wrong and what would be right.
    pub message: String,
    /// Whether it fails the check.
    pub is_rule: bool,
}

impl Finding {
    /// A broken rule.
    pub fn rule(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self { path: path.as_ref().into(), message: message.into(), is_rule: true }
    }

    /// Something that wants a second look.
    pub fn note(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self { path: path.as_ref().into(), message: message.into(), is_rule: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_rule { "rule" } else { "note" };
        write!(f, "{kind}: {}: {}", self.path.display(), self.message)
    }
}
