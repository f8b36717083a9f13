//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, one after the other.
//!
//! On a stable compiler the targets are built with libFuzzer's coverage counters but without a
//! sanitizer: our crates forbid `unsafe`, so a panic, a hang or runaway memory is what there is to
//! find. Where a nightly compiler and cargo-fuzz are installed, AddressSanitizer watches too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Failure, program, succeeds};
use crate::place::Place;

/// A target that needs more memory than this for one input has a bug.
const MEMORY_MIB_MAX: u32 = 1024;

/// A target that works longer than this on one input hangs.
const INPUT_SECONDS_MAX: u32 = 5;

/// Longest input tried; every limit of the parsers that depends on length lies below.
const INPUT_BYTES_MAX: u32 = 64 * 1024;

/// What cargo-fuzz gives the compiler, without the sanitizer.
const COVERAGE_FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks \
    -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs `wanted`, or every target, for `time` each; the first finding ends it.
///
/// # Errors
/// [`Failure`] where a target does not build, is unknown, or found something.
pub fn run(place: &Place, wanted: Option<&str>, time: Duration) -> Result<(), Failure> {
    let folder = place.root.join("fuzz");
    let mut targets = targets(&folder)?;
    if let Some(wanted) = wanted {
        let known = targets.join(", ");
        targets.retain(|target| target == wanted);
        if targets.is_empty() {
            return Err(Failure::Missing {
                what: format!("the fuzz target '{wanted}'"),
                fix: format!("choose one of: {known}"),
            });
        }
    }
    let sanitized = succeeds(&mut program(&folder, "cargo", ["+nightly", "fuzz", "--version"]));
    let built = if sanitized { folder.clone() } else { build(place, &folder)? };
    for target in &targets {
        let corpus = kept(&folder, Path::new("corpus").join(target))?;
        kept(&folder, "artifacts")?;
        let mut command = if sanitized {
            program(&folder, "cargo", ["+nightly", "fuzz", "run", target])
        } else {
            program::<&str>(&folder, built.join(target), [])
        };
        command.arg(corpus);
        if sanitized {
            command.arg("--");
        }
        limit(&mut command, &folder, target, time);
        command::run(&mut command)?;
    }
    eprintln!("xtask: {} target(s), {} s each, nothing found", targets.len(), time.as_secs());
    Ok(())
}

/// The targets are the files of `fuzz_targets`, in the order of their names.
fn targets(folder: &Path) -> Result<Vec<String>, Failure> {
    let path = folder.join("fuzz_targets");
    let listing =
        std::fs::read_dir(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
    let mut targets: Vec<String> = listing
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    Ok(targets)
}

/// Builds all targets and returns the folder they are in.
fn build(place: &Place, folder: &Path) -> Result<PathBuf, Failure> {
    // With a target named, the flags do not reach build scripts, which libFuzzer is not linked to.
    let host = command::output(&mut program(folder, "rustc", ["--print", "host-tuple"]))?;
    let target = place.target.join("fuzz");
    let mut cargo = program(folder, "cargo", ["build", "--release", "--bins"]);
    cargo.args(["--target", &host]).arg("--target-dir").arg(&target);
    command::run(cargo.env("RUSTFLAGS", COVERAGE_FLAGS))?;
    Ok(target.join(host).join("release"))
}

/// A folder that is kept from run to run: what a target finds interesting, and what it broke on.
fn kept(folder: &Path, name: impl AsRef<Path>) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path)
        .map_err(|source| Failure::File { path: path.clone(), source })?;
    Ok(path)
}

fn limit(command: &mut Command, folder: &Path, target: &str, time: Duration) {
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command
        .arg(format!("-dict={}", folder.join("dict/protocol.dict").display()))
        .arg(format!("-artifact_prefix={}/", folder.join("artifacts").display()))
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .args(["-print_final_stats=1", "-verbosity=0"]);
}
