//! Lines, answers, prompts and errors (sections 2 and 8).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lab::Lab;
use super::tap::tap;

const INVALID: &str = "error:AT0003-Exception: invalid command\n@";

#[tokio::test]
async fn s016_to_s019_a_blank_line_alone_is_answered_and_one_behind_a_command_is_not() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    assert_eq!(client.ask("\r").await, INVALID);
    assert_eq!(client.ask("").await, INVALID);
    client.send("from:alice\n\n").await;
    let answer = client.within(Duration::from_millis(300)).await;
    assert!(answer.starts_with("data:_") && answer.ends_with("\n@"), "{answer}");
    assert_eq!(answer.matches('\n').count(), 1, "one answer: {answer}");
    let mut owner = lab.owner("@alice").await;
    let text = "error:AT0003-Invalid syntax : invalid command\n@alice@";
    assert_eq!(owner.ask("").await, text);
    assert_eq!(owner.ask("deete:x@alice").await, text, "statement 32");
    assert_eq!(owner.data("noop:0").await, "ok");
}

#[tokio::test]
async fn s021_s022_s023_s024_line_ends_blanks_and_capitals_do_not_matter() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    assert_eq!(client.ask("noop:0").await, "data:ok\n@");
    assert_eq!(client.ask("  noop:0 \r").await, "data:ok\n@");
    assert!(client.ask("from:alice\r").await.starts_with("data:_"));
    for scan in ["scan", "SCAN", "Scan", " scan\r"] {
        assert_eq!(client.ask(scan).await, "data:[]\n@", "{scan}");
    }
}

#[tokio::test]
async fn s025_s034_errors_leave_the_connection_and_its_prompt_as_they_are() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for (command, code) in [
        ("update:x@alice", "AT0003"),
        ("delete:public:publickey@alice", "AT0009"),
        ("llookup:nope@alice", "AT0015"),
        ("update:x@bob v", "AT0016"),
        ("noop:5001", "AT0022"),
        ("from:@nobody", "AT0401"),
    ] {
        let answer = owner.ask(command).await;
        assert!(answer.starts_with(&format!("error:{code}-")), "{command}: {answer}");
        assert!(answer.ends_with("\n@alice@"), "{command}: {answer}");
    }
    let mut open = lab.connect("@alice").await;
    let answer = open.ask("cram:00").await;
    assert!(answer.starts_with("error:AT0015-Exception: "), "{answer}");
    open.challenge("@alice").await;
    let answer = open.ask("cram:00").await;
    assert_eq!(answer, "error:AT0401-Exception: Authentication Failed\n@");
    assert_eq!(open.ask("noop:0").await, "data:ok\n@");
}

#[tokio::test]
async fn s027_s028_each_answer_comes_with_its_prompt_in_one_record_of_its_own() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let (port, records) = tap(lab.port("@alice")).await;
    lab.publish("@alice", "localhost", port);
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice v").await;
    let mut before = records.load(Ordering::SeqCst);
    for (commands, answers) in [
        ("noop:0\n", 1),
        ("llookup:all:x@alice\n", 1),
        ("llookup:nope@alice\n", 1),
        ("noop:0\nnoop:0\nllookup:x@alice\n", 3),
        ("\n", 1),
    ] {
        owner.send(commands).await;
        for _ in 0..answers {
            assert!(owner.answer().await.ends_with("\n@alice@"));
        }
        let now = records.load(Ordering::SeqCst);
        assert_eq!(now - before, answers, "{commands:?}");
        before = now;
    }
}

#[tokio::test]
async fn s028_pipelined_commands_are_answered_in_order() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.send("noop:200\ninfo:brief\nupdate:a@alice 1\nllookup:a@alice\n").await;
    assert_eq!(owner.answer().await, "data:ok\n@alice@");
    assert!(owner.answer().await.starts_with("data:{\"version\""));
    let commit: u64 =
        owner.answer().await["data:".len()..].split('\n').next().unwrap().parse().unwrap();
    assert_eq!(owner.answer().await, "data:1\n@alice@");
    assert!(commit < 4);
}

#[tokio::test]
async fn s029_s031_large_commands_and_answers_are_whole() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let value = "x".repeat(5 << 20);
    owner.data(&format!("update:large@alice {value}")).await;
    let answer = owner.ask("llookup:large@alice").await;
    assert_eq!(answer.len(), "data:\n@alice@".len() + value.len());
    assert!(answer.ends_with("x\n@alice@"));
}

#[tokio::test]
async fn s030_a_command_beyond_the_limit_is_refused_and_the_connection_closed() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    client.send(&"x".repeat(10_240_001)).await;
    let text = "error:AT0005-Exception: InboundBuffer overflow: server received request which \
                exceeded the buffer size limit. Terminating the connection. The limit is 16384 \
                bytes\n@";
    assert_eq!(client.rest().await, text);
}

#[tokio::test]
async fn s033_an_owners_verb_is_refused_before_its_syntax_is_looked_at() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
    for command in [
        "update:",
        "update:x@alice v",
        "update:meta:x@alice:ttl:1",
        "delete:",
        "llookup:x@alice",
        "plookup:",
        "monitor",
        "monitor:strict .wavi",
        "notify:status:x",
        "notify:fetch:x",
        "notify:remove:x",
        "notify:all:",
        "stats:x",
        "sync:from",
        "config:",
        "batch:",
    ] {
        assert_eq!(client.ask(command).await, text, "{command}");
    }
}

#[tokio::test]
async fn s035_exit_closes_without_a_byte() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.send("@exit\n").await;
    assert_eq!(owner.rest().await, "");
    let mut open = lab.connect("@alice").await;
    open.send("@exit").await;
    assert_eq!(open.rest().await, "");
}

#[tokio::test]
async fn s036_one_connection_too_many_is_told_so_and_closed() {
    let lab = Lab::with(|limits| limits.connections_max = 3).await;
    let _alice = lab.start("@alice").await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(lab.connect("@alice").await);
    }
    let mut surplus = lab.connect_as("@alice", None).await;
    let text = "error:AT0012-Inbound connection limit exceeded\n";
    assert_eq!(surplus.rest().await, text);
    kept.pop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    lab.connect("@alice").await;
    assert_eq!(kept[0].ask("noop:0").await, "data:ok\n@");
}

#[tokio::test]
async fn s038_an_idle_open_connection_is_closed_and_an_owners_is_not() {
    let lab = Lab::with(|limits| limits.open_idle_max = Duration::from_millis(300)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut open = lab.connect("@alice").await;
    assert_eq!(open.rest().await, "");
    assert_eq!(owner.data("noop:0").await, "ok");
}

#[tokio::test]
async fn s040_to_s045_errors_have_the_shape_that_the_client_asked_for() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let missing = "lookup:x@alice";
    let classic = "error:AT0015-Exception: public:x@alice does not exist in keystore\n@";
    let json = "error:{\"errorCode\":\"AT0015\",\"errorDescription\":\"Exception: public:x@alice \
                does not exist in keystore\"}\n@";
    for (config, expected) in [
        ("", classic),
        (":clientConfig:{\"version\":\"3.0.38\"}", json),
        (":clientConfig:{\"version\":\"3.0.37\"}", classic),
        (":clientConfig:{\"version\":\"4.0.0\",\"appName\":\"a:b\"}", json),
        (":clientConfig:{\"appName\":\"x\"}", classic),
        (":clientConfig:{\"version\":\"new\"}", classic),
    ] {
        let answer = client.ask(&format!("from:@alice{config}")).await;
        assert!(answer.starts_with("data:_"), "{config}: {answer}");
        assert_eq!(client.ask(missing).await, expected, "{config}");
    }
    let mut owner = lab.owner("@alice").await;
    let text = "error:AT0015-key not found : x@alice does not exist in keystore\n@alice@";
    assert_eq!(owner.ask("llookup:x@alice").await, text);
}

#[tokio::test]
async fn rubbish_is_answered_as_an_invalid_command() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    for rubbish in
        ["sync:5", "stream:init@bob x", "from", ":::", "@@@x", "data:x", "\u{0}", "\u{2028}"]
    {
        assert_eq!(client.ask(rubbish).await, INVALID, "{rubbish:?}");
    }
}

#[tokio::test]
async fn a_stopped_server_closes_its_connections_in_order() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut open = lab.connect("@alice").await;
    alice.stop().await;
    assert_eq!((owner.rest().await, open.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_server_without_connections_is_idle() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    assert!(alice.server.is_idle());
    let client = lab.connect("@alice").await;
    assert!(!alice.server.is_idle());
    drop(client);
    for _ in 0..200 {
        if alice.server.is_idle() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not idle though nobody is connected");
}

#[tokio::test]
async fn a_stranger_cannot_make_the_server_hold_a_long_line() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    client.send(&format!("scan {}\n", "x".repeat(20_000))).await;
    assert!(client.rest().await.starts_with("error:AT0005-Exception: "));
    let mut client = lab.connect("@alice").await;
    client.send(&"noop:0\n".repeat(5000)).await;
    for _ in 0..5000 {
        assert_eq!(client.answer().await, "data:ok\n@");
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[tokio::test]
async fn whatever_is_sent_gets_one_answer_or_a_close_and_the_server_lives() {
    const PIECES: [&str; 48] = [
        "from:",
        "cram:",
        "pkam:",
        "pol",
        "update:",
        "update:meta:",
        "update:json:",
        "llookup:",
        "plookup:",
        "lookup:",
        "scan",
        "delete:",
        "notify:",
        "notify:list",
        "notify:status:",
        "notify:fetch:",
        "notify:remove:",
        "info",
        "noop:0",
        "@alice",
        "@bob",
        "alice",
        "x",
        ":",
        "::",
        " ",
        "@",
        "public:",
        "cached:",
        "private:",
        "ttl:1",
        "ttr:-1",
        "ccd:true",
        "ttl:-1",
        "isEncrypted:",
        "null",
        "all:",
        "meta:",
        "{\"atKey\":1}",
        "🦄",
        "\u{0}",
        "日",
        "\t",
        "(a*)*",
        "[",
        "9999999999999999999999",
        "@a@b",
        "_",
    ];
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for is_owner in [false, true] {
        let mut client = None;
        for round in 0..1500 {
            let mut open = match client.take() {
                Some(client) => client,
                None if is_owner => lab.owner("@alice").await,
                None => lab.connect("@alice").await,
            };
            let count = 1 + dice.below(7);
            let line: String = (0..count).map(|_| PIECES[dice.below(PIECES.len())]).collect();
            open.send(&format!("{line}\n")).await;
            let answer = open.answer_or_end().await;
            let is_answer = ["data:", "error:AT"].iter().any(|start| answer.starts_with(start));
            assert!(is_answer, "round {round}: {line:?} got {answer:?}");
            let closes = ["AT0011", "AT0005"].iter().any(|code| answer[6..].starts_with(code));
            client = (!closes).then_some(open);
        }
    }
    assert_eq!(lab.owner("@alice").await.data("noop:0").await, "ok");
}
