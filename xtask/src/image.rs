//! `cargo xtask image`: a container image with the program and nothing else.
//!
//! No engine is needed to make it, and no base is downloaded: the program is linked statically, and
//! a `docker load` archive is `tar` around it, two small texts, and `tar` around these. The same sources
//! give the same archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::{self, Failure, output, program};
use crate::place::Place;

/// Whom the program runs as: nobody who exists on a host.
const USER: &str = "65532:65532";

/// With which the system finds users and names; there is no more of it in the image.
const SYSTEM_FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0::/:\nwarren:x:65532:65532::/tmp:\n"),
    ("etc/group", "root:x:0:\nwarren:x:65532:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Every folder there is; anybody may write into the last.
const FOLDERS: &[(&str, u32)] =
    &[("", 0o755), ("etc", 0o755), ("etc/ssl", 0o755), ("etc/ssl/certs", 0o755), ("tmp", 0o1777)];

/// What the image is to be.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Compile quickly, for tests: the program is slower.
    #[arg(long)]
    quick: bool,
    /// Name and tag [default: warren:VERSION].
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,
    /// Load it into this engine too, such as unix:///var/run/docker.sock (repeatable).
    #[arg(long, value_name = "URL")]
    engine: Vec<String>,
}

/// Builds the program and the image, and says where it is.
///
/// # Errors
/// [`Failure`] where the compiler or one of the tools fails.
pub fn run(place: &Place, args: &ImageArgs) -> Result<(), Failure> {
    let default = format!("warren:{}", env!("CARGO_PKG_VERSION"));
    let tag = args.tag.as_deref().unwrap_or(&default);
    let (archive, _) = build(place, args.quick, tag)?;
    println!("{}", archive.display());
    for engine in &args.engine {
        let load = ["--host", engine, "load", "--input", &archive.to_string_lossy()];
        command::run(&mut program(&place.root, "docker", load))?;
    }
    Ok(())
}

/// Builds both; returns the archive and the program.
///
/// # Errors
/// [`Failure`] where the compiler or one of the tools fails.
pub fn build(place: &Place, is_quick: bool, tag: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let host = output(&mut program(&place.root, "rustc", ["--print", "host-tuple"]))?;
    let binary = compile(place, &host, is_quick)?;
    let version = output(&mut program(&place.root, &binary, ["--version"]))?;
    let version = version.rsplit(' ').next().unwrap_or_default();

    let folder = place.target.join("image").join("archive");
    refresh(&folder)?;
    root(&folder.join("root"), &binary)?;
    pack(&folder, "layer.tar", Some("root"), &["."])?;
    let digest = digest(&folder, "layer.tar")?;
    let revision = output(&mut program(&place.root, "git", ["rev-parse", "HEAD"]))?;
    write(&folder.join("config.json"), &config(&host, &digest, version, &revision))?;
    write(&folder.join("manifest.json"), &manifest(tag))?;
    let archive = place.target.join("image").join("warren.tar");
    let parts = ["manifest.json", "config.json", "layer.tar"];
    pack(&folder, &archive.to_string_lossy(), None, &parts)?;

    let size =
        |path: &Path| fs::metadata(path).map(|data| data.len() >> 20).map_err(|e| file(path, e));
    eprintln!("xtask: {tag}: program {} MiB, image {} MiB", size(&binary)?, size(&archive)?);
    Ok((archive, binary))
}

/// The program without a library that it would need at its start.
fn compile(place: &Place, host: &str, is_quick: bool) -> Result<PathBuf, Failure> {
    let profile = if is_quick { "image-quick" } else { "image" };
    let target = place.target.join("image");
    let mut cargo = program(&place.root, "cargo", ["build", "--locked", "--package", "warren"]);
    // With a target named, the flag does not reach build scripts and macros.
    cargo.args(["--profile", profile, "--target", host]).arg("--target-dir").arg(&target);
    command::run(cargo.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    Ok(target.join(host).join(profile).join("warren"))
}

/// What a container sees.
fn root(root: &Path, binary: &Path) -> Result<(), Failure> {
    for (name, mode) in FOLDERS {
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(|e| file(&folder, e))?;
        allow(&folder, *mode)?;
    }
    for (name, text) in SYSTEM_FILES {
        write(&root.join(name), text)?;
    }
    let program = root.join("warren");
    fs::copy(binary, &program).map_err(|e| file(&program, e))?;
    allow(&program, 0o755)
}

/// The same files give the same bytes, whoever packs them and when.
fn pack(folder: &Path, archive: &str, of: Option<&str>, what: &[&str]) -> Result<(), Failure> {
    let always = ["--format=ustar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0"];
    let mut tar = program(folder, "tar", always);
    tar.args(["--numeric-owner", "--create", "--file", archive]);
    tar.arg("--directory").arg(of.unwrap_or("."));
    command::run(tar.args(what))
}

fn digest(folder: &Path, name: &str) -> Result<String, Failure> {
    let line = output(&mut program(folder, "sha256sum", [name]))?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

fn config(host: &str, layer: &str, version: &str, revision: &str) -> String {
    let architecture = match host.split('-').next() {
        Some("x86_64") => "amd64",
        Some("aarch64") => "arm64",
        other => other.unwrap_or_default(),
    };
    format!(
        r#"{{
  "architecture": "{architecture}", "os": "linux", "created": "1970-01-01T00:00:00Z",
  "config": {{
    "User": "{USER}", "Entrypoint": ["/warren"], "WorkingDir": "/",
    "Env": ["PATH=/", "HOME=/tmp"],
    "Labels": {{
      "org.opencontainers.image.title": "warren",
      "org.opencontainers.image.version": "{version}",
      "org.opencontainers.image.revision": "{revision}"
    }}
  }},
  "rootfs": {{ "type": "layers", "diff_ids": ["sha256:{layer}"] }},
  "history": [{{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask image" }}]
}}
"#
    )
}

fn manifest(tag: &str) -> String {
    format!(
        "[{{ \"Config\": \"config.json\", \"RepoTags\": [\"{tag}\"], \"Layers\": [\"layer.tar\"] }}]\n"
    )
}

fn refresh(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| file(folder, e))?;
    }
    fs::create_dir_all(folder).map_err(|e| file(folder, e))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|e| file(path, e))?;
    allow(path, 0o644)
}

fn allow(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| file(path, e))
}

fn file(path: &Path, source: std::io::Error) -> Failure {
    Failure::File { path: path.into(), source }
}
