//! A virtual environment with the published Python SDK, for the end-to-end tests.

use std::path::{Path, PathBuf};

use crate::command::{Failure, program, read, run, succeeds};
use crate::place::Place;

/// What the environment holds; pinned, so that every run tests the same release.
const REQUIREMENTS: &str = "tests/python/requirements.txt";

/// Brings the environment up to date and returns its interpreter.
///
/// # Errors
/// [`Failure`] where Python or a package cannot be brought.
pub fn interpreter(place: &Place) -> Result<PathBuf, Failure> {
    let folder = place.target.join("python");
    let python = folder.join("bin/python");
    let wanted = read(&place.root.join(REQUIREMENTS))?;
    // Written last, so that an interrupted installation is repeated.
    let stamp = folder.join("installed.txt");
    if read(&stamp).is_ok_and(|installed| installed == wanted)
        && succeeds(&mut program(&place.root, &python, ["-c", "import at_client"]))
    {
        return Ok(python);
    }
    create(place, &folder)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(program(&place.root, &python, pip).arg(REQUIREMENTS))?;
    std::fs::write(&stamp, wanted).map_err(|source| Failure::File { path: stamp, source })?;
    Ok(python)
}

fn create(place: &Place, folder: &Path) -> Result<(), Failure> {
    let venv = || {
        let mut command = program(&place.root, "python3", ["-m", "venv", "--clear"]);
        command.arg(folder);
        command
    };
    if !succeeds(&mut venv()) {
        install_venv_module(place)?;
        run(&mut venv())?;
    }
    Ok(())
}

/// Debian and its relatives ship Python without the module; elsewhere it is always there.
fn install_venv_module(place: &Place) -> Result<(), Failure> {
    const PACKAGES: [&str; 2] = ["python3", "python3-venv"];
    let apt = |args: &[&str]| {
        let mut command = program(&place.root, "apt-get", args);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let is_root = succeeds(&mut program(&place.root, "sh", ["-c", "test \"$(id -u)\" = 0"]));
    if !is_root || !succeeds(&mut apt(&["--version"])) {
        return Err(Failure::Missing {
            what: "Python's venv module".into(),
            fix: "install it, for example with `sudo apt-get install python3-venv`".into(),
        });
    }
    run(&mut apt(&["update", "--quiet"]))?;
    run(apt(&["install", "--yes", "--quiet", "--no-install-recommends"]).args(PACKAGES))
}
