//! `warren directory snapshot …`, and a replica that has nothing but such a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testkit::{Certificate, Replica};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const LIST: &str = "# whom we knew\nbob🛠\tone.example:2\r\n\n@Al.ice\ttwo.example:25000\n";

fn snapshot(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(WARREN);
    command.args(["directory", "snapshot"]).args(args).arg(file).output().unwrap()
}

fn build(folder: &Path, list: &str) -> Output {
    let from = folder.join("names.tsv");
    std::fs::write(&from, list).unwrap();
    snapshot(&["build", "--from", from.to_str().unwrap(), "--out"], &folder.join("made"))
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn a_list_becomes_a_file_that_shows_verifies_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let built = build(folder.path(), LIST);
    assert_eq!(built.status.code(), Some(0), "{built:?}");
    assert!(stdout(&built).contains("identities  2"), "{}", stdout(&built));
    for verb in ["show", "verify"] {
        let shown = snapshot(&[verb, "--json"], &file);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(shown["identities"], 2, "{verb}");
    }
    let dumped = snapshot(&["dump"], &file);
    assert_eq!(stdout(&dumped), "alice\ttwo.example:25000\nbob🛠\tone.example:2\n");
    let again = build(folder.path(), stdout(&dumped));
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(stdout(&snapshot(&["dump"], &file)), stdout(&dumped));
}

#[test]
fn what_is_wrong_with_a_list_or_a_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (list, says) in [
        ("alice\tone.example:1\nbob one.example:2\n", "line 2: this is not a name"),
        ("a b\tone.example:1\n", "line 1: an atSign cannot contain"),
        ("alice\tone.example\n", "line 1: an address has the form host:port"),
        ("alice\tone:1\nbob\tone:2\nALICE\tone:3\n", "@alice stands on line 1 and again on line 3"),
        (&"x".repeat(5000), "longer than 1024 bytes"),
    ] {
        let built = build(folder.path(), list);
        let error = String::from_utf8_lossy(&built.stderr);
        assert_eq!(built.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
    let missing = snapshot(&["show"], &folder.path().join("nothing"));
    assert_eq!(missing.status.code(), Some(3));
    let file = folder.path().join("made");
    assert_eq!(build(folder.path(), LIST).status.code(), Some(0));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let verified = snapshot(&["verify"], &file);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("is damaged"));
}

#[test]
fn a_replica_answers_from_a_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(build(folder.path(), LIST).status.code(), Some(0));
    let file = folder.path().join("made");
    let replica = Replica::start(WARREN, folder.path(), &["--snapshot", file.to_str().unwrap()]);
    assert_eq!(replica.resolve("@alice"), (Some(0), "two.example:25000".to_owned()));
    assert_eq!(replica.resolve("@nobody").0, Some(3));
}

#[test]
fn a_replica_of_a_file_that_is_not_there_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let Certificate { chain, key } = Certificate::make(folder.path());
    let mut serve = Command::new(WARREN);
    serve.args(["directory", "serve", "--port", "0", "--snapshot"]);
    serve.arg(folder.path().join("nothing")).arg("--tls-cert").arg(chain);
    let output = serve.arg("--tls-key").arg(key).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

fn run(args: &[&str]) -> Output {
    Command::new(WARREN).args(["directory"]).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_existing_directory_is_taken_over_in_each_form() {
    let folder = tempfile::tempdir().unwrap();
    let (from, made) = (folder.path().join("from"), folder.path().join("made"));
    let (from_arg, made_arg) = (from.to_str().unwrap(), made.to_str().unwrap());
    let dump = "alice\tone.example:1\nbob\tbob.id.example:2\n";
    let redis = testkit::RedisServer::start(folder.path(), &["--dbfilename", "from"]);
    assert_eq!(
        redis.ask(&[b"MSET", b"alice", b"one.example:1", b"bob", b"bob.id.example:2"]),
        b"+OK"
    );
    assert_eq!(redis.ask(&[b"SAVE"]), b"+OK");
    let rdb = std::fs::read(&from).unwrap();
    for (content, format) in [
        (dump.as_bytes(), "tsv"),
        (b"# mine\nbob  bob.id.example:2 \nalice one.example:1\n", "at-servers"),
        (&rdb, "rdb"),
    ] {
        std::fs::write(&from, content).unwrap();
        for format in [format, "auto"] {
            let args =
                ["snapshot", "build", "--from", from_arg, "--out", made_arg, "--format", format];
            let built = run(&args);
            assert_eq!(built.status.code(), Some(0), "{format}: {}", stderr(&built));
            assert_eq!(stdout(&snapshot(&["dump"], &made)), dump);
        }
    }
    std::fs::write(&from, &rdb[..rdb.len() - 3]).unwrap();
    let cut = run(&["snapshot", "build", "--from", from_arg, "--out", made_arg]);
    assert_eq!(cut.status.code(), Some(2));
    assert!(stderr(&cut).contains("it ends too early"), "{}", stderr(&cut));
}

#[test]
fn bad_rows_are_left_out_only_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (from, made) = (folder.path().join("from"), folder.path().join("made"));
    std::fs::write(
        &from,
        "alice\tone.example:1\nb b\tone.example:2\ncarol\nAlice\tone.example:3\n",
    )
    .unwrap();
    let args = [
        "snapshot",
        "build",
        "--json",
        "--from",
        from.to_str().unwrap(),
        "--out",
        made.to_str().unwrap(),
    ];
    let refused = run(&args);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(
        said.contains("line 2: ") && said.contains("; 3 such rows") && said.contains("--skip-bad"),
        "{said}"
    );
    assert!(!made.exists());
    let built = run(&[&args[..], &["--skip-bad"]].concat());
    let told: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!((&told["identities"], &told["left_out"]), (&1.into(), &3.into()));
    assert_eq!(stdout(&snapshot(&["dump"], &made)), "alice\tone.example:3\n");
}

#[test]
fn a_key_file_is_for_its_owner_and_is_never_written_over() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signing.key");
    let file_arg = file.to_str().unwrap();
    assert_eq!(run(&["key", "show", file_arg]).status.code(), Some(3));
    let made = run(&["key", "new", "--out", file_arg]);
    assert_eq!(made.status.code(), Some(0));
    assert!(stdout(&made).starts_with("ed25519:"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&["key", "show", file_arg]).stdout, made.stdout);
    assert_eq!(run(&["key", "new", "--out", file_arg]).status.code(), Some(5));
    assert_eq!(run(&["key", "show", file_arg]).stdout, made.stdout);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = run(&["key", "show", file_arg]);
    assert!(open.status.code() == Some(4) && stderr(&open).contains("chmod 600"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "no key\n").unwrap();
    assert_eq!(run(&["key", "show", file_arg]).status.code(), Some(2));
}

#[test]
fn a_signed_file_is_believed_by_who_has_its_key_and_proves_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let new_key =
        |name: &str| stdout(&run(&["key", "new", "--out", &path(name)])).trim().to_owned();
    let (key, other) = (new_key("key"), new_key("other"));
    std::fs::write(path("list"), LIST).unwrap();
    let built = run(&[
        "snapshot",
        "build",
        "--from",
        &path("list"),
        "--out",
        &path("made"),
        "--key-file",
        &path("key"),
        "--json",
    ]);
    let told: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(told["feed_key"], *key);
    let verify =
        |key: &str| run(&["snapshot", "verify", &path("made"), "--feed-key", key]).status.code();
    assert_eq!((verify(&key), verify(&other)), (Some(0), Some(1)));

    let cert = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("chain.pem"), cert.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), cert.signing_key.serialize_pem()).unwrap();
    let serve = |key: &str| {
        let mut command = Command::new(WARREN);
        command.args(["directory", "serve", "--port", "0", "--https", "127.0.0.1:0"]);
        command.args(["--snapshot", &path("made"), "--feed-key", key]);
        command.args(["--tls-cert", &path("chain.pem"), "--tls-key", &path("key.pem")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let refused = serve(&other).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--feed-key"), "{}", stderr(&refused));
    let mut child = serve(&key).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let https = lines.find(|line| line.starts_with("https")).unwrap();
    let port = https.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1;
    let resolve = |key: &str| {
        let https = format!("localhost:{port}");
        let args =
            ["resolve", "@bob🛠", "--verify", "--https", &https, "--feed-key", key, "--ca-file"];
        Command::new(WARREN).args(args).arg(path("chain.pem")).output().unwrap()
    };
    let (proven, disbelieved) = (resolve(&key), resolve(&other));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(proven.status.code(), Some(0), "{}", stderr(&proven));
    assert!(stdout(&proven).contains("one.example:2"), "{}", stdout(&proven));
    assert_ne!(disbelieved.status.code(), Some(0));
}
