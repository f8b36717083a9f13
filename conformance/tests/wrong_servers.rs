//! Servers that answer wrongly on purpose: a statement that holds for a right one fails for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use conformance::{Outcome, run, statements};
use fake::{Answer, Fake, SECRET};

/// What becomes of one statement.
async fn outcome(number: u16, fake: Fake) -> Outcome {
    let world = Arc::new(fake.world().await);
    let chosen: Vec<_> =
        statements::all().into_iter().filter(|statement| statement.number == number).collect();
    run::run(&world, &chosen, |_| {}).await.remove(0).outcome
}

async fn fails(number: u16, fake: Fake) {
    let right = outcome(number, Fake::right()).await;
    assert_eq!(right, Outcome::Passed, "{number} of a right one");
    let wrong = outcome(number, fake).await;
    assert!(matches!(wrong, Outcome::Failed { .. }), "{number} of a wrong one: {wrong:?}");
}

/// Another answer to some lines.
fn when(
    is_it: fn(&str) -> bool,
    change: fn(Answer) -> Answer,
) -> impl Fn(&str, Answer) -> Answer + Send + Sync {
    move |line, right| if is_it(line) { change(right) } else { right }
}

#[tokio::test]
async fn a_directory_that_errs_is_noticed() {
    let with = |is_it, change| Fake::right().directory(when(is_it, change));
    fails(1, Fake::right().greeting("@hello")).await;
    fails(2, with(|_| true, Answer::torn)).await;
    fails(2, with(|line| line == "alice", |right| right.replace(":", "::"))).await;
    fails(3, with(|line| line.ends_with('\r'), |_| Answer::one("null\r\n@"))).await;
    fails(4, with(|line| line == "ALICE", |_| Answer::one("null\r\n@"))).await;
    fails(5, with(|line| line.starts_with("nobody"), |right| right.replace("\r", ""))).await;
    fails(6, with(|line| line.trim().is_empty(), |_| Answer::one("@"))).await;
    fails(9, with(|line| line == "bob", |_| Answer::close(""))).await;
    fails(10, with(|line| line == "@exit", |_| Answer::close("bye"))).await;
}

#[tokio::test]
async fn a_server_that_frames_wrongly_is_noticed() {
    let with = |is_it, change| Fake::right().server(when(is_it, change));
    let is_blank: fn(&str) -> bool = |line| line.trim().is_empty();
    fails(16, Fake::right().greeting("@\n")).await;
    fails(17, with(is_blank, |right| right.replace("invalid", "Invalid"))).await;
    fails(18, with(is_blank, |right| right.replace("\n@alice@", "\n@"))).await;
    fails(19, with(|line| line == "from:alice", Answer::twice)).await;
    fails(21, with(|line| line == "from:alice\r", |_| Answer::one("error:AT0003-x: y\n@"))).await;
    fails(24, with(|line| line == "noop:0", Answer::torn)).await;
    fails(24, with(|line| line == "noop:0", |right| right.replace("ok", "OK"))).await;
    fails(25, with(|line| line.starts_with("deete"), |r| r.replace("\n@alice@", "\n@"))).await;
    fails(27, with(|line| line.starts_with("llookup"), Answer::torn)).await;
    fails(28, Fake::right().merging()).await;
    fails(29, with(|line| line.starts_with("llookup:s029"), |r| r.replace("9abc", "abc"))).await;
    fails(32, with(|line| line.starts_with("deete"), |_| Answer::close("error:AT0003-x: y\n@")))
        .await;
    fails(35, with(|line| line == "@exit", |_| Answer::close("bye\n"))).await;
    fails(39, with(|line| line.starts_with("llookup"), |r| r.replace("\u{2028}", "\n"))).await;
}

#[tokio::test]
async fn a_server_that_says_wrong_things_is_noticed() {
    let with = |is_it, change| Fake::right().server(when(is_it, change));
    let is_llookup: fn(&str) -> bool = |line| line.starts_with("llookup:");
    fails(40, with(|line| line.starts_with("lookup"), |r| r.replace("error:", "error:{"))).await;
    fails(44, with(is_llookup, |right| right.replace("key not found : ", "Exception: "))).await;
    fails(45, with(|line| line.starts_with("lookup"), |r| r.replace("Exception: ", ""))).await;
    fails(55, with(|line| line.starts_with("from"), |r| r.replace("0001", "0000"))).await;
    fails(60, with(|line| line.starts_with("cram"), |right| right.replace("success", "ok"))).await;
    fails(86, with(is_llookup, |_| Answer::one("data:w\n@alice@"))).await;
    fails(88, with(is_llookup, |right| right.replace("data: ", "data:"))).await;
    fails(89, with(|line| line.starts_with("update:s089"), |_| Answer::one("data:9\n@alice@")))
        .await;
    fails(97, with(|line| line.starts_with("update:s097"), |_| Answer::one("data:9\n@alice@")))
        .await;
    fails(112, with(is_llookup, |right| right.replace("AT0015", "AT0011"))).await;
    fails(112, with(is_llookup, |_| Answer::one("data:null\n@alice@"))).await;
}

#[tokio::test]
async fn a_server_that_lets_anybody_in_is_noticed() {
    // The fake takes any digest, and its challenges are all the same.
    for number in [56, 61] {
        let outcome = outcome(number, Fake::right()).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{number}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_seen_says_what_is_missing() {
    for (number, word) in [(26, "--peer-cert"), (52, "authority"), (62, "one more"), (7, "emoji")] {
        match outcome(number, Fake::right()).await {
            Outcome::NotApplicable { reason } => assert!(reason.contains(word), "{reason}"),
            other => panic!("{number}: {other:?}"),
        }
    }
}

/// The checker as a program, looking at a fake: exit code and everything it prints.
async fn program(fake: Fake, only: &'static str) -> (Option<i32>, String) {
    let started = fake.start().await;
    started.is_wrong.store(true, Ordering::SeqCst);
    let running = tokio::task::spawn_blocking(move || {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
            .args(["--json", "--only", only, "--directory", &started.directory, "--ca"])
            .arg(started.folder.path().join("ca.pem"))
            .args(["--identity", &started.identity("@alice")])
            .args(["--identity", &started.identity("@bob")])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    });
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_anything_failed_and_no_secret_is_shown() {
    let wrong = |line: &str, right: Answer| match line {
        "noop:0" => right.replace("ok", "OK"),
        _ => right,
    };
    for (fake, code, words) in [
        (Fake::right(), 0, "1 passed, 0 failed"),
        (Fake::right().server(wrong), 1, "0 passed, 1 failed"),
    ] {
        let (exit, said) = program(fake, "24").await;
        assert_eq!(exit, Some(code), "{said}");
        assert!(said.contains(words) && said.contains("\"number\":24"), "{said}");
        assert!(!said.contains(SECRET));
    }
    let locked = |line: &str, right: Answer| match line {
        line if line.starts_with("cram") => Answer::one("error:AT0401-Exception: no\n@"),
        _ => right,
    };
    let (exit, said) = program(Fake::right().server(locked), "24").await;
    assert_eq!(exit, Some(2), "nothing can be run: {said}");
    assert!(said.contains("AT0401") && !said.contains(SECRET), "{said}");
}

#[test]
fn the_list_shows_each_statement_and_wrong_options_are_refused() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance")).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (exit, said) = run(&["--list"]);
    assert_eq!((exit, said.lines().count()), (Some(0), 217));
    let (_, said) = run(&["--list", "--json", "--only", "207,16"]);
    let rows: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["number"], &rows[0]["seen"]), (&16.into(), &"outside".into()));
    assert_eq!((&rows[1]["number"], &rows[1]["seen"]), (&207.into(), &"inside".into()));
    for wrong in [&["--only", "5-4"][..], &["--directory", "a:1"], &["--identity", "@a=f"]] {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
}
