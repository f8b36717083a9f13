//! The published Python SDK, unmodified, goes its whole way through a real `warren up`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::process::{Command, Stdio};

use testkit::{Ports, Warren};

const FLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/sdk_flow.py");

#[test]
fn the_published_python_sdk_passes_every_check() {
    let python = std::env::var("WARREN_TEST_PYTHON")
        .expect("this test needs Python with the SDK: run it through `cargo xtask test`");
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ports = Ports::reserve(20);
    let warren = Warren::start(env!("CARGO_BIN_EXE_warren"), &data, &ports, &[]);
    let mut identities = Vec::new();
    for name in ["@alice🛠", "@bob"] {
        let output = warren.command(&["identity", "register", name, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        identities.extend(output.stdout);
    }

    let mut flow = Command::new(python)
        .args(["-u", FLOW, "--directory", &warren.endpoints.directory])
        .env("SSL_CERT_FILE", &warren.endpoints.ca_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    flow.stdin.take().unwrap().write_all(&identities).unwrap();
    let output = flow.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}\n{}", testkit::log_of(&warren.dir));

    // Each check of the script stands in its output by name, none left out.
    let script = std::fs::read_to_string(FLOW).unwrap();
    let names: Vec<&str> = script
        .lines()
        .filter_map(|line| line.strip_prefix("@check(\"")?.strip_suffix("\")"))
        .collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in &names {
        assert!(
            said.lines().any(|line| line == format!("ok {name}")),
            "{name} is missing in {said}"
        );
    }
    assert!(said.contains(&format!("all {} checks passed", names.len())), "{said}");
    print!("{said}");
}
