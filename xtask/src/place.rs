//! Where the workspace and its target folder lie.

use std::path::{Path, PathBuf};

use crate::command::Failure;

/// The two folders every command works with.
pub struct Place {
    /// The workspace, where `Cargo.lock` is.
    pub root: PathBuf,
    /// Cargo's target folder, wherever it was moved to.
    pub target: PathBuf,
}

impl Place {
    /// Asks the running program, not the compiler: one target folder may serve several clones.
    ///
    /// # Errors
    /// [`Failure::Missing`] where the program was not started by cargo.
    pub fn find() -> Result<Self, Failure> {
        let missing = || Failure::Missing {
            what: "the workspace's folder".into(),
            fix: "start me as `cargo xtask …` inside the workspace".into(),
        };
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or_else(missing)?;
        let root = Path::new(&manifest).parent().ok_or_else(missing)?.to_owned();
        let program = std::env::current_exe()
            .map_err(|source| Failure::File { path: "this program's own file".into(), source })?;
        // The program is <target>/<profile>/xtask, its tests are one folder deeper.
        let depth = if program.parent().is_some_and(|p| p.ends_with("deps")) { 3 } else { 2 };
        let target = program.ancestors().nth(depth).ok_or_else(missing)?.to_owned();
        Ok(Self { root, target })
    }
}
